"""The engines of a child process: each is loaded once, by skill and key, and used by all of its tasks."""

from collections.abc import Callable, Mapping
from typing import Any

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey, Loader
from sottovoce.engines.protocols import AnySkill, Parallel, Skill


class ChildEngines:
    """Loads engines with *engine_config*; *width*: the number of stretches of one job that may be processed at once."""

    def __init__(self, engine_config: EngineConfig, width: Callable[[], int]) -> None:
        self._engine_config = engine_config
        self._width = width
        self._loaded: dict[tuple[Loader | None, EngineKey], Any] = {}

    def load(self, skill: AnySkill, key: EngineKey) -> Any:
        """Return the engine *key* for *skill*, loaded once also for several skills of one loader. Raises `EngineUnavailable`."""
        loader = registry.engine(key.engine).loader(skill)
        if (loader, key) not in self._loaded:
            engine = registry.load(skill, key, self._engine_config)
            if isinstance(engine, Parallel):
                engine.allow(self._width)
            self._loaded[loader, key] = engine
        return self._loaded[loader, key]

    def prepare(self, key: EngineKey) -> None:
        """Load the main skill of the engine *key*, so that its first task does not wait. Raises `EngineUnavailable`."""
        known = registry.engine(key.engine)
        main = (skill for skill in (Skill.TRANSCRIPTION, Skill.ALIGNMENT) if known.loader(skill) is not None)
        self.load(next(main, Skill.TRANSCRIPTION), key)

    def of_task(self, keys: Mapping[AnySkill, EngineKey]) -> "TaskEngines":
        """Return the engines of one task, which has *keys*."""
        return TaskEngines(self, keys)


class TaskEngines:
    """The `EngineSet` of one task."""

    def __init__(self, engines: ChildEngines, keys: Mapping[AnySkill, EngineKey]) -> None:
        self._engines = engines
        self._keys = keys

    def get(self, skill: AnySkill) -> Any | None:
        """Return the engine for *skill*, loaded at the first call; None if the task has none. Raises `EngineUnavailable`."""
        key = self._keys.get(skill)
        return None if key is None else self._engines.load(skill, key)

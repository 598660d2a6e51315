"""The engines that a task may use, by skill: the interface of the pipeline to whatever loaded them."""

from collections.abc import Mapping
from typing import Any, Protocol

from sottovoce.engines.protocols import AnySkill


class EngineSet(Protocol):
    """The engines of one task."""

    def get(self, skill: AnySkill) -> Any | None:
        """Return the engine for *skill*, which is loaded at the first call; None if the task has none.

        Raises `EngineUnavailable` if it cannot be loaded.
        """
        ...


class LoadedEngines:
    """An `EngineSet` of engines that are loaded already."""

    def __init__(self, engines: Mapping[AnySkill, Any]) -> None:
        self._engines = engines

    def get(self, skill: AnySkill) -> Any | None:
        """Return the engine for *skill*, or None."""
        return self._engines.get(skill)

"""An engine before it is loaded: `Engine`, which every engine's package exports as `ENGINE`, and the key of a loaded one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.protocols import AnySkill, Capabilities, Skill

Loader = Callable[[str, str, EngineConfig], Any]
"""Loads a model: takes its name, the device (`cpu`, `cuda:0` …) and the `EngineConfig`; returns the protocol of the skill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """The engine, model and device that a child process has loaded."""

    engine: str
    model: str = ""
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine: the Python *package* it needs, what it *offers* on this machine, and how each skill is loaded.

    *loaders* has one entry for each `Skill`. *load*, *align* and *diarize* are short forms of the entries for transcription,
    alignment and diarization.
    """

    name: str
    package: str
    offers: Callable[[EngineConfig], tuple[Capabilities, ...]]
    load: Loader | None = None
    align: Loader | None = None
    diarize: Loader | None = None
    loaders: Mapping[AnySkill, Loader] = field(default_factory=dict)

    def loader(self, skill: AnySkill) -> Loader | None:
        """Return the loader for *skill*; None if the engine lacks it."""
        short: dict[AnySkill, Loader | None] = {
            Skill.TRANSCRIPTION: self.load,
            Skill.ALIGNMENT: self.align,
            Skill.DIARIZATION: self.diarize,
        }
        return self.loaders.get(skill) or short.get(skill)

"""A stage that produces a result beside the items of a transcript, and its input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sottovoce.engines.protocols import Skill
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultContext:
    """The input of a stage: track *track* of the media at *path*, the *request*, the finished *transcript*.

    *engine*: the loaded engine for the stage's skill, None if the stage needs none. *alive* must be called at least every
    few minutes: a process that reports nothing is ended.
    """

    path: Path
    request: TranscriptionRequest
    transcript: Transcript
    alive: Callable[[], None]
    engine: Any = None
    track: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultStage:
    """A stage: the test *asked* if a request wants it, *run*, which returns a value that JSON can represent, and its failure.

    *name* is the key of its result; *feature* names the error list of the transcript (contract §7.3). *skill*: the engine that
    it needs, None for no engine. *failed* is the message of the error that the transcript reports if the stage fails.
    """

    name: str
    feature: str
    asked: Callable[[TranscriptionRequest], bool]
    run: Callable[[ResultContext], object]
    skill: Skill | None = None
    failed: str

"""The protocol of the stages: what each gets, what it returns, and why it may refuse.

A stage does not run a model itself: it asks a backend, which answers with numbers of sentences and labels, never with times
or positions in a text. The stage checks the answer and makes the value that the API shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import ChannelLabel, Samples, SpeakerLabel, Transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of the transcript, or the part of it before another speaker. *id*: its number from 0, by rising start."""

    id: int
    start: Samples
    end: Samples
    text: str
    words: int
    language: str
    speaker: SpeakerLabel | None = None
    channel: ChannelLabel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The input of a stage: the finished *transcript*, its *sentences*, the *request*, track *track* of the media at *path*.

    *alive* must be called at least every few minutes: a process that reports nothing is ended.
    *part*: what this run is for, of a stage that runs once for each of its parts.
    """

    transcript: Transcript
    sentences: tuple[Sentence, ...]
    request: TranscriptionRequest
    path: Path
    alive: Callable[[], None]
    track: int = 1
    part: str = ""

    @property
    def language(self) -> str:
        """The code of the language of the transcript, which may have been identified."""
        return self.transcript.language


class UnsupportedLanguage(Exception):
    """The backend of a stage cannot work in the language of the transcript. *why*: a line for the job's log."""

    def __init__(self, language: str, why: str = "") -> None:
        super().__init__(language)
        self.why = why


class StageRefused(Exception):
    """The request asks a stage for what the contract forbids. *type* and *message*: the entry of the error list (§7.3)."""

    def __init__(self, type: str, message: str) -> None:  # noqa: A002 - the contract's word
        super().__init__(message)
        self.type = type
        self.message = message


def _nothing(_: TranscriptionRequest) -> None:
    """Refuse no request."""


def _once(_: TranscriptionRequest) -> tuple[str, ...]:
    """Return the one part of a stage that has no parts."""
    return ("",)


def _needs_backend(_: Scene) -> None:
    """Return no result: it takes a backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: the test *asked* if a request wants it, and *run*, which returns a value that JSON can represent.

    *name*: the key of its result, and of the skill that a backend needs. *feature* names the error list of the transcript
    (contract §7.3); None if the contract has none for it: then *empty* is its result when it fails. *unsupported* and *failed*
    are the contract's messages, with `{language}` and `{part}`; *unsupported_type* is the type of the first one. *check* raises
    `StageRefused` for a request that it cannot fulfil.
    *parts*: the names of its runs, each of which fails alone; with names, its result maps them to the results of the runs.
    *direct* returns the result of a run that needs no backend, else None.
    """

    name: str
    asked: Callable[[TranscriptionRequest], bool]
    run: Callable[[Scene, Any], Any]
    feature: str | None = None
    unsupported: str = ""
    failed: str = ""
    check: Callable[[TranscriptionRequest], None] = _nothing
    empty: object = None
    unsupported_type: str = "unsupported_language"
    parts: Callable[[TranscriptionRequest], tuple[str, ...]] = _once
    direct: Callable[[Scene], Any] = _needs_backend


class Backend(Protocol):
    """What every backend has in common."""

    @property
    def languages(self) -> frozenset[str]:
        """The contract's codes of the languages that it supports; empty: it does not depend on the language."""
        ...


class SentenceVectors(Protocol):
    """Texts to vectors: texts of similar meaning have similar vectors."""

    @property
    def languages(self) -> frozenset[str]:
        """The contract's codes of the languages in which the vectors mean something."""
        ...

    def vectors(self, texts: "Sequence[str]", alive: Callable[[], None]) -> "Floats":
        """Return float32[n, d], a row of length 1 for each text. *alive* is called now and then."""
        ...


def supports(backend: Backend, language: str) -> bool:
    """True if *backend* can work in *language*."""
    return not backend.languages or language in backend.languages

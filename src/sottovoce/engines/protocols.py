"""What an engine must be able to say of itself and to do.

Narrow on purpose: a recogniser turns speech into words, an aligner finds known words in speech, a diarizer tells voices
apart. The caller owns decoding, activity, time, labels, punctuation and formatting.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from sottovoce.audio.activity import ActivityPolicy, Speech, SpeechProbability
from sottovoce.request import OperatingPoint, VocabEntry
from sottovoce.transcript.model import Item, LanguageScore, Samples

__all__ = [
    "Aligner",
    "AlignmentSession",
    "Capabilities",
    "ChoosesActivity",
    "DiarizationHints",
    "Diarized",
    "Diarizer",
    "HeardWord",
    "Hints",
    "LanguageIdentifier",
    "LanguageScore",
    "Parallel",
    "PlacedWord",
    "Recognized",
    "Recognizer",
    "Skill",
    "Speech",
    "SpeechProbability",
    "SpeechSource",
    "Turn",
    "Voice",
]


class Skill(StrEnum):
    """What an engine is for."""

    TRANSCRIPTION = "transcription"
    ALIGNMENT = "alignment"
    DIARIZATION = "diarization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """What was heard in `start … end` of the media; *items* have media times and lie inside that span.

    *notes*: what the job's log should say about it, each a short sentence without anything that was said.
    """

    start: Samples
    end: Samples
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the request tells an engine."""

    language: str
    operating_point: OperatingPoint = OperatingPoint.STANDARD
    vocab: tuple[VocabEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do with one model that it has here and now.

    *skills*: what it is for; *languages* (the contract's codes) hold for all of them but diarization, which needs none.
    *punctuates*: its items carry marks and capitals, so our punctuation stage is skipped. *grade* orders models by
    accuracy (0: a fallback); *suits* is the operating point that a model of its cost is meant for, *pinned* those that
    the operator gave it. *device*: `cpu` or `cuda`. *voiceprints*: the name and version of the form in which a diarizer
    writes voice prints; only prints of one form can be compared.
    """

    engine: str
    model: str
    languages: frozenset[str]
    skills: frozenset[Skill] = frozenset({Skill.TRANSCRIPTION})
    operating_points: frozenset[OperatingPoint] = field(default_factory=lambda: frozenset(OperatingPoint))
    punctuates: bool = False
    custom_vocab: bool = False
    word_confidence: bool = False
    identifies_language: bool = False
    live: bool = False
    grade: int = 0
    suits: OperatingPoint | None = None
    pinned: frozenset[OperatingPoint] = frozenset()
    device: str = "cpu"
    voiceprints: str | None = None


class Recognizer(Protocol):
    """Speech to words. One call per job; an engine may read ahead to batch, and yields in order."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words for each stretch, in order, one `Recognized` per stretch; nothing said gives empty items."""
        ...


@runtime_checkable
class ChoosesActivity(Protocol):
    """A recogniser that wants speech cut in its own way; others get `ActivityPolicy()`."""

    @property
    def activity(self) -> ActivityPolicy:
        """Where its stretches begin and end, and what audio they have around the speech."""
        ...


@runtime_checkable
class Parallel(Protocol):
    """A recogniser that can work on several stretches of one job at once."""

    def allow(self, width: Callable[[], int]) -> None:
        """Ask *width* before each piece of work how many may go on at once, 1 or more."""
        ...


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Speech to languages; an engine with `identifies_language` is one."""

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """Languages by falling confidence, over all of *speech* together (at most two minutes); empty for no speech."""
        ...


# ── alignment ──


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """A spoken word as an aligner heard it, spelled as in `Reading.spoken`, with media times."""

    text: str
    start: Samples
    end: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedWord:
    """Where a word of the text lies in the media. *score* 0..1: how well the audio there fits it; under 0.5 it is doubtful."""

    start: Samples
    end: Samples
    score: float


class AlignmentSession(Protocol):
    """A text that an aligner has made itself ready for. Its words are counted from 0."""

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        """For each word of the text what is said for it, lower case; empty for a word that nobody says (a lone dash)."""
        ...

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        """What is said in *stretch* (at most 30 s), found without knowing where in the text it stands."""
        ...

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        """Where *words* (their numbers, rising; nothing else of the text is said there) lie in *stretch* (at most 90 s).

        In order and without overlap, one entry a word, `None` for a word that nobody says and for those that cannot be
        placed there.
        """
        ...


class Aligner(Protocol):
    """Known words to times. One reading per job."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def read(self, words: Sequence[str], language: str) -> AlignmentSession:
        """Make ready for the text *words* (as they are written, with their marks). Raises `EngineUnavailable`."""
        ...


# ── speakers ──


SpeechSource = Callable[[], Iterator[Speech]]
"""The speech of a medium from its beginning, the same at every call: stretches in order, without overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationHints:
    """*sensitivity* 0..1: more finds more speakers (contract §6.2). *prefer_current*: change speakers less readily."""

    sensitivity: float = 0.5
    prefer_current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From *start* to *end* speaks *voice*, an index into `Diarized.voices`."""

    start: Samples
    end: Samples
    voice: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One speaker: the voice print (at most 8 kB, in the diarizer's own form), median pitch in Hz where there is one."""

    voiceprint: bytes
    pitch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarized:
    """Who speaks when: *turns* by rising start; those of different voices may overlap."""

    turns: tuple[Turn, ...] = ()
    voices: tuple[Voice, ...] = ()


class Diarizer(Protocol):
    """Speech to turns. Holds no more of the audio than one stretch at a time."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do; `voiceprints` names the form of its prints."""
        ...

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """Who speaks when in what *listen* gives; it may be called more than once. No speech gives no turns."""
        ...

    def similarity(self, one: bytes, other: bytes) -> float:
        """How likely two prints of its form are one speaker's, 0..1 (0.5: undecided). Raises ValueError for no print."""
        ...

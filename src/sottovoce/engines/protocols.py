"""What a recogniser must be able to say of itself and to do.

Narrow on purpose: engines turn speech into words, nothing else. The caller owns decoding, activity, time, speakers,
punctuation and formatting.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sottovoce.audio.activity import Speech, SpeechProbability
from sottovoce.request import OperatingPoint, VocabEntry
from sottovoce.transcript.model import Item, LanguageScore, Samples

__all__ = [
    "Capabilities",
    "Hints",
    "LanguageIdentifier",
    "LanguageScore",
    "Recognized",
    "Recognizer",
    "Speech",
    "SpeechProbability",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """What was heard in `start … end` of the media; *items* have media times and lie inside that span."""

    start: Samples
    end: Samples
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the request tells an engine."""

    language: str
    operating_point: OperatingPoint = OperatingPoint.STANDARD
    vocab: tuple[VocabEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do with one model that it has here and now.

    *punctuates*: its items carry marks and capitals, so our punctuation stage is skipped. *languages* are the
    contract's codes. *grade* orders models by accuracy (0: a fallback); *suits* is the operating point that a model of
    its cost is meant for, *pinned* those that the operator gave it. *device*: `cpu` or `cuda`.
    """

    engine: str
    model: str
    languages: frozenset[str]
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
class LanguageIdentifier(Protocol):
    """Speech to languages; an engine with `identifies_language` is one."""

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """Languages by falling confidence, over all of *speech* together (at most two minutes); empty for no speech."""
        ...

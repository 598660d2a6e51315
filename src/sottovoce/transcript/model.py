"""The transcript as we hold it: words, punctuation and entities on a 16 kHz time line.

Times are integer samples, start inclusive and end exclusive; seconds exist only on the wire, through `seconds`. What is
unknown is `None`, never a missing key or 0.0.
"""

from dataclasses import dataclass, field
from enum import StrEnum

RATE = 16_000
"""Samples a second of every time inside."""

Samples = int
SpeakerLabel = str
ChannelLabel = str

UNKNOWN_SPEAKER: SpeakerLabel = "UU"
"""The contract's label for "nobody in particular": diarization off, or undecidable."""


def seconds(at: Samples) -> float:
    """Seconds with the two decimals that clients compare against: the only way out of samples."""
    return round(at / RATE, 2)


def samples(at: float) -> Samples:
    """Samples nearest to *at* seconds: the only way in."""
    return round(at * RATE)


class Attaches(StrEnum):
    """Which neighbour a mark sticks to (no delimiter on that side)."""

    PREVIOUS = "previous"
    NEXT = "next"
    BOTH = "both"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word as it is written. *confidence* 0..1; *volume* 0..100; *tags* e.g. `disfluency`, `profanity`."""

    text: str
    start: Samples
    end: Samples
    confidence: float | None = None
    language: str | None = None
    speaker: SpeakerLabel | None = None
    channel: ChannelLabel | None = None
    volume: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A punctuation mark: zero-length, at the end of the word that it follows; *ends_sentence* is the wire's `is_eos`."""

    text: str
    at: Samples
    attaches: Attaches = Attaches.PREVIOUS
    ends_sentence: bool = False
    confidence: float | None = None
    language: str | None = None
    speaker: SpeakerLabel | None = None
    channel: ChannelLabel | None = None

    @property
    def start(self) -> Samples:
        """Where the mark stands; the same as `end`."""
        return self.at

    @property
    def end(self) -> Samples:
        """Where the mark stands; the same as `start`."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Spoken words that are written as one thing (`$20`). *spoken* are the words heard, *written* the pieces shown."""

    text: str
    entity_class: str
    spoken: tuple[Word | Mark, ...]
    written: tuple[Word, ...]
    start: Samples
    end: Samples
    confidence: float | None = None
    language: str | None = None
    speaker: SpeakerLabel | None = None
    channel: ChannelLabel | None = None
    volume: float | None = None
    tags: tuple[str, ...] = ()


Item = Word | Mark | Entity


@dataclass(frozen=True, slots=True, kw_only=True)
class StageError:
    """A stage that failed alone: the transcript exists, this part of it does not. *feature* names the wire's list."""

    feature: str  # translation | summarization | sentiment_analysis | topic_detection | auto_chapters
    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageScore:
    """How likely *language* is spoken, 0..1; its code is the contract's, or the engine's own where the contract has none."""

    language: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """Which languages were heard between *start* and *end*, likeliest first.

    *error* and *message*: why the job went on all the same (contract `batch-v2.md` §7.3).
    """

    alternatives: tuple[LanguageScore, ...]
    start: Samples
    end: Samples
    error: str | None = None  # LOW_CONFIDENCE | NO_SPEECH
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A voice that says at least one word. *pitch*: its median in Hz, where it is known.

    *prints* are its voice prints, when the request wants them: URL-safe base64 of what the diarizer made, until the service
    turns them into identifiers that only it can read.
    """

    label: SpeakerLabel
    pitch: float | None = None
    prints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The result of one job. *items* are in wire order: start rising, then end falling; marks follow their word.

    *language* is the code of the language pack (`languages.py`), *duration* the length of the audio, *channels* the labels
    in channel order when channel diarization was asked for, *engine* what recognised it (for the log, not the wire),
    *identification* how the language was found when the request left it open, *speakers* the voices that were told apart,
    in the order of their first words.
    """

    language: str
    duration: Samples
    created_at: int  # epoch milliseconds, UTC
    items: tuple[Item, ...] = ()
    channels: tuple[ChannelLabel, ...] = ()
    engine: str = ""
    adapted: bool = False
    errors: tuple[StageError, ...] = field(default=())
    identification: Identification | None = None
    speakers: tuple[Speaker, ...] = ()

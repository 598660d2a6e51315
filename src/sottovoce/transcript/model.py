"""The internal model of a transcript: words, punctuation and entities on a 16 kHz time line.

Times are integer samples, start inclusive and end exclusive; only the API uses seconds, converted by `seconds`. An unknown
value is `None`, never a missing key or 0.0.
"""

from dataclasses import dataclass, field
from enum import StrEnum

RATE = 16_000
"""Samples per second of all internal times."""

Samples = int
SpeakerLabel = str
ChannelLabel = str

UNKNOWN_SPEAKER: SpeakerLabel = "UU"
"""The contract's label of an unknown speaker: diarization is off, or found no speaker."""


def seconds(at: Samples) -> float:
    """*at* in seconds, rounded to the two decimals that clients compare. All conversions to seconds use it."""
    return round(at / RATE, 2)


def samples(at: float) -> Samples:
    """The sample nearest to *at* seconds. All conversions from seconds use it."""
    return round(at * RATE)


class Attaches(StrEnum):
    """The neighbour that a mark attaches to: there is no delimiter on that side."""

    PREVIOUS = "previous"
    NEXT = "next"
    BOTH = "both"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word. *confidence* 0..1; *volume* 0..100; *tags* e.g. `disfluency`, `profanity`."""

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
    """A punctuation mark of zero length, at the end of the word before it; *ends_sentence* is `is_eos` of the API."""

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
        """The time of the mark, equal to `end`."""
        return self.at

    @property
    def end(self) -> Samples:
        """The time of the mark, equal to `start`."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Spoken words with one written form (`$20`). *spoken*: the recognised words; *written*: the parts of the written form."""

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
    """The failure of one stage: the transcript exists without the result of that stage.

    *feature* is the name of the list `<feature>_errors` in the API.
    """

    feature: str  # translation | summarization | sentiment_analysis | topic_detection | auto_chapters
    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """The result of one stage beside the items (a summary, audio events): *value* is what JSON can represent.

    The stage and the formats that show the result agree on the shape of *value* by *name*.
    """

    name: str
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageScore:
    """The probability 0..1 that *language* is spoken; its code is the contract's, or the engine's if the contract has none."""

    language: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """The languages identified between *start* and *end*, most probable first.

    *error* and *message*: the problem despite which the job continued (contract `batch-v2.md` §7.3).
    """

    alternatives: tuple[LanguageScore, ...]
    start: Samples
    end: Samples
    error: str | None = None  # LOW_CONFIDENCE | NO_SPEECH
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A speaker with at least one word. *pitch*: the median in Hz, if known.

    *prints*: the voice prints, if the request asks for them, as URL-safe base64 of the diarizer's output. The service replaces
    them with identifiers that only the service can read.
    """

    label: SpeakerLabel
    pitch: float | None = None
    prints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The result of one job. *items* are in wire order: start rising, then end falling; marks follow their word.

    *language* is the code of the language pack (`languages.py`), *duration* the length of the audio, *channels* the labels
    in channel order if the request asks for channel diarization, *engine* the name of the recogniser (for the log, not the
    API), *identification* the result of language identification if the request asks for it, *speakers* the speakers that
    diarization found, in the order of their first words, *results* those of the stages that make more than items.
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
    results: tuple[StageResult, ...] = ()

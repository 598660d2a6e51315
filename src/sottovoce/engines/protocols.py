"""The interfaces of engines: what they report of themselves, and what they must do.

They are narrow on purpose: a recogniser turns speech into words, an aligner finds known words in speech, a diarizer
separates voices, a live recogniser turns the newest audio into words again and again. The caller owns audio decoding, speech
activity, time, labels, punctuation and formatting. Times are in samples at 16 kHz (`Samples`), probabilities 0..1.

Parts, in order: skills, hints and capabilities; recognition and translation of speech; live recognition; alignment; diarization.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sottovoce.audio.activity import ActivityPolicy, Span, Speech, SpeechProbability
from sottovoce.intelligence.stages import StageName
from sottovoce.request import OperatingPoint, VocabEntry
from sottovoce.transcript.model import Item, LanguageScore, Samples, Speaker, SpeakerLabel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = [
    "Aligner",
    "AlignmentSession",
    "AnySkill",
    "Capabilities",
    "ChoosesActivity",
    "DiarizationHints",
    "Diarized",
    "Diarizer",
    "HeardWord",
    "Hints",
    "LanguageIdentifier",
    "LanguageScore",
    "LiveDiarizationHints",
    "LiveDiarizer",
    "LiveDiarizers",
    "LiveHypothesis",
    "LiveRecognizer",
    "LiveStream",
    "LiveWord",
    "Parallel",
    "PlacedWord",
    "Recognized",
    "Recognizer",
    "Skill",
    "Speech",
    "SpeechProbability",
    "SpeechSource",
    "SpeechTranslator",
    "Turn",
    "Voice",
]


class Skill(StrEnum):
    """A task that an engine can perform; so is each stage of speech intelligence, by its name (`AnySkill`)."""

    TRANSCRIPTION = "transcription"
    LIVE = "live"
    ALIGNMENT = "alignment"
    DIARIZATION = "diarization"
    LIVE_DIARIZATION = "live_diarization"
    SPEECH_TRANSLATION = "speech_translation"


AnySkill = Skill | StageName
"""A task of any kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """What was recognised in `start … end` of the media; *items* have media times and lie inside that span.

    *notes*: lines for the job's log, each a short sentence that contains no spoken text.
    """

    start: Samples
    end: Samples
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """The parts of a request that an engine needs: language, operating point, custom vocabulary."""

    language: str
    operating_point: OperatingPoint = OperatingPoint.STANDARD
    vocab: tuple[VocabEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do with one model that is present on this machine.

    *skills*: the tasks it performs; *languages* (the contract's codes) apply to all of them except diarization and audio
    events, which are independent of the language. *punctuates*: its items have marks and capitals, so the punctuation stage
    is skipped.
    *grade* orders models by accuracy (0: a fallback). *suits* is the operating point that a model of its cost is meant
    for, *pinned* those for which the operator chose it. *device*: `cpu` or `cuda`. *voiceprints*: name and version of the
    format of the diarizer's voice prints; only prints of the same format can be compared.
    *event_types*: the audio events that it detects. *targets*: the codes of the languages into which it translates a
    transcript, each from each of *languages*. *hears*: it translates from the audio of a sentence, not from its text.
    """

    engine: str
    model: str
    languages: frozenset[str]
    skills: frozenset[AnySkill] = frozenset({Skill.TRANSCRIPTION})
    operating_points: frozenset[OperatingPoint] = field(default_factory=lambda: frozenset(OperatingPoint))
    punctuates: bool = False
    custom_vocab: bool = False
    word_confidence: bool = False
    identifies_language: bool = False
    grade: int = 0
    suits: OperatingPoint | None = None
    pinned: frozenset[OperatingPoint] = frozenset()
    device: str = "cpu"
    voiceprints: str | None = None
    event_types: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    hears: bool = False


class Recognizer(Protocol):
    """Speech to words. `recognize` is called once per job; an engine may read ahead to batch, and yields in order."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """One `Recognized` per stretch, in order; its items are empty if there is no speech."""
        ...


@runtime_checkable
class SpeechTranslator(Protocol):
    """Speech in one of `capabilities.languages` to English words.

    It has the shape of a `Recognizer`, so that a job may have nothing but the translation, with all stages after recognition.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def translate(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """One `Recognized` per stretch, in order, with English items; *hints* name the spoken language.

        The times of words are approximate: a translation has another order of words than the speech.
        """
        ...


@runtime_checkable
class ChoosesActivity(Protocol):
    """A recogniser with its own policy for cutting speech into stretches; others get `ActivityPolicy()`."""

    @property
    def activity(self) -> ActivityPolicy:
        """Where stretches begin and end, and how much audio they have around the speech."""
        ...


@runtime_checkable
class Parallel(Protocol):
    """A recogniser that can work on several stretches of one job at once."""

    def allow(self, width: Callable[[], int]) -> None:
        """Call *width* before each stretch for the number of stretches that may be processed at once, 1 or more."""
        ...


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Speech to languages; an engine with `identifies_language` implements it."""

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """Languages by falling confidence, over all of *speech* together (at most two minutes); empty without speech."""
        ...


# ── live recognition ──


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWord:
    """A word with its marks as written (`Hello,`), without blanks around it.

    *start* and *end* in samples from the start of the audio. *probability* 0..1 as the engine reports it, not calibrated.
    """

    text: str
    start: Samples
    end: Samples
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHypothesis:
    """The words of a stretch of audio, the committed ones first. *doubtful*: the audio is probably not speech."""

    words: tuple[LiveWord, ...] = ()
    doubtful: bool = False


class LiveStream(Protocol):
    """The recognition of one live channel. It keeps no audio: the caller owns the window that it passes."""

    def hypothesis(self, audio: "Floats", committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        """Return the words of *audio*, float32[n] at 16 kHz, at most 29 s.

        *committed*: the words that are final already and lie at its beginning; the hypothesis begins with as many words, which
        may have marks that *committed* lacks. *closing*: the
        utterance ends here, so that a slower and better search pays.
        """
        ...

    def whole(self, audio: "Floats", voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        """Return the words of *audio*, float32[n] at 16 kHz, at most 29 s, as the batch recogniser would.

        *voiced*: its runs of speech, in samples from its start. Nothing of it was final before.
        """
        ...

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        """Return *words* as words and marks of a transcript, with calibrated confidence."""
        ...


class LiveRecognizer(Protocol):
    """Recognition while a person speaks. One instance serves many streams, whose calls may come from several threads."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def open(self, hints: Hints) -> LiveStream:
        """Return a stream. Raises `EngineUnavailable` for a language that the engine does not support."""
        ...


# ── alignment ──


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """A word that an aligner recognised, spelled as in `AlignmentSession.spoken`, with media times in samples."""

    text: str
    start: Samples
    end: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedWord:
    """The position of a word of the text in the media. *score* 0..1: how well the audio fits; below 0.5 it is doubtful."""

    start: Samples
    end: Samples
    score: float


class AlignmentSession(Protocol):
    """A text that an aligner has prepared. Its words are numbered from 0."""

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        """For each word of the text its spoken words, in lower case; empty for an unspoken word (a lone dash)."""
        ...

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        """The words spoken in *stretch* (at most 30 s), recognised without knowledge of their position in the text."""
        ...

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        """Positions of *words* in *stretch* (at most 90 s).

        *words*: rising numbers of the words spoken there; no other words of the text are. Returns one entry per word, in
        order and without overlap; `None` for an unspoken word and for one that cannot be placed.
        """
        ...


class Aligner(Protocol):
    """Known words to times. `read` is called once per job."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do."""
        ...

    def read(self, words: Sequence[str], language: str) -> AlignmentSession:
        """Prepare the text *words* (as written, with their marks). Raises `EngineUnavailable`."""
        ...


# ── speakers ──


SpeechSource = Callable[[], Iterator[Speech]]
"""Yields the speech of a medium from its beginning, the same at every call: stretches in order, without overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationHints:
    """*sensitivity* 0..1: a higher value finds more speakers (contract §6.2). *prefer_current*: fewer speaker changes."""

    sensitivity: float = 0.5
    prefer_current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A span in which *voice*, an index into `Diarized.voices`, speaks."""

    start: Samples
    end: Samples
    voice: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One speaker: the voice print (at most 8 kB, in the diarizer's format), and the median pitch in Hz, or None."""

    voiceprint: bytes
    pitch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarized:
    """Speaker turns by rising start; turns of different voices may overlap."""

    turns: tuple[Turn, ...] = ()
    voices: tuple[Voice, ...] = ()


class Diarizer(Protocol):
    """Speech to turns. Keeps at most one stretch of the audio in memory."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do; `voiceprints` names the format of its prints."""
        ...

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """Speaker turns in the speech of *listen*, which may be called more than once. No turns without speech."""
        ...

    def similarity(self, one: bytes, other: bytes) -> float:
        """Probability 0..1 that two prints are of one speaker (0.5: undecided). Raises ValueError for invalid prints."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDiarizationHints:
    """As `DiarizationHints`. *max_speakers*: the most that are not enrolled; *known*: labels and prints of enrolled ones."""

    sensitivity: float = 0.5
    prefer_current: bool = False
    max_speakers: int | None = None
    known: tuple[tuple[SpeakerLabel, bytes], ...] = ()


class LiveDiarizer(Protocol):
    """The speech of one live channel to speakers of its words. Memory does not grow with the length of the session."""

    def push(self, audio: "Floats", start: Samples) -> None:
        """Add speech, float32[n] at 16 kHz, that begins at *start*, after all speech before."""
        ...

    def labels(self, words: Sequence[tuple[Samples, Samples]], *, final: bool) -> tuple[SpeakerLabel, ...]:
        """The speaker of each of *words*, in order, given by start and end.

        It is `S1`, `S2`, … by first final word, the label of an enrolled one, or `UNKNOWN_SPEAKER`. *final*: the words have
        these labels for ever; final words come in order.
        """
        ...

    def speakers(self) -> tuple[Speaker, ...]:
        """The speakers of the final words so far, with prints (`Voice`) in URL-safe base64, if long enough for one."""
        ...


class LiveDiarizers(Protocol):
    """Diarization of live channels. One instance serves many of them, whose calls may come from several threads."""

    @property
    def capabilities(self) -> Capabilities:
        """What this loaded engine can do; `voiceprints` names the format of its prints."""
        ...

    def open(self, hints: LiveDiarizationHints) -> LiveDiarizer:
        """Return the diarizer of one channel."""
        ...

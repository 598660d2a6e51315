"""What V2, V1, realtime and the command line all parse into: one frozen request, already validated.

`None` means "the caller said nothing"; defaults that change the outcome are resolved here, in the field's default, so that
every later stage reads one value. Limits and defaults: contract `batch-v2.md` §6.
"""

from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_SENSITIVITY = 0.5


class Diarization(StrEnum):
    """Whether labels are added: none, by speaker, by channel."""

    NONE = "none"
    SPEAKER = "speaker"
    CHANNEL = "channel"


class OperatingPoint(StrEnum):
    """Speed against accuracy; `model` is the newer name of the same field."""

    STANDARD = "standard"
    ENHANCED = "enhanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabEntry:
    """A custom word or phrase, and how it may sound (spelled-out pronunciations, at most 1,000 entries a request)."""

    content: str
    sounds_like: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """After transcription, *source* (a word, or `/regex/`) is written as *target*."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PunctuationOverrides:
    """*sensitivity* 0..1, more is more marks; *permitted_marks* `None` = all of the language, empty = no punctuation."""

    sensitivity: float = DEFAULT_SENSITIVITY
    permitted_marks: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFiltering:
    """Words get a `volume` 0..100; audio quieter than *volume_threshold* (0..100) is silenced first."""

    volume_threshold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpeaker:
    """An enrolled speaker: the label to show and the opaque identifiers that recognise the voice."""

    label: str
    speaker_identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerDiarization:
    """How readily voices are told apart (0..1), and which are known beforehand."""

    speaker_sensitivity: float = DEFAULT_SENSITIVITY
    prefer_current_speaker: bool = False
    get_speakers: bool = False
    speakers: tuple[KnownSpeaker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageIdentification:
    """What to do about the spoken language when `language` is `auto`."""

    expected_languages: tuple[str, ...] = ()
    low_confidence_action: str = "reject"  # allow | reject | use_default_language
    default_language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarization:
    """The wanted summary: content type, length, and shape."""

    content_type: str = "auto"  # auto | informative | conversational
    summary_length: str = "brief"  # brief | detailed
    summary_type: str = "bullets"  # paragraphs | bullets


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleLimits:
    """Characters a line (blanks included) and lines a cue; defaults of contract §6.5."""

    max_line_length: int = 37
    max_lines: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Media or text to be fetched from *url* with extra header lines `Name: value`."""

    url: str
    auth_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One URL to be told of the end of a job. *contents* `None` = absent (the backward-compatible attachment)."""

    url: str
    contents: tuple[str, ...] | None = None
    method: str = "post"
    auth_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The caller's own words about the job, given back untouched (*details* stays in the stored config)."""

    title: str | None = None
    reference: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """Everything that decides what a transcript looks like, and what happens around it."""

    language: str
    operating_point: OperatingPoint = OperatingPoint.STANDARD
    domain: str | None = None
    output_locale: str | None = None
    additional_vocab: tuple[VocabEntry, ...] = ()
    punctuation: PunctuationOverrides = field(default_factory=PunctuationOverrides)
    diarization: Diarization = Diarization.NONE
    channel_labels: tuple[str, ...] = ()
    enable_entities: bool = False
    audio_filtering: AudioFiltering | None = None
    remove_disfluencies: bool = False
    replacements: tuple[Replacement, ...] = ()
    speaker_diarization: SpeakerDiarization = field(default_factory=SpeakerDiarization)
    language_identification: LanguageIdentification | None = None
    language_hints: tuple[str, ...] = ()
    subtitles: SubtitleLimits = field(default_factory=SubtitleLimits)
    translation_targets: tuple[str, ...] = ()
    summarization: Summarization | None = None
    sentiment_analysis: bool = False
    topics: tuple[str, ...] | None = None  # None = not asked for; () = the default list
    auto_chapters: bool = False
    audio_events: tuple[str, ...] | None = None  # None = not asked for; () = all kinds
    fetch_data: Fetch | None = None
    notifications: tuple[Notification, ...] = ()
    tracking: Tracking | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRequest:
    """Put times to a text that the caller already has."""

    language: str
    fetch_data: Fetch | None = None
    fetch_text: Fetch | None = None
    notifications: tuple[Notification, ...] = ()
    tracking: Tracking | None = None


Request = TranscriptionRequest | AlignmentRequest

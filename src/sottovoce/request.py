"""The validated, immutable request that V2, V1, realtime and the command line parse their input into.

`None` means that the caller did not set the field. A default that changes the result is the default of its field here, so
that every later stage reads one value. Limits and defaults: contract `batch-v2.md` §6.
"""

from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_SENSITIVITY = 0.5  # of punctuation and of speaker diarization, 0..1 (contract §6.2)


class Diarization(StrEnum):
    """Which labels the items get: none, a speaker, a channel, or (realtime only) both."""

    NONE = "none"
    SPEAKER = "speaker"
    CHANNEL = "channel"
    CHANNEL_AND_SPEAKER = "channel_and_speaker"

    @property
    def by_channel(self) -> bool:
        """True if the audio arrives in labelled channels."""
        return self in {Diarization.CHANNEL, Diarization.CHANNEL_AND_SPEAKER}

    @property
    def by_speaker(self) -> bool:
        """True if the items get speaker labels."""
        return self in {Diarization.SPEAKER, Diarization.CHANNEL_AND_SPEAKER}


class OperatingPoint(StrEnum):
    """The trade-off of speed and accuracy; `model` is the newer name of the same field."""

    STANDARD = "standard"
    ENHANCED = "enhanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabEntry:
    """A custom word or phrase and its spelled-out pronunciations; at most 1,000 entries a request."""

    content: str
    sounds_like: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A rule that replaces *source* (a word, or `/regex/`) by *target* after transcription."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PunctuationOverrides:
    """Punctuation. *sensitivity* 0..1: a higher value gives more marks. *permitted_marks* `None`: all marks of the language;
    empty: no punctuation.
    """

    sensitivity: float = DEFAULT_SENSITIVITY
    permitted_marks: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFiltering:
    """Adds a `volume` of 0..100 to each word, after silencing audio that is quieter than *volume_threshold* (0..100)."""

    volume_threshold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpeaker:
    """An enrolled speaker: the label to show and the opaque identifiers of the voice."""

    label: str
    speaker_identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerDiarization:
    """Settings of speaker diarization. *speaker_sensitivity* 0..1: a higher value separates more voices.

    *speakers* are the enrolled ones. *max_speakers* (realtime only) limits the others; `None`: no limit.
    """

    speaker_sensitivity: float = DEFAULT_SENSITIVITY
    prefer_current_speaker: bool = False
    get_speakers: bool = False
    speakers: tuple[KnownSpeaker, ...] = ()
    max_speakers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageIdentification:
    """How to identify the spoken language when `language` is `auto`."""

    expected_languages: tuple[str, ...] = ()
    low_confidence_action: str = "reject"  # allow | reject | use_default_language | guess (never rejects)
    default_language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarization:
    """The requested summary: content type, length and form."""

    content_type: str = "auto"  # auto | informative | conversational
    summary_length: str = "brief"  # brief | detailed
    summary_type: str = "bullets"  # paragraphs | bullets


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleLimits:
    """Maximum characters a line (blanks included) and lines a cue; defaults of contract §6.5."""

    max_line_length: int = 37
    max_lines: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Media or text to fetch from *url* with extra header lines `Name: value`."""

    url: str
    auth_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A URL that is notified when the job ends. *contents* `None`: absent, which sends the backward-compatible attachment."""

    url: str
    contents: tuple[str, ...] | None = None
    method: str = "post"
    auth_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The caller's metadata of the job, returned unchanged (*details* stays in the stored config)."""

    title: str | None = None
    reference: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """A transcription job: its language, features, input and notifications."""

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
    topics: tuple[str, ...] | None = None  # None: not requested; (): the default list
    auto_chapters: bool = False
    audio_events: tuple[str, ...] | None = None  # None: not requested; (): all types
    fetch_data: Fetch | None = None
    notifications: tuple[Notification, ...] = ()
    tracking: Tracking | None = None
    model: str | None = None  # the name of the only model that may be used; V2 names operating points instead
    translate_speech: bool = False  # the engine writes English, whatever is spoken (Whisper's translate task)
    report_stretches: bool = False  # the words of each stretch can be read while the job runs


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRequest:
    """An alignment job: find the time of each word of a text that the caller submits."""

    language: str
    fetch_data: Fetch | None = None
    fetch_text: Fetch | None = None
    notifications: tuple[Notification, ...] = ()
    tracking: Tracking | None = None


Request = TranscriptionRequest | AlignmentRequest


# ── realtime ──


class AudioType(StrEnum):
    """How the audio of a realtime session arrives: samples without a header, or a media file in pieces."""

    RAW = "raw"
    FILE = "file"


class Encoding(StrEnum):
    """The samples of raw audio, one channel (contract `realtime.md` §4.2)."""

    PCM_F32LE = "pcm_f32le"
    PCM_S16LE = "pcm_s16le"
    MULAW = "mulaw"

    @property
    def width(self) -> int:
        """Bytes of one sample."""
        return {Encoding.PCM_F32LE: 4, Encoding.PCM_S16LE: 2, Encoding.MULAW: 1}[self]


MIN_RATE, MAX_RATE = 1_000, 768_000
"""Hz. Real recordings are within these limits; the filter for an extreme rate could exhaust the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """The audio that a realtime client sends. *encoding* and *sample_rate* (Hz, `MIN_RATE` to `MAX_RATE`) are `None` exactly for
    files.

    A piece may end anywhere, also inside a sample.
    """

    type: AudioType
    encoding: Encoding | None = None
    sample_rate: int | None = None


class MaxDelayMode(StrEnum):
    """`flexible`: a final may be later than `max_delay` while a number or another entity is being spoken."""

    FLEXIBLE = "flexible"
    FIXED = "fixed"


class TurnDetection(StrEnum):
    """What ends a turn of a voice agent's caller: silence (`vad`), or a message of the client (`external`)."""

    VAD = "vad"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """The session is divided into turns and segments (contract `agent-stt.md` §4, §5), and nothing is final before its segment is.

    *sentences*: a segment also ends after each sentence.
    """

    detection: TurnDetection = TurnDetection.VAD
    sentences: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTranslation:
    """Translation of a session's sentences into *targets* (contract `realtime.md` §4.4); *partials*: of the open sentence too.

    *heard*: a translator needs the audio of the sentences, not only their text. The server sets it.
    """

    targets: tuple[str, ...] = ()
    partials: bool = False
    heard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """A realtime session: everything that changes its result (contract `realtime.md` §4.2, §4.3).

    *channels*: the labels of `AddChannelAudio` in order; empty for one channel without a label. Events and commands of a session
    number channels from 0. *max_delay*: seconds from the end of a word to its final, 0.7..4.
    *end_of_utterance_silence_trigger*: seconds of silence, 0..2; 0 is off. *turns*: for voice agents; `None`: plain realtime.
    *audio_events*: the types to report; `None`: not requested, empty: all types.
    """

    language: str
    audio: AudioFormat
    operating_point: OperatingPoint = OperatingPoint.STANDARD
    domain: str | None = None
    output_locale: str | None = None
    additional_vocab: tuple[VocabEntry, ...] = ()
    punctuation: PunctuationOverrides = field(default_factory=PunctuationOverrides)
    diarization: Diarization = Diarization.NONE
    channels: tuple[str, ...] = ()
    speaker_diarization: SpeakerDiarization = field(default_factory=SpeakerDiarization)
    enable_partials: bool = False
    enable_entities: bool = False
    max_delay: float = 4.0
    max_delay_mode: MaxDelayMode = MaxDelayMode.FLEXIBLE
    end_of_utterance_silence_trigger: float = 0.0
    audio_filtering: AudioFiltering | None = None
    remove_disfluencies: bool = False
    replacements: tuple[Replacement, ...] = ()
    turns: Turns | None = None
    translation: LiveTranslation | None = None
    audio_events: tuple[str, ...] | None = None

    @property
    def needs_partials(self) -> bool:
        """True if the recogniser must make partials: for the client, or to translate them."""
        return self.enable_partials or (self.translation is not None and self.translation.partials)

    @property
    def channel_count(self) -> int:
        """The number of audio channels of the session, 1 or more."""
        return max(1, len(self.channels))

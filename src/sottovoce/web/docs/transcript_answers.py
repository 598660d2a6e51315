"""A transcript as `json-v2`, with all that speech intelligence adds to it, and what discovery says of the stages.

A stage (`intelligence/stages.py`) has its members here: in `Transcript` its result, in `StageLists` the languages that it
supports, and if it has an error list also that in `Metadata`.

In order: results of the stages; words, marks and entities; about the transcript; the transcript; discovery.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from sottovoce.web.docs.answer import Answer

# ── results of the stages (contract §7.5 to §7.9) ──


class Summary(Answer):
    """A summary of the transcript."""

    content: str


class SentimentSegment(Answer):
    """A sentence and its sentiment; `speaker` is `UU` without speaker diarization."""

    text: str
    sentiment: Literal["positive", "neutral", "negative"]
    start_time: float
    end_time: float
    speaker: str
    confidence: float
    channel: str | None = None


class SentimentCounts(Answer):
    """How many segments have each sentiment, in all or of one `speaker` or `channel`."""

    positive_count: int
    negative_count: int
    neutral_count: int
    speaker: str | None = None
    channel: str | None = None


class SentimentSummary(Answer):
    """The counts of a transcript."""

    overall: SentimentCounts
    speakers: list[SentimentCounts]
    channels: list[SentimentCounts]


class SentimentAnalysis(Answer):
    """The sentiment of a transcript."""

    segments: list[SentimentSegment]
    summary: SentimentSummary


class Topic(Answer):
    """A topic by its name."""

    topic: str


class TopicSegment(Answer):
    """A part of the transcript and its topics."""

    text: str
    start_time: float
    end_time: float
    topics: list[Topic]


class TopicSummary(Answer):
    """How many parts have each topic that was asked for."""

    overall: dict[str, int]


class Topics(Answer):
    """The topics of a transcript."""

    segments: list[TopicSegment]
    summary: TopicSummary


class Chapter(Answer):
    """A chapter; together they cover the whole file."""

    title: str
    summary: str
    start_time: float
    end_time: float


class AudioEvent(Answer):
    """An audio event."""

    type: str
    start_time: float
    end_time: float
    confidence: float
    channel: str | None = None


class EventSum(Answer):
    """Number and seconds of the events of one type."""

    count: int
    total_duration: float


class AudioEventSummary(Answer):
    """The sums by type, with those of speech and silence: of the file and, with channel diarization, of each channel."""

    overall: dict[str, EventSum]
    channels: dict[str, dict[str, EventSum]] | None = None


class TranslatedSentence(Answer):
    """A sentence of the transcript in another language."""

    start_time: float
    end_time: float
    content: str
    speaker: str
    channel: str | None = None


# ── words, marks and entities (contract §7.4) ──


class Display(Answer):
    """How to show a text."""

    direction: Literal["ltr", "rtl"]


class Alternative(Answer):
    """What was recognised. `confidence` is the estimated probability that it is right."""

    confidence: float = Field(ge=0, le=1)
    content: str
    display: Display
    language: str
    speaker: str = Field(description="S1, S2 …, the label of an enrolled speaker, or UU where no speaker is known.")
    tags: list[str] | None = None


class Form(Answer):
    """A word or a mark inside an entity. Times in seconds."""

    alternatives: list[Alternative]
    end_time: float
    start_time: float
    type: Literal["word", "punctuation"]


class Result(Answer):
    """A word, a punctuation mark or an entity. Times in seconds from the start of the media."""

    alternatives: list[Alternative]
    end_time: float
    start_time: float
    type: Literal["word", "punctuation", "entity"]
    channel: str | None = None
    volume: float | None = Field(default=None, ge=0, le=100)
    attaches_to: Literal["previous", "next", "both", "none"] | None = None
    is_eos: bool | None = Field(default=None, description="True for a mark that ends a sentence.")
    entity_class: str | None = None
    spoken_form: list[Form] | None = None
    written_form: list[Form] | None = None


# ── about the transcript (contract §7.2, §7.3) ──


class Tracking(Answer):
    """The caller's own data."""

    title: str | None = None
    reference: str | None = None
    tags: list[str] | None = None
    details: dict[str, Any] | None = None


class TranscriptJob(Answer):
    """The job of a transcript."""

    created_at: datetime
    data_name: str
    duration: int
    id: str
    text_name: str | None = None
    tracking: Tracking | None = None


class LanguagePackInfo(Answer):
    """The language of a transcript."""

    adapted: bool
    itn: bool
    language_description: str
    word_delimiter: str
    writing_direction: str


class IdentifiedLanguage(Answer):
    """A language and its probability."""

    language: str
    confidence: float


class IdentificationResult(Answer):
    """The likeliest languages of a span of time."""

    alternatives: list[IdentifiedLanguage]
    start_time: float
    end_time: float


class LanguageIdentification(Answer):
    """What the identification of the language found."""

    results: list[IdentificationResult]
    error: str | None = None
    message: str | None = None


class StageFailure(Answer):
    """Why a part of the transcript is missing."""

    type: str
    message: str


class Metadata(Answer):
    """About the transcript. The configs are those submitted."""

    created_at: datetime
    type: Literal["transcription", "alignment"]
    transcription_config: dict[str, Any] | None = None
    alignment_config: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    translation_config: dict[str, Any] | None = None
    language_identification_config: dict[str, Any] | None = None
    summarization_config: dict[str, Any] | None = None
    sentiment_analysis_config: dict[str, Any] | None = None
    topic_detection_config: dict[str, Any] | None = None
    auto_chapters_config: dict[str, Any] | None = None
    audio_events_config: dict[str, Any] | None = None
    orchestrator_version: str
    language_pack_info: LanguagePackInfo
    language_identification: LanguageIdentification | None = None
    translation_errors: list[StageFailure] | None = None
    summarization_errors: list[StageFailure] | None = None
    sentiment_analysis_errors: list[StageFailure] | None = None
    topic_detection_errors: list[StageFailure] | None = None
    auto_chapters_errors: list[StageFailure] | None = None


class Speaker(Answer):
    """A speaker and the identifiers of its voice."""

    label: str
    speaker_identifiers: list[str]


class Transcript(Answer):
    """A transcript, `json-v2`, format 2.9."""

    format: Literal["2.9"]
    job: TranscriptJob
    metadata: Metadata
    results: list[Result]
    speakers: list[Speaker] | None = None
    translations: dict[str, list[TranslatedSentence]] | None = None
    summary: Summary | None = None
    sentiment_analysis: SentimentAnalysis | None = None
    topics: Topics | None = None
    chapters: list[Chapter] | None = None
    audio_events: list[AudioEvent] | None = None
    audio_event_summary: AudioEventSummary | None = None


# ── discovery (contract §12) ──


class StageFeatures(Answer):
    """The languages of a stage of speech intelligence; empty: it does not depend on the language."""

    version: str
    languages: list[str]


class EventFeatures(Answer):
    """The audio events that are detected."""

    version: str
    types: list[str]


class StageLists(Answer):
    """What discovery says of each stage."""

    summarization: list[StageFeatures] | None = None
    sentiment_analysis: list[StageFeatures] | None = None
    topic_detection: list[StageFeatures] | None = None
    auto_chapters: list[StageFeatures] | None = None
    audio_events: list[EventFeatures] | None = None

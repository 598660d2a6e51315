"""The parts of a transcript that speech intelligence adds."""

from typing import Literal

from sottovoce.web.docs.answer import Answer


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

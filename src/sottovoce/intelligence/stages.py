"""Every stage of speech intelligence, in the order in which they run."""

from enum import StrEnum

from sottovoce.intelligence import audio_events, chapters, sentiment, summary, topics, translation
from sottovoce.intelligence.protocols import Stage


class StageName(StrEnum):
    """The names of the stages: of their results in stored transcripts, and of the skill that an engine needs for them."""

    SUMMARY = "summary"
    SENTIMENT = "sentiment"
    TOPICS = "topics"
    CHAPTERS = "chapters"
    TRANSLATION = "translation"
    AUDIO_EVENTS = "audio_events"


STAGES: tuple[Stage, ...] = (
    summary.STAGE,
    sentiment.STAGE,
    topics.STAGE,
    chapters.STAGE,
    translation.STAGE,
    audio_events.STAGE,
)

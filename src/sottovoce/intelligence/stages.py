"""Every stage of speech intelligence, in the order in which they run."""

from sottovoce.intelligence import audio_events, chapters, sentiment, summary, topics, translation
from sottovoce.intelligence.protocols import Stage

STAGES: tuple[Stage, ...] = (
    summary.STAGE,
    sentiment.STAGE,
    topics.STAGE,
    chapters.STAGE,
    translation.STAGE,
    audio_events.STAGE,
)

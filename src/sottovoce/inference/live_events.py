"""The events of a live session, for the layers above."""

from sottovoce.pipeline.live.events import (
    Ended,
    Event,
    Failed,
    Final,
    Finished,
    Note,
    Opened,
    Partial,
    SentenceHeard,
    SoundEnded,
    SoundStarted,
    SpeechEnded,
    SpeechStarted,
    Taken,
    UtteranceEnd,
    Worked,
)

__all__ = [
    "Ended",
    "Event",
    "Failed",
    "Final",
    "Finished",
    "Note",
    "Opened",
    "Partial",
    "SentenceHeard",
    "SoundEnded",
    "SoundStarted",
    "SpeechEnded",
    "SpeechStarted",
    "Taken",
    "UtteranceEnd",
    "Worked",
]

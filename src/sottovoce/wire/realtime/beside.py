"""Messages beside the transcript: translations and audio events (contract `realtime.md` §5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sottovoce.transcript.model import UNKNOWN_SPEAKER, Samples, SpeakerLabel, seconds
from sottovoce.wire.formats.json_v2 import FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedSentence:
    """The translation *text* of a sentence that was spoken from *start* to *end* by *speaker*."""

    text: str
    start: Samples
    end: Samples
    speaker: SpeakerLabel | None = None


def translation(
    language: str, sentences: Iterable[TranslatedSentence], *, speakers: bool, final: bool
) -> dict[str, Any]:
    """`AddTranslation`, or `AddPartialTranslation`; never with a channel. *speakers*: with speaker labels."""
    return {
        "message": "AddTranslation" if final else "AddPartialTranslation",
        "format": FORMAT,
        "language": language,
        "results": [_result(sentence, speakers=speakers) for sentence in sentences],
    }


def _result(sentence: TranslatedSentence, *, speakers: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "content": sentence.text,
        "start_time": seconds(sentence.start),
        "end_time": seconds(sentence.end),
    }
    return {**body, "speaker": sentence.speaker or UNKNOWN_SPEAKER} if speakers else body


def audio_event_started(kind: str, start: Samples, confidence: float, channel: str | None) -> dict[str, Any]:
    """`AudioEventStarted`; *channel*: the label, in the channel modes."""
    event = {"type": kind, "start_time": seconds(start), "confidence": round(confidence, 2)}
    return _event("AudioEventStarted", event, channel)


def audio_event_ended(kind: str, end: Samples, channel: str | None) -> dict[str, Any]:
    """`AudioEventEnded`."""
    return _event("AudioEventEnded", {"type": kind, "end_time": seconds(end)}, channel)


def _event(message: str, event: dict[str, Any], channel: str | None) -> dict[str, Any]:
    body = {"message": message, "event": event}
    return body if channel is None else {**body, "channel": channel}

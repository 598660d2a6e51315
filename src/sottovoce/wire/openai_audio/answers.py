"""A transcript in each `response_format` of OpenAI's API, and as the events of a stream."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sottovoce.request import Diarization, SubtitleLimits
from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Item, Samples, Transcript, seconds
from sottovoce.wire.formats import srt, txt, vtt
from sottovoce.wire.openai_audio.form import AudioRequest
from sottovoce.wire.openai_audio.languages import english_name
from sottovoce.wire.openai_audio.segments import segment_object, segments, turn_object, turns, word_objects

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The body of a response and its media type."""

    body: bytes
    media_type: str


def answer(transcript: Transcript, asked: AudioRequest) -> Answer:
    """The answer to *asked* with *transcript*."""
    value = _RENDERERS[asked.response_format](transcript, asked)
    if isinstance(value, str):
        return Answer(body=value.encode("utf-8", "replace"), media_type=_TEXT)
    return Answer(body=orjson.dumps(value), media_type=_JSON)


def text_of(transcript: Transcript) -> str:
    """The text of *transcript*, without names of speakers."""
    return txt.render(transcript, diarization=Diarization.NONE)


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": seconds(transcript.duration)}


def _json(transcript: Transcript, asked: AudioRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"text": text_of(transcript)}
    return body if asked.translate else {**body, "usage": _usage(transcript)}


def _plain(transcript: Transcript, _asked: AudioRequest) -> str:
    return text_of(transcript) + "\n"


def _srt(transcript: Transcript, _asked: AudioRequest) -> str:
    return srt.render(transcript, SubtitleLimits())


def _vtt(transcript: Transcript, _asked: AudioRequest) -> str:
    return vtt.render(transcript, SubtitleLimits())


def _verbose(transcript: Transcript, asked: AudioRequest) -> dict[str, Any]:
    language = pack(transcript.language)
    body: dict[str, Any] = {
        "task": "translate" if asked.translate else "transcribe",
        "language": english_name(transcript.language),
        "duration": seconds(transcript.duration),
        "text": text_of(transcript),
    }
    if asked.words:
        body["words"] = word_objects(transcript.items)
    if asked.segments:
        found = enumerate(segments(transcript.items))
        body["segments"] = [segment_object(number, each, language) for number, each in found]
    return body if asked.translate else {**body, "usage": _usage(transcript)}


def _diarized(transcript: Transcript, _asked: AudioRequest) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "duration": seconds(transcript.duration),
        "text": text_of(transcript),
        "segments": turn_objects(transcript),
        "usage": _usage(transcript),
    }


def turn_objects(transcript: Transcript) -> list[dict[str, Any]]:
    """The turns of *transcript*, with their speakers."""
    language = pack(transcript.language)
    return [turn_object(number, turn, language) for number, turn in enumerate(turns(transcript.items))]


_RENDERERS: Mapping[str, Callable[[Transcript, AudioRequest], dict[str, Any] | str]] = {
    "json": _json,
    "text": _plain,
    "srt": _srt,
    "vtt": _vtt,
    "verbose_json": _verbose,
    "diarized_json": _diarized,
}


# ── the events of a stream ──

MEDIA_TYPE = "text/event-stream; charset=utf-8"
WAITING = b": the transcript is being made\n\n"
"""A comment, which clients skip: it shows proxies that the connection is alive."""


def event(data: Mapping[str, Any]) -> bytes:
    """The server-sent event with *data*; its name is the `type` of *data*, or `error`."""
    name = str(data.get("type", "error"))
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def delta(items: Iterable[Item], language: str, *, first: bool) -> bytes:
    """The event for *items* that follow those sent before, in *language*; empty if they have no text."""
    spoken = pack(language)
    text = join(as_words(items), spoken)
    if not text:
        return b""
    return event({"type": "transcript.text.delta", "delta": text if first else spoken.delimiter + text})


def closing(transcript: Transcript, asked: AudioRequest, end: Samples, *, first: bool) -> list[bytes]:
    """The last events: what was not sent before *end*, the turns of speakers if they are asked for, and the whole text."""
    rest = delta((item for item in transcript.items if item.start >= end), transcript.language, first=first)
    found = [rest] if rest else []
    if asked.diarize:
        found += map(event, turn_objects(transcript))
    return [*found, event({"type": "transcript.text.done", "text": text_of(transcript)})]

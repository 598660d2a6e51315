"""Events of the Wyoming protocol as bytes: a line of JSON, then `data_length` bytes of JSON, then `payload_length` bytes of audio.

The input is untrusted: all three lengths are limited before anything is kept, and JSON is parsed with a limit on its depth.
In order: the values and limits; the parser; the encoder; the events that a speech-to-text service sends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic_core import from_json

MAX_HEADER = 16 << 10
"""Bytes of the line of an event."""
MAX_DATA = 64 << 10
"""Bytes of the data behind it."""
MAX_PAYLOAD = 1 << 20
"""Bytes of audio of one event: 32 s of 16 kHz, 16 bits; clients send a few kB."""
VERSION = "1.10.2"
"""The version of the protocol, as events name it."""


class Malformed(Exception):
    """What arrived is not an event, or is larger than one may be. The message is for the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: its *type*, its members, and audio."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The parsed line of an event whose data and payload have not arrived yet."""

    type: str
    data: Mapping[str, Any]
    data_length: int
    payload_length: int


class EventParser:
    """Turns received bytes into events; keeps at most one incomplete event, within the limits."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None

    def feed(self, received: bytes) -> Iterator[Event]:
        """The events that are complete with *received*. Raises `Malformed`, after which the connection must be closed."""
        self._buffer += received
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        if self._head is None:
            end = self._buffer.find(b"\n", 0, MAX_HEADER + 1)
            if end < 0:
                if len(self._buffer) > MAX_HEADER:
                    raise Malformed(f"the line of an event is longer than {MAX_HEADER} bytes")
                return None
            self._head = _head(bytes(self._buffer[:end]))
            del self._buffer[: end + 1]
        head = self._head
        size = head.data_length + head.payload_length
        if len(self._buffer) < size:
            return None
        data = {**head.data, **_object(bytes(self._buffer[: head.data_length]))} if head.data_length else head.data
        payload = bytes(self._buffer[head.data_length : size])
        del self._buffer[:size]
        self._head = None
        return Event(type=head.type, data=data, payload=payload)


def _head(line: bytes) -> _Head:
    body = _object(line)
    kind, data = body.get("type"), body.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise Malformed("an event needs a type, and data that is an object")
    return _Head(
        type=kind,
        data=data,
        data_length=_length(body, "data_length", MAX_DATA),
        payload_length=_length(body, "payload_length", MAX_PAYLOAD),
    )


def _length(body: Mapping[str, Any], name: str, most: int) -> int:
    value = body.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Malformed(f"{name} must be a whole number from 0 to {most}")
    return value


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise Malformed("an event is not valid JSON") from None
    if not isinstance(value, dict):
        raise Malformed("an event is not a JSON object")
    return value


def encode(event: Event) -> bytes:
    """The bytes of *event*."""
    data = orjson.dumps(dict(event.data)) if event.data else b""
    head: dict[str, Any] = {"type": event.type, "version": VERSION}
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return orjson.dumps(head) + b"\n" + data + event.payload


# ── what a speech-to-text service sends ──


def info(languages: Sequence[str], version: str) -> Event:
    """`info`: one program with one model, for *languages* as ISO 639 codes."""
    about = {
        "attribution": {"name": "Sottovoce", "url": ""},
        "installed": True,
        "version": version,
    }
    model = {"name": "realtime", "description": "Speech to text by a Sottovoce server", "languages": list(languages)}
    program = {
        "name": "sottovoce",
        "description": "Speech to text on your own server",
        "models": [{**model, **about}],
        "supports_transcript_streaming": True,
        **about,
    }
    return Event(type="info", data={"asr": [program]})


def transcript_start(language: str) -> Event:
    """`transcript-start`: chunks follow."""
    return Event(type="transcript-start", data={"language": language})


def transcript_chunk(text: str) -> Event:
    """`transcript-chunk`: *text* that follows the chunks before; it does not change any more."""
    return Event(type="transcript-chunk", data={"text": text})


def transcript(text: str, language: str) -> Event:
    """`transcript`: the whole text."""
    return Event(type="transcript", data={"text": text, "language": language})


def transcript_stop() -> Event:
    """`transcript-stop`: the last event of a transcription."""
    return Event(type="transcript-stop")


def error(text: str, code: str) -> Event:
    """`error`: why the connection is closed."""
    return Event(type="error", data={"text": text, "code": code})


def pong(text: object) -> Event:
    """`pong`: the answer to `ping`."""
    return Event(type="pong", data={"text": text if isinstance(text, str) else None})

"""Parses what a client sends into values (contract `realtime.md` §2, §4).

Input is untrusted: bytes, depth and number of values are limited before objects are built. Errors name the member, and never
repeat more than a few characters of its value.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sottovoce.errors import Refused
from sottovoce.wire.config_values import Part
from sottovoce.wire.realtime import config_schema as models
from sottovoce.wire.realtime.config import Started, changed, started, validated
from sottovoce.wire.realtime.errors import ErrorType, SessionRefused
from sottovoce.wire.v2.config import MAX_CONFIG_BYTES, json_object
from sottovoce.wire.v2.config_errors import shown

MAX_MESSAGE = 8 << 20
"""Bytes of one message, binary or text. The contract names no limit; browsers send blobs of any size (§2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecognition:
    """§4.1: the first message."""

    started: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAudio:
    """§4.6: a binary message."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AddChannelAudio:
    """§4.6: audio of one labelled channel."""

    channel: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfStream:
    """§4.6: no more audio on any channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfChannel:
    """§4.6: no more audio of *channel*."""

    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRecognitionConfig:
    """§4.6: the running session with its changes."""

    started: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceEndOfUtterance:
    """§4.6: end the utterance now, or at *timestamp* seconds of audio; on *channel*, or on all."""

    channel: str | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSpeakers:
    """§4.6: the speakers now, or with *final* once at the end."""

    final: bool = False


ClientMessage = (
    StartRecognition
    | AddAudio
    | AddChannelAudio
    | EndOfStream
    | EndOfChannel
    | SetRecognitionConfig
    | ForceEndOfUtterance
    | GetSpeakers
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the meaning of a message depends on: the *running* session, if any, and the channels that the server allows."""

    running: Started | None = None
    max_channels: int = 2


Maker = Callable[[Mapping[str, Any], Context, int], ClientMessage]
"""Makes a message from its JSON object; the number is its size in bytes."""


def parse(text: bytes, context: Context, makers: Mapping[str, Maker] | None = None) -> ClientMessage:
    """The message in *text* (UTF-8 JSON), made by *makers* (by default those of realtime).

    Raises `SessionRefused`: `invalid_message`, or an error of its config (§9).
    """
    makers = _MAKERS if makers is None else makers
    try:
        body = json_object(text, max_bytes=MAX_MESSAGE)
    except Refused as refused:
        raise _invalid(f"the message {refused.why}" if refused.at is None else refused.why, refused.at) from None
    name = body.get("message")
    if not isinstance(name, str):
        raise _invalid("is required in every message, as a string", "message")
    maker = makers.get(name)
    if maker is None:
        raise _invalid(f"must be one of {', '.join(makers)}, got {shown(name)}", "message")
    if name == "StartRecognition" and context.running is not None:  # refused in this state, whatever it contains (§3)
        raise SessionRefused(ErrorType.PROTOCOL_ERROR, "StartRecognition was sent before")
    return maker(body, context, len(text))


def _invalid(why: str, at: str | None = None) -> SessionRefused:
    return SessionRefused(ErrorType.INVALID_MESSAGE, why, at=at)


def _checked(model: type[Part], body: Mapping[str, Any]) -> Any:
    """*body* as *model*. Raises `SessionRefused(INVALID_MESSAGE)`."""
    try:
        return validated(model, body)
    except Refused as refused:
        raise _invalid(refused.why, refused.at) from None


def limited(size: int) -> None:
    """Raise `SessionRefused` for a config of *size* bytes that is too large."""
    if size > MAX_CONFIG_BYTES:
        why = f"the message must be at most {MAX_CONFIG_BYTES:,} bytes, got {size:,}"
        raise SessionRefused(ErrorType.INVALID_CONFIG, why)


def _start(body: Mapping[str, Any], context: Context, size: int) -> ClientMessage:
    limited(size)
    return StartRecognition(started=started(body, max_channels=context.max_channels))


def _set_config(body: Mapping[str, Any], context: Context, size: int) -> ClientMessage:
    limited(size)
    if context.running is None:  # the state machine refuses it in this state, whatever it contains
        raise SessionRefused(ErrorType.PROTOCOL_ERROR, "SetRecognitionConfig must come after StartRecognition")
    try:
        return SetRecognitionConfig(started=changed(context.running, body, max_channels=context.max_channels))
    except SessionRefused:
        raise
    except Refused as refused:
        raise SessionRefused(ErrorType.INVALID_CONFIG, refused.why, at=refused.at) from None


def _channel_audio(body: Mapping[str, Any], _context: Context, _size: int) -> ClientMessage:
    asked = _checked(models.AddChannelAudio, body)
    try:
        data = base64.b64decode(asked.data, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("must be base64", "data") from None
    return AddChannelAudio(channel=asked.channel, data=data)


def _end_of_stream(body: Mapping[str, Any], _context: Context, _size: int) -> ClientMessage:
    _checked(models.EndOfStream, body)
    return EndOfStream()


def _end_of_channel(body: Mapping[str, Any], _context: Context, _size: int) -> ClientMessage:
    return EndOfChannel(channel=_checked(models.EndOfChannel, body).channel)


def _force(body: Mapping[str, Any], _context: Context, _size: int) -> ClientMessage:
    asked = _checked(models.ForceEndOfUtterance, body)
    return ForceEndOfUtterance(channel=asked.channel, timestamp=asked.timestamp)


def _get_speakers(body: Mapping[str, Any], _context: Context, _size: int) -> ClientMessage:
    return GetSpeakers(final=bool(_checked(models.GetSpeakers, body).final))


_MAKERS: dict[str, Maker] = {
    "StartRecognition": _start,
    "AddChannelAudio": _channel_audio,
    "EndOfStream": _end_of_stream,
    "EndOfChannel": _end_of_channel,
    "SetRecognitionConfig": _set_config,
    "ForceEndOfUtterance": _force,
    "GetSpeakers": _get_speakers,
}
"""The text messages of a client; `AddAudio` is a binary message without a name (§4.6)."""

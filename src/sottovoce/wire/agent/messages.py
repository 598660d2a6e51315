"""Parses what an agent's client sends into the values of realtime (contract `agent-stt.md` §2); objects are closed."""

from collections.abc import Collection, Mapping
from typing import Any

from sottovoce.errors import Refused
from sottovoce.wire.agent import config
from sottovoce.wire.config_values import Part
from sottovoce.wire.realtime import config_schema as models
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime.config import validated
from sottovoce.wire.realtime.errors import ErrorType, SessionRefused
from sottovoce.wire.v2.config_errors import shown


def parse(text: bytes, context: m.Context) -> m.ClientMessage:
    """The message in *text* (UTF-8 JSON). Raises `SessionRefused`: `invalid_message`, or an error of its config (§7)."""
    return m.parse(text, context, _MAKERS)


def _start(body: Mapping[str, Any], _context: m.Context, size: int) -> m.ClientMessage:
    m.limited(size)
    return m.StartRecognition(started=config.started(body))


def _set_config(body: Mapping[str, Any], context: m.Context, size: int) -> m.ClientMessage:
    m.limited(size)
    if context.running is None:  # the state machine refuses it in this state, whatever it contains
        raise SessionRefused(ErrorType.PROTOCOL_ERROR, "SetRecognitionConfig must come after StartRecognition")
    return m.SetRecognitionConfig(started=config.changed(context.running, body))


def _end_of_stream(body: Mapping[str, Any], _context: m.Context, _size: int) -> m.ClientMessage:
    _checked(models.EndOfStream, body, ("last_seq_no",))
    return m.EndOfStream()


def _force(body: Mapping[str, Any], _context: m.Context, _size: int) -> m.ClientMessage:
    return m.ForceEndOfUtterance(timestamp=_checked(models.ForceEndOfUtterance, body, ("timestamp",)).timestamp)


def _get_speakers(body: Mapping[str, Any], _context: m.Context, _size: int) -> m.ClientMessage:
    return m.GetSpeakers(final=bool(_checked(models.GetSpeakers, body, ("final",)).final))


def _checked(model: type[Part], body: Mapping[str, Any], known: Collection[str]) -> Any:
    for name in body:
        if name != "message" and name not in known:
            why = f"{shown(name)} is not a member of {body['message']}"
            raise SessionRefused(ErrorType.INVALID_MESSAGE, why)
    try:
        return validated(model, body)
    except Refused as refused:
        raise SessionRefused(ErrorType.INVALID_MESSAGE, refused.why, at=refused.at) from None


_MAKERS: dict[str, m.Maker] = {
    "StartRecognition": _start,
    "EndOfStream": _end_of_stream,
    "SetRecognitionConfig": _set_config,
    "ForceEndOfUtterance": _force,
    "GetSpeakers": _get_speakers,
}
"""The text messages of a client: there are no channels (§2)."""

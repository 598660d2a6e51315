"""From the config of `StartRecognition` and `SetRecognitionConfig` to a request (contract `agent-stt.md` §2).

The config is closed: unlike in realtime, unknown members are refused. What remains is read as realtime reads it.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from sottovoce.errors import Refused
from sottovoce.request import Diarization, LiveRequest, TurnDetection, Turns
from sottovoce.wire.config_values import Part, one_of
from sottovoce.wire.realtime import config as realtime
from sottovoce.wire.realtime.config import ConfigWarning, Started, validated
from sottovoce.wire.realtime.errors import ErrorType, SessionRefused, WarningType
from sottovoce.wire.v2.config_errors import shown

MODEL = "linden-1"
"""The vendor's only model of this protocol; here it names the recogniser that realtime uses."""
RATES = (8_000, 16_000)
"""Hz."""
ENCODINGS = ("pcm_s16le", "pcm_f32le")
MAX_DELAY = 2.0
"""Seconds; the recogniser's own, because the protocol has no `max_delay`."""

_TC = "transcription_config"
_START = ("message", "audio_format", _TC, "turn_config")
_AUDIO = ("type", "encoding", "sample_rate")
_CONFIG = (
    "language", "model", "operating_point", "enable_partials", "emit_sentences", "diarization", "speaker_diarization_config",
    "additional_vocab", "output_locale", "domain", "transcript_filtering_config", "punctuation_overrides",
)  # fmt: skip
_WITHOUT_EFFECT = ("enable_entities", "vad_config")
"""Members of earlier releases that clients may still send."""
_REALTIME_ONLY = {
    "max_delay": "segments are final when they close",
    "max_delay_mode": "segments are final when they close",
    "conversation_config": "use turn_config",
    "audio_filtering_config": "segments have no volumes",
    "channel_diarization_labels": "a session has one channel",
}
"""Members of realtime that this protocol does not have, and why."""


class _Turns(Part):
    turn_detection_mode: Annotated[str, one_of(*TurnDetection)] | None = None


class _Own(Part):
    """The members that realtime does not have."""

    emit_sentences: bool | None = None
    enable_partials: bool | None = None
    diarization: Annotated[str, one_of("none", "speaker")] | None = None


class _Changed(Part):
    enable_partials: bool | None = None
    language: Annotated[str, Field(min_length=1)] | None = None


def started(message: Mapping[str, Any]) -> Started:
    """The session that the `StartRecognition` *message* asks for. Raises `SessionRefused`."""
    _closed(message, _START)
    asked = message.get(_TC)
    config = _given(asked) if isinstance(asked, Mapping) else asked
    if not isinstance(config, dict):  # realtime's codec names the fault
        return realtime.started({**message, _TC: config}, max_channels=1)
    ignored = [name for name in _WITHOUT_EFFECT if config.pop(name, None) is not None]
    _known(config)
    audio = message.get("audio_format")
    if isinstance(audio, Mapping):
        _audio(_given(audio))
    own = _own(config)
    turns = _checked(_Turns, message.get("turn_config"), "turn_config", ("turn_detection_mode",))
    config.pop("emit_sentences", None)
    if config.get("model") == MODEL:
        del config["model"]
    begun = realtime.started({"message": "StartRecognition", "audio_format": audio, _TC: config}, max_channels=1)
    _speakers(config, begun.request)
    request = replace(
        begun.request,
        enable_partials=own.enable_partials
        is not False,  # §2: absent is on; with it off, livekit shows nothing in between
        max_delay=MAX_DELAY,
        turns=Turns(
            detection=TurnDetection(turns.turn_detection_mode or TurnDetection.VAD), sentences=bool(own.emit_sentences)
        ),
    )
    warnings = (*begun.warnings, *map(_without_effect, ignored))
    return replace(begun, request=request, warnings=warnings)


def changed(running: Started, message: Mapping[str, Any]) -> Started:
    """*running* with the changes of the `SetRecognitionConfig` *message*. Raises `SessionRefused` for other changes (§2)."""
    _closed(message, ("message", _TC))
    given = message.get(_TC)
    if not isinstance(given, Mapping):
        raise SessionRefused(ErrorType.INVALID_CONFIG, "is required, as an object", at=_TC)
    asked = _checked(_Changed, given, _TC, ("enable_partials", "language"))
    if asked.language is not None and asked.language != running.request.language:
        why = f"must be {running.request.language}, the language of the session: start a new session for another one"
        raise SessionRefused(ErrorType.INVALID_CONFIG, why, at=f"{_TC}.language")
    if asked.enable_partials is None:
        return running
    return replace(running, request=replace(running.request, enable_partials=asked.enable_partials), warnings=())


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _closed(members: Mapping[str, Any], known: Collection[str], at: str | None = None) -> None:
    """Refuse members that are not *known*, with the nearest known name."""
    for name in _given(members):
        if name not in known:
            near = difflib.get_close_matches(name[:64], known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            where = f" in {at}" if at else ""
            why = f"{shown(name)} is not a member{where} of an agent session{hint}"
            raise SessionRefused(ErrorType.INVALID_CONFIG, why)


def _known(config: Mapping[str, Any]) -> None:
    for name, why in _REALTIME_ONLY.items():
        if name in config:
            raise SessionRefused(
                ErrorType.INVALID_CONFIG, f"cannot be used in an agent session: {why}", at=f"{_TC}.{name}"
            )
    _closed(config, _CONFIG, _TC)
    for name in ("model", "operating_point"):
        value = config.get(name)
        legal = (MODEL, "enhanced", "standard")
        if isinstance(value, str) and value not in legal:
            why = f"must be one of {', '.join(legal)}, got {shown(value)}"
            raise SessionRefused(ErrorType.INVALID_MODEL, why, at=f"{_TC}.{name}")
    if config.get("operating_point") == MODEL:
        why = f"must be enhanced or standard; {MODEL} is a value of model"
        raise SessionRefused(ErrorType.INVALID_MODEL, why, at=f"{_TC}.operating_point")


def _audio(audio: Mapping[str, Any]) -> None:
    def refuse(name: str, why: str) -> SessionRefused:
        return SessionRefused(ErrorType.INVALID_AUDIO_TYPE, why, at=f"audio_format.{name}")

    _closed(audio, _AUDIO, "audio_format")
    if audio.get("type") not in (None, "raw"):
        raise refuse("type", f"must be raw in an agent session, got {shown(audio['type'])}")
    encoding, rate = audio.get("encoding"), audio.get("sample_rate")
    if encoding is not None and encoding not in ENCODINGS:
        raise refuse("encoding", f"must be one of {', '.join(ENCODINGS)}, got {shown(encoding)}")
    if rate is not None and rate not in RATES:
        raise refuse("sample_rate", f"must be one of {', '.join(map(str, RATES))}, got {shown(rate)}")


def _own(config: Mapping[str, Any]) -> _Own:
    names = ("emit_sentences", "enable_partials", "diarization")
    asked: _Own = _checked(_Own, {name: config[name] for name in names if name in config}, _TC, names)
    return asked


def _checked(model: type[Any], members: object, at: str, known: Collection[str]) -> Any:
    """*members*, an object below *at* with no other members than *known*, as *model*; absent members are allowed."""
    if members is None:
        return model()
    if not isinstance(members, Mapping):
        raise SessionRefused(ErrorType.INVALID_CONFIG, "must be an object", at=at)
    _closed(members, known, at)
    try:
        return validated(model, dict(members), at=at)
    except Refused as refused:
        raise SessionRefused(ErrorType.INVALID_CONFIG, refused.why, at=refused.at) from None


def _speakers(config: Mapping[str, Any], request: LiveRequest) -> None:
    """§2: identifiers are known and asked for only with diarization."""
    asked = config.get("speaker_diarization_config")
    if request.diarization is Diarization.SPEAKER or not isinstance(asked, Mapping):
        return
    for name in ("speakers", "get_speakers"):
        if asked.get(name):
            at = f"{_TC}.speaker_diarization_config.{name}"
            raise SessionRefused(ErrorType.INVALID_CONFIG, "can only be used when diarization is speaker", at=at)


def _without_effect(name: str) -> ConfigWarning:
    why = f"{name} has no effect in an agent session"
    return ConfigWarning(type=WarningType.VALIDATION_WARNING, reason=why)

"""From the config of `StartRecognition` and `SetRecognitionConfig` to a request (contract `realtime.md` §4.1–§4.6)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sottovoce.errors import Refused
from sottovoce.request import (
    AudioFormat,
    AudioType,
    Diarization,
    Encoding,
    LiveRequest,
    LiveTranslation,
    Replacement,
    SpeakerDiarization,
)
from sottovoce.transcript.languages import AUTO
from sottovoce.transcript.replacements import compile_rules
from sottovoce.wire.realtime import config_schema as models
from sottovoce.wire.realtime.errors import ErrorType, SessionRefused, WarningType, session_refused
from sottovoce.wire.v2 import config_mapping as batch
from sottovoce.wire.v2.config_errors import invalid, refused_by

M = TypeVar("M", bound=BaseModel)

MIN_DELAY, MAX_DELAY = 0.7, 4.0
"""The range of `max_delay`, seconds; other values are clamped, because old clients send 5 and 10 (§4.3, §14)."""
MAX_TARGETS = 5
"""Translation targets (§4.4, §10)."""

_TC = "transcription_config"
_CHANGEABLE = frozenset({
    "max_delay", "max_delay_mode", "audio_filtering", "enable_partials", "end_of_utterance_silence_trigger",
})  # fmt: skip
"""The fields of a request that `SetRecognitionConfig` may change (§4.6)."""
_MEMBERS = {
    "additional_vocab": "additional_vocab", "punctuation": "punctuation_overrides", "channels": "channel_diarization_labels",
    "speaker_diarization": "speaker_diarization_config", "remove_disfluencies": "transcript_filtering_config",
    "replacements": "transcript_filtering_config",
}  # fmt: skip
"""The members of `transcription_config` whose names differ from the fields of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWarning:
    """A `Warning` about a config that is accepted; it is sent before `RecognitionStarted` (§3)."""

    type: WarningType
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A parsed `StartRecognition`. *config*: its `transcription_config` without nulls, which later changes are merged into.

    *unknown*: members of that config which have no meaning here and are ignored (§4.3).
    """

    request: LiveRequest
    warnings: tuple[ConfigWarning, ...] = ()
    config: Mapping[str, Any]
    unknown: int = 0


def started(message: Mapping[str, Any], *, max_channels: int) -> Started:
    """The session that the `StartRecognition` *message* asks for. Raises `SessionRefused`."""
    config = message.get(_TC)
    named = config if isinstance(config, dict) else {}
    try:
        asked = validated(models.StartRecognition, message)
        request = replace(
            _request(asked.transcription_config, _audio(asked.audio_format), max_channels),
            translation=_translation(asked.translation_config),
            audio_events=_events(asked.audio_events_config),
        )
        warnings = tuple(_vocabulary_warnings(asked))
    except Refused as refused:
        raise _typed(refused, named) from None
    given = _without_nulls(named)
    unknown = len(given.keys() - models.TranscriptionConfig.model_fields.keys())
    return Started(request=request, warnings=warnings, config=given, unknown=unknown)


def changed(running: Started, message: Mapping[str, Any], *, max_channels: int) -> Started:
    """*running* with the changes of the `SetRecognitionConfig` *message*. Raises `SessionRefused` for other changes (§4.6).

    Clients repeat members of the running config and leave out others: a member that is absent keeps its value.
    """
    given = validated(models.SetRecognitionConfig, message).transcription_config
    merged = {**running.config, **given}
    try:
        request = _request(validated(models.TranscriptionConfig, merged, at=_TC), running.request.audio, max_channels)
    except Refused as refused:
        raise SessionRefused(ErrorType.INVALID_CONFIG, refused.why, at=refused.at) from None
    # the old library repeats both configs here, where they mean nothing (§4.6)
    request = replace(request, translation=running.request.translation, audio_events=running.request.audio_events)
    for field in fields(request):
        if field.name not in _CHANGEABLE and getattr(request, field.name) != getattr(running.request, field.name):
            member = "model" if field.name == "operating_point" and "model" in given else field.name
            member = _MEMBERS.get(member, member)
            why = "cannot be changed while the session runs: start a new session"
            raise SessionRefused(ErrorType.INVALID_CONFIG, why, at=f"{_TC}.{member}")
    return Started(request=request, config=merged)


def validated(model: type[M], data: Mapping[str, Any], *, at: str | None = None) -> M:
    """*data* as *model*. Raises `Refused` that names the member, below *at*."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        error = failure.errors(include_url=False)[0]
    if at is not None:
        error["loc"] = (at, *error["loc"])
    raise refused_by(error)  # outside the handler: the chained exception would carry the caller's words into our log


def _typed(refused: Refused, named: Mapping[str, Any]) -> SessionRefused:
    member = (refused.at or "").removeprefix(f"{_TC}.")
    return session_refused(refused, text=isinstance(named.get(member), str))


def _without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}


def _audio(asked: models.AudioFormat) -> AudioFormat:
    if asked.type == AudioType.FILE:
        return AudioFormat(type=AudioType.FILE)
    if asked.encoding is None:
        raise invalid("is required for raw audio", "audio_format.encoding")
    if asked.sample_rate is None:
        raise invalid("is required for raw audio", "audio_format.sample_rate")
    return AudioFormat(type=AudioType.RAW, encoding=Encoding(asked.encoding), sample_rate=asked.sample_rate)


def _request(asked: models.TranscriptionConfig, audio: AudioFormat, max_channels: int) -> LiveRequest:
    if asked.language == AUTO:
        raise invalid(f"must not be {AUTO}: realtime needs the code of one language", f"{_TC}.language")
    filtering = asked.transcript_filtering_config
    diarization = Diarization(asked.diarization or Diarization.NONE)
    delay = MAX_DELAY if asked.max_delay is None else asked.max_delay
    return batch.request_value(
        LiveRequest,
        asked,
        filtering,
        asked.conversation_config,
        audio=audio,
        operating_point=batch.operating_point(asked),
        output_locale=batch.output_locale(asked),
        additional_vocab=batch.vocabulary(list(asked.additional_vocab or ())),
        punctuation=batch.punctuation(asked.punctuation_overrides),
        channels=_channels(asked, diarization, max_channels),
        speaker_diarization=_speakers(asked.speaker_diarization_config, diarization),
        max_delay=min(max(delay, MIN_DELAY), MAX_DELAY),
        replacements=_replacements(filtering.replacements or [] if filtering else []),
    )


def _channels(asked: models.TranscriptionConfig, diarization: Diarization, most: int) -> tuple[str, ...]:
    labels, at = tuple(asked.channel_diarization_labels or ()), f"{_TC}.channel_diarization_labels"
    if not diarization.by_channel:
        return ()
    if not labels:
        raise invalid(f"is required when diarization is {diarization}", at)
    if len(labels) > most:
        raise invalid(f"must hold at most {most} labels on this server, got {len(labels)}", at)
    if len(set(labels)) < len(labels):
        raise invalid("must not hold the same label twice", at)
    return labels


def _speakers(asked: models.SpeakerDiarizationConfig | None, diarization: Diarization) -> SpeakerDiarization:
    if asked is None or not diarization.by_speaker:  # §4.3: only with the two speaker modes
        return SpeakerDiarization()
    return batch.request_value(SpeakerDiarization, asked)


def _replacements(rules: list[Any]) -> tuple[Replacement, ...]:
    found = tuple(batch.request_value(Replacement, rule) for rule in rules)
    try:
        compile_rules(found)  # §4.3: a bad regex is an Error; batch reports it when the job runs
    except Refused as refused:
        raise invalid(refused.why, f"{_TC}.{refused.at}") from None
    return found


# ── warnings ──


def _vocabulary_warnings(asked: models.StartRecognition) -> list[ConfigWarning]:
    dropped, shortened = [], []
    for number, item in enumerate(asked.transcription_config.additional_vocab or ()):
        if not batch.fits(item.content):
            dropped.append(number)
        elif not all(map(batch.fits, item.sounds_like or ())):
            shortened.append(number)
    limit = f"at most {batch.MAX_VOCAB_WORDS} words of at most {batch.MAX_WORD:,} characters each"
    return [
        ConfigWarning(
            type=WarningType.VALIDATION_WARNING,
            reason=f"additional_vocab: {what} of {_entries(found)} ignored; use {limit}",
        )
        for what, found in (("the content", dropped), ("sounds_like values", shortened))
        if found
    ]


def _entries(numbers: list[int], most: int = 10) -> str:
    listed = ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")
    return f"{'entry' if len(numbers) == 1 else 'entries'} {listed} (counted from 0)"


def _translation(asked: models.TranslationConfig | None) -> LiveTranslation | None:
    """An empty list is no error: two clients send it by default (§4.4)."""
    if asked is None:
        return None
    targets = tuple(dict.fromkeys(asked.target_languages or ()))
    if len(targets) > MAX_TARGETS:
        why = f"must hold at most {MAX_TARGETS} languages, got {len(targets)}"
        raise invalid(why, "translation_config.target_languages")
    return LiveTranslation(targets=targets, partials=bool(asked.enable_partials))


def _events(asked: models.AudioEventsConfig | None) -> tuple[str, ...] | None:
    return None if asked is None else tuple(dict.fromkeys(asked.types or ()))

"""Parses the `config` part of `POST /v2/jobs` to a `Request`; raises `Refused` that names the invalid field (contract §6).

The input is untrusted: size, depth and values are checked before objects are built from them. An error message never
repeats a URL, a header or a speaker identifier, and at most a few characters of other values.

In order: `parse_job_config`; checks of all values; the text of errors; conversion of the models to the request.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from sottovoce.errors import Kind, Refused
from sottovoce.request import (
    AlignmentRequest,
    AudioFiltering,
    Diarization,
    Fetch,
    KnownSpeaker,
    LanguageIdentification,
    Notification,
    OperatingPoint,
    PunctuationOverrides,
    Replacement,
    Request,
    SpeakerDiarization,
    SubtitleLimits,
    Summarization,
    Tracking,
    TranscriptionRequest,
    VocabEntry,
)
from sottovoce.transcript.languages import AUTO
from sottovoce.wire.v2 import config_schema as models

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Bytes of the whole config part; our choice: enough for the contract's longest vocabulary of ordinary words."""
MAX_DEPTH = 64
"""Nesting depth of objects and lists; our choice (only `tracking.details` may be deeply nested)."""
MAX_VOCAB_WORDS = 6
"""Words of a vocabulary entry or pronunciation; longer ones are dropped (contract §6.2)."""
MAX_WORD = 4_000
"""Characters of one such word; entries with longer ones are dropped (contract §6.2)."""

_BOM = b"\xef\xbb\xbf"
_SHOWN = 40  # characters of a value that an error message repeats
_MAX_PATH = 200  # characters of the path of a field in an error message
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_MULTI = "multi"
_MELIA = "melia-1"
_LOCALES = {"en": ("en-GB", "en-US", "en-AU"), "cmn": ("cmn-Hans", "cmn-Hant")}  # contract §6.2

# Values below these members are not repeated in error messages, which end up in logs and tickets.
_SECRET = frozenset({"fetch_data", "fetch_text", "notification_config", "speaker_identifiers"})

_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a member that is allowed here",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must be at most {max_length:,} characters long",
    "too_long": "must hold at most {max_length:,} entries, got {actual_length:,}",
}
_WITHOUT_VALUE = frozenset(
    {"refused_with_value", "missing", "extra_forbidden", "string_too_short", "too_short", "string_too_long", "too_long"}
)
_CONTAINER_WANTED = frozenset({"model_type", "dict_type", "list_type"})

Path = tuple[str | int, ...]


def parse_job_config(raw: bytes) -> Request:
    """The request in *raw* (UTF-8 JSON, with or without a byte order mark).

    Raises `Refused(Kind.INVALID_CONFIG)`; `at` is the dotted path of the field (`notification_config[0].url`), `None`
    if the text as a whole is invalid. A later stage checks if a language, domain or translation pair is available.
    """
    tree = _tree(raw)
    try:
        config = models.JobConfig.model_validate(tree)
    except ValidationError as failure:
        error = failure.errors(include_url=False)[0]
    else:
        return _request(config)
    raise _refused(error)  # outside the handler: the chained exception would carry the caller's secrets into our log


def _tree(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_CONFIG_BYTES:
        raise _invalid(f"must be at most {MAX_CONFIG_BYTES:,} bytes of JSON, got {len(raw):,}")
    text = raw.removeprefix(_BOM)
    if not text.strip():
        raise _invalid("must be a JSON object, got nothing")
    try:
        tree = from_json(text, allow_inf_nan=False, cache_strings="none")
    except ValueError as failure:  # the message contains a position, not the text
        raise _invalid(f"is not valid JSON: {str(failure)[:100]}") from None
    if not isinstance(tree, dict):
        raise _invalid(f"must be a JSON object, got {_json_type(tree)}")
    _check_values(tree)
    return tree


def _invalid(why: str, at: str | None = None) -> Refused:
    return Refused(Kind.INVALID_CONFIG, why, at=at)


# --- checks of every value, in every part of a config ----------------------------------------------------------------


def _check_values(tree: dict[str, Any]) -> None:
    level: list[Any] = [tree]  # level by level and without paths, so that a megabyte of brackets does not take seconds
    for _ in range(MAX_DEPTH):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return
        level = [child for container in containers for child in _children(container)]
        if any(map(_value_problem, level)):
            raise _value_refusal(tree)
    if any(isinstance(value, dict | list) for value in level):
        raise _invalid(f"must not be nested more than {MAX_DEPTH} levels deep")


def _children(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return (*container.keys(), *container.values()) if isinstance(container, dict) else container


def _value_problem(value: object) -> str:
    if isinstance(value, str):
        return "must not hold the NUL character" if "\0" in value else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "must be a finite number"
    # our JSON encoder writes integers of at most 64 bits
    return "is too large a number" if isinstance(value, int) and not -(2**63) <= value < 2**64 else ""


def _value_refusal(tree: dict[str, Any]) -> Refused:
    pending: list[tuple[Path, Any]] = [((), tree)]
    while pending:
        path, container = pending.pop()
        for name, child in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(name, str) and _value_problem(name):
                return _invalid("must not have a member whose name holds the NUL character", _dotted(path))
            if why := _value_problem(child):
                return _invalid(why, _dotted((*path, name)))
            if isinstance(child, dict | list):
                pending.append(((*path, name), child))
    raise LookupError("the invalid value of the config was not found again")


# --- the text of an error --------------------------------------------------------------------------------------------


def _refused(error: ErrorDetails) -> Refused:
    return _invalid(_sentence(error), _dotted(error["loc"]))


def _dotted(path: Path) -> str | None:
    """*path* as `a.b[3].c`; a member name that is not a plain word is the caller's own text and shown as `?`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part if _KEY.fullmatch(part) else '?'}" for part in path)
    dotted = "".join(parts).removeprefix(".")
    return (dotted if len(dotted) <= _MAX_PATH else dotted[:_MAX_PATH] + "…") or None


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    ours = kind in {"refused", "refused_with_value"}
    sentence = error["msg"] if ours else _SENTENCES.get(kind, "is not valid").format(**error.get("ctx", {}))
    got = "" if kind in _WITHOUT_VALUE else _shown_input(error)
    return f"{sentence}, got {got}" if got else sentence


def _shown_input(error: ErrorDetails) -> str:
    value, ours = error["input"], error["type"] == "refused"
    if error["type"] in _CONTAINER_WANTED:
        return _json_type(value)
    if isinstance(value, dict | list) or _SECRET.intersection(error["loc"]) or "://" in str(value):
        return "" if ours else _json_type(value)
    return _shown(value)


def _json_type(value: object) -> str:
    """The JSON type of *value*, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _shown(value: object) -> str:
    """A scalar *value* for an error message: at most `_SHOWN` printable characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[: _SHOWN + 1])[1:-1] if isinstance(value, str) else repr(value)
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f'"{short}"' if isinstance(value, str) else short


# --- from the models to the request ----------------------------------------------------------------------------------


def _request(config: models.JobConfig) -> Request:
    if config.type == "alignment":
        return _alignment(config)
    return _transcription(config)


def _alignment(config: models.JobConfig) -> AlignmentRequest:
    if config.alignment_config is None:
        raise _invalid("is required in a job of type alignment", "alignment_config")
    return AlignmentRequest(
        language=config.alignment_config.language,
        fetch_data=_fetch(config.fetch_data),
        fetch_text=_fetch(config.fetch_text),
        notifications=_notifications(config),
        tracking=_tracking(config.tracking),
    )


def _transcription(config: models.JobConfig) -> TranscriptionRequest:
    asked = config.transcription_config
    if asked is None:
        raise _invalid("is required in a job of type transcription", "transcription_config")
    filtering = asked.transcript_filtering_config or models.TranscriptFilteringConfig()
    translation, topics, events = config.translation_config, config.topic_detection_config, config.audio_events_config
    return TranscriptionRequest(
        language=asked.language,
        operating_point=_operating_point(asked),
        domain=asked.domain,
        output_locale=_locale(asked),
        additional_vocab=_vocabulary(asked.additional_vocab or []),
        punctuation=_punctuation(asked.punctuation_overrides),
        diarization=Diarization(asked.diarization or Diarization.NONE),
        channel_labels=tuple(asked.channel_diarization_labels or ()),
        enable_entities=bool(asked.enable_entities),
        audio_filtering=_audio_filtering(asked.audio_filtering_config),
        remove_disfluencies=bool(filtering.remove_disfluencies),
        replacements=tuple(Replacement(source=r.source, target=r.target) for r in filtering.replacements or ()),
        speaker_diarization=_speaker_diarization(asked.speaker_diarization_config),
        language_identification=_identification(asked, config.language_identification_config),
        language_hints=_distinct(asked.language_hints),
        subtitles=_subtitles(config.output_config),
        translation_targets=_distinct(translation.target_languages) if translation else (),
        summarization=_summarization(config.summarization_config),
        sentiment_analysis=config.sentiment_analysis_config is not None
        and config.sentiment_analysis_config.enable_sentiment,
        topics=tuple(topics.topics or ()) if topics else None,
        auto_chapters=config.auto_chapters_config is not None and config.auto_chapters_config.enable_chapters,
        audio_events=_distinct(events.types) if events else None,
        fetch_data=_fetch(config.fetch_data),
        notifications=_notifications(config),
        tracking=_tracking(config.tracking),
    )


def _distinct(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values or ()))


def _without_none(**members: Any) -> dict[str, Any]:
    """The *members* that are not `None`, so that the defaults are defined only in `request.py`."""
    return {name: value for name, value in members.items() if value is not None}


def _operating_point(asked: models.TranscriptionConfig) -> OperatingPoint:
    # contract §6 "Inferred": `model` has precedence. melia-1 is a valid value, but only the vendor has this model.
    field = "model" if asked.model is not None else "operating_point"
    name = asked.model or asked.operating_point or OperatingPoint.STANDARD
    if name == _MELIA:
        raise _invalid(f"{_MELIA} is not available here: use standard or enhanced", f"transcription_config.{field}")
    if asked.language == _MULTI:
        why = f"{_MULTI} needs the model {_MELIA}, which is not available here: use one language, or {AUTO}"
        raise _invalid(why, "transcription_config.language")
    return OperatingPoint(name)


def _locale(asked: models.TranscriptionConfig) -> str | None:
    locale, at = asked.output_locale, "transcription_config.output_locale"
    if locale is None:
        return None
    if asked.language == AUTO:  # contract §6.2
        raise _invalid(f"must not be given when language is {AUTO}", at)
    legal = [name for part in asked.language.split("_") for name in _LOCALES.get(part, ())]
    if not legal:
        raise _invalid(f"is available for English and Mandarin only, not for {_shown(asked.language)}", at)
    if locale not in legal:
        raise _invalid(f"must be one of {', '.join(legal)}, got {_shown(locale)}", at)
    return locale


def _vocabulary(items: list[models.VocabItem]) -> tuple[VocabEntry, ...]:
    # contract §6.2: an entry or a pronunciation that is too long is dropped without an error
    return tuple(
        VocabEntry(
            content=_single_spaced(item.content),
            sounds_like=_distinct(_single_spaced(s) for s in item.sounds_like or () if _fits(s)),
        )
        for item in items
        if _fits(item.content)
    )


def _single_spaced(phrase: str) -> str:
    return " ".join(phrase.split())


def _fits(phrase: str) -> bool:
    words = phrase.split(maxsplit=MAX_VOCAB_WORDS)
    return 0 < len(words) <= MAX_VOCAB_WORDS and max(map(len, words)) <= MAX_WORD


def _punctuation(asked: models.PunctuationConfig | None) -> PunctuationOverrides:
    if asked is None:
        return PunctuationOverrides()
    marks = None if asked.permitted_marks is None else frozenset(asked.permitted_marks)
    if marks and "all" in marks:
        marks = None
    return PunctuationOverrides(permitted_marks=marks, **_without_none(sensitivity=asked.sensitivity))


def _audio_filtering(asked: models.AudioFilteringConfig | None) -> AudioFiltering | None:
    return None if asked is None else AudioFiltering(**_without_none(volume_threshold=asked.volume_threshold))


def _speaker_diarization(asked: models.SpeakerDiarizationConfig | None) -> SpeakerDiarization:
    if asked is None:
        return SpeakerDiarization()
    return SpeakerDiarization(
        speakers=tuple(
            KnownSpeaker(label=one.label, speaker_identifiers=tuple(one.speaker_identifiers))
            for one in asked.speakers or ()
        ),
        **_without_none(
            speaker_sensitivity=asked.speaker_sensitivity,
            prefer_current_speaker=asked.prefer_current_speaker,
            get_speakers=asked.get_speakers,
        ),
    )


def _identification(
    asked: models.TranscriptionConfig, how: models.LanguageIdentificationConfig | None
) -> LanguageIdentification | None:
    """How to identify the language, with defaults; `None` if `language` is not `auto`."""
    how = how or models.LanguageIdentificationConfig()
    if how.low_confidence_action == "use_default_language" and how.default_language is None:
        why = "is required when low_confidence_action is use_default_language"  # contract §6 "Inferred"
        raise _invalid(why, "language_identification_config.default_language")
    if asked.language != AUTO:
        return None
    return LanguageIdentification(
        expected_languages=_distinct(how.expected_languages),
        default_language=how.default_language,
        **_without_none(low_confidence_action=how.low_confidence_action),
    )


def _subtitles(asked: models.OutputConfig | None) -> SubtitleLimits:
    overrides = asked.srt_overrides if asked else None
    return SubtitleLimits(**overrides.model_dump(exclude_none=True)) if overrides else SubtitleLimits()


def _summarization(asked: models.SummarizationConfig | None) -> Summarization | None:
    return None if asked is None else Summarization(**asked.model_dump(exclude_none=True))


def _fetch(asked: models.FetchConfig | None) -> Fetch | None:
    return None if asked is None else Fetch(url=asked.url, auth_headers=tuple(asked.auth_headers or ()))


def _notifications(config: models.JobConfig) -> tuple[Notification, ...]:
    return tuple(
        Notification(
            url=one.url,
            contents=None
            if one.contents is None
            else _distinct(one.contents),  # contract §9.2: absent differs from empty
            auth_headers=tuple(one.auth_headers or ()),
            **_without_none(method=one.method),
        )
        for one in config.notification_config or ()
    )


def _tracking(asked: models.TrackingConfig | None) -> Tracking | None:
    if asked is None:
        return None
    return Tracking(title=asked.title, reference=asked.reference, tags=tuple(asked.tags or ()))

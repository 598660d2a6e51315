"""From the models of a config to the request; refuses what only conditions between members show.

`request_value` takes each member over into the field of its name. Named here are only the members whose name, form or default
differs from that of the field.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from sottovoce.request import (
    AlignmentRequest,
    LanguageIdentification,
    Notification,
    OperatingPoint,
    PunctuationOverrides,
    Request,
    SubtitleLimits,
    TranscriptionRequest,
    VocabEntry,
)
from sottovoce.transcript.languages import AUTO
from sottovoce.wire.v2 import config_schema as models
from sottovoce.wire.v2.config_errors import invalid, shown

MAX_VOCAB_WORDS = 6
"""Words of a vocabulary entry or pronunciation; longer ones are dropped (contract §6.2)."""
MAX_WORD = 4_000
"""Characters of one such word; entries with longer ones are dropped (contract §6.2)."""

_ENDINGS = ("", "_config", "_overrides")
"""What may follow the name of a field in the name of its member: `audio_filtering` is `audio_filtering_config`."""
_MULTI = "multi"
_MELIA = "melia-1"
LOCALES = {"en": ("en-GB", "en-US", "en-AU"), "cmn": ("cmn-Hans", "cmn-Hant")}  # contract §6.2


T = TypeVar("T")


def request_value(kind: type[T], *parts: BaseModel | None, **different: Any) -> T:
    """A *kind* of `request.py`: each field from the member with its name in one of *parts*, unless it is in *different*.

    Objects become values of the field's type, lists become tuples. A member that is not given leaves the default of the field.
    """
    values = dict(different)
    for field in fields(kind):  # type: ignore[arg-type]
        given = None if field.name in different else _member(parts, field.name)
        if given is not None:
            values[field.name] = _converted(field.type, given)
    return kind(**values)


def _member(parts: Iterable[BaseModel | None], name: str) -> Any:
    # fields only: every model has an attribute `model_config`, which is not the member of a field `model`
    members = (
        getattr(part, name + ending)
        for part in parts
        for ending in _ENDINGS
        if name + ending in getattr(type(part), "model_fields", {})
    )
    return next((value for value in members if value is not None), None)


def _converted(annotation: Any, value: Any) -> Any:
    kinds = list(_types(annotation))
    if isinstance(value, list):
        return tuple(_converted(kinds, each) for each in value)
    if isinstance(value, BaseModel):
        kind: Any = next(kind for kind in kinds if is_dataclass(kind))
        return request_value(kind, value)
    enums = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum)]
    return enums[0](value) if enums else value


def _types(annotation: Any) -> Iterator[Any]:
    """The types in *annotation*: those of a union, and the elements of a tuple."""
    if isinstance(annotation, list):
        yield from annotation
    elif parts := get_args(annotation):
        for part in parts:
            yield from _types(part)
    else:
        yield annotation


def to_request(config: models.JobConfig) -> Request:
    """The request that *config* makes. Raises `Refused` for members that exclude or need each other."""
    if config.type == "alignment":
        return _alignment(config)
    return _transcription(config)


def _alignment(config: models.JobConfig) -> AlignmentRequest:
    if config.alignment_config is None:
        raise invalid("is required in a job of type alignment", "alignment_config")
    return request_value(AlignmentRequest, config.alignment_config, config, notifications=_notifications(config))


def _transcription(config: models.JobConfig) -> TranscriptionRequest:
    asked = config.transcription_config
    if asked is None:
        raise invalid("is required in a job of type transcription", "transcription_config")
    translation, topics, events = config.translation_config, config.topic_detection_config, config.audio_events_config
    sentiment, chapters = config.sentiment_analysis_config, config.auto_chapters_config
    return request_value(
        TranscriptionRequest,
        asked,
        asked.transcript_filtering_config,
        config,
        operating_point=operating_point(asked),
        model=None,  # the member `model` is the operating point
        output_locale=output_locale(asked),
        additional_vocab=vocabulary(asked.additional_vocab or []),
        punctuation=punctuation(asked.punctuation_overrides),
        channel_labels=tuple(asked.channel_diarization_labels or ()),
        language_identification=_identification(asked, config.language_identification_config),
        language_hints=_distinct(asked.language_hints),
        subtitles=request_value(SubtitleLimits, config.output_config.srt_overrides if config.output_config else None),
        translation_targets=_distinct(translation.target_languages) if translation else (),
        sentiment_analysis=sentiment is not None and sentiment.enable_sentiment,
        topics=tuple(topics.topics or ()) if topics else None,
        auto_chapters=chapters is not None and chapters.enable_chapters,
        audio_events=_distinct(events.types) if events else None,
        notifications=_notifications(config),
    )


def _distinct(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values or ()))


def operating_point(asked: models.TranscriptionConfig) -> OperatingPoint:
    """The operating point that *asked* names as `model`, or as `operating_point`. Raises `Refused`."""
    # contract §6 "Inferred": `model` has precedence. melia-1 is a valid value, but only the vendor has this model.
    field = "model" if asked.model is not None else "operating_point"
    name = asked.model or asked.operating_point or OperatingPoint.STANDARD
    if name == _MELIA:
        raise invalid(f"{_MELIA} is not available here: use standard or enhanced", f"transcription_config.{field}")
    if asked.language == _MULTI:
        why = f"{_MULTI} needs the model {_MELIA}, which is not available here: use one language, or {AUTO}"
        raise invalid(why, "transcription_config.language")
    return OperatingPoint(name)


def output_locale(asked: models.TranscriptionConfig) -> str | None:
    """The spelling that *asked* names. Raises `Refused` if the language does not have it."""
    locale, at = asked.output_locale, "transcription_config.output_locale"
    if locale is None:
        return None
    if asked.language == AUTO:  # contract §6.2
        raise invalid(f"must not be given when language is {AUTO}", at)
    legal = [name for part in asked.language.split("_") for name in LOCALES.get(part, ())]
    if not legal:
        raise invalid(f"is available for English and Mandarin only, not for {shown(asked.language)}", at)
    if locale not in legal:
        raise invalid(f"must be one of {', '.join(legal)}, got {shown(locale)}", at)
    return locale


def vocabulary(items: list[models.VocabItem]) -> tuple[VocabEntry, ...]:
    """The custom words in *items*."""
    # contract §6.2: an entry or a pronunciation that is too long is dropped without an error
    return tuple(
        VocabEntry(
            content=_single_spaced(item.content),
            sounds_like=_distinct(_single_spaced(s) for s in item.sounds_like or () if fits(s)),
        )
        for item in items
        if fits(item.content)
    )


def _single_spaced(phrase: str) -> str:
    return " ".join(phrase.split())


def fits(phrase: str) -> bool:
    """True if a vocabulary entry or pronunciation is short enough to be used."""
    words = phrase.split(maxsplit=MAX_VOCAB_WORDS)
    return 0 < len(words) <= MAX_VOCAB_WORDS and max(map(len, words)) <= MAX_WORD


def punctuation(asked: models.PunctuationConfig | None) -> PunctuationOverrides:
    """The punctuation that *asked* permits."""
    if asked is None:
        return PunctuationOverrides()
    marks = None if asked.permitted_marks is None else frozenset(asked.permitted_marks)
    if marks and "all" in marks:
        marks = None
    return request_value(PunctuationOverrides, asked, permitted_marks=marks)


def _identification(
    asked: models.TranscriptionConfig, how: models.LanguageIdentificationConfig | None
) -> LanguageIdentification | None:
    """How to identify the language, with defaults; `None` if `language` is not `auto`."""
    how = how or models.LanguageIdentificationConfig()
    if how.low_confidence_action == "use_default_language" and how.default_language is None:
        why = "is required when low_confidence_action is use_default_language"  # contract §6 "Inferred"
        raise invalid(why, "language_identification_config.default_language")
    if asked.language != AUTO:
        return None
    return request_value(LanguageIdentification, how, expected_languages=_distinct(how.expected_languages))


def _notifications(config: models.JobConfig) -> tuple[Notification, ...]:
    return tuple(
        request_value(
            Notification,
            one,
            # contract §9.2: absent differs from empty
            contents=None if one.contents is None else _distinct(one.contents),
        )
        for one in config.notification_config or ()
    )

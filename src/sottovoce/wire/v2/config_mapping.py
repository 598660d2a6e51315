"""From the models of a config to the request; refuses what only conditions between members show."""

from collections.abc import Iterable
from typing import Any

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
from sottovoce.wire.v2.config_errors import invalid, shown

MAX_VOCAB_WORDS = 6
"""Words of a vocabulary entry or pronunciation; longer ones are dropped (contract §6.2)."""
MAX_WORD = 4_000
"""Characters of one such word; entries with longer ones are dropped (contract §6.2)."""

_MULTI = "multi"
_MELIA = "melia-1"
LOCALES = {"en": ("en-GB", "en-US", "en-AU"), "cmn": ("cmn-Hans", "cmn-Hant")}  # contract §6.2


def to_request(config: models.JobConfig) -> Request:
    """The request that *config* makes. Raises `Refused` for members that exclude or need each other."""
    if config.type == "alignment":
        return _alignment(config)
    return _transcription(config)


def _alignment(config: models.JobConfig) -> AlignmentRequest:
    if config.alignment_config is None:
        raise invalid("is required in a job of type alignment", "alignment_config")
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
        raise invalid("is required in a job of type transcription", "transcription_config")
    filtering = asked.transcript_filtering_config or models.TranscriptFilteringConfig()
    translation, topics, events = config.translation_config, config.topic_detection_config, config.audio_events_config
    return TranscriptionRequest(
        language=asked.language,
        operating_point=operating_point(asked),
        domain=asked.domain,
        output_locale=output_locale(asked),
        additional_vocab=vocabulary(asked.additional_vocab or []),
        punctuation=punctuation(asked.punctuation_overrides),
        diarization=Diarization(asked.diarization or Diarization.NONE),
        channel_labels=tuple(asked.channel_diarization_labels or ()),
        enable_entities=bool(asked.enable_entities),
        audio_filtering=audio_filtering(asked.audio_filtering_config),
        remove_disfluencies=bool(filtering.remove_disfluencies),
        replacements=tuple(Replacement(source=r.source, target=r.target) for r in filtering.replacements or ()),
        speaker_diarization=speaker_diarization(asked.speaker_diarization_config),
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


def without_none(**members: Any) -> dict[str, Any]:
    """The *members* that are not `None`, so that the defaults are defined only in `request.py`."""
    return {name: value for name, value in members.items() if value is not None}


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
    return PunctuationOverrides(permitted_marks=marks, **without_none(sensitivity=asked.sensitivity))


def audio_filtering(asked: models.AudioFilteringConfig | None) -> AudioFiltering | None:
    """The filter that *asked* requests."""
    return None if asked is None else AudioFiltering(**without_none(volume_threshold=asked.volume_threshold))


def speaker_diarization(asked: models.SpeakerDiarizationConfig | None) -> SpeakerDiarization:
    """The settings of speaker diarization in *asked*."""
    if asked is None:
        return SpeakerDiarization()
    return SpeakerDiarization(
        speakers=tuple(
            KnownSpeaker(label=one.label, speaker_identifiers=tuple(one.speaker_identifiers))
            for one in asked.speakers or ()
        ),
        **without_none(
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
        raise invalid(why, "language_identification_config.default_language")
    if asked.language != AUTO:
        return None
    return LanguageIdentification(
        expected_languages=_distinct(how.expected_languages),
        default_language=how.default_language,
        **without_none(low_confidence_action=how.low_confidence_action),
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
            **without_none(method=one.method),
        )
        for one in config.notification_config or ()
    )


def _tracking(asked: models.TrackingConfig | None) -> Tracking | None:
    if asked is None:
        return None
    return Tracking(title=asked.title, reference=asked.reference, tags=tuple(asked.tags or ()))

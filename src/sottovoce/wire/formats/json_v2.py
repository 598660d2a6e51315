"""The `json-v2` transcript, format 2.9 (contract §7), made from the transcript, the job and the submitted config.

Optional members without a value are left out, never null. `content`, `confidence` and `language` are always present, since
clients read them without a default; an unknown confidence is 1.0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Entity, Identification, Item, Mark, Transcript, Word, seconds
from sottovoce.wire import timestamps
from sottovoce.wire.v2.job import JobView, whole_seconds

FORMAT = "2.9"

# the members of the config that `metadata` repeats (contract §7.3)
_ECHOED = (
    "transcription_config", "alignment_config", "output_config", "translation_config", "language_identification_config",
    "summarization_config", "sentiment_analysis_config", "topic_detection_config", "auto_chapters_config",
    "audio_events_config",
)  # fmt: skip
_RESULTS = {"sentiment": "sentiment_analysis", "translation": "translations"}
"""The member that shows the result of a stage (`intelligence/`), where it does not have the name of the stage."""
_EVENTS = {"events": "audio_events", "summary": "audio_event_summary"}
"""The two members that show the parts of the result of the stage `audio_events` (contract §7.9)."""

_TRACKING = ("title", "reference", "tags", "details")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The input of `render`. *version*: the version of Sottovoce, PEP 440."""

    transcript: Transcript
    job: JobView
    version: str


def render(source: Source) -> dict[str, Any]:
    """The body of a transcript, `RetrieveTranscriptResponse` of the contract."""
    transcript = source.transcript
    language = pack(transcript.language)
    body: dict[str, Any] = {
        "format": FORMAT,
        "job": _job(source.job),
        "metadata": _metadata(source, language),
        "results": [_result(item, language) for item in _shown(transcript.items, source.job.config)],
    }
    for result in transcript.results:
        if result.name != "audio_events":
            body[_RESULTS.get(result.name, result.name)] = result.value
        elif isinstance(result.value, dict):
            body |= {name: result.value[part] for part, name in _EVENTS.items() if part in result.value}
    with_prints = [speaker for speaker in transcript.speakers if speaker.prints]
    if with_prints or _wants_speakers(source.job.config):
        body["speakers"] = [
            {"label": speaker.label, "speaker_identifiers": list(speaker.prints)} for speaker in with_prints
        ]
    return body


def _shown(items: Iterable[Item], config: dict[str, Any] | None) -> Iterable[Item]:
    """*items*, with the written words in place of entities unless *config* asks for entities (contract §7.4)."""
    asked = (config or {}).get("transcription_config") or {}
    return items if asked.get("enable_entities") is True else as_words(items)


def _wants_speakers(config: dict[str, Any] | None) -> bool:
    """True if *config*, which was validated at submission, requests `speakers` (contract §6.2, §7.10)."""
    asked = (config or {}).get("transcription_config") or {}
    wanted = asked.get("speaker_diarization_config") or {}
    return asked.get("diarization") == "speaker" and wanted.get("get_speakers") is True


def _job(view: JobView) -> dict[str, Any]:
    body: dict[str, Any] = {
        "created_at": timestamps.milliseconds(view.created_at),
        "data_name": view.data_name,
        "duration": whole_seconds(view.duration_ms),
        "id": view.id,
    }
    if view.text_name is not None:
        body["text_name"] = view.text_name
    given = (view.config or {}).get("tracking")
    if isinstance(given, dict) and (tracking := {k: given[k] for k in _TRACKING if given.get(k) is not None}):
        body["tracking"] = tracking
    return body


def _metadata(source: Source, language: LanguagePack) -> dict[str, Any]:
    transcript, config = source.transcript, source.job.config or {}
    body: dict[str, Any] = {
        "created_at": timestamps.microseconds(transcript.created_at),
        "type": config.get("type", "transcription"),
    }
    body.update({name: config[name] for name in _ECHOED if config.get(name) is not None})
    body["orchestrator_version"] = source.version
    body["language_pack_info"] = language_pack_info(language, adapted=transcript.adapted)
    if transcript.identification is not None:
        body["language_identification"] = _identification(transcript.identification)
    for error in transcript.errors:
        body.setdefault(f"{error.feature}_errors", []).append({"type": error.type, "message": error.message})
    return body


def _identification(found: Identification) -> dict[str, Any]:
    """LanguageIdentificationResult (contract §7.3): one result for the analysed audio, none without speech."""
    alternatives = [
        {"language": score.language, "confidence": round(score.confidence, 2)} for score in found.alternatives
    ]
    span = {"start_time": seconds(found.start), "end_time": seconds(found.end)}
    body: dict[str, Any] = {"results": [{"alternatives": alternatives, **span}] if alternatives else []}
    if found.error is not None:
        body["error"] = found.error
    if found.message is not None:
        body["message"] = found.message
    return body


def language_pack_info(language: LanguagePack, *, adapted: bool) -> dict[str, Any]:
    """LanguagePackInfo with exactly these five members: an unknown member breaks a strict client (contract `clients.md` §14)."""
    return {
        "adapted": adapted,
        "itn": language.itn,
        "language_description": language.description,
        "word_delimiter": language.delimiter,
        "writing_direction": language.writing_direction,
    }


def _result(item: Item, language: LanguagePack) -> dict[str, Any]:
    body: dict[str, Any] = {
        "alternatives": [_alternative(item, language)],
        "end_time": seconds(item.end),
        "start_time": seconds(item.start),
    }
    if item.channel is not None:
        body["channel"] = item.channel
    match item:
        case Word():
            body["type"] = "word"
            if item.volume is not None:
                body["volume"] = round(item.volume, 2)
        case Mark():
            body["type"] = "punctuation"
            body["attaches_to"] = str(item.attaches)
            body["is_eos"] = item.ends_sentence
        case Entity():
            body["type"] = "entity"
            body["entity_class"] = item.entity_class
            body["spoken_form"] = [_form(part, language) for part in item.spoken]
            body["written_form"] = [_form(part, language) for part in item.written]
            if item.volume is not None:
                body["volume"] = round(item.volume, 2)
    return body


def _form(part: Word | Mark, language: LanguagePack) -> dict[str, Any]:
    """A part of an entity, with exactly these four members (contract §7.4)."""
    return {
        "alternatives": [_alternative(part, language)],
        "end_time": seconds(part.end),
        "start_time": seconds(part.start),
        "type": "punctuation" if isinstance(part, Mark) else "word",
    }


def _alternative(item: Item, language: LanguagePack) -> dict[str, Any]:
    # each word may have its own language (contract §7.4)
    spoken = pack(item.language) if item.language and item.language != language.code else language
    body: dict[str, Any] = {
        "confidence": 1.0 if item.confidence is None else round(item.confidence, 2),
        "content": item.text,
        "display": {"direction": spoken.direction},
        "language": spoken.code,
        "speaker": item.speaker or UNKNOWN_SPEAKER,
    }
    if not isinstance(item, Mark) and item.tags:
        body["tags"] = list(item.tags)
    return body

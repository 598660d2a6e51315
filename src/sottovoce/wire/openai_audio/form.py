"""The fields of `POST /v1/audio/transcriptions` and `/v1/audio/translations`, as one value.

Fields that only tune OpenAI's own service have no effect here: `temperature`, `chunking_strategy`, `include[]`. Unknown fields are
ignored, because clients of other servers send their own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from sottovoce.errors import Kind, Refused
from sottovoce.request import LanguageIdentification, TranscriptionRequest
from sottovoce.transcript.languages import AUTO
from sottovoce.wire.openai_audio import models, vocabulary
from sottovoce.wire.openai_audio.languages import contract_language

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
"""The values of `response_format`."""
GRANULARITIES = ("segment", "word")
MAX_VALUE = 1_000
"""Characters of a field that names something."""
MAX_LANGUAGES = 20

_LISTS = (
    "timestamp_granularities",
    "include",
    "keywords",
    "languages",
    "known_speaker_names",
    "known_speaker_references",
)
REPEATABLE = frozenset(name + ending for name in _LISTS for ending in ("", "[]"))
"""Fields that hold a list: they may be sent several times, with or without brackets."""

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{0,30})?|\.[0-9]{1,30}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[a-z]{2,3})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRequest:
    """A request to transcribe or, with *translate*, to translate into English.

    *language* is the contract's code, `None` if the caller leaves it to the server; *languages* are those that may be spoken.
    *vocabulary*: custom words. *words*, *segments*: which times `verbose_json` has.
    """

    model: str
    language: str | None = None
    languages: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    response_format: str = "json"
    words: bool = False
    segments: bool = True
    stream: bool = False
    translate: bool = False

    @property
    def diarize(self) -> bool:
        """True if the answer names speakers."""
        return self.model == models.DIARIZE or self.response_format == "diarized_json"


def parse(fields: Mapping[str, bytes], lists: Mapping[str, Sequence[bytes]], *, translate: bool) -> AudioRequest:
    """The request in *fields* and in *lists*, fields that were sent several times. Raises `Refused`, which names the field."""
    texts = _Fields(fields, lists)
    given = texts.one("model")
    if not given:
        _refuse("model", "is required: send whisper-1, or a name from GET /v1/models", Kind.BAD_REQUEST)
    form = _response_format(texts, translate=translate)
    _check_ignored(texts)
    granularities = texts.all("timestamp_granularities")
    for each in granularities:
        if each not in GRANULARITIES:
            _refuse("timestamp_granularities[]", f"must be one of {', '.join(GRANULARITIES)}")
    if granularities and form != "verbose_json":
        _refuse("timestamp_granularities[]", "needs response_format verbose_json")
    prompt = texts.one("prompt", vocabulary.MAX_PROMPT * 100)
    words = () if translate else (*vocabulary.phrases(texts.all("keywords")), *vocabulary.words_of(prompt))
    return AudioRequest(
        model=given,
        language=_language(texts.one("language"), "language"),
        languages=_languages(texts.all("languages")),
        vocabulary=tuple(dict.fromkeys(words)),
        response_format=form,
        words="word" in granularities,
        segments="segment" in granularities or not granularities,
        stream=_boolean(texts, "stream") and not translate,
        translate=translate,
    )


class _Fields:
    """The text of fields. Raises `Refused` for bytes that are not UTF-8 and for a text that is too long."""

    def __init__(self, fields: Mapping[str, bytes], lists: Mapping[str, Sequence[bytes]]) -> None:
        self._fields = fields
        self._lists = lists

    def one(self, name: str, most: int = MAX_VALUE) -> str:
        """The value of *name* without blanks around it; empty if it was not sent."""
        return _text(self._fields.get(name, b""), name, most)

    def all(self, name: str) -> list[str]:
        """The values of the list *name*, in the order in which they were sent; without empty ones."""
        raw = [value for written in (name, f"{name}[]") for value in self._lists.get(written, ())]
        return [text for value in raw if (text := _text(value, name, MAX_VALUE))]

    def sent(self, name: str) -> bool:
        """True if the list *name* was sent."""
        return any(written in self._lists for written in (name, f"{name}[]"))


def _text(raw: bytes, name: str, most: int) -> str:
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        _refuse(name, "must be UTF-8 text")
    if len(text) > most:
        _refuse(name, f"must have at most {most:,} characters")
    if "\0" in text:
        _refuse(name, "must not hold the NUL character")
    return text


def _refuse(at: str, why: str, kind: Kind = Kind.INVALID_CONFIG) -> NoReturn:
    raise Refused(kind, why, at=at)


def _response_format(texts: _Fields, *, translate: bool) -> str:
    form = texts.one("response_format") or "json"
    known = tuple(name for name in FORMATS if name != "diarized_json" or not translate)
    if form not in known:
        raise Refused(Kind.FORMAT_NOT_SUPPORTED, f"must be one of {', '.join(known)}", at="response_format")
    return form


def _check_ignored(texts: _Fields) -> None:
    """Raise `Refused` for a value that would be wrong if it had an effect, and for what would be missed silently."""
    temperature = texts.one("temperature")
    if temperature and not (_NUMBER.fullmatch(temperature) and float(temperature) <= 1):
        _refuse("temperature", "must be a number from 0 to 1")
    for name in ("known_speaker_names", "known_speaker_references"):
        if texts.sent(name):
            _refuse(f"{name}[]", "is not available on this server: leave it out, and the speakers are named A, B, …")


def _boolean(texts: _Fields, name: str) -> bool:
    text = texts.one(name).lower()
    if text not in _TRUE | _FALSE:
        _refuse(name, "must be true or false")
    return text in _TRUE


def _language(given: str, at: str) -> str | None:
    if given.lower() in {"", AUTO}:
        return None
    code = contract_language(given)
    if not _LANGUAGE.fullmatch(code):
        _refuse(at, "must be a language code such as en or fr")
    return code


def _languages(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > MAX_LANGUAGES:
        _refuse("languages[]", f"must have at most {MAX_LANGUAGES} entries")
    found = (_language(each, "languages[]") for each in given)
    return tuple(dict.fromkeys(code for code in found if code is not None))


# ── the job ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The languages of this server: *transcribed*, in any order, and whether it *identifies* one."""

    transcribed: tuple[str, ...]
    identifies: bool


def job_config(asked: AudioRequest, chosen: models.ChosenModel, spoken: Spoken) -> dict[str, Any]:
    """The V2 config of the job for *asked*: what V2 shows of it. `completed` adds what V2 has no words for."""
    transcription: dict[str, Any] = {
        "language": _spoken_language(asked, spoken),
        "operating_point": str(chosen.operating_point),
    }
    if asked.vocabulary:
        transcription["additional_vocab"] = [{"content": word} for word in asked.vocabulary]
    if asked.diarize:
        transcription["diarization"] = "speaker"
    return {"type": "transcription", "transcription_config": transcription}


def completed(
    request: TranscriptionRequest, asked: AudioRequest, chosen: models.ChosenModel, spoken: Spoken
) -> TranscriptionRequest:
    """*request*, parsed from `job_config`, with what V2 cannot ask for."""
    identification = None
    if request.language == AUTO:
        expected = tuple(code for code in asked.languages if code in spoken.transcribed)
        identification = LanguageIdentification(
            expected_languages=expected,
            low_confidence_action="guess",  # OpenAI transcribes whatever the speech is, and silence as an empty text
            default_language=next(iter(expected or _preferred(spoken.transcribed)), None),
        )
    return replace(
        request,
        model=chosen.name,
        translate_speech=asked.translate,
        report_stretches=asked.stream,
        language_identification=identification,
    )


def _spoken_language(asked: AudioRequest, spoken: Spoken) -> str:
    """The language of the job: the caller's, the only one possible, or the one that is to be identified."""
    if asked.language is not None:
        return asked.language
    if len(asked.languages) == 1:
        return asked.languages[0]
    if spoken.identifies or not spoken.transcribed:
        return AUTO
    return _preferred(asked.languages or spoken.transcribed)[0]


def _preferred(codes: Iterable[str]) -> tuple[str, ...]:
    """*codes*, English first, because engines without identification are mostly for English."""
    return tuple(sorted(codes, key=lambda code: (code != "en", code)))

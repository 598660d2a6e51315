"""Transcripts of `--translate`: the sentences of the translation, written in the formats of transcripts.

A format `srt:de` is the German translation as SRT. It is made of the `translations` of the JSON, here and with a server.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.files.failures import FileFailed
from sottovoce.cli.files.reports import Listener
from sottovoce.cli.files.run import Transcriber
from sottovoce.cli.files.sources import Source

if TYPE_CHECKING:
    from sottovoce.transcript.languages import LanguagePack
    from sottovoce.transcript.model import Mark, Transcript, Word

WHOLE = "json-v2"
"""The format that has the translations in it."""


def suffixes(forms: Sequence[str], languages: Sequence[str], *, both: bool) -> dict[str, str]:
    """The outputs of *forms* with their suffixes. *both*: the transcript beside each translation, else the translation alone.

    Raises `click.UsageError` for several translations of which only one has a place.
    """
    from sottovoce.wire.formats.table import FORMATS

    found: dict[str, str] = {}
    for form in forms:
        suffix = FORMATS[form].suffix
        if form == WHOLE or not languages or both:
            found[form] = suffix
        if form != WHOLE:
            found |= {f"{form}:{language}": f".{language}{suffix}" for language in languages}
    if not both and len(languages) > 1 and forms != (WHOLE,):
        raise click.UsageError("several languages of --translate need --output-dir FOLDER, or --format json")
    return found


@contextmanager
def translating(opened: AbstractContextManager[Transcriber]) -> Iterator[Transcriber]:
    """The transcriber of *opened*, which also writes translations."""
    with opened as transcriber:
        yield Translator(transcriber)


class Translator:
    """A `Transcriber` that makes the formats of translations of the JSON of *transcriber*."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber

    def transcribe(self, source: Source, forms: Sequence[str], listen: Listener) -> Mapping[str, bytes]:
        """The transcript of *source* in each of *forms*. Raises `FileFailed`, also if there is no translation."""
        translated = [form for form in forms if ":" in form]
        plain = [form for form in forms if ":" not in form]
        rendered = dict(self._transcriber.transcribe(source, tuple(dict.fromkeys([*plain, WHOLE])), listen))
        body = json.loads(rendered[WHOLE])
        _check(body)
        made = {form: written(body, source.name, *form.split(":")) for form in translated}
        return {form: made[form] if form in made else rendered[form] for form in forms}


def _check(body: Mapping[str, Any]) -> None:
    for failure in body["metadata"].get("translation_errors", ()):
        raise FileFailed(f"not translated: {failure['message']}; `sottovoce doctor` lists what can be translated")


def written(body: Mapping[str, Any], name: str, form: str, language: str) -> bytes:
    """The translation into *language* in the JSON transcript *body*, in the format *form*. Raises `FileFailed`."""
    from sottovoce.job import State
    from sottovoce.request import TranscriptionRequest
    from sottovoce.wire.formats.table import FORMATS, Rendering, encoded
    from sottovoce.wire.timestamps import parse
    from sottovoce.wire.v2.config import parse_job_config
    from sottovoce.wire.v2.job import JobView

    sentences = body.get("translations", {}).get(language)
    if sentences is None:
        raise FileFailed(f"there is no translation into {language} in the transcript")
    config = {member: body["metadata"][member] for member in _CONFIG if member in body["metadata"]}
    request = parse_job_config(json.dumps({"type": "transcription", **config}).encode())
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    transcript = transcript_of(sentences, language, body["job"])
    view = JobView(
        id=body["job"]["id"],
        state=State.DONE,
        created_at=parse(body["job"]["created_at"]),
        data_name=name,
        duration_ms=body["job"]["duration"] * 1000,
        config=None,
    )
    text = encoded(FORMATS[form].render(Rendering(transcript=transcript, job=view, request=request, version="")))
    return text if FORMATS[form].is_binary or text.endswith(b"\n") else text + b"\n"


_CONFIG = ("transcription_config", "output_config")
"""The members that a format looks at: limits of subtitles, diarization."""


def transcript_of(sentences: Sequence[Mapping[str, Any]], language: str, job: Mapping[str, Any]) -> "Transcript":
    """A transcript of translated *sentences*; each word has its share of the time of its sentence, by its letters."""
    from sottovoce.transcript.languages import pack
    from sottovoce.transcript.model import Transcript, samples
    from sottovoce.wire.timestamps import parse

    known = pack(language)
    items = tuple(item for sentence in sentences for item in _items(sentence, known, language))
    return Transcript(
        language=language,
        duration=max([samples(job["duration"]), *(item.end for item in items)]),
        created_at=parse(job["created_at"]),
        items=items,
        channels=tuple(dict.fromkeys(sentence["channel"] for sentence in sentences if "channel" in sentence)),
    )


def _items(sentence: Mapping[str, Any], known: "LanguagePack", language: str) -> "Iterator[Word | Mark]":
    from sottovoce.transcript.model import Mark, Word, samples

    start, end = samples(sentence["start_time"]), samples(sentence["end_time"])
    text = str(sentence["content"])
    parts = text.split() if known.delimiter else list("".join(text.split()))
    total, done = sum(map(len, parts)) or 1, 0
    voice: dict[str, Any] = {
        "language": language,
        "speaker": sentence.get("speaker"),
        "channel": sentence.get("channel"),
    }
    marks = "".join(known.marks)
    for part in parts:
        word = re.sub(f"[{re.escape(marks)}]+$", "", part) if marks else part
        begin, done = done, done + len(part)
        until = start + (end - start) * done // total
        if word:
            yield Word(text=word, start=start + (end - start) * begin // total, end=until, **voice)
        for mark in part[len(word) :]:
            yield Mark(text=mark, at=until, ends_sentence=mark in known.stops, **voice)

"""All output formats of a transcript. A new format is a renderer and a line in this table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import Transcript
from sottovoce.wire.formats import docx, json_v2, srt, txt, vtt
from sottovoce.wire.v2.job import JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a renderer needs: the transcript, its job, the parsed request, and the version of this server.

    *named*: the labels of the transcript are names that people gave, so subtitles show them, too.
    """

    transcript: Transcript
    job: JobView
    request: TranscriptionRequest
    version: str
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An output format.

    *name*: the value of `format` in requests, and with `transcript.` before it the value of `contents` in notifications.
    *suffix*: of file names. *render* returns text, bytes, or a JSON-compatible value if the media type is JSON.
    """

    name: str
    media_type: str
    suffix: str
    title: str
    render: Callable[[Rendering], Any]

    @property
    def is_json(self) -> bool:
        """True if `render` returns a JSON-compatible value."""
        return self.media_type == "application/json"

    @property
    def is_binary(self) -> bool:
        """True if `render` returns bytes, which cannot be part of JSON or be printed."""
        return not (self.is_json or self.media_type.startswith("text/"))


def _json_v2(given: Rendering) -> dict[str, Any]:
    return json_v2.render(json_v2.Source(transcript=given.transcript, job=given.job, version=given.version))


def _txt(given: Rendering) -> str:
    return txt.render(given.transcript, diarization=given.request.diarization)


def _srt(given: Rendering) -> str:
    return srt.render(given.transcript, given.request.subtitles, named=given.named)


def _vtt(given: Rendering) -> str:
    return vtt.render(given.transcript, given.request.subtitles, named=given.named)


def _docx(given: Rendering) -> bytes:
    return docx.render(given.transcript, given.job, diarization=given.request.diarization)


_TEXT = "text/plain; charset=utf-8"

FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format(name="json-v2", media_type="application/json", suffix=".json", title="JSON", render=_json_v2),
        Format(name="txt", media_type=_TEXT, suffix=".txt", title="plain text", render=_txt),
        Format(name="srt", media_type=_TEXT, suffix=".srt", title="SubRip subtitles", render=_srt),
        Format(name="vtt", media_type=_TEXT, suffix=".vtt", title="WebVTT subtitles", render=_vtt),
        Format(name="docx", media_type=docx.MEDIA_TYPE, suffix=".docx", title="Word document", render=_docx),
    )
}
"""By name; the first one is the default. `vtt` and `docx` are ours. Text formats are `text/plain`, as the contract has it."""

DEFAULT = next(iter(FORMATS))


def render(given: Rendering, config: bytes | None, forms: Sequence[str]) -> dict[str, bytes]:
    """*given* in each of *forms*, encoded. *config*: the submitted text of the job, which `job` does not have."""
    whole = replace(given, job=replace(given.job, config=None if config is None else orjson.loads(config)))
    return {form: encoded(FORMATS[form].render(whole)) for form in forms}


def encoded(value: object) -> bytes:
    """A rendered transcript as it is sent: bytes as they are, UTF-8 text, or JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode("utf-8", "replace") if isinstance(value, str) else orjson.dumps(value)

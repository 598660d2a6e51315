"""What one notification sends, byte for byte (contract §9): its address, its headers, the layout and framing of its body,
and what the job's `errors[]` says when it fails.

A failed job is told in the layout that its outputs would have had, with those that exist; where none does, with `jobinfo`, as
JSON: the vendor's own sample receiver asks for `transcript.txt` and reads `id` out of a JSON body when the status is no success.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sottovoce.job import Reason, State
from sottovoce.wire.v2.job import JobView, job_object

USER_AGENT = "Speechmatics-API/2.0"
"""Of notifications (contract §9.4) and of fetching (§6.3)."""
DATA_FILE = "data_file"
"""The part's name when `contents` is absent (contract §9.2)."""
CLOSING = "Sending notification failed"
"""The entry behind that of the last attempt (contract §4)."""

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


class Status(StrEnum):
    """How the job ended, as the query says it (contract §9.3)."""

    SUCCESS = "success"
    ERROR = "error"
    FETCH_ERROR = "fetch_error"
    TRIM_ERROR = "trim_error"


_STATUS_OF = {Reason.FETCH: Status.FETCH_ERROR, Reason.INVALID_AUDIO: Status.TRIM_ERROR}


def status_of(state: State, reason: Reason | None) -> Status:
    """The status of a job that ended in *state*."""
    if state is State.DONE:
        return Status.SUCCESS
    return _STATUS_OF.get(reason, Status.ERROR) if reason else Status.ERROR


class Output(StrEnum):
    """Something that a job may have to give."""

    JOBINFO = "jobinfo"
    JSON = "json-v2"
    TXT = "txt"
    SRT = "srt"
    DATA = "data"
    TEXT = "text"
    WORDS = "alignment.word_start_and_end"
    LINES = "alignment.one_per_line"


CONTENTS: Mapping[str, Output] = {
    "jobinfo": Output.JOBINFO,
    "transcript": Output.JSON,
    "transcript.json-v2": Output.JSON,
    "transcript.txt": Output.TXT,
    "transcript.srt": Output.SRT,
    "data": Output.DATA,
    "text": Output.TEXT,
    "alignment": Output.WORDS,
    "alignment.word_start_and_end": Output.WORDS,
    "alignment.one_per_line": Output.LINES,
}
"""Every value of `contents` (contract §9.1, §10), and what it asks for."""

# contract §9, inferred: the file is named after the job, media and text keep the names that they came with
_FILES = {
    Output.JOBINFO: (".json", JSON),
    Output.JSON: (".json", JSON),
    Output.TXT: (".txt", TEXT),
    Output.SRT: (".srt", TEXT),
    Output.DATA: ("", BYTES),
    Output.TEXT: (".txt", TEXT),
    Output.WORDS: (".txt", TEXT),
    Output.LINES: (".txt", TEXT),
}

# the formats that the contract names (§5.1); a stranger's file name picks from this table and nothing else
_MEDIA = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "amr": "audio/amr",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "flac": "audio/flac",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One item of a body: its *name* in a form, its *filename* (empty: none known) and media type."""

    name: str
    output: Output
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a body holds: nothing, one raw item, or a form of *parts*."""

    parts: tuple[Part, ...]
    multipart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What files of a job are called."""

    job_id: str
    data_name: str = ""
    text_name: str | None = None


def layout(contents: Sequence[str] | None, names: Names, has: frozenset[Output], default: Output) -> Layout:
    """The body for *contents* of a job that *has* some outputs. *default* is what `data_file` means when nothing is asked for.

    Absent `contents` and two or more items make a form, one is sent raw, an empty list sends nothing (contract §9.2).
    """
    asked = [(DATA_FILE, default)] if contents is None else [(item, CONTENTS[item]) for item in contents]
    multipart = contents is None or len(asked) > 1
    found = [part(name, output, names) for name, output in asked if output in has]
    if asked and not found:
        found = [part("jobinfo", Output.JOBINFO, names)]
    return Layout(parts=tuple(found), multipart=multipart)


def part(name: str, output: Output, names: Names) -> Part:
    """*output* of a job as a part called *name*."""
    suffix, content_type = _FILES[output]
    filename = names.job_id + suffix
    if output is Output.DATA:
        filename = names.data_name or names.job_id
        content_type = _MEDIA.get(names.data_name.rpartition(".")[2].lower(), BYTES)
    elif output is Output.TEXT and names.text_name:
        filename = names.text_name
    return Part(name=name, output=output, filename=filename, content_type=content_type)


# --- the body --------------------------------------------------------------------------------------------------------


def content_type(form: Layout, boundary: str) -> str | None:
    """The `Content-Type` of the whole body; `None` when there is none."""
    if form.multipart:
        return f"multipart/form-data; boundary={boundary}"
    return form.parts[0].content_type if form.parts else None


def opening(item: Part, boundary: str) -> bytes:
    """What stands before *item* in a form. Names are escaped as browsers do it (WHATWG HTML, multipart/form-data)."""
    lines = (
        f"--{boundary}",
        f'Content-Disposition: form-data; name="{_escaped(item.name)}"; filename="{_escaped(item.filename)}"',
        f"Content-Type: {item.content_type}",
        "",
        "",
    )
    return "\r\n".join(lines).encode("utf-8", "replace")


AFTER = b"\r\n"
"""What stands behind each part of a form."""


def closing(boundary: str) -> bytes:
    """What ends a form."""
    return f"--{boundary}--\r\n".encode()


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def length(form: Layout, sizes: Sequence[int], boundary: str) -> int:
    """Bytes of the whole body when its parts have *sizes*: stores behind signed addresses take no body of unknown length."""
    if not form.multipart:
        return sum(sizes)
    framing = sum(len(opening(item, boundary)) + len(AFTER) for item in form.parts)
    return framing + sum(sizes) + len(closing(boundary))


# --- the address and the headers -------------------------------------------------------------------------------------


def address(url: str, job_id: str, status: Status) -> str:
    """*url* with `id` and `status` at the end of its query, in this order, and without its fragment (contract §9.1)."""
    base = url.partition("#")[0]
    joint = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{joint}id={job_id}&status={status}"


def callers_lines(lines: Iterable[str], keep: frozenset[str]) -> tuple[str, ...]:
    """The caller's header *lines* but those whose (lower-case) name is in *keep*, which are ours alone."""
    return tuple(line for line in lines if line.partition(":")[0].strip().lower() not in keep)


# --- jobinfo ---------------------------------------------------------------------------------------------------------

_TRACKING = ("title", "reference", "tags", "details")
_FETCHES = ("fetch_data", "fetch_text")


def jobinfo(view: JobView, number: int | None = None) -> dict[str, Any]:
    """The job as it is told to receiver *number* of `notification_config`: JobInfo at the top, with `config` and `status`.

    No credentials of others go out: of `notification_config` there is the receiver's own entry, and no `auth_headers` at all.
    """
    body = job_object(view)
    config = view.config if isinstance(view.config, dict) else {}
    if view.config is not None:
        body["config"] = _told(config, number)
    given = config.get("tracking")
    if isinstance(given, dict) and (tracking := {k: given[k] for k in _TRACKING if given.get(k) is not None}):
        body["tracking"] = tracking
    return dict(sorted(body.items()))


def _told(config: dict[str, Any], number: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in config.items():
        if name == "notification_config":
            entries = [value] if isinstance(value, dict) else value
            if isinstance(entries, list) and number is not None and number < len(entries):
                told[name] = [_without_headers(entries[number])]
        else:
            told[name] = _without_headers(value) if name in _FETCHES and isinstance(value, dict) else value
    return told


def _without_headers(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "auth_headers"}


# --- what is said of failures ----------------------------------------------------------------------------------------

_USERINFO = re.compile(r"(?<=://)[^/?#]*@")


def answered(status: int) -> str:
    """A receiver answered something else than 2xx (contract §4)."""
    return f"Response status: {status}"


def timed_out(method: str, url: str) -> str:
    """A receiver did not answer in time (contract §4); *url* with its whole query."""
    return broken(method, url, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


def broken(method: str, url: str, why: str) -> str:
    """There was no answer, for another reason. A password in *url* is not shown."""
    shown = _USERINFO.sub("***@", url).replace('"', '\\"')
    return f'HTTPError: {method.capitalize()} "{shown}": {why}'


def entries(failure: str, *, last: bool) -> tuple[str, ...]:
    """What `errors[]` gets for an attempt that failed (contract §4)."""
    if last:
        return (f"unable to send notification: unable to send notification: {failure}", CLOSING)
    return (f"Error in sending notification: unable to send notification: {failure}, retrying",)

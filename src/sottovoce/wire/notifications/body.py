"""The bytes of one notification (contract §9), and the entries that `errors[]` of the job gets when it fails.

The notification of a failed job has the same layout as that of a successful one, with the outputs that exist, or with
`jobinfo` as JSON if there are none: the vendor's sample receiver requests `transcript.txt` and reads `id` from a JSON body
when the status is not success.

In order: the status, the outputs and the layout; the body; the address and the headers; `jobinfo`; the texts of failures.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sottovoce.job import Reason, State
from sottovoce.wire.formats.table import DEFAULT, FORMATS
from sottovoce.wire.v2.job import JobView, job_object

USER_AGENT = "Speechmatics-API/2.0"
"""The `User-Agent` of notifications (contract §9.4) and of fetches (§6.3)."""
DATA_FILE = "data_file"
"""The name of the part when `contents` is absent (contract §9.2)."""
CLOSING = "Sending notification failed"
"""The entry after that of the last attempt (contract §4)."""

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


class Status(StrEnum):
    """How the job ended: the value of `status` in the query (contract §9.3)."""

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
    """An output of a job besides its transcript that a notification can contain."""

    JOBINFO = "jobinfo"
    DATA = "data"
    TEXT = "text"
    WORDS = "alignment.word_start_and_end"
    LINES = "alignment.one_per_line"


_PREFIX = "transcript."
TRANSCRIPT = _PREFIX + DEFAULT
"""The output that is the transcript in the default format."""

CONTENTS: Mapping[str, str] = {
    "jobinfo": Output.JOBINFO,
    "transcript": TRANSCRIPT,
    **{_PREFIX + name: _PREFIX + name for name in FORMATS},
    "data": Output.DATA,
    "text": Output.TEXT,
    "alignment": Output.WORDS,
    "alignment.word_start_and_end": Output.WORDS,
    "alignment.one_per_line": Output.LINES,
}
"""Every value of `contents` (contract §9.1, §10) and the output that it requests: an `Output`, or `transcript.` and a format."""


def transcript_format(output: str) -> str | None:
    """The name of the format of *output*; None if it is no transcript."""
    return output.removeprefix(_PREFIX) if output.startswith(_PREFIX) else None


# suffix and media type; contract §9, inferred: a file is named after the job, media and text keep their submitted names
_FILES: Mapping[str, tuple[str, str]] = {
    Output.JOBINFO: (".json", JSON),
    **{_PREFIX + each.name: (each.suffix, each.media_type) for each in FORMATS.values()},
    Output.DATA: ("", BYTES),
    Output.TEXT: (".txt", TEXT),
    Output.WORDS: (".txt", TEXT),
    Output.LINES: (".txt", TEXT),
}

# the formats that the contract names (§5.1); the caller's file name can only select a media type of this table
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
    """One item of a body: its *name* in a form, its *filename* (empty if unknown) and media type."""

    name: str
    output: str
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The structure of a body: empty, one raw item, or a multipart form of *parts*."""

    parts: tuple[Part, ...]
    multipart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The id and the submitted file names of a job, from which the file names of parts are made."""

    job_id: str
    data_name: str = ""
    text_name: str | None = None


def layout(contents: Sequence[str] | None, names: Names, has: frozenset[str], default: str) -> Layout:
    """The layout of the body for *contents* of a job with the outputs *has*.

    *default* is the output that is sent as `data_file` when *contents* is `None`. Absent `contents` and two or more items
    give a form, one item is sent raw, an empty list gives an empty body (contract §9.2).
    """
    asked = [(DATA_FILE, default)] if contents is None else [(item, CONTENTS[item]) for item in contents]
    multipart = contents is None or len(asked) > 1
    found = [part(name, output, names) for name, output in asked if output in has]
    if asked and not found:
        found = [part("jobinfo", Output.JOBINFO, names)]
    return Layout(parts=tuple(found), multipart=multipart)


def part(name: str, output: str, names: Names) -> Part:
    """The part called *name* with *output* of a job."""
    suffix, content_type = _FILES[output]
    filename = names.job_id + suffix
    if output == Output.DATA:
        filename = names.data_name or names.job_id
        content_type = _MEDIA.get(names.data_name.rpartition(".")[2].lower(), BYTES)
    elif output == Output.TEXT and names.text_name:
        filename = names.text_name
    return Part(name=name, output=output, filename=filename, content_type=content_type)


# --- the body --------------------------------------------------------------------------------------------------------


def content_type(form: Layout, boundary: str) -> str | None:
    """The `Content-Type` of the whole body; `None` for an empty body."""
    if form.multipart:
        return f"multipart/form-data; boundary={boundary}"
    return form.parts[0].content_type if form.parts else None


def opening(item: Part, boundary: str) -> bytes:
    """The bytes before *item* in a form. Names are escaped as in browsers (WHATWG HTML, multipart/form-data)."""
    lines = (
        f"--{boundary}",
        f'Content-Disposition: form-data; name="{_escaped(item.name)}"; filename="{_escaped(item.filename)}"',
        f"Content-Type: {item.content_type}",
        "",
        "",
    )
    return "\r\n".join(lines).encode("utf-8", "replace")


AFTER = b"\r\n"
"""The bytes after each part of a form."""


def closing(boundary: str) -> bytes:
    """The bytes at the end of a form."""
    return f"--{boundary}--\r\n".encode()


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def length(form: Layout, sizes: Sequence[int], boundary: str) -> int:
    """The length in bytes of the whole body when its parts have *sizes*.

    It is sent because object stores behind signed URLs refuse a body of unknown length.
    """
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
    """The caller's header *lines* without those whose lower-case name is in *keep*: only the service sets these headers."""
    return tuple(line for line in lines if line.partition(":")[0].strip().lower() not in keep)


# --- jobinfo ---------------------------------------------------------------------------------------------------------

_TRACKING = ("title", "reference", "tags", "details")
_FETCHES = ("fetch_data", "fetch_text")


def jobinfo(view: JobView, number: int | None = None) -> dict[str, Any]:
    """The job as it is sent to receiver *number* of `notification_config`: JobInfo at the top level, with `config` and `status`.

    It contains no credentials of other receivers: only the receiver's own entry of `notification_config`, and no
    `auth_headers`.
    """
    body = job_object(view)
    config = view.config if isinstance(view.config, dict) else {}
    if view.config is not None:
        body["config"] = _config_for(config, number)
    given = config.get("tracking")
    if isinstance(given, dict) and (tracking := {k: given[k] for k in _TRACKING if given.get(k) is not None}):
        body["tracking"] = tracking
    return dict(sorted(body.items()))


def _config_for(config: dict[str, Any], number: int | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in config.items():
        if name == "notification_config":
            entries = [value] if isinstance(value, dict) else value
            if isinstance(entries, list) and number is not None and number < len(entries):
                shown[name] = [_without_headers(entries[number])]
        else:
            shown[name] = _without_headers(value) if name in _FETCHES and isinstance(value, dict) else value
    return shown


def _without_headers(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "auth_headers"}


# --- the texts of failures -------------------------------------------------------------------------------------------

_USERINFO = re.compile(r"(?<=://)[^/?#]*@")


def answered(status: int) -> str:
    """The text for a response of a receiver that is not 2xx (contract §4)."""
    return f"Response status: {status}"


def timed_out(method: str, url: str) -> str:
    """The text for a receiver that did not respond in time (contract §4); *url* with its whole query."""
    return broken(method, url, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


def broken(method: str, url: str, why: str) -> str:
    """The text for a missing response with another reason *why*. Credentials in *url* are replaced by `***`."""
    shown = _USERINFO.sub("***@", url).replace('"', '\\"')
    return f'HTTPError: {method.capitalize()} "{shown}": {why}'


def entries(failure: str, *, last: bool) -> tuple[str, ...]:
    """The entries of `errors[]` for an attempt that failed (contract §4)."""
    if last:
        return (f"unable to send notification: unable to send notification: {failure}", CLOSING)
    return (f"Error in sending notification: unable to send notification: {failure}, retrying",)

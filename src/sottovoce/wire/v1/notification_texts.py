"""The mails about a V1 job and the layout and address of its callback (contract `legacy-v1.md` §3, §6)."""

from dataclasses import dataclass

from sottovoce.wire.notifications.body import DATA_FILE, JSON, TEXT, TRANSCRIPT, Layout, Output, Part
from sottovoce.wire.v1.responses import stem

_ENDS = {
    "done": "is done. Its output can be fetched with job id {number}.",
    "unsupported_file_format": "could not be processed: the file's format is not supported, or it holds no audio.",
    "could_not_align": "could not be processed: the text could not be aligned to the audio.",
    "rejected": "could not be processed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A mail about a job."""

    subject: str
    body: str


def ended(*, number: int, name: str, status: str) -> Notice:
    """The mail about the end of a job with *status*, a `job_status`."""
    end = _ENDS[status].format(number=number)
    return Notice(subject=f"Job {number}: {status}", body=f"Job {number} ({_shown(name)}) {end}\n")


def not_called(*, number: int, name: str, place: str, outcome: str) -> Notice:
    """The mail about a callback that failed at every attempt; *outcome* names the HTTP status if there was a response."""
    body = (
        f"Job {number} ({_shown(name)}) is done, but its callback to {place} failed at every attempt.\n"
        f"The last one: {outcome}.\nIts output can still be fetched with job id {number}.\n"
    )
    return Notice(subject=f"Job {number}: callback failed", body=body)


def _shown(name: str) -> str:
    """*name* of a file on one line, for a mail."""
    return " ".join(name.split()) or "no name"


def callback_layout(*, name: str, aligns: bool) -> Layout:
    """The layout of a callback: one part, the transcript or the aligned text. *name*: the file name of the media or text."""
    suffix, kind = (".txt", TEXT) if aligns else (".json", JSON)
    output = Output.WORDS if aligns else TRANSCRIPT
    part = Part(name=DATA_FILE, output=output, filename=stem(name or "transcript") + suffix, content_type=kind)
    return Layout(parts=(part,), multipart=True)


def callback_address(url: str, number: int) -> str:
    """*url* with `id` at the end of its query, and without its fragment."""
    base = url.partition("#")[0]
    joint = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{joint}id={number}"

"""The bodies of V1 responses (contract `legacy-v1.md` §2), made from the same jobs as V2's. Members in the order of its samples.

In order: dates, jobs, accounts, the status of the service, transcripts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sottovoce.job import LIVE, JobType, Reason, State
from sottovoce.request import Diarization
from sottovoce.transcript.model import (
    RATE,
    UNKNOWN_SPEAKER,
    Entity,
    Item,
    Mark,
    Samples,
    SpeakerLabel,
    Transcript,
    Word,
)
from sottovoce.wire.formats import txt
from sottovoce.wire.v2.job import whole_seconds

FORMAT = "1.0"
HIGH = 165.0
"""Hz of median pitch from which a voice is labelled F: the boundary between the usual ranges of men's and women's voices."""
_IN_PROGRESS = {JobType.TRANSCRIPTION: "transcribing", JobType.ALIGNMENT: "aligning"}
_FAILED = {Reason.INVALID_AUDIO: "unsupported_file_format", Reason.NOT_ALIGNABLE: "could_not_align"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# ── dates ──


def rfc1123(at: int) -> str:
    """Epoch ms as `Wed, 04 Dec 2013 16:00:47 GMT`; English in every locale of the server."""
    when = datetime.fromtimestamp(at // 1000, UTC)
    return f"{_DAYS[when.weekday()]}, {when.day:02} {_MONTHS[when.month - 1]} {when:%Y %H:%M:%S} GMT"


def ctime(at: int) -> str:
    """Epoch ms as `Thu Jan 01 00:00:00 1970`, UTC: the form inside a transcript (contract §2.7)."""
    when = datetime.fromtimestamp(at // 1000, UTC)
    return f"{_DAYS[when.weekday()]} {_MONTHS[when.month - 1]} {when.day:02} {when:%H:%M:%S %Y}"


# ── jobs ──


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyView:
    """The fields of a job that V1 shows. *user_id* is the caller; *check_wait* in seconds, for a job that is not finished."""

    number: int
    user_id: int
    type: JobType
    state: State
    reason: Reason | None
    lang: str
    name: str
    text_name: str | None
    duration_ms: int
    created_at: int
    notification: str
    meta: str | None
    diarisation: bool
    check_wait: int

    @property
    def wait(self) -> int | None:
        """`check_wait`: a number for every job that is not finished, since a client sleeps for that time (contract §2.4)."""
        return self.check_wait if self.state in LIVE else None


def ended_as(reason: Reason | None) -> str:
    """`job_status` of a job that ended; *reason* is the reason for rejection, `None` for a finished job."""
    return "done" if reason is None else _FAILED.get(reason, "rejected")


def status(view: LegacyView) -> str:
    """`job_status` of a job (contract §7)."""
    if view.state in LIVE:
        return _IN_PROGRESS[view.type]
    if view.state is State.REJECTED:
        return ended_as(view.reason or Reason.ENGINE)
    return "expired" if view.state is State.EXPIRED else "done"


def job_object(view: LegacyView, now: int) -> dict[str, Any]:
    """The job as JSON at *now* (epoch ms)."""
    wait = view.wait
    aligns = view.type is JobType.ALIGNMENT
    body: dict[str, Any] = {"alignment": _output(view.text_name or "", ".txt", view)} if aligns else {}
    body |= {
        "check_wait": wait,
        "created_at": rfc1123(view.created_at),
        "duration": whole_seconds(view.duration_ms),
        "id": view.number,
        "job_status": status(view),
        "job_type": view.type.value,
        "lang": view.lang,
        "meta": view.meta,
        "name": view.name,
        "next_check": 0 if wait is None else now // 1000 + wait,
        "notification": view.notification,
    }
    body |= {"text_name": view.text_name or ""} if aligns else {"transcription": _output(view.name, ".json", view)}
    return body | {"url": f"/v1.0/user/{view.user_id}/jobs/{view.number}/audio", "user_id": view.user_id}


def stem(name: str) -> str:
    """*name* without its last suffix."""
    base, dot, _ = name.rpartition(".")
    return base if dot and base else name


def _output(name: str, suffix: str, view: LegacyView) -> str | None:
    """The name of the output file; `None` while there is none, and for a job that failed (contract §6).

    A job that was done and has expired is not in progress: it has a name, although its tombstone has not that of the media.
    """
    was_done = view.state is State.DONE or (view.state is State.EXPIRED and view.reason is None)
    return stem(name) + suffix if was_done else None


def accepted(*, number: int, cost: int, balance: int, wait: int | None) -> dict[str, Any]:
    """The response to the POST of a job."""
    return {"balance": balance, "check_wait": wait, "cost": cost, "id": number}


# ── accounts ──


def user_object(*, user_id: int, email: str | None, balance: int) -> dict[str, Any]:
    """An account; `email` is empty for an account without an address."""
    return {"user": {"balance": balance, "email": email or "", "id": user_id}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A change of a balance by *amount* credits at *at* (epoch ms). *kind*: added, removed, charge or refund.

    *name*: the file name of the job's media, empty after its removal.
    """

    amount: int
    at: int
    kind: str
    name: str = ""
    type: JobType = JobType.TRANSCRIPTION


def payment_object(payment: Payment) -> dict[str, Any]:
    """A payment as JSON; `balance` is the change of the balance (contract §2.9)."""
    return {"balance": payment.amount, "created_at": rfc1123(payment.at), "description": _description(payment)}


def _description(payment: Payment) -> str:
    if payment.kind in {"added", "removed"}:
        return f"{abs(payment.amount):,} credits {payment.kind}"
    what = "Transcription" if payment.type is JobType.TRANSCRIPTION else "Alignment"
    done = what + (f" of {payment.name}" if payment.name else "")
    return done if payment.kind == "charge" else f"Refund: {done}"


# ── the service ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The load of the service. *turnaround* and *queue* in minutes, *at* in epoch ms."""

    turnaround: float
    queue: float
    known_issues: bool
    slow: bool
    at: int


def status_object(condition: Condition) -> dict[str, Any]:
    """The body of `/status` (contract §2.10)."""
    return {
        "Average_Turnaround_Mins": round(condition.turnaround),
        "Known_Issues": condition.known_issues,
        "Queue_Length_Mins": round(condition.queue),
        "Status": "Slow" if condition.slow else "Good",
        "Time_UTC": rfc1123(condition.at),
    }


# ── transcripts ──


def transcript_object(transcript: Transcript, view: LegacyView) -> dict[str, Any]:
    """The transcript, format 1.0. Readers find the speaker of a word by the turn whose span contains it (contract §2.7)."""
    shown = named(transcript, view)
    return {
        "job": {
            "lang": view.lang,
            "user_id": view.user_id,
            "name": view.name,
            "duration": whole_seconds(view.duration_ms),
            "created_at": ctime(view.created_at),
            "id": view.number,
        },
        "speakers": [_entry(name, start, end, None) for name, start, end in _turns(shown.items)],
        "words": [entry for item in shown.items for entry in _entries(item)],
        "format": FORMAT,
    }


def transcript_text(transcript: Transcript, view: LegacyView) -> str:
    """The transcript as text, in turns if speakers are known."""
    shown = named(transcript, view)
    known = any(item.speaker for item in shown.items)
    return txt.render(shown, diarization=Diarization.SPEAKER if known else Diarization.NONE)


def named(transcript: Transcript, view: LegacyView) -> Transcript:
    """*transcript* with the speaker names of V1, `M1`, `F1`, `M2`, … by first appearance; without speakers if not requested.

    The letter is estimated from the pitch of the voice, M if the pitch is unknown; each letter is numbered separately
    (contract §6).
    """
    high = {speaker.label for speaker in transcript.speakers if (speaker.pitch or 0) >= HIGH}
    counts: Counter[str] = Counter()
    names: dict[SpeakerLabel, SpeakerLabel] = {}
    items: list[Item] = []
    for item in transcript.items:
        speaker = item.speaker if view.diarisation else None
        if speaker is None or speaker == UNKNOWN_SPEAKER:
            items.append(replace(item, speaker=None))
            continue
        if speaker not in names:
            letter = "F" if speaker in high else "M"
            counts[letter] += 1
            names[speaker] = f"{letter}{counts[letter]}"
        items.append(replace(item, speaker=names[speaker]))
    return replace(transcript, items=tuple(items), speakers=())


def _turns(items: Sequence[Item]) -> Iterator[tuple[SpeakerLabel, Samples, Samples]]:
    """The turns as (speaker, start, end); punctuation marks are ignored."""
    turn: tuple[SpeakerLabel, Samples, Samples] | None = None
    for item in items:
        if isinstance(item, Mark):
            continue
        if turn is not None and item.speaker == turn[0]:
            turn = turn[0], turn[1], max(turn[2], item.end)
            continue
        if turn is not None:
            yield turn
        turn = None if item.speaker is None else (item.speaker, item.start, item.end)
    if turn is not None:
        yield turn


def _entries(item: Item) -> Iterator[dict[str, Any]]:
    """The entries of *item*: one for a word or a mark, one per written word for an entity."""
    match item:
        case Mark():
            yield _entry(item.text, item.at, item.at, None)
        case Word():
            yield _entry(item.text, item.start, item.end, _confidence(item))
        case Entity():
            for word in item.written:
                sure = word.confidence if word.confidence is not None else item.confidence
                yield _entry(word.text, word.start, word.end, _decimals(1.0 if sure is None else sure))


def _confidence(word: Word) -> str:
    return _decimals(1.0 if word.confidence is None else word.confidence)


def _entry(name: str, start: Samples, end: Samples, confidence: str | None) -> dict[str, Any]:
    return {
        "duration": _decimals((end - start) / RATE),
        "confidence": confidence,
        "name": name,
        "time": _decimals(start / RATE),
    }


def _decimals(value: float) -> str:
    """*value* as text with three decimals, which V1 clients compare."""
    return f"{value:.3f}"

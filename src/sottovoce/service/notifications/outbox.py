"""What is told to the world when a job ends: a row for each receiver, made in the transaction that ends the job.

A delivery's id never changes; receivers know repeated attempts by it. `attempts` fences as `jobs.attempt` does: an attempt is
recorded once, whoever made it, and the next one is enqueued in the same transaction (docs/notifications.md).
"""

import asyncio
import json
import logging
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from sottovoce.errors import Refused
from sottovoce.job import Reason
from sottovoce.request import Notification
from sottovoce.service.email.smtp import Mail
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.repository import Job
from sottovoce.service.queue.dbos_queue import Errand, JobQueue, entry_of
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms
from sottovoce.service.storage.encryption import Vault
from sottovoce.wire.notifications.body import status_of
from sottovoce.wire.v1 import form, notification_texts, responses
from sottovoce.wire.v2.config import parse_job_config

_log = logging.getLogger(__name__)

_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 20


class Kind(StrEnum):
    """How it goes out."""

    NOTIFICATION = "notification"
    CALLBACK = "callback"  # V1's
    MAIL = "mail"


class State(StrEnum):
    """Where a delivery is; one whose job was removed is no more."""

    WAITING = "waiting"  # for its next attempt, or in the middle of it
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as stored. Instants in epoch ms; *target* is sealed, *place* and *outcome* may be shown."""

    id: str
    job_id: str | None  # none: a mail about an account
    kind: Kind
    number: int
    status: str
    target: bytes
    place: str
    state: State
    attempts: int
    tries: int
    next_at: int | None
    outcome: str | None
    created_at: int
    ended_at: int | None

    @property
    def next_entry(self) -> str:
        """The queue's name for the attempt that comes next, or is under way."""
        return entry_of(Errand.DELIVERY, self.id, self.attempts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Something ready to be posted: *target* is sealed, *place* may be shown."""

    kind: Kind
    number: int
    target: bytes
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """V1's notice of a finished job: the transcript to *url*; when nobody takes it, a mail to *email* says so."""

    url: str
    email: str | None


_COLUMNS = [t.deliveries.c[name] for name in Delivery.__dataclass_fields__]


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})


# --- what is sealed --------------------------------------------------------------------------------------------------


def notification_of(vault: Vault, target: bytes) -> Notification:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    plain = json.loads(vault.unseal(target))
    contents = plain["contents"]
    return Notification(
        url=plain["url"],
        contents=None if contents is None else tuple(contents),
        method=plain["method"],
        auth_headers=tuple(plain["auth_headers"]),
    )


def mail_of(vault: Vault, target: bytes) -> Mail:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    plain = json.loads(vault.unseal(target))
    return Mail(**{**plain, "attachments": tuple(plain["attachments"])})


def callback_of(vault: Vault, target: bytes) -> Callback:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    return Callback(**json.loads(vault.unseal(target)))


def _seal(vault: Vault, content: Notification | Callback | Mail) -> bytes:
    return vault.seal(json.dumps(asdict(content)).encode())


def place_of(url: str) -> str:
    """As much of *url* as may be shown: a path or a query may be the secret itself."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


# --- posting ---------------------------------------------------------------------------------------------------------


class Outbox:
    """Where ends of jobs become deliveries. *tries*: how often each kind is attempted; *mails*: whether there is a mail server."""

    def __init__(self, vault: Vault, queue: JobQueue, tries: Mapping[Kind, int], *, mails: bool = True) -> None:
        self._vault = vault
        self._queue = queue
        self._tries = tries
        self.mails = mails

    async def addressed(self, job: Job, reason: Reason | None = None) -> tuple[Envelope, ...]:
        """Whom *job* wants told that it is done, or was rejected for *reason*. Never raises for what nobody can read (any more)."""
        return await asyncio.to_thread(self.envelopes, job, reason)

    def envelopes(self, job: Job, reason: Reason | None = None) -> tuple[Envelope, ...]:
        """As `addressed`; a hostile config may take most of a second."""
        try:
            return self._legacy(job, reason) if job.legacy is not None else self._configured(job)
        except (ValueError, Refused) as error:
            _log.warning("nobody can be told of a job", extra={"job": job.id, "why": type(error).__name__})
            return ()

    def _configured(self, job: Job) -> tuple[Envelope, ...]:
        if job.config is None:
            return ()
        request = parse_job_config(self._vault.unseal(job.config))
        return tuple(
            Envelope(kind=Kind.NOTIFICATION, number=number, target=_seal(self._vault, entry), place=place_of(entry.url))
            for number, entry in enumerate(request.notifications)
        )

    def _legacy(self, job: Job, reason: Reason | None) -> tuple[Envelope, ...]:
        """V1 has no callback for a failed job: its owner gets a mail (contract `legacy-v1.md` §6)."""
        wanted = form.load(self._vault.unseal(job.legacy or b""))
        if wanted.notification is form.Notify.CALLBACK and wanted.callback and reason is None:
            target = Callback(url=wanted.callback, email=wanted.email)
            return (
                Envelope(
                    kind=Kind.CALLBACK, number=0, target=_seal(self._vault, target), place=place_of(wanted.callback)
                ),
            )
        if wanted.notification is form.Notify.NONE or not wanted.email or not self.mails:
            return ()
        told = notification_texts.ended(number=job.v1_id, name=job.data_name, status=responses.ended_as(reason))
        return (self.mailed(Mail(to=wanted.email, subject=told.subject, body=told.body)),)

    def mailed(self, mail: Mail) -> Envelope:
        """*mail*, ready to be posted."""
        return Envelope(kind=Kind.MAIL, number=0, target=_seal(self._vault, mail), place="mail")

    def announce(self, connection: sa.Connection, mail: Mail) -> None:
        """Post *mail*, which is about no job."""
        self._insert(connection, self.mailed(mail), job_id=None, status="")

    def post(self, connection: sa.Connection, job_id: str, envelopes: Sequence[Envelope]) -> None:
        """Make *envelopes* deliveries of the job, in the transaction that has just ended it."""
        found = repository.get(connection, job_id) if envelopes else None
        if found is None:
            return
        status = status_of(found.state, found.reason)
        for envelope in envelopes:
            self._insert(connection, envelope, job_id=job_id, status=status.value)

    def _insert(self, connection: sa.Connection, envelope: Envelope, *, job_id: str | None, status: str) -> None:
        delivery_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
        connection.execute(
            sa.insert(t.deliveries).values(
                id=delivery_id,
                job_id=job_id,
                kind=envelope.kind.value,
                number=envelope.number,
                status=status,
                target=envelope.target,
                place=envelope.place,
                state=State.WAITING.value,
                attempts=0,
                tries=self._tries[envelope.kind],
                next_at=now_ms(),
                created_at=now_ms(),
            )
        )
        self._queue.go(connection, Errand.DELIVERY, delivery_id, 1)


# --- statements ------------------------------------------------------------------------------------------------------


def get(connection: sa.Connection, delivery_id: str) -> Delivery | None:
    """The delivery *delivery_id*."""
    row = connection.execute(sa.select(*_COLUMNS).where(t.deliveries.c.id == delivery_id)).mappings().first()
    return _delivery(row) if row else None


def listing(
    connection: sa.Connection, *, job_id: str | None = None, state: State | None = None, limit: int = 1000
) -> list[Delivery]:
    """Deliveries of one job or of all, newest first."""
    statement = sa.select(*_COLUMNS).order_by(t.deliveries.c.created_at.desc(), t.deliveries.c.id).limit(limit)
    if job_id is not None:
        statement = statement.where(t.deliveries.c.job_id == job_id)
    if state is not None:
        statement = statement.where(t.deliveries.c.state == state.value)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def entries(connection: sa.Connection, job_id: str) -> list[str]:
    """The queue's names of what is still to be attempted for a job: to be stopped when it is removed."""
    return [each.next_entry for each in listing(connection, job_id=job_id, state=State.WAITING)]


def record(
    connection: sa.Connection, delivery_id: str, attempt: int, *, state: State, outcome: str, next_in: float | None
) -> bool:
    """Write down how *attempt* went. False when that was done before, or the delivery is no more: then do nothing else."""
    ended = state is not State.WAITING
    statement = (
        sa.update(t.deliveries)
        .where(
            t.deliveries.c.id == delivery_id,
            t.deliveries.c.attempts == attempt - 1,
            t.deliveries.c.state == State.WAITING.value,
        )
        .values(
            attempts=attempt,
            state=state.value,
            outcome=outcome,
            next_at=None if next_in is None else now_ms() + round(next_in * 1000),
            ended_at=now_ms() if ended else None,
        )
    )
    return connection.execute(statement).rowcount == 1


def retry(connection: sa.Connection, delivery_id: str, tries: Mapping[Kind, int]) -> Delivery | None:
    """Give a delivery that failed as many tries as it had at first; `None` when it has not failed. The caller enqueues it."""
    found = get(connection, delivery_id)
    if found is None:
        return None
    statement = (
        sa.update(t.deliveries)
        .where(t.deliveries.c.id == delivery_id, t.deliveries.c.state == State.FAILED.value)
        .values(
            state=State.WAITING.value,
            tries=t.deliveries.c.attempts + tries[found.kind],
            next_at=now_ms(),
            ended_at=None,
        )
    )
    return get(connection, delivery_id) if connection.execute(statement).rowcount else None


def overdue(connection: sa.Connection, by_ms: int, limit: int) -> list[Delivery]:
    """Deliveries whose next attempt should have been recorded *by_ms* ago, oldest first."""
    where = (t.deliveries.c.state == State.WAITING.value, t.deliveries.c.next_at < now_ms() - by_ms)
    statement = sa.select(*_COLUMNS).where(*where).order_by(t.deliveries.c.next_at).limit(limit)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def forget(connection: sa.Connection, before_ms: int) -> int:
    """Remove mails about accounts that ended *before_ms* ago or earlier: they hold addresses and links. How many."""
    theirs = (t.deliveries.c.job_id.is_(None), t.deliveries.c.ended_at < now_ms() - before_ms)
    return connection.execute(sa.delete(t.deliveries).where(*theirs)).rowcount

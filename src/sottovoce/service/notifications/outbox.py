"""The outbox: one delivery for each receiver of a job's end, stored in the transaction that ends the job.

A delivery's id never changes, so that receivers can detect repeated attempts. `attempts` is a fencing counter as `jobs.attempt`
is: each attempt is recorded once, and the next one is enqueued in the same transaction (docs/notifications.md).
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import Reason
from sottovoce.service.email.smtp import NO_ADDRESS, NOT_CONFIGURED, Mail
from sottovoce.service.notifications import repository
from sottovoce.service.notifications.model import (
    _ALPHABET,
    ID_LENGTH,
    Callback,
    Delivery,
    Kind,
    PendingDelivery,
    State,
    _encrypted,
    display_host,
)
from sottovoce.service.queue.port import JobQueue, TaskKind
from sottovoce.service.storage import job_requests
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.wire.notifications.body import status_of
from sottovoce.wire.v1 import form, notification_texts, responses

_log = logging.getLogger(__name__)


class EndedJob(Protocol):
    """What the outbox reads of a job that has ended. *config*, *request* and *legacy* are encrypted."""

    @property
    def id(self) -> str:
        """The job's id."""

    @property
    def v1_id(self) -> int:
        """Its number in V1."""

    @property
    def data_name(self) -> str:
        """The file name of its media."""

    @property
    def config(self) -> bytes | None:
        """The submitted config; None once the job is removed."""

    @property
    def request(self) -> bytes | None:
        """The parsed config; None also for a job of a release that did not store it."""

    @property
    def legacy(self) -> bytes | None:
        """The V1 request of a job that was submitted through V1."""


class Outbox:
    """Stores deliveries. *tries*: the number of attempts of each kind; *mails*: true if a mail server is configured."""

    def __init__(self, encryptor: Encryptor, queue: JobQueue, tries: Mapping[Kind, int], *, mails: bool = True) -> None:
        self._encryptor = encryptor
        self._queue = queue
        self._tries = tries
        self.mails = mails

    async def prepare(self, ended: EndedJob, reason: Reason | None = None) -> tuple[PendingDelivery, ...]:
        """Return the deliveries that *ended*, done or rejected for *reason*, requests. Runs in a thread; does not raise."""
        return await asyncio.to_thread(self.envelopes, ended, reason)

    def envelopes(self, ended: EndedJob, reason: Reason | None = None) -> tuple[PendingDelivery, ...]:
        """Like `prepare`, but blocking: a maliciously built config may take most of a second."""
        try:
            return self._legacy(ended, reason) if ended.legacy is not None else self._configured(ended)
        except ValueError as error:
            _log.error("notifications of a job cannot be read", extra={"job": ended.id, "why": str(error)})
            return ()

    def _configured(self, ended: EndedJob) -> tuple[PendingDelivery, ...]:
        if (request := job_requests.request_of(self._encryptor, ended)) is None:
            return ()
        return tuple(
            PendingDelivery(
                kind=Kind.NOTIFICATION,
                number=number,
                target=_encrypted(self._encryptor, entry),
                place=display_host(entry.url),
            )
            for number, entry in enumerate(request.notifications)
        )

    def _legacy(self, ended: EndedJob, reason: Reason | None) -> tuple[PendingDelivery, ...]:
        """Return the callback or mail of a V1 job. For a failed job V1 sends a mail, no callback (contract `legacy-v1.md` §6)."""
        wanted = form.load(self._encryptor.decrypt(ended.legacy or b""))
        if wanted.notification is form.Notify.CALLBACK and wanted.callback and reason is None:
            target = Callback(url=wanted.callback, email=wanted.email)
            return (
                PendingDelivery(
                    kind=Kind.CALLBACK,
                    number=0,
                    target=_encrypted(self._encryptor, target),
                    place=display_host(wanted.callback),
                ),
            )
        if wanted.notification is form.Notify.NONE:
            return ()
        text = notification_texts.ended(number=ended.v1_id, name=ended.data_name, status=responses.ended_as(reason))
        return (self.mailed(Mail(to=wanted.email or "", subject=text.subject, body=text.body)),)

    def mailed(self, mail: Mail) -> PendingDelivery:
        """Return a pending delivery of *mail*; a refused one without a mail server or an address."""
        refused = NOT_CONFIGURED if not self.mails else None if mail.to else NO_ADDRESS
        return PendingDelivery(
            kind=Kind.MAIL, number=0, target=_encrypted(self._encryptor, mail), place="mail", refused=refused
        )

    def enqueue_mail(self, connection: sa.Connection, mail: Mail) -> None:
        """Store and enqueue *mail*, which belongs to no job."""
        self._insert(connection, self.mailed(mail), job_id=None, status="")

    def send_again(self, connection: sa.Connection, delivery_id: str) -> Delivery | None:
        """Enqueue the failed delivery *delivery_id* with its initial number of attempts; `None` if it has not failed."""
        found = repository.retry(connection, delivery_id, self._tries)
        if found is not None:
            self._queue.enqueue(connection, TaskKind.DELIVERY, found.id, found.attempts + 1)
        return found

    def post(self, connection: sa.Connection, job_id: str, envelopes: Sequence[PendingDelivery]) -> None:
        """Store and enqueue the pending deliveries *envelopes* of the job, in the transaction that ends it."""
        statement = sa.select(t.jobs.c.state, t.jobs.c.reason).where(t.jobs.c.id == job_id)
        found = connection.execute(statement).one_or_none() if envelopes else None
        if found is None:
            return
        status = status_of(job.State(found.state), None if found.reason is None else Reason(found.reason))
        for pending in envelopes:
            self._insert(connection, pending, job_id=job_id, status=status.value)

    def _insert(self, connection: sa.Connection, pending: PendingDelivery, *, job_id: str | None, status: str) -> None:
        delivery_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
        refused = pending.refused is not None
        connection.execute(
            sa.insert(t.deliveries).values(
                id=delivery_id,
                job_id=job_id,
                kind=pending.kind.value,
                number=pending.number,
                status=status,
                target=pending.target,
                place=pending.place,
                state=(State.FAILED if refused else State.WAITING).value,
                attempts=0,
                tries=self._tries[pending.kind],
                outcome=pending.refused,
                next_at=None if refused else now_ms(),
                created_at=now_ms(),
                ended_at=now_ms() if refused else None,
            )
        )
        if not refused:
            self._queue.enqueue(connection, TaskKind.DELIVERY, delivery_id, 1)
        elif job_id is not None:
            text = f"not sent: {pending.refused}"
            line = {"at": now_ms(), "attempt": 0, "level": "WARNING", "stage": pending.kind.value, "text": text}
            connection.execute(sa.insert(t.job_events).values(job_id=job_id, **line))

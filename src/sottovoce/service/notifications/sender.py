"""One attempt at a delivery: make the body, send it, write down how that went, and see to the next attempt."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import sqlalchemy as sa

from sottovoce.errors import Refused
from sottovoce.job import LIVE, REMOVED
from sottovoce.logs import about
from sottovoce.outbound import Ask, Fault, Limits, Method, Outbound, OutboundFailed, OutboundRefused, Streamed
from sottovoce.request import Notification
from sottovoce.service.email import smtp as mail
from sottovoce.service.email.smtp import Mail, MailFailed, Smtp
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.repository import Job, Message
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications import outbox as deliveries
from sottovoce.service.notifications.outbox import Callback, Delivery, Envelope, Kind, Outbox, State
from sottovoce.service.notifications.payload import Packer, Parcel
from sottovoce.service.queue.dbos_queue import Errand, JobQueue
from sottovoce.service.queue.retry import patiently
from sottovoce.service.storage.blobs import Missing
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Vault
from sottovoce.wire.notifications import body as wire
from sottovoce.wire.notifications.signatures import ID, SIGNATURE, TIMESTAMP, Signing
from sottovoce.wire.v1 import notification_texts

_log = logging.getLogger(__name__)

DELIVERY_ID = "Idempotency-Key"
"""The header that carries the delivery's id, the same at every attempt; ours (draft-ietf-httpapi-idempotency-key-header)."""
CALLBACK_PAUSE = 2.0
"""Seconds between attempts at a callback; the contract names none (`legacy-v1.md` §6)."""
SLOWEST = 64 << 10
"""Bytes a second at which a body must go out on the whole: what a gigabyte of media may take at most."""

_LATE = frozenset({Fault.TIMEOUT, Fault.TOO_SLOW})
_OURS = frozenset(name.lower() for name in (DELIVERY_ID, ID, TIMESTAMP, SIGNATURE))


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """How deliveries are attempted. Seconds: *timeout* for an answer, and the pauses before each further attempt.

    The defaults of notifications are the contract's observed times (§9, inferred), those of V1's callbacks its own: so many
    attempts, each with its time (`legacy-v1.md` §3). *signing* is the key of signatures.
    """

    timeout: float = 10.0
    pauses: tuple[float, ...] = (15.0, 20.0, 30.0)
    callback_timeouts: tuple[float, ...] = (10.0, 20.0, 30.0)
    mail_pauses: tuple[float, ...] = (60.0, 300.0, 1800.0, 7200.0)
    signing: bytes | None = field(default=None, repr=False)
    smtp: Smtp | None = None

    @property
    def tries(self) -> dict[Kind, int]:
        """How often each kind is attempted."""
        return {
            Kind.NOTIFICATION: len(self.pauses) + 1,
            Kind.CALLBACK: len(self.callback_timeouts),
            Kind.MAIL: len(self.mail_pauses) + 1,
        }

    def pause(self, kind: Kind, left: int) -> float:
        """Seconds before the next attempt when *left* remain, that one included."""
        if kind is Kind.CALLBACK:
            return CALLBACK_PAUSE
        pauses = self.pauses if kind is Kind.NOTIFICATION else self.mail_pauses
        return pauses[max(0, len(pauses) - left)] if pauses else 0.0

    def callback_timeout(self, left: int) -> float:
        """Seconds for an attempt of a callback when *left* remain, that one included."""
        return self.callback_timeouts[max(0, len(self.callback_timeouts) - left)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt went: *shown* may be seen by anybody; *failure* (shown, and whole) is for the job's `errors[]`.

    *final*: another attempt would meet the same.
    """

    delivered: bool
    shown: str
    failure: tuple[str, str] | None = None
    final: bool = False


class Sender:
    """Attempts deliveries; holds no state between attempts."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        queue: JobQueue,
        outbox: Outbox,
        packer: Packer,
        outbound: Outbound,
        metrics: Metrics,
        policy: SendPolicy,
    ) -> None:
        self._database = database
        self._vault = vault
        self._queue = queue
        self._outbox = outbox
        self._packer = packer
        self._outbound = outbound
        self._metrics = metrics
        self._policy = policy

    async def attempt(self, delivery_id: str, number: int) -> None:
        """Make attempt *number* at *delivery_id*, unless it was recorded before or nobody wants it any more.

        Our own trouble (database, blobs) is waited out and counts for nothing.
        """
        with about(delivery=delivery_id):
            await patiently(lambda: self._attempt(delivery_id, number))

    async def _attempt(self, delivery_id: str, number: int) -> None:
        def wanted(connection: sa.Connection) -> tuple[Delivery, Job | None] | None:
            delivery = deliveries.get(connection, delivery_id)
            if delivery is None or delivery.state is not State.WAITING or delivery.attempts != number - 1:
                return None
            if delivery.job_id is None:
                return delivery, None
            job = repository.get(connection, delivery.job_id)
            return None if job is None or job.state in REMOVED | LIVE else (delivery, job)

        found = await self._database.read(wanted)
        if found is None:
            _log.info("delivery no longer wanted, or attempted before", extra={"attempt": number})
            return
        delivery, job = found
        with about(job=job.id) if job else contextlib.nullcontext():
            outcome = await self._send(delivery, job)
            # not to be sent again for our own trouble
            await patiently(lambda: self._record(delivery, job, number, outcome))

    async def _send(self, delivery: Delivery, job: Job | None) -> Outcome:
        try:
            if delivery.kind is Kind.MAIL or job is None:
                return await self._mail(delivery, job)
            if delivery.kind is Kind.CALLBACK:
                return await self._call(delivery, job, deliveries.callback_of(self._vault, delivery.target))
            return await self._notify(delivery, job, deliveries.notification_of(self._vault, delivery.target))
        except Missing:
            return Outcome(delivered=False, shown="the job was removed while it was sent")
        except ValueError as error:  # no key opens it, or it is none of ours: waiting does not mend that
            _log.exception("delivery met a bug", extra={"why": str(error)})
            return Outcome(delivered=False, shown="internal error", final=True)

    # ── notifications ──

    async def _notify(self, delivery: Delivery, job: Job, entry: Notification) -> Outcome:
        url = wire.address(entry.url, job.id, wire.Status(delivery.status))
        parcel = await self._packer.pack(job, entry.contents, delivery.number)
        keep = _OURS | {"content-type"} if parcel.form.multipart else _OURS
        ask = Ask(
            url=url,
            method=cast("Method", entry.method.upper()),
            headers=await self._headers(delivery, parcel),
            auth_headers=wire.callers_lines(entry.auth_headers, keep),
            body=Streamed(start=parcel.chunks, length=parcel.length),
            limits=_limits(self._policy.timeout, parcel.length),
        )
        answer = await self._ask(ask)
        if isinstance(answer, int):
            text = wire.answered(answer)
            return Outcome(delivered=_taken(answer), shown=text, failure=None if _taken(answer) else (text, text))
        if isinstance(answer, OutboundRefused):
            return _broken(entry.method, url, delivery.place, answer.detail, final=True)
        if answer.kind in _LATE:
            told = wire.timed_out(entry.method, delivery.place), wire.timed_out(entry.method, url)
            return Outcome(delivered=False, shown=answer.text, failure=told)
        return _broken(entry.method, url, delivery.place, answer.text)

    async def _ask(self, ask: Ask) -> int | OutboundRefused | OutboundFailed:
        """The status of the answer, or why there is none."""
        try:
            async with self._outbound.open(ask) as answer:
                return answer.status
        except (OutboundRefused, OutboundFailed) as error:
            return error

    async def _headers(self, delivery: Delivery, parcel: Parcel) -> Sequence[tuple[str, str]]:
        headers = {"User-Agent": wire.USER_AGENT, DELIVERY_ID: delivery.id}
        if parcel.content_type is not None:
            headers["Content-Type"] = parcel.content_type
        if self._policy.signing is not None:
            signing = Signing(self._policy.signing, delivery.id, int(time.time()))
            async for piece in parcel.chunks():  # a header stands before the body: media is read twice for it
                signing.update(piece)
            headers |= signing.headers()
        return tuple(headers.items())

    async def _call(self, delivery: Delivery, job: Job, callback: Callback) -> Outcome:
        """V1's: the job's number in the address, its transcript in a form (contract `legacy-v1.md` §3)."""
        try:
            parcel = await self._packer.pack_callback(job)
        except Refused as refused:  # removed meanwhile
            return Outcome(delivered=False, shown=refused.detail or str(refused.kind), final=True)
        timeout = self._policy.callback_timeout(delivery.tries - delivery.attempts)
        ask = Ask(
            url=notification_texts.callback_address(callback.url, job.v1_id),
            method="POST",
            headers=await self._headers(delivery, parcel),
            body=Streamed(start=parcel.chunks, length=parcel.length),
            limits=_limits(timeout, parcel.length),
        )
        answer = await self._ask(ask)
        if isinstance(answer, int):
            return Outcome(delivered=_taken(answer), shown=wire.answered(answer))
        if isinstance(answer, OutboundRefused):
            return Outcome(delivered=False, shown=answer.detail, final=True)
        return Outcome(delivered=False, shown=answer.text)

    # ── mail ──

    async def _mail(self, delivery: Delivery, job: Job | None) -> Outcome:
        smtp = self._policy.smtp
        if smtp is None:
            return Outcome(delivered=False, shown=mail.NOT_CONFIGURED, final=True)
        wanted = deliveries.mail_of(self._vault, delivery.target)
        attached = await self._packer.attachments(job, wanted.attachments) if job else []
        made = mail.message(wanted, smtp.sender, delivery.id, time.time(), attached)
        try:
            await asyncio.to_thread(mail.send, smtp, made)
        except MailFailed as failed:
            return Outcome(delivered=False, shown=failed.text, final=failed.final)
        return Outcome(delivered=True, shown="taken by the mail server")

    # ── afterwards ──

    async def _record(self, delivery: Delivery, job: Job | None, number: int, outcome: Outcome) -> None:
        left = delivery.tries - number
        again = not outcome.delivered and not outcome.final and left > 0
        pause = self._policy.pause(delivery.kind, left) if again else None
        state = State.WAITING if again else State.DELIVERED if outcome.delivered else State.FAILED
        messages = _messages(outcome, last=not again)
        told = self._complaint(delivery, job, outcome) if job and state is State.FAILED else ()

        def write(connection: sa.Connection) -> bool:
            if not deliveries.record(
                connection, delivery.id, number, state=state, outcome=outcome.shown, next_in=pause
            ):
                return False
            text = f"{delivery.place}, attempt {number}: {outcome.shown}"
            level = "INFO" if outcome.delivered else "WARNING"
            if job is not None:
                repository.note(connection, job.id, stage=delivery.kind.value, text=text, level=level)
                repository.add_errors(connection, self._vault, job.id, messages)
                self._outbox.post(connection, job.id, told)
            if pause is not None:
                self._queue.go(connection, Errand.DELIVERY, delivery.id, number + 1, delay=pause)
            return True

        if not await self._database.write(write):
            return
        said = {"place": delivery.place, "attempt": number, "outcome": outcome.shown}
        self._metrics.delivered(delivery.kind.value, "retried" if again else state.value)
        if state is State.FAILED:
            _log.warning("delivery given up", extra=said)
        else:
            _log.info("delivery attempted", extra={**said, "state": state.value})

    def _complaint(self, delivery: Delivery, job: Job, outcome: Outcome) -> tuple[Envelope, ...]:
        """The mail about a callback that nobody took, if its owner has an address."""
        if delivery.kind is not Kind.CALLBACK or not self._outbox.mails:
            return ()
        try:
            email = deliveries.callback_of(self._vault, delivery.target).email
        except ValueError:
            return ()
        if not email:
            return ()
        told = notification_texts.not_called(
            number=job.v1_id, name=job.data_name, place=delivery.place, outcome=outcome.shown
        )
        return (self._outbox.mailed(Mail(to=email, subject=told.subject, body=told.body)),)


def _taken(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - contract §9.4: any 2xx


def _limits(timeout: float, length: int) -> Limits:
    return Limits(connect=timeout, silence=timeout, total=max(6 * timeout, length / SLOWEST))


def _messages(outcome: Outcome, *, last: bool) -> list[Message]:
    """The entries of `errors[]`."""
    if outcome.failure is None:
        return []
    shown, whole = (wire.entries(text, last=last) for text in outcome.failure)
    return [
        Message(shown=short, whole=None if short == full else full) for short, full in zip(shown, whole, strict=True)
    ]


def _broken(method: str, url: str, place: str, why: str, *, final: bool = False) -> Outcome:
    told = wire.broken(method, place, why), wire.broken(method, url, why)
    return Outcome(delivered=False, shown=why, failure=told, final=final)

"""Makes one attempt at a delivery: builds the body, sends it, records the outcome and enqueues the next attempt.

The parts, in order: `Outcome`, and `Sender`: one attempt, notifications and callbacks, mail, and the record of the outcome.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from sottovoce.errors import Refused
from sottovoce.job import LIVE, REMOVED
from sottovoce.logs import about
from sottovoce.outbound import (
    FailureKind,
    Limits,
    Method,
    Outbound,
    OutboundFailed,
    OutboundRefused,
    OutboundRequest,
    Streamed,
)
from sottovoce.request import Notification
from sottovoce.service.context import RegionContext
from sottovoce.service.email import smtp as mail
from sottovoce.service.email.smtp import Mail, MailFailed
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job, Message
from sottovoce.service.notifications import model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Callback, Delivery, Kind, PendingDelivery, State
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.queue.port import TaskKind
from sottovoce.service.queue.retry import retry_while_unavailable
from sottovoce.service.storage.blobs import Missing
from sottovoce.service.storage.trouble import temporary
from sottovoce.service.worker.notification_payload import Payload, PayloadBuilder
from sottovoce.wire.notifications import body as wire
from sottovoce.wire.notifications.signatures import ID, SIGNATURE, TIMESTAMP, Signing
from sottovoce.wire.v1 import notification_texts

_log = logging.getLogger(__name__)

DELIVERY_ID = "Idempotency-Key"
"""The header with the delivery's id, equal at every attempt; not in the contract (draft-ietf-httpapi-idempotency-key-header)."""
SLOWEST = 64 << 10
"""Minimum mean rate of sending a body, in bytes per second; it limits the time for large media."""

PATIENCE = 60.0
"""Seconds for which an attempt waits in its slot for the database or the blob store."""
_TIMEOUTS = frozenset({FailureKind.TIMEOUT, FailureKind.TOO_SLOW})
_RESERVED_HEADERS = frozenset(name.lower() for name in (DELIVERY_ID, ID, TIMESTAMP, SIGNATURE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of an attempt. *public_text* has no secrets; *failure* is the public and the full text for the job's `errors[]`.

    *final*: do not retry, because the next attempt fails the same way.
    """

    delivered: bool
    public_text: str
    failure: tuple[str, str] | None = None
    final: bool = False


class Sender:
    """Makes attempts at deliveries; keeps no state between them."""

    def __init__(
        self,
        *,
        region: RegionContext,
        payload_builder: PayloadBuilder,
        outbound: Outbound,
        policy: SendPolicy,
    ) -> None:
        self._database = region.database
        self._encryptor = region.encryptor
        self._queue = region.queue
        self._outbox = region.outbox
        self._payload_builder = payload_builder
        self._outbound = outbound
        self._metrics = region.metrics
        self._policy = policy

    async def attempt(self, delivery_id: str, number: int) -> None:
        """Make attempt *number* at *delivery_id*. Does nothing if it is recorded already or the delivery is no longer needed.

        Errors of the database and the blob store do not count as an attempt: the call retries until they are over.
        """
        with about(delivery=delivery_id):
            try:
                await retry_while_unavailable(lambda: self._attempt(delivery_id, number), patience=PATIENCE)
            except Exception as error:  # noqa: BLE001 - see the two cases
                if temporary(error):  # free the slot for other deliveries: the reaper enqueues this attempt again
                    _log.warning("delivery postponed", extra={"attempt": number, "why": str(error)})
                else:  # a bug, or a row of another release: the next attempt would fail the same way
                    await self._abandon(delivery_id, number)

    async def _abandon(self, delivery_id: str, number: int) -> None:
        """Record the delivery as failed because of the bug that is being handled, without reading its row."""
        _log.exception("delivery failed with an internal error", extra={"attempt": number})
        self._metrics.broke("delivery")

        def end(connection: sa.Connection) -> bool:
            return deliveries.abandon(connection, delivery_id, number, model.INTERNAL)

        try:
            await retry_while_unavailable(lambda: self._database.write(end), patience=PATIENCE)
        except Exception:  # noqa: BLE001 - the reaper enqueues the attempt again
            _log.exception("delivery with an internal error not ended", extra={"attempt": number})

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
            _log.info(
                "delivery skipped: it is no longer needed, or the attempt is recorded already",
                extra={"attempt": number},
            )
            return
        delivery, job = found
        with about(job=job.id) if job else contextlib.nullcontext():
            outcome = await self._send(delivery, job)
            # retry only the record, so that a database error does not send twice
            await retry_while_unavailable(lambda: self._record(delivery, job, number, outcome))

    async def _send(self, delivery: Delivery, job: Job | None) -> Outcome:
        try:
            kind = Kind(delivery.kind)
            if kind is Kind.MAIL or job is None:
                return await self._mail(delivery, job)
            if kind is Kind.CALLBACK:
                return await self._call(delivery, job, model.callback_of(self._encryptor, delivery.target))
            return await self._notify(delivery, job, model.notification_of(self._encryptor, delivery.target))
        except Missing:
            return Outcome(delivered=False, public_text="the job was removed during the delivery")
        except Exception as error:
            if temporary(error):
                raise
            # a bug, or a target that cannot be decrypted or parsed: a retry fails the same way
            _log.exception("delivery failed with an internal error", extra={"why": str(error)})
            self._metrics.broke("delivery")
            return Outcome(delivered=False, public_text=model.INTERNAL, final=True)

    # ── notifications ──

    async def _notify(self, delivery: Delivery, job: Job, entry: Notification) -> Outcome:
        url = wire.address(entry.url, job.id, wire.Status(delivery.status))
        payload = await self._payload_builder.pack(job, entry.contents, delivery.number)
        keep = _RESERVED_HEADERS | {"content-type"} if payload.form.multipart else _RESERVED_HEADERS
        ask = OutboundRequest(
            url=url,
            method=cast("Method", entry.method.upper()),
            headers=await self._headers(delivery, payload),
            auth_headers=wire.callers_lines(entry.auth_headers, keep),
            body=Streamed(start=payload.chunks, length=payload.length),
            limits=_limits(self._policy.timeout, payload.length),
        )
        answer = await self._ask(ask)
        if isinstance(answer, int):
            text = wire.answered(answer)
            return Outcome(
                delivered=_is_success(answer), public_text=text, failure=None if _is_success(answer) else (text, text)
            )
        if isinstance(answer, OutboundRefused):
            return _transport_failure(entry.method, url, delivery.place, answer.detail, final=True)
        if answer.kind in _TIMEOUTS:
            failure = wire.timed_out(entry.method, delivery.place), wire.timed_out(entry.method, url)
            return Outcome(delivered=False, public_text=answer.text, failure=failure)
        return _transport_failure(entry.method, url, delivery.place, answer.text)

    async def _ask(self, ask: OutboundRequest) -> int | OutboundRefused | OutboundFailed:
        """The status of the response, or the error."""
        try:
            async with self._outbound.open(ask) as answer:
                return answer.status
        except (OutboundRefused, OutboundFailed) as error:
            return error

    async def _headers(self, delivery: Delivery, payload: Payload) -> Sequence[tuple[str, str]]:
        headers = {"User-Agent": wire.USER_AGENT, DELIVERY_ID: delivery.id}
        if payload.content_type is not None:
            headers["Content-Type"] = payload.content_type
        if self._policy.signing is not None:
            signing = Signing(self._policy.signing, delivery.id, int(time.time()))
            async for piece in payload.chunks():  # the signature header precedes the body, so the body is read twice
                signing.update(piece)
            headers |= signing.headers()
        return tuple(headers.items())

    async def _call(self, delivery: Delivery, job: Job, callback: Callback) -> Outcome:
        """Send the V1 callback: the job's number is in the URL, its transcript in a form (contract `legacy-v1.md` §3)."""
        try:
            payload = await self._payload_builder.pack_callback(job)
        except Refused as refused:  # the job was removed
            return Outcome(delivered=False, public_text=refused.detail or str(refused.kind), final=True)
        timeout = self._policy.callback_timeout(delivery.tries - delivery.attempts)
        ask = OutboundRequest(
            url=notification_texts.callback_address(callback.url, job.v1_id),
            method="POST",
            headers=await self._headers(delivery, payload),
            body=Streamed(start=payload.chunks, length=payload.length),
            limits=_limits(timeout, payload.length),
        )
        answer = await self._ask(ask)
        if isinstance(answer, int):
            return Outcome(delivered=_is_success(answer), public_text=wire.answered(answer))
        if isinstance(answer, OutboundRefused):
            return Outcome(delivered=False, public_text=answer.detail, final=True)
        return Outcome(delivered=False, public_text=answer.text)

    # ── mail ──

    async def _mail(self, delivery: Delivery, job: Job | None) -> Outcome:
        smtp = self._policy.smtp
        if smtp is None:
            return Outcome(delivered=False, public_text=mail.NOT_CONFIGURED, final=True)
        wanted = model.mail_of(self._encryptor, delivery.target)
        if not wanted.to:
            return Outcome(delivered=False, public_text=mail.NO_ADDRESS, final=True)
        attached = await self._payload_builder.attachments(job, wanted.attachments) if job else []
        made = mail.message(wanted, smtp.sender, delivery.id, time.time(), attached)
        try:
            await asyncio.to_thread(mail.send, smtp, made)
        except MailFailed as failed:
            return Outcome(delivered=False, public_text=failed.text, final=failed.final)
        return Outcome(delivered=True, public_text="accepted by the mail server")

    # ── outcome ──

    async def _record(self, delivery: Delivery, job: Job | None, number: int, outcome: Outcome) -> None:
        left = delivery.tries - number
        again = not outcome.delivered and not outcome.final and left > 0
        pause = self._policy.pause(Kind(delivery.kind), left) if again else None
        state = State.WAITING if again else State.DELIVERED if outcome.delivered else State.FAILED
        messages = _messages(outcome, last=not again)
        failure_mail = self._failure_mail(delivery, job, outcome) if job and state is State.FAILED else ()

        def write(connection: sa.Connection) -> bool:
            if not deliveries.record(
                connection, delivery.id, number, state=state, outcome=outcome.public_text, next_in=pause
            ):
                return False
            text = f"{delivery.place}, attempt {number}: {outcome.public_text}"
            level = "INFO" if outcome.delivered else "WARNING"
            if job is not None:
                repository.append_log(connection, job.id, stage=delivery.kind, text=text, level=level)
                repository.add_errors(connection, self._encryptor, job.id, messages)
                self._outbox.post(connection, job.id, failure_mail)
            if pause is not None:
                self._queue.enqueue(connection, TaskKind.DELIVERY, delivery.id, number + 1, delay=pause)
            return True

        if not await self._database.write(write):
            return
        fields = {"place": delivery.place, "attempt": number, "outcome": outcome.public_text}
        self._metrics.delivered(delivery.kind, "retried" if again else state.value)
        if state is State.FAILED:
            _log.warning("delivery failed permanently", extra=fields)
        else:
            _log.info("delivery attempted", extra={**fields, "state": state.value})

    def _failure_mail(self, delivery: Delivery, job: Job, outcome: Outcome) -> tuple[PendingDelivery, ...]:
        """The mail about a failed callback."""
        if delivery.kind != Kind.CALLBACK:
            return ()
        try:
            email = model.callback_of(self._encryptor, delivery.target).email
        except ValueError:
            return ()
        text = notification_texts.not_called(
            number=job.v1_id, name=job.data_name, place=delivery.place, outcome=outcome.public_text
        )
        return (self._outbox.mailed(Mail(to=email or "", subject=text.subject, body=text.body)),)


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - contract §9.4: any 2xx


def _limits(timeout: float, length: int) -> Limits:
    return Limits(connect=timeout, silence=timeout, total=max(6 * timeout, length / SLOWEST))


def _messages(outcome: Outcome, *, last: bool) -> list[Message]:
    """The entries for `errors[]`."""
    if outcome.failure is None:
        return []
    public_text, whole = (wire.entries(text, last=last) for text in outcome.failure)
    return [
        Message(public_text=short, whole=None if short == full else full)
        for short, full in zip(public_text, whole, strict=True)
    ]


def _transport_failure(method: str, url: str, place: str, why: str, *, final: bool = False) -> Outcome:
    failure = wire.broken(method, place, why), wire.broken(method, url, why)
    return Outcome(delivered=False, public_text=why, failure=failure, final=final)

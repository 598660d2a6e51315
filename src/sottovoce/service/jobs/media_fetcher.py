"""Media and text that a job names by URL: fetched into the blob store before the job may be recognised (contract §6.3).

A job that is being fetched is queued, and `fetch_attempts` is not NULL; no recogniser's slot is held meanwhile. The attempt that
fetched everything hands the job to its recognition queue, in one transaction. Attempts are chained as those of deliveries are.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Refused
from sottovoce.job import Event, Reason, State
from sottovoce.logs import about
from sottovoce.outbound import Limits, Outbound, OutboundFailed, OutboundRefused, OutboundRequest, OutboundResponse
from sottovoce.request import AlignmentRequest, Fetch
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.limits import quotas
from sottovoce.service.limits.quotas import Quota
from sottovoce.service.notifications.model import PendingDelivery
from sottovoce.service.queue.port import JobQueue, TaskKind, entry_of
from sottovoce.service.queue.retry import retry_forever
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.service.storage.blobs import Missing
from sottovoce.service.storage.database import now_ms
from sottovoce.wire.notifications.body import USER_AGENT
from sottovoce.wire.v2.config import parse_job_config

_log = logging.getLogger(__name__)

FAILED = "unable to fetch {what}: {why}"
"""An entry of `errors[]`, one an attempt (contract §4)."""
ANSWERED = "http status code {status}"

ROOM = 64 << 20
"""Bytes after which the disk is looked at again: not every server says beforehand how much it sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """How often and how much. The *pauses* (seconds) are the contract's observed ones; limits are those of uploads, in bytes."""

    pauses: tuple[float, ...] = (2.0, 10.0, 20.0)
    media_bytes: int = 4 << 30
    text_bytes: int = 16 << 20
    seconds: float = 3600.0
    redirects: int = 5
    keep_ms: int = 7 * 86_400_000
    quota: Quota = field(default_factory=Quota)

    @property
    def tries(self) -> int:
        """Attempts of one job."""
        return len(self.pauses) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One thing to be fetched: how `errors[]` calls it, from where, to which key, and how large it may be."""

    what: str
    source: Fetch
    key: str
    most: int


class FetchFailed(Exception):
    """An attempt came to nothing. *text* is for `errors[]`; *final*: the next one would meet the same."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.final = final


class Fetcher:
    """Attempts fetches; holds no state between attempts."""

    def __init__(
        self,
        *,
        region: RegionContext,
        outbound: Outbound,
        policy: FetchPolicy,
    ) -> None:
        self._database = region.database
        self._blobs = region.blobs
        self._encryptor = region.encryptor
        self._queue = region.queue
        self._outbox = region.outbox
        self._outbound = outbound
        self._metrics = region.metrics
        self._policy = policy
        self._disk = region.disk

    async def attempt(self, job_id: str, number: int) -> None:
        """Make attempt *number* at fetching what *job_id* names, unless it was recorded before or nobody wants it any more."""
        with about(job=job_id):
            await retry_forever(lambda: self._attempt(job_id, number))

    async def _attempt(self, job_id: str, number: int) -> None:
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or not _is_next(found, number):
            _log.info("fetch no longer wanted, or attempted before", extra={"attempt": number})
            return
        staging = f"jobs/{job_id}/fetch/{number}-{token_hex(4)}"
        try:
            outcome = await self._outcome(found, staging)
        finally:
            await self._blobs.delete(staging)
        if isinstance(outcome, FetchFailed):
            await retry_forever(lambda: self._failed(found, number, outcome))
        else:
            await retry_forever(lambda: self._fetched(found, number, outcome))

    # ── one attempt ──

    async def _outcome(self, found: Job, staging: str) -> int | FetchFailed:
        try:
            return await self._fetch(found, staging)
        except FetchFailed as failed:
            return failed

    async def _fetch(self, found: Job, staging: str) -> int:
        """Fetch everything that is not there yet; the bytes of the media. Raises `FetchFailed`."""
        try:
            wanted = await asyncio.to_thread(self._wanted, found)
        except ValueError as error:
            _log.exception("fetch met a bug", extra={"why": str(error)})
            raise FetchFailed("unable to fetch: the config cannot be read", final=True) from error
        for each in wanted:
            if await self._size(each.key) is None:
                try:
                    await self._one(found, each, staging)
                except (OutboundRefused, Refused) as refused:
                    final = isinstance(refused, OutboundRefused)
                    raise FetchFailed(FAILED.format(what=each.what, why=refused.detail), final=final) from refused
                except OutboundFailed as failed:
                    final = not failed.worth_retrying
                    raise FetchFailed(FAILED.format(what=each.what, why=failed.text), final=final) from failed
        return await self._size(media_key(found.id)) or 0

    def _wanted(self, found: Job) -> Sequence[_Wanted]:
        if found.config is None:
            return ()
        request = parse_job_config(self._encryptor.decrypt(found.config))
        wanted = []
        if request.fetch_data is not None:
            key, most = media_key(found.id), min(self._policy.media_bytes, self._blobs.movable)
            wanted.append(_Wanted(what="audio", source=request.fetch_data, key=key, most=most))
        if isinstance(request, AlignmentRequest) and request.fetch_text is not None:
            key, most = text_key(found.id), self._policy.text_bytes
            wanted.append(_Wanted(what="text", source=request.fetch_text, key=key, most=most))
        return wanted

    async def _size(self, key: str) -> int | None:
        try:
            return await self._blobs.size(key)
        except Missing:
            return None

    async def _one(self, found: Job, wanted: _Wanted, staging: str) -> None:
        """Stream one answer into the store. What is not whole never gets its place there."""
        ask = OutboundRequest(
            url=wanted.source.url,
            headers=(("User-Agent", USER_AGENT),),
            auth_headers=wanted.source.auth_headers,
            limits=Limits(total=self._policy.seconds, body_bytes=wanted.most, redirects=self._policy.redirects),
        )
        async with self._outbound.open(ask) as answer:
            if not 200 <= answer.status < 300:  # noqa: PLR2004 - contract §4
                why = ANSWERED.format(status=answer.status)
                raise FetchFailed(FAILED.format(what=wanted.what, why=why))
            await self._room(found, arrived=0, coming=int(answer.headers.get("content-length", "0")))
            await self._take(found, answer, staging)
        await self._blobs.move(staging, wanted.key)

    async def _take(self, found: Job, answer: OutboundResponse, staging: str) -> None:
        writer = self._blobs.writer(staging)
        looked = 0
        try:
            async for piece in answer.chunks():
                await writer.write(piece)
                if writer.size - looked >= ROOM:
                    looked = writer.size
                    await self._room(found, arrived=looked, coming=0)
            await writer.close()
        except BaseException:
            await writer.abort()
            raise
        await self._room(found, arrived=writer.size, coming=0)

    async def _room(self, found: Job, *, arrived: int, coming: int) -> None:
        """Raise `Refused` when there is no room for what has *arrived* and is *coming*, in bytes."""
        if self._disk is not None:
            await asyncio.to_thread(self._disk.check, coming)
        if (most := self._policy.quota.stored_bytes) is not None:
            held = await self._database.read(lambda connection: quotas.usage(connection, found.workspace_id))
            quotas.check(Quota(stored_bytes=most), held, arrived + coming)

    # ── afterwards ──

    async def _fetched(self, found: Job, number: int, size: int) -> None:
        def ready(connection: sa.Connection) -> bool:
            values = {"fetch_attempts": None, "fetch_at": None, "media_bytes": size}
            if not _moved(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="fetch", text=f"{size} bytes fetched")
            account = str(found.workspace_id)
            self._queue.submit(connection, found.id, queue=found.queue, account=account, priority=found.priority)
            return True

        if await self._database.write(ready):
            self._metrics.fetched("done")
            _log.info("media fetched", extra={"bytes": size, "attempt": number})
        else:
            await self._tidy(found.id)

    async def _failed(self, found: Job, number: int, failed: FetchFailed) -> None:
        left = self._policy.tries - number
        if failed.final or left <= 0:
            await self._reject(found, number, failed)
            return
        pause = self._policy.pauses[-left]

        def again(connection: sa.Connection) -> bool:
            values = {
                "fetch_attempts": number,
                "fetch_at": now_ms() + round(pause * 1000),
                "errors": repository.with_error(connection, found, failed.text),
            }
            if not _moved(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="fetch", text=failed.text, level="WARNING")
            self._queue.go(connection, TaskKind.FETCH, found.id, number + 1, delay=pause)
            return True

        if await self._database.write(again):
            self._metrics.fetched("retried")
            _log.info("fetch failed, to be tried again", extra={"why": failed.text, "in_seconds": pause})
        else:
            await self._tidy(found.id)

    async def _reject(self, found: Job, number: int, failed: FetchFailed) -> None:
        envelopes: Sequence[PendingDelivery] = await self._outbox.prepare(found, Reason.FETCH)

        def reject(connection: sa.Connection) -> bool:
            values = {
                "state": job.target(Event.FAILED).value,
                "reason": Reason.FETCH.value,
                "fetch_attempts": number,
                "fetch_at": None,
                "errors": repository.with_error(connection, found, failed.text),
                "finished_at": now_ms(),
                "delete_at": now_ms() + sa.func.coalesce(t.jobs.c.keep_ms, self._policy.keep_ms),
            }
            if not _moved(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="rejected", text=failed.text, level="ERROR")
            self._outbox.post(connection, found.id, envelopes)
            return True

        if await self._database.write(reject):
            self._metrics.fetched("failed")
            self._metrics.finished("rejected")
            _log.info("job rejected", extra={"reason": Reason.FETCH, "why": failed.text})
        await self._tidy(found.id)

    async def _tidy(self, job_id: str) -> None:
        """Remove what came for a job that was removed meanwhile."""
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.state in job.REMOVED:
            await self._blobs.delete_prefix(f"jobs/{job_id}/")


def _is_next(found: Job, number: int) -> bool:
    return found.state is State.QUEUED and found.fetch_attempts == number - 1


def _moved(connection: sa.Connection, job_id: str, number: int, values: Mapping[str, object]) -> bool:
    """Record attempt *number*: once, and only while the job waits for it."""
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state == State.QUEUED.value, t.jobs.c.fetch_attempts == number - 1)
        .values(**values)
    )
    return connection.execute(statement).rowcount == 1


# --- for those who start and stop jobs -------------------------------------------------------------------------------


def start(connection: sa.Connection, queue: JobQueue, found: Job) -> None:
    """Enqueue the queued job *found*: to be fetched first if it names its media, else to be recognised."""
    if found.fetch_attempts is not None:
        queue.go(connection, TaskKind.FETCH, found.id, found.fetch_attempts + 1)
    else:
        queue.submit(connection, found.id, queue=found.queue, account=str(found.workspace_id), priority=found.priority)


def entry(found: Job) -> str | None:
    """The queue's name for the attempt that comes next, or is under way; `None` when nothing is to be fetched."""
    return None if found.fetch_attempts is None else entry_of(TaskKind.FETCH, found.id, found.fetch_attempts + 1)


def entries(job_id: str, tries: int) -> list[str]:
    """The queue's names of all attempts that a job may have had."""
    return [entry_of(TaskKind.FETCH, job_id, number) for number in range(1, tries + 1)]


def overdue(connection: sa.Connection, by_ms: int, limit: int) -> list[tuple[str, int]]:
    """Jobs whose next attempt should have been recorded *by_ms* ago, oldest first, and the number of that attempt."""
    statement = (
        sa.select(t.jobs.c.id, t.jobs.c.fetch_attempts)
        .where(t.jobs.c.state == State.QUEUED.value, t.jobs.c.fetch_at < now_ms() - by_ms)
        .order_by(t.jobs.c.fetch_at)
        .limit(limit)
    )
    return [(row.id, row.fetch_attempts + 1) for row in connection.execute(statement)]

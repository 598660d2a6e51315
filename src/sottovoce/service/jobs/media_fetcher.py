"""Fetches media and text that a job names by URL into the blob store, before recognition (contract §6.3).

While it is fetched, a job is queued, its `fetch_attempts` is not NULL, and it occupies no recognition slot. The attempt that
completes the fetch records it and enqueues the job for recognition in one transaction. A failed attempt enqueues the next one, as
deliveries do.

The parts, in order: the policy and errors, `Fetcher` (one attempt, then its outcome), and functions for code that enqueues and
cancels fetches.
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
from sottovoce.service.queue.retry import retry_while_unavailable
from sottovoce.service.storage import job_requests
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.service.storage.blobs import Missing
from sottovoce.service.storage.database import now_ms
from sottovoce.service.storage.trouble import temporary
from sottovoce.wire.notifications.body import USER_AGENT

_log = logging.getLogger(__name__)

FAILED = "unable to fetch {what}: {why}"
"""The entry of `errors[]` for each failed attempt (contract §4)."""
ANSWERED = "http status code {status}"

FAILED_BUG = "unable to fetch: an internal error"
"""The entry of `errors[]` after a bug."""

PATIENCE = 60.0
"""Seconds for which an attempt waits in its slot for the database or the blob store."""
ROOM = 64 << 20
"""Bytes received between two checks of disk and quota: not every server sends a `Content-Length`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """Limits of fetches. *pauses*: seconds between attempts, as the contract observed them. Byte limits are those of uploads."""

    pauses: tuple[float, ...] = (2.0, 10.0, 20.0)
    media_bytes: int = 4 << 30
    text_bytes: int = 16 << 20
    seconds: float = 3600.0
    redirects: int = 5
    quota: Quota = field(default_factory=Quota)

    @property
    def tries(self) -> int:
        """Attempts per job."""
        return len(self.pauses) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file to fetch: *what* `errors[]` calls it, its *source*, its blob *key* and its maximum size in bytes."""

    what: str
    source: Fetch
    key: str
    most: int


class FetchFailed(Exception):
    """A fetch attempt failed. *text* goes to `errors[]`; *final*: do not retry, because the next attempt fails the same way."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.final = final


class Fetcher:
    """Makes fetch attempts; keeps no state between them."""

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
        self._keep_ms = region.keep_ms
        self._policy = policy
        self._disk = region.disk

    async def attempt(self, job_id: str, number: int) -> None:
        """Make fetch attempt *number* of *job_id*. Does nothing if it is recorded already or the job is no longer queued."""
        with about(job=job_id):
            try:
                await retry_while_unavailable(lambda: self._attempt(job_id, number), patience=PATIENCE)
            except Exception as error:  # noqa: BLE001 - see the two cases
                if temporary(error):  # free the slot for other fetches: the reaper enqueues this attempt again
                    _log.warning("fetch postponed", extra={"attempt": number, "why": str(error)})
                else:  # a bug, or a row of another release: the next attempt would fail the same way
                    await self._abandon(job_id)

    async def _abandon(self, job_id: str) -> None:
        """Reject the job because of the bug that is being handled, by a statement that does not read its row."""
        _log.exception("fetch failed with an internal error")
        self._metrics.broke("fetch")

        def end(connection: sa.Connection) -> bool:
            return repository.abandon(
                connection, job_id, reason=Reason.FETCH, message=FAILED_BUG, keep_ms=self._keep_ms
            )

        try:
            if await retry_while_unavailable(lambda: self._database.write(end), patience=PATIENCE):
                self._metrics.finished("rejected")
        except Exception:  # noqa: BLE001 - the reaper enqueues the attempt again
            _log.exception("fetch with an internal error not ended")

    async def _attempt(self, job_id: str, number: int) -> None:
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or not _is_next(found, number):
            _log.info(
                "fetch skipped: the job is not queued, or the attempt is recorded already", extra={"attempt": number}
            )
            return
        staging = f"jobs/{job_id}/fetch/{number}-{token_hex(4)}"
        try:
            outcome = await self._outcome(found, staging)
        finally:
            await self._blobs.delete(staging)
        if isinstance(outcome, FetchFailed):
            await retry_while_unavailable(lambda: self._failed(found, number, outcome))
        else:
            await retry_while_unavailable(lambda: self._fetched(found, number, outcome))

    # ── one attempt ──

    async def _outcome(self, found: Job, staging: str) -> int | FetchFailed:
        try:
            return await self._fetch(found, staging)
        except FetchFailed as failed:
            return failed

    async def _fetch(self, found: Job, staging: str) -> int:
        """Fetch the files that are not stored yet; returns the size of the media in bytes. Raises `FetchFailed`."""
        try:
            wanted = await asyncio.to_thread(self._files, found)
        except ValueError as error:
            _log.exception("config of a fetch cannot be read", extra={"why": str(error)})
            self._metrics.broke("fetch")
            raise FetchFailed("unable to fetch: the config cannot be read", final=True) from error
        for each in wanted:
            if await self._size(each.key) is None:
                try:
                    await self._fetch_file(found, each, staging)
                except (OutboundRefused, Refused) as refused:
                    final = isinstance(refused, OutboundRefused)
                    raise FetchFailed(FAILED.format(what=each.what, why=refused.detail), final=final) from refused
                except OutboundFailed as failed:
                    final = not failed.worth_retrying
                    raise FetchFailed(FAILED.format(what=each.what, why=failed.text), final=final) from failed
        return await self._size(media_key(found.id)) or 0

    def _files(self, found: Job) -> Sequence[_File]:
        if (request := job_requests.request_of(self._encryptor, found)) is None:
            return ()
        wanted = []
        if request.fetch_data is not None:
            key, most = media_key(found.id), min(self._policy.media_bytes, self._blobs.movable)
            wanted.append(_File(what="audio", source=request.fetch_data, key=key, most=most))
        if isinstance(request, AlignmentRequest) and request.fetch_text is not None:
            key, most = text_key(found.id), self._policy.text_bytes
            wanted.append(_File(what="text", source=request.fetch_text, key=key, most=most))
        return wanted

    async def _size(self, key: str) -> int | None:
        try:
            return await self._blobs.size(key)
        except Missing:
            return None

    async def _fetch_file(self, found: Job, wanted: _File, staging: str) -> None:
        """Stream one file to *staging*, then move it to its key, so that the key never holds a partial file."""
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
            await self._check_room(found, arrived=0, coming=int(answer.headers.get("content-length", "0")))
            await self._receive(found, answer, staging)
        await self._blobs.move(staging, wanted.key)

    async def _receive(self, found: Job, answer: OutboundResponse, staging: str) -> None:
        writer = self._blobs.writer(staging)
        checked = 0
        try:
            async for piece in answer.chunks():
                await writer.write(piece)
                if writer.size - checked >= ROOM:
                    checked = writer.size
                    await self._check_room(found, arrived=checked, coming=0)
            await writer.close()
        except BaseException:
            await writer.abort()
            raise
        await self._check_room(found, arrived=writer.size, coming=0)

    async def _check_room(self, found: Job, *, arrived: int, coming: int) -> None:
        """Raise `Refused` if disk or quota have no room for the *arrived* and *coming* bytes."""
        if self._disk is not None:
            await asyncio.to_thread(self._disk.check, coming)
        if (most := self._policy.quota.stored_bytes) is not None:
            held = await self._database.read(lambda connection: quotas.usage(connection, found.workspace_id))
            quotas.check(Quota(stored_bytes=most), held, arrived + coming)

    # ── outcome of an attempt ──

    async def _fetched(self, found: Job, number: int, size: int) -> None:
        def ready(connection: sa.Connection) -> bool:
            values = {"fetch_attempts": None, "fetch_at": None, "media_bytes": size}
            if not _record(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="fetch", text=f"{size} bytes fetched")
            account = str(found.workspace_id)
            self._queue.submit(connection, found.id, queue=found.queue, account=account, priority=found.priority)
            return True

        if await self._database.write(ready):
            self._metrics.fetched("done")
            _log.info("media fetched", extra={"bytes": size, "attempt": number})
        else:
            await self._delete_if_removed(found.id)

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
            if not _record(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="fetch", text=failed.text, level="WARNING")
            self._queue.enqueue(connection, TaskKind.FETCH, found.id, number + 1, delay=pause)
            return True

        if await self._database.write(again):
            self._metrics.fetched("retried")
            _log.info("fetch failed; will be retried", extra={"why": failed.text, "in_seconds": pause})
        else:
            await self._delete_if_removed(found.id)

    async def _reject(self, found: Job, number: int, failed: FetchFailed) -> None:
        pending: Sequence[PendingDelivery] = await self._outbox.prepare(found, Reason.FETCH)

        def reject(connection: sa.Connection) -> bool:
            values = {
                "state": job.target(Event.FAILED).value,
                "reason": Reason.FETCH.value,
                "fetch_attempts": number,
                "fetch_at": None,
                "errors": repository.with_error(connection, found, failed.text),
                "finished_at": now_ms(),
                "delete_at": now_ms() + sa.func.coalesce(t.jobs.c.keep_ms, self._keep_ms),
            }
            if not _record(connection, found.id, number, values):
                return False
            repository.append_log(connection, found.id, stage="rejected", text=failed.text, level="ERROR")
            self._outbox.post(connection, found.id, pending)
            return True

        if await self._database.write(reject):
            self._metrics.fetched("failed")
            self._metrics.finished("rejected")
            _log.info("job rejected", extra={"reason": Reason.FETCH, "why": failed.text})
        await self._delete_if_removed(found.id)

    async def _delete_if_removed(self, job_id: str) -> None:
        """Delete the blobs of a job that was removed during the fetch."""
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.state in job.REMOVED:
            await self._blobs.delete_prefix(f"jobs/{job_id}/")


def _is_next(found: Job, number: int) -> bool:
    return found.state is State.QUEUED and found.fetch_attempts == number - 1


def _record(connection: sa.Connection, job_id: str, number: int, values: Mapping[str, object]) -> bool:
    """Record attempt *number* by writing *values*; False if the job does not wait for this attempt."""
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state == State.QUEUED.value, t.jobs.c.fetch_attempts == number - 1)
        .values(**values)
    )
    return connection.execute(statement).rowcount == 1


# --- for code that enqueues and cancels fetches -------------------------------------------------------------------------------


def start(connection: sa.Connection, queue: JobQueue, found: Job) -> None:
    """Enqueue *found*: for fetching if it has files to fetch, else for recognition."""
    if found.fetch_attempts is not None:
        queue.enqueue(connection, TaskKind.FETCH, found.id, found.fetch_attempts + 1)
    else:
        queue.submit(connection, found.id, queue=found.queue, account=str(found.workspace_id), priority=found.priority)


def entry(found: Job) -> str | None:
    """The queue entry of the next or current attempt; `None` if there is nothing to fetch."""
    return None if found.fetch_attempts is None else entry_of(TaskKind.FETCH, found.id, found.fetch_attempts + 1)


def pending(connection: sa.Connection, job_id: str) -> list[str]:
    """The queue entry of the next or current attempt of *job_id*; empty if there is nothing to fetch."""
    failed = connection.scalar(sa.select(t.jobs.c.fetch_attempts).where(t.jobs.c.id == job_id))
    return [] if failed is None else [entry_of(TaskKind.FETCH, job_id, failed + 1)]


def entries(job_id: str, tries: int) -> list[str]:
    """The queue entries of all attempts that a job with *tries* attempts can have."""
    return [entry_of(TaskKind.FETCH, job_id, number) for number in range(1, tries + 1)]


def overdue(connection: sa.Connection, by_ms: int, limit: int) -> list[tuple[str, int]]:
    """Job ids and attempt numbers of attempts that have been due for more than *by_ms*, oldest first."""
    statement = (
        sa.select(t.jobs.c.id, t.jobs.c.fetch_attempts)
        .where(t.jobs.c.state == State.QUEUED.value, t.jobs.c.fetch_at < now_ms() - by_ms)
        .order_by(t.jobs.c.fetch_at)
        .limit(limit)
    )
    return [(row.id, row.fetch_attempts + 1) for row in connection.execute(statement)]

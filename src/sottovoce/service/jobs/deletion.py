"""Removes jobs: the row becomes a tombstone, then the work is cancelled, then the blobs are deleted.

A tombstone records when its blobs were deleted (`cleaned_at`). If a process dies in between, that is NULL and the next sweep
deletes the blobs.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Kind, Refused
from sottovoce.job import Event
from sottovoce.service.jobs import media_fetcher, repository
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.queue.port import JobQueue
from sottovoce.service.storage.ballast import Ballast
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import DISK_FULL, temporary

_log = logging.getLogger(__name__)
T = TypeVar("T")

AT_ONCE = 8
"""Jobs whose blobs are deleted concurrently."""


class JobDeletion:
    """Deletes jobs for users and for retention."""

    def __init__(self, database: Database, blobs: Blobs, queue: JobQueue, ballast: Ballast | None = None) -> None:
        self._ballast = ballast
        self._database = database
        self._blobs = blobs
        self._queue = queue
        self._removed = False

    async def delete(self, job_id: str, *, force: bool) -> bool:
        """Delete *job_id* for its user. False if it was removed before. Raises `Refused(JOB_LOCKED)` if live, unless *force*."""

        def check(connection: sa.Connection) -> None:
            state = repository.states(connection, [job_id]).get(job_id)
            if state in job.LIVE and not force:
                raise Refused(Kind.JOB_LOCKED, "the job is still running; delete it with force=true")

        if not await self.remove([job_id], Event.REMOVED, check=check):
            return False
        _log.info("job deleted", extra={"job": job_id})
        return True

    async def remove(self, ids: Sequence[str], event: Event, check: "repository.Check | None" = None) -> list[str]:
        """Turn the jobs *ids* into tombstones and delete their blobs; returns the ids that were not removed before.

        *check* runs first in the same transaction and may raise to reject the removal. If the blob store is away, the sweep deletes
        the blobs later.
        """

        def mark_removed(connection: sa.Connection) -> tuple[list[str], list[str]]:
            if check is not None:
                check(connection)
            entries = {job_id: _entries(connection, job_id) for job_id in ids}
            removed = [job_id for job_id in ids if repository.make_tombstone(connection, job_id, event)]
            return removed, [entry for job_id in removed for entry in entries[job_id]]

        removed, entries = await self._write(mark_removed)
        if removed:
            self._removed = True
            await self._delete_blobs_now_or_later(removed, entries)
        return removed

    async def _write(self, work: Callable[[sa.Connection], T]) -> T:
        """Write to the database, on a full disk with the space of the ballast: a deletion must work to make room."""
        try:
            return await self._database.write(work)
        except sa.exc.DBAPIError as error:
            if self._ballast is None or temporary(error) != DISK_FULL:
                raise
        _log.warning("disk full, a deletion uses the reserved space")
        with self._ballast.released():
            return await self._database.write(work)

    async def _delete_blobs_now_or_later(self, ids: Sequence[str], entries: Sequence[str]) -> None:
        try:
            await self.delete_blobs(ids, entries)
        except Exception as error:
            if (why := temporary(error)) is None:
                raise
            _log.warning("blobs of removed jobs not deleted yet", extra={"jobs": len(ids), "job": ids[0], "why": why})
        if self._ballast is not None:
            await asyncio.to_thread(self._ballast.restore)

    def take_removed(self) -> bool:
        """True if a job was removed since the last call."""
        removed, self._removed = self._removed, False
        return removed

    async def delete_blobs(self, ids: Sequence[str], entries: Sequence[str]) -> None:
        """Cancel the queue entries of the jobs *ids* and their tasks *entries*, then delete the blobs.

        An attempt that writes a blob afterwards deletes it itself.
        """
        names = [*ids, *entries]
        try:
            await asyncio.to_thread(self._queue.cancel, *names)
        except Exception as error:  # noqa: BLE001 - the tombstone raised `attempt`, so the work stops at its next heartbeat anyway
            _log.warning(
                "queue entry not cancelled",
                exc_info=not temporary(error),
                extra={"job": ids[0], "why": str(error)[:200]},
            )
        limit = asyncio.Semaphore(AT_ONCE)

        async def delete(job_id: str) -> None:
            async with limit:
                await self._blobs.delete_prefix(f"jobs/{job_id}/")

        async with asyncio.TaskGroup() as group:
            for job_id in ids:
                group.create_task(delete(job_id))
        await self._database.write(lambda connection: repository.mark_cleaned(connection, ids))


def _entries(connection: sa.Connection, job_id: str) -> list[str]:
    """The queue entries of the pending deliveries and fetch of *job_id*."""
    return [*deliveries.entries(connection, job_id), *media_fetcher.pending(connection, job_id)]

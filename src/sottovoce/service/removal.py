"""Removing jobs: the row becomes a tombstone first, then the work is stopped, then the bytes go."""

import asyncio
import logging

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Kind, Refused
from sottovoce.job import Event
from sottovoce.service import deliveries, fetches, jobs
from sottovoce.service.blobs import Blobs
from sottovoce.service.database import Database
from sottovoce.service.queue import JobQueue

_log = logging.getLogger(__name__)


class Removal:
    """Deletes for users, and later for retention."""

    def __init__(self, database: Database, blobs: Blobs, queue: JobQueue) -> None:
        self._database = database
        self._blobs = blobs
        self._queue = queue

    async def delete(self, job_id: str, *, force: bool) -> bool:
        """Delete *job_id* for its user. False: somebody else removed it. Raises `Refused(JOB_LOCKED)` for a running one."""

        def remove(connection: sa.Connection) -> list[str] | None:
            found = jobs.get(connection, job_id)
            if found is not None and found.state in job.LIVE and not force:
                raise Refused(Kind.JOB_LOCKED, "the job is still running; delete it with force=true")
            errands = deliveries.entries(connection, job_id)
            if found is not None and (fetch := fetches.entry(found)):
                errands.append(fetch)
            return errands if jobs.remove(connection, job_id, Event.REMOVED) else None

        errands = await self._database.write(remove)
        if errands is None:
            return False
        await self._clean(job_id, errands)
        _log.info("job deleted", extra={"job": job_id})
        return True

    async def _clean(self, job_id: str, errands: list[str]) -> None:
        """Stop whoever works on it, then remove what there is; a late write is removed by its own attempt."""
        try:
            await asyncio.to_thread(self._queue.cancel, job_id, *errands)
        except Exception:  # noqa: BLE001 - the tombstone's fence stops the work as well, at its next heartbeat
            _log.exception("queue entry not cancelled", extra={"job": job_id})
        await self._blobs.delete_prefix(f"jobs/{job_id}/")

"""The orphan sweep: removes blobs of removed jobs and of superseded attempts, and the remains of interrupted writes."""

import asyncio
import contextlib
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from sottovoce.job import REMOVED
from sottovoce.service.jobs import obsolete_blobs, repository
from sottovoce.service.jobs.repository import RowUnreadable
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.queue import worker_registry
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.s3_multipart import MultipartUploads

_log = logging.getLogger(__name__)

GRACE = 24 * 3600.0
"""Seconds for which a blob without a job is kept, because its upload may still be running."""
MAILS_KEPT_MS = 7 * 86_400_000
"""ms for which ended mails about accounts are kept, so that an operator can inspect them."""
PAGE = 500
"""Jobs of one query."""


@dataclass(slots=True)
class _Found:
    """The blobs of one job: when the newest was written (epoch seconds), and the key of each."""

    newest: float = 0.0
    keys: list[str] = field(default_factory=list)


class Sweeper:
    """Checks every blob in each sweep. Safe beside uploads, running jobs and other sweeps."""

    def __init__(
        self, database: Database, blobs: Blobs, bucket: MultipartUploads | None = None, grace: float = GRACE
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._bucket = bucket
        self._grace = grace

    async def sweep(self) -> int:
        """Remove every orphan. Returns the number of jobs whose blobs were removed, plus the interrupted writes."""
        now = time.time()
        found: dict[str, _Found] = {}
        async for key, modified in self._blobs.listing("jobs/"):
            entry = found.setdefault(key.split("/")[1], _Found())
            entry.newest = max(entry.newest, modified)
            entry.keys.append(key)
        count = 0
        ids = sorted(found)
        for first in range(0, len(ids), PAGE):
            count += await self._page({job_id: found[job_id] for job_id in ids[first : first + PAGE]}, now)
        await self._database.write(worker_registry.forget)
        await self._database.write(lambda connection: deliveries.forget(connection, MAILS_KEPT_MS))
        if self._blobs.root is not None:
            count += await asyncio.to_thread(_leftovers, self._blobs.root, now - self._grace)
        if self._bucket is not None:
            count += await asyncio.to_thread(_abort, self._bucket, now - self._grace)
        if count:
            _log.info("orphans removed", extra={"count": count})
        return count

    async def _page(self, found: dict[str, _Found], now: float) -> int:
        jobs = await self._database.read(lambda connection: repository.read_many(connection, list(found)))
        count = 0
        for job_id, entry in found.items():
            job = jobs.get(job_id)
            if isinstance(job, RowUnreadable):  # what it needs is unknown
                continue
            # blobs of a tombstone are late writes and can go at once; blobs without a job may be a running upload
            if (job is None and entry.newest < now - self._grace) or (job is not None and job.state in REMOVED):
                await self._blobs.delete_prefix(f"jobs/{job_id}/")
                count += 1
            elif job is not None and (keys := obsolete_blobs.obsolete(job, entry.keys)):
                for key in keys:
                    await self._blobs.delete(key)
                count += 1
        return count


def _abort(bucket: MultipartUploads, before: float) -> int:
    """Abort multipart uploads that a killed process left in S3. Returns their number."""
    stale = [upload for upload in bucket.uploads() if upload.begun < before]
    for upload in stale:
        bucket.abort(upload)
    return len(stale)


def _leftovers(root: Path, before: float) -> int:
    """Remove staging files (`name#1`) that a killed process left in a local store (research/queue.md §6); return their number."""
    count = 0
    for folder, _, names in os.walk(root):  # unlike rglob, it tolerates a folder that is deleted meanwhile
        for path in (Path(folder) / name for name in names if "#" in name):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
    return count

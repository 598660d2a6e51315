"""The retention sweep: turns jobs whose retention time is over into tombstones, deletes their blobs, and later the tombstones.

A sweep is a task of the queue: only one runs at a time, and another worker continues it if its worker dies. Each step can be
repeated; the next sweep completes an interrupted one.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from sottovoce.job import Event
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.port import JobQueue, TaskKind
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.policy import RetentionPolicy, delete_old_tombstones, due, uncleaned
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

PAGE = 200
"""Jobs of one transaction, which takes about as long as the commit of an upload."""
REST = 0.02
"""Seconds between two pages, in which other transactions can write."""
HISTORY = timedelta(hours=1)
"""Time for which the queue keeps ended entries."""
SWEEP, THOROUGH_SWEEP = "sweep", "thorough sweep"
"""The subjects of the queue's tasks. Entries of earlier releases have the first one."""
SCRATCH = 24 * 3600.0
"""Seconds after which temporary files of a job that does not run are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """The numbers of jobs expired, blobs cleaned, tombstones forgotten and orphans removed by a sweep."""

    expired: int = 0
    cleaned: int = 0
    forgotten: int = 0
    orphans: int = 0

    @property
    def anything(self) -> bool:
        """True if the sweep removed anything."""
        return bool(self.expired or self.cleaned or self.forgotten or self.orphans)


class Retention:
    """Sweeps a region."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        queue: JobQueue,
        deletion: JobDeletion,
        sweeper: Sweeper,
        metrics: Metrics,
        policy: RetentionPolicy,
        scratch: Path | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._queue = queue
        self._deletion = deletion
        self._sweeper = sweeper
        self._metrics = metrics
        self._policy = policy
        self._scratch = scratch

    async def enqueue(self, subject: str, interval: float) -> None:
        """Enqueue the sweep *subject* of the current *interval* (seconds). A second call in the same interval adds none."""

        def add(connection: sa.Connection) -> None:
            now = int(connection.execute(sa.select(now_ms())).scalar_one())
            self._queue.enqueue(connection, TaskKind.RETENTION, subject, now // round(interval * 1000))

        await self._database.write(add)

    async def attempt(self, subject: str, _number: int) -> None:
        """Run the sweep *subject* as a task of the queue: `SWEEP`, or `THOROUGH_SWEEP`, which also searches for orphans."""
        try:
            await self.sweep(thorough=subject == THOROUGH_SWEEP)
        except Exception as error:  # noqa: BLE001 - the next sweep is due soon and completes this one
            if temporary(error):
                _log.warning("retention sweep postponed", extra={"why": f"{type(error).__name__}: {error}"})
            else:
                self._metrics.broke("sweep")
                _log.exception("retention sweep failed")

    async def sweep(self, *, thorough: bool = True) -> SweepResult:
        """Remove jobs and tombstones whose time is over, and left-over blobs; *thorough*: also orphans."""
        swept = SweepResult(
            expired=await self._expire(),
            cleaned=await self._clean(),
            forgotten=await self._remove_tombstones(),
            orphans=await self._orphans() if thorough else 0,
        )
        await asyncio.to_thread(self._queue.forget_ended, datetime.now(UTC) - HISTORY)
        if swept.expired or swept.cleaned or self._deletion.take_removed():
            # SQLite's write-ahead log still contains the overwritten data
            await asyncio.to_thread(self._database.truncate_log)
        if swept.anything:
            _log.info("retention swept", extra=asdict(swept))
        return swept

    async def _expire(self) -> int:
        async def remove(ids: Sequence[str]) -> int:
            removed = await self._deletion.remove(ids, Event.EXPIRED_BY_RETENTION)
            self._metrics.removed("expired", len(removed))
            return len(removed)

        return await self._in_pages(lambda connection: due(connection, self._policy, PAGE), remove)

    async def _clean(self) -> int:
        async def clean(ids: Sequence[str]) -> int:
            await self._deletion.delete_blobs(ids, [])
            return len(ids)

        return await self._in_pages(lambda connection: uncleaned(connection, PAGE), clean)

    async def _in_pages(
        self, find: Callable[[sa.Connection], list[str]], work: Callable[[Sequence[str]], Awaitable[int]]
    ) -> int:
        """Do *work* on the jobs that *find* finds, until there are none or no more can be done. Returns the sum of its counts."""
        count = 0
        while ids := await self._database.read(find):
            done = await self._isolated(ids, work)
            count += done
            if not done:  # other processes did all of them, or each fails because of a bug
                break
            await asyncio.sleep(REST)
        return count

    async def _isolated(self, ids: Sequence[str], work: Callable[[Sequence[str]], Awaitable[int]]) -> int:
        """Do *work* on the jobs *ids* together; after a bug on each of them alone, so that one bad job stops no other."""
        try:
            return await work(ids)
        except Exception as bug:
            if temporary(bug):
                raise
            if len(ids) > 1:
                return sum([await self._isolated([job_id], work) for job_id in ids])
            self._metrics.broke("sweep")
            _log.exception("job not removed", extra={"job": ids[0]})
            return 0

    async def _remove_tombstones(self) -> int:
        count = 0
        while removed := await self._database.write(
            lambda connection: delete_old_tombstones(connection, self._policy, PAGE)
        ):
            count += removed
            await asyncio.sleep(REST)
        return count

    async def _orphans(self) -> int:
        count = await self._sweeper.sweep()
        if self._scratch is not None:
            live = await self._database.read(repository.live_ids)
            count += await asyncio.to_thread(_clear_scratch, self._scratch, live, time.time() - SCRATCH)
        return count


def _clear_scratch(folder: Path, live: Iterable[str], before: float) -> int:
    """Remove temporary folders (`<job>-<attempt>`) last changed before *before* whose job is not in *live*; return their number."""
    alive, count = set(live), 0
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.rpartition("-")[0] not in alive and entry.stat().st_mtime < before:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
                count += 1
    return count

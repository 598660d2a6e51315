"""Jobs whose time is over: their rows become tombstones, then every byte of them goes, then in time the tombstones.

A sweep is an errand of the queue: made once at a time however many workers there are, gone on with by another when its worker
dies. Whatever it does can be done again; what is left between two of its steps is found by the next sweep.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from sottovoce.job import Event
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.dbos_queue import DbosQueue
from sottovoce.service.queue.interval_lock import IntervalLock
from sottovoce.service.queue.port import JobQueue, TaskKind
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.policy import RetentionPolicy, due, make_tombstones, uncleaned
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms

_log = logging.getLogger(__name__)

PAGE = 200
"""Jobs in one transaction: others wait for it about as long as for an upload's commit."""
REST = 0.02
"""Seconds between two pages, for everybody else."""
HISTORY = timedelta(hours=1)
"""How long the queue remembers what it has done with."""
SCRATCH = 24 * 3600.0
"""Seconds after which temporary files of no living job are left-overs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep removed."""

    expired: int = 0
    cleaned: int = 0
    forgotten: int = 0
    orphans: int = 0

    @property
    def anything(self) -> bool:
        """Whether there was something to do."""
        return bool(self.expired or self.cleaned or self.forgotten or self.orphans)


# ── statements ──


class Retention:
    """Sweeps a region."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        queue: DbosQueue,
        deletion: JobDeletion,
        sweeper: Sweeper,
        metrics: Metrics,
        policy: RetentionPolicy,
        scratch: Path | None = None,
        thorough_every: float = 3600.0,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._queue = queue
        self._deletion = deletion
        self._sweeper = sweeper
        self._metrics = metrics
        self._policy = policy
        self._scratch = scratch
        self._every = thorough_every
        self._last = time.monotonic()
        self._turns = IntervalLock(database, "sweep", thorough_every)

    async def attempt(self, _subject: str, _slot: int) -> None:
        """A sweep as the queue has it made; all blobs are looked through once in *thorough_every* seconds only."""
        thorough = time.monotonic() - self._last >= self._every and await self._turns.acquire()
        if thorough:
            self._last = time.monotonic()
        try:
            await self.sweep(thorough=thorough)
        except Exception:  # noqa: BLE001 - the next one is due soon, and finds whatever this one left
            _log.exception("retention sweep failed")

    async def sweep(self, *, thorough: bool = True) -> SweepResult:
        """Remove what is to go; *thorough*: also what nobody owns any more."""
        swept = SweepResult(
            expired=await self._expire(),
            cleaned=await self._clean(),
            forgotten=await self._bury(),
            orphans=await self._orphans() if thorough else 0,
        )
        await asyncio.to_thread(self._queue.forget_ended, datetime.now(UTC) - HISTORY)
        if swept.expired or swept.cleaned or self._deletion.take_removed():
            # what was overwritten in the database still stands in its log
            await asyncio.to_thread(self._database.truncate_log)
        if swept.anything:
            _log.info("retention swept", extra=asdict(swept))
        return swept

    async def _expire(self) -> int:
        count = 0
        while ids := await self._database.read(lambda connection: due(connection, self._policy, PAGE)):
            removed = await self._deletion.remove(ids, Event.EXPIRED_BY_RETENTION)
            self._metrics.removed("expired", len(removed))
            count += len(removed)
            if not removed:  # all of them were somebody else's
                break
            await asyncio.sleep(REST)
        return count

    async def _clean(self) -> int:
        count = 0
        while ids := await self._database.read(lambda connection: uncleaned(connection, PAGE)):
            await self._deletion.delete_blobs(ids, [])
            count += len(ids)
            await asyncio.sleep(REST)
        return count

    async def _bury(self) -> int:
        count = 0
        while buried := await self._database.write(lambda connection: make_tombstones(connection, self._policy, PAGE)):
            count += buried
            await asyncio.sleep(REST)
        return count

    async def _orphans(self) -> int:
        count = await self._sweeper.sweep()
        if self._scratch is not None:
            live = await self._database.read(repository.live_ids)
            count += await asyncio.to_thread(_clear_scratch, self._scratch, live, time.time() - SCRATCH)
        return count


def _clear_scratch(folder: Path, live: Iterable[str], before: float) -> int:
    """Remove temporary folders (`<job>-<attempt>`) of jobs that nobody works on, if they are old as well."""
    alive, count = set(live), 0
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.rpartition("-")[0] not in alive and entry.stat().st_mtime < before:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
                count += 1
    return count


class SweepScheduler:
    """Has a sweep made every *interval* seconds, by whichever worker is free."""

    def __init__(self, database: Database, queue: JobQueue, interval: float) -> None:
        self._database = database
        self._queue = queue
        self._every = round(interval * 1000)

    async def tick(self) -> None:
        """Enqueue the sweep of this stretch of time; whoever comes second with it adds none."""

        def enqueue(connection: sa.Connection) -> None:
            now = int(connection.execute(sa.select(now_ms())).scalar_one())
            self._queue.go(connection, TaskKind.RETENTION, "sweep", now // self._every)

        await self._database.write(enqueue)

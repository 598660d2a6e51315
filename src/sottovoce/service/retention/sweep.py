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

from sottovoce import job
from sottovoce.job import Event, State
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import Removal
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.dbos_queue import DbosQueue, Errand, JobQueue
from sottovoce.service.queue.interval_lock import Turns
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000
PAGE = 200
"""Jobs in one transaction: others wait for it about as long as for an upload's commit."""
REST = 0.02
"""Seconds between two pages, for everybody else."""
UNDELIVERED_MS = 7 * DAY_MS
"""How long a job that goes once it was delivered is kept for somebody to fetch it."""
AFTER_READING_MS = 60_000
"""A transcript that was fetched is kept for so long: the answer may have got lost on its way."""
STUCK = 2
"""Jobs that never end go after so many times their retention, and no sooner than so many weeks (contract §4, inferred)."""
UNCLEANED_MS = 60_000
"""A tombstone that is older than this and still has bytes was left so by a killed process."""
HISTORY = timedelta(hours=1)
"""How long the queue remembers what it has done with."""
SCRATCH = 24 * 3600.0
"""Seconds after which temporary files of no living job are left-overs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long things are kept, in the database's unit. *keep_ms*: jobs that say nothing themselves."""

    keep_ms: int = 7 * DAY_MS
    tombstone_ms: int = 30 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
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


def _delivered() -> sa.ColumnElement[bool]:
    """Somebody has had the result: every delivery has ended and there was one, or the transcript was fetched."""
    theirs = t.deliveries.c.job_id == t.jobs.c.id
    some = sa.exists(sa.select(t.deliveries.c.id).where(theirs))
    waiting = sa.exists(sa.select(t.deliveries.c.id).where(theirs, t.deliveries.c.state == "waiting"))
    return sa.or_(sa.and_(some, sa.not_(waiting)), t.jobs.c.read_at < now_ms() - AFTER_READING_MS)


def _due(policy: RetentionPolicy) -> sa.ColumnElement[bool]:
    """Jobs that ended long enough ago."""
    keep = sa.func.coalesce(t.jobs.c.keep_ms, policy.keep_ms)
    over = sa.or_(keep > 0, _delivered(), t.jobs.c.finished_at < now_ms() - UNDELIVERED_MS)
    return sa.and_(t.jobs.c.state.in_([State.DONE, State.REJECTED]), t.jobs.c.delete_at <= now_ms(), over)


def _stuck(policy: RetentionPolicy) -> sa.ColumnElement[bool]:
    """Jobs that were not done in all that time: nobody may keep media for ever by not working on it."""
    longest = sa.func.coalesce(t.jobs.c.keep_ms, policy.keep_ms)
    patience = STUCK * sa.case((longest > 7 * DAY_MS, longest), else_=7 * DAY_MS)
    return sa.and_(t.jobs.c.state.in_(job.LIVE), t.jobs.c.created_at < now_ms() - patience)


def due(connection: sa.Connection, policy: RetentionPolicy, limit: int) -> list[str]:
    """Ids of jobs that are to go, those that ended first."""
    ended = sa.select(t.jobs.c.id).where(_due(policy)).order_by(t.jobs.c.delete_at).limit(limit)
    found = list(connection.scalars(ended))
    if len(found) < limit:
        found += connection.scalars(sa.select(t.jobs.c.id).where(_stuck(policy)).limit(limit - len(found)))
    return found


def uncleaned(connection: sa.Connection, limit: int) -> list[str]:
    """Ids of tombstones whose bytes may still be there."""
    old = t.jobs.c.removed_at < now_ms() - UNCLEANED_MS
    statement = sa.select(t.jobs.c.id).where(t.jobs.c.cleaned_at.is_(None), old).order_by(t.jobs.c.removed_at)
    return list(connection.scalars(statement.limit(limit)))


def bury(connection: sa.Connection, policy: RetentionPolicy, limit: int) -> int:
    """Forget tombstones whose time is over, and that nothing is left of; how many. From then on they are 404."""
    old = (t.jobs.c.removed_at <= now_ms() - policy.tombstone_ms, t.jobs.c.cleaned_at.is_not(None))
    ids = list(connection.scalars(sa.select(t.jobs.c.id).where(*old).limit(limit)))
    if ids:
        connection.execute(sa.delete(t.job_events).where(t.job_events.c.job_id.in_(ids)))
        connection.execute(sa.delete(t.jobs).where(t.jobs.c.id.in_(ids)))
    return len(ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is kept, and what is about to go. Bytes are those of media."""

    kept: int
    kept_bytes: int
    due: int
    due_in_a_day: int
    stuck: int
    tombstones: int
    uncleaned: int
    oldest_end: int | None


def outlook(connection: sa.Connection, policy: RetentionPolicy) -> Outlook:
    """How things stand now."""
    kept = t.jobs.c.state.not_in(job.REMOVED)
    ended = t.jobs.c.state.in_([State.DONE, State.REJECTED])

    def count(*where: sa.ColumnElement[bool]) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.jobs).where(*where)).scalar_one())

    sums = sa.select(sa.func.coalesce(sa.func.sum(t.jobs.c.media_bytes), 0), sa.func.min(t.jobs.c.finished_at))
    held, oldest = connection.execute(sums.where(kept)).one()
    return Outlook(
        kept=count(kept),
        kept_bytes=int(held),
        due=count(_due(policy)),
        due_in_a_day=count(ended, t.jobs.c.delete_at <= now_ms() + DAY_MS),
        stuck=count(_stuck(policy)),
        tombstones=count(t.jobs.c.state.in_(job.REMOVED)),
        uncleaned=count(t.jobs.c.state.in_(job.REMOVED), t.jobs.c.cleaned_at.is_(None)),
        oldest_end=oldest,
    )


# ── the sweep ──


class Retention:
    """Sweeps a region."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        queue: DbosQueue,
        removal: Removal,
        sweeper: Sweeper,
        metrics: Metrics,
        policy: RetentionPolicy,
        scratch: Path | None = None,
        thorough_every: float = 3600.0,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._queue = queue
        self._removal = removal
        self._sweeper = sweeper
        self._metrics = metrics
        self._policy = policy
        self._scratch = scratch
        self._every = thorough_every
        self._last = time.monotonic()
        self._turns = Turns(database, "sweep", thorough_every)

    async def attempt(self, _subject: str, _slot: int) -> None:
        """A sweep as the queue has it made; all blobs are looked through once in *thorough_every* seconds only."""
        thorough = time.monotonic() - self._last >= self._every and await self._turns.mine()
        if thorough:
            self._last = time.monotonic()
        try:
            await self.sweep(thorough=thorough)
        except Exception:  # noqa: BLE001 - the next one is due soon, and finds whatever this one left
            _log.exception("retention sweep failed")

    async def sweep(self, *, thorough: bool = True) -> Swept:
        """Remove what is to go; *thorough*: also what nobody owns any more."""
        swept = Swept(
            expired=await self._expire(),
            cleaned=await self._clean(),
            forgotten=await self._bury(),
            orphans=await self._orphans() if thorough else 0,
        )
        await asyncio.to_thread(self._queue.forget_ended, datetime.now(UTC) - HISTORY)
        if swept.expired or swept.cleaned or self._removal.take_removed():
            # what was overwritten in the database still stands in its log
            await asyncio.to_thread(self._database.truncate_log)
        if swept.anything:
            _log.info("retention swept", extra=asdict(swept))
        return swept

    async def _expire(self) -> int:
        count = 0
        while ids := await self._database.read(lambda connection: due(connection, self._policy, PAGE)):
            removed = await self._removal.remove(ids, Event.LAPSED)
            self._metrics.removed("expired", len(removed))
            count += len(removed)
            if not removed:  # all of them were somebody else's
                break
            await asyncio.sleep(REST)
        return count

    async def _clean(self) -> int:
        count = 0
        while ids := await self._database.read(lambda connection: uncleaned(connection, PAGE)):
            await self._removal.clean(ids, [])
            count += len(ids)
            await asyncio.sleep(REST)
        return count

    async def _bury(self) -> int:
        count = 0
        while buried := await self._database.write(lambda connection: bury(connection, self._policy, PAGE)):
            count += buried
            await asyncio.sleep(REST)
        return count

    async def _orphans(self) -> int:
        count = await self._sweeper.sweep()
        if self._scratch is not None:
            live = await self._database.read(repository.live)
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


class Timetable:
    """Has a sweep made every *interval* seconds, by whichever worker is free."""

    def __init__(self, database: Database, queue: JobQueue, interval: float) -> None:
        self._database = database
        self._queue = queue
        self._every = round(interval * 1000)

    async def tick(self) -> None:
        """Enqueue the sweep of this stretch of time; whoever comes second with it adds none."""

        def enqueue(connection: sa.Connection) -> None:
            now = int(connection.execute(sa.select(now_ms())).scalar_one())
            self._queue.go(connection, Errand.RETENTION, "sweep", now // self._every)

        await self._database.write(enqueue)

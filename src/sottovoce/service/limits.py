"""How much one workspace, and one disk, may hold, and how fast one key may ask: before any media is read, and when it has come."""

import math
import shutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Kind, Refused
from sottovoce.service import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Per workspace: jobs at the same time, and bytes of media kept. `None`: as many as there is room for."""

    live_jobs: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a workspace holds now."""

    live_jobs: int
    stored_bytes: int


def usage(connection: sa.Connection, workspace_id: int) -> Usage:
    """What *workspace_id* holds in this region."""
    mine = t.jobs.c.workspace_id == workspace_id
    live = sa.select(sa.func.count()).where(mine, t.jobs.c.state.in_(job.LIVE)).scalar_subquery()
    kept = (
        sa.select(sa.func.coalesce(sa.func.sum(t.jobs.c.media_bytes), 0))
        .where(mine, t.jobs.c.state.not_in(job.REMOVED))
        .scalar_subquery()
    )
    row = connection.execute(sa.select(live, kept)).one()
    return Usage(live_jobs=int(row[0]), stored_bytes=int(row[1]))


def check(quota: Quota, held: Usage, incoming: int) -> None:
    """Refuse *incoming* bytes of media that would pass *quota*. Raises `Refused`."""
    if quota.live_jobs is not None and held.live_jobs >= quota.live_jobs:
        raise Refused(Kind.TOO_MANY_JOBS, f"{held.live_jobs} jobs of this workspace are waiting or running")
    if quota.stored_bytes is not None and held.stored_bytes + incoming > quota.stored_bytes:
        why = f"this workspace may keep {quota.stored_bytes} bytes of media and has {held.stored_bytes}; delete jobs to make room"
        raise Refused(Kind.STORAGE_FULL, why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A local store's disk: *reserve* bytes of it are never given to media."""

    root: Path
    reserve: int

    def check(self, incoming: int) -> None:
        """Refuse *incoming* bytes that would eat into the reserve. Raises `Refused`."""
        if shutil.disk_usage(self.root).free - incoming < self.reserve:
            raise Refused(Kind.STORAGE_FULL, "the server's disk is too full for this media; try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Requests of one key: *burst* at once, *rate* a second on the whole."""

    rate: float = 100.0
    burst: int = 1000


class TokenBuckets:
    """A token bucket for each name, in this process. *clock* gives monotonic seconds.

    A bucket that has filled up again is the same as none, so only those in use take memory.
    """

    def __init__(self, buckets: Buckets, clock: Callable[[], float]) -> None:
        self._buckets = buckets
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, when

    def take(self, name: str) -> None:
        """Take one token. Raises `Refused(RATE_LIMITED)`, with the seconds to wait, when there is none."""
        now = self._clock()
        left = self._left(name, now)
        if left < 1.0:
            raise RateLimited(math.ceil((1.0 - left) / self._buckets.rate))
        self._held[name] = left - 1.0, now
        self._held.move_to_end(name)
        self._drop_full(now)

    def _left(self, name: str, now: float) -> float:
        left, at = self._held.get(name, (float(self._buckets.burst), now))
        return min(self._buckets.burst, left + (now - at) * self._buckets.rate)

    def _drop_full(self, now: float) -> None:
        """Forget buckets from the least lately used on, as long as they are full."""
        while self._held and self._left(next(iter(self._held)), now) >= self._buckets.burst:
            self._held.popitem(last=False)


class RateLimited(Refused):
    """Too many requests; *after* is in whole seconds."""

    def __init__(self, after: int) -> None:
        super().__init__(Kind.RATE_LIMITED, f"too many requests of this key; try again in {after} s")
        self.after = after

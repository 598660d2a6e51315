"""How much one workspace, and one disk, may hold, and how fast one key may ask. The mechanism of the latter: `buckets.py`."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Kind, Refused
from sottovoce.service.limits.rate_limits import RateLimit, RateLimits
from sottovoce.service.storage import schema as t

RULES: Mapping[Kind, str] = {Kind.TOO_MANY_JOBS: "jobs", Kind.STORAGE_FULL: "storage"}
"""What refusals for want of room are counted as."""


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
    return _held(connection, workspace_id, Quota(live_jobs=0, stored_bytes=0))


def enforce(connection: sa.Connection, *, quota: Quota, workspace_id: int, incoming: int) -> None:
    """Refuse a job with *incoming* bytes of media that would pass *quota*, as *connection* sees it. Raises `Refused`.

    Exact only in a transaction that keeps others from adding jobs: `jobs.insert` calls it in one.
    """
    if quota != Quota():
        check(quota, _held(connection, workspace_id, quota), incoming)


def _held(connection: sa.Connection, workspace_id: int, quota: Quota) -> Usage:
    """What *workspace_id* holds of the things that *quota* limits; of others 0, since counting takes time."""
    mine = t.jobs.c.workspace_id == workspace_id
    live: sa.ColumnElement[int] = sa.literal(0)
    kept: sa.ColumnElement[int] = sa.literal(0)
    if quota.live_jobs is not None:
        live = sa.select(sa.func.count()).where(mine, t.jobs.c.state.in_(job.LIVE)).scalar_subquery()
    if quota.stored_bytes is not None:
        total = sa.func.coalesce(sa.func.sum(t.jobs.c.media_bytes), 0)
        kept = sa.select(total).where(mine, t.jobs.c.state.not_in(job.REMOVED)).scalar_subquery()
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
class Profile:
    """Limits that go together; *live_jobs* as in `Quota`."""

    rate_limits: RateLimits
    live_jobs: int | None


PROFILES: Mapping[str, Profile] = {
    "generous": Profile(rate_limits=RateLimits(), live_jobs=None),
    # contract `batch-v2.md` §11; its rates are of one second, and so are the bursts
    "vendor": Profile(
        rate_limits=RateLimits(submit=RateLimit(rate=10.0, burst=10), read=RateLimit(rate=50.0, burst=50)),
        live_jobs=20_000,
    ),
}
"""What the setting `limits` can be; every single limit can be set otherwise."""

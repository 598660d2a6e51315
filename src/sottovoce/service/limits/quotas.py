"""Quotas of a workspace, the reserve of the disk, and the profiles of limits. `rate_limiter.py` applies the rate limits."""

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
"""The metric label of each rejection for lack of space."""
_KEPT = tuple(state for state in job.State if state not in job.REMOVED)
"""The states of jobs that have media; `IN` can use the index `jobs_quota`, `NOT IN` cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Per workspace: jobs that wait or run at the same time, and bytes of stored media. `None`: unlimited."""

    live_jobs: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The waiting and running jobs of a workspace, and the bytes of its stored media."""

    live_jobs: int
    stored_bytes: int


def usage(connection: sa.Connection, workspace_id: int) -> Usage:
    """Return the usage of *workspace_id* in this region."""
    return _held(connection, workspace_id, Quota(live_jobs=0, stored_bytes=0))


def enforce(connection: sa.Connection, *, quota: Quota, workspace_id: int, incoming: int) -> None:
    """Raise `Refused` if a job with *incoming* bytes of media would exceed *quota*, as *connection* sees it.

    Exact only in a transaction that blocks other inserts of jobs: `jobs.insert` calls it in one.
    """
    if quota != Quota():
        check(quota, _held(connection, workspace_id, quota), incoming)


def _held(connection: sa.Connection, workspace_id: int, quota: Quota) -> Usage:
    """Return the usage of *workspace_id*; 0 for values that *quota* does not limit, because counting takes time."""
    mine = t.jobs.c.workspace_id == workspace_id
    live: sa.ColumnElement[int] = sa.literal(0)
    kept: sa.ColumnElement[int] = sa.literal(0)
    if quota.live_jobs is not None:
        live = sa.select(sa.func.count()).where(mine, t.jobs.c.state.in_(job.LIVE)).scalar_subquery()
    if quota.stored_bytes is not None:
        total = sa.func.coalesce(sa.func.sum(t.jobs.c.media_bytes), 0)
        kept = sa.select(total).where(mine, t.jobs.c.state.in_(_KEPT)).scalar_subquery()
    row = connection.execute(sa.select(live, kept)).one()
    return Usage(live_jobs=int(row[0]), stored_bytes=int(row[1]))


def check(quota: Quota, held: Usage, incoming: int) -> None:
    """Raise `Refused` if a job with *incoming* bytes of media would exceed *quota*; *held*: the usage without it."""
    if quota.live_jobs is not None and held.live_jobs >= quota.live_jobs:
        raise Refused(Kind.TOO_MANY_JOBS, f"{held.live_jobs} jobs of this workspace are waiting or running")
    if quota.stored_bytes is not None and held.stored_bytes + incoming > quota.stored_bytes:
        why = f"this workspace may keep {quota.stored_bytes} bytes of media and has {held.stored_bytes}; delete jobs to make room"
        raise Refused(Kind.STORAGE_FULL, why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The disk of a local blob store: *reserve* bytes of it stay free of media."""

    root: Path
    reserve: int

    @property
    def free(self) -> int:
        """The free bytes."""
        return shutil.disk_usage(self.root).free

    @property
    def full(self) -> str | None:
        """Why every upload is refused now, with the next step; `None` if there is room."""
        free = self.free
        if free >= self.reserve:
            return None
        return (
            f"uploads are refused (507): {free / 1e9:.2f} GB are free at {self.root}, and SOTTOVOCE_RESERVE_BYTES keeps "
            f"{self.reserve / 1e9:.2f} GB free; make room, or lower it"
        )

    def check(self, incoming: int) -> None:
        """Raise `Refused` if *incoming* bytes would leave less than the reserve free."""
        if self.free - incoming < self.reserve:
            raise Refused(Kind.STORAGE_FULL, "the server's disk is too full for this media; try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named set of limits; *live_jobs* as in `Quota`, *sessions*: realtime sessions of a project at the same time."""

    rate_limits: RateLimits
    live_jobs: int | None
    sessions: int | None = None


PROFILES: Mapping[str, Profile] = {
    "generous": Profile(rate_limits=RateLimits(), live_jobs=None),
    # contract `batch-v2.md` §11; it gives rates per second, so each burst is one second's worth
    "vendor": Profile(
        rate_limits=RateLimits(submit=RateLimit(rate=10.0, burst=10), read=RateLimit(rate=50.0, burst=50)),
        live_jobs=20_000,
        sessions=50,  # contract `realtime.md` §10: of a paid workspace
    ),
}
"""The values of the setting `limits`; other settings override single limits."""

"""How much one workspace, and one disk, may hold: asked before any media is read, and again when it has come."""

import shutil
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

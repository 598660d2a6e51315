"""Deletes the jobs of deleted projects."""

import logging
from functools import partial

import sqlalchemy as sa

from sottovoce import job
from sottovoce.service.billing import usage
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

BATCH = 100
"""Jobs of one query."""
OVERLAP_MS = 600_000
"""ms before the newest handled deletion that are checked again: a deletion may be committed later than its timestamp."""
_SEEN = "deleted projects seen until"


class ProjectCleanup:
    """Removes the data of deleted projects in this region: media, transcripts, configs and usage."""

    def __init__(self, control: Database, database: Database, deletion: JobDeletion, metrics: Metrics) -> None:
        self._metrics = metrics
        self._control = control
        self._database = database
        self._deletion = deletion

    async def project(self, project_id: int) -> int:
        """Remove the jobs and usage of *project_id*. Returns the number of jobs."""
        removed, last = 0, ""
        while ids := await self._database.read(lambda connection, last=last: _jobs_of(connection, project_id, last)):  # type: ignore[misc]
            for job_id in ids:
                removed += await self._deletion.delete(job_id, force=True)
            last = ids[-1]
        workspace_id = await self._control.read(lambda connection: _workspace_of(connection, project_id))
        if workspace_id is not None:
            # the usage of a deleted project is not copied any more, so it does not come back
            for database, table in ((self._database, t.job_usage), (self._control, t.usage)):
                await database.write(
                    partial(usage.forget, table=table, workspace_id=workspace_id, project_id=project_id)
                )
        return removed

    async def tick(self) -> None:
        """Remove the jobs of every deleted project, including those deleted in another region and interrupted deletions."""
        held = await self._database.read(_projects_with_jobs)
        seen = await self._database.read(_seen)
        deleted = await self._control.read(lambda connection: _deleted(connection, held, seen - OVERLAP_MS))
        for project_id in deleted:
            await self._handle(project_id)
        if (newest := max(deleted.values(), default=0)) > seen:
            await self._database.write(lambda connection: _see(connection, newest))

    async def _handle(self, project_id: int) -> None:
        """Remove the jobs of a deleted project. A bug is logged, and the other projects go on; the next tick tries again."""
        try:
            if count := await self.project(project_id):
                _log.info("jobs of a deleted project removed", extra={"project": project_id, "jobs": count})
        except Exception as bug:
            if temporary(bug):
                raise
            self._metrics.broke("projects")
            _log.exception("jobs of a deleted project not removed", extra={"project": project_id})


def _jobs_of(connection: sa.Connection, project_id: int, after: str) -> list[str]:
    theirs = (t.jobs.c.project_id == project_id, t.jobs.c.state.not_in(job.REMOVED), t.jobs.c.id > after)
    return list(connection.scalars(sa.select(t.jobs.c.id).where(*theirs).order_by(t.jobs.c.id).limit(BATCH)))


def _projects_with_jobs(connection: sa.Connection) -> list[int]:
    return list(connection.scalars(sa.select(t.jobs.c.project_id).where(t.jobs.c.state.not_in(job.REMOVED)).distinct()))


def _deleted(connection: sa.Connection, ids: list[int], since: int) -> dict[int, int]:
    """Return the deletion times of the projects that were deleted after *since*, or are deleted and in *ids*."""
    deleted_at = t.projects.c.deleted_at
    theirs = (deleted_at.is_not(None), sa.or_(t.projects.c.id.in_(ids), deleted_at > since))
    return {row.id: row.deleted_at for row in connection.execute(sa.select(t.projects.c.id, deleted_at).where(*theirs))}


def _workspace_of(connection: sa.Connection, project_id: int) -> int | None:
    return connection.scalar(sa.select(t.projects.c.workspace_id).where(t.projects.c.id == project_id))


def _seen(connection: sa.Connection) -> int:
    """Return the time (epoch ms, by the control database's clock) up to which deletions were handled in this region."""
    return connection.scalar(sa.select(t.counters.c.value).where(t.counters.c.name == _SEEN)) or 0


def _see(connection: sa.Connection, until: int) -> None:
    seen = sa.update(t.counters).where(t.counters.c.name == _SEEN).values(value=until)
    if not connection.execute(seen).rowcount:
        connection.execute(sa.insert(t.counters).values(name=_SEEN, value=until))

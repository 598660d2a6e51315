"""Projects: walls between keys. A key sees the jobs of its own project; what a deleted project held is removed."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from sottovoce import job
from sottovoce.errors import Kind, Refused
from sottovoce.service.billing import usage
from sottovoce.service.identity.api_keys import checked
from sottovoce.service.jobs.deletion import Removal
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms

_log = logging.getLogger(__name__)

MAX_PROJECTS = 1000
"""Projects of one workspace (contract §11)."""
MAX_DESCRIPTION = 1000
BATCH = 100
"""Jobs in one look."""
OVERLAP_MS = 600_000
"""How far a look goes back behind the newest deletion that was seen: another may have been committed later than it says."""
_SEEN = "deleted projects seen until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as it may be shown."""

    id: int
    workspace_id: int
    name: str
    description: str | None
    is_default: bool
    created_at: int
    deleted_at: int | None


def _projects() -> sa.Select[Any]:
    return sa.select(*(t.projects.c[name] for name in Project.__dataclass_fields__))


def listed(connection: sa.Connection, workspace_id: int | None = None) -> list[Project]:
    """Projects that are there, oldest first; those of one workspace if it is given."""
    statement = _projects().where(t.projects.c.deleted_at.is_(None)).order_by(t.projects.c.id)
    if workspace_id is not None:
        statement = statement.where(t.projects.c.workspace_id == workspace_id)
    return [Project(**row) for row in connection.execute(statement).mappings()]


def get(connection: sa.Connection, workspace_id: int, project_id: int) -> Project:
    """The project. Raises `Refused(PAGE_NOT_FOUND)` for one that was deleted, never was, or is another workspace's."""
    if 0 < project_id < 1 << 31:  # what the column holds
        theirs = (t.projects.c.id == project_id, t.projects.c.workspace_id == workspace_id)
        statement = _projects().where(*theirs, t.projects.c.deleted_at.is_(None))
        if row := connection.execute(statement).mappings().first():
            return Project(**row)
    raise Refused(Kind.PAGE_NOT_FOUND, "no such project")


def create(connection: sa.Connection, workspace_id: int, name: str, description: str | None = None) -> Project:
    """A new project. Raises `Refused` for a bad name, or when the workspace has as many as it may."""
    if description is not None:
        description = checked(description.replace("\n", " "), at="description in body", most=MAX_DESCRIPTION)
    values = {"workspace_id": workspace_id, "name": _name(name), "description": description, "is_default": False}
    # the row's lock makes those who create at the same time wait for each other
    connection.execute(sa.select(t.workspaces.c.id).where(t.workspaces.c.id == workspace_id).with_for_update())
    if len(listed(connection, workspace_id)) >= MAX_PROJECTS:
        raise Refused(Kind.FORBIDDEN, f"the workspace has {MAX_PROJECTS} projects, and may not have more")
    key = connection.execute(sa.insert(t.projects).values(created_at=now_ms(), **values)).inserted_primary_key
    if key is None:
        raise RuntimeError("no key from projects")
    return get(connection, workspace_id, key[0])


def rename(connection: sa.Connection, workspace_id: int, project_id: int, name: str) -> Project:
    """The project under a new name. Raises `Refused`."""
    found = get(connection, workspace_id, project_id)
    connection.execute(sa.update(t.projects).where(t.projects.c.id == found.id).values(name=_name(name)))
    return get(connection, workspace_id, project_id)


def _name(name: str) -> str:
    if not (name := checked(name, at="name in body").strip()):
        raise Refused(Kind.INVALID_QUERY, "name in body should be at least 1 chars long")
    return name


def delete(connection: sa.Connection, workspace_id: int, project_id: int) -> Project:
    """Close the project: from now on its keys open nothing. Raises `Refused`, for the default project too (contract §13.3)."""
    found = get(connection, workspace_id, project_id)
    if found.is_default:
        raise Refused(Kind.FORBIDDEN, "the default project cannot be deleted")
    connection.execute(sa.update(t.projects).where(t.projects.c.id == found.id).values(deleted_at=now_ms()))
    theirs = (t.api_keys.c.project_id == found.id, t.api_keys.c.revoked_at.is_(None))
    connection.execute(sa.update(t.api_keys).where(*theirs).values(revoked_at=now_ms()))
    return found


class Clearing:
    """Removes what deleted projects left in this region: media, transcripts, configs; and what is known of their usage."""

    def __init__(self, control: Database, database: Database, removal: Removal) -> None:
        self._control = control
        self._database = database
        self._removal = removal

    async def project(self, project_id: int) -> int:
        """Remove the jobs of *project_id*; how many."""
        removed, last = 0, ""
        while ids := await self._database.read(lambda connection, last=last: _jobs_of(connection, project_id, last)):  # type: ignore[misc]
            for job_id in ids:
                removed += await self._removal.delete(job_id, force=True)
            last = ids[-1]
        workspace_id = await self._control.read(lambda connection: _workspace_of(connection, project_id))
        if workspace_id is not None:
            # nobody copies the usage of a deleted project, so none of it comes back
            for database, table in ((self._database, t.job_usage), (self._control, t.usage)):
                await database.write(
                    partial(usage.forget, table=table, workspace_id=workspace_id, project_id=project_id)
                )
        return removed

    async def tick(self) -> None:
        """Remove the jobs of every deleted project: also those that another region deleted, and the rest of a killed delete."""
        held = await self._database.read(_projects_with_jobs)
        seen = await self._database.read(_seen)
        deleted = await self._control.read(lambda connection: _deleted(connection, held, seen - OVERLAP_MS))
        for project_id in deleted:
            if count := await self.project(project_id):
                _log.info("jobs of a deleted project removed", extra={"project": project_id, "jobs": count})
        if (newest := max(deleted.values(), default=0)) > seen:
            await self._database.write(lambda connection: _see(connection, newest))


def _jobs_of(connection: sa.Connection, project_id: int, after: str) -> list[str]:
    theirs = (t.jobs.c.project_id == project_id, t.jobs.c.state.not_in(job.REMOVED), t.jobs.c.id > after)
    return list(connection.scalars(sa.select(t.jobs.c.id).where(*theirs).order_by(t.jobs.c.id).limit(BATCH)))


def _projects_with_jobs(connection: sa.Connection) -> list[int]:
    return list(connection.scalars(sa.select(t.jobs.c.project_id).where(t.jobs.c.state.not_in(job.REMOVED)).distinct()))


def _deleted(connection: sa.Connection, ids: list[int], since: int) -> dict[int, int]:
    """When those of *ids* that are deleted were, and all that were since then."""
    deleted_at = t.projects.c.deleted_at
    theirs = (deleted_at.is_not(None), sa.or_(t.projects.c.id.in_(ids), deleted_at > since))
    return {row.id: row.deleted_at for row in connection.execute(sa.select(t.projects.c.id, deleted_at).where(*theirs))}


def _workspace_of(connection: sa.Connection, project_id: int) -> int | None:
    return connection.scalar(sa.select(t.projects.c.workspace_id).where(t.projects.c.id == project_id))


def _seen(connection: sa.Connection) -> int:
    """Until when (epoch ms, by the control database's clock) deletions were carried out in this region."""
    return connection.scalar(sa.select(t.counters.c.value).where(t.counters.c.name == _SEEN)) or 0


def _see(connection: sa.Connection, until: int) -> None:
    seen = sa.update(t.counters).where(t.counters.c.name == _SEEN).values(value=until)
    if not connection.execute(seen).rowcount:
        connection.execute(sa.insert(t.counters).values(name=_SEEN, value=until))

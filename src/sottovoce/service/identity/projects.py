"""Projects: a key sees only the jobs of its own project. The data of a deleted project is removed."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.api_keys import checked
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

MAX_PROJECTS = 1000
"""Projects of one workspace (contract §11)."""
MAX_DESCRIPTION = 1000
"""Characters of a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project. Instants are epoch ms."""

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
    """Return the projects that are not deleted, oldest first; only those of *workspace_id* if it is given."""
    statement = _projects().where(t.projects.c.deleted_at.is_(None)).order_by(t.projects.c.id)
    if workspace_id is not None:
        statement = statement.where(t.projects.c.workspace_id == workspace_id)
    return [Project(**row) for row in connection.execute(statement).mappings()]


def get(connection: sa.Connection, workspace_id: int, project_id: int) -> Project:
    """Return the project. Raises `Refused(PAGE_NOT_FOUND)` if it was deleted, is unknown, or is in another workspace."""
    if 0 < project_id < 1 << 31:  # the range of the column
        theirs = (t.projects.c.id == project_id, t.projects.c.workspace_id == workspace_id)
        statement = _projects().where(*theirs, t.projects.c.deleted_at.is_(None))
        if row := connection.execute(statement).mappings().first():
            return Project(**row)
    raise Refused(Kind.PAGE_NOT_FOUND, "no such project")


def create(connection: sa.Connection, workspace_id: int, name: str, description: str | None = None) -> Project:
    """Create a project. Raises `Refused` for an invalid name, or when the workspace has `MAX_PROJECTS` projects."""
    if description is not None:
        description = checked(description.replace("\n", " "), at="description in body", most=MAX_DESCRIPTION)
    values = {"workspace_id": workspace_id, "name": _name(name), "description": description, "is_default": False}
    # concurrent calls wait for this lock, so that each counts the projects of the other
    connection.execute(sa.select(t.workspaces.c.id).where(t.workspaces.c.id == workspace_id).with_for_update())
    if len(listed(connection, workspace_id)) >= MAX_PROJECTS:
        raise Refused(
            Kind.FORBIDDEN, f"the workspace has {MAX_PROJECTS} projects, which is the maximum; delete some first"
        )
    key = connection.execute(sa.insert(t.projects).values(created_at=now_ms(), **values)).inserted_primary_key
    if key is None:
        raise RuntimeError("the database returned no primary key for projects")
    return get(connection, workspace_id, key[0])


def rename(connection: sa.Connection, workspace_id: int, project_id: int, name: str) -> Project:
    """Give the project a new name, and return it. Raises `Refused`."""
    found = get(connection, workspace_id, project_id)
    connection.execute(sa.update(t.projects).where(t.projects.c.id == found.id).values(name=_name(name)))
    return get(connection, workspace_id, project_id)


def _name(name: str) -> str:
    if not (name := checked(name, at="name in body").strip()):
        raise Refused(Kind.INVALID_QUERY, "name in body should be at least 1 chars long")
    return name


def delete(connection: sa.Connection, workspace_id: int, project_id: int) -> Project:
    """Delete the project and revoke its keys. Raises `Refused`, also for the default project (contract §13.3)."""
    found = get(connection, workspace_id, project_id)
    if found.is_default:
        raise Refused(Kind.FORBIDDEN, "the default project cannot be deleted")
    connection.execute(sa.update(t.projects).where(t.projects.c.id == found.id).values(deleted_at=now_ms()))
    theirs = (t.api_keys.c.project_id == found.id, t.api_keys.c.revoked_at.is_(None))
    connection.execute(sa.update(t.api_keys).where(*theirs).values(revoked_at=now_ms()))
    return found

"""Workspaces: the roles of their users, the regions that serve them, and the retention time of their jobs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.regions import NAME
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, now_ms

MOST_DAYS = 36_500
"""Days of retention that an operator can set, at most: a hundred years."""
_COLUMNS = ("id", "name", "created_at", "regions", "retention_ms")


class Role(StrEnum):
    """What a user may do in the workspace: everything, or use jobs, realtime and own keys."""

    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """*regions* `None`: every region serves it. *retention_ms* `None`: the region's setting; 0: until a job is delivered."""

    id: int
    name: str
    created_at: int
    regions: tuple[str, ...] | None
    retention_ms: int | None


def listed(connection: sa.Connection) -> list[Workspace]:
    """Return every workspace, oldest first."""
    rows = connection.execute(sa.select(*(t.workspaces.c[name] for name in _COLUMNS)).order_by(t.workspaces.c.id))
    return [
        Workspace(**{**row, "regions": None if row["regions"] is None else tuple(row["regions"])})
        for row in rows.mappings()
    ]


def bind(connection: sa.Connection, workspace_id: int, regions: Sequence[str] | None) -> None:
    """Let only *regions* serve *workspace_id*; `None`: all. Existing jobs stay in their regions. Raises `Refused`."""
    if regions is not None:
        regions = list(dict.fromkeys(regions))
        if not regions:
            raise Refused(Kind.INVALID_QUERY, "name at least one region")
        for name in regions:
            if not re.fullmatch(NAME, name):
                raise Refused(Kind.INVALID_QUERY, f"{name!r} is not a region name: use eu1, us1, au1 or your own")
    _change(connection, workspace_id, regions=regions)


def keep(connection: sa.Connection, workspace_id: int, days: float | None) -> None:
    """Keep jobs of *workspace_id* for *days* after their end; `None`: the region's setting. Applies to new jobs only.

    Raises `Refused`.
    """
    if days is not None and not 0 <= days <= MOST_DAYS:
        raise Refused(Kind.INVALID_QUERY, f"days should be between 0 and {MOST_DAYS}")
    _change(connection, workspace_id, retention_ms=None if days is None else round(days * DAY_MS))


def _change(connection: sa.Connection, workspace_id: int, **values: object) -> None:
    statement = sa.update(t.workspaces).where(t.workspaces.c.id == workspace_id).values(**values)
    if not connection.execute(statement).rowcount:
        raise Refused(Kind.PAGE_NOT_FOUND, f"no workspace {workspace_id}")


def open_workspace(connection: sa.Connection, name: str) -> tuple[int, int]:
    """Create a workspace and its default project, and return the ids of both."""
    workspace = _inserted(connection, t.workspaces, name=name)
    return workspace, _inserted(connection, t.projects, workspace_id=workspace, name="default", is_default=True)


def _inserted(connection: sa.Connection, table: sa.Table, **values: object) -> int:
    key = connection.execute(sa.insert(table).values(created_at=now_ms(), **values)).inserted_primary_key
    if key is None:
        raise RuntimeError(f"the database returned no primary key for {table.name}")
    return int(key[0])

"""Usage: a done job is counted in the transaction that ends it; the record stays when the job is removed.

A region answers from its own table. The operator's figures are copies in the control database: rows without `told_at` are not
copied yet, and copying a row again changes nothing, so the next replication completes an interrupted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sottovoce.errors import Kind, Refused
from sottovoce.job import State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, now_ms
from sottovoce.wire.v2.usage import MAX_DAYS, REALTIME, Line, SplitLine, Usage

COPIED = ("job_id", "workspace_id", "project_id", "day", "type", "language", "operating_point", "duration_ms", "app")
"""The columns that a region's row and its copy have in common."""


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)


def record(connection: sa.Connection, job_id: str) -> None:
    """Count *job_id* in the transaction that ends it, if its state is done. A second call changes nothing."""
    of_job = {"job_id": t.jobs.c.id, "day": t.jobs.c.finished_at // DAY_MS}
    row = sa.select(*(of_job[name] if name in of_job else t.jobs.c[name] for name in COPIED))
    done = row.where(t.jobs.c.id == job_id, t.jobs.c.state == State.DONE)
    connection.execute(_insert(connection, t.job_usage).from_select(COPIED, done).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUsage:
    """The usage of one realtime session: *duration_ms* of audio of all channels; *app* as in `sm-app`."""

    session_id: str
    workspace_id: int
    project_id: int
    language: str
    operating_point: str
    duration_ms: int
    app: str | None = None


def record_session(connection: sa.Connection, session: SessionUsage) -> None:
    """Count a realtime session that ended. A second call changes nothing."""
    values = {name: getattr(session, name) for name in COPIED if name not in {"job_id", "day", "type"}}
    row = {**values, "job_id": session.session_id, "day": now_ms() // DAY_MS, "type": REALTIME}
    connection.execute(_insert(connection, t.job_usage).values(**row).on_conflict_do_nothing())


# ── usage of a workspace in this region ──


def yesterday(connection: sa.Connection) -> int:
    """Return the last complete day (UTC, days since 1970-01-01) by the database's clock; reports end with it (contract §5.11)."""
    return int(connection.execute(sa.select(now_ms() // DAY_MS)).scalar_one()) - 1


def used(
    connection: sa.Connection,
    workspace_id: int,
    since: int | None = None,
    until: int | None = None,
    *,
    project_id: int | None = None,
    by: str | None = None,
) -> Usage:
    """Return the usage of *workspace_id* in this region from day *since* to day *until*; by default all complete days.

    *project_id*: only of this project; *by*: also split by `day` or `project`. Raises `Refused` for too many days.
    """
    last = yesterday(connection)
    until = last if until is None else min(until, last)
    of_theirs = t.job_usage.c.workspace_id == workspace_id
    if since is None:
        first = connection.execute(sa.select(sa.func.min(t.job_usage.c.day)).where(of_theirs)).scalar()
        since = until if first is None else min(first, until)
    wanted = [of_theirs, t.job_usage.c.day.between(since, until)]
    if project_id is not None:
        wanted.append(t.job_usage.c.project_id == project_id)
    keys = (t.job_usage.c.type, t.job_usage.c.language, t.job_usage.c.operating_point)
    rows = connection.execute(
        sa.select(*keys, sa.func.count(), sa.func.sum(t.job_usage.c.duration_ms)).where(*wanted).group_by(*keys)
    )
    lines = [
        Line(type=kind, language=language, operating_point=point, count=count, duration_ms=int(duration_ms))
        for kind, language, point, count, duration_ms in rows
    ]
    if by is None:
        return Usage(since=since, until=until, lines=lines)
    if by == "day" and until - since >= MAX_DAYS:
        raise Refused(Kind.INVALID_QUERY, f"with by=day the period should have at most {MAX_DAYS} days; send since")
    return Usage(since=since, until=until, lines=lines, by=by, split=_split(connection, by, wanted))


def _split(connection: sa.Connection, by: str, wanted: Sequence[sa.ColumnElement[bool]]) -> list[SplitLine]:
    """Return the usage that *wanted* selects, by day or project, type and operating point."""
    keys = (
        t.job_usage.c.day if by == "day" else t.job_usage.c.project_id,
        t.job_usage.c.type,
        t.job_usage.c.operating_point,
    )
    sums = sa.select(*keys, sa.func.count(), sa.func.sum(t.job_usage.c.duration_ms))
    return [
        SplitLine(key=key, type=kind, operating_point=point, count=count, duration_ms=int(duration_ms))
        for key, kind, point, count, duration_ms in connection.execute(
            sums.where(*wanted).group_by(*keys).order_by(*keys)
        )
    ]


# ── usage of all regions, for the operator ──


class GroupBy(StrEnum):
    """The column of the copies that the operator's figures are grouped by."""

    DAY = "day"
    APP = "app"
    LANGUAGE = "language"
    PROJECT = "project"
    REGION = "region"
    WORKSPACE = "workspace"


_NAMED = {GroupBy.PROJECT: t.projects, GroupBy.WORKSPACE: t.workspaces}
"""Groups that have a name in addition to an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBreakdown:
    """*count* jobs with *duration_ms* of media in the group *key* (`None`: no app); *name*: of the project or workspace."""

    key: int | str | None
    name: str | None
    count: int
    duration_ms: int


def shares(
    connection: sa.Connection,
    by: GroupBy,
    *,
    since: int | None = None,
    until: int | None = None,
    workspace_id: int | None = None,
) -> list[UsageBreakdown]:
    """Return the usage of all regions grouped by *by*, in ascending order; *workspace_id*: only of this workspace.

    Reads the control database.
    """
    named = _NAMED.get(by)
    key = t.usage.c[by if named is None else f"{by}_id"]
    name = sa.null() if named is None else named.c.name
    last = yesterday(connection)
    statement = sa.select(key, name, sa.func.count(), sa.func.sum(t.usage.c.duration_ms))
    if named is not None:
        statement = statement.select_from(t.usage.outerjoin(named, named.c.id == key)).group_by(name)
    statement = statement.where(t.usage.c.day <= (last if until is None else min(until, last))).group_by(key)
    if since is not None:
        statement = statement.where(t.usage.c.day >= since)
    if workspace_id is not None:
        statement = statement.where(t.usage.c.workspace_id == workspace_id)
    return [
        UsageBreakdown(key=each, name=called, count=count, duration_ms=int(duration_ms))
        for each, called, count, duration_ms in connection.execute(statement.order_by(key.is_(None), key))
    ]


# ── usage of a deleted project ──


def forget(connection: sa.Connection, table: sa.Table, workspace_id: int, project_id: int) -> None:
    """Remove the usage of a deleted project from *table*, a region's or the copies (contract §13.3)."""
    theirs = (table.c.workspace_id == workspace_id, table.c.project_id == project_id)
    connection.execute(sa.delete(table).where(*theirs))

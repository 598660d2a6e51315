"""Usage: what was done is counted in the transaction that ends the job, and stays when the job goes.

A region answers from its own table. The operator's figures are copies in the control database: rows that were not told yet are
the outbox, and copying one again changes nothing, so whoever comes next finishes what was left.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sottovoce.job import State
from sottovoce.service.billing.credit_holds import AWAY
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.wire.v2.usage import Line, Usage

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000
PAGE = 500
PAGES = 10
"""Rows that are copied together, and how often in one tick."""

_COPIED = ("job_id", "workspace_id", "project_id", "day", "type", "language", "operating_point", "duration_ms", "app")
"""The columns that a region's row and its copy have in common."""


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)


def record(connection: sa.Connection, job_id: str) -> None:
    """Count *job_id* in the transaction that ended it: if it is done, and only once."""
    of_job = {"job_id": t.jobs.c.id, "day": t.jobs.c.finished_at // DAY_MS}
    row = sa.select(*(of_job[name] if name in of_job else t.jobs.c[name] for name in _COPIED))
    done = row.where(t.jobs.c.id == job_id, t.jobs.c.state == State.DONE)
    connection.execute(_insert(connection, t.job_usage).from_select(_COPIED, done).on_conflict_do_nothing())


# ── what a region tells ──


def yesterday(connection: sa.Connection) -> int:
    """The last whole day by the database's clock, UTC: the current one is never told (contract §5.11)."""
    return int(connection.execute(sa.select(now_ms() // DAY_MS)).scalar_one()) - 1


def used(connection: sa.Connection, workspace_id: int, since: int | None = None, until: int | None = None) -> Usage:
    """What *workspace_id* used in this region from the day *since* to *until*; by default all that there is to tell."""
    last = yesterday(connection)
    until = last if until is None else min(until, last)
    of_theirs = t.job_usage.c.workspace_id == workspace_id
    if since is None:
        first = connection.execute(sa.select(sa.func.min(t.job_usage.c.day)).where(of_theirs)).scalar()
        since = until if first is None else min(first, until)
    keys = (t.job_usage.c.type, t.job_usage.c.language, t.job_usage.c.operating_point)
    rows = connection.execute(
        sa.select(*keys, sa.func.count(), sa.func.sum(t.job_usage.c.duration_ms))
        .where(of_theirs, t.job_usage.c.day.between(since, until))
        .group_by(*keys)
    )
    lines = [
        Line(type=kind, language=language, operating_point=point, count=count, duration_ms=int(duration_ms))
        for kind, language, point, count, duration_ms in rows
    ]
    return Usage(since=since, until=until, lines=lines)


# ── what the operator sees ──


class By(StrEnum):
    """What the operator's figures can be told by: a column of the copies."""

    DAY = "day"
    APP = "app"
    LANGUAGE = "language"
    PROJECT = "project"
    REGION = "region"
    WORKSPACE = "workspace"


_NAMED = {By.PROJECT: t.projects, By.WORKSPACE: t.workspaces}
"""What has a name beside its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """*count* jobs with *duration_ms* of media that were of *key* (`None`: of no app); the *name* of a project or workspace."""

    key: int | str | None
    name: str | None
    count: int
    duration_ms: int


def shares(
    connection: sa.Connection,
    by: By,
    *,
    since: int | None = None,
    until: int | None = None,
    workspace_id: int | None = None,
) -> list[Share]:
    """What was used in all regions, by rising key; also only by one workspace. Asks the control database."""
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
        Share(key=each, name=called, count=count, duration_ms=int(duration_ms))
        for each, called, count, duration_ms in connection.execute(statement.order_by(key.is_(None), key))
    ]


# ── what a deleted project used ──


def forget(connection: sa.Connection, table: sa.Table, workspace_id: int, project_id: int) -> None:
    """Remove from *table* (a region's, or the copies) what a deleted project used (contract §13.3)."""
    theirs = (table.c.workspace_id == workspace_id, table.c.project_id == project_id)
    connection.execute(sa.delete(table).where(*theirs))


# ── the copies ──


class Bookkeeper:
    """Copies what *region* counted to the control database. Any number may be at it."""

    def __init__(self, control: Database, database: Database, region: str) -> None:
        self._control = control
        self._database = database
        self._region = region
        self._compared = False
        self._away = False

    async def tick(self) -> None:
        """Copy what was counted since the last tick; a database that is away only delays that."""
        try:
            if not self._compared:
                await self._compare()
                self._compared = True
            for _ in range(PAGES):
                if not await self._page():
                    break
        except AWAY as error:
            if not self._away:
                _log.warning("usage not copied", extra={"why": str(error)})
            self._away = True
        else:
            self._away = False

    async def _page(self) -> bool:
        """Copy one page; whether there is another behind it."""
        rows = await self._database.read(_untold)
        if rows:
            gone = await self._control.write(partial(_copy, region=self._region, rows=rows))
            await self._database.write(partial(_told, rows=rows, gone=gone))
        return len(rows) == PAGE

    async def _compare(self) -> None:
        """Copy days again of which copies are missing: the control database was restored from a backup."""
        # this region's first: a row is told only after it was copied
        told = await self._database.read(_told_days)
        copied = await self._control.read(partial(_copied_days, region=self._region))
        if days := [day for day, count in told.items() if copied.get(day, 0) < count]:
            again = sa.update(t.job_usage).where(t.job_usage.c.day.in_(days)).values(told_at=None)
            await self._database.write(lambda connection: connection.execute(again))
            _log.info("usage is copied again", extra={"days": len(days)})


def _untold(connection: sa.Connection) -> list[dict[str, Any]]:
    columns = [t.job_usage.c[name] for name in _COPIED]
    statement = sa.select(*columns).where(t.job_usage.c.told_at.is_(None)).limit(PAGE)
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return sorted(rows, key=lambda row: str(row["job_id"]))  # two who copy at the same time never wait for each other


def _copy(connection: sa.Connection, region: str, rows: Sequence[dict[str, Any]]) -> set[int]:
    """Keep *rows*, unless their projects are deleted; the deleted projects."""
    of = {row["project_id"] for row in rows}
    # locked: a project that is deleted from now on waits, so that whoever clears it finds these rows
    locked = (
        sa.select(t.projects.c.id, t.projects.c.deleted_at).where(t.projects.c.id.in_(of)).order_by(t.projects.c.id)
    )
    found = connection.execute(locked.with_for_update(read=True))
    gone = {project_id for project_id, deleted_at in found if deleted_at is not None}
    if kept := [{"region": region, **row} for row in rows if row["project_id"] not in gone]:
        connection.execute(_insert(connection, t.usage).on_conflict_do_nothing(), kept)
    return gone


def _told(connection: sa.Connection, rows: Sequence[dict[str, Any]], gone: Collection[int]) -> None:
    ids = [row["job_id"] for row in rows]
    mine = t.job_usage.c.job_id.in_(ids)
    if gone:
        connection.execute(sa.delete(t.job_usage).where(mine, t.job_usage.c.project_id.in_(gone)))
    connection.execute(sa.update(t.job_usage).where(mine).values(told_at=now_ms()))


def _told_days(connection: sa.Connection) -> dict[int, int]:
    told = t.job_usage.c.told_at.is_not(None)
    rows = connection.execute(sa.select(t.job_usage.c.day, sa.func.count()).where(told).group_by(t.job_usage.c.day))
    return {day: count for day, count in rows}  # noqa: C416 - rows are no pairs to mypy


def _copied_days(connection: sa.Connection, region: str) -> dict[int, int]:
    theirs = t.usage.c.region == region
    rows = connection.execute(sa.select(t.usage.c.day, sa.func.count()).where(theirs).group_by(t.usage.c.day))
    return {day: count for day, count in rows}  # noqa: C416

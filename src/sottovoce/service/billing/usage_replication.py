"""Copies usage records from the region database to the control database."""

import logging
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from sottovoce.service.billing.credit_holds import AWAY
from sottovoce.service.billing.usage import COPIED, _insert
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms

_log = logging.getLogger(__name__)

PAGE = 500
PAGES = 10
"""Rows that are copied together, and how often in one tick."""


class UsageReplicator:
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
            await self._database.write(partial(_mark_copied, rows=rows, gone=gone))
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
    columns = [t.job_usage.c[name] for name in COPIED]
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


def _mark_copied(connection: sa.Connection, rows: Sequence[dict[str, Any]], gone: Collection[int]) -> None:
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

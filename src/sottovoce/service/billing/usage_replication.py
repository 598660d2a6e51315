"""Copies usage records from the region database to the control database."""

import logging
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from sottovoce.service.billing.usage import COPIED, _insert
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

PAGE = 500
"""Rows that are copied in one transaction."""
PAGES = 10
"""Pages of one tick, which bounds the time of a tick."""


class UsageReplicator:
    """Copies the usage records of *region* to the control database. Several processes may run it at the same time."""

    def __init__(self, control: Database, database: Database, region: str, metrics: Metrics) -> None:
        self._metrics = metrics
        self._broken: set[str] = set()  # jobs whose usage cannot be copied because of a bug; logged once
        self._control = control
        self._database = database
        self._region = region
        self._compared = False
        self._away = False

    async def tick(self) -> None:
        """Copy records that are not copied yet. If a database is unreachable, the next tick copies them."""
        try:
            if not self._compared:
                await self._compare()
                self._compared = True
            for _ in range(PAGES):
                if not await self._page():
                    break
        except Exception as error:
            if not temporary(error):
                raise
            if not self._away:
                _log.warning("usage not copied", extra={"why": str(error)})
            self._away = True
        else:
            self._away = False

    async def _page(self) -> bool:
        """Copy one page. False if it was the last one."""
        rows = await self._database.read(partial(_uncopied, but=frozenset(self._broken)))
        if rows:
            try:
                await self._copy_together(rows)
            except Exception as bug:
                if temporary(bug):
                    raise
                for row in rows:  # one of them failed: find it, and copy the others
                    await self._copy_alone(row)
        return len(rows) == PAGE

    async def _copy_together(self, rows: Sequence[dict[str, Any]]) -> None:
        gone = await self._control.write(partial(_copy, region=self._region, rows=rows))
        await self._database.write(partial(_mark_copied, rows=rows, gone=gone))

    async def _copy_alone(self, row: dict[str, Any]) -> None:
        """Copy one row. One that fails because of a bug is left out until the next start of the process."""
        try:
            await self._copy_together([row])
        except Exception as bug:
            if temporary(bug):
                raise
            self._broken.add(row["job_id"])
            self._metrics.broke("usage")
            _log.exception("usage of a job not copied", extra={"job": row["job_id"]})

    async def _compare(self) -> None:
        """Copy again the days of which copies are missing, because the control database was restored from a backup."""
        # the region is read first: a row is marked as copied only after it was copied
        marked = await self._database.read(_marked_days)
        copied = await self._control.read(partial(_copied_days, region=self._region))
        if days := [day for day, count in marked.items() if copied.get(day, 0) < count]:
            again = sa.update(t.job_usage).where(t.job_usage.c.day.in_(days)).values(told_at=None)
            await self._database.write(lambda connection: connection.execute(again))
            _log.info("usage is copied again", extra={"days": len(days)})


def _uncopied(connection: sa.Connection, but: Collection[str]) -> list[dict[str, Any]]:
    columns = [t.job_usage.c[name] for name in COPIED]
    statement = sa.select(*columns).where(t.job_usage.c.told_at.is_(None)).limit(PAGE)
    if but:
        statement = statement.where(t.job_usage.c.job_id.not_in(but))
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return sorted(rows, key=lambda row: str(row["job_id"]))  # concurrent copies lock rows in one order


def _copy(connection: sa.Connection, region: str, rows: Sequence[dict[str, Any]]) -> set[int]:
    """Store the *rows* whose projects are not deleted. Returns the ids of the deleted projects."""
    projects = {row["project_id"] for row in rows}
    # locked: a deletion of a project waits for this transaction, so that the cleanup finds these rows
    locked = (
        sa.select(t.projects.c.id, t.projects.c.deleted_at)
        .where(t.projects.c.id.in_(projects))
        .order_by(t.projects.c.id)
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


def _marked_days(connection: sa.Connection) -> dict[int, int]:
    marked = t.job_usage.c.told_at.is_not(None)
    rows = connection.execute(sa.select(t.job_usage.c.day, sa.func.count()).where(marked).group_by(t.job_usage.c.day))
    return {day: count for day, count in rows}  # noqa: C416 - mypy does not accept rows as pairs


def _copied_days(connection: sa.Connection, region: str) -> dict[int, int]:
    theirs = t.usage.c.region == region
    rows = connection.execute(sa.select(t.usage.c.day, sa.func.count()).where(theirs).group_by(t.usage.c.day))
    return {day: count for day, count in rows}  # noqa: C416

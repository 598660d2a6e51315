"""Lets one of a region's processes run a periodic task per interval, by the database's clock.

A row stores when the task is next due; no lock is held between runs. If the process that took a run dies, another one takes the
next run after at most one interval. A database lock would last as long as its connection, which can be hours after a machine
disappears.
"""

import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms


class IntervalLock:
    """Grants one run of the task *name* per *interval* seconds to the processes of the region."""

    def __init__(self, database: Database, name: str, interval: float) -> None:
        self._database = database
        self._name = f"turn {name}"
        self._every = round(interval * 1000)

    async def acquire(self) -> bool:
        """True if a run is due and the caller got it. Always true for an embedded server, which locks its folder."""
        if self._database.embedded:
            return True
        try:
            return await self._database.write(self._take)
        except sa.exc.IntegrityError:  # another process inserted the row first
            return False

    def _take(self, connection: sa.Connection) -> bool:
        due = t.counters.c.value
        # a due time more than one interval ahead comes from a wrong clock that was corrected since
        due_or_wrong = sa.or_(due <= now_ms(), due > now_ms() + self._every)
        row = t.counters.c.name == self._name
        advance = sa.update(t.counters).where(row, due_or_wrong).values(value=now_ms() + self._every)
        if connection.execute(advance).rowcount:
            return True
        if connection.execute(sa.select(due).where(row)).first():
            return False
        connection.execute(sa.insert(t.counters).values(name=self._name, value=now_ms() + self._every))
        return True

"""Taking turns: what only one of a region's workers has to do at a time, by the database's clock.

Nothing is held from one turn to the next. A worker that is killed, stopped or cut off keeps the others waiting for one interval
at most; a lock would stay with its connection, which a vanished machine keeps open for hours.
"""

import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms


class IntervalLock:
    """Turns at the chore *name*, one every *interval* seconds among all processes of the region."""

    def __init__(self, database: Database, name: str, interval: float) -> None:
        self._database = database
        self._name = f"turn {name}"
        self._every = round(interval * 1000)

    async def acquire(self) -> bool:
        """Whether the next turn is due and falls to the caller. An embedded server is alone by its folder's lock."""
        if self._database.embedded:
            return True
        try:
            return await self._database.write(self._take)
        except sa.exc.IntegrityError:  # the very first turn, and somebody else was quicker
            return False

    def _take(self, connection: sa.Connection) -> bool:
        due = t.counters.c.value
        # a turn further away than one interval was set by a clock that has been put right since
        now_or_wrong = sa.or_(due <= now_ms(), due > now_ms() + self._every)
        acquire = t.counters.c.name == self._name
        following = sa.update(t.counters).where(acquire, now_or_wrong).values(value=now_ms() + self._every)
        if connection.execute(following).rowcount:
            return True
        if connection.execute(sa.select(due).where(acquire)).first():
            return False
        connection.execute(sa.insert(t.counters).values(name=self._name, value=now_ms() + self._every))
        return True

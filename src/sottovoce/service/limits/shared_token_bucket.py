"""Token buckets that several API processes share, as rows of the region's database.

A process takes tokens in leases, so that a request costs no write: as many as come in a tenth of a second, and no more than a
tenth of the burst. What is granted differs from the pace by no more than the leases that are out. The statements are
PostgreSQL's: an embedded database has one process, and nobody to share with.
"""

import asyncio
import logging
import math
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sottovoce.service.limits.rate_limits import RateLimit, RateLimited
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms

_log = logging.getLogger(__name__)

LEASE = 10.0
"""Seconds for which leased tokens are good; what is left of them goes back with the next lease."""
SHARE, PART = 0.1, 0.1
"""A lease: so many seconds' worth of tokens, and at most such a part of the burst."""
PATIENCE = 5.0
"""Seconds to wait for the database before it counts as away."""
AWAY = 10.0
"""Seconds before it is asked again."""
SHORTEST = 0.01
"""Seconds between two looks at an empty bucket, at least."""


@dataclass(slots=True, kw_only=True)
class _Lease:
    """Tokens of one bucket that this process may spend. Instants are those of its own clock."""

    left: int = 0
    until: float = -math.inf
    again: float = -math.inf  # the bucket was empty: before this nobody looks
    used: float = -math.inf
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self, now: float) -> bool:
        """Take one token; False: none is left. Raises `RateLimited` while there are none to be had either."""
        if self.left > 0 and now < self.until:
            self.left -= 1
            return True
        if now < self.again:
            raise RateLimited(math.ceil(self.again - now))
        return False

    def wants(self, now: float) -> bool:
        """Whether it is time for another one."""
        return now >= self.again and (self.left <= 0 or now >= self.until)


class SharedBuckets:
    """The process's leases of buckets in *database*. *clock* gives monotonic seconds. For one event loop."""

    def __init__(self, database: Database, clock: Callable[[], float], *, patience: float = PATIENCE) -> None:
        self._database = database
        self._clock = clock
        self._patience = patience
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._away = False
        self._retry = -math.inf

    async def take(self, name: str, pace: RateLimit) -> bool:
        """Take a token of the bucket *name*; False: the database cannot be asked. Raises `RateLimited` when there is none."""
        lease = self._lease(name, pace)
        while not lease.spend(self._clock()):
            async with lease.lock:  # who asks first asks for everybody
                if self._clock() < self._retry:
                    return False
                if lease.wants(self._clock()):
                    await self._fill(lease, name, pace)
        return True

    def _lease(self, name: str, pace: RateLimit) -> _Lease:
        """The lease of *name*, latest in use; those that are over since their buckets filled up are forgotten."""
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = _Lease()
        self._leases.move_to_end(name)
        lease.used = self._clock()
        over = lease.used - max(pace.filling, LEASE)
        while next(iter(self._leases.values())).used < over:
            self._leases.popitem(last=False)
        return lease

    async def _fill(self, lease: _Lease, name: str, pace: RateLimit) -> None:
        """Give back what is left of *lease*, and take another; when that fails, ask nobody for a while."""
        back, lease.left = lease.left, 0
        want = max(1, math.floor(min(pace.rate * SHARE, pace.burst * PART)))
        try:
            async with asyncio.timeout(self._patience):
                granted, filled = await self._database.write(
                    partial(withdraw, name=name, pace=pace, want=want, back=back)
                )
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            self._lost(error)
            return
        self._found()
        now = self._clock()
        lease.left, lease.until, lease.again = granted, now + LEASE, -math.inf
        if not granted:
            wait = max(SHORTEST, (1.0 - filled) / pace.rate)
            # not in step with other processes, or the one that looks first each time takes everything
            lease.again = now + min(wait * random.uniform(1.0, 2.0), math.ceil(wait))  # noqa: S311 - no secret

    def _lost(self, error: Exception) -> None:
        self._retry = self._clock() + AWAY
        if not self._away:
            _log.warning("limits not shared", extra={"why": f"{type(error).__name__}: {error}"})
        self._away = True

    def _found(self) -> None:
        if self._away:
            _log.info("limits shared again")
        self._away = False

    async def forget(self, seconds: float) -> int:
        """Remove the buckets that nobody has used for so many *seconds*, in which they filled up; how many."""
        return await self._database.write(partial(forget, seconds=seconds))


def withdraw(connection: sa.Connection, *, name: str, pace: RateLimit, want: int, back: int) -> tuple[int, float]:
    """Put *back* tokens into the bucket *name*, take up to *want*: how many those are, and how many there were."""
    statement = _withdrawal(name, pace, want, back)
    row = connection.execute(statement).first()
    if row is None:
        fresh = postgresql.insert(t.buckets).values(name=name, tokens=pace.burst, at=now_ms())
        connection.execute(fresh.on_conflict_do_nothing())
        row = connection.execute(statement).one()  # locked by this transaction, or by who was quicker: then it waited
    return int(row[0]), float(row[1])


def _withdrawal(name: str, pace: RateLimit, want: int, back: int) -> sa.Executable:
    mine = sa.select(t.buckets.c.name, t.buckets.c.tokens, t.buckets.c.at, now_ms().label("now"))
    held = mine.where(t.buckets.c.name == name).with_for_update().subquery("held")
    come = sa.func.greatest(0, held.c.now - held.c.at) * (pace.rate / 1000)
    filled = sa.func.least(float(pace.burst), held.c.tokens + come + back, type_=sa.Float)
    granted = sa.func.least(float(want), sa.func.floor(filled), type_=sa.Float)
    taken = sa.update(t.buckets).where(t.buckets.c.name == held.c.name)
    return taken.values(tokens=filled - granted, at=held.c.now).returning(granted, filled)


def forget(connection: sa.Connection, *, seconds: float) -> int:
    """Remove the buckets that were last used more than so many *seconds* ago; how many."""
    old = sa.delete(t.buckets).where(t.buckets.c.at < now_ms() - round(seconds * 1000))
    return int(connection.execute(old).rowcount)

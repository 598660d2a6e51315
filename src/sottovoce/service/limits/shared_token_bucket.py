"""Token buckets that several API processes share, as rows of the region's database.

A process takes tokens in leases, so that most requests need no database write. A lease has at most the tokens of a tenth of a
second, and at most a tenth of the burst. The granted requests exceed the rate limit by at most the unspent leases. The
statements are for PostgreSQL only: an embedded database has one process.
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
"""Seconds for which leased tokens are valid; the next lease returns unspent ones."""
SHARE, PART = 0.1, 0.1
"""Size of a lease: the tokens of `SHARE` seconds, and at most the fraction `PART` of the burst."""
PATIENCE = 5.0
"""Seconds to wait for the database before it counts as unreachable."""
AWAY = 10.0
"""Seconds before the next attempt to use an unreachable database."""
SHORTEST = 0.01
"""Seconds between two reads of an empty bucket, at least."""


@dataclass(slots=True, kw_only=True)
class _Lease:
    """Tokens of one bucket that this process may spend. Instants are monotonic seconds of this process."""

    left: int = 0
    until: float = -math.inf
    again: float = -math.inf  # the bucket was empty: it is not read again before this instant
    used: float = -math.inf
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self, now: float) -> bool:
        """Take one token. False if none is left. Raises `RateLimited` while the bucket is known to be empty."""
        if self.left > 0 and now < self.until:
            self.left -= 1
            return True
        if now < self.again:
            raise RateLimited(math.ceil(self.again - now))
        return False

    def wants(self, now: float) -> bool:
        """True if a new lease is needed and the bucket may be read again."""
        return now >= self.again and (self.left <= 0 or now >= self.until)


class SharedBuckets:
    """The leases of one process on buckets in *database*. *clock* gives monotonic seconds. For one event loop."""

    def __init__(self, database: Database, clock: Callable[[], float], *, patience: float = PATIENCE) -> None:
        self._database = database
        self._clock = clock
        self._patience = patience
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._away = False
        self._retry = -math.inf

    async def take(self, name: str, rate_limit: RateLimit) -> bool:
        """Take a token of the bucket *name*. False if the database is unreachable. Raises `RateLimited` if it is empty."""
        lease = self._lease(name, rate_limit)
        while not lease.spend(self._clock()):
            async with lease.lock:  # one request fetches the lease; concurrent ones wait and share it
                if self._clock() < self._retry:
                    return False
                if lease.wants(self._clock()):
                    await self._fill(lease, name, rate_limit)
        return True

    def _lease(self, name: str, rate_limit: RateLimit) -> _Lease:
        """Return the lease of *name*, marked as used now. Removes leases whose buckets have refilled since their last use."""
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = _Lease()
        self._leases.move_to_end(name)
        lease.used = self._clock()
        over = lease.used - max(rate_limit.filling, LEASE)
        while next(iter(self._leases.values())).used < over:
            self._leases.popitem(last=False)
        return lease

    async def _fill(self, lease: _Lease, name: str, rate_limit: RateLimit) -> None:
        """Return the unspent tokens of *lease*, and take a new one. After a failure the database is not used for `AWAY` seconds."""
        back, lease.left = lease.left, 0
        want = max(1, math.floor(min(rate_limit.rate * SHARE, rate_limit.burst * PART)))
        try:
            async with asyncio.timeout(self._patience):
                granted, filled = await self._database.write(
                    partial(withdraw, name=name, rate_limit=rate_limit, want=want, back=back)
                )
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            self._lost(error)
            return
        self._found()
        now = self._clock()
        lease.left, lease.until, lease.again = granted, now + LEASE, -math.inf
        if not granted:
            wait = max(SHORTEST, (1.0 - filled) / rate_limit.rate)
            # random, because otherwise one process could be first each time and take every token
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
        """Remove the buckets that have been unused for *seconds*. Returns their number."""
        return await self._database.write(partial(forget, seconds=seconds))


def withdraw(connection: sa.Connection, *, name: str, rate_limit: RateLimit, want: int, back: int) -> tuple[int, float]:
    """Return *back* tokens to the bucket *name*, and take up to *want*.

    Returns the number of tokens taken, and the number that the bucket had before.
    """
    statement = _withdrawal(name, rate_limit, want, back)
    row = connection.execute(statement).first()
    if row is None:
        fresh = postgresql.insert(t.buckets).values(name=name, tokens=rate_limit.burst, at=now_ms())
        connection.execute(fresh.on_conflict_do_nothing())
        row = connection.execute(statement).one()  # waits for a concurrent insert of the row
    return int(row[0]), float(row[1])


def _withdrawal(name: str, rate_limit: RateLimit, want: int, back: int) -> sa.Executable:
    mine = sa.select(t.buckets.c.name, t.buckets.c.tokens, t.buckets.c.at, now_ms().label("now"))
    held = mine.where(t.buckets.c.name == name).with_for_update().subquery("held")
    come = sa.func.greatest(0, held.c.now - held.c.at) * (rate_limit.rate / 1000)
    filled = sa.func.least(float(rate_limit.burst), held.c.tokens + come + back, type_=sa.Float)
    granted = sa.func.least(float(want), sa.func.floor(filled), type_=sa.Float)
    taken = sa.update(t.buckets).where(t.buckets.c.name == held.c.name)
    return taken.values(tokens=filled - granted, at=held.c.now).returning(granted, filled)


def forget(connection: sa.Connection, *, seconds: float) -> int:
    """Remove the buckets that were last used more than *seconds* ago. Returns their number."""
    old = sa.delete(t.buckets).where(t.buckets.c.at < now_ms() - round(seconds * 1000))
    return int(connection.execute(old).rowcount)

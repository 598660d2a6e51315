"""What may be tried only so often: counted for an address of mail, an address on the net or a user, in all servers together.

An attempt is counted before it is made, so that many at once are not free, and given back when it succeeds. Subjects are kept
as digests: the table does not tell who tried to get in.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.api_keys import digest
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

LONGEST = 3600
"""Seconds after which every count is forgotten."""
BATCH = 100
"""Forgotten counts that one attempt removes."""
_SITE = 64
"""Bits of an IPv6 address that one customer of a provider has to himself has behind them (RFC 6177): counted as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimit:
    """*most* attempts in *seconds*, for each *who* at one *purpose*."""

    purpose: str
    who: str
    most: int
    seconds: int

    def __post_init__(self) -> None:
        """Raises ValueError for what would be forgotten too early."""
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"an allowance is for 1 to {LONGEST} seconds")

    @property
    def subject(self) -> str:
        """What the count is kept under."""
        return digest(f"{self.purpose}\n{self.who}")


class Throttled(Refused):
    """Tried too often; *seconds* until it may be tried again."""

    def __init__(self, seconds: int) -> None:
        minutes = ceil(seconds / 60)
        wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(Kind.RATE_LIMITED, f"too many attempts; try again in {wait}")
        self.seconds = seconds


def network_of(address: str) -> str:
    """The part of a client's *address* that it cannot change at will."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a socket of the machine's own, or a proxy's word
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known), _SITE), strict=False))
    return str(known)


def count_attempt(connection: sa.Connection, allowances: Sequence[AttemptLimit]) -> None:
    """Count one attempt for each of *allowances*. Raises `Throttled`, upon which the transaction must count nothing."""
    waits = [_count(connection, each) for each in sorted(allowances, key=lambda each: each.subject)]
    if left := max(waits, default=0):
        raise Throttled(left)
    old = sa.select(t.throttles.c.subject).where(t.throttles.c.since < now_ms() - LONGEST * 1000)
    gone = connection.scalars(old.limit(BATCH).with_for_update(skip_locked=True)).all()
    if gone:
        connection.execute(sa.delete(t.throttles).where(t.throttles.c.subject.in_(gone)))


def _count(connection: sa.Connection, allowance: AttemptLimit) -> int:
    """Count one attempt; seconds to wait when it is one too many."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = insert(t.throttles).values(subject=allowance.subject, count=1, since=now_ms())
    over = t.throttles.c.since <= now_ms() - allowance.seconds * 1000
    again = {
        "count": sa.case((over, 1), else_=t.throttles.c.count + 1),
        "since": sa.case((over, now_ms()), else_=t.throttles.c.since),
    }
    statement = fresh.on_conflict_do_update(index_elements=[t.throttles.c.subject], set_=again).returning(
        t.throttles.c.count, t.throttles.c.since + allowance.seconds * 1000 - now_ms()
    )
    count, left_ms = connection.execute(statement).one()
    return max(1, ceil(left_ms / 1000)) if count > allowance.most else 0


def uncount(connection: sa.Connection, allowances: Sequence[AttemptLimit]) -> None:
    """Take one attempt back for each of *allowances*: it was no wrong one."""
    for each in sorted(allowances, key=lambda each: each.subject):
        mine = t.throttles.c.subject == each.subject
        connection.execute(
            sa.update(t.throttles).where(mine, t.throttles.c.count > 0).values(count=t.throttles.c.count - 1)
        )


def forget(connection: sa.Connection, allowance: AttemptLimit) -> None:
    """Begin anew with *allowance*."""
    connection.execute(sa.delete(t.throttles).where(t.throttles.c.subject == allowance.subject))

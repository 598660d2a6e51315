"""Limits on login and mail attempts, counted per e-mail address, client network or user, across all servers.

An attempt is counted before it is made, so that concurrent attempts are limited too; a successful one is subtracted again.
Subjects are stored as digests, so that the table does not reveal who tried to log in.
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
"""Seconds after which every count is removed, and the longest period of an `AttemptLimit`."""
BATCH = 100
"""Expired counts that one attempt removes, at most."""
_SITE = 64
"""Bits of the IPv6 prefix that identify one customer of a provider (RFC 6177); all addresses below it are counted as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimit:
    """At most *most* attempts in *seconds*, for each *who* and *purpose*."""

    purpose: str
    who: str
    most: int
    seconds: int

    def __post_init__(self) -> None:
        """Raise ValueError if *seconds* is outside 1..`LONGEST`: longer counts would be removed too early."""
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"the period of an attempt limit must be 1 to {LONGEST} seconds")

    @property
    def subject(self) -> str:
        """The key of the count in the table."""
        return digest(f"{self.purpose}\n{self.who}")


class Throttled(Refused):
    """Too many attempts; *seconds* until the next one is allowed."""

    def __init__(self, seconds: int) -> None:
        minutes = ceil(seconds / 60)
        wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(Kind.RATE_LIMITED, f"too many attempts; try again in {wait}")
        self.seconds = seconds


def network_of(address: str) -> str:
    """Return the part of a client's *address* that the client cannot change: an IPv4 address, or an IPv6 /64 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket, or a value from a proxy that is not an IP address
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), _SITE), strict=False))
    return str(parsed)


def count_attempt(connection: sa.Connection, allowances: Sequence[AttemptLimit]) -> None:
    """Count one attempt for each of *allowances*. Raises `Throttled`; the caller then rolls the transaction back."""
    waits = [_count(connection, each) for each in sorted(allowances, key=lambda each: each.subject)]
    if left := max(waits, default=0):
        raise Throttled(left)
    old = sa.select(t.throttles.c.subject).where(t.throttles.c.since < now_ms() - LONGEST * 1000)
    gone = connection.scalars(old.limit(BATCH).with_for_update(skip_locked=True)).all()
    if gone:
        connection.execute(sa.delete(t.throttles).where(t.throttles.c.subject.in_(gone)))


def _count(connection: sa.Connection, allowance: AttemptLimit) -> int:
    """Count one attempt. Returns 0, or the seconds to wait if the limit is exceeded."""
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
    """Subtract one attempt from each of *allowances*, because the attempt succeeded."""
    for each in sorted(allowances, key=lambda each: each.subject):
        mine = t.throttles.c.subject == each.subject
        connection.execute(
            sa.update(t.throttles).where(mine, t.throttles.c.count > 0).values(count=t.throttles.c.count - 1)
        )


def forget(connection: sa.Connection, allowance: AttemptLimit) -> None:
    """Reset the count of *allowance*."""
    connection.execute(sa.delete(t.throttles).where(t.throttles.c.subject == allowance.subject))

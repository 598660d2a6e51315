"""The realtime sessions that run in a region, by key and project: one row with a lease for each, and nothing of its content.

A row without a valid lease counts for nothing: it is of a process that died.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms

LEASE_MS = 30_000
"""Milliseconds without a renewal after which a session no longer counts."""
RENEWAL = 5.0
"""Seconds between renewals."""
_LOCK = "live_sessions"  # the counter whose row is locked while sessions are counted, on PostgreSQL


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQuota:
    """Sessions at the same time of one key, and of all keys of one project. `None`: no limit."""

    per_key: int | None = None
    per_project: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The owner of a session."""

    workspace_id: int
    project_id: int
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A session that was counted: *usage* sessions of at most *quota* (`None`: no limit), at the instant *at* (RFC 3339)."""

    usage: int
    quota: int | None
    at: str


class LiveSessions:
    """The sessions of one process, among those of its region."""

    def __init__(self, database: Database, quota: LiveQuota) -> None:
        self._database = database
        self._quota = quota
        self._process = uuid4().hex

    async def enter(self, session_id: str, holder: Holder) -> Counted:
        """Count a new session of *holder*. Raises `Refused(TOO_MANY_SESSIONS)`."""
        return await self._database.write(
            lambda connection: enter(connection, session_id, holder, quota=self._quota, process=self._process)
        )

    async def leave(self, session_id: str, record: Callable[[sa.Connection], None] | None = None) -> None:
        """Count the session no longer, and *record* its usage in the same transaction."""

        def change(connection: sa.Connection) -> None:
            leave(connection, session_id)
            if record is not None:
                record(connection)

        await self._database.write(change)

    async def renew(self) -> None:
        """Renew the leases of this process, and delete those of dead ones."""
        await self._database.write(lambda connection: renew(connection, self._process))


def enter(connection: sa.Connection, session_id: str, holder: Holder, *, quota: LiveQuota, process: str) -> Counted:
    """Count a new session. Exact, because only one transaction counts at a time."""
    locked = sa.update(t.counters).where(t.counters.c.name == _LOCK).values(value=t.counters.c.value + 1)
    if not connection.execute(locked).rowcount:
        connection.execute(sa.insert(t.counters).values(name=_LOCK, value=1))
    of_project = t.live_sessions.c.project_id == holder.project_id
    of_key = t.live_sessions.c.key_id == holder.key_id
    counts = sa.select(sa.func.count(), sa.func.count(sa.case((of_key, 1)))).where(
        of_project, t.live_sessions.c.lease_until > now_ms()
    )
    in_project, with_key = connection.execute(counts).one()
    for held, most, what in ((with_key, quota.per_key, "key"), (in_project, quota.per_project, "project")):
        if most is not None and held >= most:
            why = f"Concurrent Quota Exceeded: {held} of {most} sessions of this {what} are active; close one, or try again later"
            raise Refused(Kind.TOO_MANY_SESSIONS, why)
    row = {"workspace_id": holder.workspace_id, "project_id": holder.project_id, "key_id": holder.key_id}
    times = {"started_at": now_ms(), "lease_until": now_ms() + LEASE_MS}
    connection.execute(sa.insert(t.live_sessions).values(id=session_id, process=process, **row, **times))
    at = datetime.fromtimestamp(connection.execute(sa.select(now_ms())).scalar_one() / 1000, UTC)
    used, most = _tightest((with_key, quota.per_key), (in_project, quota.per_project))
    return Counted(usage=used + 1, quota=most, at=at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _tightest(*counts: tuple[int, int | None]) -> tuple[int, int | None]:
    """The pair of sessions and limit that leaves the least room; without limits those of the project, the last."""
    limited = [(held, most) for held, most in counts if most is not None]
    return min(limited, key=lambda pair: pair[1] - pair[0]) if limited else counts[-1]


def leave(connection: sa.Connection, session_id: str) -> None:
    """Count the session no longer."""
    connection.execute(sa.delete(t.live_sessions).where(t.live_sessions.c.id == session_id))


def renew(connection: sa.Connection, process: str) -> None:
    """Renew the leases of *process*, and delete leases that ended long ago."""
    mine = t.live_sessions.c.process == process
    connection.execute(sa.update(t.live_sessions).where(mine).values(lease_until=now_ms() + LEASE_MS))
    connection.execute(sa.delete(t.live_sessions).where(t.live_sessions.c.lease_until < now_ms() - LEASE_MS))


def active(connection: sa.Connection) -> int:
    """The number of sessions of the region."""
    counted = sa.select(sa.func.count()).where(t.live_sessions.c.lease_until > now_ms())
    return int(connection.execute(counted).scalar_one())

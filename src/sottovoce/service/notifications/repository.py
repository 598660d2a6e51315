"""The SQL statements on the table of deliveries."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from sottovoce.service.notifications.model import Delivery, Kind, State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

_COLUMNS = [t.deliveries.c[name] for name in Delivery.__dataclass_fields__]


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**row, "state": State(row["state"])})


def get(connection: sa.Connection, delivery_id: str) -> Delivery | None:
    """Return the delivery *delivery_id*; `None` if there is none."""
    row = connection.execute(sa.select(*_COLUMNS).where(t.deliveries.c.id == delivery_id)).mappings().first()
    return _delivery(row) if row else None


def listing(
    connection: sa.Connection, *, job_id: str | None = None, state: State | None = None, limit: int = 1000
) -> list[Delivery]:
    """Return deliveries of one job, or of all jobs, newest first."""
    statement = sa.select(*_COLUMNS).order_by(t.deliveries.c.created_at.desc(), t.deliveries.c.id).limit(limit)
    if job_id is not None:
        statement = statement.where(t.deliveries.c.job_id == job_id)
    if state is not None:
        statement = statement.where(t.deliveries.c.state == state.value)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def counts(connection: sa.Connection) -> dict[State, int]:
    """Return the number of deliveries in each state; a state of another release is left out."""
    rows = connection.execute(sa.select(t.deliveries.c.state, sa.func.count()).group_by(t.deliveries.c.state))
    return {State(state): count for state, count in rows if state in set(State)}


def failed_since(connection: sa.Connection, within_ms: int) -> int:
    """Return the number of deliveries that failed for good in the last *within_ms*."""
    lately = (t.deliveries.c.state == State.FAILED.value, t.deliveries.c.ended_at > now_ms() - within_ms)
    return int(connection.execute(sa.select(sa.func.count()).select_from(t.deliveries).where(*lately)).scalar_one())


def entries(connection: sa.Connection, job_id: str) -> list[str]:
    """Return the names of the queue entries of a job's waiting deliveries, which are cancelled when the job is removed."""
    return [each.next_entry for each in listing(connection, job_id=job_id, state=State.WAITING)]


def record(
    connection: sa.Connection, delivery_id: str, attempt: int, *, state: State, outcome: str, next_in: float | None
) -> bool:
    """Record the result of *attempt*. *next_in*: seconds until the next attempt.

    False if it was recorded before, or the delivery was removed; then the caller must not enqueue the next attempt.
    """
    ended = state is not State.WAITING
    statement = (
        sa.update(t.deliveries)
        .where(
            t.deliveries.c.id == delivery_id,
            t.deliveries.c.attempts == attempt - 1,
            t.deliveries.c.state == State.WAITING.value,
        )
        .values(
            attempts=attempt,
            state=state.value,
            outcome=outcome,
            next_at=None if next_in is None else now_ms() + round(next_in * 1000),
            ended_at=now_ms() if ended else None,
        )
    )
    return connection.execute(statement).rowcount == 1


def abandon(connection: sa.Connection, delivery_id: str, attempt: int, outcome: str) -> bool:
    """End the delivery as failed at *attempt* after a bug, without reading its row. False if the attempt is recorded already."""
    return record(connection, delivery_id, attempt, state=State.FAILED, outcome=outcome, next_in=None)


def retry(connection: sa.Connection, delivery_id: str, tries: Mapping[Kind, int]) -> Delivery | None:
    """Give a failed delivery its initial number of attempts again, and return it; the caller enqueues it.

    Returns `None` if the delivery has not failed.
    """
    found = get(connection, delivery_id)
    if found is None:
        return None
    statement = (
        sa.update(t.deliveries)
        .where(t.deliveries.c.id == delivery_id, t.deliveries.c.state == State.FAILED.value)
        .values(
            state=State.WAITING.value,
            tries=t.deliveries.c.attempts + tries[Kind(found.kind)],
            next_at=now_ms(),
            ended_at=None,
        )
    )
    return get(connection, delivery_id) if connection.execute(statement).rowcount else None


def of_job(connection: sa.Connection, delivery_id: str, job_id: str) -> Delivery | None:
    """Return the delivery *delivery_id* if it belongs to *job_id*."""
    found = get(connection, delivery_id)
    return found if found is not None and found.job_id == job_id else None


def overdue(connection: sa.Connection, by_ms: int, limit: int) -> list[Delivery]:
    """Return waiting deliveries whose next attempt was due more than *by_ms* ago, oldest first."""
    where = (t.deliveries.c.state == State.WAITING.value, t.deliveries.c.next_at < now_ms() - by_ms)
    statement = sa.select(*_COLUMNS).where(*where).order_by(t.deliveries.c.next_at).limit(limit)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def forget(connection: sa.Connection, before_ms: int) -> int:
    """Remove mails about accounts that ended *before_ms* ago or earlier, because they contain addresses and links.

    Returns their number.
    """
    theirs = (t.deliveries.c.job_id.is_(None), t.deliveries.c.ended_at < now_ms() - before_ms)
    return connection.execute(sa.delete(t.deliveries).where(*theirs)).rowcount

"""The statements over the table of deliveries."""

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from sottovoce.service.notifications.model import Delivery, Kind, State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

_log = logging.getLogger(__name__)

_COLUMNS = [t.deliveries.c[name] for name in Delivery.__dataclass_fields__]


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})


# --- what is sealed --------------------------------------------------------------------------------------------------


def get(connection: sa.Connection, delivery_id: str) -> Delivery | None:
    """The delivery *delivery_id*."""
    row = connection.execute(sa.select(*_COLUMNS).where(t.deliveries.c.id == delivery_id)).mappings().first()
    return _delivery(row) if row else None


def listing(
    connection: sa.Connection, *, job_id: str | None = None, state: State | None = None, limit: int = 1000
) -> list[Delivery]:
    """Deliveries of one job or of all, newest first."""
    statement = sa.select(*_COLUMNS).order_by(t.deliveries.c.created_at.desc(), t.deliveries.c.id).limit(limit)
    if job_id is not None:
        statement = statement.where(t.deliveries.c.job_id == job_id)
    if state is not None:
        statement = statement.where(t.deliveries.c.state == state.value)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def entries(connection: sa.Connection, job_id: str) -> list[str]:
    """The queue's names of what is still to be attempted for a job: to be stopped when it is removed."""
    return [each.next_entry for each in listing(connection, job_id=job_id, state=State.WAITING)]


def record(
    connection: sa.Connection, delivery_id: str, attempt: int, *, state: State, outcome: str, next_in: float | None
) -> bool:
    """Write down how *attempt* went. False when that was done before, or the delivery is no more: then do nothing else."""
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


def retry(connection: sa.Connection, delivery_id: str, tries: Mapping[Kind, int]) -> Delivery | None:
    """Give a delivery that failed as many tries as it had at first; `None` when it has not failed. The caller enqueues it."""
    found = get(connection, delivery_id)
    if found is None:
        return None
    statement = (
        sa.update(t.deliveries)
        .where(t.deliveries.c.id == delivery_id, t.deliveries.c.state == State.FAILED.value)
        .values(
            state=State.WAITING.value,
            tries=t.deliveries.c.attempts + tries[found.kind],
            next_at=now_ms(),
            ended_at=None,
        )
    )
    return get(connection, delivery_id) if connection.execute(statement).rowcount else None


def overdue(connection: sa.Connection, by_ms: int, limit: int) -> list[Delivery]:
    """Deliveries whose next attempt should have been recorded *by_ms* ago, oldest first."""
    where = (t.deliveries.c.state == State.WAITING.value, t.deliveries.c.next_at < now_ms() - by_ms)
    statement = sa.select(*_COLUMNS).where(*where).order_by(t.deliveries.c.next_at).limit(limit)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def forget(connection: sa.Connection, before_ms: int) -> int:
    """Remove mails about accounts that ended *before_ms* ago or earlier: they hold addresses and links. How many."""
    theirs = (t.deliveries.c.job_id.is_(None), t.deliveries.c.ended_at < now_ms() - before_ms)
    return connection.execute(sa.delete(t.deliveries).where(*theirs)).rowcount

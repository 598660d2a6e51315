"""The fault `poison-delivery`: deliveries that this release cannot read, more than a worker has slots for."""

import json

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import INTERNAL, Delivery
from sottovoce.service.notifications.model import State as DeliveryState
from sottovoce.service.queue.port import TaskKind
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms
from tests.chaos.media import CONFIG
from tests.chaos.rounds import Round
from tests.servers import until

POISON = 40
"""Deliveries that cannot be read: more than the slots of two workers."""
UNREACHABLE = "http://chaos.invalid/hook"
"""The address of the good delivery: an attempt at it fails, and is recorded."""


def poison_delivery(round_: Round) -> None:
    """Unknown kinds and undecryptable targets end as failed; a good delivery behind them is attempted."""
    job_id = round_.submit()
    until(lambda: round_.row(job_id).state is State.DONE, "the first job")
    with round_.world.database.writing() as connection:
        for number in range(POISON):
            _insert(round_, connection, job_id, number)
    config = {**json.loads(CONFIG), "notification_config": [{"url": UNREACHABLE}]}
    behind = round_.submit(config=json.dumps(config))
    (good,) = until(lambda: [each for each in _of(round_, behind) if each.attempts], "an attempt at the good delivery")
    if good.outcome == INTERNAL:
        raise AssertionError(f"the good delivery failed by a bug: {good}")
    told = until(lambda: _all_failed(round_, job_id), "the end of the poison deliveries")
    if odd := [each for each in told if each.outcome != INTERNAL]:
        raise AssertionError(f"not failed by a bug: {odd[0]}")


def _insert(round_: Round, connection: sa.Connection, job_id: str, number: int) -> None:
    delivery_id = f"poison{round_.rng.randrange(10**12):012}{number:02}"
    connection.execute(
        sa.insert(t.deliveries).values(
            id=delivery_id,
            job_id=job_id,
            kind="pager" if number % 2 else "notification",
            number=number,
            status="success",
            target=b"no key decrypts this",
            place="https://later.example",
            state=DeliveryState.WAITING.value,
            attempts=0,
            tries=4,
            next_at=now_ms(),
            created_at=now_ms(),
        )
    )
    round_.world.queue.enqueue(connection, TaskKind.DELIVERY, delivery_id, 1)


def _of(round_: Round, job_id: str) -> list[Delivery]:
    with round_.world.database.reading() as connection:
        return deliveries.listing(connection, job_id=job_id)


def _all_failed(round_: Round, job_id: str) -> list[Delivery] | None:
    found = _of(round_, job_id)
    return found if all(each.state is DeliveryState.FAILED for each in found) else None

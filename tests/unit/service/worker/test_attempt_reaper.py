"""The verdicts about errands, on a real database and a queue that says what it is told to."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.port import EntryStatus, JobQueue, QueueState, TaskKind, entry_of
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms
from sottovoce.service.worker.attempt_reaper import AttemptReaper
from sottovoce.service.worker.job_reaper import ReaperPolicy
from tests.unit.service.task_values import CONFIG, ID, Region, region_in

LEASE = 60_000
HOUR = 3_600_000


class Queue:
    """Knows *found*; notes what it is asked to do."""

    def __init__(self, found: dict[str, QueueState]) -> None:
        self.found = found
        self.asked: list[str] = []

    def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
        return {entry: self.found[entry] for entry in ids if entry in self.found}

    def running(self, task_kind: TaskKind) -> dict[str, QueueState]:
        return {
            e: state for e, state in self.found.items() if state.status is EntryStatus.RUNNING and f"-{task_kind}-" in e
        }

    def resume(self, entry: str, queue: str) -> None:
        self.asked.append(f"resume {entry} in {queue}")

    def forget(self, ids: Sequence[str]) -> None:
        self.asked += [f"forget {entry}" for entry in ids]

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        assert connection.in_transaction()
        assert not delay
        self.asked.append(f"go {entry_of(task_kind, subject, attempt)}")


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def delivery(region: Region, due_ms_ago: int) -> str:
    """A waiting delivery; the queue's name of its next attempt."""

    async def ended() -> str:
        await region.accept_media({"url": "https://e.org"})
        (told,) = await region.end()
        return told.next_entry

    entry = asyncio.run(ended())
    with region.database.writing() as connection:
        connection.execute(sa.update(t.deliveries).values(next_at=now_ms() - due_ms_ago))
    return entry


def fetch(region: Region, due_ms_ago: int) -> str:
    region.accept({**CONFIG, "fetch_data": {"url": "https://e.org"}}, fetched=True)
    with region.database.writing() as connection:
        connection.execute(sa.update(t.jobs).values(fetch_at=now_ms() - due_ms_ago, fetch_attempts=2))
    return entry_of(TaskKind.FETCH, ID, 3)


DUE = pytest.mark.parametrize("due", [delivery, fetch])


def tick(region: Region, queue: Queue) -> int:
    policy = ReaperPolicy(lease_ms=LEASE, stranded_ms=2 * LEASE, keep_ms=1000)
    return asyncio.run(AttemptReaper(region.database, cast("JobQueue", queue), region.metrics, policy).tick())


def alive(region: Region, worker: str) -> None:
    with region.database.writing() as connection:
        worker_registry.beat(connection, worker, (), 1)


@DUE
@pytest.mark.parametrize("state", [EntryStatus.WAITING, EntryStatus.DELAYED, None])
def test_what_is_not_overdue_is_left_alone(region: Region, due, state) -> None:
    entry = due(region, LEASE)
    queue = Queue({entry: QueueState(status=state, worker=None)} if state else {})
    assert (tick(region, queue), queue.asked) == (0, [])


@DUE
def test_what_waits_for_a_slot_is_left_alone(region: Region, due) -> None:
    queue = Queue({due(region, HOUR): QueueState(status=EntryStatus.WAITING, worker=None)})
    assert (tick(region, queue), queue.asked) == (0, [])


@DUE
def test_a_delay_that_should_have_ended_is_ended(region: Region, due) -> None:
    entry = due(region, HOUR)
    queue = Queue({entry: QueueState(status=EntryStatus.DELAYED, worker=None)})
    assert tick(region, queue) == 1
    assert queue.asked == [f"resume {entry} in {entry.split('-')[1]}"]


@DUE
@pytest.mark.parametrize("state", [None, EntryStatus.DONE, EntryStatus.FAILED, EntryStatus.CANCELLED])
def test_what_the_queue_lost_sight_of_is_enqueued_again(region: Region, due, state) -> None:
    entry = due(region, HOUR)
    queue = Queue({entry: QueueState(status=state, worker=None)} if state else {})
    assert tick(region, queue) == 1
    assert queue.asked == [f"forget {entry}", f"go {entry}"]


@DUE
def test_an_attempt_of_a_living_worker_is_left_alone_however_long_it_takes(region: Region, due) -> None:
    queue = Queue({due(region, HOUR): QueueState(status=EntryStatus.RUNNING, worker="w")})
    alive(region, "w")
    assert (tick(region, queue), queue.asked) == (0, [])


@DUE
@pytest.mark.parametrize("ago", [0, HOUR])
def test_an_attempt_of_a_dead_worker_is_resumed_at_once(region: Region, due, ago) -> None:
    entry = due(region, ago)
    queue = Queue({entry: QueueState(status=EntryStatus.RUNNING, worker="dead")})
    alive(region, "w")
    assert tick(region, queue) == 1
    assert queue.asked == [f"resume {entry} in {entry.split('-')[1]}"]


def test_an_attempt_that_was_recorded_is_concluded_too(region: Region) -> None:
    queue = Queue({"gone-delivery-4": QueueState(status=EntryStatus.RUNNING, worker="dead")})
    assert tick(region, queue) == 1
    assert queue.asked == ["resume gone-delivery-4 in delivery"]


def test_what_was_removed_meanwhile_is_not_enqueued_again(region: Region) -> None:
    entry = delivery(region, HOUR)

    class Removing(Queue):
        def forget(self, ids: Sequence[str]) -> None:
            region.remove()

    queue = Removing({})
    assert (tick(region, queue), queue.asked) == (0, []), entry

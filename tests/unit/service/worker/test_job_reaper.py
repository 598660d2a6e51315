"""The reaper's verdicts, on a real database and a queue that says what it is told to."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from sottovoce.service.jobs import repository
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.port import EntryStatus, JobQueue, QueueState
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy
from tests.unit.service.service_values import migrated, new_job

ID = "job0000001"
LEASE = 60_000
FINISH: dict[str, Any] = {"result_key": "jobs/x/1/transcript", "duration_ms": 5, "engine": "e", "keep_ms": 1000}


class Queue:
    """Knows *found*; notes what it is asked to do."""

    def __init__(self, **found: QueueState) -> None:
        self.found = found
        self.asked: list[str] = []

    def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
        return {job_id: self.found[job_id] for job_id in ids if job_id in self.found}

    def running(self, _task_kind: object = None) -> dict[str, QueueState]:
        return {job_id: state for job_id, state in self.found.items() if state.status is EntryStatus.RUNNING}

    def resume(self, job_id: str, queue: str) -> None:
        self.asked.append(f"resume {job_id} in {queue}")

    def forget(self, ids: Sequence[str]) -> None:
        self.asked += [f"forget {job_id}" for job_id in ids]

    def submit(self, _connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        self.asked.append(f"submit {job_id} in {queue} for {account} at {priority}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


def tick(database: Database, queue: Queue) -> int:
    policy = ReaperPolicy(lease_ms=LEASE, stranded_ms=2 * LEASE, keep_ms=1000)
    return asyncio.run(Reaper(database, cast("JobQueue", queue), Metrics(), policy).tick())


def running(database: Database, lease_ms: int) -> None:
    with database.writing() as connection:
        repository.insert(connection, new_job(ID))
        assert repository.claim(connection, ID, owner="w", lease_ms=lease_ms)


def queued_for(database: Database, ms: int) -> None:
    with database.writing() as connection:
        repository.insert(connection, new_job(ID))
        connection.execute(sa.update(t.jobs).values(created_at=now_ms() - ms))


def held(executor: str) -> QueueState:
    return QueueState(status=EntryStatus.RUNNING, worker=executor)


def test_a_lease_that_holds_is_left_alone(database: Database) -> None:
    running(database, LEASE)
    queue = Queue(**{ID: held("gone")})
    assert (tick(database, queue), queue.asked) == (0, [])


def test_a_lease_that_ran_out_is_resumed_on_the_jobs_own_queue(database: Database) -> None:
    running(database, -1)
    queue = Queue(**{ID: held("gone")})
    assert (tick(database, queue), queue.asked) == (1, [f"resume {ID} in batch"])


def test_one_that_waits_for_a_slot_already_is_left_alone(database: Database) -> None:
    running(database, -1)
    queue = Queue(**{ID: QueueState(status=EntryStatus.WAITING, worker=None)})
    assert (tick(database, queue), queue.asked) == (0, [])


@pytest.mark.parametrize("state", [None, QueueState(status=EntryStatus.DONE, worker="w")])
def test_a_live_job_that_the_queue_has_lost_is_submitted_again(database: Database, state: QueueState | None) -> None:
    queued_for(database, 3 * LEASE)
    queue = Queue(**({ID: state} if state else {}))
    assert tick(database, queue) == 1
    assert queue.asked == [f"forget {ID}", f"submit {ID} in batch for 1 at 10"]


def test_a_young_queued_job_and_one_whose_worker_lives_are_left_alone(database: Database) -> None:
    queued_for(database, 0)
    assert tick(database, Queue()) == 0
    with database.writing() as connection:
        connection.execute(sa.update(t.jobs).values(created_at=now_ms() - 3 * LEASE))
        worker_registry.beat(connection, "alive", (), 1)
    queue = Queue(**{ID: held("alive")})
    assert (tick(database, queue), queue.asked) == (0, [])


@pytest.mark.parametrize(
    ("executor", "ago", "asked"),
    [("gone", 0, [f"resume {ID} in batch"]), ("alive", 0, []), ("alive", 2 * LEASE, [f"resume {ID} in batch"])],
)
def test_an_ended_job_that_has_not_ended_for_the_queue_is_concluded(
    database: Database, executor: str, ago: int, asked: list[str]
) -> None:
    running(database, LEASE)
    with database.writing() as connection:
        assert repository.finish(connection, ID, 1, **FINISH)
        connection.execute(sa.update(t.jobs).values(finished_at=now_ms() - ago))
        worker_registry.beat(connection, "alive", (), 1)
    queue = Queue(**{ID: held(executor)})
    assert (tick(database, queue), queue.asked) == (0, asked)

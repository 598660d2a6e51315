# ruff: noqa: PT012 - a transaction left by an error
"""Errands on a real DBOS over SQLite. DBOS is one to a process: each test takes it down again."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from sottovoce.service.jobs import repository
from sottovoce.service.queue.dbos_queue import DbosQueue, DbosWorker
from sottovoce.service.queue.port import TaskHandler, TaskKind, WorkerSetup, entry_of
from sottovoce.service.storage.database import Database
from tests.servers import PATIENCE, until
from tests.unit.service.service_values import migrated, new_job

BATCH = "batch"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


@pytest.fixture
def queue(database: Database) -> Iterator[DbosQueue]:
    made = DbosQueue(database)
    yield made
    made.close()


async def hang(_job_id: str) -> dict[str, Any] | None:
    await asyncio.Event().wait()
    return None


async def nothing(_job_id: str, _result: dict[str, Any]) -> None:
    return None


@contextmanager
def working(
    database: Database, attempt: Callable[[str, int], Awaitable[None]], *, slots: int = 4
) -> Iterator[DbosWorker]:
    """A worker whose jobs never end, and whose deliveries are *attempt*."""
    worker = DbosWorker(
        database,
        WorkerSetup(
            executor="embedded",
            slots=1,
            poll=0.02,
            queues=[BATCH],
            steps=(hang, nothing),
            handlers={task_kind: TaskHandler(attempt=attempt, slots=slots) for task_kind in TaskKind},
        ),
    )
    try:
        worker.launch()
        yield worker
    finally:
        worker.drain(0.0)
        DBOS.destroy(destroy_registry=True)


def go(database: Database, queue: DbosQueue, subject: str, attempt: int = 1, delay: float = 0.0) -> str:
    with database.writing() as connection:
        queue.enqueue(connection, TaskKind.DELIVERY, subject, attempt, delay=delay)
    return entry_of(TaskKind.DELIVERY, subject, attempt)


def status(queue: DbosQueue, entry: str) -> str | None:
    state = queue.states([entry]).get(entry)
    return state.status if state else None


class Note:
    """Attempts that only note that they were made."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []

    async def __call__(self, subject: str, attempt: int) -> None:
        self.made.append((subject, attempt))


def test_errands_are_run_beside_jobs_that_hold_all_slots(database: Database, queue: DbosQueue) -> None:
    note = Note()
    with database.writing() as connection:
        for number in range(3):
            repository.insert(connection, new_job(f"job{number}"))
            queue.submit(connection, f"job{number}", queue=BATCH, account="1", priority=10)
    entry = go(database, queue, "one", 3)
    with working(database, note):
        until(lambda: status(queue, entry) == "done", "the attempt")
    assert note.made == [("one", 3)]


def test_an_entry_of_a_transaction_that_rolled_back_is_none(database: Database, queue: DbosQueue) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        queue.enqueue(connection, TaskKind.DELIVERY, "one", 1)
        raise KeyError
    assert status(queue, entry_of(TaskKind.DELIVERY, "one", 1)) is None


def test_a_delay_holds_no_slot_survives_the_worker_and_ends(database: Database, queue: DbosQueue) -> None:
    note = Note()
    with working(database, note, slots=1):
        late = go(database, queue, "late", delay=3.0)
        assert queue.states([late])[late].delayed
        entry = go(database, queue, "now")
        until(lambda: status(queue, entry) == "done", "the attempt that does not wait")
    assert note.made == [("now", 1)]
    with working(database, note, slots=1):
        until(lambda: status(queue, late) == "done", "the delayed attempt")
    assert note.made == [("now", 1), ("late", 1)]


def test_a_delay_that_does_not_end_by_itself_can_be_ended(database: Database, queue: DbosQueue) -> None:
    note = Note()
    with working(database, note):
        entry = go(database, queue, "one", delay=86_400)
        queue.resume(entry, TaskKind.DELIVERY.value)
        until(lambda: status(queue, entry) == "done", "the attempt")


def test_cancelling_stops_attempts_wherever_they_are(database: Database, queue: DbosQueue) -> None:
    stopped, started = threading.Event(), threading.Event()

    async def stuck(_subject: str, _attempt: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    with working(database, stuck):
        entries = [go(database, queue, "running"), go(database, queue, "delayed", delay=86_400)]
        assert started.wait(PATIENCE)
        queue.cancel(*entries, "no such entry")
        assert stopped.wait(PATIENCE)
        until(lambda: {status(queue, each) for each in entries} == {"cancelled"}, "cancelled entries")


def test_slots_bound_how_many_are_under_way(database: Database, queue: DbosQueue) -> None:
    running: set[str] = set()
    most: list[int] = []

    async def slow(subject: str, _attempt: int) -> None:
        running.add(subject)
        most.append(len(running))
        await asyncio.sleep(0.6)
        running.discard(subject)

    entries = [go(database, queue, f"s{number}") for number in range(5)]
    with working(database, slow, slots=2):
        until(lambda: all(status(queue, each) == "done" for each in entries), "all")
    assert max(most) <= 3  # the queue counts what it has handed out; a loaded machine takes a while from hand to hand


KILLED = """
import os, sys, time
from sottovoce.service.storage.database import Database
from sottovoce.service.queue.dbos_queue import DbosWorker
from sottovoce.service.queue.port import TaskHandler, TaskKind, WorkerSetup
async def work(job_id): ...
async def publish(job_id, result): ...
async def attempt(subject, number):
    os.kill(os.getpid(), 9)
worker = DbosWorker(
    Database(sys.argv[1]),
    WorkerSetup(
        executor="embedded", slots=1, poll=0.02, queues=["batch"], steps=(work, publish),
        handlers={TaskKind.DELIVERY: TaskHandler(attempt=attempt, slots=1)},
    ),
)
worker.launch()
time.sleep(600)
"""


def test_kill_9_in_mid_attempt_makes_it_again_after_the_next_start(database: Database, queue: DbosQueue) -> None:
    entry = go(database, queue, "one", 2)
    ran = subprocess.run([sys.executable, "-c", KILLED, database.url], capture_output=True, timeout=PATIENCE)
    assert ran.returncode == -9, ran.stderr.decode()
    note = Note()
    with working(database, note):
        until(lambda: status(queue, entry) == "done", "the attempt")
    assert note.made == [("one", 2)]


def test_a_queue_of_jobs_cannot_have_an_errands_name(database: Database) -> None:
    with pytest.raises(ValueError, match="cannot be called fetch"):
        DbosWorker(
            database, WorkerSetup(executor="x", slots=1, poll=1, queues=["batch", "fetch"], steps=(hang, nothing))
        )

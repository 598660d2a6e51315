# ruff: noqa: ASYNC110, PT012, S608 - polling; a transaction left by an error; our own names in statements
"""The port on a real DBOS over SQLite. DBOS is one to a process: each test takes it down again."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS

from sottovoce.service.jobs import repository
from sottovoce.service.queue.dbos_queue import DbosQueue, DbosWorker, Json
from sottovoce.service.queue.port import WorkerSetup
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.servers import PATIENCE, until
from tests.unit.service.service_values import migrated, new_job

BATCH = "batch"
Work = Callable[[str], Awaitable[dict[str, Any] | None]]


class TaskHandler:
    """The two steps; they note what they were asked."""

    def __init__(self, work: Work | None = None) -> None:
        self.worked: list[str] = []
        self.published: list[tuple[str, dict[str, Any]]] = []
        self._work = work

    async def work(self, job_id: str) -> dict[str, Any] | None:
        self.worked.append(job_id)
        return await self._work(job_id) if self._work else {"attempt": 1, "of": job_id}

    async def publish(self, job_id: str, result: dict[str, Any]) -> None:
        self.published.append((job_id, result))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


@pytest.fixture
def queue(database: Database) -> Iterator[DbosQueue]:
    made = DbosQueue(database)
    yield made
    made.close()


@contextmanager
def working(
    database: Database, hands: TaskHandler, *, slots: int = 4, poll: float = 0.02, per_account: int | None = None
) -> Iterator[DbosWorker]:
    worker = DbosWorker(
        database,
        WorkerSetup(
            executor="embedded",
            slots=slots,
            poll=poll,
            queues=[BATCH],
            steps=(hands.work, hands.publish),
            per_account=per_account,
        ),
    )
    try:
        worker.launch()
        yield worker
    finally:
        worker.drain(0.0)
        DBOS.destroy(destroy_registry=True)


def submit(database: Database, queue: DbosQueue, job_id: str, *, account: str = "1", priority: int = 10) -> None:
    with database.writing() as connection:
        repository.insert(connection, new_job(job_id))
        queue.submit(connection, job_id, queue=BATCH, account=account, priority=priority)


def rows(database: Database, columns: str = "workflow_uuid") -> list[Any]:
    with database.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT {columns} FROM workflow_status ORDER BY workflow_uuid")
        return [tuple(row) if "," in columns else row[0] for row in found]


def test_job_and_entry_are_committed_together_or_not_at_all(database: Database, queue: DbosQueue) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        repository.insert(connection, new_job("a"))
        queue.submit(connection, "a", queue=BATCH, account="1", priority=10)
        raise KeyError
    assert rows(database) == []
    submit(database, queue, "a")
    assert rows(database, "workflow_uuid, queue_name, status") == [("a", BATCH, "ENQUEUED")]
    with database.reading() as connection:
        assert connection.execute(sa.select(t.jobs.c.id)).scalars().all() == ["a"]


def test_submitting_takes_no_lock_besides_the_callers_own(database: Database, queue: DbosQueue) -> None:
    """The writer holds SQLite's lock: anything that DBOS did on a connection of its own would wait for it, and then fail."""

    async def many() -> None:
        def one(number: int) -> Callable[[sa.Connection], None]:
            def commit(connection: sa.Connection) -> None:
                repository.insert(connection, new_job(f"job{number}"))
                queue.submit(connection, f"job{number}", queue=BATCH, account=str(number % 3), priority=10)

            return commit

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(database.write(one(number)) for number in range(30)))

    asyncio.run(many())
    assert len(rows(database)) == 30


def test_only_the_id_is_handed_over_and_as_json(database: Database, queue: DbosQueue) -> None:
    submit(database, queue, "a")
    with database.reading() as connection:
        tables = sa.inspect(connection).get_table_names()
        columns = {table: {c["name"] for c in sa.inspect(connection).get_columns(table)} for table in tables}
        held = [
            str(value)
            for table in tables
            if table.startswith("workflow")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
            for name, value in zip(row._fields, row, strict=True)
            if name in {"inputs", "input"} and value is not None
        ]
    assert columns["workflow_status"]
    assert [json.loads(value) for value in held] == [{"args": ["a"], "kwargs": {}}]


def test_an_entry_is_worked_on_and_published_once(database: Database, queue: DbosQueue) -> None:
    async def work(job_id: str) -> dict[str, Any] | None:
        return None if job_id == "nothing" else {"attempt": 1, "of": job_id}

    hands = TaskHandler(work)
    submit(database, queue, "before")
    with working(database, hands):
        submit(database, queue, "meanwhile")
        until(lambda: len(hands.published) == 2, "two results")
        with pytest.raises(sa.exc.IntegrityError):
            submit(database, queue, "before")
        with database.writing() as connection:  # the same id again, without a row to stop it
            queue.submit(connection, "before", queue=BATCH, account="1", priority=10)
        submit(database, queue, "nothing")
        until(lambda: rows(database, "status") == ["SUCCESS"] * 3, "success")
        assert {(state.ended, state.waiting) for state in queue.states(["before", "nothing"]).values()} == {
            (True, False)
        }
        assert queue.states(["no such job"]) == queue.states([]) == {}
        queue.cancel("before")  # too late
        assert rows(database, "status") == ["SUCCESS"] * 3
    assert sorted(hands.worked) == ["before", "meanwhile", "nothing"]
    assert sorted(hands.published) == [(each, {"attempt": 1, "of": each}) for each in ("before", "meanwhile")]
    _forget(database, queue, ["before", "nothing", "no such job"])


def _forget(database: Database, queue: DbosQueue, ids: list[str]) -> None:
    """Nothing of *ids* is left in any table of the queue."""
    queue.forget(ids)
    queue.forget([])
    with database.reading() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if name not in t.region.tables]
        everything = [str(tuple(row)) for name in names for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
    assert any("meanwhile" in row for row in everything)
    assert not [row for row in everything if any(each in row for each in ids)]


def test_cancelling_stops_running_work_and_what_is_queued(database: Database, queue: DbosQueue) -> None:
    stopped = threading.Event()
    started = threading.Event()

    async def hang(_job_id: str) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    hands = TaskHandler(hang)
    submit(database, queue, "running")
    with working(database, hands, slots=1):
        assert started.wait(PATIENCE)
        submit(database, queue, "waiting")
        queue.cancel("waiting")
        queue.cancel("waiting")
        queue.cancel("running")
        assert stopped.wait(PATIENCE)
        until(lambda: rows(database, "status") == ["CANCELLED", "CANCELLED"], "cancelled entries")
        queue.cancel("no such job")
    assert hands.worked == ["running"]
    assert hands.published == []


def test_urgent_work_goes_first(database: Database, queue: DbosQueue) -> None:
    for number in range(5):
        submit(database, queue, f"low{number}", priority=20)
    submit(database, queue, "urgent", priority=1)
    hands = TaskHandler()
    with working(database, hands, slots=1):
        until(lambda: len(hands.published) == 6, "all")
    assert hands.worked[0] == "urgent"


def test_slots_bound_what_runs_at_once(database: Database, queue: DbosQueue) -> None:
    running: set[str] = set()
    most = []
    two = asyncio.Event()

    async def slow(job_id: str) -> dict[str, Any]:
        running.add(job_id)
        most.append(len(running))
        if len(running) == 2:
            two.set()
        await two.wait()
        await asyncio.sleep(0.7)  # more than a look at the queue: time for a third to come
        running.discard(job_id)
        return {}

    for number in range(4):
        submit(database, queue, f"j{number}", account=str(number))
    hands = TaskHandler(slow)
    # rare looks: DBOS counts what it has handed to its loop, and a loaded machine takes a while from hand to hand
    with working(database, hands, slots=2, poll=0.5):
        until(lambda: len(hands.published) == 4, "all")
    assert max(most) == 2


def test_a_drain_leaves_unfinished_work_for_the_next_start(
    database: Database, queue: DbosQueue, caplog: pytest.LogCaptureFixture
) -> None:
    started = threading.Event()
    ended: list[str] = []

    async def hang(_job_id: str) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    first = TaskHandler(hang)
    submit(database, queue, "a")
    with working(database, first):
        assert started.wait(PATIENCE)
    assert ended == ["cancelled"]
    assert first.published == []
    assert not [record for record in caplog.records if record.name == "dbos" and record.levelname == "WARNING"]
    assert rows(database, "status") == ["PENDING"]
    state = queue.states(["a"])["a"]
    assert (state.ended, state.waiting, state.worker) == (False, False, "embedded")
    second = TaskHandler()
    with working(database, second):
        until(lambda: second.published, "the result")
    assert second.worked == ["a"]


KILLED = """
import asyncio, os, sys
from sottovoce.service.storage.database import Database
from sottovoce.service.queue.dbos_queue import DbosWorker
from sottovoce.service.queue.port import WorkerSetup
database = Database(sys.argv[1])
async def work(job_id):
    return {"attempt": 1}
async def publish(job_id, result):
    os.kill(os.getpid(), 9)
worker = DbosWorker(
    database, WorkerSetup(executor="embedded", slots=1, poll=0.02, queues=["batch"], steps=(work, publish))
)
worker.launch()
import time
time.sleep(600)
"""


def test_kill_9_in_publish_runs_publish_again_with_the_recorded_result(database: Database, queue: DbosQueue) -> None:
    submit(database, queue, "a")
    ran = subprocess.run([sys.executable, "-c", KILLED, database.url], capture_output=True, timeout=PATIENCE)
    assert ran.returncode == -9, ran.stderr.decode()
    hands = TaskHandler()
    with working(database, hands):
        until(lambda: hands.published, "the result")
        until(lambda: rows(database, "status") == ["SUCCESS"], "end")
    assert hands.published == [("a", {"attempt": 1})]
    assert hands.worked == []  # its result is recorded: this is why the claim belongs to work


def test_what_is_resumed_is_worked_on_again_while_the_old_owner_cannot_publish(
    database: Database, queue: DbosQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on, refused = threading.Event(), threading.Event(), threading.Event()
    calls: list[int] = []

    def note(record: logging.LogRecord) -> bool:
        """Note DBOS's line before the queue leaves it out of the log."""
        if "no longer owned by this execution" in record.getMessage():
            refused.set()
        return True

    monkeypatch.setattr(logging.getLogger("dbos"), "filters", [note])

    async def work(_job_id: str) -> dict[str, Any]:
        calls.append(1)
        number = len(calls)
        if number == 1:
            started.set()
            while not go_on.is_set():
                await asyncio.sleep(0.01)
        return {"attempt": number}

    hands = TaskHandler(work)
    submit(database, queue, "a")
    with working(database, hands):
        assert started.wait(PATIENCE)
        queue.resume("a", BATCH)
        until(lambda: hands.published, "the new owner's result")
        go_on.set()
        assert refused.wait(PATIENCE)
        until(lambda: rows(database, "status") == ["SUCCESS"], "end")
    assert hands.published == [("a", {"attempt": 2})]
    assert not [record for record in caplog.records if record.name == "dbos"]


def test_nothing_of_the_worker_is_left(database: Database) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    with working(database, TaskHandler()):
        assert len(threading.enumerate()) > len(before)

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.ident not in before and not thread.daemon]

    until(lambda: not left(), "end of the threads")


@pytest.mark.parametrize(
    "value", [None, 1, "ü", [1, None], {"attempt": 1, "engine": "x"}, {"args": ["a"], "kwargs": {}}]
)
def test_values_survive_as_json(value: object) -> None:
    text = Json().serialize(value)
    assert json.loads(text) == value
    assert Json().deserialize(text) == value


def test_exceptions_come_back_as_text_only() -> None:
    back = Json().deserialize(Json().serialize(KeyError("why")))
    assert isinstance(back, RuntimeError)
    assert str(back) == "KeyError: 'why'"


def test_what_json_cannot_hold_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        Json().serialize(object())


@pytest.mark.parametrize("limit", [1, 2])
def test_jobs_beyond_the_limit_of_an_account_wait_and_others_overtake(
    database: Database, queue: DbosQueue, limit: int
) -> None:
    """Four slots: the first account fills no more than its limit, and its other jobs follow when one ends."""
    end = threading.Event()

    async def work(job_id: str) -> dict[str, Any]:
        while not end.is_set():
            await asyncio.sleep(0.01)
        return {"of": job_id}

    hands = TaskHandler(work)
    for number in range(4):
        submit(database, queue, f"first{number}", account="1")
    submit(database, queue, "second", account="2")
    with working(database, hands, per_account=limit):
        until(lambda: len(hands.worked) == limit + 1, "jobs of both accounts")
        waiting = queue.states([f"first{number}" for number in range(4)])
        assert "second" in hands.worked
        assert sum(state.waiting for state in waiting.values()) == 4 - limit
        end.set()
        until(lambda: len(hands.published) == 5, "the jobs that waited")

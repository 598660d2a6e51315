"""The scheduler: turns of the region's tasks on real databases, and tasks that fail."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.scheduler import PeriodicTask, Scheduler, due, take_turn
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.servers import until
from tests.unit.service.service_values import migrated


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


def take(database: Database, name: str = "reaper") -> bool:
    with database.writing() as connection:
        return take_turn(connection, name, 60)


def due_in(database: Database, name: str, ms: int) -> None:
    with database.writing() as connection:
        row = t.counters.c.name == f"turn {name}"
        connection.execute(sa.update(t.counters).where(row).values(value=now_ms() + ms))


def test_one_process_takes_a_turn_and_any_process_the_next_one(database: Database) -> None:
    assert [take(database), take(database)] == [True, False]
    due_in(database, "reaper", -1)
    assert [take(database), take(database)] == [True, False]


def test_tasks_have_turns_of_their_own(database: Database) -> None:
    assert take(database, "reaper")
    assert take(database, "sweep")


def test_a_turn_that_a_wrong_clock_put_far_away_is_due(database: Database) -> None:
    assert take(database)
    due_in(database, "reaper", 59_000)
    assert not take(database)
    due_in(database, "reaper", 3_600_000)
    assert take(database)


def test_an_embedded_server_takes_every_turn(database: Database) -> None:
    assert [asyncio.run(due(database, "reaper", 60)) for _ in range(2)] == [True, True]


class Fails:
    """Counts its runs and raises *error* in each."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        raise self.error


def test_a_failing_task_runs_again_and_stops_no_other(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    bug, trouble, metrics = Fails(TypeError("a bug")), Fails(OSError(28, "disk full")), Metrics()
    tasks = [PeriodicTask(name=f"{each.error}", interval=0.01, do=each) for each in (bug, trouble)]
    scheduler = Scheduler(tasks, database, metrics)
    scheduler.start()
    try:
        until(lambda: bug.runs > 1 and trouble.runs > 1, "second runs")
    finally:
        scheduler.close()
    loud = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert {record.getMessage() for record in loud} == {"periodic task failed"}
    assert len(loud) == bug.runs  # the full disk is a warning without a trace
    counted = metrics._registry.get_sample_value("sottovoce_internal_errors_total", {"where": "periodic"})
    assert counted == bug.runs

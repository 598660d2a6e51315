import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.queue.interval_lock import IntervalLock
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.unit.service.service_values import migrated


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


def take(database: Database, turns: IntervalLock) -> bool:
    with database.writing() as connection:
        return turns._take(connection)


def due_in(database: Database, name: str, ms: int) -> None:
    with database.writing() as connection:
        row = t.counters.c.name == f"turn {name}"
        connection.execute(sa.update(t.counters).where(row).values(value=now_ms() + ms))


def test_a_turn_falls_to_one_of_them_and_the_next_to_whoever_comes_first(database: Database) -> None:
    first, second = IntervalLock(database, "reaper", 60), IntervalLock(database, "reaper", 60)
    assert [take(database, first), take(database, second), take(database, first)] == [True, False, False]
    due_in(database, "reaper", -1)
    assert [take(database, second), take(database, first)] == [True, False]


def test_chores_have_turns_of_their_own(database: Database) -> None:
    assert take(database, IntervalLock(database, "reaper", 60))
    assert take(database, IntervalLock(database, "sweep", 60))


def test_a_turn_that_a_wrong_clock_put_far_away_is_due(database: Database) -> None:
    turns = IntervalLock(database, "reaper", 60)
    assert take(database, turns)
    due_in(database, "reaper", 59_000)
    assert not take(database, turns)
    due_in(database, "reaper", 3_600_000)
    assert take(database, turns)


def test_an_embedded_server_needs_to_ask_nobody(database: Database) -> None:
    turns = IntervalLock(database, "reaper", 60)
    assert [asyncio.run(turns.acquire()) for _ in range(2)] == [True, True]

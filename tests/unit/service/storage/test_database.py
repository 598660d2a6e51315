# ruff: noqa: PT012 - a transaction that is left by an error
import asyncio
import contextlib
import secrets
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.storage import database as module
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, Lookup, is_sqlite, normal_url, now_ms, sqlite_url
from tests.backends import S3, Postgres
from tests.servers import PATIENCE
from tests.unit.service.service_values import migrated


def _pragma(connection: sa.Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_every_connection_has_the_durable_pragmas(tmp_path: Path) -> None:
    with migrated(tmp_path) as database:
        for opened in (database.reading, database.writing):
            with opened() as connection:
                found = {
                    name: _pragma(connection, name)
                    for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
                }
            assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        engine = database.engine_for_queue()
        with engine.connect() as connection:
            assert (_pragma(connection, "journal_mode"), _pragma(connection, "synchronous")) == ("wal", 2)
        engine.dispose()


COUNTER = Lookup(sa.select(t.counters).where(t.counters.c.name == sa.bindparam("name")))


def _raise_counter(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.insert(t.counters).values(name="mine", value=1))


def test_a_look_up_sees_every_commit_and_holds_nothing(tmp_path: Path) -> None:
    with migrated(tmp_path) as database:
        assert database.look_up(COUNTER, name="mine") == []
        _raise_counter(database)
        rows = database.look_up(COUNTER, name="mine")
        assert rows == [("mine", 1)]
        assert COUNTER.mapping(rows[0]) == {"name": "mine", "value": 1}
        assert database.truncate_log()  # a reader would prevent it
    assert database.look_up(COUNTER, name="mine") is None  # it is closed


def test_a_look_up_waits_for_no_lock(tmp_path: Path) -> None:
    with migrated(tmp_path) as made:
        _raise_counter(made)
    database = Database(made.url)
    with contextlib.closing(sqlite3.connect(database.place, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        assert database.look_up(COUNTER, name="mine") is None
        assert time.monotonic() - begun < module.BUSY_TIMEOUT / 2
    assert database.look_up(COUNTER, name="mine") == [("mine", 1)]
    database.close()


def test_a_look_up_makes_no_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gone # 1.db'}")
    assert database.look_up(COUNTER, name="mine") is None
    assert not list(tmp_path.iterdir())
    database.close()


def test_postgresql_is_not_looked_up_on_the_loop() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    assert database.look_up(COUNTER, name="mine") is None
    database.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with (
        migrated(tmp_path) as database,
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        database.reading() as connection,
    ):
        connection.execute(sa.insert(t.counters).values(name="x", value=1))


def test_an_exception_rolls_back(tmp_path: Path) -> None:
    with migrated(tmp_path) as database:
        with pytest.raises(KeyError), database.writing() as connection:
            connection.execute(sa.insert(t.counters).values(name="x", value=1))
            raise KeyError
        with database.reading() as connection:
            assert connection.execute(sa.select(t.counters.c.name)).scalars().all() == ["v1"]


def test_a_reader_keeps_its_snapshot_and_never_waits_for_the_writer(tmp_path: Path) -> None:
    with migrated(tmp_path) as database, database.reading() as reader:
        count = sa.select(sa.func.count()).select_from(t.counters)
        before = reader.execute(count).scalar_one()
        with database.writing() as writer:
            writer.execute(sa.insert(t.counters).values(name="x", value=1))
            assert reader.execute(count).scalar_one() == before  # while the writer holds the lock
        assert reader.execute(count).scalar_one() == before  # and after its commit
        with database.reading() as later:
            assert later.execute(count).scalar_one() == before + 1


def test_writers_take_turns(tmp_path: Path) -> None:
    def raise_it(connection: sa.Connection) -> None:
        value = connection.execute(sa.select(t.counters.c.value).where(t.counters.c.name == "v1")).scalar_one()
        time.sleep(0.001)
        connection.execute(sa.update(t.counters).where(t.counters.c.name == "v1").values(value=value + 1))

    async def many(one: Database, other: Database) -> None:
        await asyncio.gather(*(database.write(raise_it) for database in (one, other) for _ in range(20)))

    with migrated(tmp_path) as one, migrated(tmp_path) as other:
        asyncio.run(many(one, other))
        with one.reading() as connection:
            assert connection.execute(sa.select(t.counters.c.value)).scalar_one() == 40


def test_the_database_clock_is_epoch_milliseconds(tmp_path: Path) -> None:
    with migrated(tmp_path) as database, database.reading() as connection:
        before = time.time() * 1000
        now = connection.execute(sa.select(now_ms())).scalar_one()
        after = time.time() * 1000
    assert isinstance(now, int)
    assert before - 2 <= now <= after + 2


def test_a_write_that_began_is_finished_although_its_caller_is_cancelled(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        connection.execute(sa.insert(t.counters).values(name="x", value=1))
        begun.set()
        go_on.wait(30)

    async def cancelled(database: Database) -> None:
        task = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    with migrated(tmp_path) as database:
        asyncio.run(cancelled(database))
        with database.writing():
            pass  # behind the slow one
        with database.reading() as connection:
            names = connection.execute(sa.select(t.counters.c.name)).scalars().all()
        assert "x" in names


def test_close_ends_every_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with migrated(tmp_path) as database:
        asyncio.run(database.write(lambda connection: connection.exec_driver_sql("SELECT 1").scalar()))
        asyncio.run(database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar()))
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("sqlite:////x/y.db", "sqlite:////x/y.db"),
    ],
)
def test_urls_get_the_driver_that_we_ship(given: str, normal: str) -> None:
    assert normal_url(given) == normal
    assert is_sqlite(given) == given.startswith("sqlite")


def test_a_sqlite_url_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_url(Path("a.db")) == f"sqlite:///{tmp_path}/a.db"


@pytest.mark.parametrize("engine_of", ["ours", "the queue's"])
def test_who_falls_silent_in_mid_transaction_loses_its_locks(
    backends: tuple[Postgres, S3], monkeypatch: pytest.MonkeyPatch, engine_of: str
) -> None:
    """As a stopped process does, or a machine that vanished."""
    monkeypatch.setattr(module, "SILENCE_MS", 300)
    url = backends[0].create(f"silence_{secrets.token_hex(6)}")
    database = Database(url)
    sleeper = database.engine_for_queue() if engine_of == "the queue's" else None
    try:
        migrate.upgrade(database, migrate.REGION)
        with database.writing() as connection:
            connection.execute(sa.insert(t.counters).values(name="x", value=1))
        mine = t.counters.c.name == "x"
        raised = sa.update(t.counters).where(mine).values(value=t.counters.c.value + 1)
        opened = sleeper.begin() if sleeper else database.writing()
        with pytest.raises(sa.exc.OperationalError), opened as silent:
            silent.execute(raised)  # and nothing more
            with database.writing() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
                connection.execute(raised)
        with database.reading() as connection:
            assert connection.execute(sa.select(t.counters.c.value).where(mine)).scalar_one() == 2
    finally:
        if sleeper:
            sleeper.dispose()
        database.close()

"""Which errors are temporary: real ones of SQLite, PostgreSQL, the file system and the blob store, and bugs that look like them."""

import asyncio
import errno
import secrets
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.trouble import BUSY, DATABASE, DISK_FULL, STORE, DatabaseClosed, StoreAway, temporary


def failure(database: Database, statement: str) -> BaseException:
    with pytest.raises(sa.exc.SQLAlchemyError) as caught, database.writing() as connection:
        connection.exec_driver_sql(statement)
    return caught.value


@pytest.fixture
def database(tmp_path: Path):
    made = Database(sqlite_url(tmp_path / "x.db"))
    with made.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
    yield made
    made.close()


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM no_such_table", "SELEKT 1", "INSERT INTO t (a) VALUES (1)", "SELECT no_column FROM t"]
)
def test_a_wrong_statement_is_a_bug(database: Database, statement: str) -> None:
    assert temporary(failure(database, statement)) is None


def test_a_full_sqlite_is_a_full_disk(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 3")  # of this connection, the writer's only one
    assert temporary(failure(database, "INSERT INTO t VALUES (1, hex(randomblob(100000)))")) == DISK_FULL


def test_a_locked_sqlite_is_temporary(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    with sqlite3.connect(path) as holder:
        holder.execute("CREATE TABLE t (a)")
    holder.isolation_level = None
    holder.execute("BEGIN EXCLUSIVE")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    with pytest.raises(sa.exc.OperationalError) as caught, engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert temporary(caught.value) == DATABASE
    engine.dispose()
    holder.close()


def test_a_read_only_sqlite_is_temporary(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as made:
        made.execute("CREATE TABLE t (a)")
    engine = sa.create_engine(f"sqlite:///file:{tmp_path / 'x.db'}?mode=ro&uri=true")
    with pytest.raises(sa.exc.OperationalError) as caught, engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert temporary(caught.value) == DATABASE
    engine.dispose()


def test_postgresql_tells_trouble_from_bugs(backends) -> None:
    postgres, _ = backends
    database = Database(postgres.create(f"trouble_{secrets.token_hex(6)}"))
    try:
        assert temporary(failure(database, "SELECT * FROM no_such_table")) is None
        assert temporary(failure(database, "SET TRANSACTION READ ONLY; CREATE TABLE x (a int)")) == DATABASE
        assert temporary(failure(database, "SET statement_timeout = 10; SELECT pg_sleep(10)")) == DATABASE
        assert temporary(failure(database, "SELECT pg_terminate_backend(pg_backend_pid())")) == DATABASE
    finally:
        database.close()
    away = Database("postgresql://nobody@127.0.0.1:9/none")
    try:
        assert temporary(failure(away, "SELECT 1")) == DATABASE
    finally:
        away.close()


def test_a_closed_database_is_no_bug(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "x.db"))
    database.close()
    with pytest.raises(DatabaseClosed) as caught:
        asyncio.run(database.read(lambda connection: connection))
    assert temporary(caught.value) == DATABASE


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "full"), DISK_FULL),
        (OSError(errno.EROFS, "read-only"), STORE),
        (PermissionError(errno.EACCES, "not yours"), STORE),
        (OSError(errno.EMFILE, "too many files"), BUSY),
        (TimeoutError(), BUSY),
        (ConnectionResetError(), BUSY),
        (FileNotFoundError(errno.ENOENT, "a file of ours"), None),
        (OSError("a bug"), None),
        (TypeError("a bug"), None),
        (RuntimeError("a bug"), None),
        (Missing("jobs/a"), None),
        (ExceptionGroup("several", [OSError(errno.ENOSPC, "full"), OSError(errno.EROFS, "ro")]), DISK_FULL),
        (ExceptionGroup("several", [OSError(errno.ENOSPC, "full"), TypeError("a bug")]), None),
    ],
)
def test_errors_of_the_system(error: Exception, told: str | None) -> None:
    assert temporary(error) == told


def test_a_folder_in_which_nothing_can_be_written_is_temporary(tmp_path: Path) -> None:
    blobs = Blobs.open(f"file://{tmp_path}/blobs", {})
    (tmp_path / "blobs" / "jobs").write_text("a file where the folder of all jobs should be")
    message = "Generic LocalFileSystem error: Unable to create dir x: Read-only file system (os error 30)"
    assert temporary(OSError(message)) == STORE  # as obstore's writer raises it
    for write in (blobs.put("jobs/a/x", b"x"), _written(blobs, "jobs/a/x")):
        with pytest.raises(Exception, match="jobs") as caught:
            asyncio.run(write)
        assert temporary(caught.value) == STORE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_of_the_store_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="space") as caught, Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    assert temporary(caught.value) == DISK_FULL
    message = "Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)"
    assert temporary(_store_error(message)) == DISK_FULL


async def _written(blobs: Blobs, key: str) -> None:
    writer = blobs.writer(key)
    await writer.write(b"x")
    await writer.close()


def _store_error(message: str) -> Exception:
    from obstore.exceptions import GenericError

    return GenericError(message)


def test_an_unreachable_s3_is_temporary() -> None:
    options = {
        "endpoint": "http://127.0.0.1:9",
        "access_key_id": "a",
        "secret_access_key": "b",
        "region": "us-east-1",
    }
    from obstore.store import from_url

    more: Any = {"config": options, "client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}
    store = from_url("s3://bucket/x", **more)
    for write in (Blobs(store, None).put("jobs/a/x", b"x"), _written(Blobs(store, None), "jobs/a/x")):
        with pytest.raises(Exception, match="error") as caught:
            asyncio.run(write)
        assert temporary(caught.value) == STORE


def test_a_blob_in_a_store_that_is_not_mounted_is_not_missing(tmp_path: Path) -> None:
    blobs = Blobs.open(f"file://{tmp_path}/blobs", {})
    with pytest.raises(Missing):
        asyncio.run(blobs.get("jobs/a/x"))
    shutil.rmtree(tmp_path / "blobs")
    for read in (blobs.get("jobs/a/x"), blobs.size("jobs/a/x")):
        with pytest.raises(StoreAway) as caught:
            asyncio.run(read)
        assert temporary(caught.value) == STORE

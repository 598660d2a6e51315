"""One database, two ways in: many readers, one writer (docs/decisions/0002).

SQLite: readers are deferred and cannot write, the writer begins IMMEDIATE on a single connection, so that nobody waits for a
lock in mid-transaction. PostgreSQL: both are ordinary pools. The same statements run on both.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")
Connection = sa.Connection
DATABASE_AWAY = (sa.exc.OperationalError, sa.exc.TimeoutError)
"""What a statement raises while the database cannot be reached or is locked for too long."""
DATABASE_ERROR = sa.exc.SQLAlchemyError
"""What a statement raises for any reason."""
DAY_MS = 86_400_000
"""Milliseconds of a day."""
READERS = 4
BUSY_TIMEOUT = 30.0  # seconds
SILENCE_MS = 10_000
"""How long a transaction may hang between two statements before PostgreSQL ends it, and its locks; ours take milliseconds."""
_SILENCED = "25P03"
LOG_PATIENCE = 0.5
"""Seconds that emptying the log waits for readers; writers wait as long."""
SUBSECONDS = (3, 42, 0)
"""The first SQLite that knows `unixepoch('subsec')`, which DBOS asks for whenever Python is 3.12 or newer."""


class now_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The database's clock in epoch milliseconds: the only clock that leases are compared with."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(_element: now_ms, _compiler: Any, **_kw: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42, Debian 12 has 3.40; a double holds a Julian day to 0.04 ms
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_postgresql(_element: now_ms, _compiler: Any, **_kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def is_sqlite(url: str) -> bool:
    """Whether *url* names an embedded database."""
    return sa.make_url(url).get_backend_name() == "sqlite"


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite file at *path*."""
    return f"sqlite:///{path.resolve()}"


def normal_url(url: str) -> str:
    """*url* with the driver that we ship: `postgresql://` and `postgres://` mean psycopg 3."""
    parsed = sa.make_url(url.replace("postgres://", "postgresql://", 1))
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def _unixepoch(modifier: object) -> float | None:
    """`unixepoch('subsec')` for an older SQLite."""
    return time.time() if modifier == "subsec" else None


def sqlite_engine(url: str, *, pool: int, begin: str | None, query_only: bool = False) -> sa.Engine:
    """An engine on a SQLite file with our pragmas.

    *begin* is the statement that opens a transaction (`BEGIN IMMEDIATE`); `None` keeps the driver's own way, in which reads
    open none, which is what DBOS was measured with.
    """
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT * 2,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        if sqlite3.sqlite_version_info < SUBSECONDS:
            connection.create_function("unixepoch", 1, _unixepoch)
        connection.isolation_level = None if begin else "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if query_only:
            connection.execute("PRAGMA query_only=ON")

    if begin:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

    return engine


def postgres_engine(url: str, *, pool: int) -> sa.Engine:
    """An engine on PostgreSQL that notices dead connections before it uses them.

    A process that is stopped, or a machine that vanishes, in mid-transaction holds its row locks for as long as the server
    believes in the connection: the server is told to believe in silence for `SILENCE_MS` only.
    """
    engine = sa.create_engine(
        url,
        pool_size=pool,
        max_overflow=2,
        pool_pre_ping=True,
        pool_timeout=30,
        connect_args={"connect_timeout": 5},  # libpq would wait for minutes for a host that is gone
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:  # not by `options`: connection poolers refuse them
            cursor.execute(f"SET idle_in_transaction_session_timeout = {SILENCE_MS}")
        connection.commit()

    sa.event.listen(engine, "handle_error", _silenced, retval=True)
    return engine


def _silenced(context: sa.engine.ExceptionContext) -> BaseException | None:
    """A transaction that the server ended for its silence is a lost connection, whatever the driver calls it."""
    if getattr(context.original_exception, "sqlstate", None) != _SILENCED:
        return None
    context.is_disconnect = True
    return sa.exc.OperationalError(context.statement, None, context.original_exception, connection_invalidated=True)


class Database:
    """Readers and a writer over one URL, and threads to use them from an event loop."""

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self.url = normal_url(url)
        self.embedded = is_sqlite(self.url)
        if self.embedded:
            self._reader = sqlite_engine(self.url, pool=readers, begin="BEGIN DEFERRED", query_only=True)
            self._writer = sqlite_engine(self.url, pool=1, begin="BEGIN IMMEDIATE")
        else:
            self._reader = self._writer = postgres_engine(self.url, pool=readers * 2)
        self._reads = ThreadPoolExecutor(readers, thread_name_prefix="database-read")
        self._writes = ThreadPoolExecutor(1 if self.embedded else readers, thread_name_prefix="database-write")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one snapshot and writes nothing."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that commits at the end of the block, or rolls back on any exception."""
        with self._writer.begin() as connection:
            yield connection

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """*work* on a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, partial(self._with, self.reading, work))

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """*work* in one transaction on a writer's thread; once begun it is finished even if the caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._writes, partial(self._with, self.writing, work))

    @staticmethod
    def _with(opened: Callable[[], Any], work: Callable[[sa.Connection], T]) -> T:
        with opened() as connection:
            return work(connection)

    def engine_for_queue(self) -> sa.Engine:
        """A third engine on the same database for DBOS alone: it nests connections, which a pool of one would deadlock."""
        if self.embedded:
            return sqlite_engine(self.url, pool=8, begin=None)
        return postgres_engine(self.url, pool=10)

    def truncate_log(self) -> bool:
        """Empty SQLite's write-ahead log, where what was overwritten may still stand. False: somebody was reading; try again.

        PostgreSQL recycles its own.
        """
        if not self.embedded:
            return True
        with contextlib.closing(sqlite3.connect(sa.make_url(self.url).database or "", timeout=LOG_PATIENCE)) as raw:
            row = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(row and row[0] == 0)

    def close(self) -> None:
        """End the threads and connections."""
        self._reads.shutdown(wait=True)
        self._writes.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()

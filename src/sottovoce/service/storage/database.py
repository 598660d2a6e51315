"""A database with many readers and one writer (docs/decisions/0002). The same statements run on SQLite and PostgreSQL.

SQLite: readers use deferred transactions and cannot write; the writer begins IMMEDIATE on a single connection, so that no
transaction waits for a lock after its start. PostgreSQL: one ordinary pool serves both.

Parts, in order:
- constants and `now_ms`, the database's clock;
- URLs, and errors in one line;
- engines for SQLite and PostgreSQL;
- `Lookup`, a read without a thread;
- `Database`.
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
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from sottovoce.service.storage.trouble import DatabaseClosed

T = TypeVar("T")
Connection = sa.Connection
DATABASE_ERROR = sa.exc.SQLAlchemyError
"""The base class of all exceptions of a statement."""
DAY_MS = 86_400_000
"""Milliseconds of a day."""
READERS = 4
"""Threads and connections for reading."""
BUSY_TIMEOUT = 30.0
"""Seconds that a statement waits for a lock."""
SILENCE_MS = 10_000
"""ms that a transaction may be idle before PostgreSQL ends it and releases its locks; normal ones take milliseconds."""
_SILENCED = "25P03"
"""PostgreSQL's error code for a transaction that it ended for being idle."""
LOG_PATIENCE = 0.5
"""Seconds that truncating the write-ahead log waits for readers; writers wait for it meanwhile."""
SUBSECONDS = (3, 42, 0)
"""The first SQLite version with `unixepoch('subsec')`, which DBOS uses on Python 3.12 or newer."""


class now_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The database's clock in epoch milliseconds, the only clock for leases."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(_element: now_ms, _compiler: Any, **_kw: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42, Debian 12 has 3.40; a double stores a Julian day with a precision of 0.04 ms
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_postgresql(_element: now_ms, _compiler: Any, **_kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def is_sqlite(url: str) -> bool:
    """True if *url* is that of an SQLite database."""
    return sa.make_url(url).get_backend_name() == "sqlite"


def sqlite_url(path: Path) -> str:
    """Return the URL of the SQLite file at *path*."""
    return f"sqlite:///{path.resolve()}"


def normal_url(url: str) -> str:
    """Return *url* with the packaged driver: `postgresql://` and `postgres://` use psycopg 3."""
    parsed = sa.make_url(url.replace("postgres://", "postgresql://", 1))
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def one_line(error: BaseException) -> str:
    """Return the first line of the reason of *error*; of a database's error, at most 300 characters of what the driver said."""
    said = getattr(error, "orig", None)
    reason = said or error
    text = next((line.strip() for line in str(reason).splitlines() if line.strip()), type(reason).__name__)
    return text[: 300 if said else 1_000]  # our own sentences end with the next step, after long paths


def typed_line(error: BaseException) -> str:
    """Return the type of *error* and its reason in one line."""
    kind, text = type(error).__name__, one_line(error)
    return kind if text == kind else f"{kind}: {text}"


class DatabaseUnusable(Exception):
    """A database cannot be used. The text is one line: which one, why, and the next step."""


@contextmanager
def usable(database: "Database", name: str) -> Iterator[None]:
    """Raise `DatabaseUnusable` for an error of a statement in the block. *name*: what the database is, for example `region`."""
    try:
        yield
    except DATABASE_ERROR as error:
        cure = "" if database.embedded else "; check that it runs, and that its URL is right"
        text = f"the {name} database {database.place} cannot be used: {one_line(error)}{cure}"
        raise DatabaseUnusable(text) from error


def _unixepoch(modifier: object) -> float | None:
    """Implement `unixepoch('subsec')` for an older SQLite."""
    return time.time() if modifier == "subsec" else None


def sqlite_engine(url: str, *, pool: int, begin: str | None, query_only: bool = False) -> sa.Engine:
    """Return an engine on a SQLite file, with the project's pragmas.

    *begin* is the statement that opens a transaction (`BEGIN IMMEDIATE`); `None` keeps the driver's default, in which reads open
    no transaction: DBOS was measured with it.
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


def _for_lookups(path: str) -> sqlite3.Connection:
    """A connection to the file *path* that waits for no lock, writes nothing and makes no file. Raises `sqlite3.Error`."""
    place = f"{Path(path).absolute().as_uri()}?mode=rw"  # read-only mode cannot read the log of writes (WAL) of a closed database
    # closed by the thread that closes the database
    connection = sqlite3.connect(place, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection


def postgres_engine(url: str, *, pool: int) -> sa.Engine:
    """Return an engine on PostgreSQL that checks each pooled connection before use.

    A process or machine that stops in a transaction keeps its row locks as long as the server keeps the connection. So each
    connection sets a limit of `SILENCE_MS` for an idle transaction, and one of `BUSY_TIMEOUT` for the wait for a lock.
    """
    engine = sa.create_engine(
        url,
        pool_size=pool,
        max_overflow=2,
        pool_pre_ping=True,
        pool_timeout=30,
        connect_args={"connect_timeout": 5},  # seconds; libpq's default would wait minutes for an unreachable host
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:  # not by `options`, which connection poolers reject
            cursor.execute(f"SET idle_in_transaction_session_timeout = {SILENCE_MS}")
            cursor.execute(f"SET lock_timeout = {round(BUSY_TIMEOUT * 1000)}")
        connection.commit()

    sa.event.listen(engine, "handle_error", _silenced, retval=True)
    return engine


def _silenced(context: sa.engine.ExceptionContext) -> BaseException | None:
    """Report a transaction that the server ended for being idle as a lost connection; the driver does not."""
    if getattr(context.original_exception, "sqlstate", None) != _SILENCED:
        return None
    context.is_disconnect = True
    return sa.exc.OperationalError(context.statement, None, context.original_exception, connection_invalidated=True)


class Lookup:
    """A SELECT of single rows by an index, prepared once for `Database.look_up`. Its parameters are bound by name.

    SQLAlchemy takes fifteen times as long for a row as SQLite does (158 µs and 10 µs for a job, without the thread).
    """

    def __init__(self, statement: "sa.Select[Any]") -> None:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self.fixed = compiled.params
        columns = statement.selected_columns
        self._names = tuple(columns.keys())
        readers = [
            (column.name, column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in columns
        ]
        self._readers = [(name, reader) for name, reader in readers if reader is not None]

    def mapping(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """The values of *row* by the names of their columns, as SQLAlchemy would return them."""
        values = dict(zip(self._names, row, strict=True))
        for name, reader in self._readers:
            values[name] = reader(values[name])
        return values


class Database:
    """Readers and a writer of one database, and the threads that run them for an event loop."""

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self.url = normal_url(url)
        self._closed = False
        self.embedded = is_sqlite(self.url)
        if self.embedded:
            self._reader = sqlite_engine(self.url, pool=readers, begin="BEGIN DEFERRED", query_only=True)
            self._writer = sqlite_engine(self.url, pool=1, begin="BEGIN IMMEDIATE")
        else:
            self._reader = self._writer = postgres_engine(self.url, pool=readers * 2)
        self._reads = ThreadPoolExecutor(readers, thread_name_prefix="database-read")
        self._here: sqlite3.Connection | None = None  # of `look_up`
        self._writes = ThreadPoolExecutor(1 if self.embedded else readers, thread_name_prefix="database-write")

    @property
    def place(self) -> str:
        """The file, or the host and the name of the database, for messages; without user and password."""
        url = sa.make_url(self.url)
        if self.embedded:
            return str(url.database)
        return f"{url.database} at {url.host or 'localhost'}:{url.port or 5432}"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Provide a connection that sees one snapshot and does not write."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Provide a connection in a transaction that commits at the end of the block, or rolls back on an exception."""
        with self._writer.begin() as connection:
            yield connection

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run *work* on a reader's thread, and return its result. Raises `DatabaseClosed` after `close`."""
        return await self._submit(self._reads, self.reading, work)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run *work* in one transaction on a writer's thread; once begun, it completes even if the caller is cancelled.

        Raises `DatabaseClosed` after `close`.
        """
        return await self._submit(self._writes, self.writing, work)

    def look_up(self, lookup: Lookup, **parameters: object) -> list[tuple[Any, ...]] | None:
        """Read the rows of *lookup*, as SQLite has them, on this thread; None if that could take long: use `read` then.

        It could on PostgreSQL, which is asked over a network, and where SQLite is locked or fails. SQLite's file is on a local disk
        (docs/decisions/0020), and mostly in memory. Always call it on the same thread.
        """
        if self._closed or not self.embedded:
            return None
        try:
            if self._here is None:
                self._here = _for_lookups(self.place)
            return self._here.execute(lookup.text, lookup.fixed | parameters).fetchall()
        except sqlite3.Error:
            return None

    async def _submit(
        self, threads: ThreadPoolExecutor, opened: Callable[[], Any], work: Callable[[sa.Connection], T]
    ) -> T:
        if self._closed:
            raise DatabaseClosed
        return await asyncio.get_running_loop().run_in_executor(threads, partial(self._with, opened, work))

    @staticmethod
    def _with(opened: Callable[[], Any], work: Callable[[sa.Connection], T]) -> T:
        with opened() as connection:
            return work(connection)

    def engine_for_queue(self) -> sa.Engine:
        """Return a separate engine for DBOS, which nests connections: the writer's pool of one would deadlock."""
        if self.embedded:
            return sqlite_engine(self.url, pool=8, begin=None)
        return postgres_engine(self.url, pool=10)

    def truncate_log(self) -> bool:
        """Truncate SQLite's write-ahead log, which may still contain overwritten data. False if a reader prevented it: try again.

        Does nothing on PostgreSQL, which recycles its log.
        """
        if not self.embedded:
            return True
        with contextlib.closing(sqlite3.connect(sa.make_url(self.url).database or "", timeout=LOG_PATIENCE)) as raw:
            row = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(row and row[0] == 0)

    def close(self) -> None:
        """Stop the threads and close the connections."""
        self._closed = True
        self._reads.shutdown(wait=True)
        self._writes.shutdown(wait=True)
        if self._here is not None:
            self._here.close()
        self._reader.dispose()
        self._writer.dispose()

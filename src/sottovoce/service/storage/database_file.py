"""Looks into the file of an embedded database before it is opened.

Opening it would create a missing file, and a migration would fill an empty or foreign one with tables.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sottovoce.service.storage.database import BUSY_TIMEOUT, DatabaseUnusable

RESTORE = "restore it from the backup (docs/backup.md)"
"""The next step for a database that is lost or damaged."""


def tables(path: Path) -> frozenset[str]:
    """Return the names of the tables in the file at *path*; none for a missing or empty file. Raises `DatabaseUnusable`."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0 and not _log_of(path)):
        return frozenset()
    with _opened(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return frozenset(str(name) for (name,) in rows)


def checked(path: Path, branch: str) -> bool:
    """True if the file at *path* has the tables of *branch*, False if it is missing or empty. Raises `DatabaseUnusable`."""
    found = tables(path)
    if not found:
        return False
    if f"sottovoce_{branch}_version" not in found:
        shown = ", ".join(sorted(found)[:3])
        raise DatabaseUnusable(f"{path} is not a {branch} database of Sottovoce, it has the tables {shown}: {RESTORE}")
    return True


def require(path: Path, branch: str) -> None:
    """Raise `DatabaseUnusable` if the file at *path* has no tables of *branch*."""
    if not checked(path, branch):
        raise DatabaseUnusable(f"the {branch} database {path} is {'empty' if path.exists() else 'missing'}: {RESTORE}")


def has_rows(path: Path, table: str, where: str = "1 = 1") -> bool:
    """True if *table* of the file at *path* has a row that matches *where*, two constants. Raises `DatabaseUnusable`."""
    if table not in tables(path):
        return False
    with _opened(path) as connection:
        query = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {where})"  # noqa: S608 - constants of the caller
        return bool(connection.execute(query).fetchone()[0])


def _log_of(path: Path) -> bool:
    """True if the file has a write-ahead log with content."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file without creating it."""
    try:
        url = f"file:{quote(str(path.resolve()))}?mode=rw"
        with contextlib.closing(sqlite3.connect(url, uri=True, timeout=BUSY_TIMEOUT)) as connection:
            yield connection
    except sqlite3.OperationalError as error:  # locked, or not readable for this user
        cure = "check that its disk has room, and that the server's user can write the file and its folder"
        raise DatabaseUnusable(f"{path} cannot be opened: {error}; {cure}") from error
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusable(f"{path} is damaged ({error}): {RESTORE}") from error

"""Tells temporary trouble from bugs: whether an error of a database, a disk or the blob store can be over after a while.

The API answers temporary trouble with 503 (`web/middleware.py`), loops try again (`service/queue/retry.py`). Every other error is
a bug, or data that this release cannot read: it fails the same way again, so it ends what failed.
"""

import errno
import re
import sqlite3

import sqlalchemy as sa

DATABASE = "the database is not available at the moment; try again later"
DISK_FULL = "the server's disk is full; try again later"
STORE = "the media store is not available at the moment; try again later"
BUSY = "the server is out of resources at the moment; try again later"


class StoreAway(OSError):
    """The folder of the blob store is missing, so that no blob can be read or written."""


class DatabaseClosed(Exception):
    """The process stops, and has closed its databases."""


_ERRNOS = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EFBIG: DISK_FULL,  # a limit on the size of files (`ulimit -f`)
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EBUSY, errno.ENXIO, errno.ENODEV), STORE
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN), BUSY),
}
"""The errors of the system that can be over after a while, with what the caller is told."""
_SQLITE = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip
"""Primary result codes of SQLite. `SQLITE_ERROR` is not among them: a missing table or column is a bug."""
_POSTGRESQL = ("08", "25006", "25P03", "40", "53", "55P03", "57", "58")
"""Codes, or their first characters: connections, a read-only server, deadlocks, resources, locks, operator and system errors."""
_POSTGRESQL_FULL = "53100"
_SYSTEM_ERROR = re.compile(r"os error (\d+)")
_OF_WRITER = re.compile(r"Generic \w+ error: |The operation lacked ")
"""The texts of errors of obstore's writers, which are an `OSError` without a number."""


def temporary(error: BaseException) -> str | None:
    """What a caller is told about *error* if it can be over after a while; `None` for a bug or unreadable data.

    A group of errors is temporary if each of them is.
    """
    if isinstance(error, BaseExceptionGroup):
        found = [temporary(each) for each in error.exceptions]
        return found[0] if all(found) else None
    if isinstance(error, sa.exc.TimeoutError | DatabaseClosed):
        return DATABASE
    if isinstance(error, sa.exc.DBAPIError):
        return _of_database(error)
    if isinstance(error, OSError):
        return _of_system(error)
    return _of_store(error) if type(error).__module__.startswith("obstore") else None


def _of_system(error: OSError) -> str | None:
    if isinstance(error, StoreAway):
        return STORE
    if isinstance(error, ConnectionError | TimeoutError):
        return BUSY
    if error.errno is None and _OF_WRITER.match(str(error)):
        return _named(error)
    return _ERRNOS.get(error.errno or 0)


def _of_database(error: sa.exc.DBAPIError) -> str | None:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # extended codes add higher bits
        if code == sqlite3.SQLITE_FULL:
            return DISK_FULL
        return DATABASE if code in _SQLITE else None
    state = getattr(original, "sqlstate", None)
    if state is None:  # no answer of the server: a connection that failed or was lost
        lost = error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        return DATABASE if lost else None
    if state == _POSTGRESQL_FULL:
        return DISK_FULL
    return DATABASE if error.connection_invalidated or state.startswith(_POSTGRESQL) else None


def _of_store(error: BaseException) -> str | None:
    """Errors of obstore: one of a local store names the system's error, one of S3 may be over after a while."""
    if type(error).__name__ not in {"GenericError", "PermissionDeniedError", "UnauthenticatedError"}:
        return None
    return _named(error)


def _named(error: BaseException) -> str | None:
    """What the error of the system that the text names means; `STORE` if it names none."""
    found = _SYSTEM_ERROR.search(str(error))
    return _ERRNOS.get(int(found.group(1)), STORE) if found else STORE

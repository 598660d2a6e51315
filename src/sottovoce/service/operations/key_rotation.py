"""Rotation of the encryption key, beside running servers: adds a new key, encrypts every value again, drops the old keys.

Each step can be killed and repeated: a key file with several keys marks an unfinished rotation, and values that are encrypted
with the newest key are skipped.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sottovoce.service.identity import audit_log, temporary_keys
from sottovoce.service.storage import key_check
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor, new_key, read_keys, replace_keys
from sottovoce.service.storage.key_check import SEALED

BATCH = 200
"""Rows of one query and one transaction."""
SETTLED = 60.0
"""Seconds after a change of the key file in which a server may still store values encrypted with the previous keys."""


class Busy(Exception):
    """Another rotation of the same key file is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region whose values are encrypted with the keys of the file."""

    name: str
    database: Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Number of values that were *checked*, were *changed*, and that no key of the file decrypts (*closed*)."""

    checked: int = 0
    changed: int = 0
    closed: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            checked=self.checked + other.checked,
            changed=self.changed + other.changed,
            closed=self.closed + other.closed,
        )


def rotate(path: Path, control: Database, regions: Sequence[Region]) -> Count:
    """Add a new key at the front of *path*, or continue an unfinished rotation, and encrypt every value with it.

    Raises `Busy`, and `OSError` when the file cannot be written.
    """
    with _alone(path):
        keys = read_keys(path)
        if len(keys) == 1:
            replace_keys(path, [new_key(), *keys])
            with control.writing() as connection:
                audit_log.record(connection, _entry("encryption key added"))
        return _reencrypt(Encryptor.open_file(path, create=False), control, regions)


def drop_old(
    path: Path, control: Database, regions: Sequence[Region], pause: Callable[[float], None] = time.sleep
) -> Count:
    """Encrypt the remaining values with the newest key, and remove the other keys from *path*. Raises `Busy`, `OSError`.

    First waits until servers have read the newest key and stored the values that they had encrypted before.
    """
    with _alone(path):
        keys = read_keys(path)
        if len(keys) == 1:
            return Count()
        pause(min(SETTLED, max(0.0, path.stat().st_mtime + SETTLED - time.time())))
        total = _reencrypt(Encryptor(keys), control, regions)
        replace_keys(path, keys[:1])
        with control.writing() as connection:
            audit_log.record(connection, _entry("old encryption keys dropped"))
        return total


def _entry(action: str) -> audit_log.Entry:
    return audit_log.Entry(actor=audit_log.OPERATOR, action=action, target="encryption keys")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock out other rotations: of two at once, one could remove a key that the other has encrypted values with.

    Raises `Busy`.
    """
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("another rotation of this key file is running; wait until it ends") from error
        yield
    finally:
        os.close(descriptor)


def _reencrypt(encryptor: Encryptor, control: Database, regions: Sequence[Region]) -> Count:
    total = Count()
    for region in regions:
        with control.reading() as connection:
            newest = temporary_keys.opens(connection, encryptor, region.name)
        if not newest:  # replaced, not encrypted again: a person who has the old key could sign with it
            with control.writing() as connection:
                temporary_keys.renew(connection, encryptor, region.name)
        with region.database.writing() as connection:
            if key_check.is_accepted(
                connection, encryptor
            ):  # what the operator has accepted holds for the new key, too
                key_check.accept(connection, encryptor)
        for column in SEALED:
            for part in _column(region.database, encryptor, column):
                total += part
    return total


def _column(database: Database, encryptor: Encryptor, column: sa.Column[Any]) -> Iterator[Count]:
    """Encrypt every value of *column* with the newest key, in batches ordered by the table's primary key."""
    (key,) = column.table.primary_key.columns
    last: Any = None
    while rows := _rows(database, key, column, last):
        last = rows[-1][0]
        fresh: list[tuple[Any, bytes, bytes]] = []
        closed = 0
        for row_key, old in rows:
            if encryptor.is_newest(old):
                continue
            try:
                fresh.append((row_key, old, encryptor.encrypt(encryptor.decrypt(old))))
            except ValueError:
                closed += 1
        if fresh:
            with database.writing() as connection:
                for row_key, old, new in fresh:
                    # a value that changed meanwhile was encrypted by a server, or its job was removed
                    unchanged = (key == row_key, column == old)
                    connection.execute(sa.update(column.table).where(*unchanged).values({column: new}))
        yield Count(checked=len(rows), changed=len(fresh), closed=closed)


def _rows(database: Database, key: sa.Column[Any], column: sa.Column[Any], after: Any) -> list[tuple[Any, bytes]]:
    statement = sa.select(key, column).where(column.is_not(None)).order_by(key).limit(BATCH)
    if after is not None:
        statement = statement.where(key > after)
    with database.reading() as connection:
        return [(row[0], bytes(row[1])) for row in connection.execute(statement)]

"""Compares the file of keys with the encrypted values of a region's database."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor

SEALED: tuple[sa.Column[Any], ...] = tuple(
    column for table in t.region.sorted_tables for column in table.columns if isinstance(column.type, sa.LargeBinary)
)
"""The encrypted columns of a region's database: all columns of type bytes."""
NEWEST = 20
"""Rows of each table that a quick check looks at."""
BATCH = 500
"""Values of one query of `count`."""
LARGE = 64 << 10
"""Bytes of a value that a quick check leaves out and `count` reads on its own; a config may have 4 MB."""
_ACCEPTED = "accepted secrets key"
"""The counter with the fingerprint of the key with which the operator has accepted that older values are unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The number of encrypted values that were *checked*, and of those that no key decrypts (*closed*)."""

    checked: int
    closed: int


def opens(connection: sa.Connection, encryptor: Encryptor, *, thorough: bool = False) -> bool:
    """True if a key decrypts one of the newest encrypted values, or there is none.

    Looks at the newest jobs only, in microseconds; *thorough*: at the newest jobs that have values, and at deliveries.
    """
    values = _of_jobs(connection, thorough=thorough)
    if thorough:
        deliveries = sa.select(_small(t.deliveries.c.target)).limit(NEWEST)
        values += [bytes(value) for value in connection.scalars(deliveries) if value is not None]
    return not values or any(encryptor.opens(value) for value in values)


def _of_jobs(connection: sa.Connection, *, thorough: bool) -> list[bytes]:
    columns = [column for column in SEALED if column.table is t.jobs]
    newest = sa.select(*map(_small, columns)).order_by(t.jobs.c.v1_id.desc()).limit(NEWEST)
    if thorough:  # removed jobs have no values
        newest = newest.where(sa.or_(*(column.is_not(None) for column in columns)))
    return [bytes(value) for row in connection.execute(newest) for value in row if value is not None]


def _small(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """*column*, or NULL for a large value."""
    return sa.case((sa.func.length(column) <= LARGE, column))


def is_accepted(connection: sa.Connection, encryptor: Encryptor) -> bool:
    """True if the operator has accepted that values are unreadable, with one of the keys of *encryptor*."""
    stored = connection.scalar(sa.select(t.counters.c.value).where(t.counters.c.name == _ACCEPTED))
    return any(fingerprint(key) == stored for key in encryptor.keys)


def accept(connection: sa.Connection, encryptor: Encryptor) -> None:
    """Record that the operator accepts that values are unreadable with the newest key of *encryptor*."""
    row, value = t.counters.c.name == _ACCEPTED, fingerprint(encryptor.keys[0])
    if not connection.execute(sa.update(t.counters).where(row).values(value=value)).rowcount:
        connection.execute(sa.insert(t.counters).values(name=_ACCEPTED, value=value))


def fingerprint(key: bytes) -> int:
    """Return a number that names *key* and reveals nothing of it: 56 bits of a digest of its 256 random ones."""
    return int.from_bytes(hashlib.sha256(b"sottovoce secrets key " + key).digest()[:7])


def count(database: Database, encryptor: Encryptor) -> Sealed:
    """Try every encrypted value of *database*."""
    checked = closed = 0
    for column in SEALED:
        for values in _batches(database, column):
            checked += len(values)
            closed += sum(not encryptor.opens(value) for value in values)
    return Sealed(checked=checked, closed=closed)


def _batches(database: Database, column: sa.Column[Any]) -> Iterator[list[bytes]]:
    (key,) = column.table.primary_key.columns
    statement = sa.select(key, _small(column)).where(column.is_not(None)).order_by(key).limit(BATCH)
    after: list[sa.ColumnElement[bool]] = []
    while True:
        with database.reading() as connection:
            rows = connection.execute(statement.where(*after)).all()
        if not rows:
            return
        after = [key > rows[-1][0]]
        yield [bytes(value) for _, value in rows if value is not None]
        for large in [row[0] for row in rows if row[1] is None]:
            with database.reading() as connection:
                value = connection.scalar(sa.select(column).where(key == large))
            if value is not None:
                yield [bytes(value)]

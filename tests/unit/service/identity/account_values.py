"""What the tests of accounts share: a control database, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.backends import Postgres
from tests.unit.service.service_values import migrated

BACKENDS = ("sqlite", "postgres")


@contextmanager
def control_on(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """An empty control database on the backend that *request* is for."""
    if request.param == "sqlite":
        with migrated(folder, migrate.CONTROL) as database:
            yield database
        return
    postgres, _ = request.getfixturevalue("backends")
    database = Database(_migrated_on(postgres))
    try:
        with database.writing() as connection:
            for table in t.control.tables:
                connection.execute(sa.text(f"TRUNCATE {table} RESTART IDENTITY CASCADE"))
        yield database
    finally:
        database.close()


@cache
def _migrated_on(postgres: Postgres) -> str:
    url = postgres.create("accounts")
    database = Database(url)
    try:
        migrate.upgrade(database, migrate.CONTROL)
    finally:
        database.close()
    return url

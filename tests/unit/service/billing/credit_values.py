"""What the tests of credits share: a control and a region database, on SQLite and on PostgreSQL, and jobs that have ended."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.job import Event, Reason
from sottovoce.service.billing import ledger
from sottovoce.service.billing.ledger import Entry
from sottovoce.service.jobs import repository
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.backends import Postgres
from tests.unit.service.service_values import CALLER, migrated, new_job

BACKENDS = ("sqlite", "postgres")
REGION = "eu1"
DAY_MS = 86_400_000
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Workspaces 1 and 2 without credits, and a region without jobs."""

    control: Database
    region: Database

    def add(self, amount: int, workspace_id: int = 1) -> None:
        with self.control.writing() as connection:
            ledger.add(connection, workspace_id, amount)

    def hold(self, job_id: str, cost: int, workspace_id: int = 1, **changes: Any) -> ledger.Hold:
        with self.control.writing() as connection:
            return ledger.hold(connection, workspace_id, job_id=job_id, cost=cost, **{"region": REGION, **changes})

    def balance(self, workspace_id: int = 1) -> int:
        with self.control.reading() as connection:
            return ledger.balance(connection, workspace_id)

    def entries(self, workspace_id: int = 1) -> list[Entry]:
        """Oldest first."""
        with self.control.reading() as connection:
            return ledger.newest(connection, workspace_id, 10_000)[::-1]

    def told(self, workspace_id: int = 1) -> list[tuple[str, int]]:
        return [(str(entry.kind), entry.amount) for entry in self.entries(workspace_id)]

    def held(self, region: str = REGION) -> list[str]:
        """The jobs with an open hold."""
        with self.control.reading() as connection:
            return [hold.job_id for hold in ledger.open_holds(connection, region, after="", limit=10_000)]

    def age(self, job_id: str, ms: int) -> None:
        """Make an open hold older."""
        with self.control.writing() as connection:
            aged = sa.update(t.credit_holds).where(t.credit_holds.c.job_id == job_id).values(at=now_ms() - ms)
            assert connection.execute(aged).rowcount == 1

    # ── jobs ──

    def queued(self, job_id: str, *, workspace_id: int = 1, media_bytes: int = 10) -> None:
        caller = replace(CALLER, workspace_id=workspace_id, project_id=workspace_id)
        with self.region.writing() as connection:
            repository.insert(connection, new_job(job_id, caller=caller, media_bytes=media_bytes))

    def done(self, job_id: str, duration_ms: int) -> None:
        with self.region.writing() as connection:
            claimed = repository.claim(connection, job_id, owner="w", lease_ms=DAY_MS)
            assert claimed
            finish: dict[str, Any] = {"result_key": "k", "duration_ms": duration_ms, "engine": "e", "keep_ms": DAY_MS}
            assert repository.finish(connection, job_id, claimed.attempt, **finish)

    def rejected(self, job_id: str, reason: Reason = Reason.INVALID_AUDIO) -> None:
        with self.region.writing() as connection:
            claimed = repository.claim(connection, job_id, owner="w", lease_ms=DAY_MS)
            assert claimed
            assert repository.fail(connection, job_id, claimed.attempt, reason=reason, message="m", keep_ms=DAY_MS)

    def retried(self, job_id: str) -> None:
        with self.region.writing() as connection:
            assert repository.retry(connection, job_id)

    def removed(self, job_id: str, event: Event = Event.REMOVED) -> None:
        with self.region.writing() as connection:
            assert repository.make_tombstone(connection, job_id, event)

    def finished_at(self, job_id: str) -> int:
        with self.region.reading() as connection:
            found = repository.get(connection, job_id)
        assert found
        assert found.finished_at
        return found.finished_at


@contextmanager
def bank(request: pytest.FixtureRequest, folder: Path) -> Iterator[Bank]:
    """A fresh one, on the backend that is the parameter of *request*."""
    if request.param == "sqlite":
        with migrated(folder, migrate.CONTROL) as control, migrated(folder) as region:
            yield _opened(control, region)
        return
    postgres, _ = request.getfixturevalue("backends")
    control, region = (Database(_migrated_on(postgres)) for _ in range(2))  # two regions' worth of pools, one database
    try:
        for database, metadata in ((control, t.control), (region, t.region)):
            with database.writing() as connection:
                for table in metadata.tables:
                    connection.execute(sa.text(f"TRUNCATE {table} RESTART IDENTITY CASCADE"))
        yield _opened(control, region)
    finally:
        control.close()
        region.close()


@cache
def _migrated_on(postgres: Postgres) -> str:
    """A database with both sets of tables, which may lie in one."""
    url = postgres.create(f"credits{next(_numbers)}")
    database = Database(url)
    try:
        migrate.upgrade(database, migrate.CONTROL)
        migrate.upgrade(database, migrate.REGION)
    finally:
        database.close()
    return url


def _opened(control: Database, region: Database) -> Bank:
    with control.writing() as connection:
        for workspace_id in (1, 2):
            connection.execute(sa.insert(t.workspaces).values(id=workspace_id, name="w", created_at=1))
    return Bank(control=control, region=region)


def again(control: Database) -> Database:
    """Another process' way into the same database."""
    return Database(control.url)


def nowhere(folder: Path) -> Database:
    """A database that cannot be asked."""
    shutil.rmtree(folder / "nowhere", ignore_errors=True)
    return Database(f"sqlite:///{folder}/nowhere/control.db")

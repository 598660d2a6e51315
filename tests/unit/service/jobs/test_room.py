"""How many jobs and how much media a workspace may have: exact however many submit at once, on both databases."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.errors import Kind, Refused
from sottovoce.job import Event
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Message
from sottovoce.service.limits import quotas
from sottovoce.service.limits.quotas import Quota, Usage
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from tests.backends import Postgres
from tests.servers import PATIENCE
from tests.unit.service.service_values import CALLER, migrated, new_job

SUBMITTERS = 12
OTHER = replace(CALLER, project_id=2, workspace_id=2)


@cache
def _migrated_on(postgres: Postgres) -> str:
    url = postgres.create("room")
    database = Database(url)
    try:
        migrate.upgrade(database, migrate.REGION)
    finally:
        database.close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path) -> Iterator[Database]:
    """An empty region."""
    if request.param == "sqlite":
        with migrated(tmp_path) as database:
            yield database
        return
    database = Database(_migrated_on(request.getfixturevalue("backends")[0]))
    try:
        with database.writing() as connection:
            connection.execute(sa.text("TRUNCATE jobs CASCADE"))
            connection.execute(sa.update(t.counters).values(value=0))
        yield database
    finally:
        database.close()


def submit(database: Database, quota: Quota, number: int) -> Kind | None:
    """Why a job of ten bytes was refused."""
    new = new_job(f"job{number:07d}")
    room = partial(quotas.enforce, quota=quota, workspace_id=new.caller.workspace_id, incoming=new.media_bytes)
    try:
        with database.writing() as connection:
            repository.insert(connection, new, room)
    except Refused as refused:
        return refused.kind
    return None


def all_at_once(database: Database, quota: Quota) -> list[Kind | None]:
    start = threading.Barrier(SUBMITTERS)

    def one(number: int) -> Kind | None:
        start.wait(PATIENCE)
        return submit(database, quota, number)

    with ThreadPoolExecutor(SUBMITTERS) as threads:
        return list(threads.map(one, range(SUBMITTERS)))


def held(database: Database) -> Usage:
    with database.reading() as connection:
        return quotas.usage(connection, CALLER.workspace_id)


def test_who_submit_at_once_never_pass_the_most_jobs(database):
    told = all_at_once(database, Quota(live_jobs=5))
    assert (told.count(None), told.count(Kind.TOO_MANY_JOBS)) == (5, SUBMITTERS - 5)
    assert held(database) == Usage(live_jobs=5, stored_bytes=50)


def test_who_submit_at_once_never_pass_the_most_bytes(database):
    told = all_at_once(database, Quota(stored_bytes=35))
    assert (told.count(None), told.count(Kind.STORAGE_FULL)) == (3, SUBMITTERS - 3)
    assert held(database) == Usage(live_jobs=3, stored_bytes=30)


def test_without_a_quota_everybody_gets_in(database):
    assert all_at_once(database, Quota()) == [None] * SUBMITTERS


def test_jobs_of_others_and_those_that_are_gone_do_not_count(database):
    with database.writing() as connection:
        repository.insert(connection, new_job("others0001", caller=OTHER))
        repository.insert(connection, new_job("deleted001"))
        repository.make_tombstone(connection, "deleted001", Event.REMOVED)
        repository.insert(connection, new_job("atwork0001"))
        repository.claim(connection, "atwork0001", owner="w", lease_ms=60_000)
    assert held(database) == Usage(live_jobs=1, stored_bytes=10)
    assert submit(database, Quota(live_jobs=2, stored_bytes=20), 1) is None
    assert submit(database, Quota(live_jobs=2), 2) is Kind.TOO_MANY_JOBS
    assert submit(database, Quota(stored_bytes=20), 3) is Kind.STORAGE_FULL


def test_who_is_refused_leaves_no_number_behind(database):
    quota = Quota(live_jobs=2)
    assert [submit(database, quota, number) for number in range(4)][2:] == [Kind.TOO_MANY_JOBS] * 2
    with database.reading() as connection:
        assert connection.execute(sa.select(t.counters.c.value).where(t.counters.c.name == "v1")).scalar_one() == 2


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_deliveries_of_one_job_that_fail_together_do_not_wait_for_each_other(database: Database) -> None:
    """Each adds a line to the job's log, then an error to the job; each line holds a lock on the job's key."""
    encryptor = Encryptor([Fernet.generate_key()])
    with database.writing() as connection:
        repository.insert(connection, new_job("job0000001"))
    with database.writing() as first, database.writing() as second:
        for connection in (first, second):
            connection.execute(sa.text("SET LOCAL lock_timeout = 2000"))
            repository.append_log(connection, "job0000001", stage="notification", text="it failed")
        repository.add_errors(first, encryptor, "job0000001", [Message(public_text="first")])
    with database.reading() as connection:
        found = repository.get(connection, "job0000001")
    assert found
    assert [error.message for error in found.errors] == ["first"]

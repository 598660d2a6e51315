"""Token buckets in a real PostgreSQL: what several processes are granted together, and what happens without the database."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import pytest
import sqlalchemy as sa

from sottovoce.service.limits import shared_token_bucket
from sottovoce.service.limits.rate_limits import RateLimit, RateLimited
from sottovoce.service.limits.shared_token_bucket import AWAY, LEASE, SharedBuckets, withdraw
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.backends import Postgres
from tests.servers import PATIENCE

SLOW = 1e-6
"""Tokens a second: none comes while a test runs."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@cache
def _migrated_on(postgres: Postgres) -> str:
    url = postgres.create("buckets")
    database = Database(url)
    try:
        migrate.upgrade(database, migrate.REGION)
    finally:
        database.close()
    return url


@pytest.fixture
def database(backends) -> Iterator[Database]:
    """An empty region on PostgreSQL."""
    database = Database(_migrated_on(backends[0]))
    try:
        with database.writing() as connection:
            connection.execute(sa.delete(t.buckets))
        yield database
    finally:
        database.close()


@pytest.fixture
def writes(database, monkeypatch) -> list[object]:
    """What the database was asked to write from now on."""
    asked: list[object] = []
    write = database.write

    async def noted(work: Callable[[sa.Connection], object]) -> object:
        asked.append(work)
        return await write(work)

    monkeypatch.setattr(database, "write", noted)
    return asked


def shared(database: Database, clock: Clock | None = None) -> SharedBuckets:
    return SharedBuckets(database, clock or Clock(), patience=PATIENCE)


async def granted(buckets: SharedBuckets, pace: RateLimit, tries: int, name: str = "a") -> int:
    """How many of so many requests at once get a token."""
    told = await asyncio.gather(*(buckets.take(name, pace) for _ in range(tries)), return_exceptions=True)
    assert all(answer is True or isinstance(answer, RateLimited) for answer in told)
    return told.count(True)


def age(database: Database, seconds: float) -> None:
    """Let *seconds* pass for every bucket."""
    with database.writing() as connection:
        connection.execute(sa.update(t.buckets).values(at=t.buckets.c.at - round(seconds * 1000)))


def tokens(database: Database, name: str = "a") -> float:
    with database.reading() as connection:
        return float(connection.execute(sa.select(t.buckets.c.tokens).where(t.buckets.c.name == name)).scalar_one())


@contextmanager
def without_buckets(database: Database) -> Iterator[None]:
    """A database that fails whenever it is asked for tokens."""
    with database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE buckets RENAME TO elsewhere"))
    yield
    with database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO buckets"))


def test_processes_are_granted_the_burst_together_and_no_more(database):
    pace = RateLimit(rate=SLOW, burst=200)

    async def everybody() -> list[int]:
        return await asyncio.gather(*(granted(shared(database), pace, 150) for _ in range(4)))

    got = asyncio.run(everybody())
    assert sum(got) == 200
    assert min(got) > 0


def test_no_token_is_given_out_twice(database):
    start = threading.Barrier(8)

    def work(_: int) -> int:
        start.wait(PATIENCE)
        count = 0
        while got := database_take(3):
            count += got
        return count

    def database_take(want: int) -> int:
        with database.writing() as connection:
            return withdraw(connection, name="a", rate_limit=RateLimit(rate=SLOW, burst=100), want=want, back=0)[0]

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 100


def test_time_fills_a_bucket_up_to_its_burst(database):
    pace, clock = RateLimit(rate=0.02, burst=50), Clock()
    assert asyncio.run(granted(shared(database, clock), pace, 60)) == 50
    age(database, 1000)
    assert asyncio.run(granted(shared(database, clock), pace, 60)) == 20
    age(database, 100_000)
    assert asyncio.run(granted(shared(database, clock), pace, 60)) == 50


def test_a_clock_that_was_put_back_takes_nothing_away(database):
    pace = RateLimit(rate=0.01, burst=10)
    asyncio.run(granted(shared(database), pace, 5))
    age(database, -3600)
    assert asyncio.run(granted(shared(database), pace, 5)) == 5
    age(database, 1000)
    assert asyncio.run(granted(shared(database), pace, 20)) == 10


def test_a_request_costs_no_write(database, writes):
    assert asyncio.run(granted(shared(database), RateLimit(rate=1000, burst=10_000), 500)) == 500
    assert len(writes) == 5


def test_what_was_not_spent_goes_back(database, monkeypatch):
    pace, clock = RateLimit(rate=1000, burst=100), Clock()  # leases of ten
    backs = []

    def spy(*arguments: object, **named: object) -> tuple[int, float]:
        backs.append(named["back"])
        return withdraw(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_token_bucket, "withdraw", spy)

    async def slowly() -> None:
        buckets = shared(database, clock)
        for used in (1, 4, 10, 1):
            assert await granted(buckets, pace, used) == used
            clock.now += LEASE

    asyncio.run(slowly())
    assert backs == [0, 9, 6, 0]


def test_what_goes_back_is_there_for_others(database):
    pace = RateLimit(rate=SLOW, burst=100)
    with database.writing() as connection:
        assert withdraw(connection, name="a", rate_limit=pace, want=10, back=0)[0] == 10
        assert withdraw(connection, name="a", rate_limit=pace, want=10, back=9) == (10, pytest.approx(99, abs=0.01))
        assert withdraw(connection, name="a", rate_limit=pace, want=200, back=1000) == (100, 100)
        assert withdraw(connection, name="a", rate_limit=pace, want=10, back=0) == (0, pytest.approx(0, abs=0.01))


def test_who_waits_as_long_as_he_was_told_gets_a_token(database):
    pace, clock = RateLimit(rate=0.04, burst=1), Clock()

    async def talk() -> None:
        buckets = shared(database, clock)
        assert await buckets.take("a", pace)
        with pytest.raises(RateLimited) as refused:
            await buckets.take("a", pace)
        told = refused.value.after
        assert 1 < told <= 25
        clock.now += 1
        with pytest.raises(RateLimited) as again:
            await buckets.take("a", pace)
        assert again.value.after == told - 1
        clock.now += told - 1
        age(database, told)
        assert await buckets.take("a", pace)

    asyncio.run(talk())


def test_an_empty_bucket_is_not_looked_at_again_and_again(database, writes):
    assert asyncio.run(granted(shared(database), RateLimit(rate=SLOW, burst=1), 300)) == 1
    assert len(writes) == 2


def test_without_the_database_the_caller_is_told_so_and_the_log_once(database, caplog):
    pace, clock = RateLimit(rate=SLOW, burst=1), Clock()

    async def talk() -> None:
        buckets = shared(database, clock)
        with without_buckets(database):
            for _ in range(3):
                assert not await buckets.take("a", pace)
                assert not await buckets.take("b", pace)
                clock.now += AWAY
        assert await buckets.take("a", pace)

    with caplog.at_level(logging.INFO, shared_token_bucket.__name__):
        asyncio.run(talk())
    told = [record.message for record in caplog.records if record.name == shared_token_bucket.__name__]
    assert told == ["limits not shared", "limits shared again"]


def test_while_it_is_away_the_database_is_left_alone(database, writes):
    pace, clock = RateLimit(rate=SLOW, burst=1), Clock()

    async def talk() -> list[bool]:
        buckets = shared(database, clock)
        with without_buckets(database):
            return [await buckets.take(str(number), pace) for number in range(20)]

    assert asyncio.run(talk()) == [False] * 20
    assert len(writes) == 1


def test_a_database_that_does_not_answer_holds_nobody_up_for_long(database):
    pace = RateLimit(rate=SLOW, burst=5)
    assert asyncio.run(granted(shared(database), pace, 1)) == 1
    with database.writing() as connection:
        connection.execute(sa.select(t.buckets).with_for_update()).all()
        assert not asyncio.run(SharedBuckets(database, Clock(), patience=0.1).take("a", pace))


def test_who_goes_away_while_he_waits_leaves_the_others_alone(database):
    pace = RateLimit(rate=SLOW, burst=5)

    async def talk() -> None:
        buckets = shared(database)
        waiting = [asyncio.create_task(buckets.take("a", pace)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == [True, True]
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]

    asyncio.run(talk())


def test_buckets_that_filled_up_are_forgotten(database):
    pace, clock = RateLimit(rate=1, burst=10), Clock()

    async def talk() -> None:
        buckets = shared(database, clock)
        for name in "abc":
            await buckets.take(name, pace)
        age(database, 3600)
        await buckets.take("d", pace)
        assert await buckets.forget(1800) == 3
        clock.now += 100
        await buckets.take("d", pace)
        assert list(buckets._leases) == ["d"]
        await buckets.take("a", pace)

    asyncio.run(talk())
    with database.reading() as connection:
        names = connection.scalars(sa.select(t.buckets.c.name).order_by(t.buckets.c.name)).all()
        assert names == ["a", "d"]
        assert connection.execute(sa.select(sa.func.max(t.buckets.c.at) <= now_ms())).scalar_one()

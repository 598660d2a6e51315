# ruff: noqa: ASYNC110 - polling is what a test can do
"""Waiting for jobs and reading them in batches: one look for everybody, nobody forgotten, nothing held for nobody."""

import asyncio
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.batched_reader import JobDataLoader
from sottovoce.service.jobs.completion_waiter import CompletionWaiter
from tests.servers import PATIENCE


class ModelStore:
    """Stands in for a database: counts looks, answers from a dict, fails when told."""

    def __init__(self) -> None:
        self.looks = 0
        self.fail = 0

    def look_up(self, lookup, **parameters):
        return None  # as PostgreSQL

    async def read(self, work):
        self.looks += 1
        await asyncio.sleep(0.01)
        if self.fail:
            self.fail -= 1
            raise sa.exc.OperationalError("look", {}, OSError("away"))
        return work(None)


@pytest.fixture
def shelf(monkeypatch):
    shelf = ModelStore()
    states: dict[str, State] = {}
    monkeypatch.setattr(repository, "states", lambda _, ids: {one: states[one] for one in ids if one in states})
    monkeypatch.setattr(repository, "read_many", lambda _, ids: {one: states[one] for one in ids if one in states})
    shelf.states = states  # type: ignore[attr-defined]
    return shelf


async def come(look: Callable[[], bool]) -> None:
    """Wait until *look* says yes."""
    async with asyncio.timeout(PATIENCE):
        while not look():
            await asyncio.sleep(0.01)


def test_a_job_that_ends_in_this_process_is_seen_at_once(shelf, monkeypatch):
    monkeypatch.setattr("sottovoce.service.jobs.completion_waiter.INTERVAL", PATIENCE)

    async def run():
        completion_waiter = CompletionWaiter(shelf)
        completion_waiter.look_now()  # nothing waits
        shelf.states["a"] = State.RUNNING
        waiter = asyncio.create_task(completion_waiter.ended("a", PATIENCE))
        await come(lambda: shelf.looks == 1)
        shelf.states["a"] = State.DONE
        await asyncio.to_thread(completion_waiter.look_now)
        assert await waiter
        assert shelf.looks <= 3

    asyncio.run(run())


def test_a_job_that_ends_wakes_all_its_waiters(shelf):
    async def run():
        completion_waiter = CompletionWaiter(shelf)
        shelf.states["a"] = State.RUNNING
        waiters = [asyncio.create_task(completion_waiter.ended("a", PATIENCE)) for _ in range(100)]
        await come(lambda: shelf.looks >= 3)
        shelf.states["a"] = State.DONE
        before = shelf.looks
        assert await asyncio.gather(*waiters) == [True] * 100
        assert shelf.looks <= before + 1  # the look under way may have seen it, or else the next

    asyncio.run(run())


def test_patience_ends(shelf):
    async def run():
        shelf.states["a"] = State.QUEUED
        assert await CompletionWaiter(shelf).ended("a", 0.2) is False

    asyncio.run(run())


def test_a_job_that_is_gone_counts_as_ended(shelf):
    assert asyncio.run(CompletionWaiter(shelf).ended("nobody", PATIENCE)) is True


def test_without_waiters_nobody_looks(shelf):
    async def run():
        completion_waiter = CompletionWaiter(shelf)
        shelf.states["a"] = State.RUNNING
        alone = asyncio.all_tasks()
        waiter = asyncio.create_task(completion_waiter.ended("a", PATIENCE))
        await come(lambda: shelf.looks >= 1)
        waiter.cancel()
        await come(lambda: asyncio.all_tasks() == alone)  # nobody is left who could look

    asyncio.run(run())


def test_a_database_that_is_away_is_asked_again(shelf, monkeypatch):
    monkeypatch.setattr("sottovoce.service.jobs.completion_waiter.PAUSE", 0.05)

    async def run():
        shelf.fail = 2
        shelf.states["a"] = State.DONE
        assert await CompletionWaiter(shelf).ended("a", PATIENCE) is True
        assert shelf.looks == 3

    asyncio.run(run())


def test_questions_that_come_together_share_a_read(shelf):
    async def run():
        loader = JobDataLoader(shelf)
        shelf.states.update(a=State.DONE, b=State.QUEUED)
        answers = await asyncio.gather(*(loader.get(name) for name in ["a", "b", "c", "a"] * 50))
        assert answers == [State.DONE, State.QUEUED, None, State.DONE] * 50
        assert shelf.looks <= 2

    asyncio.run(run())


def test_an_answer_is_never_older_than_its_question(shelf):
    async def run():
        loader = JobDataLoader(shelf)
        shelf.states["a"] = State.QUEUED
        early = asyncio.create_task(loader.get("a"))
        await asyncio.sleep(0)
        shelf.states["a"] = State.DONE
        late = await loader.get("a")
        await early
        assert late is State.DONE

    asyncio.run(run())


def test_a_read_that_fails_fails_its_askers_and_no_others(shelf):
    async def run():
        loader = JobDataLoader(shelf)
        shelf.fail = 1
        shelf.states["a"] = State.DONE
        with pytest.raises(sa.exc.OperationalError):
            await loader.get("a")
        assert await loader.get("a") is State.DONE

    asyncio.run(run())

"""Measures a fleet on one machine: two API and four worker processes on PostgreSQL and S3, with an engine that only sleeps.

`python -m bench.fleet` measures the throughput of one and of four workers, and the waiting time of small accounts beside a
large one.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from bench import machine
from bench.jobs import CONFIG, _wav
from sottovoce.job import State
from sottovoce.service.identity import api_keys
from sottovoce.service.jobs import repository
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests import sleeper
from tests.backends import S3, Postgres, fleet_environment
from tests.servers import Server, Worker, until

FACTOR = 1.0
"""Seconds that the engine sleeps for a second of speech."""


@contextmanager
def _fleet(home: Path, name: str, workers: int, slots: int) -> Iterator[tuple[list[Server], dict[str, str]]]:
    """Two API processes and *workers* workers of *slots* each."""
    with ExitStack() as stack:
        postgres, s3 = stack.enter_context(Postgres()), stack.enter_context(S3())
        environment = fleet_environment(postgres, s3, home, name) | sleeper.environment(FACTOR)
        environment["SOTTOVOCE_SLOTS"] = str(slots)
        for number in range(workers):
            stack.enter_context(Worker(home / f"worker{number}", **environment))
        apis = [stack.enter_context(Server(home / f"api{n}", **environment, SOTTOVOCE_ROLES="api")) for n in range(2)]
        yield apis, environment


async def _submit(apis: list[Server], data: bytes, keys: list[str]) -> list[str]:
    """Submit one job for each of *keys*, over all APIs, eight at a time; return their ids in order."""
    ids = [""] * len(keys)
    todo = iter(range(len(keys)))

    async def one(session: aiohttp.ClientSession) -> None:
        for number in todo:
            form = aiohttp.FormData()
            form.add_field("config", CONFIG)
            form.add_field("data_file", data, filename="short.wav")
            headers = {"Authorization": f"Bearer {keys[number]}"}
            async with session.post("/v2/jobs", data=form, headers=headers) as answer:
                ids[number] = (await answer.json())["id"]

    async with ExitStackAsync([aiohttp.ClientSession(api.url) for api in apis]) as sessions:
        await asyncio.gather(*(one(sessions[n % len(sessions)]) for n in range(8)))
    return ids


class ExitStackAsync:
    """Opens and closes several sessions together."""

    def __init__(self, sessions: list[aiohttp.ClientSession]) -> None:
        self._sessions = sessions

    async def __aenter__(self) -> list[aiohttp.ClientSession]:
        return self._sessions

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions:
            await session.close()


def _all_done(database: Database, count: int) -> bool:
    with database.reading() as connection:
        return repository.counts(connection).get(State.DONE, 0) >= count


def throughput(home: Path, workers: int, count: int) -> float:
    """Jobs per second from the first claim to the last end; submission is too short to matter."""
    home.mkdir(parents=True, exist_ok=True)
    data = _wav(home / "short.wav", 2).read_bytes()
    with _fleet(home, f"fleet{workers}", workers, slots=1) as (apis, environment):
        database = Database(environment["SOTTOVOCE_DATABASE_URL"])
        asyncio.run(_submit(apis, data, [environment["SOTTOVOCE_API_KEY"]] * count))
        until(lambda: _all_done(database, count), "all jobs", 900)
        with database.reading() as connection:
            span = sa.select(sa.func.max(t.jobs.c.finished_at) - sa.func.min(t.jobs.c.started_at))
            seconds = connection.execute(span).scalar_one() / 1000
        database.close()
    return float(count / seconds)


def _accounts(url: str, count: int) -> list[str]:
    """A key each for *count* fresh workspaces."""
    control = Database(url)
    keys = []
    with control.writing() as connection:
        for number in range(count):
            made = (
                sa.insert(t.workspaces).values(name=f"small {number}", created_at=now_ms()).returning(t.workspaces.c.id)
            )
            workspace = connection.execute(made).scalar_one()
            values = {"workspace_id": workspace, "name": "default", "is_default": False, "created_at": now_ms()}
            project = connection.execute(sa.insert(t.projects).values(**values).returning(t.projects.c.id)).scalar_one()
            keys.append(api_keys.new_secret())
            api_keys.create_key(connection, project_id=project, name="small", secret=keys[-1])
    control.close()
    return keys


def fairness(home: Path, flood: int = 5000, small: int = 20, each: int = 10) -> dict[str, Any]:
    """One account submits *flood* jobs, *small* others *each* jobs: waiting times, and jobs of the flood done meanwhile."""
    home.mkdir(parents=True, exist_ok=True)
    data = _wav(home / "short.wav", 0.5).read_bytes()
    with _fleet(home, "fair", workers=4, slots=2) as (apis, environment):
        database = Database(environment["SOTTOVOCE_DATABASE_URL"])
        keys = _accounts(environment["SOTTOVOCE_CONTROL_DATABASE_URL"], small)
        asyncio.run(_submit(apis, data, [environment["SOTTOVOCE_API_KEY"]] * flood))
        with database.reading() as connection:
            before = repository.counts(connection).get(State.DONE, 0)
        begun = time.monotonic()
        ids = asyncio.run(_submit(apis, data, keys * each))
        until(lambda: _ended(database, ids), "the small accounts' jobs", 900)
        taken = time.monotonic() - begun
        with database.reading() as connection:
            waited = sa.select(t.jobs.c.started_at - t.jobs.c.created_at).where(t.jobs.c.id.in_(ids))
            waits = sorted(connection.execute(waited).scalars())
            last = sa.select(sa.func.max(t.jobs.c.finished_at)).where(t.jobs.c.id.in_(ids)).scalar_subquery()
            first = sa.select(sa.func.min(t.jobs.c.created_at)).where(t.jobs.c.id.in_(ids)).scalar_subquery()
            between = sa.and_(t.jobs.c.id.not_in(ids), t.jobs.c.finished_at.between(first, last))
            flooded = connection.execute(sa.select(sa.func.count()).where(between)).scalar_one()
        database.close()
    return {
        "flood": flood,
        "flood_left_at_start": flood - before,
        "small_jobs": len(ids),
        "all_small_done_s": round(taken, 1),
        "small_wait_median_s": round(waits[len(waits) // 2] / 1000, 2),
        "small_wait_max_s": round(waits[-1] / 1000, 2),
        "flood_done_meanwhile": flooded,
        "share_of_flood": round(flooded / (flooded + len(ids)), 3),
        "fair_share": round(1 / (small + 1), 3),
    }


def _ended(database: Database, ids: list[str]) -> bool:
    with database.reading() as connection:
        return set(repository.states(connection, ids).values()) == {State.DONE}


def main() -> None:
    """Run both and print JSON."""
    result: dict[str, Any] = {"machine": machine.fingerprint()}
    with tempfile.TemporaryDirectory(prefix="sottovoce-fleet-") as home:
        rates = {workers: throughput(Path(home) / str(workers), workers, 30 * workers) for workers in (1, 4)}
        result["throughput"] = {
            "jobs_per_s": {str(workers): round(rate, 3) for workers, rate in rates.items()},
            "ratio": round(rates[4] / rates[1], 2),
            "aim": 3.5,
        }
        print(json.dumps(result["throughput"]), file=sys.stderr, flush=True)
        result["fairness"] = fairness(Path(home) / "fair")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

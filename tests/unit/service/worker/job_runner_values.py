# ruff: noqa: ASYNC110 - polling is what a test can do
"""What the tests of jobs at work share: a runner over real parts, with one accepted job and a pool that follows scripts."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from cryptography.fernet import Fernet

from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Capabilities
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Listener, Outcome, ProcessDied, Task
from sottovoce.job import Event
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.storage.blob_keys import media_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.service.worker.job_runner import JobRunner, WorkPolicy
from tests.servers import PATIENCE
from tests.unit.service.service_values import CONFIG, FakePool, FakeQueue, Script, new_job

ID = "job0000001"
KEY = EngineKey(engine="fake", model="small")
WINDOWS = f"jobs/{ID}/windows/"
FAKE = Capabilities(engine="fake", model="small", languages=frozenset({"en"}))


class Bench:
    """A runner over a real database, blobs and vault, with one accepted job and a pool that follows scripts."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.blobs = Blobs.open(f"file://{folder}/blobs", {})
        self.encryptor = Encryptor([Fernet.generate_key()])
        self.metrics = Metrics()
        self.queue = FakeQueue()

    async def accept(self, config: bytes = CONFIG, job_id: str = ID) -> None:
        await self.blobs.put(media_key(job_id), b"media")
        new = new_job(job_id, config=self.encryptor.encrypt(config))
        await self.database.write(lambda connection: repository.insert(connection, new))

    def runner(self, *scripts: Script, owner: str = "one", engine: str = "fake") -> tuple[JobRunner, FakePool]:
        pool = FakePool(*scripts)
        fake = Capabilities(engine=engine, model="small", languages=frozenset({"en"}))
        runner = JobRunner(
            region=RegionContext(
                keep_ms=100_000,
                database=self.database,
                blobs=self.blobs,
                encryptor=self.encryptor,
                metrics=self.metrics,
                outbox=Outbox(self.encryptor, self.queue, SendPolicy().tries),
                queue=self.queue,
            ),
            pool=pool,  # type: ignore[arg-type]
            offered=CapabilityTable(engines=(fake,)),
            policy=WorkPolicy(owner=owner, scratch=self.folder / "tmp", lease=5.0, heartbeat=0.01),
        )
        return runner, pool

    def job(self, job_id: str = ID) -> model.Job:
        with self.database.reading() as connection:
            found = repository.get(connection, job_id)
        assert found
        return found

    def log(self) -> list[str]:
        with self.database.reading() as connection:
            return [f"{line.attempt} {line.stage}: {line.text}" for line in repository.log_lines(connection, ID)]

    def steal(self) -> int:
        """Another worker claims the job; its attempt."""
        with self.database.writing() as connection:
            claimed = repository.claim(connection, ID, owner="thief", lease_ms=60_000)
        assert claimed
        return claimed.attempt

    def remove(self) -> None:
        with self.database.writing() as connection:
            assert repository.make_tombstone(connection, ID, Event.REMOVED)

    async def keys(self) -> list[str]:
        return await self.blobs.keys(f"jobs/{ID}/")

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics._registry.get_sample_value(f"sottovoce_{name}_total", labels) or 0.0


def check(go: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await go()

    asyncio.run(bounded())


def fine(payload: bytes = b"transcript", seconds: int = 2) -> Outcome:
    return Outcome(finished=m.Finished(duration=seconds * 16_000, rss=1), payload=payload)


async def succeed(task: Task, listen: Listener) -> Outcome:
    return fine()


async def die(task: Task, listen: Listener) -> Outcome:
    raise ProcessDied("pid 1 ended with code -9")


async def hang(task: Task, listen: Listener) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def raising(error: Exception) -> Script:
    async def script(task: Task, listen: Listener) -> Outcome:
        raise error

    return script


async def gone(look: Callable[[], Awaitable[bool]]) -> None:
    while not await look():
        await asyncio.sleep(0.005)


# ── success ──

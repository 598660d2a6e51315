"""What the tests of the service share: migrated databases, a caller, a job, and a pool that does what it is told."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from sottovoce.engines.engine import EngineKey
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Listener, Outcome, Task
from sottovoce.job import JobType
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs.model import NewJob
from sottovoce.service.queue.port import QueueState, TaskKind
from sottovoce.service.storage import migrate
from sottovoce.service.storage.database import Database, sqlite_url
from tests.databases import template

CALLER = Caller(key_id="k1", project_id=1, workspace_id=1, user_id=1)
CONFIG = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}}).encode()


@contextmanager
def database_at(path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(path))
    try:
        yield database
    finally:
        database.close()


@contextmanager
def migrated(folder: Path, branch: str = migrate.REGION) -> Iterator[Database]:
    """A database of its own with the tables of *branch* (and the queue's in a region)."""
    path = folder / f"{branch}.db"
    if not path.exists():
        shutil.copy(template(branch), path)
    with database_at(path) as database:
        yield database


def new_job(job_id: str = "job0000001", **changes: object) -> NewJob:
    values: dict[str, object] = {
        "id": job_id,
        "caller": CALLER,
        "region": "eu1",
        "region_number": 1,
        "api": "v2",
        "type": JobType.TRANSCRIPTION,
        "language": "en",
        "operating_point": "standard",
        "config": b"sealed",
        "data_name": "talk.wav",
        "media_bytes": 10,
        "duration_ms": 0,
        "queue": "batch",
    }
    return NewJob(**{**values, **changes})  # type: ignore[arg-type]


class FakeQueue:
    """Obeys the port of queues, and remembers: *sent* errands with their delays, *submitted* jobs, *cancelled* entries."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int, float]] = []
        self.submitted: list[str] = []
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        assert connection.in_transaction()
        self.submitted.append(job_id)

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        assert connection.in_transaction()
        self.sent.append((task_kind.value, subject, attempt, delay))

    def cancel(self, *entries: str) -> None:
        self.cancelled.extend(entries)

    def forget(self, entries: Sequence[str]) -> None:
        self.forgotten.extend(entries)

    def forget_ended(self, before: datetime) -> int:
        return 0

    def states(self, entries: Sequence[str]) -> dict[str, QueueState]:
        return {}

    def running(self, task_kind: TaskKind | None = None) -> dict[str, QueueState]:
        return {}

    def resume(self, entry: str, queue: str) -> None:
        raise AssertionError(f"{entry} is not known")

    def close(self) -> None:
        return None


Script = Callable[[Task, Listener], Awaitable[Outcome]]


class FakePool:
    """Obeys the contract of `Pool.run`: the listener is called on another thread, cancelling ends the task.

    Each run takes the next script, the last one stays.
    """

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.tasks: list[Task] = []
        self.keys: list[EngineKey] = []
        self.cancelled = 0

    async def run(self, key: EngineKey, task: Task, listen: Listener) -> Outcome:
        self.keys.append(key)
        self.tasks.append(task)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            return await script(task, listen)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def off_thread(listen: Listener, message: m.Message, payload: bytes = b"") -> None:
    """Tell *listen* from another thread, as the pool does."""
    await asyncio.to_thread(listen, message, payload)

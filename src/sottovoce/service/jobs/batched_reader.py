"""Reading jobs one by one at the price of few: requests that arrive while a read is under way share the next one.

Nothing is remembered: every answer was read after its question came.
"""

import asyncio

from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.storage.database import Database

MOST = 200
"""Ids in one statement."""


class JobDataLoader:
    """Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, job_id: str) -> Job | None:
        """The job *job_id* as it is after this call began."""
        future: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(job_id, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        return await future

    async def _read(self) -> None:
        """Read until nobody asks."""
        while self._asked:
            ids = list(self._asked)[:MOST]
            asked = {job_id: self._asked.pop(job_id) for job_id in ids}
            try:
                found = await self._database.read(lambda connection, ids=ids: repository.get_many(connection, ids))  # type: ignore[misc]
            except BaseException as error:
                for futures in asked.values():
                    _fail(futures, error)
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                for job_id, futures in asked.items():
                    _tell(futures, found.get(job_id))


def _tell(futures: "list[asyncio.Future[Job | None]]", job: Job | None) -> None:
    for future in futures:
        if not future.done():
            future.set_result(job)


def _fail(futures: "list[asyncio.Future[Job | None]]", error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)

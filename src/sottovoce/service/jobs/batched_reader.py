"""Batches single-job reads: requests that arrive during a read share the next SELECT.

There is no cache: a request only gets a row that was read after the request arrived. Large configs are left out: `Results` reads
them one by one, where a response needs them.
"""

import asyncio

from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.repository import RowUnreadable
from sottovoce.service.storage.database import Database

MOST = 200
"""Job ids in one SELECT."""


class JobDataLoader:
    """Reads jobs in batches. Use it from one event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._requests: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, job_id: str) -> Job | None:
        """The job *job_id*, read after this call began; None if there is none."""
        future: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._requests.setdefault(job_id, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        return await future

    async def _read(self) -> None:
        """Read batches until no request waits."""
        while self._requests:
            ids = list(self._requests)[:MOST]
            requests = {job_id: self._requests.pop(job_id) for job_id in ids}
            try:
                found = await self._database.read(lambda connection, ids=ids: repository.read_many(connection, ids))  # type: ignore[misc]
            except BaseException as error:
                for futures in requests.values():
                    _fail(futures, error)
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                for job_id, futures in requests.items():
                    result = found.get(job_id)
                    if isinstance(result, RowUnreadable):
                        _fail(futures, result)
                    else:
                        _resolve(futures, result)


def _resolve(futures: "list[asyncio.Future[Job | None]]", job: Job | None) -> None:
    for future in futures:
        if not future.done():
            future.set_result(job)


def _fail(futures: "list[asyncio.Future[Job | None]]", error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)

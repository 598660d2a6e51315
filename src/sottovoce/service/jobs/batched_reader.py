"""Reads single jobs: by itself on SQLite; else in batches, in which requests that arrive during a read share the next SELECT.

A request only gets a row that was read after the request arrived. Large configs are left out: `Results` reads
them one by one, where a response needs them.
"""

import asyncio
from typing import Any

from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.repository import RowUnreadable
from sottovoce.service.storage.database import Database

MOST = 200
"""Job ids in one SELECT."""
REMEMBERED = 200
"""Rows that are kept with the jobs that they were decoded to, of at most 24 kB and the request each."""


class JobDataLoader:
    """Reads jobs. Use it from one event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._requests: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._decoded_rows: dict[str, tuple[tuple[Any, ...], Job]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, job_id: str) -> Job | None:
        """The job *job_id*, read after this call began; None if there is none."""
        if (rows := self._database.look_up(repository.BY_ID, id=job_id)) is not None:
            if not rows:
                self._decoded_rows.pop(job_id, None)
                return None
            return self._decoded(job_id, rows[0])
        future: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._requests.setdefault(job_id, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        return await future

    def _decoded(self, job_id: str, row: tuple[Any, ...]) -> Job:
        """The job of *row*. Clients that poll often find it as it was, and its 39 columns take longer to decode than to read."""
        known = self._decoded_rows.get(job_id)
        if known is not None and known[0] == row:
            return known[1]
        job = repository.job_of(repository.BY_ID.mapping(row))
        if len(self._decoded_rows) >= REMEMBERED and known is None:
            del self._decoded_rows[next(iter(self._decoded_rows))]
        self._decoded_rows[job_id] = row, job
        return job

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

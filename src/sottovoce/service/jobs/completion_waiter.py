"""Waits for jobs to end. One SELECT serves all waiters of the process, and no waiter blocks a thread."""

import asyncio
import logging
from contextlib import suppress

import sqlalchemy as sa

from sottovoce import job
from sottovoce.service.jobs import repository
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two SELECTs while there are waiters, unless a job ends in this process."""
PAUSE = 1.0
"""Seconds before the next SELECT after a database error."""
BATCH = 500
"""Job ids in one SELECT."""


class CompletionWaiter:
    """Wakes waiters when their job is no longer live. Use it from one event loop only, but for `look_now`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of the waiters
        self._news = asyncio.Event()

    async def ended(self, job_id: str, patience: float) -> bool:
        """True if *job_id* ended within *patience* seconds. A cancelled caller stops waiting."""
        if self._closed:
            return False
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(job_id, set()).add(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            return False
        finally:
            self._remove(job_id, future)
        return True

    @property
    def closed(self) -> bool:
        """True once the server stops: waits end although their jobs go on."""
        return self._closed

    def look_now(self) -> None:
        """Look for ended jobs at once: one has ended in this process. Call it from any thread."""
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._news.set)

    def release_all(self) -> None:
        """Wake all waiters and accept no more, because the server stops."""
        self._closed = True
        for job_id in list(self._waiting):
            self._wake(job_id)

    def _remove(self, job_id: str, future: "asyncio.Future[None]") -> None:
        others = self._waiting.get(job_id, set())
        others.discard(future)
        if not others:
            self._waiting.pop(job_id, None)

    async def _poll(self) -> None:
        """Poll until there are no waiters."""
        while self._waiting:
            try:
                self._news.clear()
                await self._check_states()
                await self._pause()
            except sa.exc.SQLAlchemyError:
                _log.warning("job states cannot be read")
                await asyncio.sleep(PAUSE)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL):
                await self._news.wait()

    async def _check_states(self) -> None:
        ids = list(self._waiting)
        for first in range(0, len(ids), BATCH):
            part = ids[first : first + BATCH]
            states = await self._database.read(lambda connection, part=part: repository.states(connection, part))  # type: ignore[misc]
            for job_id in part:
                if states.get(job_id) not in job.LIVE:  # a job without a row counts as ended
                    self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for future in self._waiting.get(job_id, set()):
            if not future.done():
                future.set_result(None)

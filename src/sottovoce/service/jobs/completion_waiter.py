"""Waiting for jobs to end: one look at the database for everybody who waits in this process, no thread a waiter."""

import asyncio
import logging

import sqlalchemy as sa

from sottovoce import job
from sottovoce.service.jobs import repository
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between looks, while anybody waits."""
PAUSE = 1.0
"""Seconds before looking again after the database could not be asked."""
BATCH = 500
"""Ids in one statement."""


class CompletionWaiter:
    """Tells waiters when their job is no longer live. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._dismissed = False

    async def ended(self, job_id: str, patience: float) -> bool:
        """Whether *job_id* ended within *patience* seconds. Cancelling the caller takes its place away."""
        if self._dismissed:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            return False
        finally:
            self._leave(job_id, future)
        return True

    def release_all(self) -> None:
        """Send everybody away, now and from now on: the server is about to stop."""
        self._dismissed = True
        for job_id in list(self._waiting):
            self._tell(job_id)

    def _leave(self, job_id: str, future: "asyncio.Future[None]") -> None:
        others = self._waiting.get(job_id, set())
        others.discard(future)
        if not others:
            self._waiting.pop(job_id, None)

    async def _look(self) -> None:
        """Look until nobody waits any more."""
        while self._waiting:
            try:
                await self._once()
                await asyncio.sleep(INTERVAL)
            except sa.exc.SQLAlchemyError:
                _log.warning("waiting jobs cannot be looked at")
                await asyncio.sleep(PAUSE)

    async def _once(self) -> None:
        ids = list(self._waiting)
        for first in range(0, len(ids), BATCH):
            part = ids[first : first + BATCH]
            states = await self._database.read(lambda connection, part=part: repository.states(connection, part))  # type: ignore[misc]
            for job_id in part:
                if states.get(job_id) not in job.LIVE:  # gone counts as ended
                    self._tell(job_id)

    def _tell(self, job_id: str) -> None:
        for future in self._waiting.get(job_id, set()):
            if not future.done():
                future.set_result(None)

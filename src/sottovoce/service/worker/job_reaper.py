"""Requeues jobs whose worker is gone and jobs without a queue entry. One worker of the region runs it at a time.

If the worker is alive after all, work is lost but the result stays correct: the next claim raises `attempt`, and the old attempt
can neither renew its lease nor publish (docs/decisions/0003).
"""

import asyncio
import logging
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import REJECTED_BUG, Reason, State
from sottovoce.service.jobs import model, repository
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.port import JobQueue, QueueState
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

BATCH = 200
"""Jobs checked per tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperPolicy:
    """*lease_ms*: silence after which a worker counts as dead. *stranded_ms*: time after which an unclaimed job is checked.

    *keep_ms*: retention of a job that a bug ends.
    """

    lease_ms: int
    stranded_ms: int
    keep_ms: int


class Reaper:
    """Finds and requeues abandoned jobs."""

    def __init__(self, database: Database, queue: JobQueue, metrics: Metrics, policy: ReaperPolicy) -> None:
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._policy = policy

    async def tick(self) -> int:
        """Requeue the abandoned jobs; returns their number."""
        policy = self._policy
        suspects = await self._database.read(
            lambda connection: repository.abandoned(connection, stranded_ms=policy.stranded_ms, limit=BATCH)
        )
        running = await asyncio.to_thread(self._queue.running)
        if not suspects and not running:
            return 0
        alive = await self._database.read(lambda connection: worker_registry.alive(connection, policy.lease_ms))
        states = await asyncio.to_thread(self._queue.states, [suspect.id for suspect in suspects])
        count = 0
        for suspect in suspects:
            count += await self._handle(suspect, states.get(suspect.id), alive)
        await self._resume_ended(running, alive)
        return count

    async def _handle(self, suspect: model.Abandoned, state: QueueState | None, alive: dict[str, int]) -> bool:
        """Requeue *suspect* if it is abandoned. A job on which this fails by a bug is rejected, so that the others go on."""
        try:
            return await self._requeue_if_abandoned(suspect, state, alive)
        except Exception as bug:
            if temporary(bug):
                raise
            _log.exception("abandoned job not requeued", extra={"job": suspect.id})
            self._metrics.broke("reaper")

        def reject(connection: sa.Connection) -> bool:
            keep_ms = self._policy.keep_ms
            return repository.abandon(
                connection, suspect.id, reason=Reason.ENGINE, message=REJECTED_BUG, keep_ms=keep_ms
            )

        if await self._database.write(reject):
            self._metrics.finished("rejected")
        return False

    async def _resume_ended(self, running: dict[str, QueueState], alive: dict[str, int]) -> None:
        """Resume workflows of ended jobs that the queue lists as running: their worker died or could not record the end.

        The resumed workflow deletes leftover blobs and ends.
        """
        ids, lost = list(running), [job_id for job_id, state in running.items() if state.worker not in alive]

        def read_ended(connection: sa.Connection) -> dict[str, str]:
            return repository.ended(connection, lost) | repository.ended(
                connection, ids, for_ms=self._policy.stranded_ms
            )

        found = await self._database.read(read_ended) if running else {}
        for job_id, queue in found.items():
            await asyncio.to_thread(self._queue.resume, job_id, queue)
            _log.info("workflow of an ended job resumed", extra={"job": job_id})

    async def _requeue_if_abandoned(
        self, suspect: model.Abandoned, state: QueueState | None, alive: dict[str, int]
    ) -> bool:
        """Requeue *suspect* if it is abandoned; False if it is not."""
        if state is None or state.ended:
            await asyncio.to_thread(self._queue.forget, [suspect.id])
            await self._database.write(lambda connection: self._enqueue(connection, suspect))
        elif state.waiting or (suspect.state is State.QUEUED and state.worker in alive):
            return False  # it waits for a slot, or a live worker will claim it
        else:
            await asyncio.to_thread(self._queue.resume, suspect.id, suspect.queue)
        self._metrics.reaped()
        _log.warning("abandoned job requeued", extra={"job": suspect.id, "was": suspect.state, "queue": str(state)})
        return True

    def _enqueue(self, connection: sa.Connection, suspect: model.Abandoned) -> None:
        found = repository.get(connection, suspect.id)
        if found is not None and found.state in {State.QUEUED, State.RUNNING}:
            self._queue.submit(
                connection, suspect.id, queue=suspect.queue, account=str(found.workspace_id), priority=suspect.priority
            )

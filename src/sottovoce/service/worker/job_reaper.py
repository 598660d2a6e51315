"""Jobs whose worker is gone, and jobs that the queue has lost sight of, go back into the queue. One reaper per region.

A verdict of "dead" that proves wrong costs work and never correctness: the next claim raises `attempt`, and whoever holds the old
one can neither renew its lease nor publish (docs/decisions/0003).
"""

import asyncio
import logging
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.jobs import model, repository
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.dbos_queue import DbosQueue
from sottovoce.service.queue.port import QueueState
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

BATCH = 200
"""Jobs looked at in one tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperPolicy:
    """*lease_ms* after which silence means death; jobs unclaimed for *stranded_ms* are looked into."""

    lease_ms: int
    stranded_ms: int


class Reaper:
    """Looks for jobs that nobody works on."""

    def __init__(self, database: Database, queue: DbosQueue, metrics: Metrics, policy: ReaperPolicy) -> None:
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._policy = policy

    async def tick(self) -> int:
        """Put every abandoned job back into its queue; how many."""
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
            count += await self._help(suspect, states.get(suspect.id), alive)
        await self._conclude(running, alive)
        return count

    async def _conclude(self, running: dict[str, QueueState], alive: dict[str, int]) -> None:
        """Jobs that have ended, but not for the queue: their worker died, or could not write that down; another try tidies up."""
        ids, lost = list(running), [job_id for job_id, state in running.items() if state.executor not in alive]

        def look(connection: sa.Connection) -> dict[str, str]:
            return repository.ended(connection, lost) | repository.ended(
                connection, ids, for_ms=self._policy.stranded_ms
            )

        found = await self._database.read(look) if running else {}
        for job_id, queue in found.items():
            await asyncio.to_thread(self._queue.resume, job_id, queue)
            _log.info("ended job given back to the queue, to be concluded", extra={"job": job_id})

    async def _help(self, suspect: model.Abandoned, state: QueueState | None, alive: dict[str, int]) -> bool:
        """Whether *suspect* needed help."""
        if state is None or state.ended:
            await asyncio.to_thread(self._queue.forget, [suspect.id])
            await self._database.write(lambda connection: self._again(connection, suspect))
        elif state.waiting or (suspect.state is State.QUEUED and state.executor in alive):
            return False  # it waits for a slot, or its worker is about to claim it
        else:
            await asyncio.to_thread(self._queue.resume, suspect.id, suspect.queue)
        self._metrics.reaped()
        _log.warning("abandoned job put back", extra={"job": suspect.id, "was": suspect.state, "queue": str(state)})
        return True

    def _again(self, connection: sa.Connection, suspect: model.Abandoned) -> None:
        found = repository.get(connection, suspect.id)
        if found is not None and found.state in {State.QUEUED, State.RUNNING}:
            self._queue.submit(
                connection, suspect.id, queue=suspect.queue, account=str(found.workspace_id), priority=suspect.priority
            )

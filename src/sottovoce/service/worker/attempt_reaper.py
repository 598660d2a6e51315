"""Requeues lost attempts of deliveries and fetches. One worker of the region runs it at a time.

An attempt is lost if its worker dies, if the queue loses the entry, or if the entry's delay does not end. The last can happen
because the queue counts delays by the clocks of processes, which may be an hour off and jump. The reaper uses the database's clock.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import Reason
from sottovoce.service.jobs import media_fetcher, repository
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import INTERNAL
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.port import JobQueue, QueueState, TaskKind, entry_of
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import temporary
from sottovoce.service.worker.job_reaper import ReaperPolicy

_log = logging.getLogger(__name__)

BATCH = 200
"""Tasks of one kind checked per tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAttempt:
    """Attempt *number* of *subject*, which should have been recorded by now."""

    task_kind: TaskKind
    subject: str
    number: int

    @property
    def entry(self) -> str:
        """The id of its queue entry."""
        return entry_of(self.task_kind, self.subject, self.number)


def _due(connection: sa.Connection, by_ms: int) -> list[DueAttempt]:
    sends = deliveries.overdue(connection, by_ms, BATCH)
    fetches = media_fetcher.overdue(connection, by_ms, BATCH)
    return [
        *(DueAttempt(task_kind=TaskKind.DELIVERY, subject=each.id, number=each.attempts + 1) for each in sends),
        *(DueAttempt(task_kind=TaskKind.FETCH, subject=job_id, number=number) for job_id, number in fetches),
    ]


def _still_due(connection: sa.Connection, due: DueAttempt) -> bool:
    if due.task_kind is TaskKind.DELIVERY:
        delivery = deliveries.get(connection, due.subject)
        return delivery is not None and delivery.next_entry == due.entry
    found = repository.get(connection, due.subject)
    return found is not None and media_fetcher.entry(found) == due.entry


def _end(connection: sa.Connection, due: DueAttempt, keep_ms: int) -> None:
    """End the task as failed, without reading its row, which may be the cause of the failure."""
    if due.task_kind is TaskKind.DELIVERY:
        deliveries.abandon(connection, due.subject, due.number, INTERNAL)
    else:
        message = media_fetcher.FAILED_BUG
        repository.abandon(connection, due.subject, reason=Reason.FETCH, message=message, keep_ms=keep_ms)


class AttemptReaper:
    """Finds and requeues lost attempts."""

    def __init__(self, database: Database, queue: JobQueue, metrics: Metrics, policy: ReaperPolicy) -> None:
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._policy = policy

    async def tick(self) -> int:
        """Requeue the lost attempts; returns their number."""
        policy = self._policy
        due = await self._database.read(lambda connection: _due(connection, policy.stranded_ms))
        running = {task_kind: await asyncio.to_thread(self._queue.running, task_kind) for task_kind in TaskKind}
        if not due and not any(running.values()):
            return 0
        alive = await self._database.read(lambda connection: worker_registry.alive(connection, policy.lease_ms))
        states = await asyncio.to_thread(self._queue.states, [each.entry for each in due])
        count = 0
        for task_kind, entries in running.items():
            for entry, state in entries.items():
                if state.worker not in alive:  # even if recorded: the next worker detects that
                    await asyncio.to_thread(self._queue.resume, entry, task_kind.value)
                    count += _log_requeued(entry, state)
        for each in due:
            count += await self._handle(each, states.get(each.entry))
        return count

    async def _handle(self, due: DueAttempt, state: QueueState | None) -> bool:
        """Requeue the attempt if it is lost. A task on which this fails by a bug is ended, so that the others go on."""
        try:
            return await self._requeue_if_lost(due, state)
        except Exception as bug:
            if temporary(bug):
                raise
            _log.exception("abandoned task not requeued", extra={"entry": due.entry})
            self._metrics.broke("reaper")
        await self._database.write(lambda connection: _end(connection, due, self._policy.keep_ms))
        return False

    async def _requeue_if_lost(self, due: DueAttempt, state: QueueState | None) -> bool:
        """Requeue the attempt if it is lost; False if it runs or waits for a slot."""
        if state is None or state.ended:
            await asyncio.to_thread(self._queue.forget, [due.entry])
            if not await self._database.write(self._enqueue(due)):
                return False
        elif state.delayed:
            await asyncio.to_thread(self._queue.resume, due.entry, due.task_kind.value)
        else:
            return False
        return _log_requeued(due.entry, state)

    def _enqueue(self, due: DueAttempt) -> Callable[[sa.Connection], bool]:
        def enqueue(connection: sa.Connection) -> bool:
            if not _still_due(connection, due):
                return False
            self._queue.enqueue(connection, due.task_kind, due.subject, due.number)
            return True

        return enqueue


def _log_requeued(entry: str, state: QueueState | None) -> bool:
    _log.warning("abandoned task requeued", extra={"entry": entry, "queue": str(state)})
    return True

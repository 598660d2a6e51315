"""The interface of the queue: jobs, tasks and their states, independent of the library behind it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa

BATCH = "batch"
"""The queue of recognition jobs."""


class TaskKind(StrEnum):
    """A kind of task that runs in attempts. The value names its workflow and its own queue."""

    DELIVERY = "delivery"
    FETCH = "fetch"
    RETENTION = "retention"


def entry_of(task_kind: TaskKind, subject: str, attempt: int) -> str:
    """The id of the queue entry for one attempt. Each attempt has its own entry, so a pause between attempts occupies no slot."""
    return f"{subject}-{task_kind}-{attempt}"


class EntryStatus(StrEnum):
    """The status of a queue entry."""

    WAITING = "waiting"  # for a slot
    DELAYED = "delayed"  # until its delay ends
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """The queue's state of an entry: its *status*, and the *worker* that claimed it last."""

    status: EntryStatus
    worker: str | None

    @property
    def waiting(self) -> bool:
        """True if the entry waits for a slot or for its delay to end."""
        return self.status in {EntryStatus.WAITING, EntryStatus.DELAYED}

    @property
    def delayed(self) -> bool:
        """True if the entry waits for its delay to end."""
        return self.status is EntryStatus.DELAYED

    @property
    def ended(self) -> bool:
        """True if no worker will run the entry again."""
        return not self.waiting and self.status is not EntryStatus.RUNNING

    def __str__(self) -> str:
        """The state in the words of the logs."""
        return self.status if self.worker is None else f"{self.status}, worker {self.worker}"


class JobQueue(Protocol):
    """The operations that the service needs from a queue. An entry is a job, by its id, or an attempt of a task (`entry_of`)."""

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        """Enqueue *job_id* in the caller's transaction, so that both commit or neither."""

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        """Enqueue attempt number *attempt* of *subject* after *delay* seconds, in the caller's transaction."""

    def cancel(self, *entries: str) -> None:
        """Cancel *entries* (job ids, attempts), queued or running; a job's child process is killed within about 1 s."""

    def forget(self, entries: Sequence[str]) -> None:
        """Delete *entries* from the queue's history."""

    def forget_ended(self, before: datetime) -> int:
        """Delete the entries that ended before *before* from the queue's history; returns their number."""

    def states(self, entries: Sequence[str]) -> dict[str, QueueState]:
        """The queue's states of *entries*; those that the queue does not know are missing."""

    def running(self, task_kind: TaskKind | None = None) -> dict[str, QueueState]:
        """The jobs, or the tasks of *task_kind*, that a worker has claimed, including dead workers; at most 1000."""

    def resume(self, entry: str, queue: str) -> None:
        """Move *entry* back into *queue*, away from its current worker, whose results the queue rejects from then on."""

    def close(self) -> None:
        """Close the database connections."""


class QueueWorker(Protocol):
    """The operations that the service needs from the part that runs queued work."""

    def launch(self) -> None:
        """Start to take work; unfinished work of this worker comes first."""

    def drain(self, timeout: float) -> None:
        """Take no new work and wait up to *timeout* seconds for running work. What remains is recovered at the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHandler:
    """Handles one kind of task: *attempt* takes a subject and the attempt's number, *slots* run at a time.

    *alone*: at most one attempt runs among all workers.
    """

    attempt: Callable[[str, int], Awaitable[None]]
    slots: int
    alone: bool = False


Steps = tuple[Callable[[str], Awaitable[dict[str, Any] | None]], Callable[[str, dict[str, Any]], Awaitable[None]]]
"""The steps `work` and `publish` of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """What a worker runs: its id (*executor*), the jobs of *queues* in *steps*, *slots* at a time, and tasks by *handlers*.

    *poll*: seconds between two looks into a queue. *per_account*: jobs of one account that run at the same time, on all workers
    of a queue; the others wait. `None`: any number.
    """

    executor: str
    slots: int
    poll: float
    queues: Sequence[str]
    steps: Steps
    handlers: Mapping[TaskKind, TaskHandler] = field(default_factory=dict)
    per_account: int | None = None

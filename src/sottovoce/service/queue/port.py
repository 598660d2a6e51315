"""The interface of the queue: jobs, tasks and their states, independent of the library behind it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """The queue's state of an entry: the *status* of DBOS, and the worker (*executor*) that claimed it."""

    status: str
    executor: str | None

    @property
    def waiting(self) -> bool:
        """True if the entry waits for a slot or for its delay to end."""
        return self.status in {"ENQUEUED", "DELAYED"}

    @property
    def delayed(self) -> bool:
        """True if the entry waits for its delay to end."""
        return self.status == "DELAYED"

    @property
    def ended(self) -> bool:
        """True if no worker will run the entry again."""
        return not self.waiting and self.status != "PENDING"


class JobQueue(Protocol):
    """The operations that the service needs from a queue."""

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        """Enqueue *job_id* in the caller's transaction, so that both commit or neither."""

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        """Enqueue attempt number *attempt* of *subject* after *delay* seconds, in the caller's transaction."""

    def cancel(self, *entries: str) -> None:
        """Cancel *entries* (job ids, attempts), queued or running; a job's child process is killed within about 1 s."""

    def forget(self, job_ids: Sequence[str]) -> None:
        """Delete *job_ids* from the queue's history."""


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

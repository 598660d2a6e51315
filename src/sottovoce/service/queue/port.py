"""The queue as its callers see it: jobs, tasks and their states, without the library behind them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa

BATCH = "batch"
"""The queue of recognition jobs."""


class TaskKind(StrEnum):
    """Something to be done out in the world, in attempts: the name of its workflow, and of the queue that it has to itself."""

    DELIVERY = "delivery"
    FETCH = "fetch"
    RETENTION = "retention"


def entry_of(task_kind: TaskKind, subject: str, attempt: int) -> str:
    """The queue's name for one attempt: each is an entry of its own, so that none waits in a slot."""
    return f"{subject}-{task_kind}-{attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """What the queue knows of a job: whether it waits, has a worker (*executor*), or is over and done with."""

    status: str
    executor: str | None

    @property
    def waiting(self) -> bool:
        """Waiting for a slot."""
        return self.status in {"ENQUEUED", "DELAYED"}

    @property
    def delayed(self) -> bool:
        """Waiting for its time to come."""
        return self.status == "DELAYED"

    @property
    def ended(self) -> bool:
        """No worker will touch it again."""
        return not self.waiting and self.status != "PENDING"


class JobQueue(Protocol):
    """What the rest of the service asks of a queue."""

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        """Enqueue *job_id* in the caller's own transaction: both happen, or neither."""

    def go(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        """Enqueue one *attempt* at *subject* in *delay* seconds, in the caller's own transaction."""

    def cancel(self, *entries: str) -> None:
        """Stop *entries* (job ids, attempts) wherever they are; a job's child is killed within about a second."""

    def forget(self, job_ids: Sequence[str]) -> None:
        """Remove every trace of *job_ids* from the queue's history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHandler:
    """Who carries one kind of errand out: *attempt* of a subject and its number, *slots* of them at a time.

    *alone*: no other worker does the same at the same time.
    """

    attempt: Callable[[str, int], Awaitable[None]]
    slots: int
    alone: bool = False


Steps = tuple[Callable[[str], Awaitable[dict[str, Any] | None]], Callable[[str, dict[str, Any]], Awaitable[None]]]

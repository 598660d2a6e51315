"""The queue's port implemented with DBOS (docs/decisions/0003). No other module uses DBOS; `backend.py` alone uses this one.

The parts, in order: the serializer `Json`, `DbosQueue` (enqueues, cancels, queries), `migrate`, `DbosWorker` (runs jobs and tasks),
and the filter of DBOS's log.
"""

import json
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from dbos import Serializer

from sottovoce.service.queue.port import EntryStatus, QueueState, Steps, TaskHandler, TaskKind, WorkerSetup, entry_of
from sottovoce.service.storage.database import Database

_APPLICATION = "sottovoce"
_VERSION = "1"  # constant: DBOS's default, a hash of the workflows' source, would strand running jobs at every release
_WORKFLOW = "process_job"
TASK_POLL = 0.5
"""Minimum seconds between polls of a task queue: tasks are less urgent than recognition, and polling takes a share of a core."""
MANY = 1000
"""Entries in one query of the history."""
_STATUSES = {
    "ENQUEUED": EntryStatus.WAITING,
    "DELAYED": EntryStatus.DELAYED,
    "PENDING": EntryStatus.RUNNING,
    "SUCCESS": EntryStatus.DONE,
    "ERROR": EntryStatus.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": EntryStatus.FAILED,
    "CANCELLED": EntryStatus.CANCELLED,
}
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_NO_LIMIT = 1_000_000  # effectively no limit per partition: partitions are for fairness, and the slots limit the work


class Json(Serializer):
    """DBOS's serializer with plain JSON. Its default, pickle, would execute code from the database."""

    def name(self) -> str:
        """The name that DBOS stores with each value."""
        return "sottovoce_json"

    def serialize(self, data: Any) -> str:
        """The JSON of *data*; an exception becomes its type and text."""
        if isinstance(data, BaseException):
            data = {"error": type(data).__name__, "text": str(data)}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """The inverse of `serialize`; an exception becomes a `RuntimeError`."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {"error", "text"}:
            return RuntimeError(f"{data['error']}: {data['text']}")
        return data


class DbosQueue:
    """The queue for processes that enqueue work."""

    def __init__(self, database: Database) -> None:
        from dbos import DBOSClient

        self._engine = database.engine_for_queue()
        self._client = DBOSClient(
            system_database_engine=self._engine, serializer=Json(), application_name=_APPLICATION, lazy=True
        )

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        """See `JobQueue`."""
        options: Any = {
            "workflow_name": _WORKFLOW,
            "queue_name": queue,
            "workflow_id": job_id,
            "queue_partition_key": account,
            "priority": priority,
        }
        self._client.enqueue_in_transaction(connection, options, job_id)

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        """See `JobQueue`."""
        options: Any = {
            "workflow_name": task_kind.value,
            "queue_name": task_kind.value,
            "workflow_id": entry_of(task_kind, subject, attempt),
        }
        if delay > 0:
            options["delay_seconds"] = delay
        self._client.enqueue_in_transaction(connection, options, subject, attempt)

    def cancel(self, *entries: str) -> None:
        """See `JobQueue`."""
        self._client.cancel_workflows(list(entries))

    def forget(self, entries: Sequence[str]) -> None:
        """See `JobQueue`."""
        self._client.delete_workflows(list(entries))

    def forget_ended(self, before: datetime) -> int:
        """See `JobQueue`."""
        count = 0
        while found := self._client.list_workflows(
            completed_before=before.isoformat(), status=_ENDED, limit=MANY, load_input=False, load_output=False
        ):
            self._client.delete_workflows([entry.workflow_id for entry in found])
            count += len(found)
        return count

    def states(self, entries: Sequence[str]) -> dict[str, QueueState]:
        """See `JobQueue`."""
        if not entries:
            return {}
        return _states(self._client.list_workflows(workflow_ids=list(entries), load_input=False, load_output=False))

    def running(self, task_kind: TaskKind | None = None) -> dict[str, QueueState]:
        """See `JobQueue`."""
        name = task_kind.value if task_kind else _WORKFLOW
        return _states(
            self._client.list_workflows(status="PENDING", name=name, limit=MANY, load_input=False, load_output=False)
        )

    def resume(self, entry: str, queue: str) -> None:
        """See `JobQueue`."""
        self._client.resume_workflow(entry, queue_name=queue)

    def close(self) -> None:
        """See `JobQueue`."""
        self._client.destroy()
        self._engine.dispose()


def _states(found: Iterable[Any]) -> dict[str, QueueState]:
    return {each.workflow_id: QueueState(status=_STATUSES[each.status], worker=each.executor_id) for each in found}


def migrate(database: Database) -> None:
    """Create or upgrade the tables of the queue in *database*."""
    from dbos import DBOS

    url = sa.make_url(database.url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql")
    DBOS.migrate(url.render_as_string(hide_password=False))


class DbosWorker:
    """Runs queued work: a job has two steps, `work` and `publish` (docs/decisions/0003), a task attempt has one."""

    def __init__(self, database: Database, setup: WorkerSetup) -> None:
        """Raises `ValueError` if a job queue has the name of a task kind."""
        from dbos import DBOS

        if taken := set(setup.queues) & set(TaskKind):
            raise ValueError(f"queues cannot be called {', '.join(sorted(taken))}")
        self._engine = database.engine_for_queue()
        self._setup = setup
        self._running = _RunningCount()
        config: Any = {
            "name": _APPLICATION,
            "system_database_url": "sqlite:///given" if database.embedded else "postgresql://given/given",
            "system_database_engine": self._engine,
            "application_version": _VERSION,
            "executor_id": setup.executor,
            "serializer": Json(),
            "run_migrations": False,
            "log_level": "WARNING",
            "max_executor_threads": setup.slots + sum(each.slots for each in setup.handlers.values()) + 16,
        }
        DBOS(config=config)
        _redirect_dbos_log()
        self._register(setup.steps)
        for task_kind, handler in setup.handlers.items():
            _register_task(task_kind, handler, self._running)

    def _register(self, steps: Steps) -> None:
        from dbos import DBOS

        # plain functions: DBOS sets attributes on what it decorates, which bound methods do not accept
        async def work_step(job_id: str) -> dict[str, Any] | None:
            return await steps[0](job_id)

        async def publish_step(job_id: str, result: dict[str, Any]) -> None:
            await steps[1](job_id, result)

        work = DBOS.step(name="work", preemptible=True)(work_step)
        publish = DBOS.step(name="publish")(publish_step)

        async def process_job(job_id: str) -> None:
            with self._running:
                if (result := await work(job_id)) is not None:
                    await publish(job_id, result)

        # the job's `failures` limits retries; DBOS's counter also counts restarts of the server
        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=1_000_000)(process_job)

    def launch(self) -> None:
        """See `QueueWorker`."""
        from dbos import DBOS

        setup = self._setup
        DBOS.listen_queues([*setup.queues, *(task_kind.value for task_kind in setup.handlers)])
        DBOS.launch()
        for name in setup.queues:
            DBOS.register_queue(
                name,
                worker_concurrency=setup.slots,  # stored per queue, not per worker: all workers of a queue use the same value
                partition_concurrency=setup.per_account or _NO_LIMIT,  # also stored per queue
                polling_interval_sec=setup.poll,
                on_conflict="always_update",
            )
        for task_kind, handler in setup.handlers.items():
            DBOS.register_queue(
                task_kind.value,
                worker_concurrency=handler.slots,
                global_concurrency=1 if handler.alone else None,
                polling_interval_sec=max(setup.poll, TASK_POLL),
                on_conflict="always_update",
            )

    def drain(self, timeout: float) -> None:
        """See `QueueWorker`."""
        from dbos import DBOS

        # with a timeout, DBOS sleeps 1 s before its first check, so pass 0 when idle; work claimed just now is recovered later
        DBOS.destroy(workflow_completion_timeout_sec=round(timeout) if self._running.number else 0)
        self._engine.dispose()


class _RunningCount:
    """Counts the running workflows of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0

    def __enter__(self) -> None:
        with self._lock:
            self.number += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.number -= 1


def _register_task(task_kind: TaskKind, handler: TaskHandler, running: _RunningCount) -> None:
    from dbos import DBOS

    async def attempt_step(subject: str, attempt: int) -> None:
        await handler.attempt(subject, attempt)

    step = DBOS.step(name=f"{task_kind.value}_attempt", preemptible=True)(attempt_step)

    async def run_task(subject: str, attempt: int) -> None:
        with running:
            await step(subject, attempt)

    DBOS.workflow(name=task_kind.value, max_recovery_attempts=1_000_000)(run_task)


def _redirect_dbos_log() -> None:
    """Route DBOS's log records through the root logger instead of its own handler, and drop those that are no news."""
    logger = logging.getLogger("dbos")
    logger.addFilter(_is_news)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


_CANCELLED = frozenset({"DBOSWorkflowCancelledError", "DBOSAwaitedWorkflowCancelledError"})

_LEFT_OUT = (
    "was cancelled during execution",
    "no longer owned by this execution",  # also of each job of OpenAI's API, which is deleted with its answer
    "exceeds the partition concurrency limit",
    "Asyncio task cancelled for workflow or step",  # at the end of a process: the work is taken after the next start
    "Event loop is closed",  # the same
)


def _is_news(record: logging.LogRecord) -> bool:
    """False for DBOS's warnings and stack traces about a job that was deleted while it ran or just after, or that another
    worker has taken over, because the worker's own lines tell it; about work that the end of a process interrupts; and for the
    warning that it repeats at each poll after the limit of jobs per account was lowered.
    """
    error = type(record.exc_info[1]).__name__ if record.exc_info else ""
    return error not in _CANCELLED and not any(text in str(record.msg) for text in _LEFT_OUT)

"""Durable work behind a narrow port, carried out by DBOS (docs/decisions/0003). Nothing else in the project knows DBOS."""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from dbos import Serializer

from sottovoce.service.queue.port import QueueState, Steps, TaskHandler, TaskKind, entry_of
from sottovoce.service.storage.database import Database

_APPLICATION = "sottovoce"
_VERSION = "1"  # constant: a hash of the workflows' source would strand running jobs at every release
_WORKFLOW = "process_job"
ERRAND_POLL = 0.5
"""Seconds between looks for errands, at least: nobody waits for them as for a recognition, and looking costs a share of a core."""
MANY = 1000
"""Entries in one look."""
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_MANY = 1_000_000  # a partition limit that never bites: partitions exist for fairness, slots are the limit


class Json(Serializer):
    """DBOS's serializer: plain JSON instead of its default pickle, which would run whatever stands in the database."""

    def name(self) -> str:
        """What DBOS records beside each value."""
        return "sottovoce_json"

    def serialize(self, data: Any) -> str:
        """JSON of arguments and results; of an exception, its type and text."""
        if isinstance(data, BaseException):
            data = {"error": type(data).__name__, "text": str(data)}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """What `serialize` was given; an exception comes back as a plain one."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {"error", "text"}:
            return RuntimeError(f"{data['error']}: {data['text']}")
        return data


class DbosQueue:
    """The port for processes that hand work in."""

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

    def go(
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

    def forget(self, job_ids: Sequence[str]) -> None:
        """See `JobQueue`."""
        self._client.delete_workflows(list(job_ids))

    def forget_ended(self, before: datetime) -> int:
        """Remove from the queue's history what ended before *before*; how many. What ended is nobody's to go on with."""
        count = 0
        while found := self._client.list_workflows(
            completed_before=before.isoformat(), status=_ENDED, limit=MANY, load_input=False, load_output=False
        ):
            self._client.delete_workflows([entry.workflow_id for entry in found])
            count += len(found)
        return count

    def states(self, job_ids: Sequence[str]) -> dict[str, QueueState]:
        """What the queue knows of *job_ids*; those it has never heard of are missing."""
        if not job_ids:
            return {}
        found = self._client.list_workflows(workflow_ids=list(job_ids), load_input=False, load_output=False)
        return {entry.workflow_id: QueueState(status=entry.status, executor=entry.executor_id) for entry in found}

    def running(self, name: str = _WORKFLOW) -> dict[str, QueueState]:
        """Everything of *name* that some worker has in its hands, or had when it died; at most a thousand."""
        found = self._client.list_workflows(
            status="PENDING", name=name, limit=1000, load_input=False, load_output=False
        )
        return {entry.workflow_id: QueueState(status=entry.status, executor=entry.executor_id) for entry in found}

    def resume(self, job_id: str, queue: str) -> None:
        """Take *job_id* from whoever has it and put it back into *queue*; the old owner's checkpoints are refused."""
        self._client.resume_workflow(job_id, queue_name=queue)

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()
        self._engine.dispose()


class DbosWorker:
    """The side that carries work out: two steps a job, `work` and `publish` (docs/decisions/0003), and one an errand."""

    def __init__(
        self,
        database: Database,
        *,
        executor: str,
        slots: int,
        poll: float,
        queues: Sequence[str],
        steps: Steps,
        handlers: Mapping[TaskKind, TaskHandler] | None = None,
    ) -> None:
        """Raises `ValueError` for a queue of jobs that has an errand's name."""
        from dbos import DBOS

        if taken := set(queues) & set(TaskKind):
            raise ValueError(f"queues cannot be called {', '.join(sorted(taken))}")
        self._engine = database.engine_for_queue()
        self._poll = poll
        self._slots = slots
        self._queues = list(queues)
        self._handlers = dict(handlers or {})
        self._at_work = _Count()
        config: Any = {
            "name": _APPLICATION,
            "system_database_url": "sqlite:///given" if database.embedded else "postgresql://given/given",
            "system_database_engine": self._engine,
            "application_version": _VERSION,
            "executor_id": executor,
            "serializer": Json(),
            "run_migrations": False,
            "log_level": "WARNING",
            "max_executor_threads": slots + sum(hands.slots for hands in self._handlers.values()) + 16,
        }
        DBOS(config=config)
        _speak_our_log()
        self._register(steps)
        for task_kind, hands in self._handlers.items():
            _register_task(task_kind, hands, self._at_work)

    def _register(self, steps: Steps) -> None:
        from dbos import DBOS

        # plain functions: DBOS hangs attributes on what it decorates, which a bound method does not take
        async def work_step(job_id: str) -> dict[str, Any] | None:
            return await steps[0](job_id)

        async def publish_step(job_id: str, result: dict[str, Any]) -> None:
            await steps[1](job_id, result)

        work = DBOS.step(name="work", preemptible=True)(work_step)
        publish = DBOS.step(name="publish")(publish_step)

        async def process_job(job_id: str) -> None:
            with self._at_work:
                if (result := await work(job_id)) is not None:
                    await publish(job_id, result)

        # our own `failures` decides when to give up; DBOS's counter also counts restarts of the server
        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=1_000_000)(process_job)

    def launch(self) -> None:
        """Begin to take work, unfinished work of this executor first."""
        from dbos import DBOS

        DBOS.listen_queues([*self._queues, *(task_kind.value for task_kind in self._handlers)])
        DBOS.launch()
        for name in self._queues:
            DBOS.register_queue(
                name,
                worker_concurrency=self._slots,  # of the queue, not of this worker: all workers of a queue are alike
                partition_concurrency=_MANY,
                polling_interval_sec=self._poll,
                on_conflict="always_update",
            )
        for task_kind, hands in self._handlers.items():
            DBOS.register_queue(
                task_kind.value,
                worker_concurrency=hands.slots,
                global_concurrency=1 if hands.alone else None,
                polling_interval_sec=max(self._poll, ERRAND_POLL),
                on_conflict="always_update",
            )

    def drain(self, timeout: float) -> None:
        """Take nothing new, let running work end for *timeout* seconds; the rest is left to be recovered."""
        from dbos import DBOS

        # told to wait, it sleeps a second before it looks; what is taken in the very moment of stopping is recovered like any other
        DBOS.destroy(workflow_completion_timeout_sec=round(timeout) if self._at_work.number else 0)
        self._engine.dispose()


class _Count:
    """How many workflows are between their first and last line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0

    def __enter__(self) -> None:
        with self._lock:
            self.number += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.number -= 1


def _register_task(task_kind: TaskKind, hands: TaskHandler, at_work: _Count) -> None:
    from dbos import DBOS

    async def attempt_step(subject: str, attempt: int) -> None:
        await hands.attempt(subject, attempt)

    step = DBOS.step(name=f"{task_kind.value}_attempt", preemptible=True)(attempt_step)

    async def run_errand(subject: str, attempt: int) -> None:
        with at_work:
            await step(subject, attempt)

    DBOS.workflow(name=task_kind.value, max_recovery_attempts=1_000_000)(run_errand)


def _speak_our_log() -> None:
    """DBOS writes its own format to its own handler: send it through ours, without what it says of cancelled jobs."""
    logger = logging.getLogger("dbos")
    logger.addFilter(_not_about_cancelling)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


_CANCELLED = frozenset({"DBOSWorkflowCancelledError", "DBOSAwaitedWorkflowCancelledError"})


def _not_about_cancelling(record: logging.LogRecord) -> bool:
    """A user deleted a running job: DBOS warns and prints a stack, for an event that we have logged as what it is."""
    error = type(record.exc_info[1]).__name__ if record.exc_info else ""
    return error not in _CANCELLED and "was cancelled during execution" not in str(record.msg)

"""Durable work behind a narrow port, carried out by DBOS (docs/decisions/0003). Nothing else in the project knows DBOS."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from dbos import Serializer

from sottovoce.service.database import Database

BATCH = "batch"
"""The queue of recognition jobs."""

_APPLICATION = "sottovoce"
_VERSION = "1"  # constant: a hash of the workflows' source would strand running jobs at every release
_WORKFLOW = "process_job"
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
    def ended(self) -> bool:
        """No worker will touch it again."""
        return not self.waiting and self.status != "PENDING"


class JobQueue(Protocol):
    """What the rest of the service asks of a queue."""

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        """Enqueue *job_id* in the caller's own transaction: both happen, or neither."""

    def cancel(self, job_id: str) -> None:
        """Stop *job_id* wherever it is; its child is killed within about a second."""

    def forget(self, job_ids: Sequence[str]) -> None:
        """Remove every trace of *job_ids* from the queue's history."""


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

    def cancel(self, job_id: str) -> None:
        """See `JobQueue`."""
        self._client.cancel_workflow(job_id)

    def forget(self, job_ids: Sequence[str]) -> None:
        """See `JobQueue`."""
        self._client.delete_workflows(list(job_ids))

    def states(self, job_ids: Sequence[str]) -> dict[str, QueueState]:
        """What the queue knows of *job_ids*; those it has never heard of are missing."""
        if not job_ids:
            return {}
        found = self._client.list_workflows(workflow_ids=list(job_ids), load_input=False, load_output=False)
        return {entry.workflow_id: QueueState(status=entry.status, executor=entry.executor_id) for entry in found}

    def running(self) -> dict[str, QueueState]:
        """Everything that some worker has in its hands, or had when it died; at most a thousand."""
        found = self._client.list_workflows(
            status="PENDING", name=_WORKFLOW, limit=1000, load_input=False, load_output=False
        )
        return {entry.workflow_id: QueueState(status=entry.status, executor=entry.executor_id) for entry in found}

    def resume(self, job_id: str, queue: str) -> None:
        """Take *job_id* from whoever has it and put it back into *queue*; the old owner's checkpoints are refused."""
        self._client.resume_workflow(job_id, queue_name=queue)

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()
        self._engine.dispose()


Steps = tuple[Callable[[str], Awaitable[dict[str, Any] | None]], Callable[[str, dict[str, Any]], Awaitable[None]]]


class DbosWorker:
    """The side that carries work out: two steps a job, `work` and `publish` (docs/decisions/0003)."""

    def __init__(
        self, database: Database, *, executor: str, slots: int, poll: float, queues: Sequence[str], steps: Steps
    ) -> None:
        from dbos import DBOS

        self._engine = database.engine_for_queue()
        self._poll = poll
        self._slots = slots
        self._queues = list(queues)
        config: Any = {
            "name": _APPLICATION,
            "system_database_url": "sqlite:///given" if database.embedded else "postgresql://given/given",
            "system_database_engine": self._engine,
            "application_version": _VERSION,
            "executor_id": executor,
            "serializer": Json(),
            "run_migrations": False,
            "log_level": "WARNING",
            "max_executor_threads": slots + 16,
        }
        DBOS(config=config)
        _speak_our_log()
        self._register(steps)

    @staticmethod
    def _register(steps: Steps) -> None:
        from dbos import DBOS

        # plain functions: DBOS hangs attributes on what it decorates, which a bound method does not take
        async def work_step(job_id: str) -> dict[str, Any] | None:
            return await steps[0](job_id)

        async def publish_step(job_id: str, result: dict[str, Any]) -> None:
            await steps[1](job_id, result)

        work = DBOS.step(name="work", preemptible=True)(work_step)
        publish = DBOS.step(name="publish")(publish_step)

        async def process_job(job_id: str) -> None:
            if (result := await work(job_id)) is not None:
                await publish(job_id, result)

        # our own `failures` decides when to give up; DBOS's counter also counts restarts of the server
        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=1_000_000)(process_job)

    def launch(self) -> None:
        """Begin to take work, unfinished work of this executor first."""
        from dbos import DBOS

        DBOS.listen_queues(self._queues)
        DBOS.launch()
        for name in self._queues:
            DBOS.register_queue(
                name,
                worker_concurrency=self._slots,  # of the queue, not of this worker: all workers of a queue are alike
                partition_concurrency=_MANY,
                polling_interval_sec=self._poll,
                on_conflict="always_update",
            )

    def drain(self, timeout: float) -> None:
        """Take nothing new, let running work end for *timeout* seconds; the rest is left to be recovered."""
        from dbos import DBOS

        DBOS.destroy(workflow_completion_timeout_sec=round(timeout))
        self._engine.dispose()


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

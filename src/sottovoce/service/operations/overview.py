"""The state of a region as its operator sees it: numbers only, without ids, names or addresses of anyone's jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.jobs import queue_estimate
from sottovoce.service.jobs import repository as jobs
from sottovoce.service.jobs.queue_estimate import QueueEstimate
from sottovoce.service.notifications import model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.queue import worker_registry
from sottovoce.service.retention import policy
from sottovoce.service.retention.policy import RetentionPolicy, RetentionReport
from sottovoce.service.storage.database import DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A worker without its id, which has the name of its host. *alive*: it sent a heartbeat lately. Instants in epoch ms."""

    alive: bool
    slots: int
    started_at: int
    heartbeat_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The numbers of a region. *failed_lately*: deliveries that failed for good in the last day."""

    jobs: Mapping[State, int]
    queue: QueueEstimate
    workers: tuple[WorkerState, ...]
    deliveries: Mapping[model.State, int]
    failed_lately: int
    retention: RetentionReport


def overview(connection: sa.Connection, *, lease_ms: int, kept: RetentionPolicy) -> Overview:
    """Return the numbers now. *lease_ms*: age of a heartbeat up to which its worker is alive."""
    alive = worker_registry.alive(connection, lease_ms)
    return Overview(
        jobs=jobs.counts(connection),
        queue=queue_estimate.estimate(connection, lease_ms),
        workers=tuple(
            WorkerState(
                alive=each.id in alive,
                slots=each.slots,
                started_at=each.started_at,
                heartbeat_at=each.heartbeat_at,
            )
            for each in worker_registry.seen(connection)
        ),
        deliveries=deliveries.counts(connection),
        failed_lately=deliveries.failed_since(connection, DAY_MS),
        retention=policy.report(connection, kept),
    )

"""Starts the worker of a process: engines, the queue's worker, the handlers of tasks, and the periodic tasks."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from sottovoce.engines import registry
from sottovoce.inference.pool import Pool
from sottovoce.outbound import Outbound
from sottovoce.request import OperatingPoint
from sottovoce.service.billing.settlement import SettlementJob
from sottovoce.service.billing.usage_replication import UsageReplicator
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.plan import Plan
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.dbos_queue import DbosQueue, DbosWorker
from sottovoce.service.queue.interval_lock import IntervalLock
from sottovoce.service.queue.port import TaskHandler, TaskKind
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.policy import RetentionPolicy
from sottovoce.service.retention.project_cleanup import ProjectCleanup
from sottovoce.service.retention.sweep import Retention, SweepScheduler
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.s3_multipart import MultipartUploads
from sottovoce.service.worker import attempt_tasks
from sottovoce.service.worker.attempt_reaper import AttemptReaper
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy
from sottovoce.service.worker.job_runner import JobRunner, WorkPolicy
from sottovoce.service.worker.periodic import PeriodicTask

_log = logging.getLogger(__name__)

SETTLING = 2.0
"""Seconds between two settlements of ended jobs: their credits are charged or released."""
COPYING = 5.0
"""Seconds between two copies of new usage rows to the control database."""
EMBEDDED_EXECUTOR = "embedded"
"""The executor id of a server that holds its folder's lock: constant, so that a restart recovers its own jobs at once."""


class Worker:
    """Built once in a process with the role `batch`; `close` lets running work end and deregisters it."""

    def __init__(
        self,
        *,
        plan: Plan,
        region: RegionContext,
        control: Database,
        queue: DbosQueue,
        pool: Pool,
        offers: CapabilityTable,
        deletion: JobDeletion,
    ) -> None:
        self._plan = plan
        self._region = region
        self._control = control
        self._queue = queue
        self._pool = pool
        self._offers = offers
        self._deletion = deletion
        self._undo = contextlib.ExitStack()

    def close(self) -> None:
        """Drain the worker, deregister it and delete its scratch folder."""
        self._undo.close()

    def start(self) -> list[PeriodicTask]:
        """Start the engines and take work; returns the periodic tasks to schedule. Blocks until the engines are ready."""
        plan = self._plan
        if self._offers.engines:  # the engine of most jobs; others start with their first job
            languages = self._offers.languages
            choice = registry.choose(
                "en" if "en" in languages else languages[0], OperatingPoint.STANDARD, self._offers.engines
            )
            self._pool.prestart(choice.key, plan.slots)
            _log.info("engine ready", extra={"engine": choice.engine, "model": choice.model, "slots": plan.slots})
        owner = EMBEDDED_EXECUTOR if plan.embedded else f"{socket.gethostname()}-{uuid4()}"
        policy = WorkPolicy(
            owner=owner,
            scratch=self._scratch(owner),
            lease=plan.lease,
            heartbeat=plan.heartbeat,
            max_failures=plan.max_failures,
            keep=plan.keep,
        )
        runner = JobRunner(region=self._region, pool=self._pool, offered=self._offers, policy=policy)
        beat = partial(worker_registry.beat, worker_id=owner, capabilities=self._offers.engines, slots=plan.slots)
        with self._region.database.writing() as connection:
            beat(connection)
        self._undo.callback(self._deregister, owner)
        worker = DbosWorker(
            self._region.database,
            executor=owner,
            slots=plan.slots,
            poll=plan.poll,
            queues=plan.queues,
            steps=(runner.work, runner.publish),
            handlers=self._task_handlers(),
            per_account=plan.running_jobs,
        )
        self._undo.callback(worker.drain, plan.drain)
        worker.launch()
        return [
            PeriodicTask(name="heartbeat", interval=plan.heartbeat, do=partial(self._region.database.write, beat)),
            *self._reaper_tasks(),
        ]

    def _task_handlers(self) -> Mapping[TaskKind, TaskHandler]:
        """The handlers of deliveries, fetches and retention."""
        outbound = Outbound(self._plan.task_settings.outbound)
        self._undo.callback(_close, outbound)
        sweeps = TaskHandler(attempt=self._retention().attempt, slots=1, alone=True)
        return {**attempt_tasks.handlers(self._region, outbound, self._plan.task_settings), TaskKind.RETENTION: sweeps}

    def _retention(self) -> Retention:
        plan = self._plan
        url = plan.blob_url or ""
        bucket = MultipartUploads(url, plan.blob_options) if url.startswith("s3://") else None
        return Retention(
            database=self._region.database,
            blobs=self._region.blobs,
            queue=self._queue,
            deletion=self._deletion,
            sweeper=Sweeper(self._region.database, self._region.blobs, bucket),
            metrics=self._region.metrics,
            policy=RetentionPolicy(keep_ms=round(plan.keep * 1000), tombstone_ms=round(plan.tombstones * 1000)),
            scratch=plan.folder.scratch if plan.embedded else None,
            thorough_every=plan.sweep,
        )

    def _scratch(self, owner: str) -> Path:
        """The folder for temporary files: the region's for an embedded server, else a locked subfolder for this worker."""
        folder = self._plan.folder
        if self._plan.embedded:
            return folder.scratch
        path, descriptor = folder.own_scratch(owner)
        self._undo.callback(os.close, descriptor)
        self._undo.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def _deregister(self, owner: str) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError), self._region.database.writing() as connection:
            worker_registry.leave(connection, owner)

    def _reaper_tasks(self) -> list[PeriodicTask]:
        """The region's periodic tasks. At each interval, one of the region's workers runs them."""
        plan = self._plan
        lease_ms = round(plan.lease * 1000)
        policy = ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms)
        reaper = Reaper(self._region.database, self._queue, self._region.metrics, policy)
        attempt_reaper = AttemptReaper(self._region.database, self._queue, policy)
        sweep_scheduler = SweepScheduler(self._region.database, self._queue, plan.retention)

        def once_per_region(
            name: str, interval: float, delay: float, do: Callable[[], Awaitable[object]]
        ) -> PeriodicTask:
            lock = IntervalLock(self._region.database, name, interval)

            async def run() -> None:
                if await lock.acquire():
                    await do()

            return PeriodicTask(name=name, interval=interval, delay=delay, do=run)

        # the reapers wait for one lease, so that jobs which this process recovers at its start are claimed again by then
        return [
            once_per_region("reaper", plan.lease / 2, plan.lease, reaper.tick),
            once_per_region("errand reaper", plan.lease / 2, plan.lease, attempt_reaper.tick),
            once_per_region(
                "credits",
                SETTLING,
                0.0,
                SettlementJob(self._control, self._region.database, plan.folder.region, plan.pricing).tick,
            ),
            once_per_region("retention", plan.retention, plan.lease, sweep_scheduler.tick),
            once_per_region(
                "usage", COPYING, 0.0, UsageReplicator(self._control, self._region.database, plan.folder.region).tick
            ),
            once_per_region(
                "deleted projects",
                300.0,
                60.0,
                ProjectCleanup(self._control, self._region.database, self._deletion).tick,
            ),
        ]


def _close(outbound: Outbound) -> None:
    """Close *outbound* after the worker has drained; interrupted attempts are made again after the next start."""
    with contextlib.suppress(Exception):  # its event loop has ended: open connections close with the process
        asyncio.run(outbound.aclose())

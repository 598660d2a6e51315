"""Starts the worker of a process: engines, the queue's worker, the handlers of tasks, and the periodic tasks."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Callable, Mapping
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
from sottovoce.service.queue.backend import open_worker
from sottovoce.service.queue.port import JobQueue, TaskHandler, TaskKind, WorkerSetup
from sottovoce.service.queue.scheduler import PeriodicTask
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.policy import RetentionPolicy
from sottovoce.service.retention.project_cleanup import ProjectCleanup
from sottovoce.service.retention.sweep import SWEEP, THOROUGH_SWEEP, Retention
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.s3_multipart import MultipartUploads
from sottovoce.service.worker import attempt_tasks
from sottovoce.service.worker.attempt_reaper import AttemptReaper
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy
from sottovoce.service.worker.job_runner import JobRunner, WorkPolicy

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
        queue: JobQueue,
        pool: Pool,
        offers: CapabilityTable,
        deletion: JobDeletion,
        job_ended: Callable[[], None],
    ) -> None:
        self._job_ended = job_ended
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
            playback=plan.playback,
        )
        runner = JobRunner(
            region=self._region, pool=self._pool, offered=self._offers, policy=policy, job_ended=self._job_ended
        )
        beat = partial(worker_registry.beat, worker_id=owner, capabilities=self._offers.engines, slots=plan.slots)
        with self._region.database.writing() as connection:
            beat(connection)
        self._undo.callback(self._deregister, owner)
        retention = self._retention()
        setup = WorkerSetup(
            executor=owner,
            slots=plan.slots,
            poll=plan.poll,
            queues=plan.queues,
            steps=(runner.work, runner.publish),
            handlers=self._task_handlers(retention),
            per_account=plan.running_jobs,
        )
        worker = open_worker(self._region.database, setup)
        self._undo.callback(worker.drain, plan.drain)
        worker.launch()
        return [
            PeriodicTask(name="heartbeat", interval=plan.heartbeat, do=partial(self._region.database.write, beat)),
            *self._region_tasks(retention),
        ]

    def _task_handlers(self, retention: Retention) -> Mapping[TaskKind, TaskHandler]:
        """The handlers of deliveries, fetches and retention."""
        outbound = Outbound(self._plan.task_settings.outbound)
        self._undo.callback(_close, outbound)
        sweeps = TaskHandler(attempt=retention.attempt, slots=1, alone=True)
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

    def _region_tasks(self, retention: Retention) -> list[PeriodicTask]:
        """The region's periodic tasks. At each interval, one of the region's workers runs them."""
        plan, database = self._plan, self._region.database
        lease_ms, region = round(plan.lease * 1000), plan.folder.region
        policy = ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms, keep_ms=self._region.keep_ms)
        reaper = Reaper(database, self._queue, self._region.metrics, policy)
        attempt_reaper = AttemptReaper(database, self._queue, self._region.metrics, policy)
        settlement = SettlementJob(self._control, database, region, plan.pricing, self._region.metrics)
        usage = UsageReplicator(self._control, database, region, self._region.metrics)
        projects = ProjectCleanup(self._control, database, self._deletion, self._region.metrics)
        sweep = partial(retention.enqueue, SWEEP, plan.retention)
        thorough_sweep = partial(retention.enqueue, THOROUGH_SWEEP, plan.sweep)
        task = partial(PeriodicTask, once_per_region=True)
        # the reapers wait for one lease, so that jobs which this process recovers at its start are claimed again by then
        return [
            task(name="reaper", interval=plan.lease / 2, delay=plan.lease, do=reaper.tick),
            task(name="errand reaper", interval=plan.lease / 2, delay=plan.lease, do=attempt_reaper.tick),
            task(name="credits", interval=SETTLING, do=settlement.tick),
            task(name="retention", interval=plan.retention, delay=plan.lease, do=sweep),
            task(name="sweep", interval=plan.sweep, delay=plan.sweep, do=thorough_sweep),
            task(name="usage", interval=COPYING, do=usage.tick),
            task(name="deleted projects", interval=300.0, delay=60.0, do=projects.tick),
        ]


def _close(outbound: Outbound) -> None:
    """Close *outbound* after the worker has drained; interrupted attempts are made again after the next start."""
    with contextlib.suppress(Exception):  # its event loop has ended: open connections close with the process
        asyncio.run(outbound.aclose())

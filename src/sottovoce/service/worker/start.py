"""The part of a process that carries out queued work: engines, the queue's worker, and the tasks that keep both in order."""

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
from sottovoce.inference import messages as m
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
"""Seconds between looks for jobs that ended and are still to be paid for, or paid back."""
COPYING = 5.0
"""Seconds between looks for usage that the control database has no copy of."""
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
        """Drain the worker, remove its row and its scratch folder."""
        self._undo.close()

    def start(self) -> list[PeriodicTask]:
        """Start the engines and begin to take work; returns the tasks to repeat from now on. Blocks."""
        plan = self._plan
        if self._offers.engines:  # the one that most jobs will want; others start when the first job wants them
            known = self._offers.languages
            choice = registry.choose("en" if "en" in known else known[0], OperatingPoint.STANDARD, self._offers.engines)
            self._pool.prestart(m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device), plan.slots)
            _log.info("engine warm", extra={"engine": choice.engine, "model": choice.model, "slots": plan.slots})
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
        )
        self._undo.callback(worker.drain, plan.drain)
        worker.launch()
        return [
            PeriodicTask(name="heartbeat", interval=plan.heartbeat, do=partial(self._region.database.write, beat)),
            *self._reaper_tasks(),
        ]

    def _task_handlers(self) -> Mapping[TaskKind, TaskHandler]:
        """Deliveries and fetches: what a worker does out in the world."""
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
        """Where this worker puts files: the region's folder for an embedded server, else a part that is its own."""
        folder = self._plan.folder
        if self._plan.embedded:
            return folder.scratch
        place, descriptor = folder.own_scratch(owner)
        self._undo.callback(os.close, descriptor)
        self._undo.callback(shutil.rmtree, place, ignore_errors=True)
        return place

    def _deregister(self, owner: str) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError), self._region.database.writing() as connection:
            worker_registry.leave(connection, owner)

    def _reaper_tasks(self) -> list[PeriodicTask]:
        """The region's reaper and sweeper, in whichever worker has the turn."""
        plan = self._plan
        lease_ms = round(plan.lease * 1000)
        policy = ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms)
        reaper = Reaper(self._region.database, self._queue, self._region.metrics, policy)
        attempt_reaper = AttemptReaper(self._region.database, self._queue, policy)
        sweep_scheduler = SweepScheduler(self._region.database, self._queue, plan.retention)

        def in_turn(name: str, interval: float, delay: float, do: Callable[[], Awaitable[object]]) -> PeriodicTask:
            turns = IntervalLock(self._region.database, name, interval)

            async def done() -> None:
                if await turns.acquire():
                    await do()

            return PeriodicTask(name=name, interval=interval, delay=delay, do=done)

        # not at once: what this process recovers itself at its start shall have claimed its jobs again by then
        return [
            in_turn("reaper", plan.lease / 2, plan.lease, reaper.tick),
            in_turn("errand reaper", plan.lease / 2, plan.lease, attempt_reaper.tick),
            in_turn(
                "credits",
                SETTLING,
                0.0,
                SettlementJob(self._control, self._region.database, plan.folder.region, plan.pricing).tick,
            ),
            in_turn("retention", plan.retention, plan.lease, sweep_scheduler.tick),
            in_turn(
                "usage", COPYING, 0.0, UsageReplicator(self._control, self._region.database, plan.folder.region).tick
            ),
            in_turn(
                "deleted projects",
                300.0,
                60.0,
                ProjectCleanup(self._control, self._region.database, self._deletion).tick,
            ),
        ]


def _close(outbound: Outbound) -> None:
    """Let go of *outbound* after its worker has drained; what is cut off now is attempted again after the next start."""
    with contextlib.suppress(Exception):  # its loop has ended: what was open on it goes with the process
        asyncio.run(outbound.aclose())

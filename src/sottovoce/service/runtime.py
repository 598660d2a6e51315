"""The parts of one region's server, built in order and taken down in reverse. Knows no settings and no HTTP."""

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path

from sottovoce.engines import registry
from sottovoce.errors import EngineUnavailable
from sottovoce.inference.pool import MEDIA, Pool
from sottovoce.service.billing.credit_holds import CreditReservations
from sottovoce.service.context import RegionContext
from sottovoce.service.identity import api_keys
from sottovoce.service.identity.api_key_cache import ApiKeyCache
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.batched_reader import JobDataLoader
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.completion_waiter import CompletionWaiter
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.jobs.queue_estimate import QueueEstimator
from sottovoce.service.jobs.submission import JobSubmitter, RegionRef
from sottovoce.service.limits.quotas import Disk
from sottovoce.service.limits.rate_limiter import RateLimiter
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.plan import Plan
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.dbos_queue import DbosQueue
from sottovoce.service.storage import migrate
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.encryption import Encryptor, write_secret
from sottovoce.service.worker import start
from sottovoce.service.worker.periodic import PeriodicTask, Scheduler

_log = logging.getLogger(__name__)

NO_MODELS = "run `sottovoce models pull whisper-base`, or use engine auto"
READY_FOR = 1.0
READY_TIMEOUT = 5.0
"""Seconds that a look at the parts is good for, and that each part may take."""
INSPECTORS = 2
"""Processes that look at uploads: one hostile file shall not hold up everybody."""


class NotMigrated(Exception):
    """A database of the operator's own is not at the revision that this release needs."""


class Runtime:
    """Everything that a process of this server needs besides HTTP. `start` blocks; call it off the event loop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.metrics = Metrics()
        self.first_key: str | None = None
        self._undo = contextlib.ExitStack()
        self._looking = asyncio.Lock()
        self._looked: tuple[float, dict[str, bool]] = (-READY_FOR * 2, {})

    def start(self) -> None:
        """Build all parts; whatever was built is taken down again when a later part fails."""
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise

    def _start(self) -> None:
        plan, folder = self.plan, self.plan.folder
        folder.prepare()
        if plan.embedded:
            self._undo.callback(os.close, folder.lock())
            folder.wipe_scratch()
        self._check_control()
        self.control = self._database(plan.control_database_url, folder.control_database, migrate.CONTROL)
        self.database = self._database(plan.database_url, folder.region_database, migrate.REGION)
        self._first_key()
        key_file = plan.secrets_key_file or folder.secrets_key
        self.encryptor = Encryptor.open_file(key_file, create=plan.secrets_key_file is None)
        self.blobs = Blobs.open(plan.blob_url or f"file://{folder.blobs.resolve()}", plan.blob_options)
        self.api_key_cache = ApiKeyCache(self.control, time.monotonic, region=folder.region)
        batch = "batch" in plan.roles
        self.offers = CapabilityTable(registry.offered(plan.engine_config, plan.engine) if batch else ())
        if batch and not self.offers.engines:
            raise EngineUnavailable(f"engine {plan.engine} has nothing to recognise with: {NO_MODELS}", at=None)
        self.completion_waiter = CompletionWaiter(self.database)
        self.loader = JobDataLoader(self.database)
        self.queue_estimator = QueueEstimator(self.database, self.metrics, lease_ms=round(plan.lease * 1000))
        self.queue = DbosQueue(self.database)
        self._undo.callback(self.queue.close)
        self.deletion = JobDeletion(self.database, self.blobs, self.queue)
        send = plan.task_settings.send
        self.outbox = Outbox(self.encryptor, self.queue, send.tries, mails=send.smtp is not None)
        self.credit_reservations = CreditReservations(self.control, folder.region, plan.pricing)
        self.rates = RateLimiter(plan.rate_limits, self.database, self.metrics, time.monotonic)
        self.disk = Disk(root=self.blobs.root, reserve=plan.reserve) if self.blobs.root else None
        self.pool = Pool(plan.pool, plan.engine_config, slots=plan.slots)
        self._undo.callback(self.pool.close)
        if "api" in plan.roles:
            self.pool.prestart(MEDIA, INSPECTORS)
        region = self._region_context()
        self.submitter = JobSubmitter(
            region=region,
            place=RegionRef(region=folder.region, number=plan.region_number),
            pool=self.pool,
            offers=self.offers,
            queue_estimator=self.queue_estimator,
            quota=plan.quota,
            target=plan.queues[0],
            outbound=plan.task_settings.outbound,
            credit_reservations=self.credit_reservations,
            keep_ms=round(plan.keep * 1000),
        )
        tasks = self._start_worker(region) if batch else [self._capability_refresh()]
        # only a process that uses the buckets knows when one is full again
        if "api" in plan.roles and self.rates.shared:
            tasks.append(PeriodicTask(name="buckets", interval=3600.0, delay=60.0, do=self.rates.forget))
        scheduler = Scheduler([*tasks, self._queue_refresh()])
        scheduler.start()
        self._undo.callback(scheduler.close)

    def _region_context(self) -> RegionContext:
        return RegionContext(
            database=self.database,
            blobs=self.blobs,
            encryptor=self.encryptor,
            queue=self.queue,
            outbox=self.outbox,
            metrics=self.metrics,
            disk=self.disk,
        )

    def _start_worker(self, region: RegionContext) -> list[PeriodicTask]:
        worker = start.Worker(
            plan=self.plan,
            region=region,
            control=self.control,
            queue=self.queue,
            pool=self.pool,
            offers=self.offers,
            deletion=self.deletion,
        )
        self._undo.callback(worker.close)
        return worker.start()

    def _database(self, url: str | None, file: Path, branch: str) -> Database:
        database = Database(url or sqlite_url(file))
        self._undo.callback(database.close)
        if database.embedded:
            migrate.upgrade(database, branch)
            if branch == migrate.REGION:
                migrate.upgrade_queue(database)
            return database
        has, wants = migrate.current(database, branch)
        if has != wants:
            raise NotMigrated(
                f"the {branch} database is at revision {has}, this release needs {wants}: run `sottovoce migrate`"
            )
        return database

    def _check_control(self) -> None:
        """A region that was served before must not make a control database anew: its jobs would be nobody's, its keys worthless.

        Raises `FileNotFoundError`.
        """
        folder, ours = self.plan.folder, self.plan.embedded and self.plan.control_database_url is None
        if ours and folder.region_database.exists() and not folder.control_database.exists():
            raise FileNotFoundError(
                f"region {folder.region} has jobs, and {folder.control_database.name} with their owners is missing beside it: "
                "put it back (docs/backup.md)"
            )

    def _first_key(self) -> None:
        """On an empty control database: workspace, user 1 and a key, which is kept beside the data and shown once."""
        kept = self.plan.folder.api_key
        with self.control.writing() as connection:
            # a file without a workspace: the last start was killed between the two, and the file is what people read
            known = kept.read_text(encoding="utf-8").strip() if kept.exists() else ""
            secret = self.plan.first_key or known or api_keys.new_secret()
            if not api_keys.bootstrap(connection, secret):
                return
            if secret != known:
                kept.unlink(missing_ok=True)
                write_secret(kept, secret + "\n")
        self.first_key = secret

    def _capability_refresh(self) -> PeriodicTask:
        """What workers can do, learned from their rows; at once, for the first request."""

        async def learn() -> None:
            self.offers.engines = worker_registry.union(await self.database.read(worker_registry.seen))

        with self.database.reading() as connection:
            self.offers.engines = worker_registry.union(worker_registry.seen(connection))
        return PeriodicTask(name="capabilities", interval=self.plan.heartbeat, do=learn)

    def _queue_refresh(self) -> PeriodicTask:
        """The length of the queue and how long it will take, for metrics and for jobs that arrive."""
        return PeriodicTask(name="backlog", interval=self.plan.heartbeat, do=self.queue_estimator.refresh)

    async def fetched(self, job: model.Job) -> None:
        """The transcript of *job* is on its way to its owner: one that is kept until then may go."""
        keep = self.plan.keep * 1000 if job.keep_ms is None else job.keep_ms
        if keep == 0 and job.read_at is None:
            await self.database.write(lambda connection: repository.mark_read(connection, job.id))

    async def ready(self) -> dict[str, bool]:
        """What works now, looked at once a second at most: whoever asks more often, with no key, costs nothing."""
        async with self._looking:
            at, state = self._looked
            if time.monotonic() - at > READY_FOR:
                state = await self._look()
                self._looked = time.monotonic(), state
        return state

    async def _look(self) -> dict[str, bool]:
        """Whether the database and the blobs can be written, and the engine processes are up."""
        checks = {"database": self._can_write(), "blobs": asyncio.wait_for(self.blobs.check(), READY_TIMEOUT)}
        results = await asyncio.gather(*checks.values(), return_exceptions=True)
        state = {name: not isinstance(result, BaseException) for name, result in zip(checks, results, strict=True)}
        for name, result in zip(checks, results, strict=True):
            if isinstance(result, BaseException):
                _log.warning("not ready", extra={"part": name, "why": f"{type(result).__name__}: {result}"})
        return {**state, "engines": self.pool.alive()}

    async def _can_write(self) -> None:
        async with asyncio.timeout(READY_TIMEOUT):
            await self.database.write(repository.touch)

    def close(self) -> None:
        """Let running work end for a while, then take everything down."""
        self._undo.close()

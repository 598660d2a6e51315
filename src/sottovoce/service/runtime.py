"""Builds the parts of one region's server in order and closes them in reverse. Independent of settings and HTTP.

`Runtime` has, in order: `start` and the parts that it builds, the databases and the first API key, periodic tasks, and readiness.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections.abc import Awaitable
from pathlib import Path

from sottovoce.engines import registry
from sottovoce.engines.engine import EngineKey
from sottovoce.errors import EngineUnavailable
from sottovoce.inference.pool import MEDIA, Pool
from sottovoce.request import AudioFormat, AudioType, LiveRequest, OperatingPoint
from sottovoce.service.billing.credit_holds import CreditReservations
from sottovoce.service.context import RegionContext
from sottovoce.service.identity import api_keys, users
from sottovoce.service.identity.api_key_cache import ApiKeyCache
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.batched_reader import JobDataLoader
from sottovoce.service.jobs.capabilities import CapabilityTable, without_live
from sottovoce.service.jobs.completion_waiter import CompletionWaiter
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.jobs.queue_estimate import QueueEstimator
from sottovoce.service.jobs.submission import JobSubmitter, RegionRef
from sottovoce.service.large_work import LargeWork
from sottovoce.service.limits.live_sessions import RENEWAL, LiveSessions
from sottovoce.service.limits.quotas import Disk
from sottovoce.service.limits.rate_limiter import RateLimiter
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.plan import Plan
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.backend import open_queue, upgrade_tables
from sottovoce.service.queue.scheduler import PeriodicTask, Scheduler
from sottovoce.service.storage import key_check, lost_parts, migrate
from sottovoce.service.storage.ballast import Ballast
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Connection, Database, sqlite_url, typed_line, usable
from sottovoce.service.storage.encryption import Encryptor, write_secret
from sottovoce.service.worker import start

_log = logging.getLogger(__name__)

NO_MODELS = "run `sottovoce models pull whisper-base`, or use engine auto"
READY_FOR = 1.0
"""Seconds for which a result of the readiness check is cached."""
READY_TIMEOUT = 5.0
"""Seconds that the check of one part may take."""
INSPECTORS = 2
"""Processes that inspect uploads: two, so that one hostile file does not block all uploads. The second starts when it is needed."""


class NotMigrated(Exception):
    """An operator's database is not at the revision that this release needs."""


class Runtime:
    """All parts of a server process except HTTP. `start` blocks; call it outside the event loop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.metrics = Metrics()
        self.first_key: str | None = None
        self._undo = contextlib.ExitStack()
        self._ready_lock = asyncio.Lock()
        self._ready: tuple[float, dict[str, bool]] = (-READY_FOR * 2, {})

    def start(self) -> None:
        """Build all parts. If one fails, the parts built before are closed."""
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
        self._open_storage()
        self._first_key()
        self.api_key_cache = ApiKeyCache(self.control, time.monotonic, region=folder.region)
        self._offer_engines()
        self._open_services()
        self._start_work()

    def _offer_engines(self) -> None:
        """Decide which engines jobs and sessions of this process can use. Raises `EngineUnavailable` if it has the role `batch`
        and no engine has a model.
        """
        plan = self.plan
        batch = "batch" in plan.roles
        realtime = "realtime" in plan.roles
        here = registry.offered(plan.engine_config, plan.engine) if batch or realtime else ()
        # sessions run in this process's own engines; without them, no process may read from its row that they do
        self.live_offers = CapabilityTable(here if realtime else (), plan.domains)
        self.offers = CapabilityTable(
            (here if realtime else without_live(here)) if batch else (), plan.domains, plan.engine_config.stages
        )
        if batch and not self.offers.engines:
            raise EngineUnavailable(f"engine {plan.engine} has no usable model: {NO_MODELS}", at=None)

    def _open_services(self) -> None:
        """Make what requests and jobs share, above the databases."""
        plan, folder = self.plan, self.plan.folder
        self.large_work = LargeWork()
        self._undo.callback(self.large_work.close)
        self.completion_waiter = CompletionWaiter(self.database)
        self.loader = JobDataLoader(self.database)
        self.queue_estimator = QueueEstimator(self.database, self.metrics, lease_ms=round(plan.lease * 1000))
        self.queue = open_queue(self.database)
        self._undo.callback(self.queue.close)
        ballast = Ballast(folder.ballast) if plan.embedded else None
        if ballast is not None:
            ballast.restore()
        self.deletion = JobDeletion(self.database, self.blobs, self.queue, ballast)
        send = plan.task_settings.send
        self.outbox = Outbox(self.encryptor, self.queue, send.tries, mails=send.smtp is not None)
        self.credit_reservations = CreditReservations(self.control, folder.region, plan.pricing)
        self.rates = RateLimiter(plan.rate_limits, self.database, self.metrics, time.monotonic)
        self.live_sessions = LiveSessions(self.database, plan.live_quota)
        self.disk = Disk(root=self.blobs.root, reserve=plan.reserve) if self.blobs.root else None
        if self.no_room is not None:
            _log.warning("no room for media", extra={"why": self.no_room})
        self.pool = Pool(plan.pool, plan.engine_config, slots=plan.slots)
        self._undo.callback(self.pool.close)

    def _start_work(self) -> None:
        """Start the processes that recognise, the worker, and what is done at intervals."""
        plan, folder = self.plan, self.plan.folder
        if "api" in plan.roles:
            self.pool.prestart(MEDIA, INSPECTORS, at_once=plan.inspectors)
        self._warm_live()
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
            max_media=plan.engine_config.max_media,
        )
        tasks = self._start_worker(region) if "batch" in plan.roles else [self._capability_refresh()]
        # only a process that uses the buckets can detect which are full again and delete them
        if "api" in plan.roles and self.rates.shared:
            tasks.append(PeriodicTask(name="buckets", interval=3600.0, delay=60.0, do=self.rates.forget))
        if "realtime" in plan.roles:
            tasks.append(PeriodicTask(name="live sessions", interval=RENEWAL, do=self.live_sessions.renew))
        scheduler = Scheduler([*tasks, self._queue_refresh()], self.database, self.metrics)
        scheduler.start()
        self._undo.callback(scheduler.close)

    def _open_storage(self) -> None:
        """Open the keys, the databases and the blob store. Raises `PartLost` and `DatabaseUnusable`."""
        plan, folder, anew = self.plan, self.plan.folder, self.plan.begin_anew
        lost_parts.check_files(
            folder,
            control=plan.control_database_url is None and plan.embedded,
            region=plan.embedded,
            key=plan.secrets_key_file is None,
            anew=anew,
        )
        key_file = plan.secrets_key_file or folder.secrets_key
        # before the databases: a start that is killed in between leaves keys without values, not values without keys
        self.encryptor = Encryptor.open_file(key_file, create=plan.secrets_key_file is None)
        self.blobs = Blobs.open(plan.blob_url or f"file://{folder.blobs.resolve()}", plan.blob_options)
        self.control = self._database(plan.control_database_url, folder.control_database, migrate.CONTROL)
        self.database = self._database(plan.database_url, folder.region_database, migrate.REGION)
        # without a URL, each process of a fleet makes a control database of its own
        shared = plan.embedded or plan.control_database_url is not None
        lost_parts.check_rows(
            control=self.control if shared else None, region=self.database, blobs=self.blobs, anew=anew
        )
        if not lost_parts.check_keys(self.database, self.encryptor, key_file, anew):
            _log.warning("stored configs cannot be decrypted", extra={"file": key_file.name})

    def _warm_live(self) -> None:
        """Start every recogniser that a session may get: a client waits 5 s for RecognitionStarted (contract `realtime.md` §3)."""
        live = self.live_offers.live
        languages = sorted(
            {code for engine in live for code in engine.languages}, key=lambda code: (code != "en", code)
        )
        keys: dict[EngineKey, None] = {}
        for language, point in itertools.product(languages, OperatingPoint):
            with contextlib.suppress(EngineUnavailable):  # an engine may have one operating point only
                request = LiveRequest(language=language, audio=AudioFormat(type=AudioType.FILE), operating_point=point)
                best = self.live_offers.resolve_live(request)
                smaller = self.live_offers.smaller_live(request, best) if self.plan.smaller_live else ()
                keys |= dict.fromkeys(choice.key for choice in (best, *smaller))
        for key in keys:
            self.pool.prestart_live(key)
            cost = self.pool.live_load().costs.get(key)
            cores = None if cost is None else round(cost, 2)
            _log.info(
                "live engine ready", extra={"engine": key.engine, "model": key.model, "cores_of_a_session": cores}
            )

    def _region_context(self) -> RegionContext:
        return RegionContext(
            database=self.database,
            blobs=self.blobs,
            encryptor=self.encryptor,
            queue=self.queue,
            outbox=self.outbox,
            metrics=self.metrics,
            keep_ms=round(self.plan.keep * 1000),
            disk=self.disk,
            large_work=self.large_work,
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
            job_ended=self.completion_waiter.look_now,
        )
        self._undo.callback(worker.close)
        return worker.start()

    def _database(self, url: str | None, file: Path, branch: str) -> Database:
        database = Database(url or sqlite_url(file))
        self._undo.callback(database.close)
        with usable(database, branch):
            if database.embedded:
                migrate.upgrade(database, branch)
                if branch == migrate.REGION:
                    upgrade_tables(database)
                return database
            has, wants = migrate.current(database, branch)
        if has != wants:
            raise NotMigrated(
                f"the {branch} database is at revision {has}, this release needs {wants}: run `sottovoce migrate`"
            )
        return database

    def _first_key(self) -> None:
        """In an empty control database, create a workspace, user 1 and an API key, stored in the data folder and shown once.

        Give user 1 the operator's address, if there is one and the user has none.
        """
        file = self.plan.folder.api_key
        with self.control.writing() as connection:
            # a file without a workspace: the last start was killed in between; keep its key, because people may have read it
            stored = file.read_text(encoding="utf-8").strip() if file.exists() else ""
            secret = self.plan.first_key or stored or api_keys.new_secret()
            made = api_keys.bootstrap(connection, secret)
            if self.plan.owner_email is not None:
                users.give_owner_email(connection, self.plan.owner_email)
            if not made:
                return
            if secret != stored:
                file.unlink(missing_ok=True)
                write_secret(file, secret + "\n")
        self.first_key = secret

    def _capability_refresh(self) -> PeriodicTask:
        """The task that reads the capabilities from the workers' rows. Reads them once now, for the first request."""

        async def refresh() -> None:
            self.offers.engines = worker_registry.union(await self.database.read(worker_registry.seen))

        with self.database.reading() as connection:
            self.offers.engines = worker_registry.union(worker_registry.seen(connection))
        return PeriodicTask(name="capabilities", interval=self.plan.heartbeat, do=refresh)

    def _queue_refresh(self) -> PeriodicTask:
        """The task that refreshes the queue estimate, for metrics and for the logs of new jobs."""
        return PeriodicTask(name="backlog", interval=self.plan.heartbeat, do=self.queue_estimator.refresh)

    async def fetched(self, job: model.Job) -> None:
        """Record that the owner fetched the transcript of *job*, if the job is kept only until then."""
        keep = self.plan.keep * 1000 if job.keep_ms is None else job.keep_ms
        if keep == 0 and job.read_at is None:
            await self.database.write(lambda connection: repository.mark_read(connection, job.id))

    @property
    def no_room(self) -> str | None:
        """Why this process refuses every upload for the reserve of the disk; `None` if it takes them, or takes none at all."""
        return self.disk.full if self.disk is not None and "api" in self.plan.roles else None

    async def ready(self) -> dict[str, bool]:
        """The readiness of each part. The result is cached for 1 s, because requests without a key may call it at any rate."""
        async with self._ready_lock:
            at, state = self._ready
            if time.monotonic() - at > READY_FOR:
                state = await self._check_parts()
                self._ready = time.monotonic(), state
        return state

    async def _check_parts(self) -> dict[str, bool]:
        """Check the database, the blob store, the keys, the room on the disk, and the engine processes."""
        blobs = asyncio.wait_for(self.blobs.check(), READY_TIMEOUT)
        database, store = await asyncio.gather(_fault_of(self._can_write()), _fault_of(blobs))
        faults: dict[str, str | None] = {"database": database, "blobs": store}
        faults["keys"] = None if faults["database"] else await _fault_of(self._check_keys())
        faults["disk"] = await _fault_of(asyncio.to_thread(self._check_room))
        for name, why in faults.items():
            if why is not None:
                _log.warning("not ready", extra={"part": name, "why": why})
        return {**{name: why is None for name, why in faults.items()}, "engines": self.pool.alive()}

    def _check_room(self) -> None:
        """Raise `ValueError` if every upload is refused for the reserve of the disk."""
        if (why := self.no_room) is not None:
            raise ValueError(why)

    async def _check_keys(self) -> None:
        """Raise `ValueError` if no key decrypts the newest configs, unless the operator has accepted that."""

        def readable(connection: Connection) -> bool:
            return key_check.opens(connection, self.encryptor) or key_check.is_accepted(connection, self.encryptor)

        async with asyncio.timeout(READY_TIMEOUT):
            if not await self.database.read(readable):
                raise ValueError("no key of the file of keys decrypts the newest configs; put the right file back")

    async def _can_write(self) -> None:
        async with asyncio.timeout(READY_TIMEOUT):
            await self.database.write(repository.touch)

    def close(self) -> None:
        """Drain running work, then close all parts."""
        self._undo.close()


async def _fault_of(check: Awaitable[object]) -> str | None:
    """Why *check* fails; `None` if it passes."""
    try:
        await check
    except Exception as error:  # noqa: BLE001 - the check of a part fails with any error of its library
        return typed_line(error)
    return None

"""The parts of one region's server, built in order and taken down in reverse. Knows no settings and no HTTP."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from sottovoce.engines import registry
from sottovoce.engines.config import Setup
from sottovoce.errors import EngineUnavailable
from sottovoce.inference import messages as m
from sottovoce.inference.pool import MEDIA, Pool, PoolPolicy
from sottovoce.outbound import Outbound
from sottovoce.request import OperatingPoint
from sottovoce.service.billing.credit_holds import Cashier, Tariff
from sottovoce.service.billing.settlement import Settler
from sottovoce.service.billing.usage import Bookkeeper
from sottovoce.service.identity import api_keys
from sottovoce.service.identity.api_key_cache import Keyring
from sottovoce.service.identity.projects import Clearing
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.batched_reader import Loader
from sottovoce.service.jobs.capabilities import Offers
from sottovoce.service.jobs.completion_waiter import Watcher
from sottovoce.service.jobs.deletion import Removal
from sottovoce.service.jobs.queue_estimate import Backlog
from sottovoce.service.jobs.submission import Intake, Place
from sottovoce.service.limits.quotas import Disk, Paces, Quota
from sottovoce.service.limits.rate_limiter import Rates
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.dbos_queue import BATCH, DbosQueue, DbosWorker, Errand, Hands
from sottovoce.service.queue.interval_lock import Turns
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.sweep import Retention, RetentionPolicy, Timetable
from sottovoce.service.storage import migrate
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.encryption import Vault, write_secret
from sottovoce.service.storage.s3_multipart import Bucket
from sottovoce.service.worker import attempt_tasks as errands
from sottovoce.service.worker.attempt_reaper import ErrandReaper
from sottovoce.service.worker.attempt_tasks import ErrandPlan, Means
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy
from sottovoce.service.worker.job_runner import JobRunner, WorkPolicy
from sottovoce.service.worker.periodic import Chore, Housekeeper

_log = logging.getLogger(__name__)

NO_MODELS = "run `sottovoce models pull whisper-base`, or use engine auto"
READY_FOR = 1.0
READY_TIMEOUT = 5.0
"""Seconds that a look at the parts is good for, and that each part may take."""
SETTLING = 2.0
"""Seconds between looks for jobs that ended and are still to be paid for, or paid back."""
COPYING = 5.0
"""Seconds between looks for usage that the control database has no copy of."""
LOOKERS = 2
"""Processes that look at uploads: one hostile file shall not hold up everybody."""

EMBEDDED_EXECUTOR = "embedded"
"""The executor id of a server that holds its folder's lock: constant, so that a restart recovers its own jobs at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to build. URLs that are `None` mean the embedded default in *folder*."""

    folder: DataFolder
    region_number: int
    roles: frozenset[str]
    database_url: str | None = None
    control_database_url: str | None = None
    blob_url: str | None = None
    blob_options: Mapping[str, str] = field(default_factory=dict)
    secrets_key_file: Path | None = None
    first_key: str | None = None
    engine: str = "auto"
    setup: Setup = field(default_factory=Setup)
    slots: int = 1
    poll: float = 0.1
    drain: float = 20.0
    pool: PoolPolicy = field(default_factory=PoolPolicy)
    lease: float = 10.0
    heartbeat: float = 2.0
    max_failures: int = 3
    keep: float = 7 * 86_400.0
    queues: tuple[str, ...] = (BATCH,)
    sweep: float = 3600.0
    retention: float = 60.0
    tombstones: float = 30 * 86_400.0
    quota: Quota = field(default_factory=Quota)
    reserve: int = 1 << 30
    errands: ErrandPlan = field(default_factory=ErrandPlan)
    tariff: Tariff = field(default_factory=Tariff)
    paces: Paces = field(default_factory=Paces)
    slow_after: float = 1800.0

    @property
    def embedded(self) -> bool:
        """Whether jobs live in the folder, which then belongs to one server at a time."""
        return self.database_url is None


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
        self.vault = Vault.open_file(key_file, create=plan.secrets_key_file is None)
        self.blobs = Blobs.open(plan.blob_url or f"file://{folder.blobs.resolve()}", plan.blob_options)
        self.keyring = Keyring(self.control, time.monotonic, region=folder.region)
        batch = "batch" in plan.roles
        self.offers = Offers(registry.offered(plan.setup, plan.engine) if batch else ())
        if batch and not self.offers.engines:
            raise EngineUnavailable(f"engine {plan.engine} has nothing to recognise with: {NO_MODELS}", at=None)
        self.watcher = Watcher(self.database)
        self.loader = Loader(self.database)
        self.backlog = Backlog(self.database, self.metrics, lease_ms=round(plan.lease * 1000))
        self.queue = DbosQueue(self.database)
        self._undo.callback(self.queue.close)
        self.removal = Removal(self.database, self.blobs, self.queue)
        send = plan.errands.send
        self.outbox = Outbox(self.vault, self.queue, send.tries, mails=send.smtp is not None)
        self.cashier = Cashier(self.control, folder.region, plan.tariff)
        self.rates = Rates(plan.paces, self.database, self.metrics, time.monotonic)
        self.disk = Disk(root=self.blobs.root, reserve=plan.reserve) if self.blobs.root else None
        self.pool = Pool(plan.pool, plan.setup, slots=plan.slots)
        self._undo.callback(self.pool.close)
        if "api" in plan.roles:
            self.pool.warm(MEDIA, LOOKERS)
        self.intake = Intake(
            place=Place(region=folder.region, number=plan.region_number),
            database=self.database,
            blobs=self.blobs,
            vault=self.vault,
            queue=self.queue,
            pool=self.pool,
            offers=self.offers,
            metrics=self.metrics,
            backlog=self.backlog,
            quota=plan.quota,
            disk=self.disk,
            target=plan.queues[0],
            outbound=plan.errands.outbound,
            cashier=self.cashier,
            outbox=self.outbox,
            keep_ms=round(plan.keep * 1000),
        )
        chores = self._start_worker() if batch else [self._learning()]
        if "api" in plan.roles and self.rates.shared:  # who counts knows when a bucket is full again
            chores.append(Chore(name="buckets", interval=3600.0, delay=60.0, do=self.rates.forget))
        housekeeper = Housekeeper([*chores, self._counting()])
        housekeeper.start()
        self._undo.callback(housekeeper.close)

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

    def _start_worker(self) -> list[Chore]:
        """Warm engines, take work, and say so; what is to be done again and again from now on."""
        plan = self.plan
        if self.offers.engines:  # the one that most jobs will want; others start when the first job wants them
            known = self.offers.languages
            choice = registry.choose("en" if "en" in known else known[0], OperatingPoint.STANDARD, self.offers.engines)
            self.pool.warm(m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device), plan.slots)
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
        runner = JobRunner(
            database=self.database,
            blobs=self.blobs,
            vault=self.vault,
            pool=self.pool,
            offered=self.offers,
            metrics=self.metrics,
            outbox=self.outbox,
            policy=policy,
        )
        beat = partial(worker_registry.beat, worker_id=owner, capabilities=self.offers.engines, slots=plan.slots)
        with self.database.writing() as connection:
            beat(connection)
        self._undo.callback(self._leave, owner)
        worker = DbosWorker(
            self.database,
            executor=owner,
            slots=plan.slots,
            poll=plan.poll,
            queues=plan.queues,
            steps=(runner.work, runner.publish),
            errands=self._errands(),
        )
        self._undo.callback(worker.drain, plan.drain)
        worker.launch()
        return [
            Chore(name="heartbeat", interval=plan.heartbeat, do=partial(self.database.write, beat)),
            *self._reaping(),
        ]

    def _errands(self) -> Mapping[Errand, Hands]:
        """Deliveries and fetches: what a worker does out in the world."""
        outbound = Outbound(self.plan.errands.outbound)
        self._undo.callback(_close, outbound)
        means = Means(
            database=self.database,
            blobs=self.blobs,
            vault=self.vault,
            queue=self.queue,
            outbox=self.outbox,
            outbound=outbound,
            metrics=self.metrics,
            disk=self.disk,
        )
        sweeps = Hands(attempt=self._retention().attempt, slots=1, alone=True)
        return {**errands.hands(means, self.plan.errands), Errand.RETENTION: sweeps}

    def _retention(self) -> Retention:
        plan = self.plan
        url = plan.blob_url or ""
        bucket = Bucket(url, plan.blob_options) if url.startswith("s3://") else None
        return Retention(
            database=self.database,
            blobs=self.blobs,
            queue=self.queue,
            removal=self.removal,
            sweeper=Sweeper(self.database, self.blobs, bucket),
            metrics=self.metrics,
            policy=RetentionPolicy(keep_ms=round(plan.keep * 1000), tombstone_ms=round(plan.tombstones * 1000)),
            scratch=plan.folder.scratch if plan.embedded else None,
            thorough_every=plan.sweep,
        )

    def _scratch(self, owner: str) -> Path:
        """Where this worker puts files: the region's folder for an embedded server, else a part that is its own."""
        folder = self.plan.folder
        if self.plan.embedded:
            return folder.scratch
        place, descriptor = folder.own_scratch(owner)
        self._undo.callback(os.close, descriptor)
        self._undo.callback(shutil.rmtree, place, ignore_errors=True)
        return place

    def _leave(self, owner: str) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError), self.database.writing() as connection:
            worker_registry.leave(connection, owner)

    def _reaping(self) -> list[Chore]:
        """The region's reaper and sweeper, in whichever worker has the turn."""
        plan = self.plan
        lease_ms = round(plan.lease * 1000)
        policy = ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms)
        reaper = Reaper(self.database, self.queue, self.metrics, policy)
        errand_reaper = ErrandReaper(self.database, self.queue, policy)
        timetable = Timetable(self.database, self.queue, plan.retention)

        def in_turn(name: str, interval: float, delay: float, do: Callable[[], Awaitable[object]]) -> Chore:
            turns = Turns(self.database, name, interval)

            async def done() -> None:
                if await turns.mine():
                    await do()

            return Chore(name=name, interval=interval, delay=delay, do=done)

        # not at once: what this process recovers itself at its start shall have claimed its jobs again by then
        return [
            in_turn("reaper", plan.lease / 2, plan.lease, reaper.tick),
            in_turn("errand reaper", plan.lease / 2, plan.lease, errand_reaper.tick),
            in_turn(
                "credits", SETTLING, 0.0, Settler(self.control, self.database, plan.folder.region, plan.tariff).tick
            ),
            in_turn("retention", plan.retention, plan.lease, timetable.tick),
            in_turn("usage", COPYING, 0.0, Bookkeeper(self.control, self.database, plan.folder.region).tick),
            in_turn("deleted projects", 300.0, 60.0, Clearing(self.control, self.database, self.removal).tick),
        ]

    def _learning(self) -> Chore:
        """What workers can do, learned from their rows; at once, for the first request."""

        async def learn() -> None:
            self.offers.engines = worker_registry.union(await self.database.read(worker_registry.seen))

        with self.database.reading() as connection:
            self.offers.engines = worker_registry.union(worker_registry.seen(connection))
        return Chore(name="capabilities", interval=self.plan.heartbeat, do=learn)

    def _counting(self) -> Chore:
        """The length of the queue and how long it will take, for metrics and for jobs that arrive."""
        return Chore(name="backlog", interval=self.plan.heartbeat, do=self.backlog.refresh)

    async def fetched(self, job: repository.Job) -> None:
        """The transcript of *job* is on its way to its owner: one that is kept until then may go."""
        keep = self.plan.keep * 1000 if job.keep_ms is None else job.keep_ms
        if keep == 0 and job.read_at is None:
            await self.database.write(lambda connection: repository.fetched(connection, job.id))

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


def _close(outbound: Outbound) -> None:
    """Let go of *outbound* after its worker has drained; what is cut off now is attempted again after the next start."""
    with contextlib.suppress(Exception):  # its loop has ended: what was open on it goes with the process
        asyncio.run(outbound.aclose())

"""The processes of a round of faults, and the harness's own access to their database, blobs and logs."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import sqlalchemy as sa

from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.queue.backend import open_queue
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.s3_multipart import MultipartUploads
from tests import prefork, sleeper
from tests.backends import S3, Postgres, fleet_environment
from tests.chaos import media
from tests.chaos.proxy import Proxy
from tests.servers import PATIENCE, NewProcess, Server, Worker, files, whole_lines

T = TypeVar("T")
LEASE = 2.0
HEARTBEAT = 0.4
HEAD_TIMEOUT, TRANSFER_TIMEOUT = 3, 6
"""Seconds, longer than all pauses of the harness's own clients."""
PER_ADDRESS = 40
MAX_MEDIA_HOURS = 0.2
"""More than the media of a thorough run has."""
SITE = Path(__file__).resolve().parent / "site"
FACTOR = 0.1
"""Seconds that the engine sleeps for a second of speech."""


def soon(look: Callable[[], T | None], what: str, patience: float = PATIENCE, pause: float = 0.002) -> T:
    """The first truthy answer of *look*, polled every *pause* seconds to catch a short moment."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    raise AssertionError(f"no {what} within {patience:.0f} s")


class _NewWorker(NewProcess, Worker):
    """A worker with a new interpreter."""


class Log:
    """The log lines of one process, with all its restarts, since the round began."""

    def __init__(self, server: Server) -> None:
        self._path = server.log
        self._from = len(whole_lines(server.log.read_bytes())) if server.log.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        """Every whole line; one that is not JSON becomes an event `not a log line`."""
        with self._path.open("rb") as file:
            file.seek(self._from)
            return [_parsed(line) for line in whole_lines(file.read()).splitlines()]


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"event": "not a log line", "level": "error", "text": line.decode("utf-8", "replace")[:500]}


class World:
    """A server with its workers. *api* takes jobs, *workers* do them; embedded, they are one process.

    *forked*: its processes are forked from one that has made the imports (`tests/prefork.py`); else they are new interpreters, as
    an operator starts them.
    """

    backend = ""

    def __init__(self, home: Path, *, forked: bool = False) -> None:
        self.home = home
        self.forked = forked
        self._server: type[Server] = Server if forked else NewProcess
        self._worker: type[Server] = Worker if forked else _NewWorker
        self.mark = uuid4().hex
        self.media = media.make(home / "media")
        self.known: set[str] = set()  # every job that was acknowledged or found by its key
        self._clock = home / "clock"
        self._clock.write_bytes(bytes(8))
        self._undo = contextlib.ExitStack()
        self.long: media.Media | None = None
        self.totals: Counter[str] = Counter()

    # made by the backends
    api: Server
    workers: list[Server]
    database: Database
    blobs: Blobs
    bucket: MultipartUploads | None = None
    proxy: Proxy | None = None
    postgres: Postgres | None = None

    def environment(self) -> dict[str, str]:
        """The environment of every process of the world."""
        mine = {
            "SOTTOVOCE_LEASE": str(LEASE),
            "SOTTOVOCE_HEARTBEAT": str(HEARTBEAT),
            "SOTTOVOCE_RESERVE_BYTES": "0",
            "SOTTOVOCE_HEAD_TIMEOUT": str(HEAD_TIMEOUT),
            "SOTTOVOCE_TRANSFER_TIMEOUT": str(TRANSFER_TIMEOUT),
            "SOTTOVOCE_MAX_CONNECTIONS_PER_ADDRESS": str(PER_ADDRESS),
            "SOTTOVOCE_MAX_MEDIA_HOURS": str(MAX_MEDIA_HOURS),
            "CHAOS_MARK": self.mark,
            "CHAOS_CLOCK": str(self._clock),
            **sleeper.environment(FACTOR),
        }
        path = [str(SITE), str(sleeper.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return mine | {"PYTHONPATH": os.pathsep.join(path)}

    def run(self, *arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, with *env* in place of the settings of this process."""
        whole = prefork.bare() | env
        if self.forked:
            return prefork.run(*arguments, env=whole, timeout=PATIENCE)
        command = [sys.executable, "-m", "sottovoce.cli", *arguments]
        return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=PATIENCE)

    def start_module(self, module: str, *arguments: str) -> "subprocess.Popen[bytes] | prefork.Process":
        """Run a module of the harness in a process of its own."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        if not self.forked:
            return subprocess.Popen([sys.executable, "-m", module, *arguments], env=env)
        with Path(os.devnull).open("r+b") as nothing, (self.home / "modules.log").open("ab") as log:
            return prefork.Process(["-m", module, *arguments], env=env, files=(nothing, nothing, log))

    @property
    def servers(self) -> list[Server]:
        """Every process once."""
        return [self.api, *(worker for worker in self.workers if worker is not self.api)]

    def __enter__(self) -> Self:
        try:
            self._build()
            self.queue = open_queue(self.database)
            self._undo.callback(self._disconnect)
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self._undo.close()

    def _build(self) -> None:
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Close the harness's own connections."""
        self.queue.close()
        self.database.close()

    def _start(self, server: Server) -> Server:
        self._undo.callback(server.kill)
        server.start()
        return server

    def jump(self, seconds: int) -> None:
        """Set the clocks of all processes ahead by *seconds*."""
        with self._clock.open("r+b") as file:  # in place: a shorter file would kill the processes that map it
            file.write(struct.pack("<q", seconds))

    def heal(self) -> None:
        """Continue, repair or restart everything that was stopped, broken or killed."""
        self.jump(0)
        if self.proxy:
            self.proxy.heal()
        for server in self.servers:
            if server.process and server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
            else:
                server.kill()  # reaps it
                server.start()

    # ── inspection ──

    def row(self, job_id: str) -> Job | None:
        """The job's row now."""
        with self.database.reading() as connection:
            return repository.get(connection, job_id)

    def ids(self) -> set[str]:
        """Every job that has a row."""
        with self.database.reading() as connection:
            return set(connection.execute(sa.select(t.jobs.c.id)).scalars())

    def by_key(self, key: str) -> str | None:
        """The job that was made under an idempotency key."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(t.jobs.c.id).where(t.jobs.c.idempotency_key == key)).scalar()

    def keys(self, job_id: str) -> list[str]:
        """The blobs of a job."""
        return asyncio.run(self.blobs.keys(f"jobs/{job_id}/"))

    def all_keys(self) -> list[str]:
        """The blobs of all jobs."""
        return asyncio.run(self.blobs.keys("jobs/"))

    def blob(self, key: str) -> bytes:
        """A blob's bytes."""
        return asyncio.run(self.blobs.get(key))

    def sweep(self) -> int:
        """Run the hourly sweep without its day of grace; return the number of removed objects."""
        return asyncio.run(Sweeper(self.database, self.blobs, self.bucket, grace=0.0).sweep())

    def pids(self) -> dict[int, int]:
        """Every process that descends from ours, found by its mark, with its parent.

        A forked process has the environment of the process that forked it in `/proc`, but has the world's clock in its memory.
        """
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if entry.name.isdigit() and self._is_ours(entry):
                    found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        return found

    def _is_ours(self, entry: Path) -> bool:
        environment = (entry / "environ").read_bytes()
        if f"CHAOS_MARK={self.mark}".encode() in environment.split(b"\0"):
            return True
        return b"tests.prefork" in (entry / "cmdline").read_bytes() and str(self._clock) in (entry / "maps").read_text()

    def strays(self) -> list[int]:
        """Marked processes that no running server of ours has started."""
        pids = self.pids()
        own = {server.process.pid for server in self.servers if server.process}
        return [pid for pid, parent in pids.items() if pid not in own and parent not in own]

    @contextlib.contextmanager
    def frozen(self, job_id: str) -> Iterator[None]:
        """Lock the job's row against changes while the context is open."""
        yield
        raise NotImplementedError


class Embedded(World):
    """`sottovoce serve` on SQLite and a folder."""

    backend = "sqlite"

    def _build(self) -> None:
        self.api = self._start(self._server(self.home / "server", **self.environment()))
        self.workers = [self.api]
        self.region = self.api.data / "eu1"
        self.database = Database(sqlite_url(self.region / "region.db"))
        self.blobs = Blobs.open(f"file://{self.region / 'blobs'}", {})

    @contextlib.contextmanager
    def disconnected(self) -> Iterator[None]:
        """Close the harness's own connections while the context is open; the last one to close empties the write-ahead log."""
        self._disconnect()
        try:
            yield
        finally:
            self.database = Database(sqlite_url(self.region / "region.db"))
            self.queue = open_queue(self.database)

    def keys(self, job_id: str) -> list[str]:
        """Read from the folder: quicker than through the store."""
        root = self.region / "blobs"
        return sorted(str(path.relative_to(root)) for path in files(root / "jobs" / job_id))

    @contextlib.contextmanager
    def frozen(self, job_id: str) -> Iterator[None]:
        """Hold SQLite's only write lock."""
        connection = sqlite3.connect(self.region / "region.db", timeout=PATIENCE, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()


class Fleet(World):
    """One `serve --roles api` and two workers on PostgreSQL and S3, the latter behind a proxy."""

    backend = "fleet"

    def _build(self) -> None:
        self.postgres = self._undo.enter_context(Postgres(fsync=False))
        self.s3 = self._undo.enter_context(S3())
        self.proxy = Proxy(self.s3.port)
        self._undo.callback(self.proxy.close)
        fleet = fleet_environment(self.postgres, self.s3, self.home, "chaos", self.proxy.endpoint)
        self.url = fleet["SOTTOVOCE_DATABASE_URL"]
        environment = fleet | self.environment()
        self.workers = [self._start(self._worker(self.home / name, **environment)) for name in ("first", "second")]
        self.api = self._start(self._server(self.home / "api", SOTTOVOCE_ROLES="api", **environment))
        self.database = Database(self.url)
        options = json.loads(fleet["SOTTOVOCE_BLOB_OPTIONS"]) | {"endpoint": self.s3.endpoint}
        self.blobs = Blobs.open(fleet["SOTTOVOCE_BLOB_URL"], options)
        self.bucket = MultipartUploads(fleet["SOTTOVOCE_BLOB_URL"], options)

    @contextlib.contextmanager
    def frozen(self, job_id: str) -> Iterator[None]:
        """Lock the job's row."""
        with self.database.writing() as connection:
            # FOR NO KEY UPDATE: allows new lines in the job's log, whose foreign key locks the row
            connection.execute(sa.select(t.jobs.c.id).where(t.jobs.c.id == job_id).with_for_update(key_share=True))
            yield


WORLDS: dict[str, type[World]] = {"sqlite": Embedded, "fleet": Fleet}

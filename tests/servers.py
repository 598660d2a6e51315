"""Real server processes for tests: start, wait, kill and inspect them."""

import asyncio
import contextlib
import functools
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from tests import prefork, prefork_children, remembered
from tests.prefork import Process

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
CONFIG = {"type": "transcription", "transcription_config": {"language": "en"}}
DEFAULTS = {
    "SOTTOVOCE_DRAIN_TIMEOUT": "1",
    "SOTTOVOCE_SLOTS": "1",
    "SOTTOVOCE_ROLES": "api,batch",  # realtime starts recognisers of its own
    "SOTTOVOCE_POLL_INTERVAL": "0.25",
    "SOTTOVOCE_PASSWORD_MEMORY_KIB": "32",
    "SOTTOVOCE_UNSAFE_PASSWORD_HASHES": "true",
}
"""Settings of every server that its test does not set."""
PATIENCE = 120.0
"""A deadline against a hang; no test is about speed."""


@functools.cache
def tls() -> ssl.SSLContext:
    """The argument *verify* of HTTP clients in tests. By default each client reads the certificates of all authorities, which
    takes 25 ms of processor, also for addresses without TLS.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def until(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """The first truthy answer of *look*."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {patience:.0f} s")


def whole_lines(text: bytes) -> bytes:
    """*text* without an unfinished last line."""
    return text[: text.rfind(b"\n") + 1]


def files(folder: Path) -> list[Path]:
    """Every file below *folder*; unlike `rglob` it tolerates folders that disappear meanwhile."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every regular file below *folder* with its bytes, but for those that a running server removes meanwhile."""
    for path in files(folder):
        if path.is_file():
            with contextlib.suppress(FileNotFoundError):
                yield path, path.read_bytes()


class Server:
    """`sottovoce serve` on a free port with a data folder below *home*. *FORKED*: the imports are made already (`prefork`)."""

    FORKED = True
    COMMAND: tuple[str, ...] = ("serve", "--port", "0")
    LISTENS = r"listening on (\S+)"

    def __init__(self, home: Path, **environment: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.data = home / "data"
        self.home = home
        self.environment = environment
        self.process: subprocess.Popen[bytes] | Process | None = None
        self.url = ""
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._starts += 1
        environment = prefork.bare() | DEFAULTS | remembered.environment() | self.environment
        path = [self.environment.get("PYTHONPATH"), str(ROOT), os.environ.get("PYTHONPATH")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        if self.FORKED and not self.data.exists():
            self._make_databases()
        arguments = [*self.COMMAND, "--data-dir", str(self.data)]
        with self.log.open("ab") as log, self.out.open("wb") as out, Path(os.devnull).open("rb") as nothing:
            if self.FORKED:
                self.process = Process(arguments, env=environment, cwd=self.home, files=(nothing, out, log))
            else:
                command = [sys.executable, "-m", "sottovoce.cli", *arguments]
                self.process = subprocess.Popen(command, stdout=out, stderr=log, env=environment, cwd=self.home)
        self.url = until(self._listening, "listening server")

    def _make_databases(self) -> None:
        """Put migrated databases where the server would make them, unless it has others."""
        from tests import databases

        databases.make_embedded(
            self.data,
            control="SOTTOVOCE_CONTROL_DATABASE_URL" not in self.environment,
            region="SOTTOVOCE_DATABASE_URL" not in self.environment,
        )

    def _listening(self) -> str | None:
        if self.process and self.process.poll() is not None:
            raise AssertionError(f"server ended: {self.log.read_text()[-3000:]}")
        found = re.search(self.LISTENS, self.out.read_text())
        return found.group(1) if found else None

    @property
    def log(self) -> Path:
        """Its log of all starts."""
        return self.home / "log.jsonl"

    @property
    def out(self) -> Path:
        """Standard output of the latest start."""
        return self.home / f"out-{self._starts}.txt"

    def lines(self) -> list[dict[str, Any]]:
        """Every complete line of the log; all must be JSON."""
        return [json.loads(line) for line in whole_lines(self.log.read_bytes()).splitlines()]

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines about *event*."""
        return [line for line in self.lines() if line["event"] == event]

    @property
    def key(self) -> str:
        """The first API key."""
        return self.environment.get("SOTTOVOCE_API_KEY") or (self.data / "api-key").read_text().strip()

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, verify=tls(), **options)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command beside the server, with its data folder and its settings."""
        return prefork.run(*arguments, "--data-dir", str(self.data), env=prefork.bare() | self.environment)

    def told(self, *arguments: str) -> str:
        """The output of a command beside the server, which must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self) -> None:
        """kill -9; removes an incomplete last line from the log."""
        if self.process:
            self.process.kill()
            self.process.wait()
            os.truncate(self.log, len(whole_lines(self.log.read_bytes())))

    def stop(self) -> None:
        """SIGTERM. Fails if the process does not end; its threads are then in the log."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGABRT)
                self.process.wait(PATIENCE)
                raise AssertionError(f"SIGTERM did not end the server: {self.log.read_text()[-8000:]}") from None
        self.kill()

    def submit(self, audio: Path, config: dict[str, Any] | None = None, **headers: str) -> str:
        """The id of a new job for *audio*."""
        with self.client() as client, audio.open("rb") as file:
            answer = client.post(
                "/v2/jobs",
                data={"config": json.dumps(config or CONFIG)},
                files={"data_file": (audio.name, file)},
                headers=headers,
            )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job object."""
        with self.client() as client:
            answer = client.get(f"/v2/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["job"])

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job object once it is no longer running."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] != "running" else None

        return until(ended, "end of the job")

    def transcript(self, job_id: str, form: str = "json-v2") -> Any:
        """The transcript as JSON or text."""
        with self.client() as client:
            answer = client.get(f"/v2/jobs/{job_id}/transcript", params={"format": form})
        assert answer.status_code == 200, answer.text
        return answer.json() if form == "json-v2" else answer.text

    def children(self) -> list[int]:
        """Process ids of the running engine processes."""
        if not self.process:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, IndexError, ValueError):
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                state, parent = rest.split()[:2]
                if int(parent) == self.process.pid and state != "Z" and name != prefork_children.NAME:
                    found.append(int(entry.name))
        return found

    def blobs(self, job_id: str) -> list[str]:
        """Keys of all blobs of a job."""
        if "SOTTOVOCE_BLOB_URL" not in self.environment:
            return [str(path) for path in files(self.data / "eu1" / "blobs" / "jobs" / job_id)]
        from sottovoce.service.storage.blobs import Blobs

        store = Blobs.open(
            self.environment["SOTTOVOCE_BLOB_URL"], json.loads(self.environment["SOTTOVOCE_BLOB_OPTIONS"])
        )
        return asyncio.run(store.keys(f"jobs/{job_id}/"))


class NewProcess(Server):
    """A server with a new interpreter, as an operator starts it."""

    FORKED = False


class Worker(Server):
    """`sottovoce worker` beside servers on the same databases."""

    COMMAND = ("worker",)
    LISTENS = r"(worker is at work)"

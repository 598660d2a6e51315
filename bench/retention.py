"""Measures the removal of expired jobs, and its effect on a client: `python -m bench.retention [--jobs N] [--out FILE]`.

Latency is that of `GET /v2/jobs/{id}` before the sweep and during it, on the same server, in the same run.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from bench import machine
from sottovoce.service.jobs import model, repository
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, result_key
from sottovoce.service.storage.database import Database, now_ms, sqlite_url
from tests.servers import Server, until
from tests.unit.service.service_values import new_job

PAGE = 2000
IDLE = 20.0
"""Seconds for which latency is measured before the sweep."""


def fill(server: Server, count: int) -> None:
    """Insert *count* done jobs with media and transcript, old but not yet due."""
    database = Database(sqlite_url(server.data / "eu1" / "region.db"))
    blobs = server.data / "eu1" / "blobs"
    try:
        for first in range(0, count, PAGE):
            ids = [model.new_id() for _ in range(min(PAGE, count - first))]
            with database.writing() as connection:
                for job_id in ids:
                    repository.insert(connection, new_job(job_id))
                done = {"state": "done", "attempt": 1, "finished_at": now_ms(), "delete_at": now_ms() + 10**10}
                connection.execute(sa.update(t.jobs).where(t.jobs.c.id.in_(ids)).values(done))
            for job_id in ids:
                for key in (media_key(job_id), result_key(job_id, 1)):
                    path = blobs / key
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"x")
    finally:
        database.close()


def expire(server: Server) -> None:
    """Make all jobs due except the newest, which the client reads."""
    database = Database(sqlite_url(server.data / "eu1" / "region.db"))
    try:
        with database.writing() as connection:
            newest = sa.select(sa.func.max(t.jobs.c.created_at)).scalar_subquery()
            connection.execute(sa.update(t.jobs).where(t.jobs.c.created_at < newest).values(delete_at=now_ms() - 1))
    finally:
        database.close()


def left(server: Server) -> int:
    """The number of jobs that are not yet removed, tombstones left out."""
    database = Database(sqlite_url(server.data / "eu1" / "region.db"))
    try:
        with database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(t.jobs.c.cleaned_at.is_(None))).scalar_one())
    finally:
        database.close()


class Client(threading.Thread):
    """Reads one job repeatedly, and records the latency of each read in seconds."""

    def __init__(self, server: Server, job_id: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._job_id = job_id
        self.stop = threading.Event()
        self.took: list[float] = []

    def run(self) -> None:
        """Read until `stop` is set."""
        with self._server.client() as client:
            while not self.stop.is_set():
                begun = time.monotonic()
                answer = client.get(f"/v2/jobs/{self._job_id}", params={"wait": 0})
                self.took.append(time.monotonic() - begun)
                if answer.status_code != httpx.codes.OK:
                    raise RuntimeError(answer.text)
                time.sleep(0.01)


def looks(server: Server, job_id: str, while_: Any) -> dict[str, float]:
    """Latency in ms of one client while *while_* runs."""
    client = Client(server, job_id)
    client.start()
    while_()
    client.stop.set()
    client.join()
    return {
        "looks": len(client.took),
        "p50_ms": machine.percentile(client.took, 0.5) * 1000,
        "p95_ms": machine.percentile(client.took, 0.95) * 1000,
        "max_ms": max(client.took) * 1000,
    }


def measure(home: Path, count: int) -> dict[str, Any]:
    """Measure a server with *count* jobs: idle, then sweeping."""
    demo = Path(__file__).resolve().parent.parent / "samples" / "demo.wav"
    with Server(home, SOTTOVOCE_RETENTION_INTERVAL="1", SOTTOVOCE_LOG_LEVEL="WARNING") as server:
        fill(server, count)
        job_id = server.submit(demo)
        server.wait(job_id)
        idle = looks(server, job_id, lambda: time.sleep(IDLE))
        expire(server)
        begun = time.monotonic()
        sweeping = looks(
            server, job_id, lambda: until(lambda: left(server) <= 1 or None, "end of the sweep", patience=7200.0)
        )
        seconds = time.monotonic() - begun
        gone = [path for path in (server.data / "eu1" / "blobs" / "jobs").iterdir() if any(path.iterdir())]
        return {
            "jobs": count,
            "seconds": seconds,
            "jobs_per_second": count / seconds,
            "idle": idle,
            "sweeping": sweeping,
            "p50_ratio": sweeping["p50_ms"] / idle["p50_ms"],
            "jobs_with_bytes_left": len(gone),
        }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as home:
        result = {"machine": machine.fingerprint(), "retention": measure(Path(home), wanted.jobs)}
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if wanted.out:
        wanted.out.write_text(text)


if __name__ == "__main__":
    main()

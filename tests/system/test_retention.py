"""kill -9 in the middle of sweeps: whatever the moment, nothing is left that should be gone, nothing gone that should be left."""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from alembic import command

from sottovoce.service.jobs import model, repository
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, result_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms, sqlite_url
from tests import databases, prefork
from tests.gated import Gate
from tests.servers import PATIENCE, Server, contents, until
from tests.unit.service.service_values import new_job

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("RETENTION_ROUNDS", "1"))
SEED = os.environ.get("RETENTION_SEED", "1")
OVER, KEPT = 40, 10
DAY_MS = 86_400_000


class Region:
    """A region's databases and blobs as a server with the same environment has them."""

    def __init__(self, server: Server) -> None:
        environment = server.environment
        self.database = Database(
            environment.get("SOTTOVOCE_DATABASE_URL") or sqlite_url(server.data / "eu1" / "region.db")
        )
        url = environment.get("SOTTOVOCE_BLOB_URL") or f"file://{(server.data / 'eu1' / 'blobs').resolve()}"
        self.blobs = Blobs.open(url, json.loads(environment.get("SOTTOVOCE_BLOB_OPTIONS", "{}")))

    def fill(self) -> tuple[list[str], list[str]]:
        """Jobs that are over, and jobs that are not, all of them done."""
        over = [model.new_id() for _ in range(OVER)]
        kept = [model.new_id() for _ in range(KEPT)]

        def insert(connection: sa.Connection) -> None:
            for job_id in (*over, *kept):
                repository.insert(connection, new_job(job_id))
                repository.claim(connection, job_id, owner="x", lease_ms=1)
                key = result_key(job_id, 1)
                repository.finish(connection, job_id, 1, result_key=key, duration_ms=1, engine="e", keep_ms=DAY_MS)
            old = {"delete_at": now_ms() - 1, "finished_at": now_ms() - DAY_MS}
            connection.execute(sa.update(t.jobs).where(t.jobs.c.id.in_(over)).values(old))

        async def store() -> None:
            await self.database.write(insert)
            for job_id in (*over, *kept):
                await self.blobs.put(media_key(job_id), b"media")
                await self.blobs.put(result_key(job_id, 1), b"transcript")

        asyncio.run(store())
        return over, kept

    def states(self, ids: list[str]) -> set[str]:
        with self.database.reading() as connection:
            return {str(state) for state in repository.states(connection, ids).values()}

    def left(self, ids: list[str]) -> set[str]:
        """Those of *ids* with a blob."""
        return set(ids) & {key.split("/")[1] for key in asyncio.run(self.blobs.keys("jobs/"))}

    def age_tombstones(self) -> None:
        """A sweep goes on with tombstones that are a minute old."""
        with self.database.writing() as connection:
            connection.execute(sa.update(t.jobs).values(removed_at=t.jobs.c.removed_at - 120_000))


@pytest.mark.parametrize("backend", ["sqlite", "fleet"])
def test_kill_9_in_the_sweep(
    tmp_path: Path, backend: str, environment_of: Callable[[str, Path], dict[str, str]]
) -> None:
    """Of each round: how many were gone at the kill is printed, so that a run shows where it struck."""
    chance = random.Random(f"{SEED} {backend}")
    environment = environment_of(backend, tmp_path)
    server = Server(tmp_path, **environment)
    if backend == "sqlite":
        databases.make_embedded(server.data)
    region = Region(server)
    command = ["retention", "run", "--data-dir", str(server.data)]
    try:
        for number in range(ROUNDS):
            over, kept = region.fill()
            with Path(os.devnull).open("r+b") as nothing:
                sweep = prefork.Process(command, env=prefork.bare() | environment, files=(nothing, nothing, nothing))
            goal = chance.randrange(0, OVER)
            deadline = time.monotonic() + PATIENCE
            while sweep.poll() is None and len(region.left(over)) > goal and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            sweep.kill()
            sweep.wait()
            print(f"round {number}: {OVER - len(region.left(over))} of {OVER} had lost their bytes at the kill")
            assert region.left(kept) == set(kept)
            region.age_tombstones()
            server.told("retention", "run")
            assert region.states(over) <= {"expired"}
            assert region.left(over) == set()
            assert region.states(kept) == {"done"}
            assert region.left(kept) == set(kept)
    finally:
        region.database.close()


def test_a_server_removes_what_is_over_by_itself(tmp_path: Path, demo: Path) -> None:
    environment = {"SOTTOVOCE_RETENTION_INTERVAL": "0.5", "SOTTOVOCE_RETENTION_DAYS": "7"}
    with Server(tmp_path, **environment) as server, server.client() as client:
        soon = server.submit(demo, None, **{"Retention-Seconds": "0"})
        later = server.submit(demo)
        server.wait(soon)
        server.wait(later)
        assert server.transcript(soon)["results"]  # fetched: from now on nobody waits for it
        region = Region(server)
        try:
            with region.database.writing() as connection:
                read = sa.update(t.jobs).where(t.jobs.c.id == soon).values(read_at=t.jobs.c.read_at - 120_000)
                assert connection.execute(read).rowcount == 1
        finally:
            region.database.close()

        def gone() -> httpx.Response | None:
            answer = client.get(f"/v2/jobs/{soon}")
            return answer if answer.status_code != 200 else None

        answer = until(gone, "end of the job's time")
        assert (answer.status_code, answer.json()["error"]) == (410, "Job Expired")
        transcript = client.get(f"/v2/jobs/{soon}/transcript")
        assert (transcript.status_code, transcript.json()["error"]) == (410, "File Expired")
        until(lambda: server.blobs(soon) == [] or None, "end of its bytes")
        shown = client.get("/v2/jobs", params={"include_deleted": "true"}).json()["jobs"]
        (tombstone,) = [job for job in shown if job["id"] == soon]
        assert (tombstone["status"], tombstone["data_name"]) == ("expired", "")
        assert server.transcript(later)["results"]
        assert soon not in [job["id"] for job in client.get("/v2/jobs").json()["jobs"]]


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "9" * 11, "٣"])
def test_what_is_no_time_is_refused(tmp_path_factory: pytest.TempPathFactory, demo: Path, text: str) -> None:
    server = _server(tmp_path_factory)
    with server.client() as client, demo.open("rb") as file:
        answer = client.post(
            "/v2/jobs",
            data={"config": '{"type":"transcription","transcription_config":{"language":"en"}}'},
            files={"data_file": file},
            headers=[(b"Retention-Seconds", text.encode())],
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")
    assert "Retention-Seconds" in answer.json()["detail"]


_running: list[Server] = []


def _server(factory: pytest.TempPathFactory) -> Server:
    """One server for the tests that only ask."""
    if not _running:
        home = factory.mktemp("retention")
        _running.append(Server(home, **Gate(home / "gate").environment()))
        _running[0].start()
    return _running[0]


@pytest.fixture(scope="module", autouse=True)
def _stopped() -> object:
    yield
    for server in _running:
        server.stop()
    _running.clear()


# ── nothing is found ──


def marked(sample: Path, place: Path, marker: str) -> Path:
    """*sample*, a wav, under a name and with a title that hold *marker*."""
    title = marker.encode() + b"\0" * (len(marker) % 2)
    info = b"INFO" + b"INAM" + len(title).to_bytes(4, "little") + title
    body = sample.read_bytes()[8:] + b"LIST" + len(info).to_bytes(4, "little") + info
    path = place / f"{marker}.wav"
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    return path


def everywhere(server: Server, region: Region, needles: list[bytes]) -> list[str]:
    """Where one of *needles* stands: files of the data folder, rows of the region's database, blobs."""
    places = [
        str(path.relative_to(server.data))
        for path, content in contents(server.data)
        if any(needle in content or needle.decode() in path.name for needle in needles)
    ]
    with region.database.reading() as connection:
        for schema in ("public", "dbos") if not region.database.embedded else (None,):
            for name in sa.inspect(connection).get_table_names(schema):
                table = sa.table(name, schema=schema)
                rows = repr(connection.execute(sa.select(sa.text("*")).select_from(table)).all())
                places += [name for needle in needles if needle.decode() in rows]

    async def stored() -> list[str]:
        found = []
        for key in await region.blobs.keys("jobs/"):
            content = await region.blobs.get(key)
            found += [key for needle in needles if needle in content]
        return found

    return places + asyncio.run(stored())


@pytest.mark.parametrize("backend", ["sqlite", "fleet"])
def test_nothing_of_a_deleted_job_is_found_anywhere(
    tmp_path: Path, sentence: Path, backend: str, environment_of: Callable[[str, Path], dict[str, str]]
) -> None:
    """Neither what was said, nor what its media, its name or its config said."""
    marker = f"m4rk3r{random.Random(SEED).getrandbits(64):x}"
    environment = {**environment_of(backend, tmp_path), "SOTTOVOCE_RETENTION_INTERVAL": "0.5"}
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en", "additional_vocab": [{"content": marker}]},
        "tracking": {"title": marker, "details": {"note": marker}},
    }
    needles = [marker.encode(), b"coming", b"RIFF"]  # of the config, of the transcript, of the media
    (place := tmp_path / "media").mkdir()
    with Server(tmp_path, **environment) as server:
        region = Region(server)
        try:
            job_id = server.submit(marked(sentence, place, marker), config)
            server.wait(job_id)
            assert "coming" in server.transcript(job_id, "txt")
            assert everywhere(server, region, needles)
            with server.client() as client:
                assert client.delete(f"/v2/jobs/{job_id}").status_code == 200
            until(lambda: everywhere(server, region, needles) == [] or None, "end of every trace")
        finally:
            region.database.close()


# ── a job that an older release accepted ──


def test_a_job_in_flight_outlives_an_upgrade(tmp_path: Path, demo: Path) -> None:
    """Killed in mid-work; its databases are then what the release of two revisions ago would have left."""
    gate = Gate(tmp_path / "gate")
    server = Server(tmp_path, **gate.environment())
    server.start()
    try:
        job_id = server.submit(demo)
        gate.held(server)
        server.kill()
        for branch, file in ((migrate.CONTROL, "control.db"), (migrate.REGION, "eu1/region.db")):
            database = Database(sqlite_url(server.data / file))
            with database.writing() as connection:
                command.downgrade(migrate._config(branch, connection), "0002")
            database.close()
        gate.open()
        server.start()
        assert server.wait(job_id)["status"] == "done"
        assert server.transcript(job_id)["results"]
    finally:
        server.stop()

"""What the docs promise to whoever runs a server: a backup that starts, jobs that are looked into and retried, limits that hold."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from sottovoce.service.identity import api_keys
from sottovoce.service.operations.backup import copy
from sottovoce.service.storage import migrate
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database
from tests import prefork
from tests.backends import PATIENT_LEASE, S3, Postgres, fleet_environment
from tests.servers import CONFIG, Server, files, until

pytestmark = pytest.mark.system


def sottovoce(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line as an operator has it, with nothing in the environment."""
    return prefork.run(*arguments)


def claims(server: Server, job_id: str) -> list[str]:
    return [line["attempt"] for line in server.events("job claimed") if line["job"] == job_id]


def refused(server: Server, audio: Path, **headers: str):
    """The answer to a submission, whatever it is."""
    with server.client() as client, audio.open("rb") as file:
        return client.post(
            "/v2/jobs", data={"config": '{"type":"transcription","transcription_config":{"language":"en"}}'},
            files={"data_file": (audio.name, file)}, headers=headers,
        )  # fmt: skip


def is_contract_error(answer, status: int, word: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"], body["error"]) == (status, status, word), answer.text
    assert body.keys() <= {"code", "error", "detail"}


def blobs_of(server: Server) -> list[str]:
    """Every file below the store's jobs."""
    root = server.data / "eu1" / "blobs" / "jobs"
    return [str(path.relative_to(root)) for path in files(root)]


# ── backup and restore ──


def test_a_backup_of_a_working_server_is_a_server(tmp_path, demo, gate):
    config = {**CONFIG, "tracking": {"title": "kept"}}
    with Server(tmp_path / "old", **gate.environment()) as old:
        gate.open()
        done = old.submit(demo, config)
        assert old.wait(done)["status"] == "done"
        transcript = old.transcript(done)
        gate.close()
        running = old.submit(demo)
        gate.held(old)
        waiting = old.submit(demo)
        made = sottovoce("backup", str(tmp_path / "copy"), "--data-dir", str(old.data))
        assert made.returncode == 0, made.stderr
        assert (claims(old, running), claims(old, waiting)) == (["1"], [])
        key = old.key
        again = sottovoce("backup", str(tmp_path / "copy"), "--data-dir", str(old.data))
        assert (again.returncode, "contains a copy" in again.stderr) == (1, True)
        assert old.job(running)["status"] == "running"
        gate.open()
        assert old.wait(running)["status"] == "done"  # the server did not mind
        old.kill()

    new = Server(tmp_path / "new")  # without a gate: its words must be the same
    (tmp_path / "copy").rename(new.data)
    with new:
        assert new.key == key
        assert key not in new.out.read_text(), "a restored server has no first key to show"
        assert new.transcript(done) == transcript
        assert new.job(done)["config"] == config
        assert [new.wait(job_id)["status"] for job_id in (running, waiting)] == ["done", "done"]
        assert claims(new, running) == ["2"]
        assert new.transcript(running, "txt") == new.transcript(waiting, "txt") == new.transcript(done, "txt")


def test_a_backup_bears_jobs_that_are_deleted_meanwhile(tmp_path, monkeypatch):
    """Folders that the walk has seen go away before it enters them."""
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    folder.prepare()
    for number in range(5):
        media = folder.blobs / "jobs" / f"job{number}" / "input"
        media.parent.mkdir(parents=True)
        media.write_bytes(b"media")
    copy_one = shutil.copy2

    def copy_and_delete_the_others(source, target):
        copy_one(source, target)
        for other in (folder.blobs / "jobs").iterdir():
            if other.name != Path(source).parent.name:
                shutil.rmtree(other)

    monkeypatch.setattr(shutil, "copy2", copy_and_delete_the_others)
    assert copy(folder, tmp_path / "copy") == 1
    (copied,) = (tmp_path / "copy" / "eu1" / "blobs" / "jobs").glob("*/input")
    assert copied.read_bytes() == b"media"


def test_a_fleet_comes_back_from_a_dump_and_its_bucket(tmp_path, demo, gate):
    """PostgreSQL first, the bucket after it, as docs/backup.md has it; the bucket here is simply still there."""
    with Postgres(fsync=False) as postgres, S3() as s3:
        environment = fleet_environment(postgres, s3, tmp_path, "fleet") | PATIENT_LEASE
        with Server(tmp_path / "old", **environment, **gate.environment()) as old:
            gate.open()
            done = old.submit(demo)
            assert old.wait(done)["status"] == "done"
            transcript = old.transcript(done)
            gate.close()
            running = old.submit(demo)
            gate.held(old)
            for part in ("region", "control"):
                dump(postgres, f"fleet_{part}", f"{part}.dump")
            assert old.job(running)["status"] == "running"
            old.kill()
        for part, name in (("region", "SOTTOVOCE_DATABASE_URL"), ("control", "SOTTOVOCE_CONTROL_DATABASE_URL")):
            environment[name] = postgres.create(f"restored_{part}")
            restore(postgres, f"{part}.dump", f"restored_{part}")
        with Server(tmp_path / "new", **environment) as new:
            assert new.transcript(done) == transcript
            assert new.wait(running)["status"] == "done"
            assert claims(new, running) == ["2"]
            assert new.transcript(running, "txt") == new.transcript(done, "txt")


def dump(postgres: Postgres, database: str, file: str) -> None:
    place = ["--host", "127.0.0.1", "--port", str(postgres.port), "--username", "sottovoce"]
    postgres._run("pg_dump", *place, "--format", "custom", "--file", file, "--dbname", database)


def restore(postgres: Postgres, file: str, database: str) -> None:
    place = ["--host", "127.0.0.1", "--port", str(postgres.port), "--username", "sottovoce"]
    postgres._run("pg_restore", *place, "--exit-on-error", "--dbname", database, file)


def test_nothing_is_written_or_told_outside_the_data_folder(tmp_path, demo):
    """Engines have libraries with a mind of their own: caches, device ids, reports to their makers."""
    elsewhere = [tmp_path / name for name in ("home", "cache", "temporary")]
    for folder in elsewhere:
        folder.mkdir()
    environment = dict(zip(("HOME", "XDG_CACHE_HOME", "TMPDIR"), map(str, elsewhere), strict=True))
    with Server(tmp_path / "server", **environment) as server:
        assert server.wait(server.submit(demo))["status"] == "done"
    assert [path for folder in elsewhere for path in folder.rglob("*")] == []
    assert {path.name.split("-")[0] for path in server.home.iterdir()} == {"data", "log.jsonl", "out"}


# ── jobs ──


def test_a_rejected_job_is_listed_shown_and_retried(tmp_path, demo, gate):
    def jobs(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return server.run("jobs", *arguments)

    with Server(tmp_path, SOTTOVOCE_MAX_FAILURES="1", **gate.environment()) as server:
        job_id = server.submit(demo)
        os.kill(gate.held(server), signal.SIGKILL)
        rejected = server.wait(job_id)
        assert rejected["status"] == "rejected"
        assert "recogniser stopped working" in rejected["errors"][0]["message"]
        reasons = until(lambda: [line["reason"] for line in server.events("job rejected")], "line about the end")
        assert reasons == ["poison"]

        headings, *listed = jobs("list", "--state", "rejected").stdout.splitlines()
        assert headings.startswith("JOB ")
        assert [line.split()[0] for line in listed] == [job_id]
        assert "poison" in listed[0]
        assert jobs("list", "--state", "done").stdout.count("\n") == 1, "headings alone"
        shown = jobs("show", job_id).stdout
        assert "recogniser stopped working" in shown
        assert "the engine process died (1 of at most 1 times)" in shown
        assert "config " not in shown

        retried = jobs("retry", job_id)
        assert (retried.returncode, retried.stdout) == (0, f"{job_id} is queued again\n")
        gate.held(server)
        assert claims(server, job_id) == ["1", "2"]
        once_more = jobs("retry", job_id)
        assert (once_more.returncode, "no rejected job" in once_more.stderr) == (1, True)
        gate.open()
        assert server.wait(job_id)["status"] == "done"
        assert claims(server, job_id) == ["1", "2"], "a retry that was refused has disturbed the job"
        assert server.events("abandoned job requeued") == []
        assert "errors" not in server.job(job_id)
        assert jobs("show", "nosuchjob0").returncode == 1


# ── readiness and limits ──


def test_a_store_that_cannot_be_written_is_not_ready(tmp_path, demo):
    with Server(tmp_path) as server, server.client() as client:
        parts = dict.fromkeys(("ready", "database", "blobs", "keys", "disk", "engines"), True)
        assert client.get("/health/ready").json() == parts
        blobs = server.data / "eu1" / "blobs"
        blobs.rename(blobs.with_name("away"))
        blobs.write_bytes(b"not a folder")  # root minds no mode
        until(lambda: client.get("/health/ready").status_code == 503, "503")  # an answer is good for a second
        assert client.get("/health/ready").json() == parts | {"ready": False, "blobs": False}
        assert {line["part"] for line in server.events("not ready")} == {"blobs"}
        assert client.get("/health/live").status_code == 200
        answer = refused(server, demo)
        assert answer.status_code >= 500
        assert answer.json()["code"] == answer.status_code
        blobs.unlink()
        blobs.with_name("away").rename(blobs)
        until(lambda: client.get("/health/ready").status_code == 200, "200")
        assert client.get("/v2/jobs").json() == {"jobs": []}
        assert refused(server, demo).status_code == 201


def test_a_full_disk_refuses_media_and_stores_nothing(tmp_path, demo):
    with Server(tmp_path, SOTTOVOCE_RESERVE_BYTES=str(1 << 60)) as server, server.client() as client:
        answer = refused(server, demo)
        is_contract_error(answer, 507, "Job error")
        assert "disk" in answer.json()["detail"]
        assert client.get("/v2/jobs").json() == {"jobs": []}
        assert blobs_of(server) == []
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["disk"]) == (503, False)
        assert "SOTTOVOCE_RESERVE_BYTES" in until(
            lambda: "Uploads are" in server.out.read_text() and server.out.read_text(), "its word"
        )
        assert [line["level"] for line in server.events("no room for media")] == ["warning"]


def test_jobs_and_bytes_of_a_workspace_are_limited(tmp_path, demo, gate):
    limits = {"SOTTOVOCE_MAX_JOBS": "1", "SOTTOVOCE_MAX_STORED_BYTES": str(demo.stat().st_size * 3 // 2)}
    with Server(tmp_path, **limits, **gate.environment()) as server, server.client() as client:
        first = server.submit(demo)
        gate.held(server)
        answer = refused(server, demo)
        is_contract_error(answer, 429, "Max concurrent running jobs exceeded")
        assert int(answer.headers["retry-after"]) > 0
        gate.open()
        assert server.wait(first)["status"] == "done"
        answer = refused(server, demo)
        is_contract_error(answer, 507, "Job error")
        assert "delete jobs to make room" in answer.json()["detail"]
        assert {name.split("/")[0] for name in blobs_of(server)} == {first}
        assert [job["id"] for job in client.get("/v2/jobs").json()["jobs"]] == [first]
        assert client.delete(f"/v2/jobs/{first}").status_code == 200
        assert refused(server, demo).status_code == 201


# ── the first start of a fleet ──


def test_processes_that_start_together_on_postgresql_make_one_workspace(tmp_path):
    with Postgres(fsync=False) as postgres, contextlib.ExitStack() as stack:
        url = postgres.create("control")
        databases = [Database(url) for _ in range(4)]
        for database in databases:
            stack.callback(database.close)
        migrate.upgrade(databases[0], migrate.CONTROL)
        together, made = threading.Barrier(len(databases)), []

        def first_start(number: int) -> None:
            with databases[number].writing() as connection:
                together.wait()
                made.append(api_keys.bootstrap(connection, f"key-of-process-{number}"))

        threads = [threading.Thread(target=first_start, args=(number,)) for number in range(len(databases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made) == [False, False, False, True]
        with databases[0].reading() as connection:
            assert len(api_keys.list_keys(connection)) == 1

"""kill -9 wherever it hurts: the job is finished once, and nobody else notices."""

import os
import signal
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers import Server, until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("crashes")]


@pytest.fixture(scope="module")
def long_audio(tmp_path_factory, demo):
    """The demo sample several times over: enough work to be interrupted."""
    path = tmp_path_factory.mktemp("audio") / "long.wav"
    with wave.open(str(demo)) as source, wave.open(str(path), "wb") as out:
        out.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        for _ in range(6):
            out.writeframes(frames)
    return path


@pytest.fixture(params=["sqlite", "fleet"])
def crashing(request, tmp_path, environment_of):
    with Server(tmp_path, **environment_of(request.param, tmp_path)) as server:
        yield server


def at_work(server: Server, job_id: str) -> bool:
    return any(line.get("job") == job_id for line in server.events("job claimed"))


def has_begun(server: Server, job_id: str) -> bool:
    """Whether an engine process has the job: a claim alone may come before that."""
    with server.client() as client:
        return "sottovoce.recognise" in client.get(f"/v2/jobs/{job_id}/log").text


def finished(server: Server, job_id: str) -> list[dict[str, str]]:
    return [line for line in server.events("job done") if line["job"] == job_id]


def test_killing_the_server_in_mid_job(crashing, long_audio):
    job_id = crashing.submit(long_audio)
    until(lambda: at_work(crashing, job_id), "work")
    children = crashing.children()
    crashing.kill()
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children), "death of the children")
    crashing.start()
    assert crashing.wait(job_id)["status"] == "done"
    assert len(finished(crashing, job_id)) == 1
    attempts = {line["attempt"] for line in crashing.events("job claimed") if line["job"] == job_id}
    assert attempts == {"1", "2"}
    assert crashing.transcript(job_id, "txt")


def test_killing_the_engine_process(crashing, long_audio):
    server_pid = crashing.process.pid
    job_id = crashing.submit(long_audio)
    until(lambda: has_begun(crashing, job_id), "work")
    for pid in crashing.children():
        os.kill(pid, signal.SIGKILL)
    assert crashing.wait(job_id)["status"] == "done"
    assert crashing.process.pid == server_pid
    assert crashing.process.poll() is None
    assert len(crashing.events("engine process died")) == 1
    assert len(finished(crashing, job_id)) == 1


def test_an_accepted_job_survives_a_kill_before_any_work(crashing, demo):
    ids = [crashing.submit(demo) for _ in range(4)]
    crashing.kill()
    crashing.start()
    assert {crashing.wait(job_id)["status"] for job_id in ids} == {"done"}
    assert [len(finished(crashing, job_id)) for job_id in ids] == [1, 1, 1, 1]


def test_sigterm_ends_cleanly_and_leaves_the_rest_for_later(crashing, long_audio):
    job_id = crashing.submit(long_audio)
    until(lambda: at_work(crashing, job_id), "work")
    crashing.stop()
    assert crashing.process.returncode == 0
    assert crashing.events("server down")
    crashing.start()
    assert crashing.wait(job_id)["status"] == "done"


def test_deleting_a_running_job_stops_its_engine_process(crashing, long_audio):
    job_id = crashing.submit(long_audio)
    until(lambda: at_work(crashing, job_id), "work")
    before = set(crashing.children())
    with crashing.client() as client:
        locked = client.delete(f"/v2/jobs/{job_id}")
        assert (locked.status_code, locked.json()["error"]) == (423, "Resource Locked")
        gone = client.delete(f"/v2/jobs/{job_id}", params={"force": "true"})
        assert (gone.status_code, gone.json()["job"]["status"]) == (200, "deleted")
        assert client.get(f"/v2/jobs/{job_id}").status_code == 410
    until(lambda: before - set(crashing.children()), "death of the busy child")
    until(lambda: not crashing.blobs(job_id), "removal of the blobs")


def test_who_waits_when_the_server_stops_gets_an_answer(crashing, long_audio):
    job_id = crashing.submit(long_audio)
    until(lambda: at_work(crashing, job_id), "work")
    with crashing.client() as client, ThreadPoolExecutor(1) as threads:
        begun = time.monotonic()
        waiting = threads.submit(client.get, f"/v2/jobs/{job_id}", params={"wait": "60"})
        until(lambda: not waiting.done() and time.monotonic() > begun + 1, "a client that waits")
        crashing.stop()
        answer = waiting.result(30)
    assert (answer.status_code, answer.json()["job"]["status"]) == (200, "running")

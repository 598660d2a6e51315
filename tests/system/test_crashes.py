"""kill -9 wherever it hurts: the job is finished once, and nobody else notices.

Every job here stands at a gate until the test lets it go on: what is done to it is done in mid-job, on any machine.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gated import Gate
from tests.servers import PATIENCE, Server, until

pytestmark = pytest.mark.system


@pytest.fixture(params=["sqlite", "fleet"])
def crashing(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    gate: Gate,
    environment_of: Callable[[str, Path], dict[str, str]],
):
    with Server(tmp_path, **environment_of(request.param, tmp_path), **gate.environment()) as server:
        yield server


def attempts(server: Server, job_id: str) -> list[str]:
    return [line["attempt"] for line in server.events("job claimed") if line["job"] == job_id]


def finished(server: Server, job_id: str) -> list[dict[str, str]]:
    """Every line that says that the job is done, once there is one: it is written after the fact."""
    return until(lambda: [line for line in server.events("job done") if line["job"] == job_id], "line about the end")


def test_killing_the_server_in_mid_job(crashing: Server, gate: Gate, demo: Path) -> None:
    job_id = crashing.submit(demo)
    gate.held(crashing)
    children = crashing.children()
    crashing.kill()
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children), "death of the children")
    gate.open()
    crashing.start()
    assert crashing.wait(job_id)["status"] == "done"
    assert len(finished(crashing, job_id)) == 1
    assert attempts(crashing, job_id) == ["1", "2"]
    assert crashing.transcript(job_id, "txt")


def test_killing_the_engine_process(crashing: Server, gate: Gate, demo: Path) -> None:
    server_pid = crashing.process.pid
    job_id = crashing.submit(demo)
    assert gate.held(crashing) in crashing.children()
    for pid in crashing.children():
        os.kill(pid, signal.SIGKILL)
    gate.open()
    assert crashing.wait(job_id)["status"] == "done"
    assert crashing.process.pid == server_pid
    assert crashing.process.poll() is None
    assert len(crashing.events("engine process died")) == 1
    assert attempts(crashing, job_id) == ["1", "2"]
    assert len(finished(crashing, job_id)) == 1


def test_an_accepted_job_survives_a_kill_before_any_work(crashing: Server, gate: Gate, demo: Path) -> None:
    ids = [crashing.submit(demo) for _ in range(4)]
    crashing.kill()
    gate.open()
    crashing.start()
    assert {crashing.wait(job_id)["status"] for job_id in ids} == {"done"}
    assert [len(finished(crashing, job_id)) for job_id in ids] == [1, 1, 1, 1]


def test_sigterm_ends_cleanly_and_leaves_the_rest_for_later(crashing: Server, gate: Gate, demo: Path) -> None:
    job_id = crashing.submit(demo)
    gate.held(crashing)
    crashing.stop()
    assert crashing.process.returncode == 0
    assert crashing.events("server down")
    gate.open()
    crashing.start()
    assert crashing.wait(job_id)["status"] == "done"
    assert attempts(crashing, job_id) == ["1", "2"]
    assert len(finished(crashing, job_id)) == 1


def test_deleting_a_running_job_stops_its_engine_process(crashing: Server, gate: Gate, demo: Path) -> None:
    job_id = crashing.submit(demo)
    busy = gate.held(crashing)
    with crashing.client() as client:
        locked = client.delete(f"/v2/jobs/{job_id}")
        assert (locked.status_code, locked.json()["error"]) == (423, "Resource Locked")
        assert busy in crashing.children()
        gone = client.delete(f"/v2/jobs/{job_id}", params={"force": "true"})
        assert (gone.status_code, gone.json()["job"]["status"]) == (200, "deleted")
        assert client.get(f"/v2/jobs/{job_id}").status_code == 410
    until(lambda: busy not in crashing.children(), "death of the busy child")
    until(lambda: not crashing.blobs(job_id), "removal of the blobs")


def test_who_waits_when_the_server_stops_gets_an_answer(crashing: Server, gate: Gate, demo: Path) -> None:
    job_id = crashing.submit(demo)
    gate.held(crashing)
    sent = threading.Event()

    def trace(event: str, _info: object) -> None:
        if event == "http11.receive_response_headers.started":
            sent.set()

    with crashing.client() as client, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.get, f"/v2/jobs/{job_id}", params={"wait": "600"}, extensions={"trace": trace})
        assert sent.wait(PATIENCE)
        with crashing.client() as other:  # whose request came later: when it is answered, the first has been read
            assert other.get("/health/live").status_code == 200
        assert not waiting.done()
        crashing.stop()
        answer = waiting.result(PATIENCE)
    assert (answer.status_code, answer.json()["job"]["status"]) == (200, "running")


def test_sigterm_right_after_the_start_is_not_lost(tmp_path: Path) -> None:
    """The first line says that the server listens; a supervisor may stop it at that very moment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
    command = [sys.executable, "-m", "sottovoce.cli", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    settings = {"SOTTOVOCE_ENGINE": "pocketsphinx", "SOTTOVOCE_SLOTS": "1", "SOTTOVOCE_DRAIN_TIMEOUT": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment | settings
    ) as process:
        assert process.stdout
        assert b"listening" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()

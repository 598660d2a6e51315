"""Limits as clients meet them: real servers, several processes of clients, several of servers on one database."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.gated import Gate
from tests.hammer import hammer
from tests.servers import CONFIG, ROOT, Server, files

Environment = Callable[[str, Path], dict[str, str]]
CLIENTS, TIMES = 4, 1250
RATE, BURST = 50, 400


@contextlib.contextmanager
def servers(backend: str, environment_of: Environment, home: Path, **settings: str) -> Iterator[list[Server]]:
    """All API processes of a region: one, or two on PostgreSQL, of which only the first does jobs."""
    environment = environment_of(backend, home) | settings
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Server(home / "one", **environment))]
        if backend == "fleet":
            running.append(stack.enter_context(Server(home / "two", **environment | {"SOTTOVOCE_ROLES": "api"})))
        yield running


@pytest.mark.parametrize("backend", ["sqlite", "fleet"])
def test_a_burst_of_four_client_processes_gets_what_the_rule_says(backend, environment_of, tmp_path):
    pace = {"SOTTOVOCE_READ_RATE": str(RATE), "SOTTOVOCE_READ_BURST": str(BURST), "SOTTOVOCE_ROLES": "api"}
    with servers(backend, environment_of, tmp_path, **pace) as running:
        urls = [running[number % len(running)].url for number in range(CLIENTS)]
        told = hammer(urls, running[0].key, TIMES)
        with running[0].client() as client:
            limited = 'sottovoce_limited_total{rule="read"}' in client.get("/metrics").text
        failures = [server.events("request failed") + server.events("limits not shared") for server in running]
    statuses: Counter[str] = sum((Counter(each.statuses) for each in told), Counter())
    seconds = max(each.ended for each in told) - min(each.began for each in told)
    rule = BURST + RATE * seconds
    assert set(statuses) == {"200", "429"}
    assert sum(statuses.values()) == CLIENTS * TIMES
    assert statuses["200"] == pytest.approx(rule, rel=0.05)
    shares = [each.granted for each in told]
    assert min(shares) > statuses["200"] / CLIENTS / 4, shares
    assert sum(each.unsaid for each in told) == 0
    assert limited
    assert not any(failures)


@pytest.mark.parametrize("backend", ["sqlite", "fleet"])
def test_many_who_submit_at_once_never_pass_the_most_jobs(backend, environment_of, tmp_path, demo):
    gate = Gate(tmp_path / "gate")
    with servers(backend, environment_of, tmp_path, SOTTOVOCE_MAX_JOBS="5", **gate.environment()) as running:

        def submit(number: int) -> httpx.Response:
            with running[number % len(running)].client() as client, demo.open("rb") as file:
                return client.post("/v2/jobs", data={"config": json.dumps(CONFIG)}, files={"data_file": file})

        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(submit, range(16)))
        taken = [answer for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(taken), len(refused)) == (5, 11), [answer.text for answer in answers]
        for answer in refused:
            assert answer.json()["error"] == "Max concurrent running jobs exceeded"
            assert int(answer.headers["retry-after"]) >= 1
        if backend == "sqlite":  # of those that were refused nothing is left
            kept = {path.parent.name for path in files(running[0].data / "eu1" / "blobs" / "jobs")}
            assert kept == {answer.json()["id"] for answer in taken}
        with running[-1].client() as client:
            assert client.delete(f"/v2/jobs/{taken[0].json()['id']}?force=true").status_code == 200
        assert [submit(number).status_code for number in range(2)] == [201, 429]


def post(client: httpx.Client, path: str) -> httpx.Response:
    """A submission that is refused, though not before it was counted."""
    return client.post(path, files={"nothing": b"x"})


def test_what_counts_and_what_is_said(tmp_path):
    pace = {"SOTTOVOCE_LIMITS": "vendor", "SOTTOVOCE_SUBMIT_RATE": "0.5", "SOTTOVOCE_READ_RATE": "0.001"}
    with Server(tmp_path, SOTTOVOCE_ROLES="api", **pace) as server, server.client() as client:
        for _ in range(10):
            assert post(client, "/v2/jobs").status_code == 400
        told = post(client, "/v2/jobs")
        assert (told.status_code, told.json()["error"], told.json()["code"]) == (429, "Rate Limited", 429)
        old = post(client, "/v1.0/user/1/jobs/")
        assert (old.status_code, old.json()) == (429, {"code": 429, "error": "Too Many requests"})
        assert 1 <= int(old.headers["retry-after"]) <= 2

        made = client.post("/v1/api_keys?type=batch", json={"ttl": 600})  # not counted
        temporary = {"Authorization": f"Bearer {made.json()['key_value']}"}
        assert client.post("/v2/jobs", headers=temporary).status_code == 429

        time.sleep(int(old.headers["retry-after"]))
        assert post(client, "/v2/jobs").status_code == 400

        # whatever else is asked about jobs has a pace of its own, with the vendor's burst
        for number in range(50):
            method, path = (
                ("GET", "/v2/jobs"), ("GET", "/v2/jobs/nothere000?wait=1"), ("DELETE", "/v2/jobs/nothere000"),
                ("HEAD", "/v2/jobs"), ("GET", "/v1.0/user/1/"),
            )[number % 5]  # fmt: skip
            assert client.request(method, path).status_code in {200, 404}
        for answer in (
            client.get("/v2/jobs"),
            client.delete("/v2/jobs/nothere000"),
            client.get("/v1.0/user/1/jobs/"),
            client.get("/v2/jobs", headers=temporary),
        ):
            assert answer.status_code == 429
            assert 900 < int(answer.headers["retry-after"]) <= 1000
        # strangers, and who asks in another's name, are told that and not how busy the key is
        assert client.get("/v2/jobs", headers={"Authorization": "Bearer nobody"}).status_code == 401
        assert client.get("/v1.0/user/2/").status_code == 401
        assert client.get("/v1.0/status").status_code == 200
        shown = client.get("/metrics").text
        assert 'sottovoce_limited_total{rule="submit"} 3.0' in shown
        assert 'sottovoce_limited_total{rule="read"} 4.0' in shown


def test_media_that_is_too_long_is_refused_or_rejected(tmp_path: Path, demo: Path) -> None:
    """At submission by its header; by its samples where the header says nothing (here an MP3 without one)."""
    speech = ROOT / "tests" / "fixtures" / "audio" / "speech.mp3"
    headless = speech.read_bytes()[2000:] * 3
    with Server(tmp_path, SOTTOVOCE_ENGINE="pocketsphinx", SOTTOVOCE_MAX_MEDIA_HOURS="0.0005") as server:
        assert "longer than 0.0005 hours" in _why_not(server, demo.read_bytes())
        assert "longer than 0.0005 hours" in _why_not(server, headless)


def _why_not(server: Server, media: bytes) -> str:
    """Why *media* is not transcribed: the detail of the refusal, or the error of the rejected job."""
    with server.client() as client:
        answer = client.post("/v2/jobs", files={"config": (None, json.dumps(CONFIG)), "data_file": ("a", media)})
    if answer.status_code == 400:
        return str(answer.json()["detail"])
    job = server.wait(answer.json()["id"])
    assert job["status"] == "rejected"
    return str(job["errors"][0]["message"])

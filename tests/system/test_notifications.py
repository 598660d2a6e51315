"""Notifications and fetching, from real servers to real sockets, through kills and restarts, on both backends."""

import asyncio
import email
import email.policy
import json
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.outbound.policy import NOT_ALLOWED
from tests import sleeper
from tests.listeners import Asked, Listener, Reply, listening
from tests.servers import CONFIG, PATIENCE, Server, Worker, contents, until

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "samples" / "demo.wav"
DELIVERY_ID = "idempotency-key"
FIRST_OF_ALL = (
    "Error in sending notification: unable to send notification: Response status: 500, retrying"  # contract §4
)


def environment() -> dict[str, str]:
    """Pauses that a test can wait for, and leave to reach this machine."""
    return sleeper.environment() | {
        "SOTTOVOCE_OUTBOUND_ALLOW": "127.0.0.1",
        "SOTTOVOCE_NOTIFICATION_PAUSES": "1,1,1",
        "SOTTOVOCE_FETCH_PAUSES": "0.5,0.5,0.5",
    }


@pytest.fixture(scope="module", params=["sqlite", "fleet"])
def here(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment_of: Callable[[str, Path], dict[str, str]],
) -> Iterator[Server]:
    """A server for every test of this file, on each backend; a test that kills it starts it again."""
    home = tmp_path_factory.mktemp("notifying")
    with Server(home, **(environment_of(request.param, home) | environment())) as running:
        yield running


def told(*entries: dict[str, Any]) -> dict[str, Any]:
    return {**CONFIG, "notification_config": list(entries)}


def cli(server: Server, *arguments: str) -> str:
    """What the command says with the server's own settings."""
    return server.told(*arguments)


def listed(server: Server, job_id: str) -> list[str]:
    """The state of each delivery of a job and its attempts, as the command lists them."""
    found = json.loads(cli(server, "deliveries", "list", "--job", job_id, "--json"))
    return sorted(f"{each['state']} {each['attempts']}/{each['tries']}" for each in found)


def deliveries(server: Server, job_id: str) -> list[str]:
    """The same of a job that is not deleted, by the API: a command for each look would be dear."""
    with server.client() as client:
        found = client.get(f"/v2/jobs/{job_id}/deliveries").json()["deliveries"]
    return sorted(f"{each['state']} {each['attempts']}/{each['max_attempts']}" for each in found)


def errors(server: Server, job_id: str) -> list[str]:
    return [entry["message"] for entry in server.job(job_id).get("errors", [])]


def heard(there: Listener, job_id: str, count: int) -> list[Asked]:
    """The first *count* requests about a job."""
    return until(lambda: there.about(job_id) if len(there.about(job_id)) >= count else None, f"{count} requests")


def failing(times: int) -> Callable[[Asked, int], Reply]:
    """500 so many times for each job, then 200."""
    counts: dict[str, int] = {}

    def answer(asked: Asked, _number: int) -> Reply:
        job_id = asked.query["id"]
        counts[job_id] = counts.get(job_id, 0) + 1
        return Reply(status=500 if counts[job_id] <= times else 200)

    return answer


def test_three_receivers_hear_of_one_job_each_in_its_own_way(here: Server) -> None:
    with listening() as there:
        entries = (
            {"url": f"{there.url}/json", "contents": ["transcript"], "auth_headers": ["Authorization: Bearer a b"]},
            {"url": f"{there.url}/form?x=1", "contents": ["jobinfo", "transcript.txt", "data"], "method": "put"},
            {"url": f"{there.url}/file"},
        )
        job_id = here.submit(DEMO, told(*entries))
        asked = {each.path: each for each in heard(there, job_id, 3)}
        assert here.wait(job_id)["status"] == "done"
        until(lambda: deliveries(here, job_id) == ["delivered 1/4"] * 3, "deliveries")
        assert listed(here, job_id) == ["delivered 1/4"] * 3
    assert {each.query["status"] for each in asked.values()} == {"success"}
    assert len({each.headers[DELIVERY_ID] for each in asked.values()}) == 3
    assert asked["/json"].headers["authorization"] == "Bearer a b"
    sent, shown = json.loads(asked["/json"].body), here.transcript(job_id)
    assert sent["results"] == shown["results"]
    assert asked["/form"].method == "PUT"
    assert asked["/form"].query["x"] == "1"
    parts = form(asked["/form"])
    assert parts["transcript.txt"] == here.transcript(job_id, "txt").encode()
    assert parts["data"] == DEMO.read_bytes()
    assert json.loads(parts["jobinfo"])["id"] == job_id
    assert json.loads(form(asked["/file"])["data_file"])["results"] == shown["results"]
    assert errors(here, job_id) == []


def form(asked: Asked) -> dict[str, bytes]:
    """The parts of a form, as the standard library's mail parser reads them."""
    head = f"Content-Type: {asked.headers['content-type']}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP)
    return {
        str(part["content-disposition"].params["name"]): bytes(part.get_payload(decode=True))
        for part in message.iter_parts()
    }


def test_failures_are_told_in_the_contracts_words_and_the_job_stays_done(here: Server) -> None:
    with listening(lambda _asked, _number: Reply(status=500)) as there:
        job_id = here.submit(DEMO, told({"url": there.url, "contents": []}))
        until(lambda: len(errors(here, job_id)) == 5, "closing entry")
        job = here.job(job_id)
        assert job["status"] == "done"
        assert errors(here, job_id) == [
            *[FIRST_OF_ALL] * 3,
            "unable to send notification: unable to send notification: Response status: 500",
            "Sending notification failed",
        ]
        assert listed(here, job_id) == ["failed 4/4"]
        assert len({each.headers[DELIVERY_ID] for each in there.about(job_id)}) == 1
        assert len(there.about(job_id)) == 4


def test_a_failed_delivery_is_sent_again_by_hand_under_the_same_id(here: Server) -> None:
    with listening(failing(4)) as there:
        job_id = here.submit(DEMO, told({"url": there.url, "contents": []}))
        until(lambda: deliveries(here, job_id) == ["failed 4/4"], "failed delivery")
        delivery_id = there.about(job_id)[0].headers[DELIVERY_ID]
        _heading, line = cli(here, "deliveries", "list", "--job", job_id, "--state", "failed").splitlines()
        assert line.split() == [delivery_id, job_id, "notification", "0", "success", "failed", "4/4", *line.split()[7:]]
        assert cli(here, "deliveries", "retry", delivery_id) == f"{delivery_id} will be sent again to {there.url}\n"
        until(lambda: deliveries(here, job_id) == ["delivered 5/8"], "delivery")
    assert {each.headers[DELIVERY_ID] for each in there.about(job_id)} == {delivery_id}


def test_kill_9_after_the_receiver_has_answered_sends_it_again_under_the_same_id(here: Server) -> None:
    """The one window that nobody can close: 2xx was answered, and we die before it is written down."""

    dead = threading.Event()

    def deadly(_asked: Asked, number: int) -> Reply:
        if number == 1:
            here.kill()
            dead.set()
        return Reply()

    with listening(deadly) as there:
        job_id = here.submit(DEMO, told({"url": there.url, "contents": ["jobinfo"]}))
        assert dead.wait(PATIENCE)
        here.start()
        one, two = heard(there, job_id, 2)
        assert one.headers[DELIVERY_ID] == two.headers[DELIVERY_ID]
        assert json.loads(one.body)["id"] == json.loads(two.body)["id"] == job_id
        until(lambda: deliveries(here, job_id) == ["delivered 1/4"], "recorded delivery")
    assert errors(here, job_id) == []


def test_kill_9_between_attempts_goes_on_where_it_was(here: Server) -> None:
    with listening(failing(2)) as there:
        job_id = here.submit(DEMO, told({"url": there.url, "contents": []}))
        until(lambda: errors(here, job_id), "first failure")
        here.kill()
        here.start()
        until(lambda: deliveries(here, job_id) == ["delivered 3/4"], "delivery")
    assert errors(here, job_id) == [FIRST_OF_ALL] * 2
    # one more than was recorded is possible: the kill may have hit the second attempt
    assert 3 <= len(there.about(job_id)) <= 4
    assert len({each.headers[DELIVERY_ID] for each in there.about(job_id)}) == 1


def test_deleting_the_job_stops_what_is_still_to_be_sent(here: Server) -> None:
    with listening(lambda _asked, _number: Reply(status=500)) as there:
        job_id = here.submit(DEMO, told({"url": f"{there.url}/?token=hush", "contents": []}))
        until(lambda: errors(here, job_id), "first failure")
        with here.client() as client:
            assert client.delete(f"/v2/jobs/{job_id}").status_code == 200
        count = len(there.about(job_id))
        assert listed(here, job_id) == []
        other = here.submit(DEMO, told({"url": there.url, "contents": []}))
        until(lambda: deliveries(here, other) == ["failed 4/4"], "four attempts at another job")
        # an attempt that was under way at the time may have arrived after we counted
        assert len(there.about(job_id)) <= count + 1


def test_what_a_stopped_worker_had_in_hand_is_sent_by_another_and_recorded_once(
    tmp_path: Path, environment_of: Callable[[str, Path], dict[str, str]]
) -> None:
    """The worker hangs with a request on its way, past its lease; then it wakes up and finds that it was replaced."""
    fleet = environment_of("fleet", tmp_path / "fleet") | environment() | {"SOTTOVOCE_NOTIFICATION_TIMEOUT": "100"}
    answered = threading.Event()

    def answer(_asked: Asked, number: int) -> Reply:
        if number == 1:
            answered.wait(PATIENCE)
        return Reply()

    with (
        Worker(tmp_path / "one", **fleet) as one,
        Server(tmp_path / "api", SOTTOVOCE_ROLES="api", **fleet) as api,
        listening(answer) as there,
    ):
        job_id = api.submit(DEMO, told({"url": there.url, "contents": []}))
        heard(there, job_id, 1)
        with Worker(tmp_path / "two", **fleet):
            assert one.process
            one.process.send_signal(signal.SIGSTOP)
            try:
                first, second = heard(there, job_id, 2)
                assert first.headers[DELIVERY_ID] == second.headers[DELIVERY_ID]
                until(lambda: deliveries(api, job_id) == ["delivered 1/4"], "recorded delivery")
            finally:
                one.process.send_signal(signal.SIGCONT)
                answered.set()
            until(lambda: one.events("job done") and api.job(job_id)["status"] == "done", "job")
            assert listed(api, job_id) == ["delivered 1/4"]
            assert errors(api, job_id) == []


# ── fetching ──


def submit_fetch(server: Server, config: dict[str, Any]) -> str:
    with server.client() as client:
        answer = client.post("/v2/jobs", files={"config": (None, json.dumps(config))})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def media_or_ok(asked: Asked, _number: int) -> Reply:
    return Reply(body=DEMO.read_bytes()) if asked.path == "/media.wav" else Reply()


def test_media_is_fetched_recognised_and_told_of(here: Server) -> None:
    with listening(media_or_ok) as there:
        source = {"url": f"{there.url}/media.wav?sig=1", "auth_headers": ["Authorization: Bearer x"]}
        config = told({"url": there.url, "contents": ["jobinfo"]}) | {"fetch_data": source}
        job_id = submit_fetch(here, config)
        job = here.wait(job_id)
        assert (job["status"], job["data_name"], job["duration"]) == ("done", "", 16)
        assert job["config"] == config, "echoed as it was sent"
        (asked,) = heard(there, job_id, 1)
    fetched = there.heard[0]
    assert (fetched.method, fetched.target) == ("GET", "/media.wav?sig=1")
    assert fetched.headers["authorization"] == "Bearer x"
    assert fetched.headers["user-agent"] == asked.headers["user-agent"] == "Speechmatics-API/2.0"
    assert json.loads(asked.body)["config"]["fetch_data"] == {"url": source["url"]}
    assert len(here.transcript(job_id)["results"]) > 3
    with here.client() as client:
        assert client.get(f"/v2/jobs/{job_id}/data").content == DEMO.read_bytes()


def test_the_vendors_present_client_has_media_fetched_and_receivers_told(here: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import (
            AsyncClient,
            FetchData,
            JobConfig,
            JobStatus,
            JobType,
            NotificationConfig,
            TranscriptionConfig,
        )
        from speechmatics.batch._models import NotificationContents

    async def run(url: str) -> str:
        config = JobConfig(
            type=JobType.TRANSCRIPTION,
            transcription_config=TranscriptionConfig(language="en"),
            fetch_data=FetchData(url=f"{url}/media.wav", auth_headers=["X-Key: x"]),
            notification_config=[NotificationConfig(url=f"{url}/hook", contents=[NotificationContents.TRANSCRIPT_TXT])],
        )
        async with AsyncClient(api_key=here.key, url=f"{here.url}/v2") as client:
            job = await client.submit_job(None, config=config)
            transcript = await client.wait_for_completion(job.id, timeout=PATIENCE)
            assert transcript.transcript_text
            info = await client.get_job_info(job.id)
            assert info.status == JobStatus.DONE
            return str(job.id)

    with listening(media_or_ok) as there:
        job_id = asyncio.run(run(there.url))
        (asked,) = heard(there, job_id, 1)
    assert asked.body == here.transcript(job_id, "txt").encode()


def test_the_vendors_old_client_has_media_fetched(here: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch_client import BatchClient
        from speechmatics.models import ConnectionSettings

        with (
            listening(media_or_ok) as there,
            BatchClient(ConnectionSettings(url=here.url, auth_token=here.key)) as client,
        ):
            job_id = client.submit_job(None, {**CONFIG, "fetch_data": {"url": f"{there.url}/media.wav"}})
            assert client.wait_for_completion(job_id, transcription_format="txt").strip()


def test_media_that_cannot_be_fetched_rejects_the_job_after_four_attempts(here: Server) -> None:
    def answer(asked: Asked, _number: int) -> Reply:
        return Reply(status=404) if asked.path == "/media.wav" else Reply()

    with listening(answer) as there:
        source = {"url": f"{there.url}/media.wav"}
        entry = {"url": f"{there.url}/hook", "contents": ["transcript.txt"]}
        job_id = submit_fetch(here, told(entry) | {"fetch_data": source})
        job = here.wait(job_id)
        assert job["status"] == "rejected"
        assert errors(here, job_id) == ["unable to fetch audio: http status code 404"] * 4
        (asked,) = heard(there, job_id, 1)
    assert asked.query["status"] == "fetch_error"
    assert json.loads(asked.body)["id"] == job_id
    assert len([each for each in there.heard if each.path == "/media.wav"]) == 4
    with here.client() as client:
        answered = client.get(f"/v2/jobs/{job_id}/transcript")
    assert (answered.status_code, answered.json()["error"]) == (404, "Job rejected")


def test_a_rejected_fetch_is_fetched_again_when_the_job_is_retried(here: Server) -> None:
    found: list[bool] = []

    def answer(_asked: Asked, _number: int) -> Reply:
        return Reply(body=DEMO.read_bytes()) if found else Reply(status=503)

    with listening(answer) as there:
        job_id = submit_fetch(here, {**CONFIG, "fetch_data": {"url": there.url}})
        assert here.wait(job_id)["status"] == "rejected"
        found.append(True)
        cli(here, "jobs", "retry", job_id)
        job = here.wait(job_id)
    assert job["status"] == "done"
    assert "errors" not in job


def test_kill_9_between_fetches_goes_on_where_it_was(here: Server) -> None:
    def answer(_asked: Asked, number: int) -> Reply:
        return Reply(body=DEMO.read_bytes()) if number > 2 else Reply(status=500)

    with listening(answer) as there:
        job_id = submit_fetch(here, {**CONFIG, "fetch_data": {"url": there.url}})
        until(lambda: errors(here, job_id), "first failure")
        here.kill()
        here.start()
        job = here.wait(job_id)
    assert job["status"] == "done"
    assert set(errors(here, job_id)) == {"unable to fetch audio: http status code 500"}
    assert 1 <= len(errors(here, job_id)) <= 2


def test_a_job_deleted_while_it_waits_to_be_fetched_is_gone(here: Server) -> None:
    deleted = threading.Event()

    def answer(_asked: Asked, number: int) -> Reply:
        if number > 1:
            deleted.wait(PATIENCE)
        return Reply(status=500)

    with listening(answer) as there:
        job_id = submit_fetch(here, {**CONFIG, "fetch_data": {"url": there.url}})
        until(lambda: there.heard, "first attempt")
        with here.client() as client:
            assert client.delete(f"/v2/jobs/{job_id}").status_code == 423
            assert client.delete(f"/v2/jobs/{job_id}", params={"force": "true"}).status_code == 200
            assert client.get(f"/v2/jobs/{job_id}").status_code == 410
        deleted.set()
        other = submit_fetch(here, {**CONFIG, "fetch_data": {"url": there.url}})
        assert here.wait(other)["status"] == "rejected"
        with here.client() as client:
            assert client.get(f"/v2/jobs/{job_id}").status_code == 410


@pytest.mark.parametrize(
    ("config", "detail"),
    [
        ({"fetch_data": {"url": "https://e.org/a.wav"}}, "fetch_data: must not be given when a data_file is sent"),
        (
            {"notification_config": [{"url": "https://e.org"}, {"url": "http://169.254.169.254/latest"}]},
            f"notification_config[1].url: {NOT_ALLOWED}",
        ),
        (
            {"notification_config": [{"url": "https://user:hush@e.org"}]},
            "notification_config[0].url: a URL with user name or password; use a header line instead",
        ),
    ],
)
def test_what_could_never_work_is_refused_at_once(here: Server, config: dict[str, Any], detail: str) -> None:
    with here.client() as client, DEMO.open("rb") as file:
        answer = client.post(
            "/v2/jobs", data={"config": json.dumps({**CONFIG, **config})}, files={"data_file": ("a.wav", file)}
        )
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 400,
        "error": "Job rejected",
        "detail": f"Job config JSON is invalid. Error: {detail}",
    }


def test_media_behind_a_forbidden_address_is_refused_at_once(here: Server) -> None:
    config = {**CONFIG, "fetch_data": {"url": "http://10.0.0.1/a.wav"}}
    with here.client() as client:
        answer = client.post("/v2/jobs", files={"config": (None, json.dumps(config))})
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(f"fetch_data.url: {NOT_ALLOWED}")


def test_a_job_without_media_and_without_an_address_is_refused(here: Server) -> None:
    with here.client() as client:
        answer = client.post("/v2/jobs", files={"config": (None, json.dumps(CONFIG))})
    assert (answer.status_code, answer.json()["error"]) == (400, "Missing data_file")


def test_no_secret_stands_anywhere_in_the_open(here: Server) -> None:
    """Everything above has sent addresses and headers with secrets in them; look for one more in every file."""
    with listening(failing(1)) as there:
        entry = {"url": f"{there.url}/marker-path?k=marker-query", "auth_headers": ["X: marker-header"], "contents": []}
        job_id = here.submit(DEMO, told(entry))
        until(lambda: deliveries(here, job_id) == ["delivered 2/4"], "delivery")
        assert errors(here, job_id) == [FIRST_OF_ALL]
    for path, content in contents(here.home):
        assert b"marker-" not in content, path

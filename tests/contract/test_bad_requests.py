"""A long table of bad requests, on a real server: each gets the contract's error, and none leaves a trace."""

import json
import os
import re
from pathlib import Path

import pytest

from sottovoce.errors import Kind
from sottovoce.wire.v2.errors import OUTSIDE_THE_LIST, PUBLISHED, V2
from tests.contract.bad_requests import KEY, MAX_UPLOAD, NO_ANSWER, REQUESTS, Bad
from tests.contract.raw import Answer, exchange
from tests.servers import Server, until

pytestmark = pytest.mark.system

OUTSIDE = {V2[kind][1] for kind in OUTSIDE_THE_LIST}
LEAK = re.compile(
    r'Traceback|File "|\.py\b|/tmp|/root|/home|/usr|/var|/work|site-packages|sottovoce\.|0x[0-9a-f]{6}|\w(?:Error|Exception)\(|/blobs|\.db\b'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("bad"), SOTTOVOCE_MAX_UPLOAD_BYTES=str(MAX_UPLOAD)) as running:
        yield running


@pytest.fixture(scope="module")
def key(server):
    return server.key


@pytest.fixture(scope="module")
def client(server):
    with server.client() as opened:
        yield opened


def left_behind(server: Server) -> list[str]:
    """Files and folders of jobs, and temporary ones."""
    region = server.data / "eu1"
    places = (region / "blobs" / "jobs", region / "tmp")
    return [name for place in places for _, folders, files in os.walk(place) for name in (*folders, *files)]


def served(server: Server) -> int:
    """Requests that have come to their end."""
    return len(server.events("request"))


def failures(server: Server) -> list[str]:
    """Lines of the log about faults of ours."""
    return [json.dumps(line) for line in server.lines() if line["level"] in {"error", "critical"} or "error" in line]


def check_body(case: Bad, answer: Answer, server: Server) -> None:
    """The contract's error and nothing besides (contract §3.1)."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert {"code", "error"} <= set(body) <= {"code", "error", "detail"}
    assert body["code"] == answer.status
    check_word(case, body["error"])
    assert case.detail in body.get("detail", "")
    assert all(isinstance(body[name], str) and body[name] for name in set(body) - {"code"})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["request-id"])
    assert answer.headers["access-control-allow-origin"] == "*"
    text = answer.body.decode()
    said = text.replace(case.sent.decode("latin-1").partition("\r\n")[0], "")
    assert not LEAK.search(said), text
    assert str(server.data) not in text
    assert server.key not in text
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if answer.status == 405:
        assert "OPTIONS" in answer.headers["allow"]


def check_word(case: Bad, word: str) -> None:
    """A word of the list, or one of the few that the contract shows beside it; for 422 a sentence (contract §3.3)."""
    if case.status == V2[Kind.INVALID_QUERY][0]:
        assert word.startswith(case.error)
        assert len(word) < 150
    else:
        assert word == case.error
        assert word in PUBLISHED | OUTSIDE


def check_answer(case: Bad, answer: Answer | None, server: Server) -> None:
    if case.status == NO_ANSWER:
        assert answer is None
        return
    assert answer is not None
    assert answer.status == case.status, answer.body
    check_body(case, answer, server)


@pytest.mark.parametrize("case", REQUESTS, ids=[case.name for case in REQUESTS])
def test_a_bad_request_is_refused_and_leaves_nothing(case, server, key, client):
    before = served(server)
    answer = exchange(server.url, case.sent.replace(KEY.encode(), key.encode()), hang_up=case.hang_up)
    check_answer(case, answer, server)
    if case.status == NO_ANSWER:
        until(lambda: served(server) > before, "end of the request", 20)
    until(lambda: not left_behind(server), "end of what the request stored")
    assert client.get("/v2/jobs", params={"include_deleted": "true"}).json() == {"jobs": []}
    assert failures(server) == []


def test_there_are_many_of_them_and_no_two_are_the_same():
    assert len(REQUESTS) >= 200
    assert len({case.sent for case in REQUESTS}) == len(REQUESTS)
    assert len({case.name for case in REQUESTS}) == len(REQUESTS)


def test_afterwards_the_server_is_as_good_as_new(server, demo):
    job_id = server.submit(Path(__file__).parents[1] / "fixtures" / "audio" / "speech_8k.wav")
    assert server.wait(job_id)["status"] == "done"
    assert failures(server) == []
    assert server.key not in server.log.read_text()
    assert {line["level"] for line in server.lines()} <= {"debug", "info", "warning"}

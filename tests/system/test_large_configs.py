"""The largest legal configs through a real server: submitted, read and listed, whole and unchanged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.jobs import repository
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.web.api.v1 import PAGE
from sottovoce.wire.v2.config import MAX_CONFIG_BYTES, MAX_VALUES
from tests.servers import Server
from tests.sleeper import environment
from tests.unit.service.service_values import CONFIG, database_at, new_job

pytestmark = pytest.mark.system
DEMO = Path(__file__).parents[2] / "samples" / "demo.wav"
NUMBER = 2


def largest(number: int) -> dict[str, Any]:
    """As many values and as many bytes as a config may have, all of them in its free part."""
    values: list[Any] = [[] for _ in range(MAX_VALUES - 20)]
    values.append("x" * (MAX_CONFIG_BYTES - 4 * len(values) - 400))
    return {
        "type": "transcription",
        "transcription_config": {"language": "en"},
        "tracking": {"title": str(number), "details": {"meta": f"m{number}", "values": values}},
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("large"), **environment()) as running:
        yield running


@pytest.fixture(scope="module")
def jobs(server: Server) -> list[str]:
    found = [server.submit(DEMO, largest(number)) for number in range(NUMBER)]
    for job in found:
        server.wait(job)
    return found


def streamed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("transfer-encoding") == "chunked")


def test_a_list_of_large_configs_is_streamed_and_complete(server: Server, jobs: list[str]) -> None:
    with server.client() as client:
        answer = client.get("/v2/jobs")
        one = client.get("/v2/jobs", params={"limit": 1})
    assert streamed(answer), answer.headers
    found = answer.json()["jobs"]
    assert [job["id"] for job in found] == jobs[::-1]
    assert [job["config"] for job in found] == [largest(number) for number in reversed(range(NUMBER))]
    assert one.json()["jobs"] == found[:1]


def test_a_job_and_its_transcript_have_the_config(server: Server, jobs: list[str]) -> None:
    assert server.job(jobs[0])["config"] == largest(0)
    assert server.transcript(jobs[0])["job"]["tracking"]["title"] == "0"
    assert server.transcript(jobs[0], "srt")


def test_a_short_list_of_small_configs_has_a_length(server: Server, jobs: list[str]) -> None:
    small = server.submit(DEMO)
    with server.client() as client:
        answer = client.get("/v2/jobs", params={"limit": 1})
        head = client.head("/v2/jobs")
    assert [job["id"] for job in answer.json()["jobs"]] == [small]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (head.status_code, head.content) == (200, b"")
    assert jobs


def test_v1_lists_all_jobs_page_by_page(server: Server, jobs: list[str]) -> None:
    with database_at(server.data / "eu1" / "region.db") as database, database.writing() as connection:
        encrypted = Encryptor.open_file(server.data / "secrets.key", create=False).encrypt(CONFIG)
        for number in range(PAGE):
            repository.insert(connection, new_job(f"old{number:07}", config=encrypted))
        connection.execute(sa.update(t.jobs).where(t.jobs.c.id.like("old%")).values(state=State.DONE))
    with server.client() as client:
        answer = client.get("/v1.0/user/1/jobs/")
        last = client.get("/v1.0/user/1/jobs/", params={"limit": PAGE + 1})
    found = answer.json()["jobs"]
    assert streamed(answer), answer.headers
    assert len(found) >= PAGE + NUMBER
    assert [job["meta"] for job in found[:NUMBER]] == [f"m{number}" for number in range(NUMBER)]
    ids = [job["id"] for job in found]
    assert ids == sorted(ids)
    assert [job["id"] for job in last.json()["jobs"]] == ids[-PAGE - 1 :]
    assert jobs


def test_a_deleted_job_is_answered_with_its_config(server: Server, jobs: list[str]) -> None:
    with server.client() as client:
        answer = client.delete(f"/v2/jobs/{jobs[0]}", params={"force": "true"})
    assert answer.json()["job"]["config"] == largest(0)

"""`GET /v2/usage` through a real server, and the way from the end of a job to the operator's figures."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.wire.v2.usage import HOUR_MS
from tests.conftest import SHARED
from tests.contract.published import Published
from tests.servers import CONFIG, Server, until

pytestmark = pytest.mark.system

SPEECH = Path(__file__).parents[1] / "fixtures" / "audio" / "speech_8k.wav"
EPOCH = date(1970, 1, 1)


@contextmanager
def opened(server: Server, metadata: sa.MetaData) -> Iterator[Database]:
    """The control database of *server*, or that of its region."""
    name, file = ("CONTROL_DATABASE_URL", "control.db") if metadata is t.control else ("DATABASE_URL", "eu1/region.db")
    database = Database(server.environment.get(f"SOTTOVOCE_{name}") or sqlite_url(server.data / file))
    try:
        yield database
    finally:
        database.close()


def rows(server: Server, table: sa.Table) -> list[dict[str, Any]]:
    """Of the region's table or of the copies, by job."""
    with opened(server, table.metadata) as database, database.reading() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.job_id)).mappings()
        return [dict(row) for row in found]


def copies(server: Server, least: int = 1) -> list[dict[str, Any]]:
    """The copies, once there are so many and the region knows of all of them."""

    def look() -> list[dict[str, Any]] | None:
        told = all(row["told_at"] for row in rows(server, t.job_usage))
        found = rows(server, t.usage)
        return found if told and len(found) >= least else None

    return until(look, "copy of usage")


def earlier(server: Server, job_id: str, days: int) -> None:
    """Let *job_id* have ended so many days before."""
    with opened(server, t.region) as database, database.writing() as connection:
        mine = sa.update(t.job_usage).where(t.job_usage.c.job_id == job_id)
        assert connection.execute(mine.values(day=t.job_usage.c.day - days)).rowcount == 1


def insert(server: Server, number: int, ago: int, **changes: Any) -> None:
    """A job of the past."""
    values = {
        "job_id": f"past{number:06}", "workspace_id": 1, "project_id": 1, "day": (today() - EPOCH).days - ago, "type": "transcription",
        "language": "en", "operating_point": "standard", "duration_ms": HOUR_MS // 2, **changes,
    }  # fmt: skip
    with opened(server, t.region) as database, database.writing() as connection:
        connection.execute(sa.insert(t.job_usage).values(**values))


def today() -> date:
    return datetime.now(UTC).date()


def command(server: Server, *arguments: str) -> str:
    """The output of a command, as the operator runs it beside the server."""
    return server.told(*arguments)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a past, for those who change nothing."""
    with Server(tmp_path_factory.mktemp("usage")) as running:
        past: list[tuple[int, dict[str, Any]]] = [
            (0, {}), (1, {}), (1, {"language": "fr", "operating_point": "enhanced"}), (3, {"type": "alignment"}),
            (10, {"project_id": 7}), (400, {"workspace_id": 2}),
        ]  # fmt: skip
        for number, (ago, changes) in enumerate(past):
            insert(running, number, ago, **changes)
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def told(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def days(*ago: int) -> tuple[str, ...]:
    return tuple((today() - timedelta(days=each)).isoformat() for each in ago)


@pytest.mark.shared
@pytest.mark.parametrize("query", [{}, {"since": "2026-01-01"}, {"until": "2000-01-01"}])
def test_the_answer_is_as_published(client: httpx.Client, query: dict[str, str]) -> None:
    answer = client.get("/v2/usage", params=query)
    body = told(answer)
    published = Published(SHARED / "contract" / "rest.json", "batch_superseded")  # the current one has no alignment
    for entry in body["details"]:
        assert entry["model"] == entry["operating_point"]  # contract §5, inferred: both, since clients read either
    published.check(body, published.operation("GET", "/usage").answers[200] or {})
    assert answer.headers["content-type"] in published.operation("GET", "/usage").produces


def test_without_bounds_it_is_all_of_the_workspace_until_yesterday(client: httpx.Client) -> None:
    body = told(client.get("/v2/usage/"))
    first, last = days(10, 1)
    assert (body["since"], body["until"]) == (f"{first}T00:00:00Z", f"{last}T23:59:59Z")
    assert body["summary"] == [
        {"mode": "batch", "type": "alignment", "count": 1, "duration_hrs": 0.5},
        {"mode": "batch", "type": "transcription", "count": 3, "duration_hrs": 1.5},
    ]
    assert [(entry["type"], entry["language"], entry["model"], entry["count"]) for entry in body["details"]] == [
        ("alignment", "en", "standard", 1), ("transcription", "en", "standard", 2), ("transcription", "fr", "enhanced", 1),
    ]  # fmt: skip


def test_days_are_inclusive_and_the_current_one_never_counts(client: httpx.Client) -> None:
    for begin, end, count in ((3, 3, 1), (3, 2, 1), (2, 2, 0), (1, 0, 2), (1, -5, 2), (10, 1, 4), (9, 1, 3)):
        first, last = days(begin, end)
        body = told(client.get("/v2/usage", params={"since": first, "until": last}))
        assert sum(entry["count"] for entry in body["summary"]) == count, (begin, end)
        assert body["until"] == f"{days(max(end, 1))[0]}T23:59:59Z"


def test_usage_is_split_by_day_and_by_project_on_request(client: httpx.Client) -> None:
    first, last = days(10, 1)
    whole = {"mode": "batch", "type": "transcription", "model": "standard", "operating_point": "standard"}
    half = {"count": 1, "duration_hrs": 0.5}
    by_day = told(client.get("/v2/usage", params={"by": "day"}))
    assert by_day["days"] == [
        {"day": first, **whole, **half},
        {"day": days(3)[0], **whole, "type": "alignment", **half},
        {"day": last, **whole, "model": "enhanced", "operating_point": "enhanced", **half},
        {"day": last, **whole, **half},
    ]
    assert {name: value for name, value in by_day.items() if name != "days"} == told(client.get("/v2/usage"))
    by_project = told(client.get("/v2/usage", params={"by": "project", "since": first}))
    assert [(each["project_id"], each["type"], each["count"]) for each in by_project["projects"]] == [
        (1, "alignment", 1), (1, "transcription", 1), (1, "transcription", 1), (7, "transcription", 1),
    ]  # fmt: skip
    one = told(client.get("/v2/usage", params={"project_id": "7", "by": "day"}))
    assert [each["day"] for each in one["days"]] == [first]
    assert one["summary"] == [{"mode": "batch", "type": "transcription", **half}]
    assert told(client.get("/v2/usage", params={"project_id": "70"}))["summary"] == []


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"by": "app"}, "by in query should be one of [day project]"),
        ({"project_id": "x"}, "project_id in query must be of type int64"),
        ({"by": "day", "since": "2020-01-01"}, "at most 400 days"),
    ],
)
def test_a_split_that_cannot_be_made_is_422(client: httpx.Client, query: dict[str, str], why: str) -> None:
    answer = client.get("/v2/usage", params=query)
    assert answer.status_code == 422
    assert why in answer.json()["error"]


def test_a_period_that_ends_before_it_begins_is_empty(client: httpx.Client) -> None:
    for first, last in (days(1, 3), days(0, 0)):
        body = told(client.get("/v2/usage", params={"since": first, "until": last}))
        assert (body["summary"], body["details"]) == ([], [])


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-02-01T00:00:00Z", "20260201"])
def test_what_is_no_day_is_422(client: httpx.Client, name: str, text: str) -> None:
    answer = client.get("/v2/usage", params={name: text})
    assert answer.status_code == 422
    assert answer.json() == {"code": 422, "error": f'{name} in query must be of type date: "{text}"'}


def key(client: httpx.Client, **body: Any) -> dict[str, str]:
    """The header of a new key."""
    answer = client.post("/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['key_value']}"}


@pytest.mark.parametrize("more", [{"ttl": 60}, {}])
def test_a_key_with_a_client_ref_is_403(client: httpx.Client, more: dict[str, int]) -> None:
    answer = client.get("/v2/usage", headers=key(client, client_ref="shop 1", **more))
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")
    assert client.get("/v2/usage", headers=key(client, **more)).status_code == 200


def test_strangers_are_401(client: httpx.Client) -> None:
    for header in ("", "Bearer nobody"):
        assert client.get("/v2/usage", headers={"Authorization": header}).status_code == 401


# ── from a job to the figures ──


@pytest.fixture
def own(
    request: pytest.FixtureRequest, tmp_path: Path, environment_of: Callable[[str, Path], dict[str, str]]
) -> Iterator[Server]:
    """A server for those who change everything, on the backend that is the parameter."""
    home = tmp_path / "own"
    with Server(home, **environment_of(request.param, home)) as running:
        yield running


def submit(client: httpx.Client, server: Server, app: str) -> str:
    """A job that is done."""
    answer = client.post(
        "/v2/jobs",
        params={"sm-app": app},
        data={"config": json.dumps(CONFIG)},
        files={"data_file": SPEECH.read_bytes()},
    )
    assert answer.status_code == 201, answer.text
    job_id = str(answer.json()["id"])
    assert server.wait(job_id)["status"] == "done"
    return job_id


@pytest.mark.parametrize("own", ["sqlite", "fleet"], indirect=True)
def test_jobs_of_both_apis_are_counted_and_stay_when_they_are_deleted(own: Server) -> None:
    with own.client() as client:
        job_id = submit(client, own, " desk/1.0 ")
        empty = client.post(
            "/v1.0/user/1/jobs/",
            params={"sm-app": "=HYPERLINK(1)"},
            data={"model": "en", "notification": "none"},
            files={"data_file": b""},
        )
        assert empty.status_code == 200, empty.text
        refused = client.post("/v2/jobs", data={"config": json.dumps(CONFIG)}, files={"data_file": b"no media"})
        if refused.status_code != 400:  # media in S3 is looked at by the worker
            assert own.wait(refused.json()["id"])["status"] == "rejected"
        counted = {row["app"]: row for row in rows(own, t.job_usage)}
        assert set(counted) == {"desk/1.0", "=HYPERLINK(1)"}
        assert counted["desk/1.0"]["job_id"] == job_id
        with opened(own, t.region) as database, database.reading() as connection:
            job = connection.execute(sa.select(t.jobs).where(t.jobs.c.id == job_id)).mappings().one()
        assert counted["desk/1.0"]["duration_ms"] == job["duration_ms"] > 0
        assert counted["=HYPERLINK(1)"]["duration_ms"] == 0
        assert told(client.get("/v2/usage"))["summary"] == []
        for row in counted.values():
            earlier(own, row["job_id"], 1)
        before = told(client.get("/v2/usage"))
        assert before["summary"] == [
            {
                "mode": "batch",
                "type": "transcription",
                "count": 2,
                "duration_hrs": round(job["duration_ms"] / HOUR_MS, 7),
            }
        ]
        for row in counted.values():
            assert client.delete(f"/v2/jobs/{row['job_id']}").status_code == 200
        assert told(client.get("/v2/usage")) == before
    assert len(copies(own, 2)) == 2
    with opened(own, t.control) as database, database.writing() as connection:
        connection.execute(sa.update(t.usage).values(day=t.usage.c.day - 1))
    assert command(own, "usage", "--by", "app", "--csv", "-").splitlines()[:2] == [
        "app,jobs,hours",
        "'=HYPERLINK(1),1,0.0000000",
    ]


@pytest.mark.parametrize("own", ["sqlite"], indirect=True)
def test_a_kill_between_the_end_of_a_job_and_its_copy_loses_nothing_and_counts_nothing_twice(own: Server) -> None:
    with own.client() as client:
        first = submit(client, own, "before")
        assert [row["job_id"] for row in copies(own)] == [first]
        with sqlite3.connect(own.data / "control.db", isolation_level=None) as control:
            control.execute("BEGIN IMMEDIATE")  # nothing can be copied as long as somebody else writes
            second = submit(client, own, "after")
            own.kill()
            control.execute("ROLLBACK")
        control.close()
    assert [row["job_id"] for row in rows(own, t.job_usage) if row["told_at"] is None] == [second]
    assert [row["job_id"] for row in rows(own, t.usage)] == [first]
    own.start()
    once = copies(own, 2)
    assert sorted(row["job_id"] for row in once) == sorted([first, second])
    own.kill()
    with opened(own, t.region) as database, database.writing() as connection:  # as a kill before the mark leaves them
        connection.execute(sa.update(t.job_usage).values(told_at=None))
    own.start()
    assert copies(own, 2) == once

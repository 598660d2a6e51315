"""The state of the server for its operator, and pulls of models over HTTP, on a server in this process."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.engines.models.catalogue import CATALOGUE
from sottovoce.service.identity import api_keys, sessions, users
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.jobs import repository
from sottovoce.service.queue import worker_registry
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms
from sottovoce.web import auth
from sottovoce.web.workspace.answers import HealthDetails, PullResponse
from tests.contract.test_account import Build, House, opened, refused
from tests.hub import Hub, Repository
from tests.tiny_whisper import build as tiny_whisper
from tests.unit.service.service_values import new_job
from tests.unknown_files import empty_the_table

pytestmark = pytest.mark.system

DETAILS = "/v1/health/details"
TINY = CATALOGUE["whisper-tiny"]
SECRET = "a-name-that-belongs-to-a-customer"
EMAIL = "ada@example.org"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def house(build: Build) -> House:
    return build(registration="closed")


def ask(house: House, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(house.app)
        headers = {**options.pop("headers", {}), **({} if key is None else {"authorization": f"Bearer {key}"})}
        if method == "POST":
            headers |= {"content-type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **options)

    answer: httpx.Response = house.run(asked())
    return answer


def details(house: House) -> HealthDetails:
    answer = ask(house, "GET", DETAILS, "the-first-key")
    assert answer.status_code == 200, answer.text
    return HealthDetails.model_validate_json(answer.content)


def test_the_state_is_numbers_without_anything_of_a_customer(house: House) -> None:
    runtime = house.runtime
    with runtime.database.writing() as connection:
        for name, state in (("a" * 10, "done"), ("b" * 10, "queued"), ("c" * 10, "queued")):
            config = runtime.encryptor.encrypt(b"{}")
            repository.insert(connection, new_job(name, config=config, data_name=SECRET, media_bytes=5))
            values = {"state": state, "created_at": now_ms() - 60_000, "finished_at": 5000, "delete_at": 6000}
            ended = values if state == "done" else {"created_at": values["created_at"]}
            connection.execute(sa.update(t.jobs).where(t.jobs.c.id == name).values(**ended))
        for number, (state, ago) in enumerate([("failed", 1000), ("failed", 90_000_000), ("waiting", 0)]):
            connection.execute(
                sa.insert(t.deliveries).values(
                    id=f"d{number}", job_id="a" * 10, kind="notification", number=0, status="success", target=b"x",
                    place=f"https://{SECRET}.example.org", state=state, attempts=1, tries=3, outcome=SECRET,
                    created_at=1, ended_at=now_ms() - ago if state == "failed" else None,
                )
            )  # fmt: skip
        worker_registry.beat(connection, f"{socket.gethostname()}-1", (), 2)
        worker_registry.beat(connection, "long gone", (), 2)
        gone = sa.update(t.workers).where(t.workers.c.id == "long gone")
        connection.execute(gone.values(heartbeat_at=now_ms() - 3_600_000))
    answer = ask(house, "GET", DETAILS, "the-first-key")
    assert answer.headers["cache-control"] == "no-store"
    folder = str(runtime.plan.folder.root)
    for hidden in (SECRET, "a" * 10, socket.gethostname(), folder, "long gone", "d0", EMAIL, "http"):
        assert hidden not in answer.text, hidden
    found = HealthDetails.model_validate_json(answer.content)
    assert (found.jobs["done"], found.jobs["queued"], found.queue.waiting) == (1, 2, 2)
    assert 59 < found.queue.oldest_seconds < 120
    assert sorted((each.alive, each.slots) for each in found.workers) == [(False, 2), (True, 2)]
    assert found.queue.slots == 2
    assert (found.deliveries.failed, found.deliveries.waiting, found.deliveries.failed_last_day) == (2, 1, 1)
    assert (found.retention.kept, found.retention.kept_bytes, found.retention.due) == (3, 15, 1)
    assert (found.retention.keep_days, found.retention.tombstone_days) == (7, 30)
    assert found.disk is not None
    assert found.disk.free > 0
    assert found.ready.database
    assert [(each.name, each.here) for each in found.regions] == [("eu1", True)]
    assert (found.roles, found.models) == (["api"], None)
    assert found.pull_refused == "this process loads no models; use `sottovoce models pull` where the workers run"


# ── who may ask ──


def test_only_admins_of_the_operators_workspace_see_it(house: House) -> None:
    with house.runtime.control.writing() as connection:
        kept = "$argon2id$v=19$m=32,t=3,p=1$c29tZXNhbHQ$" + "x" * 43
        admin = users.add(connection, email=EMAIL, password_hash=kept, verified=True, workspace_id=1)
        users.add(
            connection, email="bob@example.org", password_hash=kept, verified=True, workspace_id=1, role=Role.MEMBER
        )
        eve = users.add(connection, email="eve@example.org", password_hash=kept, verified=True)
        project = api_keys.default_project(connection, eve.workspace_id)
        api_keys.create_key(connection, project_id=project, name="", secret="eves-managing-key", manages=True)
        api_keys.create_key(connection, project_id=1, name="", secret="a-plain-key")
        cookies = {
            name: sessions.create(connection, user.id)
            for name in (EMAIL, "bob@example.org", "eve@example.org")
            if (user := users.by_email(connection, name))
        }
    assert admin.role is Role.ADMIN

    def status(method: str, path: str, key: str | None = None, who: str | None = None) -> int:
        headers = {} if who is None else {"cookie": f"sottovoce_session={cookies[who]}"}
        return ask(house, method, path, key, headers=headers).status_code

    for method, path in (("GET", DETAILS), ("POST", f"/v1/health/models/{TINY.name}")):
        assert status(method, path) == 401
        assert status(method, path, "wrong-key") == 401
        for key in ("a-plain-key", "eves-managing-key"):
            assert status(method, path, key) == 403
        for who in ("bob@example.org", "eve@example.org"):
            assert status(method, path, who=who) == 403, who
    refused(ask(house, "GET", DETAILS, "eves-managing-key"), 403, "Forbidden", "operator's workspace, 1")
    assert status("GET", DETAILS, who=EMAIL) == 200
    assert status("GET", DETAILS, "the-first-key") == 200
    token = ask(house, "POST", "/v1/api-keys", "the-first-key", content='{"ttl": 60}').json()["key_value"]
    assert status("GET", DETAILS, token) == 403


def test_the_portals_cookie_of_the_first_key_opens_it_to_its_page_alone(house: House) -> None:
    signed = ask(house, "POST", "/portal/session", content='{"api_key": "the-first-key"}')
    cookie = "; ".join(each.partition(";")[0] for each in signed.headers.get_list("set-cookie"))
    assert ask(house, "GET", DETAILS, headers={"cookie": cookie}).status_code == 401
    assert ask(house, "GET", DETAILS, headers={"cookie": cookie, auth.PORTAL_HEADER: "1"}).status_code == 200


# ── pulls ──


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    empty_the_table(monkeypatch)
    files = {path.name: path.read_bytes() for path in tiny_whisper(tmp_path / "made").iterdir()}
    with Hub() as found:
        found.repositories[TINY.repository] = Repository(files, commit=TINY.revision)
        yield found


def puller(build: Build, hub: Hub, **settings: Any) -> House:
    """A server whose plan says that it also runs jobs; no engine is needed to pull."""
    house = build(**{"registration": "closed", "models_url": hub.url, "model_sources": ("mirror",), **settings})
    house.runtime.plan = replace(house.runtime.plan, roles=frozenset({"api", "batch"}))
    return house


def pull(house: House, name: str = TINY.name) -> httpx.Response:
    return ask(house, "POST", f"/v1/health/models/{name}", "the-first-key")


def eventually(house: House, wanted: Callable[[PullResponse], bool]) -> PullResponse:
    deadline = time.monotonic() + 60
    while True:
        found = details(house).pull
        if found is not None and wanted(found):
            return found
        assert time.monotonic() < deadline, found
        house.run(asyncio.sleep(0.05))


def test_a_model_of_the_catalogue_is_pulled_with_its_progress_and_one_at_a_time(build: Build, hub: Hub) -> None:
    house = puller(build, hub)
    models = details(house).models
    assert models is not None
    assert [each.command for each in models.available if each.name == TINY.name] == [
        f"sottovoce models pull {TINY.name}"
    ]
    hub.faults.hold["model.bin"] = 20_000
    answer = pull(house)
    assert answer.status_code == 202
    assert PullResponse.model_validate_json(answer.content).state == "running"
    assert hub.held.wait(60)
    going = eventually(house, lambda found: found.total > 0)
    assert (going.model, going.state, going.step) == (TINY.name, "running", "fetching")
    second = pull(house, "whisper-base")
    assert second.status_code == 423
    assert f"{TINY.name} is being pulled" in second.text
    hub.release.set()
    done = eventually(house, lambda found: found.state != "running")
    assert (done.state, done.done) == ("done", done.total)
    models = details(house).models
    assert models is not None
    assert [each.name for each in models.installed] == [TINY.name]
    assert TINY.name not in {each.name for each in models.available}
    assert "model pull started" in {action for _, action in house.actions()}


def test_why_a_pull_failed_is_in_the_log_only(
    build: Build, hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    del hub.repositories[TINY.repository]
    hub.repositories["else/where"] = Repository({}, commit="c" * 40)
    house = puller(build, hub, offline=True)
    caplog.set_level(logging.WARNING)
    assert pull(house).status_code == 202
    assert eventually(house, lambda found: found.state != "running").state == "failed"
    answer = ask(house, "GET", DETAILS, "the-first-key").text
    assert str(tmp_path) not in answer
    (line,) = [record for record in caplog.records if record.getMessage() == "model not fetched"]
    assert "offline" in line.__dict__["why"]


def test_what_is_no_model_of_the_catalogue_is_not_pulled(build: Build, hub: Hub) -> None:
    house = puller(build, hub)
    for name in ("nothing", "Systran", "..", "tiny"):
        assert pull(house, name).status_code == 404, name
    assert hub.seen == []


def test_a_server_with_several_workspaces_or_databases_of_its_own_pulls_nothing(build: Build, hub: Hub) -> None:
    house = puller(build, hub)
    with house.runtime.control.writing() as connection:
        users.add(connection, email=EMAIL, password_hash=None, verified=True)
    told = "a server with several workspaces pulls no models over HTTP; use `sottovoce models pull`"
    refused(pull(house), 403, "Forbidden", told)
    assert details(house).pull_refused == told
    house.runtime.plan = replace(house.runtime.plan, control_database_url="sqlite:///elsewhere.db")
    refused(pull(house), 403, "Forbidden", "databases of its own")
    assert hub.seen == []

"""Every address × every key that does not open it × every id that is somebody else's: refused, and nothing has changed.

The addresses come from the application's own table: one that is added is tried here without a word.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce import bootstrap
from sottovoce.service.identity import api_keys, projects, temporary_keys
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.identity.temporary_keys import TokenIssuer, TokenRequest
from sottovoce.service.jobs import repository
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key
from sottovoce.service.storage.encryption import Encryptor, new_key
from sottovoce.settings import load
from sottovoce.web import app
from sottovoce.web.routing import Route
from tests import databases
from tests.unit.service.service_values import CONFIG, migrated, new_job

pytestmark = pytest.mark.system

OPEN = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/docs",
    "/docs.md",
    "/llms.txt",
    "/openapi.json",
    "/v1/discovery/features",
    "/v1/regions",
    "/",
    "/portal/sign-in",
    "/portal/jobs/{job_id}",  # a page without data
    "/portal/keys",  # likewise
    "/portal/usage",
    "/portal/account",
    "/portal/members",
    "/portal/audit",
    "/portal/health",
    "/portal/live",
    "/portal/live/overlay",
    "/portal/static/{digest}/{path:path}",
    "/docs/{name:path}",
    "/v1.0/status",
    "/v1/status",
}
"""Addresses that want no key. Whatever is not named here wants one."""
DOORS = {"/portal/session"} | {
    f"/account/{name}" for name in ("register", "verify", "login", "logout", "forgot", "reset", "join")
}
"""Addresses by which strangers come in: they want no key either."""
MODEL = "whisper-tiny"
"""A model of the catalogue."""
MANAGED = ("/account/members", "/account/invitations", "/account/audit")
"""Addresses below /account that also take a managing key."""
REFUSED = {401, 403, 404}
KEPT = [t.control, t.region]
BEATS = {"workers", "counters"}
"""Tables that change by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One method of one address, with its places filled in."""

    method: str
    address: Route
    path: str


class World:
    """A server in this process, with a workspace, its projects and jobs, and strangers with keys of their own."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.folder = folder
        self._runner = runner
        self.settings = load(data_dir=folder, roles=("api",), api_key="the-owners-own-key")
        databases.make_embedded(folder)
        self.runtime = Runtime(replace(bootstrap.plan(self.settings), inspectors=0))
        self.runtime.start()
        self.app = app.create_app(self.settings, self.runtime)
        self.addresses = app.routes(self.settings, self.runtime)
        self._furnish()

    def run(self, work: Awaitable[Any]) -> Any:
        """*work*, on the one loop that the server's parts belong to."""

        async def done() -> Any:
            return await work

        return self._runner.run(done())

    def _furnish(self) -> None:
        with self.runtime.control.writing() as connection:
            self.second = projects.create(connection, 1, "second").id
            connection.execute(sa.insert(t.workspaces).values(id=2, name="other", created_at=1))
            theirs = {"id": 70, "workspace_id": 2, "name": "theirs", "is_default": True, "created_at": 1}
            connection.execute(sa.insert(t.projects).values(**theirs))
            (first,) = api_keys.list_keys(connection)
            self.first = first.id
        self.neighbour = self._key("neighbours-key", project_id=self.second)
        self.stranger = self._key("strangers-managing-key", project_id=70, manages=True)
        self.revoked = self._key("a-revoked-key", project_id=1)
        self.fading = self._key("a-fading-key", project_id=1, manages=True)
        self.bound = self._key("a-bound-key", project_id=1, client_ref="shop 1")
        self.job = self._job("0wnersj0b0", Caller(key_id=self.first, project_id=1, workspace_id=1, user_id=1))
        ref = Caller(key_id=self.first, project_id=1, workspace_id=1, user_id=1, client_ref="shop 2")
        self.referred = self._job("referredj0", ref)

    def _key(self, secret: str, **values: Any) -> str:
        with self.runtime.control.writing() as connection:
            return api_keys.create_key(connection, name=secret, secret=secret, **values).id

    def _job(self, job_id: str, caller: Caller) -> str:
        encrypted = self.runtime.encryptor.encrypt(CONFIG)
        with self.runtime.database.writing() as connection:
            repository.insert(connection, new_job(job_id, caller=caller, config=encrypted, media_bytes=5))
        self.run(self.runtime.blobs.put(media_key(job_id), b"media"))
        return job_id

    def token(
        self, *, region: str = "eu1", at: float | None = None, encryptor: Encryptor | None = None, **values: Any
    ) -> str:
        """A temporary key of this installation."""
        grant: dict[str, Any] = {"key_id": self.first, "project_id": 1, "product": Product.BATCH, "ttl": 3600, **values}
        mint = TokenIssuer(self.runtime.control, encryptor or self.runtime.encryptor, region, lambda: at or time.time())
        return str(self.run(mint.make(TokenRequest(**grant)))[0])

    # ── requests ──

    @cached_property
    def guarded(self) -> list[tuple[str, Route]]:
        """Every method of every address that wants a key."""
        return [(method, each) for method, each in self._closed if not _wants_session(each)]

    @property
    def _closed(self) -> list[tuple[str, Route]]:
        shut = [each for each in self.addresses if each.path not in OPEN | DOORS]
        return [(method, each) for each in shut for method in each.handlers]

    def requests(self, *, of_sessions: bool = False) -> Iterator[Request]:
        """Every method of every address that wants a key, with each id of the owner's, and some that nobody has.

        With *of_sessions*: of those that want a session.
        """
        of = [entry for entry in self._closed if _wants_session(entry[1])] if of_sessions else self.guarded
        for method, address in of:
            for path in self._filled(address.path):
                yield Request(method=method, address=address, path=path)

    @cached_property
    def _numbers(self) -> list[str]:
        with self.runtime.database.reading() as connection:
            found = [repository.get(connection, job_id) for job_id in (self.job, self.referred)]
        return [str(each.v1_id) for each in found if each]

    def _filled(self, pattern: str) -> list[str]:
        names = re.findall(r"{(\w+)[^}]*}", pattern)
        if not names:
            return [pattern]
        ids = {
            "job_id": [self.job, self.referred, "n0suchj0b0"],
            "apikey_id": [self.first, self.bound, "0123456789abcdef"],
            "project_id": ["1", str(self.second), "999"],
        }
        if pattern.startswith("/v1/health/models/"):
            return [pattern.replace("{name}", name) for name in (MODEL, "no-such-model")]
        if names == ["user_id"] and pattern.startswith("/account"):
            ids |= {"user_id": ["1", "999", "x"]}
        elif "user_id" in names:  # V1: users and jobs have numbers
            ids |= {"user_id": ["1", "1", "1"], "job_id": [*self._numbers, "99901"]}
        rows = zip(*(ids.get(name, [self.job, "1", "999"]) for name in names), strict=True)
        return [re.sub(r"{\w+[^}]*}", "{}", pattern).format(*row) for row in rows]

    def ask(self, request: Request, key: str | None, place: str = "header") -> httpx.Response:
        """The answer to *request* with *key* in the header, or in the query as old and browser clients have it."""
        headers, params = {}, {"force": "true"}
        if key is not None and place == "header":
            headers = {"Authorization": key if " " in key else f"Bearer {key}"}
        elif key is not None:
            params |= dict.fromkeys(("jwt", "auth_token"), key)
        return httpx.Response(**self.run(self._asked(request, headers, params)))

    async def _asked(self, request: Request, headers: dict[str, str], params: dict[str, str]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if request.method in {"POST", "PUT", "PATCH"}:
            multipart = "/jobs" in request.path
            body = {"files": {"config": CONFIG, "data_file": b"media"}} if multipart else {"json": {"name": "changed"}}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.request(request.method, request.path, headers=headers, params=params, **body)
        return {"status_code": answer.status_code, "content": answer.content, "headers": answer.headers}

    def everything(self) -> str:
        """All that is kept: rows of both databases, and blobs."""
        rows = {}
        for database, metadata in ((self.runtime.control, t.control), (self.runtime.database, t.region)):
            with database.reading() as connection:
                for table in metadata.sorted_tables:
                    if table.name not in BEATS:
                        rows[table.name] = [tuple(row) for row in connection.execute(sa.select(table))]
        return repr((rows, sorted(self.run(self.runtime.blobs.keys("")))))


def _wants_session(address: Route) -> bool:
    """Whether *address* wants somebody who has logged in, and no key."""
    return address.path.startswith("/account") and address.path not in DOORS and not address.path.startswith(MANAGED)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        made = World(tmp_path_factory.mktemp("access"), runner)
        try:
            yield made
        finally:
            made.runtime.close()


def forged(world: World) -> str:
    """The owner's temporary key, unsigned."""
    head, body, _ = world.token().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    unsigned = base64.urlsafe_b64encode(json.dumps({**header, "alg": "none"}).encode()).rstrip(b"=").decode()
    return f"{unsigned}.{body}."


def foreign(world: World) -> str:
    """A temporary key of another installation, whose key has the same id."""
    (elsewhere := world.folder / "elsewhere").mkdir(exist_ok=True)
    with migrated(elsewhere, "control") as control:
        mint = TokenIssuer(control, Encryptor([new_key()]), "eu1")
        grant = TokenRequest(key_id=world.first, project_id=1, product=Product.BATCH, ttl=3600)
        return str(world.run(mint.make(grant))[0])


def of_a_revoked_key(world: World) -> str:
    made = world.token(key_id=world.fading)
    with world.runtime.control.writing() as connection:
        api_keys.revoke_key(connection, world.fading)
    return made


def of_a_forgotten_signing_key(world: World) -> str:
    made = world.token(region="au1")
    with world.runtime.control.writing() as connection:
        temporary_keys.forget(connection, "au1")
    return made


def revoked(world: World) -> str:
    with world.runtime.control.writing() as connection:
        api_keys.revoke_key(connection, world.revoked)
    return "a-revoked-key"


CLOSED: dict[str, Callable[[World], str | None]] = {
    "no key": lambda _: None,
    "an empty key": lambda _: "Bearer ",
    "a wrong key": lambda _: "wrong-key",
    "a key that is too long": lambda _: "a" * 5000,
    "the owner's key by another scheme": lambda _: "Basic the-owners-own-key",
    "the digest of the owner's key": lambda _: api_keys.digest("the-owners-own-key"),
    "the id of the owner's key": lambda world: world.first,
    "a revoked key": revoked,
    "an expired token": lambda world: world.token(at=time.time() - 7200),
    "a token of tomorrow": lambda world: world.token(at=time.time() + 86_400),
    "a realtime token": lambda world: world.token(product=Product.RT),
    "the portal's token for keys and projects": lambda world: world.token(product=Product.MANAGE),
    "another region's token": lambda world: world.token(region="us1"),
    "another installation's token": foreign,
    "an unsigned token": forged,
    "a token that was changed": lambda world: world.token()[:-6] + "AAAAAA",
    "a token of a revoked key": of_a_revoked_key,
    "a token of a forgotten signing key": of_a_forgotten_signing_key,
    "a token for a project of others": lambda world: world.token(key_id=world.neighbour, project_id=1),
    "a token for another workspace": lambda world: world.token(key_id=world.stranger, project_id=1),
}
"""Keys that open nothing, by what they are."""

OTHERS: dict[str, Callable[[World], str]] = {
    "another project's key": lambda _: "neighbours-key",
    "another project's token": lambda world: world.token(key_id=world.neighbour, project_id=world.second),
    "another workspace's managing key": lambda _: "strangers-managing-key",
    "another reference's key": lambda _: "a-bound-key",
    "another reference's token": lambda world: world.token(client_ref="shop 1"),
}
"""Keys that are good, for something else."""


OPENAI = ("/v1/audio/", "/v1/models")
"""The addresses with errors in the form of OpenAI's API."""


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("place", ["header", "query"])
def test_a_key_that_opens_nothing_opens_nothing(world: World, name: str, place: str) -> None:
    key = CLOSED[name](world)
    before = world.everything()
    for request in world.requests():
        answer = world.ask(request, key, place)
        assert answer.status_code in REFUSED, (name, request.method, request.path, answer.text)
        assert answer.status_code != 404 or "{" in request.address.path, "refused before anything is looked for"
        if request.path.startswith(OPENAI):
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
            continue
        assert {"code", "error"} <= set(answer.json())
        assert answer.json()["code"] == answer.status_code
    assert world.everything() == before


@pytest.mark.parametrize("name", OTHERS)
def test_somebody_elses_things_are_as_unknown_as_those_that_never_were(world: World, name: str) -> None:
    key = OTHERS[name](world)
    before = world.everything()
    told: dict[str, set[tuple[int, str]]] = {}
    for request in world.requests():
        # what V1 shows of an account is no secret to its own user's keys, whatever their project; models are everybody's
        if "{" in request.address.path and not request.address.path.endswith(
            ("{user_id}", "/payments", "/user/{user_id}/jobs", "{model_id}")
        ):
            answer = world.ask(request, key)
            assert answer.status_code in REFUSED, (name, request.method, request.path, answer.text)
            told.setdefault(f"{request.method} {request.address.path}", set()).add((answer.status_code, answer.text))
    assert told
    assert {place: len(answers) for place, answers in told.items()} == dict.fromkeys(told, 1)
    assert world.everything() == before


@pytest.mark.parametrize("name", OTHERS)
def test_lists_hold_nothing_of_others(world: World, name: str) -> None:
    key = OTHERS[name](world)
    for method, address in world.guarded:
        if method == "GET" and "{" not in address.path:
            answer = world.ask(Request(method=method, address=address, path=address.path), key)
            assert answer.status_code in {200, 403}
            for theirs in (world.job, world.referred, world.first, '"project_id":1'):
                assert theirs not in answer.text, (name, address.path)


def test_nobody_makes_keys_for_others(world: World) -> None:
    before = world.everything()
    for name, theirs in OTHERS.items():
        for project in (1, world.second, 70):
            if (name, project) in {("another project's key", world.second), ("another workspace's managing key", 70)}:
                continue
            if name.startswith("another reference's key") and project == 1:
                continue  # its own project, to which it belongs
            answer = make_key(world, theirs(world), {"ttl": 60, "project_id": project})
            assert answer.status_code in {403, 404}, (name, project, answer.text)
    assert world.everything() == before


def test_no_key_opens_what_wants_a_session(world: World) -> None:
    keys = [None, "the-owners-own-key", *(theirs(world) for theirs in OTHERS.values())]
    before = world.everything()
    asked = list(world.requests(of_sessions=True))
    assert {request.address.path for request in asked} == {
        "/account", "/account/password", "/account/tokens", "/account/tokens/{apikey_id}", "/account/sessions",
        "/account/sessions/{session_id}",
    }  # fmt: skip
    for request in asked:
        for key in keys:
            for place in ("header", "query"):
                assert world.ask(request, key, place).json()["code"] == 401, (request.method, request.path)
    assert world.everything() == before


def make_key(world: World, key: str, body: dict[str, Any]) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/api-keys", json=body, headers={"Authorization": f"Bearer {key}"})

    answer = world.run(ask())
    assert isinstance(answer, httpx.Response)
    return answer


def test_the_owner_gets_in_everywhere(world: World) -> None:
    """Else the rest would show nothing. Only GET: it shall all be there for the others."""
    for request in world.requests():
        if request.method == "GET" and not any(unknown in request.path for unknown in ("n0such", "999", "0123456789")):
            answer = world.ask(request, "the-owners-own-key")
            assert answer.status_code not in {401, 403}, (request.path, answer.text)
            not_yet = {"Job In Progress", "Job is not of type alignment"}
            if request.address.path.endswith("/peaks"):
                assert answer.json()["detail"] == "this job has no peaks"  # no worker has run it
                continue
            if request.address.path.endswith("{model_id}"):
                assert answer.json()["error"]["code"] == "model_not_found"
                continue
            assert answer.status_code == 200 or answer.json()["error"] in not_yet, request.path


def test_an_expired_key_is_told_as_the_contract_has_it(world: World) -> None:
    expired = world.token(at=time.time() - 7200)
    told = {}
    for method, address in world.guarded:
        if address.path in {"/v2/jobs", "/v2/jobs/{job_id}"}:
            request = Request(method=method, address=address, path=address.path.replace("{job_id}", world.job))
            answer = world.ask(request, expired)
            told[method, address.path] = answer.status_code
            if (method, address.path) == ("POST", "/v2/jobs"):
                shown = {"code": 403, "error": "Forbidden", "detail": "Entitlement check failed"}
                assert answer.json() == shown
    assert told == {
        ("POST", "/v2/jobs"): 403, ("GET", "/v2/jobs"): 401, ("GET", "/v2/jobs/{job_id}"): 401, ("DELETE", "/v2/jobs/{job_id}"): 401,
    }  # fmt: skip


def test_realtime_takes_a_key_from_the_address_and_batch_does_not(world: World) -> None:
    from starlette.requests import HTTPConnection

    from sottovoce.errors import Refused
    from sottovoce.web.auth import authenticate

    def connection(query: str) -> HTTPConnection:
        return HTTPConnection({"type": "websocket", "headers": [], "query_string": query.encode(), "path": "/v2"})

    api_key_cache = world.runtime.api_key_cache
    for name in ("jwt", "auth_token", "api_key"):
        for region in ("eu1", "us1"):  # bound to no region (contract realtime.md §1.3)
            key = world.token(product=Product.RT, region=region)
            caller = world.run(authenticate(connection(f"{name}={key}"), api_key_cache, Product.RT, in_query=True))
            assert caller.project_id == 1
        for key in ("the-owners-own-key", world.token(product=Product.RT)):
            with pytest.raises(Refused, match="unauthenticated"):
                world.run(authenticate(connection(f"{name}={key}"), api_key_cache, Product.RT))
    with pytest.raises(Refused, match="forbidden"):
        world.run(authenticate(connection(f"jwt={world.token()}"), api_key_cache, Product.RT, in_query=True))

"""Keys and projects over HTTP, and the clients that make temporary keys."""

import asyncio
import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.conftest import SHARED
from tests.contract.auth_clients import Unauthorized, Unknown, ValidationFailed, create_jwt
from tests.servers import CONFIG, Server, tls, until

pytestmark = pytest.mark.system

Holding = Callable[[str], httpx.Client]
KEYS = ("/v1/api-keys", "/v1/api_keys")
SILENCE = Path(__file__).parents[1] / "fixtures" / "audio" / "silence.wav"


@pytest.fixture(scope="module", params=["sqlite", "fleet"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment_of: Callable[[str, Path], dict[str, str]],
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("management")
    with Server(home, SOTTOVOCE_DEFAULT_WAIT="0", **environment_of(request.param, home)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def holding(server: Server) -> Iterator[Holding]:
    """A client for whoever holds a key."""
    with contextlib.ExitStack() as stack:

        def opened(key: str) -> httpx.Client:
            headers = {"Authorization": f"Bearer {key}"}
            return stack.enter_context(httpx.Client(base_url=server.url, headers=headers, timeout=60, verify=tls()))

        yield opened


@pytest.fixture(scope="module")
def plain(server: Server) -> str:
    """A key that does not manage."""
    with server.client() as client:
        return made(client, name="plain")["key_value"]


def made(client: httpx.Client, kind: str = "batch", **body: Any) -> dict[str, str]:
    answer = client.post("/v1/api-keys", params={"type": kind}, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def submit(client: httpx.Client) -> str:
    form: dict[str, Any] = {"data": {"config": json.dumps(CONFIG)}, "files": {"data_file": SILENCE.read_bytes()}}
    answer = client.post("/v2/jobs", **form)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ended(client: httpx.Client, job_id: str) -> bool:
    return bool(client.get(f"/v2/jobs/{job_id}").json()["job"]["status"] != "running")


def listed(client: httpx.Client) -> set[str]:
    return {job["id"] for job in client.get("/v2/jobs").json()["jobs"]}


# ── as described ──


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return dict(json.loads((SHARED / "contract" / "rest.json").read_text(encoding="utf-8"))["management"])


UNDESCRIBED = {400, 401, 405, 413, 422}
"""Statuses that the description leaves out: HTTP's own, and those that its clients know (contract §13.3)."""


def verify(described: dict[str, Any], answer: httpx.Response, path: str) -> None:
    """*answer* is one of the description of *path*: its status, and a body with the described members alone."""
    told = described["paths"][path][answer.request.method.lower()]["responses"]
    if answer.status_code >= 400:
        assert answer.status_code in {int(status) for status in told} | UNDESCRIBED
        body = answer.json()
        assert body.pop("message", body.get("detail")) == body.get("detail")
        schema: Any = {"$ref": "#/definitions/ErrorResponse"}
        assert body["code"] == answer.status_code
    else:
        schema = told[str(answer.status_code)].get("schema")
        if schema is None:
            assert answer.content == b""
            return
        body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    definitions = {
        name: {**found, "additionalProperties": False} if found["type"] == "object" else found
        for name, found in described["definitions"].items()
    }
    # §13.3: the documented answer for a temporary key has null, where the description wants a text
    definitions["CreateApiKeysResponse"]["properties"]["apikey_id"] = {"type": ["string", "null"]}
    jsonschema.Draft4Validator({"definitions": definitions, "allOf": [schema]}).validate(body)


@pytest.mark.shared
@pytest.mark.parametrize("address", KEYS)
def test_keys_are_as_described(client: httpx.Client, described: dict[str, Any], address: str) -> None:
    path = "/api-keys"
    answer = client.post(address, json={"name": "night desk", "client_ref": "shop 7"})
    assert answer.status_code == 201
    verify(described, answer, path)
    key_id = answer.json()["apikey_id"]
    verify(described, client.post(address, json={"ttl": 60}), path)
    answer = client.get(address)
    verify(described, answer, path)
    (mine,) = [key for key in answer.json() if key["apikey_id"] == key_id]
    assert (mine["name"], mine["client_ref"]) == ("night desk", "shop 7")
    kinds = {key["name"]: key["manages"] for key in client.get(address, params={"manages": "true"}).json()}
    assert (kinds["first key"], kinds["night desk"]) == (True, False)
    for params in ({"project_id": "999"}, {"project_id": "x"}):
        verify(described, client.get(address, params=params), path)
    answer = client.delete(f"{address}/{key_id}/")
    assert answer.json() == {"status": "OK"}
    verify(described, answer, f"{path}/{{apikey_id}}")
    answer = client.delete(f"{address}/{key_id}")
    assert answer.status_code == 404
    verify(described, answer, f"{path}/{{apikey_id}}")
    assert key_id not in {key["apikey_id"] for key in client.get(address).json()}


@pytest.mark.shared
def test_projects_are_as_described(client: httpx.Client, described: dict[str, Any]) -> None:
    one = "/projects/{project_id}"
    answer = client.post("/v1/projects/", json={"name": "Second", "description": "of two", "contract_id": 7})
    assert answer.status_code == 201
    verify(described, answer, "/projects")
    address = f"/v1/projects/{answer.json()['project_id']}"
    for ask, status in (
        (lambda: client.get(address), 200),
        (lambda: client.put(address, json={"name": "Zweites"}), 200),
        (lambda: client.put(address, json={"name": " "}), 422),
        (lambda: client.get("/v1/projects/second"), 400),
        (lambda: client.delete("/v1/projects/second"), 404),
        (lambda: client.delete("/v1/projects/1"), 403),
        (lambda: client.delete(address), 204),
        (lambda: client.get(address), 404),
        (lambda: client.put(address, json={"name": "x"}), 404),
        (lambda: client.delete(address), 404),
    ):
        answer = ask()
        assert answer.status_code == status, answer.text
        verify(described, answer, one)
    answer = client.get("/v1/projects")
    verify(described, answer, "/projects")
    assert [(project["name"], project["is_default"]) for project in answer.json()] == [("default", True)]


def test_a_key_is_shown_once_and_kept_by_nobody_on_the_way(
    server: Server, client: httpx.Client, holding: Holding
) -> None:
    answer = client.post("/v1/api-keys", json={"name": "once"})
    assert answer.headers["cache-control"] == "no-store"
    value = answer.json()["key_value"]
    assert value not in client.get("/v1/api-keys").text
    assert holding(value).get("/v2/jobs").status_code == 200
    assert value not in server.log.read_text()


# ── who may ──


def test_a_plain_key_manages_nothing(server: Server, plain: str, holding: Holding) -> None:
    mine = holding(plain)
    for method, path in (
        ("GET", KEYS[0]), ("POST", KEYS[0]), ("DELETE", f"{KEYS[1]}/0123456789abcdef"), ("GET", "/v1/projects"),
        ("POST", "/v1/projects"), ("GET", "/v1/projects/1"), ("PUT", "/v1/projects/1"), ("DELETE", "/v1/projects/1"),
    ):  # fmt: skip
        answer = mine.request(method, path, json={"name": "x"} if method in {"POST", "PUT"} else None)
        assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden"), (method, path)
        assert "keys create --manages" in answer.json()["detail"]


def test_a_plain_key_makes_temporary_ones_in_its_own_project_alone(
    server: Server, client: httpx.Client, plain: str, holding: Holding
) -> None:
    other = client.post("/v1/projects", json={"name": "theirs"}).json()["project_id"]
    mine = holding(plain)
    assert mine.post(KEYS[1], json={"ttl": 60}).status_code == 201
    assert mine.post(KEYS[1], json={"ttl": 60, "project_id": 1}).status_code == 201
    assert mine.post(KEYS[1], json={"ttl": 60, "project_id": other}).status_code == 404


def test_a_key_that_manages_makes_them_for_every_project(
    server: Server, client: httpx.Client, holding: Holding
) -> None:
    other = client.post("/v1/projects", json={"name": "any"}).json()["project_id"]
    token = made(client, ttl=60, project_id=other)["key_value"]
    permanent = made(client, project_id=other)["key_value"]
    job = submit(holding(token))
    assert listed(holding(permanent)) == {job}
    assert job not in listed(client)
    assert client.get(f"/v2/jobs/{job}").status_code == 404


def test_a_temporary_key_makes_no_other(server: Server, client: httpx.Client, holding: Holding) -> None:
    mine = holding(made(client, ttl=60)["key_value"])
    for body in ({"ttl": 60}, {}):
        assert mine.post(KEYS[1], json=body).status_code == 403
    assert mine.get("/v1/projects").status_code == 403


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("batch", {"ttl": 59}, 422), ("batch", {"ttl": 86_401}, 422), ("batch", {"ttl": 86_400}, 201), ("rt", {"ttl": 60}, 201),
        ("batch", {"ttl": 60, "client_ref": ""}, 422), ("batch", {"ttl": 60, "client_ref": "a\nb"}, 422),
        ("batch", {"ttl": 60, "client_ref": "x" * 257}, 422), ("batch", {"name": "x" * 121}, 422), ("batch", {"name": "x" * 120}, 201),
        ("tts", {"ttl": 60}, 403), ("flow", {"ttl": 60}, 403), ("voice", {"ttl": 60}, 422), ("batch", {"ttl": 60, "region": "usa"}, 201),
        ("batch", {"ttl": 60, "name": "x" * 70_000}, 413),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_may_be_asked_for(client: httpx.Client, kind: str, body: dict[str, Any], status: int) -> None:
    answer = client.post(KEYS[1], params={"type": kind}, json=body)
    assert answer.status_code == status, answer.text


# ── what temporary keys open ──


def test_a_temporary_key_with_a_reference_reaches_jobs_with_it_alone(
    server: Server, client: httpx.Client, holding: Holding
) -> None:
    one, two, free = (
        holding(made(client, ttl=600, **ref)["key_value"])
        for ref in ({"client_ref": "shop 1"}, {"client_ref": "shop 2"}, {})
    )
    first, second, third = submit(one), submit(two), submit(client)
    assert listed(one) == {first}
    assert listed(two) == {second}
    assert {first, second, third} <= listed(free)
    for path in ("", "/transcript", "/data", "/log"):
        assert one.get(f"/v2/jobs/{second}{path}").json()["error"] == "Job not found"
        assert one.get(f"/v2/jobs/{third}{path}").json()["error"] == "Job not found"
    assert one.delete(f"/v2/jobs/{second}", params={"force": "true"}).status_code == 404
    assert one.get(f"/v2/jobs/{first}").status_code == 200
    assert two.get(f"/v2/jobs/{second}").json()["job"]["id"] == second


def test_a_key_bound_to_a_reference_hands_on_no_more_than_it_has(
    server: Server, client: httpx.Client, holding: Holding
) -> None:
    bound = holding(made(client, client_ref="shop 9")["key_value"])
    job = submit(bound)
    assert bound.post(KEYS[1], json={"ttl": 60, "client_ref": "shop 8"}).status_code == 403
    for ref in ({}, {"client_ref": "shop 9"}):
        assert listed(holding(made(bound, ttl=60, **ref)["key_value"])) == {job}


def test_a_realtime_key_opens_no_batch(server: Server, client: httpx.Client, holding: Holding) -> None:
    mine = holding(made(client, "rt", ttl=60)["key_value"])
    answer = mine.get("/v2/jobs")
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")


def test_a_revoked_key_takes_its_temporary_keys_with_it(server: Server, client: httpx.Client, holding: Holding) -> None:
    key = made(client, name="short-lived")
    holder = holding(key["key_value"])
    token = holding(made(holder, ttl=600)["key_value"])
    assert [each.get("/v2/jobs").status_code for each in (holder, token)] == [200, 200]
    assert client.delete(f"{KEYS[0]}/{key['apikey_id']}").status_code == 200
    until(lambda: {each.get("/v2/jobs").status_code for each in (holder, token)} == {401}, "revocation")
    assert holder.post(KEYS[0], json={"ttl": 60}).status_code == 403


def test_a_deleted_project_takes_its_keys_and_jobs_with_it(
    server: Server, client: httpx.Client, holding: Holding
) -> None:
    project = client.post("/v1/projects", json={"name": "doomed"}).json()["project_id"]
    mine = holding(made(client, project_id=project)["key_value"])
    jobs = {submit(mine) for _ in range(3)}
    assert listed(mine) == jobs
    until(lambda: all(ended(mine, job) for job in jobs), "end of the jobs")
    assert client.delete(f"/v1/projects/{project}").status_code == 204
    until(lambda: mine.get("/v2/jobs").status_code == 401, "end of the key")
    assert [server.blobs(job) for job in jobs] == [[], [], []]


# ── the audit log ──


def test_who_did_what_is_kept_and_told(server: Server, client: httpx.Client, holding: Holding) -> None:
    key = made(client, name="audited")
    mine = holding(key["key_value"])
    token = made(mine, ttl=60)["key_value"]
    job = submit(mine)
    holding(token).delete(f"/v2/jobs/{job}", params={"force": "true"})
    client.delete(f"{KEYS[0]}/{key['apikey_id']}")
    shown = sottovoce(server, "audit", "--json")
    actions = [[each["actor"], each["action"], each["target"]] for each in json.loads(shown)]
    assert ["key created", key["apikey_id"]] in [action[1:] for action in actions]
    assert ["key revoked", key["apikey_id"]] in [action[1:] for action in actions]
    (deleted,) = [action for action in actions if action[1:] == ["job deleted by its owner", job]]
    holder, _, token_id = deleted[0].partition("/")
    assert holder == key["apikey_id"]
    (told,) = [line for line in server.events("temporary key made") if line["target"] == token_id]
    assert (told["by"], told["ttl"], told["type"]) == (holder, 60, "batch")
    text = server.log.read_text() + shown + sottovoce(server, "audit")
    assert key["key_value"] not in text
    assert token not in text
    assert [line["key"] for line in server.events("request") if line.get("key") == deleted[0]]


def sottovoce(server: Server, *arguments: str) -> str:
    """The command line beside *server*, with its settings."""
    return server.told(*arguments)


def test_the_command_line_makes_keys_for_projects_and_temporary_ones(server: Server, holding: Holding) -> None:
    project = str(json.loads(sottovoce(server, "projects", "create", "by hand", "--json"))["id"])
    assert f"\n{project}  " in sottovoce(server, "projects", "list")
    shown = sottovoce(server, "keys", "create", "theirs", "--project", project, "--client-ref", "x", "--json")
    key_id, secret = json.loads(shown)["id"], json.loads(shown)["secret"]
    token = sottovoce(server, "keys", "temporary", key_id, "--ttl", "60").strip()
    mine, holder = holding(token), holding(secret)
    job = submit(mine)
    assert listed(mine) == listed(holder) == {job}
    sottovoce(server, "keys", "forget-temporary")
    until(lambda: mine.get("/v2/jobs").status_code == 401, "end of all temporary keys")
    assert holder.get("/v2/jobs").status_code == 200
    assert made(holder, ttl=60)["key_value"]
    manager = json.loads(sottovoce(server, "keys", "create", "boss", "--manages", "--json"))["secret"]
    assert holding(manager).get("/v1/projects").status_code == 200
    assert "jobs, keys and projects  active" in sottovoce(server, "keys", "list")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("keys", "create", "x", "--project", "99"), "no project 99"),
        (("keys", "create", "x\ny"), "name in body should hold no control characters"),
        (("keys", "create", "x", "--manages", "--client-ref", "y"), "create two keys"),
        (("keys", "revoke", "0123456789abcdef"), "no active key 0123456789abcdef"),
        (("keys", "temporary", "0123456789abcdef"), "no active key 0123456789abcdef"),
        (("projects", "create", " "), "name in body should be at least 1 chars long"),
    ],
)
def test_the_command_line_says_in_one_line_what_it_cannot_do(
    server: Server, arguments: tuple[str, ...], told: str
) -> None:
    ran = server.run(*arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1


# ── clients ──


@pytest.fixture
def vendors() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics import batch
    return batch


def test_the_async_client_works_with_temporary_keys(server: Server, vendors: Any, demo: Path) -> None:
    async def run() -> None:
        auth = vendors.JWTAuth(server.key, ttl=60, client_ref="async", mp_url=server.url, request_id="r")
        async with vendors.AsyncClient(auth, url=f"{server.url}/v2") as client:
            config = vendors.JobConfig(
                type=vendors.JobType.TRANSCRIPTION,
                transcription_config=vendors.TranscriptionConfig(language="en"),
            )
            job = await client.submit_job(str(demo), config=config)
            transcript = await client.wait_for_completion(job.id, timeout=100)
            assert transcript.transcript_text
            assert {listed.id for listed in await client.list_jobs()} == {job.id}
            await client.delete_job(job.id)

    asyncio.run(run())


def test_the_sync_client_works_with_temporary_keys(server: Server, vendors: Any) -> None:
    auth = vendors.JWTAuth(server.key, ttl=86_400, region="usa", mp_url=server.url)
    with vendors.Client(auth, url=f"{server.url}/v2") as client:
        config = vendors.JobConfig(
            type=vendors.JobType.TRANSCRIPTION, transcription_config=vendors.TranscriptionConfig(language="en")
        )
        job = client.submit_job(str(SILENCE), config=config)
        assert client.get_job_info(job.id).id == job.id


def test_the_clients_hear_that_a_key_is_wrong(server: Server, vendors: Any) -> None:
    auth = vendors.JWTAuth("wrong-key", mp_url=server.url)
    with pytest.raises(vendors.AuthenticationError, match="HTTP 403"):
        auth.get_auth_headers_sync()
    with pytest.raises(vendors.AuthenticationError, match="HTTP 403"):
        asyncio.run(vendors.JWTAuth("wrong-key", mp_url=server.url).get_auth_headers())


def test_the_old_library_makes_realtime_keys(server: Server, holding: Holding) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.client import _get_temp_token
        from speechmatics.models import ConnectionSettings

        settings = ConnectionSettings(url=server.url, auth_token=server.key, generate_temp_token=True)
        settings.mp_url = server.url
        token = asyncio.run(_get_temp_token(settings))
    assert holding(token).get("/v2/jobs").status_code == 403  # it opens realtime


def test_the_javascript_auth_client_makes_keys_and_hears_why_not(server: Server, holding: Holding) -> None:
    base = f"{server.url}/v1"
    token = create_jwt(base, server.key, kind="batch", client_ref="js")
    assert holding(token).get("/v2/jobs").status_code == 200
    assert create_jwt(base, server.key, kind="rt", ttl=86_400, region="au")
    with pytest.raises(ValidationFailed, match="ttl in body should be greater than or equal to 60"):
        create_jwt(base, server.key, kind="rt", ttl=59)
    with pytest.raises(ValidationFailed, match="ttl in body must be of type int64"):
        create_jwt(base, server.key, kind="rt", ttl="soon")
    for kind in ("flow", "tts"):
        with pytest.raises(Unauthorized):
            create_jwt(base, server.key, kind=kind)
    for wrong in ("wrong-key", token):
        with pytest.raises(Unauthorized):
            create_jwt(base, wrong, kind="rt")
    with pytest.raises(Unknown):
        create_jwt(f"{server.url}/v1/nowhere", server.key, kind="rt")

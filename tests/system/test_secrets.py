"""Secrets that pass through a server: none is found where it does not belong, and the key that seals them can be changed."""

import base64
import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
import pytest

from sottovoce.service.operations import key_rotation
from sottovoce.service.storage.encryption import Encryptor, read_keys
from tests.contract.raw import Part, head, multipart
from tests.servers import CONFIG, PATIENCE, Server, contents, tls, until

pytestmark = pytest.mark.system

SILENCE = Path(__file__).parents[1] / "fixtures" / "audio" / "silence.wav"


def sottovoce(server: Server, *arguments: str) -> str:
    """The command line beside *server*, with its settings."""
    return server.told(*arguments)


def submit(client: httpx.Client, config: object) -> httpx.Response:
    text = config if isinstance(config, str) else json.dumps(config)
    return client.post("/v2/jobs", data={"config": text}, files={"data_file": ("a.wav", SILENCE.read_bytes())})


# ── a marker in every field that holds a secret ──


class Markers:
    """Secrets of the test's own, each with the place where it was used."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def new(self, place: str) -> str:
        made = f"m4rk3r{secrets.token_hex(9)}"
        self.used[place] = made
        return made


def spellings(secret: str) -> Iterator[bytes]:
    """How *secret* could stand in a file: as it is, quoted, in hexadecimal, wide, and in base64 at any of three places."""
    raw = secret.encode()
    yield raw
    yield secret.upper().encode()
    yield quote(secret).encode()
    yield raw.hex().encode()
    yield secret.encode("utf-16-le")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw + b"\0" * (-(len(raw) + before) % 3))
        yield encoded[4 if before else 0 : -4]  # without the characters that neighbours decide


def found(folder: Path, secret: str) -> set[str]:
    """Files below *folder* in which *secret* stands."""
    return {
        str(path.relative_to(folder))
        for path, content in contents(folder)
        if any(spelling in content for spelling in spellings(secret))
    }


def configs(markers: Markers) -> Iterator[dict[str, Any]]:
    """Configs that a caller may send, with secrets wherever the contract has them."""
    bearer = f"Authorization: Bearer {markers.new('notification bearer')}"
    basic = base64.b64encode(f"user:{markers.new('notification basic')}".encode()).decode()
    url = f"http://user:{markers.new('notification password')}@127.0.0.1:9/done?sig={markers.new('notification query')}"
    headers = [bearer, f"Authorization: Basic {basic}", f"X-Own: {markers.new('notification header')}"]
    notify = {"url": url, "contents": ["jobinfo"], "auth_headers": headers}
    yield {**CONFIG, "notification_config": [notify]}
    yield {**CONFIG, "tracking": {"title": markers.new("title"), "details": {"token": markers.new("details")}}}


def fetches(markers: Markers) -> Iterator[dict[str, Any]]:
    """The same for media that the server is to fetch."""
    url = f"http://user:{markers.new('fetch password')}@127.0.0.1:9/a.wav?X-Amz-Signature={markers.new('fetch query')}"
    headers = [f"Authorization: Bearer {markers.new('fetch bearer')}", f"X-Own: {markers.new('fetch header')}"]
    yield {**CONFIG, "fetch_data": {"url": url, "auth_headers": headers}}


def mistakes(markers: Markers) -> Iterator[object]:
    """Configs that are refused."""
    yield {**CONFIG, "fetch_data": {"url": 7, "auth_headers": markers.new("headers that are none")}}
    yield {**CONFIG, "fetch_data": {"url": f"ftp://u:{markers.new('other scheme')}@h/x", "auth_headers": []}}
    yield {**CONFIG, "notification_config": [{"url": f"x?jwt={markers.new('no address')}", "auth_headers": [7]}]}
    yield {**CONFIG, "notification_config": [{"auth_headers": [markers.new("no url")]}]}
    yield '{"fetch_data": {"auth_headers": ["Authorization: Bearer ' + markers.new("no JSON")


def strangers(server: Server, markers: Markers) -> None:
    """Requests with keys that are wrong, wherever one could put them."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE, verify=tls()) as client:
        for name in ("jwt", "auth_token", "api_key", "token"):
            client.get("/v2/jobs", params={name: markers.new(f"query {name}")})
            client.get(f"/v1.0/user/1/jobs/?{name}={markers.new(f'old query {name}')}")
        for name, value in (
            ("Authorization", "Bearer {}"), ("Authorization", "Basic {}"), ("Proxy-Authorization", "Bearer {}"), ("X-API-Key", "{}"),
            ("Cookie", "session={}; other=1"), ("Authorization", "{}"),
        ):  # fmt: skip
            client.get("/v2/jobs/abcdefghij", headers={name: value.format(markers.new(f"header {name} {value}"))})
            client.post("/v1/api-keys", headers={name: value.format(markers.new(f"key {name} {value}"))}, json={})
        token = f"eyJhbGciOiJFZERTQSJ9.{markers.new('token body')}.{markers.new('token signature')}"
        client.get("/v2/jobs", headers={"Authorization": f"Bearer {token}"})
        client.get(f"/v2/{token}/jobs")
        client.get("/v2", params={"jwt": markers.new("websocket")}, headers={"Upgrade": "websocket"})
    line = f"GET /v2/jobs?auth_token={markers.new('no HTTP')} HTTP/1.1\r\nBroken\r\n\r\n".encode()
    broken = multipart([Part(head=f"X-Token: {markers.new('part header')}".encode(), body=b"x")])
    kind = ("Content-Type", f"multipart/form-data; boundary={markers.new('boundary')}")
    keyed = [("Host", "h"), ("Authorization", f"Bearer {server.key}"), kind, ("Content-Length", str(len(broken)))]
    for sent in (line, head("POST", "/v2/jobs", keyed) + broken):
        _send(server.url, sent)


def _send(url: str, sent: bytes) -> None:
    import socket
    from urllib.parse import urlsplit

    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), PATIENCE) as connection, contextlib.suppress(OSError):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def own_keys(server: Server, client: httpx.Client) -> list[str]:
    """Keys that the server made: permanent and temporary, over HTTP and by hand; all of them used."""
    made = [
        client.post("/v1/api-keys", json={"name": "a key"}).json()["key_value"],
        client.post("/v1/api_keys", params={"type": "batch"}, json={"ttl": 600, "client_ref": "r"}).json()["key_value"],
        client.post("/v1/api_keys", params={"type": "rt"}, json={"ttl": 600}).json()["key_value"],
    ]
    shown = json.loads(sottovoce(server, "keys", "create", "by hand", "--json"))
    key_id, secret = shown["id"], shown["secret"]
    made += [secret, sottovoce(server, "keys", "temporary", key_id).strip()]
    for key in made:
        for options in ({"headers": {"Authorization": f"Bearer {key}"}}, {"params": {"jwt": key, "auth_token": key}}):
            httpx.get(f"{server.url}/v2/jobs", **options, timeout=PATIENCE, verify=tls())
            httpx.post(f"{server.url}/v2/jobs", **options, timeout=PATIENCE, verify=tls())
            httpx.get(f"{server.url}/v1/api-keys", **options, timeout=PATIENCE, verify=tls())
    return made


def test_a_secret_is_found_only_where_it_may_be_and_sealed(tmp_path: Path) -> None:
    markers = Markers()
    first = markers.new("first key")
    with Server(tmp_path, SOTTOVOCE_API_KEY=first, SOTTOVOCE_LOG_LEVEL="DEBUG") as server:
        with server.client() as client:
            accepted = [submit(client, config) for config in configs(markers)]
            accepted += [client.post("/v2/jobs", files={"config": json.dumps(each)}) for each in fetches(markers)]
            for config in mistakes(markers):
                assert submit(client, config).status_code == 400
            strangers(server, markers)
            keys = own_keys(server, client)
            ids = [answer.json()["id"] for answer in accepted if answer.status_code == 201]
            assert ids
            for job_id in ids:
                server.wait(job_id)
                for path in ("", "/transcript", "/log"):
                    client.get(f"/v2/jobs/{job_id}{path}")
            shown = client.get(f"/v2/jobs/{ids[0]}").text
        whole = _sealed_in(server, ids)
        server.stop()
        assert markers.used["title"] in whole or markers.used["notification query"] in whole, (
            "something was kept at all"
        )
        assert "m4rk3r" in shown, "the owner hears it back"
        del markers.used["first key"]
        assert {place: files for place, secret in markers.used.items() if (files := found(tmp_path, secret))} == {}
        assert [found(tmp_path, key) for key in keys] == [set()] * len(keys)
        # the first key is the one that the server hands to its operator: on the first start, and in its file
        assert found(tmp_path, first) == {"data/api-key", "out-1.txt"}


def _sealed_in(server: Server, ids: list[str]) -> str:
    """The configs of *ids* as the key file opens them."""
    import sqlite3

    encryptor = Encryptor.open_file(server.data / "secrets.key", create=False)
    with contextlib.closing(sqlite3.connect(server.data / "eu1" / "region.db")) as database:
        rows = database.execute("SELECT id, config FROM jobs").fetchall()
    return "".join(encryptor.decrypt(config).decode() for job_id, config in rows if job_id in ids)


def test_the_search_would_find_what_it_looks_for(tmp_path: Path) -> None:
    secret = Markers().new("x")
    for number, spelling in enumerate(spellings(secret)):
        (tmp_path / str(number)).write_bytes(b"before" + spelling + b"after")
    for number in range(3):
        text = "-" * number + f"user:{secret}:more"
        (tmp_path / f"base64-{number}").write_bytes(base64.b64encode(text.encode()))
    assert found(tmp_path, secret) == {path.name for path in tmp_path.iterdir()}


# ── another key for the vault ──


def config(number: int) -> dict[str, Any]:
    return {**CONFIG, "tracking": {"title": f"config {number}"}}


class Traffic:
    """Submits and reads for as long as it is open; every config that it sent must come back."""

    def __init__(self, server: Server, token: str) -> None:
        self.sent: dict[str, dict[str, Any]] = {}
        self.faults: list[str] = []
        self._server = server
        self._token = token
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(
            base_url=self._server.url,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=PATIENCE,
            verify=tls(),
        ) as client:
            while not self._stop.is_set():
                wanted = config(len(self.sent))
                answer = submit(client, wanted)
                if answer.status_code != 201:
                    self.faults.append(answer.text)
                    return
                self.sent[answer.json()["id"]] = wanted
                self.check(client)

    def check(self, client: httpx.Client) -> None:
        """Every config that was sent is told as it was."""
        for job_id, wanted in list(self.sent.items())[-5:]:
            answer = client.get(f"/v2/jobs/{job_id}", params={"wait": "0"})
            if answer.status_code != 200 or answer.json()["job"]["config"] != wanted:
                self.faults.append(answer.text)


@pytest.mark.parametrize("backend", ["sqlite", "fleet"])
def test_the_key_is_changed_while_the_server_works(
    tmp_path: Path, environment_of: Callable[[str, Path], dict[str, str]], backend: str
) -> None:
    with Server(tmp_path, **environment_of(backend, tmp_path)) as server:
        path = Path(server.environment.get("SOTTOVOCE_SECRETS_KEY_FILE", server.data / "secrets.key"))
        (old,) = read_keys(path)
        with server.client() as client:
            token = client.post("/v1/api-keys", json={"ttl": 3600}).json()["key_value"]
            with Traffic(server, token) as traffic:
                until(lambda: len(traffic.sent) >= 3 or traffic.faults, "some jobs")
                shown = sottovoce(server, "secrets", "rotate")
                assert "when every server has the new key" in shown
                new, kept = read_keys(path)
                assert kept == old
                count = len(traffic.sent)
                until(lambda: len(traffic.sent) >= count + 3 or traffic.faults, "more jobs")
                past = time.time() - key_rotation.SETTLED - 1
                os.utime(path, (past, past))  # a minute later
                assert "holds only the newest key" in sottovoce(server, "secrets", "rotate", "--drop-old")
                count = len(traffic.sent)
                until(lambda: len(traffic.sent) >= count + 3 or traffic.faults, "more jobs")
            assert traffic.faults == []
            assert read_keys(path) == [new]
            again = client.post("/v1/api-keys", json={"ttl": 3600}).json()["key_value"]
            assert again != token
        server.stop()
        assert found(tmp_path, old.decode()) == set()
        server.start()
        with server.client() as client:
            for job_id, wanted in traffic.sent.items():
                assert client.get(f"/v2/jobs/{job_id}", params={"wait": "0"}).json()["job"]["config"] == wanted
            for key in (token, again):
                answer = httpx.get(
                    f"{server.url}/v2/jobs",
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=PATIENCE,
                    verify=tls(),
                )
                assert answer.status_code == 200
        ours = {
            "key file cannot be read, its old keys stay in use",
            "signing key cannot be decrypted, a new one is created",
        }
        assert not (ours | {"request failed"}) & {line["event"] for line in server.lines()}


def test_a_key_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.stop()
        (server.data / "secrets.key").rename(server.data / "elsewhere")
        ran = server.run("secrets", "rotate")
        assert (ran.returncode, "secrets.key cannot be changed" in ran.stderr) == (1, True)
        assert "Traceback" not in ran.stderr
        assert str(tmp_path) not in ran.stderr

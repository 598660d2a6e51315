"""WebSockets through the recipes of deploy/: both ways to authenticate, and no key in a log of the proxy (contract `realtime.md` §1).

The proxies are no dependency of the project: a test needs `nginx` or `caddy` on the path and is skipped without.
"""

import contextlib
import datetime as dt
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.contract.test_realtime import SECOND, Client
from tests.live_server import KEY, LiveServer, live_server
from tests.scripted_live import Load
from tests.servers import until

pytestmark = pytest.mark.system
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
WRONG = "a-wrong-key-in-the-query"
Recipe = Callable[[Path, int, str], list[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("live")) as found:
        yield found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def certificate(home: Path) -> None:
    """`tls.crt` and `tls.key` for localhost, signed by themselves."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (home / "tls.key").write_bytes(private)
    (home / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def nginx(home: Path, port: int, upstream: str) -> list[str]:
    """The command of nginx with the recipe; only addresses and files are changed."""
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/sottovoce/": f"{home}/",
        "server 127.0.0.1:8080": f"server {upstream}",
        "/var/log/nginx/": f"{home}/",
        "http {\n": "http {\n"
        + "".join(
            f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (home / "nginx.conf").write_text(text)
    return ["-p", str(home), "-c", str(home / "nginx.conf"), "-g", f"daemon off; pid {home}/nginx.pid;"]


def caddy(home: Path, port: int, upstream: str) -> list[str]:
    """The command of Caddy with the recipe; only addresses and files are changed."""
    host, upstream_port = upstream.split(":")
    text = (DEPLOY / "Caddyfile").read_text()
    for old, new in {
        ":443 {": f"localhost:{port} {{",
        "{$TLS_CERTIFICATE:/run/secrets/tls.crt} {$TLS_KEY:/run/secrets/tls.key}": f"{home}/tls.crt {home}/tls.key",
        "{$UPSTREAM:127.0.0.1}": host,
        "{$UPSTREAM_PORT:8080}": upstream_port,
        "\tadmin off\n": f"\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {home}/storage\n",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (home / "Caddyfile").write_text(text)
    return ["run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"]


class Proxy:
    """A running proxy at *port*; its logs are in *home*."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self._tls = ssl.create_default_context(cafile=str(home / "tls.crt"))

    def connect(self, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
        return connect(f"wss://localhost:{self.port}{path}", additional_headers=headers, ssl=self._tls, max_size=None)

    def logs(self) -> str:
        return "".join(file.read_text() for file in self.home.glob("*.log"))


@contextlib.contextmanager
def running(recipe: Recipe, home: Path, upstream: str) -> Iterator[Proxy]:
    """A proxy before *upstream*."""
    program = shutil.which(recipe.__name__)
    if program is None:
        pytest.skip(f"{recipe.__name__} is not installed")
    certificate(home)
    port = free_port()
    arguments = recipe(home, port, upstream)
    with (home / "output.log").open("wb") as output:
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output, cwd=home)
    try:
        until(lambda: listens(port), "start of the proxy", 30)
        yield Proxy(home, port)
    finally:
        process.terminate()
        process.wait(30)


RECIPES = pytest.mark.parametrize("recipe", [nginx, caddy], ids=["nginx", "caddy"])
BEARER = {"Authorization": f"Bearer {KEY}"}


def test_a_full_process_is_passed_over(server: LiveServer, tmp_path: Path) -> None:
    """nginx: a handshake that one process refuses goes to the next one; the client gets 503 only if all are full."""
    home = tmp_path / "proxy"
    home.mkdir()
    with live_server(tmp_path / "other") as other:
        both = f"{server.address} max_fails=0; server {other.address}"
        with running(nginx, home, both) as proxy:
            server.script.load = Load(capacity=0)
            for _ in range(4):
                with proxy.connect("/v2", BEARER) as opened:
                    Client(opened).start()
                    assert (len(server.gateway.sessions), len(other.gateway.sessions)) == (0, 1)
                until(lambda: len(other.gateway.sessions) == 0, "end of the session")
            other.script.load = Load(capacity=0)
            with pytest.raises(InvalidStatus) as refused:
                proxy.connect("/v2", BEARER)
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["retry-after"]
            server.script.load = Load()
            with proxy.connect("/v2", BEARER) as opened:
                Client(opened).start()
                assert len(server.gateway.sessions) == 1


@RECIPES
def test_sessions_through_a_proxy(server: LiveServer, recipe: Recipe, tmp_path: Path) -> None:
    with running(recipe, tmp_path, server.address) as proxy:
        for path, headers in (("/v2", BEARER), ("/v2/en?sm-app=x", BEARER), (f"/v2?jwt={KEY}", {})):
            with proxy.connect(path, headers) as opened:
                c = Client(opened)
                c.start(enable_partials=True)
                for _ in range(4):
                    c.socket.send(SECOND)
                assert opened.ping().wait(20)
                c.send("EndOfStream", last_seq_no=4)
                c.until("EndOfTranscript")
                assert c.text() == "alpha bravo charlie delta. " * 2
        with pytest.raises(InvalidStatus) as refused:
            proxy.connect(f"/v2?jwt={WRONG}&auth_token={WRONG}&api_key={WRONG}")
        assert refused.value.response.status_code == 401
        assert [secret for secret in (KEY, WRONG) if secret in proxy.logs()] == []


@RECIPES
def test_a_server_that_cannot_be_reached_is_no_reason_to_log_a_key(recipe: Recipe, tmp_path: Path) -> None:
    with running(recipe, tmp_path, f"127.0.0.1:{free_port()}") as proxy:
        with pytest.raises(InvalidStatus) as away:
            proxy.connect(f"/v2?jwt={WRONG}&auth_token={WRONG}&api_key={WRONG}")
        assert away.value.response.status_code == 503
        assert away.value.response.headers["Retry-After"] == "5"
        assert WRONG not in proxy.logs()

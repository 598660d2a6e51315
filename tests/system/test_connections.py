"""What a stranger does to connections: too many, silent, half a request, endless trailers, a response that is never read."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import CONFIG, PATIENCE, Server, tls, until
from tests.sleeper import environment

pytestmark = pytest.mark.system

LIMITS = {
    "SOTTOVOCE_HEAD_TIMEOUT": "2",
    "SOTTOVOCE_TRANSFER_TIMEOUT": "5",
    "SOTTOVOCE_MAX_CONNECTIONS": "30",
    "SOTTOVOCE_MAX_CONNECTIONS_PER_ADDRESS": "20",
}
CHUNKED = b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n"
QUIET = 0.3
"""Seconds after which the server has taken in what was sent."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("connections"), **environment(), **LIMITS) as running:
        yield running


def connection(server: Server, sent: bytes = b"") -> socket.socket:
    """A connection on which *sent* was sent."""
    url = httpx.URL(server.url)
    sock = socket.create_connection((url.host, url.port or 0), timeout=PATIENCE)
    sock.sendall(sent)
    return sock


def answer(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(1 << 16):
            found += piece
    return found


def status(found: bytes) -> int:
    return int(found.split()[1])


def detail(found: bytes) -> str:
    return str(json.loads(found.partition(b"\r\n\r\n")[2])["detail"])


def is_alive(server: Server) -> bool:
    return httpx.get(f"{server.url}/health/live", timeout=PATIENCE, verify=tls()).status_code == 200


# ── time ──


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "empty lines"])
def test_a_silent_connection_is_closed(server: Server, sent: bytes) -> None:
    with connection(server, sent) as sock:
        assert answer(sock) == b""


def test_half_a_head_is_answered_and_closed(server: Server) -> None:
    with connection(server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ") as sock:
        found = answer(sock)
    assert (status(found), detail(found)) == (408, "the request line and headers did not arrive in time")


def test_a_head_that_drips_is_closed(server: Server) -> None:
    with connection(server, b"GET / HTTP/1.1\r\n") as sock:
        sock.settimeout(0.2)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < PATIENCE:
                sock.sendall(b"a")
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1 << 10):
                        break
        assert time.monotonic() - begun < PATIENCE


def test_half_a_body_is_closed(server: Server) -> None:
    head = f"POST /v2/jobs HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n".encode()
    with connection(server, head + CHUNKED + b"\r\n5\r\n--b\r\n") as sock:
        assert answer(sock) == b""
    assert is_alive(server)


def test_a_body_that_makes_progress_is_not_closed(server: Server) -> None:
    """Longer than the limit in all, but never silent for as long as the limit."""
    head = f"POST /v2/jobs HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n".encode()
    with connection(server, head + CHUNKED + b"\r\n5\r\n--b\r\n\r\n") as sock:
        for _ in range(7):
            time.sleep(1)
            sock.sendall(b"1\r\na\r\n")
        sock.sendall(b"0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert status(answer(sock)) == 400


def test_a_response_that_is_not_read_is_cut_off(server: Server, tmp_path: Path) -> None:
    wav = tmp_path / "speech.wav"
    junk = (
        b"JUNK" + (48 << 20).to_bytes(4, "little") + bytes(48 << 20)
    )  # a chunk of WAV, which decoders pass over at once
    wav.write_bytes((Path(__file__).parents[2] / "samples" / "demo.wav").read_bytes() + junk)
    job = server.submit(wav)
    head = f"GET /v2/jobs/{job}/data HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
    with connection(server, head * 2) as sock:  # the second one waits for the first
        sock.recv(1)
        time.sleep(8)
        assert len(answer(sock)) < 48 << 20
    assert is_alive(server)
    assert [line for line in server.lines() if line["level"] == "error"] == []


# ── numbers ──


def test_one_address_has_a_limit_and_others_still_connect(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connection(server)) for _ in range(20)]
        time.sleep(QUIET)
        with connection(server) as one_more:
            found = answer(one_more)
        assert (status(found), detail(found)) == (503, "too many connections")
        assert b"retry-after: 5" in found.lower()
        del held
    until(lambda: is_alive(server), "room for a connection")


# ── bytes ──


def test_endless_trailers_are_refused(server: Server) -> None:
    before = resident(server)
    with connection(server, b"POST /health/live HTTP/1.1\r\n" + CHUNKED + b"\r\n0\r\n") as sock:
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                sock.sendall(b"a:\r\n" * (1 << 14))
        with contextlib.suppress(ConnectionError):
            answer(sock)
    assert is_alive(server)
    assert resident(server) - before < 50 << 20


def test_trailers_are_no_headers_and_end_the_connection(server: Server) -> None:
    sent = (
        b"GET /v2/jobs HTTP/1.1\r\n" + CHUNKED + b"\r\n0\r\nAuthorization: Bearer " + server.key.encode() + b"\r\n\r\n"
    )
    with connection(server, sent) as sock:
        assert status(answer(sock)) == 401


def test_small_chunks_with_long_extensions_are_refused(server: Server) -> None:
    head = f"POST /v2/jobs HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n".encode()
    with connection(server, head + CHUNKED + b"\r\n") as sock:
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                sock.sendall(b"1;" + b"x" * 4000 + b"\r\na\r\n")
            sock.sendall(b"0\r\n\r\n")
        found = answer(sock)
    assert not found or status(found) == 400
    assert is_alive(server)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nExpect: fancy\r\n\r\n", 417),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    ],
    ids=["unknown expectation", "two hosts", "no host", "HTTP/1.0 without host", "plain"],
)
def test_headers_of_the_connection(server: Server, lines: bytes, expected: int) -> None:
    with connection(server, lines) as sock:
        assert status(answer(sock)) == expected


def head_of(found: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The status line of a response and its headers, each of which must be there once."""
    first, *lines = found.partition(b"\r\n\r\n")[0].split(b"\r\n")
    pairs = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert len(dict(pairs)) == len(pairs), lines
    return first, dict(pairs)


def asked(server: Server, *lines: str) -> bytes:
    """The whole answer to a request of *lines*, up to the end of the connection."""
    with connection(server, "".join(f"{line}\r\n" for line in (*lines, "")).encode()) as sock:
        return answer(sock)


@pytest.mark.parametrize("path", ["/health/live", "/v2/jobs", "/v2/nothing", "/docs"])
def test_a_response_has_the_same_headers_however_it_is_asked_for(server: Server, path: str) -> None:
    key = f"Authorization: Bearer {server.key}"
    closing = asked(server, f"GET {path} HTTP/1.1", "Host: x", key, "Connection: close")
    old = asked(server, f"GET {path} HTTP/1.0", key)
    bare = asked(server, f"HEAD {path} HTTP/1.1", "Host: x", key, "Connection: close")
    assert bare.endswith(b"\r\n\r\n")
    for found in (closing, old):
        first, headers = head_of(found)
        assert int(headers[b"content-length"]) == len(found.partition(b"\r\n\r\n")[2]) > 0
        assert headers[b"connection"] == b"close"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"access-control-allow-origin"] == b"*"
        assert len(headers[b"request-id"]) == 32
        assert (first, headers.keys()) == (head_of(bare)[0], head_of(bare)[1].keys())


def test_requests_that_arrive_together_are_answered_in_order(server: Server) -> None:
    paths = ["/health/live", "/v2/nothing", "/v1/regions", "/health/live"]
    lines = [f"GET {path} HTTP/1.1\r\nHost: x\r\n" for path in paths]
    with connection(server, ("\r\n".join(lines) + "Connection: close\r\n\r\n").encode()) as sock:
        found = answer(sock)
    assert [int(piece[1:4]) for piece in found.split(b"HTTP/1.1")[1:]] == [200, 404, 200, 200]
    assert found.count(b"connection: close") == 1
    ids = {line for line in found.split(b"\r\n") if line.startswith(b"request-id")}
    assert len(ids) == len(paths)


def test_a_connection_serves_many_requests(server: Server) -> None:
    """Each request has its own counts: bodies and headers of earlier ones do not count against later ones."""
    demo = Path(__file__).parents[2] / "samples" / "demo.wav"
    with server.client() as client:
        for _ in range(3):
            files = {"config": ("", json.dumps(CONFIG).encode()), "data_file": ("demo.wav", demo.read_bytes())}
            assert client.post("/v2/jobs", files=files).status_code == 201
            for _ in range(3):
                assert client.get("/v2/jobs", headers={"X-Long": "a" * 50_000}).status_code == 200


def test_pipelined_requests_are_all_answered(server: Server) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connection(server, one * 19 + last) as sock:
        assert answer(sock).count(b"HTTP/1.1 200") == 20


def resident(server: Server) -> int:
    """Bytes of the server's process."""
    assert server.process
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096

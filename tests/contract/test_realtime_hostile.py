"""Clients of the realtime API that break rules or vanish, on a real socket with a scripted recogniser (contract `realtime.md`)."""

import logging
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.contract.test_realtime import RAW, SECOND, Client, client, refused
from tests.live_server import KEY, LiveServer, live_server
from tests.scripted_live import Script
from tests.servers import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("live")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(server: LiveServer) -> Iterator[None]:
    """The script as it was, and no session of an earlier test."""
    yield
    clean = Script()
    for name in ("open_after", "buffer", "pace"):
        setattr(server.script, name, getattr(clean, name))
    until(lambda: len(server.gateway.sessions) == 0, "end of all sessions", 20)


def opened(server: LiveServer, path: str = "/v2", *headers: str) -> socket.socket:
    """A connection that has sent its handshake, for frames that no client library sends."""
    host, port = server.address.split(":")
    raw = socket.create_connection((host, int(port)), timeout=20)
    lines = (
        f"GET {path} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Authorization: Bearer {KEY}", *headers,
    )  # fmt: skip
    raw.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    return raw


# ── the handshake (§1.4) ──


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v2?jwt=" + "x" * 9000, ()),
        ("/v2", ("X-Long: " + "x" * 9000,)),
        ("/v2", tuple(f"X-{number}: x" for number in range(200))),
        ("/v2", ("Content-Length: 5",)),
    ],
    ids=["long line", "long header", "many headers", "body"],
)
def test_a_handshake_that_is_not_understood_is_answered(
    server: LiveServer, path: str, headers: tuple[str, ...]
) -> None:
    with opened(server, path, *headers) as raw:
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        while raw.recv(1000):  # until the server closes the connection
            pass


def test_a_refused_handshake_is_no_error_of_the_server(server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert refused(server, headers={}).status_code == 401
        until(lambda: [record for record in caplog.records if record.name == "sottovoce.access"], "line of the log")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# ── clients that vanish (§3 rule 8) ──


def reset(c: Client) -> None:
    """End the connection as the kernel does for a killed process."""
    c.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.socket.socket.close()


def test_a_client_that_vanishes_at_the_start_frees_its_slot(server: LiveServer) -> None:
    server.script.open_after = 100.0
    with client(server) as c:
        c.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
        c.until("Info")
        reset(c)
        until(lambda: len(server.gateway.sessions) == 0, "free slot", 20)


def test_a_client_that_vanishes_while_its_audio_waits_frees_its_slot(server: LiveServer) -> None:
    server.script.buffer = 64 << 10
    server.script.pace = 2.0
    with client(server) as c:
        c.start(enable_partials=True)
        c.socket.send(SECOND * 32)  # recognised within 64 s
        c.until("AddPartialTranscript")
        reset(c)
        until(lambda: len(server.gateway.sessions) == 0, "free slot", 30)

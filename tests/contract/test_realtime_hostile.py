"""Clients of the realtime API that break rules or vanish, on a real socket with a scripted recogniser (contract `realtime.md`)."""

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from sottovoce.transcript.replacements import compile_rules
from sottovoce.web.websocket import SocketProtocol
from tests.contract.test_realtime import RAW, SECOND, Client, client, refused
from tests.live_server import KEY, LiveServer, live_server
from tests.servers import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("live")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(server: LiveServer) -> Iterator[None]:
    yield
    server.renew()


def protocol(server: LiveServer) -> SocketProtocol:
    """The server's side of the only WebSocket; those of earlier tests may take a moment to go."""

    def only() -> SocketProtocol | None:
        found = [each for each in list(server.server.server_state.connections) if isinstance(each, SocketProtocol)]
        return found[0] if len(found) == 1 else None

    return until(only, "WebSocket alone")


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


# ── time and memory of others ──


def test_a_change_of_a_session_with_regexes_is_not_parsed_on_the_event_loop(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them take a tenth of a second, in which all other sessions would wait."""
    loops: list[bool] = []

    def compiled(rules: Any) -> Any:
        loops.append(asyncio._get_running_loop() is not None)
        return compile_rules(rules)

    monkeypatch.setattr("sottovoce.wire.realtime.config.compile_rules", compiled)
    with client(server) as c:
        c.start(transcript_filtering_config={"replacements": [{"from": "/a+/", "to": "b"}]})
        c.send("SetRecognitionConfig", transcription_config={"max_delay": 1})
        c.send("GetSpeakers")
        c.until("SpeakersResult")
    assert loops == [False, False]


def frame(opcode: int, data: bytes, *, last: bool = True) -> bytes:
    """A short frame with a mask of zeros."""
    return bytes([opcode | (0x80 if last else 0), 0x80 | len(data)]) + bytes(4) + data


def test_fragments_are_not_kept_one_by_one(server: LiveServer) -> None:
    """§2: one message, however it is divided; empty fragments count to no limit of its size."""
    with client(server) as c:
        c.start()
        raw = c.socket.socket
        raw.sendall(frame(2, b"a", last=False) + frame(0, b"", last=False) * 5000)
        raw.sendall(frame(0, b"b", last=False) * 5000)
        assert c.socket.ping("last").wait(20)
        assert protocol(server).frames == []
        raw.sendall(frame(0, b"c"))
        assert c.until("AudioAdded")["seq_no"] == 1
        assert bytes(server.script.sessions[-1].audio) == b"a" + b"b" * 5000 + b"c"


def test_a_client_that_does_not_read_the_answers_to_its_pings_is_cut(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sottovoce.web.websocket.MOST_UNSENT", 100_000)
    with opened(server) as raw:
        raw.recv(10)
        protocol(server).transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        pings = frame(9, b"x" * 125) * 100
        with pytest.raises(OSError, match=r"reset|pipe"):
            raw.sendall(pings * 1000)

"""The realtime API on a real socket, with a scripted recogniser (contract `realtime.md` §1–§3, §9–§12)."""

import asyncio
import base64
import contextlib
import json
import logging
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from sottovoce.logs import JsonLines
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.wire.realtime.messages import MAX_MESSAGE
from tests.live_server import KEY, LiveServer, live_server
from tests.scripted_live import FULL, PRINT, Load
from tests.servers import contents, tls, until

AUTH = {"Authorization": f"Bearer {KEY}"}
RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
SECOND = b"\0" * 32_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("live")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(server: LiveServer) -> Iterator[None]:
    yield
    server.renew()


class Client:
    """A client that keeps every message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.got: list[dict[str, Any]] = []

    def send(self, message: str, **members: Any) -> None:
        self.socket.send(json.dumps({"message": message, **members}))

    def start(self, top: dict[str, Any] | None = None, audio_format: Any = RAW, **config: Any) -> "Client":
        asked = {"language": "en", **config}
        self.send("StartRecognition", audio_format=audio_format, transcription_config=asked, **(top or {}))
        self.until("RecognitionStarted")
        return self

    def until(self, name: str) -> dict[str, Any]:
        """The next message called *name*."""
        while True:
            body = json.loads(self.socket.recv(timeout=20, decode=True))
            self.got.append(body)
            if body["message"] == name:
                return dict(body)
            assert body["message"] != "Error", body

    def error(self) -> tuple[str, str, int, str]:
        """Type and reason of the error that ends the session, and the close code and its reason."""
        with pytest.raises(ConnectionClosed) as caught:
            self.everything()
        closed, last = caught.value.rcvd, self.got[-1]
        assert closed is not None
        assert last["message"] == "Error"
        return last["type"], last["reason"], closed.code, closed.reason

    def everything(self) -> None:
        """Keep all messages until the connection is closed."""
        while True:
            self.got.append(json.loads(self.socket.recv(timeout=20)))

    def names(self) -> list[str]:
        return [body["message"] for body in self.got]

    def text(self, channel: str | None = None) -> str:
        finals = (body for body in self.got if body["message"] == "AddTranscript" and body.get("channel") == channel)
        return "".join(body["metadata"]["transcript"] for body in finals)


@contextlib.contextmanager
def client(server: LiveServer, path: str = "/v2", headers: dict[str, str] | None = None) -> Iterator[Client]:
    with connect(server.url + path, additional_headers=AUTH if headers is None else headers, max_size=None) as opened:
        yield Client(opened)


def refused(server: LiveServer, path: str = "/v2", headers: dict[str, str] | None = None) -> Any:
    with pytest.raises(InvalidStatus) as caught, client(server, path, headers):
        pass
    return caught.value.response


# ── a session ──


def test_a_whole_session(server: LiveServer) -> None:
    with client(server) as c:
        c.start(enable_partials=True)
        assert [body["message"] for body in c.got] == ["Info", "RecognitionStarted"]
        for _ in range(5):
            c.socket.send(SECOND)
        c.send("EndOfStream", last_seq_no=5)
        c.until("EndOfTranscript")
        acks = [body["seq_no"] for body in c.got if body["message"] == "AudioAdded"]
        assert acks == [1, 2, 3, 4, 5]
        assert c.text() == "alpha bravo charlie delta. " * 2 + "alpha bravo. "
        with pytest.raises(ConnectionClosed) as closed:
            c.socket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


def test_the_handshake_has_the_headers_of_the_contract(server: LiveServer) -> None:
    """§1.1, §1.4: the offered compression is declined; browsers of any origin may connect."""
    with connect(server.url + "/v2", additional_headers=AUTH, origin=Origin("https://example.org")) as opened:
        headers = opened.response.headers
        assert "Sec-WebSocket-Extensions" not in headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert len(headers["Request-Id"]) == 32


@pytest.mark.parametrize("path", ["/", "/v2", "/v2/", "/v2/en", "/v2/en/", "/en", "/v2?sm-sdk=x&wait=1&unknown"])
def test_tolerated_addresses(server: LiveServer, path: str) -> None:
    with client(server, path) as c:
        c.start()


def test_the_language_of_the_address(server: LiveServer) -> None:
    with client(server, "/v2/de") as c:
        c.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
        assert c.error()[0::2] == ("invalid_language", 4004)


@pytest.mark.parametrize("path", ["/v2/agent/smart", "/v2/jobs/x", "/health/live/x"])
def test_unknown_addresses(server: LiveServer, path: str) -> None:
    answer = refused(server, path)
    assert answer.status_code == 404
    assert json.loads(answer.body)["code"] == 404


@pytest.mark.parametrize("query", [f"jwt={KEY}", f"auth_token={KEY}", f"api_key={KEY}&sm-app=x"])
def test_a_key_in_the_query(server: LiveServer, query: str) -> None:
    with client(server, f"/v2?{query}", headers={}) as c:
        c.start()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_a_missing_or_wrong_key_is_401_at_the_handshake(server: LiveServer, headers: dict[str, str]) -> None:
    answer = refused(server, headers=headers)
    assert answer.status_code == 401
    assert json.loads(answer.body)["error"] == "Permission Denied"


def test_requests_that_are_no_upgrade(server: LiveServer) -> None:
    """§1.4."""
    base = f"http://{server.address}"
    assert httpx.get(f"{base}/v2", headers=AUTH, verify=tls()).status_code == 400
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    refused = httpx.get(f"{base}/v2", headers={**AUTH, **upgrade}, verify=tls())  # without a version and a key
    assert refused.status_code in {400, 426}
    assert httpx.post(f"{base}/v2", headers={**AUTH, **upgrade}, verify=tls()).status_code == 405


def test_connection_is_a_list_of_tokens(server: LiveServer) -> None:
    """§11.11: Rust and browsers send `keep-alive, Upgrade`."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + f"Authorization: Bearer {KEY}\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 101")


def test_channels(server: LiveServer) -> None:
    with client(server) as c:
        c.start(diarization="channel", channel_diarization_labels=["left", "right"])
        data = base64.b64encode(SECOND * 2).decode()
        for label in ("left", "right"):
            c.send("AddChannelAudio", channel=label, data=data)
        for label in ("left", "right"):
            c.send("EndOfChannel", channel=label, last_seq_no=1)
        c.until("EndOfTranscript")
        assert [c.text(label) for label in ("left", "right")] == ["alpha bravo charlie delta. "] * 2
        assert [b for b in c.got if b["message"] == "ChannelAudioAdded"] == [
            {"message": "ChannelAudioAdded", "channel": label, "seq_no": 1} for label in ("left", "right")
        ]


def test_a_message_in_fragments_has_one_acknowledgement(server: LiveServer) -> None:
    """§2: the .NET client sends two fragments for one block."""
    with client(server) as c:
        c.start()
        c.socket.send(iter([b"a" * 1024, b"b" * 1023]))
        c.socket.send(b"")
        assert c.until("AudioAdded")["seq_no"] == 1
        assert c.until("AudioAdded")["seq_no"] == 2
        assert bytes(server.script.sessions[-1].audio) == b"a" * 1024 + b"b" * 1023


def test_a_large_message_is_accepted_and_a_huge_one_closes_the_session(server: LiveServer) -> None:
    with client(server) as c:
        c.start()
        c.socket.send(b"\0" * MAX_MESSAGE)
        assert c.until("AudioAdded")["seq_no"] == 1
        with contextlib.suppress(ConnectionClosed):
            c.socket.send(b"\0" * (MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosed):  # with 1009, or with a reset because the rest of the message is not read
            c.everything()


def test_force_and_configure_reach_the_recogniser(server: LiveServer) -> None:
    with client(server) as c:
        c.start(enable_partials=True)
        c.socket.send(SECOND)
        c.send("SetRecognitionConfig", transcription_config={"language": "en", "max_delay": 0.7})
        c.send("ForceEndOfUtterance", timestamp=1.0)
        assert c.until("EndOfUtterance")["forced"] is True
        assert [b.get("forced") for b in c.got if b["message"] == "AddTranscript"] == [None, True]
        session = server.script.sessions[-1]
        assert session.request.max_delay == 0.7
        assert ("force", None, 16000) in session.commands


# ── errors ──

BAD_MESSAGES: list[tuple[Any, str, int]] = [
    ("{", "invalid_message", 1003),
    (b"audio", "protocol_error", 1003),
    (json.dumps({"type": "start"}), "invalid_message", 1003),
    (json.dumps({"message": "EndOfStream", "last_seq_no": 0}), "protocol_error", 1003),
    (json.dumps({"message": "StartRecognition"}), "invalid_audio_type", 1003),
    (json.dumps({"message": "StartRecognition", "audio_format": RAW}), "invalid_config", 1003),
]


@pytest.mark.parametrize(("message", "error", "code"), BAD_MESSAGES)
def test_an_error_before_the_start(server: LiveServer, message: Any, error: str, code: int) -> None:
    with client(server) as c:
        c.socket.send(message)
        kind, reason, closed, payload = c.error()
        assert (kind, closed, payload) == (error, code, "protocol_error")
        assert reason
    assert server.script.sessions == []


def test_text_that_is_not_utf_8_is_an_invalid_message(server: LiveServer) -> None:
    with client(server) as c:
        c.socket.send(b"\xff\xfe", text=True)
        assert c.error()[0] == "invalid_message"


def test_a_recogniser_that_fails_ends_its_session_only(server: LiveServer) -> None:
    server.script.fail_at = 3
    with client(server) as c:
        c.start()
        c.socket.send(SECOND * 2)
        assert c.error()[::2] == ("job_error", 4013)
    server.script.fail_at = None
    with client(server) as c:
        c.start()


def test_a_recogniser_without_room(server: LiveServer) -> None:
    server.script.refuse = FULL
    with client(server) as c:
        c.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
        assert c.error()[::2] == ("job_error", 4013)


def test_a_bug_is_an_unknown_error(server: LiveServer) -> None:
    server.script.refuse = LookupError("a bug")
    with client(server) as c:
        c.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
        kind, reason, code, payload = c.error()
        assert (kind, code, payload) == ("unknown_error", 1011, "internal_error")
        assert "bug" not in reason


# ── flow (§10) ──


def test_a_stuck_recogniser_stops_the_client(server: LiveServer) -> None:
    """What is under way delays a ping (§10). The client fills the buffers of its kernel at once, which is the worst case."""
    server.script.buffer = 500_000
    server.script.frozen = True
    with client(server) as c:
        c.start()
        c.socket.socket.settimeout(1.0)
        sent = 0
        with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
            for _ in range(1000):
                c.socket.send(b"\0" * 4096)
                sent += 4096
        assert server.script.sessions[-1].buffered <= 500_000
        assert sent - server.script.sessions[-1].buffered < 1_000_000


def test_a_socket_takes_half_a_megabyte_in_one_message(server: LiveServer) -> None:
    """§2: a script sends a whole file as one message; it is read in pieces, with rests between."""
    with client(server) as c:
        c.start()
        c.socket.send(SECOND * 16)
        c.send("EndOfStream", last_seq_no=1)
        c.until("EndOfTranscript")
        assert c.text() == "alpha bravo charlie delta. " * 8


def test_a_session_faster_than_real_time_loses_nothing(server: LiveServer) -> None:
    server.script.buffer = 100_000
    with client(server) as c:
        c.start()
        for _ in range(120):
            c.socket.send(SECOND)
        c.send("EndOfStream", last_seq_no=120)
        c.until("EndOfTranscript")
        assert c.text() == "alpha bravo charlie delta. " * 60
        assert sum(body["message"] == "AudioAdded" for body in c.got) == 120


def test_a_client_that_vanishes_frees_its_slot_at_once(server: LiveServer) -> None:
    """§3 rule 8: it connects again, also where a key has one session only."""
    server.gateway.sessions.most, most = 1, server.gateway.sessions.most
    for lost in (socket.SHUT_RDWR, None):
        with client(server) as c:
            c.start()
            assert len(server.gateway.sessions) == 1
            closed = server.script.closed
            if lost is None:  # a reset, as of a killed process
                c.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.socket.socket.close()
            else:
                c.socket.socket.shutdown(lost)
            until(lambda seen=closed: len(server.gateway.sessions) == 0 and server.script.closed > seen, "free slot", 5)  # type: ignore[misc]
        with client(server) as again:
            again.start()
        until(lambda: len(server.gateway.sessions) == 0, "end of the second session", 5)
    server.gateway.sessions.most = most


def test_the_server_sends_no_pings_and_answers_those_of_clients(server: LiveServer) -> None:
    with client(server) as c:
        c.start()
        assert c.socket.ping().wait(10)


# ── admission and operation ──


def test_a_full_server_answers_503_with_retry_after(server: LiveServer) -> None:
    server.script.load = Load(busy=1.0)
    answer = refused(server)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "no room" in json.loads(answer.body)["detail"]


def test_ten_handshakes_at_once_do_not_all_pass(server: LiveServer) -> None:
    """Young sessions count at their estimated load, because the measured load is still that of an idle server."""
    server.script.load = Load(busy=0.0, capacity=3.0)
    with contextlib.ExitStack() as stack:
        passed = 0
        for _ in range(10):
            with contextlib.suppress(InvalidStatus):
                stack.enter_context(client(server))
                passed += 1
        assert passed == 3


def test_the_side_services(server: LiveServer) -> None:
    """§12."""
    base = f"http://{server.address}"
    assert httpx.get(f"{base}/started", verify=tls()).json() == {"started": True}
    assert httpx.get(f"{base}/ready", verify=tls()).json() == {"ready": True}
    with client(server, headers={**AUTH, "X-Request-ID": "my-id"}) as c:
        c.start()
        session_id = next(body["id"] for body in c.got if body["message"] == "RecognitionStarted")
        status = httpx.get(f"{base}/session_status", verify=tls()).json()
        assert status == {"max_sessions": 100, "active_sessions": [{"session_id": session_id, "request_id": "my-id"}]}
    server.script.load = Load(busy=1.0)
    full = httpx.get(f"{base}/ready", verify=tls())
    assert (full.status_code, full.json()) == (503, {"ready": False})


def test_metrics_of_sessions(server: LiveServer) -> None:
    with client(server) as c:
        c.start(enable_partials=True)
        c.socket.send(SECOND * 2)
        c.until("AddTranscript")
        text = httpx.get(f"http://{server.address}/metrics", verify=tls()).text
        assert "sottovoce_realtime_sessions 1.0" in text
        c.send("EndOfStream", last_seq_no=1)
        c.until("EndOfTranscript")
    until(lambda: len(server.gateway.sessions) == 0, "end of the session", 20)
    text = httpx.get(f"http://{server.address}/metrics", verify=tls()).text
    assert 'sottovoce_realtime_sessions_ended_total{outcome="done"}' in text
    for name in ("final", "partial"):
        assert f"sottovoce_realtime_{name}_seconds_count 0" not in text


async def _tiny(server: LiveServer) -> int:
    from websockets.asyncio.client import connect as open_socket

    async with open_socket(server.url + "/v2", additional_headers=AUTH) as ws:
        await ws.send(
            json.dumps({"message": "StartRecognition", "audio_format": RAW, "transcription_config": {"language": "en"}})
        )
        while json.loads(await ws.recv())["message"] != "RecognitionStarted":
            pass
        for _ in range(3000):
            await ws.send(b"\0" * 86)
        await ws.send(json.dumps({"message": "EndOfStream", "last_seq_no": 3000}))
        acks = 0
        async for text in ws:
            acks += json.loads(text)["message"] == "AudioAdded"
        return acks


def test_tiny_frames(server: LiveServer) -> None:
    assert asyncio.run(_tiny(server)) == 3000


FAULTS: list[bytes | str] = [
    "", "{", "[]", "null", "0", '{"message": 1}', '{"message": "Hello"}', "[" * 5000, '{"message": "' + "x" * 5000,
    '{"message": "AddChannelAudio", "channel": "x", "data": "!"}', '{"message": "StartRecognition", "audio_format": []}',
    json.dumps({"message": "StartRecognition", "audio_format": RAW, "transcription_config": {"language": {"a": []}}}),
    b"", b"\0" * 100, b"\xff" * 5000, '{"message": "EndOfStream", "last_seq_no": 1e400}', '{"a": "\\ud800"}',
]  # fmt: skip


async def _faults(server: LiveServer, number: int) -> str:
    """Send a hundred faults; the first ends the session. Returns the type of the error."""
    from websockets.asyncio.client import connect as open_socket

    async with open_socket(server.url + "/v2", additional_headers=AUTH) as ws:
        with contextlib.suppress(ConnectionClosed):
            for step in range(100):
                await ws.send(FAULTS[(number + step) % len(FAULTS)])
        return str(json.loads(await ws.recv())["type"])


def test_ten_thousand_faults_beside_good_sessions(server: LiveServer) -> None:
    server.gateway.sessions.most, most = 200, server.gateway.sessions.most
    server.script.load = Load(capacity=1000.0)
    with contextlib.ExitStack() as stack:
        good = [stack.enter_context(client(server)).start() for _ in range(3)]

        async def all_faults() -> list[str]:
            return await asyncio.gather(*(_faults(server, number) for number in range(100)))

        for c in good:
            c.socket.send(SECOND * 2)
        assert set(asyncio.run(all_faults())) == {
            "invalid_message",
            "protocol_error",
            "invalid_audio_type",
            "invalid_config",
        }
        for c in good:
            c.socket.send(SECOND * 2)
            c.send("EndOfStream", last_seq_no=2)
            c.until("EndOfTranscript")
            assert c.text() == "alpha bravo charlie delta. " * 2
    server.gateway.sessions.most = most


def test_a_client_that_does_not_read_is_cut(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.realtime.session.MAX_UNSENT", 100_000)
    host, port = server.address.split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.settimeout(20)
    head = "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    raw.sendall(f"{head}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
    raw.recv(10)
    raw.sendall(
        _frame({"message": "StartRecognition", "audio_format": RAW, "transcription_config": {"language": "en"}})
    )
    ask = _frame({"message": "GetSpeakers"}) * 1000
    with contextlib.suppress(OSError):
        for _ in range(500):  # 20 MB of questions, whose answers are not read
            raw.sendall(ask)
        pytest.fail("the connection was not cut")
    until(lambda: len(server.gateway.sessions) == 0, "end of the session", 30)
    raw.close()


def _frame(message: dict[str, Any]) -> bytes:
    """A text frame with a mask of zeros."""
    data = json.dumps(message).encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


# ── speakers (§4.3, §4.6) ──


def test_identifiers_of_a_session_are_known_in_the_next_one(server: LiveServer) -> None:
    with client(server) as c:
        c.start(diarization="speaker")
        c.send("GetSpeakers")
        (found,) = c.until("SpeakersResult")["speakers"]
        c.send("GetSpeakers", final=True)
        c.send("EndOfStream", last_seq_no=0)
        (last,) = c.until("SpeakersResult")["speakers"]
        c.until("EndOfTranscript")
    assert (found["label"], last["label"]) == ("S1", "S1"), "S2 said too little"
    assert found["speaker_identifiers"] != last["speaker_identifiers"], "each encryption is another text"

    speakers = [
        {"label": "Ada", "speaker_identifiers": found["speaker_identifiers"] + last["speaker_identifiers"]},
        {"label": "Bob", "speaker_identifiers": ["v1.made-up", found["speaker_identifiers"][0][:-5]]},
    ]
    with client(server) as c:
        c.start(diarization="speaker", speaker_diarization_config={"speakers": speakers})
    assert server.script.sessions[-1].known == (KnownVoice(label="Ada", prints=(PRINT, PRINT)),)
    assert [body.get("type", body["message"]) for body in c.got[:3]] == [
        "concurrent_session_usage",
        "speaker_id",
        "RecognitionStarted",
    ]
    assert c.got[1]["reason"].startswith("2 speaker identifiers are ignored: not valid in this project")


@pytest.mark.parametrize("mode", ["none", "channel"])
def test_without_speakers_the_list_is_empty(server: LiveServer, mode: str) -> None:
    channels: dict[str, Any] = {"channel_diarization_labels": ["left"]} if mode == "channel" else {}
    with client(server) as c:
        c.start(diarization=mode, **channels)
        c.send("GetSpeakers")
        assert c.until("SpeakersResult")["speakers"] == []


# ── a server of its own for each ──


def test_the_limits_of_http_connections_do_not_apply_to_sessions(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"max_connections_per_address": 2, "transfer_timeout": 1.0, "head_timeout": 1.0}
    with live_server(tmp_path, **limits) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(server)).start() for _ in range(5)]
        time.sleep(2.5)  # longer than a request may make no progress
        for c in clients:
            c.send("GetSpeakers")
            c.until("SpeakersResult")
        assert httpx.get(f"http://{server.address}/started", verify=tls()).status_code == 200


def test_the_quota_of_a_key_and_a_drain(tmp_path: Path) -> None:
    with live_server(tmp_path, realtime_key_sessions=1) as server:
        server.script.refuse = FULL
        with client(server) as c:
            c.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
            assert c.error()[0] == "job_error"
        server.script.refuse = None
        until(lambda: len(server.gateway.sessions) == 0, "end of the refused session", 20)
        with client(server) as c:
            c.start()
            usage = c.got[0]
            assert (usage["type"], usage["usage"], usage["quota"], usage["region"]) == (
                "concurrent_session_usage",
                1,
                1,
                "eu1",
            )
            with client(server) as second:
                second.send("StartRecognition", audio_format=RAW, transcription_config={"language": "en"})
                kind, reason, code, payload = second.error()
                assert (kind, code, payload) == ("quota_exceeded", 4005, "quota_exceeded")
                assert "Concurrent Quota Exceeded" in reason
            c.socket.send(SECOND * 3)
            c.until("AudioAdded")
            server.server.should_exit = True
            assert c.until("Warning")["type"] == "duration_limit_exceeded"
            with contextlib.suppress(ConnectionClosed):  # the end may be here already
                c.socket.send(SECOND)
            c.until("EndOfTranscript")
            assert c.text() == "alpha bravo charlie delta. alpha bravo. "
        until(lambda: len(server.gateway.sessions) == 0, "end of all sessions", 20)
        with server.runtime.database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM live_sessions").scalar_one() == 0
            rows = connection.exec_driver_sql("SELECT type, language, duration_ms FROM job_usage").all()
        assert [tuple(row) for row in rows] == [("realtime", "en", 3000)]


def test_nothing_of_a_session_is_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§10, retention: none, of words, partials, config or audio: not in a file, a row, a log or a temporary file."""
    marker = "zanzibarquokka"
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    caplog.set_level(logging.INFO)
    replaced = {"replacements": [{"from": "alpha", "to": marker}]}
    with live_server(tmp_path) as server:
        with client(server, f"/v2?sm-app=app&unknown={marker}") as c:
            c.start(
                {marker: marker},
                additional_vocab=[marker, {"content": marker, "sounds_like": [marker]}],
                enable_partials=True,
                transcript_filtering_config=replaced,
                **{marker: marker},
            )
            c.socket.send(marker.encode() * 5000)
            c.send("SetRecognitionConfig", transcription_config={"max_delay": 1, "additional_vocab": None})
            c.send("ForceEndOfUtterance")
            c.send("EndOfStream", last_seq_no=1)
            c.until("EndOfTranscript")
        with client(server) as c:
            c.start(diarization="channel", channel_diarization_labels=[marker])
            c.send("AddChannelAudio", channel=marker, data=base64.b64encode(marker.encode() * 5000).decode())
            c.send("EndOfChannel", channel=marker, last_seq_no=1)
            c.until("EndOfTranscript")
        for message in (
            {"message": marker},
            {"message": "StartRecognition", "audio_format": RAW, "transcription_config": {"language": marker * 9}},
            {
                "message": "StartRecognition",
                "audio_format": {"type": marker},
                "transcription_config": {"language": "en"},
            },
            {
                "message": "StartRecognition",
                "audio_format": RAW,
                "transcription_config": {"language": "en", "max_delay": marker},
            },
        ):
            with client(server) as c:
                c.socket.send(json.dumps(message))
                c.error()
        server.script.refuse = LookupError("a bug")
        with client(server) as c:
            c.send(
                "StartRecognition",
                audio_format=RAW,
                transcription_config={"language": "en", "additional_vocab": [marker]},
            )
            c.error()
        until(lambda: len(server.gateway.sessions) == 0, "end of all sessions", 20)
        found = [file for file, content in contents(tmp_path) if marker.encode() in content]
        assert found == []
    written = [each for each in caplog.records if each.name.startswith("sottovoce") or each.levelno >= logging.WARNING]
    lines = list(map(JsonLines().format, written))
    assert any("realtime session ended" in line for line in lines), "the log is looked at"
    assert [line for line in lines if marker in line] == []

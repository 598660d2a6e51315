"""The vendor's own realtime clients, unmodified from the registry, against a real socket with a scripted recogniser; and the rules
of those that cannot run here (contract `clients.md` §9, §10)."""

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.web.api.translators import planner
from tests.conftest import SHARED
from tests.contract.agent_clients.programs import write_wav
from tests.contract.agent_clients.talk import RATE
from tests.contract.node_packages import install
from tests.contract.test_realtime import RAW, SECOND, client
from tests.live_server import KEY, LiveServer, live_server

pytestmark = pytest.mark.system
SCRIPTS = ["smoke_rt.py", "smoke_rt_multichannel.py", "smoke_cli_rt.py", "smoke_voice.py", "smoke_legacy_sdk.py"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """All roles: the old library's script also submits a job, and temporary keys come from the management API."""
    home = tmp_path_factory.mktemp("live")
    with live_server(home, roles="api,batch,realtime", engine="pocketsphinx", slots=1) as found:
        yield found


@pytest.fixture(scope="module")
def sample(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sentence of the demo: the scripts hear their sample up to four times, and one submits it as a job."""
    with wave.open(str(demo)) as file:
        samples = file.readframes(5 * RATE)
    return write_wav(tmp_path_factory.mktemp("audio") / "sample.wav", samples)


@pytest.mark.shared
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_vendors_smoke_scripts_pass(server: LiveServer, sample: Path, script: str) -> None:
    address = {"BASE_URL": f"http://{server.address}", "WS_URL": server.url}
    environment = {**os.environ, **address, "API_KEY": KEY, "AUDIO": str(sample)}
    ran = subprocess.run(
        [sys.executable, str(SHARED / "clients" / script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=server.runtime.plan.folder.root,
    )
    assert ran.stdout.startswith("PASS"), ran.stdout + ran.stderr


def test_a_temporary_key_of_the_client_opens_sessions(server: LiveServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.rt import (
            AsyncClient,
            AudioEncoding,
            AudioFormat,
            JWTAuth,
            ServerMessageType,
            TranscriptionConfig,
        )

    async def run() -> list[str]:
        auth = JWTAuth(KEY, ttl=60, mp_url=f"http://{server.address}")
        got: list[str] = []
        async with AsyncClient(auth=auth, url=f"{server.url}/v2") as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, lambda m: got.append(m["metadata"]["transcript"]))
            await client.transcribe(
                io.BytesIO(b"\0" * 64_000),
                transcription_config=TranscriptionConfig(language="en"),
                audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
            )
        return got

    assert asyncio.run(run()) == ["alpha bravo charlie delta. "]


# ── JavaScript (clients.md §7, §8) ──


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and its packages."""
    return install(tmp_path_factory.mktemp("node"))


def test_the_javascript_client(server: LiveServer, packages: Path) -> None:
    server.script.planner = planner(server.runtime.live_offers, server.runtime.pool)
    environment = {**os.environ, "BASE": f"http://{server.address}", "URL": server.url, "KEY": KEY}
    ran = subprocess.run(
        ["node", "realtime.mjs"], cwd=packages, env=environment, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answer = json.loads(ran.stdout)
    whole = answer["whole"]
    assert whole["started"]["language_pack_info"]["word_delimiter"] == " "
    assert whole["speakers"] == []
    got = whole["got"]
    assert [each["seq_no"] for each in got if each["message"] == "AudioAdded"] == [1, 2, 3, 4, 5, 6]
    text = "".join(each["metadata"]["transcript"] for each in got if each["message"] == "AddTranscript")
    assert text == "alpha bravo charlie delta. " * 2 + "alpha bravo. charlie delta. "
    assert any(each.get("forced") for each in got if each["message"] == "EndOfUtterance")
    assert got[-1] == {"message": "EndOfTranscript"}
    assert whole["state"] in {"closing", "closed", None}
    assert (answer["language"], answer["config"]) == ("started", "invalid_config")  # the script knows every language
    assert answer["file"][0] == "Info"
    assert answer["file"][-1] == "EndOfTranscript"
    beside = {each["message"]: each for each in answer["beside"]}
    assert beside["AddTranslation"]["language"] == "en"
    assert beside["AddTranslation"]["results"][0]["content"] == "alpha bravo charlie delta."
    assert "AddPartialTranslation" in beside
    assert beside["AudioEventStarted"]["event"]["type"] == beside["AudioEventEnded"]["event"]["type"] == "music"
    assert answer["beside"][-1] == {"message": "EndOfTranscript"}


# ── .NET (clients.md §9) ──


def members(value: Any) -> Iterator[Any]:
    """*value* and everything in it."""
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from members(each)


def test_the_rules_of_the_dotnet_client(server: LiveServer) -> None:
    """Blocks of two fragments, `max_delay` 5, the entire config again; no null, and the last partial is empty."""
    config: dict[str, Any] = {
        "language": "en",
        "max_delay": 5,
        "enable_partials": True,
        "operating_point": None,
        "additional_vocab": [],
    }
    with client(server, "/") as c:
        c.start(**{name: value for name, value in config.items() if name != "language"})
        for _ in range(40):
            c.socket.send([b"\0" * 1024, b"\0" * 1024])
        c.send("SetRecognitionConfig", transcription_config=config, translation_config=None, audio_events_config=None)
        c.send("EndOfStream", last_seq_no=40)
        c.until("EndOfTranscript")
        assert [each["seq_no"] for each in c.got if each["message"] == "AudioAdded"] == list(range(1, 41))
        assert None not in list(members(c.got))
        partials = [each for each in c.got if each["message"] == "AddPartialTranscript"]
        assert any(each["results"] for each in partials)
        assert partials[-1]["results"] == []


# ── Rust (clients.md §10) ──

KNOWN_TO_RUST = {
    "RecognitionStarted", "AddTranscript", "AddPartialTranscript", "AudioAdded", "EndOfTranscript", "Error", "Warning", "Info",
    "AddTranslation", "AddPartialTranslation", "AudioEventStarted", "AudioEventEnded", "EndOfUtterance",
}  # fmt: skip


class RawSocket:
    """A WebSocket on a plain socket, to see every frame."""

    def __init__(self, server: LiveServer) -> None:
        host, port = server.address.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        lines = [
            "GET /v2?sm-sdk=rust-0.4.0 HTTP/1.1", f"Host: {server.address}", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Authorization: Bearer {KEY}", "", "",
        ]  # fmt: skip
        self._socket.sendall("\r\n".join(lines).encode())
        self._file = self._socket.makefile("rb")
        assert b" 101 " in self._file.readline()
        while self._file.readline().strip():
            pass

    def send(self, opcode: int, data: bytes) -> None:
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self._socket.sendall(bytes([0x80 | opcode]) + size + bytes(4) + data)

    def frame(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame."""
        first, second = self._file.read(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
        return first & 15, self._file.read(size)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_the_rules_of_the_rust_client(server: LiveServer) -> None:
    """A ping, an unknown message or result type, and some messages after the start end its session."""
    server.script.planner = planner(server.runtime.live_offers, server.runtime.pool)
    config = {"language": "en", "enable_partials": True, "max_delay": 1.0}
    start = {
        "message": "StartRecognition", "audio_format": RAW, "transcription_config": config,
        "translation_config": {"target_languages": ["de", "fr", "es", "it", "pt"], "enable_partials": False},
        "audio_events_config": {},
    }  # fmt: skip
    raw = RawSocket(server)
    raw.send(1, json.dumps(start).encode())
    got: list[dict[str, Any]] = []
    while not got or got[-1]["message"] != "EndOfTranscript":
        opcode, payload = raw.frame()
        assert opcode == 1, "text frames only, no pings"
        got.append(json.loads(payload))
        if got[-1]["message"] == "RecognitionStarted":
            for at in range(0, len(SECOND) * 3, 8192):
                raw.send(2, (SECOND * 3)[at : at + 8192])
            raw.send(1, json.dumps({"message": "EndOfStream", "last_seq_no": 12}).encode())
    raw.close()
    names = [each["message"] for each in got]
    begun = names.index("RecognitionStarted")
    assert begun <= 5
    assert {each["type"] for each in got[:begun]} == {
        "concurrent_session_usage", "unsupported_translation_pair", "empty_translation_target_list", "validation_warning",
    }  # fmt: skip
    after = got[begun:]
    assert {each["message"] for each in after} <= KNOWN_TO_RUST
    assert not [each for each in after if each["message"] == "Warning"]
    assert {each["type"] for each in after if each["message"] == "Info"} <= {"recognition_quality"}
    results = [result for each in after for result in each.get("results", ())]
    assert {result["type"] for result in results} == {"word", "punctuation"}
    for result in results:
        assert all({"content", "confidence", "language"} <= each.keys() for each in result["alternatives"])
    assert set(got[begun]["language_pack_info"]) == {
        "adapted", "itn", "language_description", "word_delimiter", "writing_direction",
    }  # fmt: skip


# ── temporary keys of the old client (clients.md §1) ──


def test_the_old_client_makes_itself_a_temporary_key(server: LiveServer, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "SM_MANAGEMENT_PLATFORM_URL": f"http://{server.address}"}
    command = [
        str(Path(sys.executable).with_name("speechmatics")), "rt", "transcribe", "--url", f"{server.url}/v2", "--ssl-mode", "none",
        "--auth-token", KEY, "--generate-temp-token", "--lang", "en", "--raw", "pcm_s16le", "--sample-rate", "16000", "-",
    ]  # fmt: skip
    ran = subprocess.run(command, input=SECOND * 4, env=environment, capture_output=True, timeout=100)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode().split() == ["alpha", "bravo", "charlie", "delta."] * 2

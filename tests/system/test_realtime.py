"""Realtime sessions of a real server, with the embedded recogniser in a child process of its own."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.servers import NewProcess, Server, contents, until

pytestmark = pytest.mark.system
MARKER = "zanzibarquokka"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("realtime")
    with NewProcess(  # `live_children` finds its engine processes by their arguments
        home, SOTTOVOCE_ENGINE="pocketsphinx", SOTTOVOCE_ROLES="realtime", SOTTOVOCE_DRAIN_TIMEOUT="20"
    ) as running:
        yield running


@contextlib.contextmanager
def session(server: Server, **config: Any) -> Iterator[ClientConnection]:
    """A session whose recogniser is ready."""
    headers = {"Authorization": f"Bearer {server.key}"}
    # this engine takes a whole core, so that the session of the test before has to be gone
    until(lambda: httpx.get(f"{server.url}/ready").status_code == 200, "room for a session")
    with connect(server.url.replace("http", "ws") + "/v2", additional_headers=headers) as opened:
        audio = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
        asked = {"language": "en", "max_delay": 1.0, **config}
        start = {"message": "StartRecognition", "audio_format": audio, "transcription_config": asked}
        opened.send(json.dumps(start))
        until_message(opened, "RecognitionStarted")
        yield opened


def until_message(opened: ClientConnection, name: str) -> list[dict[str, Any]]:
    """The messages up to the next one called *name*."""
    got: list[dict[str, Any]] = []
    while not got or got[-1]["message"] != name:
        got.append(json.loads(opened.recv(timeout=100)))
    return got


def spoken(demo: Path, seconds: float) -> bytes:
    with wave.open(str(demo)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return bytes(file.readframes(round(seconds * 16000)))


def live_children(server: Server) -> list[int]:
    """Process ids of the recognisers."""
    assert server.process is not None
    listed = subprocess.run(  # ps ends with status 1 where the server has no child at all
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if " live " in line]


def test_speech_becomes_words_and_nothing_is_stored(server: Server, demo: Path) -> None:
    with session(server, additional_vocab=[MARKER], enable_partials=True) as opened:
        opened.send(spoken(demo, 6))
        opened.send(json.dumps({"message": "EndOfStream", "last_seq_no": 1}))
        got = until_message(opened, "EndOfTranscript")
    text = "".join(each["metadata"]["transcript"] for each in got if each["message"] == "AddTranscript")
    assert len(text.split()) > 3
    spans = [each["metadata"] for each in got if each["message"] == "AddTranscript"]
    assert all(a["end_time"] <= b["start_time"] for a, b in itertools.pairwise(spans)), "finals do not overlap"
    secrets = [MARKER, max(text.split(), key=len).strip(".,?!")]
    stored = [file for file, content in contents(server.home) if any(each.encode() in content for each in secrets)]
    assert stored == []


def test_the_kill_of_a_recogniser_ends_its_sessions_with_job_error(server: Server, demo: Path) -> None:
    with session(server) as opened:
        opened.send(spoken(demo, 2))
        until_message(opened, "AudioAdded")
        for pid in live_children(server):
            os.kill(pid, signal.SIGKILL)
        error = until_message(opened, "Error")[-1]
        assert error["type"] == "job_error"
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4013
    until(lambda: live_children(server) or None, "another recogniser")
    with session(server) as opened:
        opened.send(json.dumps({"message": "EndOfStream", "last_seq_no": 0}))
        until_message(opened, "EndOfTranscript")


def test_sigterm_gives_every_session_its_text_and_its_end(server: Server, demo: Path) -> None:
    """The last test: the server is gone afterwards."""
    assert server.process is not None
    with session(server) as opened:
        opened.send(spoken(demo, 5))
        until_message(opened, "AudioAdded")
        server.process.send_signal(signal.SIGTERM)
        got = until_message(opened, "EndOfTranscript")
    assert got[0]["type"] == "duration_limit_exceeded" or any(
        each.get("type") == "duration_limit_exceeded" for each in got
    )
    assert any(each["message"] == "AddTranscript" and each["results"] for each in got)
    server.process.wait(60)
    assert server.process.returncode == 0

"""The Agent API on a real socket, with a scripted recogniser (contract `agent-stt.md`)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live_server import KEY, LiveServer, live_server

AUTH = {"Authorization": f"Bearer {KEY}"}
RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
WORD = b"\0" * 16_000
"""The audio of one word."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("agent")) as found:
        yield found


class Agent:
    """A client that keeps every message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.got: list[dict[str, Any]] = []
        self.sent = 0

    def send(self, message: str, **members: Any) -> None:
        self.socket.send(json.dumps({"message": message, **members}))

    def start(self, mode: str | None = None, top: dict[str, Any] | None = None, **config: Any) -> None:
        """As the vendor's SDK starts a session."""
        asked = {"language": "en", "model": "linden-1", **config}
        turn = {} if mode is None else {"turn_config": {"turn_detection_mode": mode}}
        self.send("StartRecognition", audio_format=RAW, transcription_config=asked, **turn, **(top or {}))

    def speak(self, words: int) -> None:
        """Send the audio of *words*, and wait until each is heard."""
        for _ in range(words):
            self.socket.send(WORD)
            self.sent += 1
            self.until("AudioAdded")

    def until(self, name: str) -> dict[str, Any]:
        """The next message called *name*."""
        while True:
            body = json.loads(self.socket.recv(timeout=20, decode=True))
            self.got.append(body)
            if body["message"] == name:
                return dict(body)
            assert body["message"] != "Error", body

    def end(self) -> None:
        """End the stream, and read everything that is left."""
        self.send("EndOfStream", last_seq_no=max(self.sent - 1, 0))
        self.rest()

    def rest(self) -> ConnectionClosed:
        try:
            while True:
                self.got.append(json.loads(self.socket.recv(timeout=20, decode=True)))
        except ConnectionClosed as closed:
            return closed

    def names(self, *left_out: str) -> list[str]:
        """The names of the messages, without the acknowledgements of audio and *left_out*."""
        return [body["message"] for body in self.got if body["message"] not in ("AudioAdded", "Info", *left_out)]

    def segments(self) -> list[str]:
        return [body["segment"]["transcript"] for body in self.got if body["message"] == "AddSegment"]


@contextmanager
def agent(server: LiveServer, path: str = "/v2/agent") -> Iterator[Agent]:
    with connect(f"{server.url}{path}", additional_headers=AUTH, max_size=1 << 20) as socket:
        yield Agent(socket)


@pytest.mark.parametrize("path", ["/v2/agent", "/agent", "/v2/agent/?sm-app=livekit/1.8.9"])
def test_turns_that_end_by_silence(server: LiveServer, path: str) -> None:
    with agent(server, path) as client:
        client.start("vad")
        client.speak(6)
        client.end()
    turn = [
        "SpeechStarted",
        "StartOfTurn",
        "AddPartialSegment",
        "AddPartialSegment",
        "AddPartialSegment",
        "AddPartialSegment",
    ]
    assert client.names() == [
        "RecognitionStarted",
        *[*turn, "AddSegment", "SpeechEnded", "EndOfTurn"],
        *[*turn[:4], "AddSegment", "EndOfTurn"],
        "EndOfTranscript",
    ]
    assert client.segments() == ["alpha bravo charlie delta.", "alpha bravo."]
    by_name = {body["message"]: body for body in reversed(client.got)}
    assert by_name["AddSegment"] == {
        "message": "AddSegment",
        "segment": {"transcript": "alpha bravo charlie delta."},
        "metadata": {"start_time": 0.0, "end_time": 2.0},
    }
    assert by_name["SpeechStarted"]["metadata"] == by_name["StartOfTurn"]["metadata"] == {"start_time": 0.0}
    assert by_name["EndOfTurn"] == {"message": "EndOfTurn", "metadata": {"end_time": 2.0}}
    assert set(by_name["RecognitionStarted"]["language_pack_info"]) == {"word_delimiter", "writing_direction"}


def test_turns_that_the_client_ends(server: LiveServer) -> None:
    with agent(server) as client:
        client.start("external")
        client.speak(5)
        client.send("ForceEndOfUtterance", timestamp=2.5)
        client.until("EndOfTurn")
        client.send("ForceEndOfUtterance", timestamp=2.6)  # nothing was said
        client.speak(2)
        client.send("ForceEndOfUtterance")
        client.until("EndOfTurn")
        client.end()
    assert client.names("AddPartialSegment") == [
        "RecognitionStarted",
        *["StartOfTurn", "AddSegment", "EndOfTurn"] * 2,
        "EndOfTranscript",
    ]
    assert client.segments() == ["alpha bravo charlie delta alpha.", "bravo charlie."]


def test_a_forced_end_that_has_no_effect_is_told(server: LiveServer) -> None:
    with agent(server) as client:
        client.start()  # vad
        client.until("RecognitionStarted")
        client.send("ForceEndOfUtterance", timestamp=1)
        assert "turn_detection_mode is vad" in client.until("Warning")["reason"]
    with agent(server) as client:
        client.start("external")
        client.until("RecognitionStarted")
        for timestamp in (2.0, 2.0, 1.0):
            client.send("ForceEndOfUtterance", timestamp=timestamp)
        for _ in range(2):
            assert "not after the last one" in client.until("Warning")["reason"]


def test_partial_segments_can_be_off_and_on_again(server: LiveServer) -> None:
    with agent(server) as client:
        client.start("external", enable_partials=False)
        client.speak(3)
        client.send("SetRecognitionConfig", transcription_config={"language": "en", "enable_partials": True})
        assert "AddPartialSegment" not in client.names()
        client.speak(1)
        assert client.until("AddPartialSegment")["segment"]["transcript"] == "alpha bravo charlie delta"
        client.end()
    assert client.names()[-3:] == ["AddSegment", "EndOfTurn", "EndOfTranscript"]


def test_speakers(server: LiveServer) -> None:
    with agent(server) as client:
        client.start("vad", diarization="speaker", speaker_diarization_config={"get_speakers": True})
        client.speak(4)
        client.send("GetSpeakers")
        (found,) = client.until("SpeakersResult")["speakers"]
        assert found["label"] == "S1"
        assert found["speaker_identifiers"][0].startswith("v1.")
        client.end()
    assert [body["segment"]["speaker"] for body in client.got if body["message"] == "AddSegment"] == ["UU"]
    assert client.names()[-2:] == ["SpeakersResult", "EndOfTranscript"]


@pytest.mark.parametrize(
    ("config", "top", "error", "words"),
    [
        ({"max_delay": 2}, {}, "invalid_config", "max_delay: cannot be used in an agent session"),
        ({"conversation_config": {}}, {}, "invalid_config", "use turn_config"),
        ({"diarisation": "speaker"}, {}, "invalid_config", "did you mean diarization"),
        ({"diarization": "channel"}, {}, "invalid_config", "diarization: must be one of none, speaker"),
        ({"model": "melia-1"}, {}, "invalid_model", "must be one of linden-1, enhanced, standard"),
        ({"model": None, "operating_point": "linden-1"}, {}, "invalid_model", "operating_point"),
        ({}, {"translation_config": {"target_languages": ["de"]}}, "invalid_config", "translation_config"),
        ({}, {"turn_config": {"turn_detection_mode": "smart"}}, "invalid_config", "vad, external"),
        ({}, {"audio_format": {"type": "file"}}, "invalid_audio_type", "must be raw"),
        ({}, {"audio_format": {**RAW, "sample_rate": 44100}}, "invalid_audio_type", "8000, 16000"),
        ({}, {"audio_format": {**RAW, "encoding": "mulaw"}}, "invalid_audio_type", "pcm_f32le"),
        ({}, {"audio_format": {"type": "raw"}}, "invalid_audio_type", "encoding: is required"),
        ({"speaker_diarization_config": {"get_speakers": True}}, {}, "invalid_config", "diarization is speaker"),
    ],
)
def test_what_the_config_must_not_hold(
    server: LiveServer, config: dict[str, Any], top: dict[str, Any], error: str, words: str
) -> None:
    with agent(server) as client:
        asked = {"language": "en", "model": "linden-1", **config}
        client.send("StartRecognition", **{"audio_format": RAW, "transcription_config": asked, **top})
        closed = client.rest()
    assert client.got[-1]["type"] == error
    assert words in client.got[-1]["reason"]
    assert closed.rcvd is not None
    assert closed.rcvd.code == (4004 if error == "invalid_model" else 1003)


@pytest.mark.parametrize(
    "config", [{}, {"model": "enhanced"}, {"model": None, "operating_point": "standard"}, {"model": None}]
)
def test_the_names_of_the_model(server: LiveServer, config: dict[str, Any]) -> None:
    with agent(server) as client:
        client.start(**config)
        assert client.until("RecognitionStarted")["id"]


def test_members_that_plugins_send_are_tolerated(server: LiveServer) -> None:
    with agent(server) as client:
        client.start("external", enable_entities=True, punctuation_overrides={"sensitivity": 0.4}, domain=None)
        assert "enable_entities has no effect" in client.until("Warning")["reason"]
        client.until("RecognitionStarted")
        assert server.script.sessions[-1].request.punctuation.sensitivity == 0.4


@pytest.mark.parametrize(
    ("message", "members", "error"),
    [
        ("AddChannelAudio", {"channel": "a", "data": ""}, "invalid_message"),
        ("ForceEndOfUtterance", {"channel": "a"}, "invalid_message"),
        ("SetRecognitionConfig", {"transcription_config": {"max_delay": 1}}, "invalid_config"),
        ("SetRecognitionConfig", {"transcription_config": {"language": "de"}}, "invalid_config"),
        ("StartRecognition", {"audio_format": RAW, "transcription_config": {"language": "en"}}, "protocol_error"),
    ],
)
def test_what_a_client_must_not_send(server: LiveServer, message: str, members: dict[str, Any], error: str) -> None:
    with agent(server) as client:
        client.start("external")
        client.until("RecognitionStarted")
        client.send(message, **members)
        client.rest()
    assert client.got[-1]["type"] == error


def test_the_addresses_of_the_preview_name_the_right_one(server: LiveServer) -> None:
    for path in ("/v2/agent/adaptive", "/agent/smart"):
        with pytest.raises(InvalidStatus) as caught, agent(server, path):
            pass
        assert caught.value.response.status_code == 404
        assert "connect to /v2/agent" in bytes(caught.value.response.body or b"").decode()

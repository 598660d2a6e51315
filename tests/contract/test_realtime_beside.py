"""Translations and audio events of realtime sessions on a real socket (contract `realtime.md` §3, §4.4, §4.5, §5, §6).

The recogniser is scripted; translations run through the service's own processes, with a model of random weights, a program in place
of Apertium's, or in tests of order a slow one.
"""

import asyncio
import base64
import io
import json
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from sottovoce.inference.live_events import SentenceHeard
from sottovoce.realtime.ports import Served
from sottovoce.realtime.translation import CLOSING
from sottovoce.request import LiveRequest
from sottovoce.web.api.translators import planner
from tests import tiny_translator
from tests.conftest import SHARED
from tests.contract.test_realtime import SECOND, client
from tests.live_server import KEY, LiveServer, live_server
from tests.servers import until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    model = tiny_translator.build(tmp_path_factory.mktemp("model") / "model", spm=True)
    home = tmp_path_factory.mktemp("live")
    with live_server(home, roles="api,realtime", engine="pocketsphinx", translation_models=[f"en-de={model}"]) as found:
        yield found


@pytest.fixture(autouse=True)
def planned(server: LiveServer) -> Iterator[None]:
    server.script.planner = planner(server.runtime.live_offers, server.runtime.pool)
    yield
    until(lambda: len(server.gateway.sessions) == 0, "end of all sessions", 20)


def session(server: LiveServer, audio: Sequence[bytes], top: dict[str, Any], **config: Any) -> list[dict[str, Any]]:
    """All messages of a session."""
    with client(server) as c:
        c.start(top, **config)
        for second in audio:
            c.socket.send(second)
        c.send("EndOfStream", last_seq_no=len(audio))
        c.until("EndOfTranscript")
        return c.got


def named(got: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [each for each in got if each["message"] == name]


def chord(seconds: int) -> list[bytes]:
    time = np.arange(seconds * 16_000) / 16_000
    waves = np.asarray([np.sin(2 * np.pi * note * time) for note in (220, 277, 330, 440)]).sum(axis=0)
    data = (waves * 1_500).astype("<i2").tobytes()
    return [data[at : at + 32_000] for at in range(0, len(data), 32_000)]


def test_sentences_are_translated_after_their_transcript_and_before_the_end(server: LiveServer) -> None:
    config = {"target_languages": ["de", "en", "xx"], "enable_partials": True}
    got = session(server, [SECOND] * 5, {"translation_config": config}, diarization="speaker")
    begun = [each["message"] for each in got].index("RecognitionStarted")
    warned = [each for each in got[:begun] if each["message"] == "Warning"]
    assert [each["type"] for each in warned] == ["unsupported_translation_pair"]
    assert 'from "en" to "xx"' in warned[0]["reason"]
    finals = named(got, "AddTranslation")
    english = [result for each in finals if each["language"] == "en" for result in each["results"]]
    assert [(each["content"], each["start_time"], each["end_time"], each["speaker"]) for each in english] == [
        ("alpha bravo charlie delta.", 0.0, 2.0, "UU"),
        ("alpha bravo charlie delta.", 2.0, 4.0, "UU"),
        ("alpha bravo.", 4.0, 5.0, "UU"),
    ]
    german = [result for each in finals if each["language"] == "de" for result in each["results"]]
    assert {(each["start_time"], each["end_time"]) for each in german} <= {(0.0, 2.0), (2.0, 4.0), (4.0, 5.0)}
    partials = [each for each in named(got, "AddPartialTranslation") if each["language"] == "en"]
    assert partials, "the open sentence is translated too"
    assert not named(got, "AddPartialTranscript"), "which does not ask for partials of the transcript"
    first = next(at for at, each in enumerate(got) if each["message"] == "AddTranslation")
    assert any(each["message"] == "AddTranscript" for each in got[:first])
    assert got[-1] == {"message": "EndOfTranscript"}
    assert not any("channel" in each for each in finals)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ["empty_translation_target_list"]),
        ({"target_languages": []}, ["empty_translation_target_list"]),
        ({"target_languages": ["de"]}, []),
        ({"target_languages": ["fr", "xx"]}, ["unsupported_translation_pair"] * 2 + ["empty_translation_target_list"]),
        ({"target_languages": ["fr", "xx", "de"]}, ["unsupported_translation_pair"] * 2),
        ({"target_languages": list("abcde")}, ["unsupported_translation_pair", "empty_translation_target_list"]),
    ],
)
def test_a_missing_pair_is_a_warning_before_the_start(
    server: LiveServer, config: dict[str, Any], expected: list[str]
) -> None:
    """§4.4: never an error, and no more than five messages before RecognitionStarted (§11.6)."""
    with client(server) as c:
        c.start({"translation_config": config})
        before = [each["message"] for each in c.got].index("RecognitionStarted")
        assert [each["type"] for each in c.got[1:before]] == expected


def test_more_than_five_targets_are_an_error(server: LiveServer) -> None:
    with client(server) as c:
        targets = ["de", "fr", "es", "it", "pt", "nl"]
        c.send(
            "StartRecognition", audio_format={"type": "file"}, transcription_config={"language": "en"},
            translation_config={"target_languages": targets},
        )  # fmt: skip
        kind, reason, code, _ = c.error()
        assert (kind, code) == ("invalid_config", 1003)
        assert "translation_config.target_languages" in reason


class Slow:
    """A translator that takes *seconds* for each request."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.partials = True

    async def prepare(self) -> None:
        """Nothing to do."""

    async def translate(self, sentences: Sequence[SentenceHeard]) -> Sequence[str]:
        await asyncio.sleep(self.seconds)
        return [each.text.upper() for each in sentences]


def by(translator: Slow) -> Any:
    def plan(request: LiveRequest) -> Served:
        return Served(request=request, translators={"de": translator})

    return plan


def test_the_transcript_never_waits_for_a_translator(server: LiveServer) -> None:
    """The last words are final long before their translation; those that are too late are left out."""
    server.script.planner = by(Slow(1.0))
    with client(server) as c:
        c.start({"translation_config": {"target_languages": ["de"]}})
        for _ in range(8):
            c.socket.send(SECOND)
        c.send("EndOfStream", last_seq_no=8)
        c.until("EndOfTranscript")
        order = [each["message"] for each in c.got if each["message"] in ("AddTranscript", "AddTranslation")]
        assert order[:4] == ["AddTranscript"] * 4
        said = [result["content"] for each in named(c.got, "AddTranslation") for result in each["results"]]
        assert said == ["ALPHA BRAVO CHARLIE DELTA."] * 4
    server.script.planner = by(Slow(CLOSING + 60))
    got = session(server, [SECOND] * 2, {"translation_config": {"target_languages": ["de"]}})
    assert len(named(got, "AddTranscript")) == 1
    assert not named(got, "AddTranslation")


def test_music_begins_and_ends(server: LiveServer) -> None:
    got = session(server, [SECOND, *chord(5), SECOND, *chord(4)], {"audio_events_config": {"types": ["music"]}})
    assert not [each for each in got if each["message"] == "Warning"]
    events = [each for each in got if each["message"].startswith("AudioEvent")]
    assert [each["message"] for each in events] == ["AudioEventStarted", "AudioEventEnded"] * 2
    assert [each["event"].get("start_time", each["event"].get("end_time")) for each in events] == [1.0, 6.0, 7.0, 11.0]
    assert all(0 <= each["event"]["confidence"] <= 1 for each in events[::2])
    assert got[-1]["message"] == "EndOfTranscript"


def test_music_of_a_channel_has_its_label(server: LiveServer) -> None:
    with client(server) as c:
        labels = ["left", "right"]
        c.start({"audio_events_config": {}}, diarization="channel", channel_diarization_labels=labels)
        for second in chord(4):
            c.send("AddChannelAudio", channel="right", data=base64.b64encode(second).decode())
        c.send("EndOfStream", last_seq_no=4)
        c.until("EndOfTranscript")
        events = [each for each in c.got if each["message"].startswith("AudioEvent")]
        assert [(each["message"], each["channel"]) for each in events] == [
            ("AudioEventStarted", "right"),
            ("AudioEventEnded", "right"),
        ]


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({}, "applause and laughter"),
        ({"types": ["laughter", "music"]}, "laughter"),
        ({"types": ["applause"]}, "applause"),
    ],
)
def test_what_cannot_be_detected_is_a_warning(server: LiveServer, config: dict[str, Any], missing: str) -> None:
    with client(server) as c:
        c.start({"audio_events_config": config})
        (warning,) = named(c.got, "Warning")
        assert warning["type"] == "validation_warning"
        assert f"{missing} cannot be detected" in warning["reason"]
        assert "detected: music" in warning["reason"]


@pytest.mark.shared
def test_every_message_is_as_the_published_schema_has_it(server: LiveServer) -> None:
    schema = json.loads((SHARED / "contract" / "realtime.json").read_text(encoding="utf-8"))
    schema["components"]["schemas"]["WarningTypeEnum"]["enum"].append("validation_warning")  # §8
    top = {"translation_config": {"target_languages": ["en", "xx"], "enable_partials": True}, "audio_events_config": {}}
    got = session(server, [SECOND, *chord(4)], top, enable_partials=True)
    kinds = {each["message"] for each in got}
    assert {"AddTranslation", "AddPartialTranslation", "AudioEventStarted", "AudioEventEnded", "Warning"} <= kinds
    for body in got:
        whole = {**schema, "$ref": f"#/components/schemas/{body['message']}"}
        jsonschema.Draft7Validator(whole).validate(body)


def test_the_vendors_client_gets_both(server: LiveServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.rt import (
            AsyncClient,
            AudioEncoding,
            AudioEventsConfig,
            AudioFormat,
            ServerMessageType,
            TranscriptionConfig,
            TranslationConfig,
        )
    got: list[dict[str, Any]] = []

    async def run() -> None:
        async with AsyncClient(api_key=KEY, url=server.url + "/v2") as opened:
            for kind in (
                ServerMessageType.ADD_TRANSLATION,
                ServerMessageType.ADD_PARTIAL_TRANSLATION,
                ServerMessageType.AUDIO_EVENT_STARTED,
                ServerMessageType.AUDIO_EVENT_ENDED,
            ):
                opened.on(kind, got.append)
            await opened.transcribe(
                io.BytesIO(b"".join([SECOND * 2, *chord(4)])),
                transcription_config=TranscriptionConfig(language="en"),
                audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
                translation_config=TranslationConfig(target_languages=["en"], enable_partials=True),
                audio_events_config=AudioEventsConfig(types=["music"]),
            )

    asyncio.run(run())
    assert {each["message"] for each in got} == {
        "AddTranslation", "AddPartialTranslation", "AudioEventStarted", "AudioEventEnded",
    }  # fmt: skip


def test_the_vendors_old_client_gets_both(server: LiveServer) -> None:
    """Its configs stand at the top of StartRecognition, with nulls (§4.1)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.client import WebsocketClient
        from speechmatics.models import (
            AudioEventsConfig,
            AudioSettings,
            ConnectionSettings,
            RTTranslationConfig,
            ServerMessageType,
            TranscriptionConfig,
        )

        opened = WebsocketClient(ConnectionSettings(url=server.url + "/v2", auth_token=KEY, ssl_context=None))
        got: list[dict[str, Any]] = []
        for kind in (
            ServerMessageType.AddTranslation,
            ServerMessageType.AddPartialTranslation,
            ServerMessageType.AudioEventStarted,
            ServerMessageType.AudioEventEnded,
        ):
            opened.add_event_handler(kind, got.append)
        opened.run_synchronously(
            io.BytesIO(b"".join([SECOND * 2, *chord(4)])),
            TranscriptionConfig(
                language="en",
                translation_config=RTTranslationConfig(target_languages=["en"], enable_partials=True),
                audio_events_config=AudioEventsConfig(types=["music"]),
            ),
            AudioSettings(encoding="pcm_s16le", sample_rate=16000, chunk_size=8192),
        )
    assert {each["message"] for each in got} == {
        "AddTranslation", "AddPartialTranslation", "AudioEventStarted", "AudioEventEnded",
    }  # fmt: skip


def test_discovery_lists_the_pairs(server: LiveServer) -> None:
    """§12: `realtime.translation[0].languages`, as the JavaScript types expect it."""
    found = httpx.get(f"http://{server.address}/v1/discovery/features").json()["realtime"]["translation"]
    assert [each["languages"]["en"] for each in found] == [["de"]]


def test_the_configs_may_be_repeated_with_a_change(server: LiveServer) -> None:
    """§4.6: the old library sends them at the top of SetRecognitionConfig."""
    top = {"translation_config": {"target_languages": ["en"]}, "audio_events_config": {"types": ["music"]}}
    with client(server) as c:
        c.start(top)
        c.send("SetRecognitionConfig", transcription_config={"max_delay": 1.0}, **top)
        c.socket.send(SECOND * 2)
        c.send("EndOfStream", last_seq_no=1)
        c.until("EndOfTranscript")
        assert named(c.got, "AddTranslation")

"""Released plugins for voice agents, unmodified, against a real socket: with a scripted recogniser, and with real weights.

livekit 1.8.9, pipecat 1.14.0 and the vendor's SDK speak Agent STT (contract `agent-stt.md`), livekit 1.8.1 and pipecat 1.9.0 plain
realtime; each in a process of its own.
"""

import re
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx
import pytest

from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.request import LiveRequest
from tests.contract.agent_clients.programs import PLUGINS, ROOT, Events, Program, environment, write_wav
from tests.contract.agent_clients.talk import RATE, Talk
from tests.live_server import KEY, LiveServer, live_server
from tests.scripted_live import WORDS, Script, ScriptedLive
from tests.servers import Server

pytestmark = pytest.mark.system

NEWER = [name for name, plugin in PLUGINS.items() if plugin.modes[0] == "vad"]
OLDER = [name for name in PLUGINS if name not in NEWER]
FRAMEWORKS = [name for name in NEWER if name != "agent-stt-0.3.0"]

Start = Callable[[str], Program]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The program of a plugin, one process for all tests."""
    home = tmp_path_factory.mktemp("programs")
    running: dict[str, Program] = {}

    def started(name: str) -> Program:
        if name not in running:
            running[name] = Program(PLUGINS[name], home / f"{name}.log")
        return running[name]

    yield started
    for program in running.values():
        program.close()


# --- a scripted recogniser: one word in each half second of audio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With the API, which makes temporary keys."""
    home = tmp_path_factory.mktemp("live")
    with live_server(home, roles="api,batch,realtime", engine="pocketsphinx", slots=1) as found:
        yield found


@pytest.fixture(scope="module")
def temporary(server: LiveServer) -> str:
    """A temporary key."""
    url = f"http://{server.address}/v1/api_keys"
    made = httpx.post(url, params={"type": "rt"}, json={"ttl": 600}, headers={"Authorization": f"Bearer {KEY}"})
    return str(made.json()["key_value"])


TEN_SECONDS = 10.1
ENDS = (2.24, 4.74, 7.24, 10.06)
"""Seconds at which the application sees the end of a turn."""


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script "hears" 20 words in it."""
    return write_wav(tmp_path_factory.mktemp("audio") / "silence.wav", bytes(int(TEN_SECONDS * RATE) * 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A talk of a plugin in each of its modes, at the same time."""

    server_ends: Events
    client_ends: Events
    sessions: tuple[ScriptedLive, ScriptedLive]  # in the same order


@pytest.fixture(scope="module")
def held(server: LiveServer, temporary: str, silence: Path, start: Start) -> Callable[[str], Held]:
    """Both talks of a plugin; they are held once."""
    known: dict[str, Held] = {}

    def talk(name: str) -> Held:
        if name not in known:
            program = start(name)
            base = Talk(url=server.url + program.plugin.path, key=temporary, audio=str(silence), mode="", pace=4.0)
            first, second = program.plugin.modes
            talks = [replaced(base, mode=first, speakers=True), replaced(base, mode=second, ends=ENDS)]
            server.script.sessions.clear()
            vad, external = program.hold(talks)
            forced = sorted(server.script.sessions, key=lambda each: len(forces(each)))
            known[name] = Held(server_ends=vad, client_ends=external, sessions=(forced[0], forced[1]))
        return known[name]

    return talk


def replaced(talk: Talk, **changes: Any) -> Talk:
    return Talk(**{name: getattr(talk, name) for name in Talk.__slots__} | changes)


def forces(session: ScriptedLive) -> list[float]:
    """Seconds of audio at which the client has ended turns."""
    found = [each for each in session.commands if isinstance(each, tuple) and each[0] == "force"]
    return [at / RATE for _, _, at in found if at is not None]


LETTERS = {
    "turn": "T",
    "interim": "p",
    "final": "A",
    "turn_end": "E",
    "StartOfTurn": "T",
    "AddPartialSegment": "p",
    "AddSegment": "A",
    "EndOfTurn": "E",
    "SpeechStarted": "s",
    "SpeechEnded": "x",
}

SERVER_ENDS = r"(s[sx]*Tp[psxA]*A[sx]*E[sx]*)+"
CLIENT_ENDS = r"(Tp[pA]*AE)+"
"""Contract `agent-stt.md` §5."""


def order(events: Events) -> str:
    """The events that concern turns, a letter each."""
    return "".join(LETTERS[each["kind"]] for each in events if each["kind"] in LETTERS)


def texts(events: Events, *kinds: str) -> list[str]:
    """The words of transcripts; those of the SDK are in messages."""
    return [
        each["body"]["segment"]["transcript"] if "body" in each else each["text"]
        for each in events
        if each["kind"] in kinds
    ]


def finals(events: Events) -> list[str]:
    return texts(events, "final", "AddSegment")


def words(heard: list[str]) -> list[str]:
    """Words without marks."""
    return re.sub(r"[^\w ]", "", " ".join(heard)).lower().split()


@pytest.mark.parametrize("name", PLUGINS)
def test_every_word_is_in_one_final_whoever_ends_turns(held: Callable[[str], Held], name: str) -> None:
    talk = held(name)
    for events in (talk.server_ends, talk.client_ends):
        assert words(finals(events)) == list(WORDS) * 5
        assert all(texts(events, "final", "AddSegment", "interim", "AddPartialSegment"))
        assert texts(events, "interim", "AddPartialSegment"), "without a setting, interim results come"
        told = texts(events, "warning", "error")
        assert not [each for each in told if not each.startswith("Speechmatics STT is in EXTERNAL")], (
            "the server warns of nothing"
        )


@pytest.mark.parametrize("name", PLUGINS)
def test_turns_end_where_the_one_in_charge_says(held: Callable[[str], Held], name: str) -> None:
    talk = held(name)
    assert len(finals(talk.server_ends)) == 5, "the script ends a turn after each fourth word"
    assert len(finals(talk.client_ends)) == len(ENDS)
    assert forces(talk.sessions[0]) == []
    for asked, at in zip(ENDS, forces(talk.sessions[1]), strict=True):
        assert asked - 0.1 <= at <= asked + 1.0, "a plugin sends what it has until then"


@pytest.mark.parametrize("name", ["livekit-1.8.9", "livekit-1.8.1"])
def test_livekit_opens_and_closes_every_turn(held: Callable[[str], Held], name: str) -> None:
    talk = held(name)
    assert re.fullmatch(r"(Tp+AE){5}", order(talk.server_ends))
    assert re.fullmatch(r"(p*Tp*AE){4}", order(talk.client_ends))


def test_livekit_gets_an_answer_about_speakers(held: Callable[[str], Held]) -> None:
    (asked,) = [each for each in held("livekit-1.8.9").server_ends if each["kind"] == "speakers"]
    assert [each["label"] for each in asked["found"]] == ["S1"]
    assert all(identifier.startswith("v1.") for identifier in asked["found"][0]["speaker_identifiers"])
    spoken = [each["speaker"] for each in held("livekit-1.8.9").server_ends if each["kind"] == "final"]
    assert set(spoken) == {"UU"}


def test_pipecat_proposes_turns_only_where_the_service_ends_them(held: Callable[[str], Held]) -> None:
    """Pipecat's frames about turns may overtake transcripts, so each kind is in order by itself."""
    talk = held("pipecat-1.14.0")
    seen = order(talk.server_ends)
    assert re.fullmatch(r"(TE){5}", re.sub("[pA]", "", seen)), seen
    assert re.fullmatch(r"(p+A){5}", re.sub("[TE]", "", seen)), seen
    assert re.fullmatch(r"(p+A){4}", order(talk.client_ends))
    confirmed = [each["confirmed"] for each in talk.client_ends if each["kind"] == "final"]
    assert confirmed == [True] * 4, "each final answers the end of a turn that pipecat sent"


def test_the_sdk_sees_the_order_of_the_contract(held: Callable[[str], Held]) -> None:
    talk = held("agent-stt-0.3.0")
    assert re.fullmatch(SERVER_ENDS, order(talk.server_ends))
    assert re.fullmatch(CLIENT_ENDS, order(talk.client_ends))
    for events in (talk.server_ends, talk.client_ends):
        messages = [each for each in events if "body" in each]
        assert messages[-1]["kind"] == "EndOfTranscript"
        assert [each["kind"] for each in messages if each["kind"] not in LETTERS and each["kind"] != "AudioAdded"] == [
            *["Info", "RecognitionStarted", "Info"],
            *(["SpeakersResult"] if events is talk.server_ends else []),
            "EndOfTranscript",
        ]
        assert events[-1]["text"] == " ".join(finals(events)), "segments joined by the delimiter of the language"


# --- a session that ends by itself


class FailsOnce(Script):
    """The recogniser of the first session stops after six words."""

    @asynccontextmanager
    async def open(self, request: LiveRequest, known: Sequence[KnownVoice] = ()) -> Any:
        self.fail_at = None if self.sessions else 6
        async with super().open(request, known) as session:
            yield session


def test_pipecat_connects_again_after_a_recogniser_stopped(tmp_path: Path, silence: Path, start: Start) -> None:
    with live_server(tmp_path, FailsOnce()) as server:
        talk = Talk(url=f"{server.url}/v2", key=KEY, audio=str(silence), mode="external", pace=4.0, ends=(10.06,))
        (events,) = start("pipecat-1.14.0").hold([talk])
        failed, other = server.script.sessions
    assert "job_error" in " ".join(texts(events, "error"))
    assert finals(events), "the new session has the words of the audio from then on"
    assert failed.request == other.request


# --- real weights, and the voice activity detection of the frameworks

SENTENCES = ((4.54, 7.75), (8.20, 11.60))
"""Seconds of two sentences in the demo sample, with the pause before them."""
EXPECTED = ({"future", "company"}, {"wait", "end", "year"})
PAUSE = 1.5
REST = 2.0
"""Seconds of silence at the end, in which the recogniser of a busy machine catches up: the older plugins do not wait for it."""


@pytest.fixture(scope="module")
def real(real_moonshine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With Moonshine, which takes half of the work of Whisper in a session.

    Each test has two sessions at once, right after those of the test before: with one slot, a busy machine refuses the second.
    """
    settings = {
        "SOTTOVOCE_SLOTS": "4",
        "SOTTOVOCE_ENGINE": "moonshine",
        "SOTTOVOCE_ROLES": "realtime",
        "SOTTOVOCE_MODELS_DIR": str(real_moonshine),
        "SOTTOVOCE_STANDARD_MODEL": "moonshine-tiny-en",
        "SOTTOVOCE_ENHANCED_MODEL": "moonshine-tiny-en",
    }
    with Server(tmp_path_factory.mktemp("real"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def conversation(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences, each followed by a pause."""
    with wave.open(str(demo)) as file:
        samples = file.readframes(file.getnframes())
    turns = [samples[int(a * RATE) * 2 : int(b * RATE) * 2] + bytes(int(PAUSE * RATE) * 2) for a, b in SENTENCES]
    rest = bytes(int(REST * RATE) * 2)
    return write_wav(tmp_path_factory.mktemp("audio") / "conversation.wav", b"".join([*turns, rest]))


@pytest.mark.weights
@pytest.mark.parametrize("name", PLUGINS)
def test_speech_is_understood_turn_by_turn(real: Server, conversation: Path, start: Start, name: str) -> None:
    program = start(name)
    url = real.url.replace("http", "ws") + program.plugin.path
    first, second = program.plugin.modes
    base = Talk(url=url, key=real.key, audio=str(conversation), mode=first)
    ends = () if name != "agent-stt-0.3.0" else (SENTENCES[0][1] - SENTENCES[0][0] + 0.4,)
    found = program.hold([base, replaced(base, mode=second, vad=not ends, ends=ends)])
    for events in found:
        heard = finals(events)
        assert all(heard)
        assert texts(events, "interim", "AddPartialSegment")
        first_turn, second_turn = EXPECTED
        assert first_turn | second_turn <= set(words(heard)), heard
        mixed = [text for text in heard if first_turn & set(words([text])) and second_turn & set(words([text]))]
        assert not mixed, "a turn ends in the pause between the sentences, not with the stream"
        if name in ("livekit-1.8.9", "agent-stt-0.3.0"):  # pipecat does not tell of turns in both modes
            assert order(events).count("E") >= 2, order(events)
        if name == "agent-stt-0.3.0":
            assert re.fullmatch(CLIENT_ENDS if events is found[1] else SERVER_ENDS, order(events)), order(events)


# --- the programs of docs/agents.md

PAGE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "agents.md").read_text(), re.DOTALL)


def test_the_programs_of_the_page_are_short() -> None:
    assert len(PAGE) == 2
    for text in PAGE:
        assert len([row for row in text.splitlines() if row.strip()]) < 30


@pytest.mark.weights
def test_the_programs_of_the_page_print_what_is_said(real: Server, demo_text: str) -> None:
    settings = {
        "SPEECHMATICS_RT_URL": real.url.replace("http", "ws") + "/v2/agent",
        "SPEECHMATICS_API_KEY": real.key,
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", text],
            env=environment(framework, **settings),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for text, framework in zip(PAGE, FRAMEWORKS, strict=True)
    ]
    for process in running:
        printed, told = process.communicate(timeout=200)
        assert process.returncode == 0, told[-3000:]
        sentences = printed.splitlines()
        assert len(sentences) >= 4, "each sentence is a turn of its own"
        heard, said = words(sentences), words([demo_text])
        found = sum(block.size for block in SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks())
        assert found >= 0.9 * len(said), printed

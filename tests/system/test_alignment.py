"""Alignment where it hurts, and on the command line: a kill in mid-work changes nothing, and every form says the same."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.pocketsphinx import recognizer
from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner
from sottovoce.engines.protocols import AlignmentSession, Capabilities, HeardWord, PlacedWord, Speech
from sottovoce.engines.registry import Engine
from tests import gated, prefork
from tests.gated import Gate
from tests.servers import ROOT, Server, until

pytestmark = pytest.mark.system

AUDIO = ROOT / "tests" / "fixtures" / "audio"
SPEECH = AUDIO / "speech.flac"
TEXT = b"Nothing that <b>you</b> say\r\nwill leave this room.\r\n"
JOB = {"type": "alignment", "alignment_config": {"language": "en"}}


# ── an aligner that waits at a gate ──

CAPABILITIES = replace(recognizer.CAPABILITIES, grade=1)


class HeldSession:
    """A `Reading` that waits before it places anything: what was heard has been handed out by then."""

    def __init__(self, inner: AlignmentSession) -> None:
        self._inner = inner

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        return self._inner.spoken

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        return self._inner.recognize(stretch)

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        gated._wait(Path(os.environ[gated._FOLDER]))
        return self._inner.align(stretch, words)


class HeldAligner:
    """An `Aligner` with such readings."""

    def __init__(self) -> None:
        self._inner = PocketSphinxAligner()

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def read(self, words: Sequence[str], language: str) -> HeldSession:
        return HeldSession(self._inner.read(words, language))


def _load(_model: str, _device: str, _engine_config: EngineConfig) -> recognizer.PocketSphinx:
    return recognizer.PocketSphinx()


def _align(_model: str, _device: str, _engine_config: EngineConfig) -> HeldAligner:
    return HeldAligner()


ENGINE = Engine(name="held", package="pocketsphinx", offers=lambda _: (CAPABILITIES,), load=_load, align=_align)


# ── kill -9 ──


@pytest.fixture
def crashing(tmp_path: Path, gate: Gate) -> Iterator[Server]:
    """On the embedded default: what differs on other databases is proved with transcriptions (test_crashes)."""
    with Server(tmp_path, **{**gate.environment(), "SOTTOVOCE_ENGINE": f"{__name__}:ENGINE"}) as server:
        yield server


def submit(server: Server, audio: Path = SPEECH, text: bytes = TEXT) -> str:
    files = {"data_file": (audio.name, audio.read_bytes()), "text_file": ("text.txt", text)}
    with server.client() as client:
        answer = client.post("/v2/jobs", data={"config": json.dumps(JOB)}, files=files)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def output(server: Server, job_id: str, tags: str = "word_start_and_end") -> str:
    with server.client() as client:
        answer = client.get(f"/v2/jobs/{job_id}/alignment", params={"tags": tags})
    assert answer.status_code == 200, answer.text
    return answer.content.decode()


def test_a_kill_in_mid_alignment_changes_nothing(crashing: Server, gate: Gate) -> None:
    """First of the engine process, then of the whole server; what was heard is not heard again."""
    killed = submit(crashing)
    busy = gate.held(crashing)
    until(lambda: windows(crashing, killed), "kept window")
    os.kill(busy, signal.SIGKILL)
    gate.open()
    assert crashing.wait(killed)["status"] == "done"
    whole = submit(crashing)
    assert crashing.wait(whole)["status"] == "done"
    gate.close()
    third = submit(crashing)
    gate.held(crashing)
    until(lambda: windows(crashing, third), "kept window")
    crashing.kill()
    gate.open()
    crashing.start()
    assert crashing.wait(third)["status"] == "done"
    for job_id, attempts in ((killed, ["1", "2"]), (whole, ["1"]), (third, ["1", "2"])):
        assert [line["attempt"] for line in crashing.events("job claimed") if line["job"] == job_id] == attempts
        assert output(crashing, job_id) == output(crashing, whole)
        assert output(crashing, job_id, "one_per_line") == output(crashing, whole, "one_per_line")
        with crashing.client() as client:
            log = client.get(f"/v2/jobs/{job_id}/log").text
        assert ("1 window(s) kept" in log) is (len(attempts) == 2)
        assert windows(crashing, job_id) == []
    assert re.sub(r"<time=\d+\.\d\d>", "", output(crashing, whole)).encode() == TEXT


def windows(server: Server, job_id: str) -> list[str]:
    """What is kept for another attempt."""
    return [key for key in server.blobs(job_id) if "/windows/" in key]


# ── the command line ──


def sottovoce(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """The command as somebody has it who never ran a server."""
    return prefork.run(*map(str, arguments))


@pytest.fixture(scope="module")
def said(demo_text: str) -> str:
    """The words of the first sentence."""
    return demo_text.partition(".")[0] + "."


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory, sentence: Path, said: str) -> dict[str, str]:
    """What the command prints for the first sentence, by form; subtitles of a text with many short lines."""
    folder = tmp_path_factory.mktemp("align")
    text, lines = folder / "text.txt", folder / "lines.txt"
    text.write_text(f"{said}\n")
    lines.write_text(f"{said}\n".replace(" ", "\n", 6))
    found = {}
    for tags in ("word_start_and_end", "one_per_line", "json", "srt"):
        done = sottovoce("align", sentence, lines if tags == "srt" else text, "--tags", tags, "--data-dir", folder)
        assert (done.returncode, done.stderr) == (0, ""), tags
        found[tags] = done.stdout
    return found


def test_command_and_service_align_alike(forms: dict[str, str], tmp_path: Path, sentence: Path, said: str) -> None:
    with Server(tmp_path) as server:
        job_id = submit(server, sentence, f"{said}\n".encode())
        assert server.wait(job_id)["status"] == "done"
        for tags in ("word_start_and_end", "one_per_line"):
            assert forms[tags] == output(server, job_id, tags)


def test_every_form_of_the_command_says_the_same(forms: dict[str, str], said: str) -> None:
    tagged = re.findall(r"<time=(\d+\.\d\d)>([^<]+)<time=(\d+\.\d\d)>", forms["word_start_and_end"])
    assert [word for _, word, _ in tagged] == said.split()
    found = json.loads(forms["json"])
    assert [word["word"] for word in found["words"]] == said.split()
    assert not any("bridged" in word for word in found["words"]), "every word was found"
    for (start, _, end), word in zip(tagged, found["words"], strict=True):
        assert abs(word["start_time"] - float(start)) < 0.011
        assert abs(word["end_time"] - float(end)) < 0.011
    first, last = float(tagged[0][0]), float(tagged[-1][2])
    assert forms["one_per_line"].startswith(f"[00:00:00.{int(first * 10)}]\t{said}")
    cues = [cue.split("\n") for cue in forms["srt"].strip().split("\n\n")]
    assert [lines for _, _, *lines in cues][:6] == [[word] for word in said.split()[:6]]
    assert " ".join(line for _, _, *lines in cues for line in lines) == said
    times = [float(at[6:].replace(",", ".")) for _, between, *_ in cues for at in between.split(" --> ")]
    assert times == sorted(times)
    assert abs(times[0] - first) < 0.011
    assert last - 0.011 < times[-1] <= found["duration"], "it may stay a little, to be read"
    assert last < found["duration"] < 5


@pytest.mark.parametrize(
    ("text", "flags", "why"),
    [
        ("Café".encode("latin-1"), (), "not UTF-8"),
        (b"<p></p>", (), "no words"),
        (b"Good day", ("--language", "de"), "cannot be aligned on this server (available: en)"),
        (b"My grandmother keeps seven yellow parrots.", (), "not what is said"),
    ],
)
def test_the_command_says_in_one_line_what_it_cannot_align(
    tmp_path: Path, text: bytes, flags: tuple[str, ...], why: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text)
    done = sottovoce("align", SPEECH, path, *flags, "--data-dir", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_the_command_tells_speakers_apart(tmp_path: Path) -> None:
    done = sottovoce("transcribe", "--diarization", "speaker", AUDIO / "conversation_2.flac", "--data-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    headers = re.findall(r"^SPEAKER: (.*)$", done.stdout, re.MULTILINE)
    assert headers == ["S1", "S2", "S1", "S2", "S1"]
    assert [name for name, _ in groupby(headers)] == headers

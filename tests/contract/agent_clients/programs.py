"""The client programs, each in a process of its own with a framework that `make` has put into `.venv-agents`."""

import json
import os
import subprocess
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.contract.agent_clients.talk import RATE, Talk, line

ROOT = Path(__file__).resolve().parents[3]
FRAMEWORKS = ROOT / ".venv-agents"
Events = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A released client. *modes*: the one in which the server ends turns, then the one in which the client does."""

    framework: str  # a folder of FRAMEWORKS
    program: str
    path: str
    modes: tuple[str, str]


AGENT = ("vad", "external")
VOICE = ("fixed", "external")  # the other modes of the older plugins fetch models of their own
PLUGINS = {
    "livekit-1.8.9": Plugin(framework="livekit-1.8.9", program="with_livekit", path="/v2/agent", modes=AGENT),
    "pipecat-1.14.0": Plugin(framework="pipecat-1.14.0", program="with_pipecat", path="/v2", modes=AGENT),
    "agent-stt-0.3.0": Plugin(framework="pipecat-1.14.0", program="with_sdk", path="/v2", modes=AGENT),
    "livekit-1.8.1": Plugin(framework="livekit-1.8.1", program="with_livekit", path="/v2", modes=VOICE),
    "pipecat-1.9.0": Plugin(framework="pipecat-1.9.0", program="with_pipecat", path="/v2", modes=VOICE),
}


def environment(framework: str, **more: str) -> dict[str, str]:
    """Variables for a process that imports *framework*: it comes first, then what the frameworks share, then .venv."""
    folders = [FRAMEWORKS / framework, FRAMEWORKS / "shared"]
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent:
        raise AssertionError(f"{' and '.join(absent)} do not exist: run `make .venv-agents/stamp`")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("SOTTOVOCE_", "SPEECHMATICS_"))}
    return mine | {"PYTHONPATH": os.pathsep.join([*map(str, folders), str(ROOT)]), "HF_HUB_OFFLINE": "1"} | more


class Program:
    """A running client program, which holds talks until it is closed."""

    def __init__(self, plugin: Plugin, log: Path) -> None:
        self.plugin = plugin
        self._log = log
        command = [sys.executable, "-m", f"tests.contract.agent_clients.{plugin.program}"]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                env=environment(plugin.framework),
            )

    def hold(self, talks: Sequence[Talk]) -> list[Events]:
        """The events of each of *talks*, which are held at the same time."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(line(talks))
        asked.flush()
        found = self._answer(answers)
        for each in found:
            failed = [event["text"] for event in each if event["kind"] == "failed"]
            assert not failed, (failed, self._log.read_text()[-3000:])
        return found

    def _answer(self, answers: IO[str]) -> list[Events]:
        text = answers.readline()
        assert text, f"the program ended: {self._log.read_text()[-3000:]}"
        return [list(each) for each in json.loads(text)]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def write_wav(path: Path, samples: bytes) -> Path:
    """16 kHz, one channel, 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return path

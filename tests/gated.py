"""An engine for tests that act on a running job: PocketSphinx that waits in the middle of a job until the test opens a gate.

Use: `gate = Gate(folder)`, a server with `**gate.environment()`, a job, then `gate.held(server)`: from now on an engine process
has the job and keeps it until `gate.open()`, independent of the speed of the recogniser and the machine. Words are
PocketSphinx's own, so transcripts can be compared with those of any other server.

Engine processes inherit the folder's name because the variable does not begin with `SOTTOVOCE_`. A process that waits at the
gate sends no messages, so the environment raises the server's stall timeout. It ends with its server, like every engine process.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.protocols import Capabilities, Hints, Recognized, Speech
from sottovoce.engines.registry import Engine
from tests.remembered import CAPABILITIES, Remembered
from tests.servers import ROOT, Server, until

NAME = "tests.gated:ENGINE"
_FOLDER = "GATE_FOLDER"
_WORD = "GATE_WORD"
_SILENCE = 3600
"""Seconds; longer than the deadline of any test."""


class Gate:
    """The test's side of the gate, closed at first. It holds each attempt of a job after the first stretch of speech."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, word: str = "") -> dict[str, str]:
        """The environment of a server whose jobs wait at this gate; with *word*, only those that have it as a custom word."""
        return {
            "SOTTOVOCE_ENGINE": NAME,
            "SOTTOVOCE_STALL_TIMEOUT": str(_SILENCE),
            "PYTHONPATH": str(ROOT),
            _FOLDER: str(self._folder),
            _WORD: word,
        }

    def open(self) -> None:
        """Let all jobs pass, now and later."""
        (self._folder / "open").touch()

    def close(self) -> None:
        """Hold every job again that has not passed yet."""
        (self._folder / "open").unlink(missing_ok=True)

    def held(self, server: Server) -> int:
        """Wait until an engine process of *server* waits at the gate with a job; return its process id."""
        return until(
            lambda: next((pid for pid in server.children() if (self._folder / str(pid)).exists()), None),
            "job at the gate",
        )


@contextlib.contextmanager
def _standing(folder: Path) -> Iterator[None]:
    """To be seen by `Gate.held` for as long as the block lasts."""
    mark = folder / str(os.getpid())
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _wait(folder: Path) -> None:
    with _standing(folder):
        while not (folder / "open").exists():
            time.sleep(0.02)


class Gated:
    """A `Recognizer`: PocketSphinx's words, with a wait after the first stretch."""

    def __init__(self, folder: Path) -> None:
        self._inner = Remembered()
        self._folder = folder
        self._word = os.environ.get(_WORD, "")

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        for number, part in enumerate(self._inner.recognize(speech, hints)):
            yield part
            if number == 0 and self._word in {"", *(entry.content for entry in hints.vocab)}:
                _wait(self._folder)


def _load(_model: str, _device: str, _engine_config: EngineConfig) -> Gated:
    return Gated(Path(os.environ[_FOLDER]))


ENGINE = Engine(name="gated", package="pocketsphinx", offers=lambda _: (CAPABILITIES,), load=_load)

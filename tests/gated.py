"""An engine for tests that lay hands on a job at work: PocketSphinx, but it waits in mid-job until the test opens a gate.

Use: `gate = Gate(folder)`, a server with `**gate.environment()`, a job, then `gate.held(server)`: from now on an engine process has
the job and keeps it, however fast the recogniser or slow the machine, until `gate.open()`. Words are PocketSphinx's own, so
transcripts can be compared with those of any other server.

Engine processes inherit the folder's name, since it is no `SOTTOVOCE_…` variable. Whoever waits at the gate says nothing, so the
server is told to bear a long silence; one whose server dies dies with it, as every engine process does.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.pocketsphinx import recognizer
from sottovoce.engines.protocols import Capabilities, Hints, Recognized, Speech
from sottovoce.engines.registry import Engine
from tests.servers import ROOT, Server, until

NAME = "tests.gated:ENGINE"
_FOLDER = "GATE_FOLDER"
_SILENCE = 3600
"""Seconds: longer than any test, which has a deadline of its own."""


class Gate:
    """The test's side, closed at first. A job is held after its first stretch of speech, again at each attempt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """What a server needs in its environment for its jobs to be held at this gate."""
        return {
            "SOTTOVOCE_ENGINE": NAME,
            "SOTTOVOCE_STALL_TIMEOUT": str(_SILENCE),
            "PYTHONPATH": str(ROOT),
            _FOLDER: str(self._folder),
        }

    def open(self) -> None:
        """Let everybody through, now and from now on."""
        (self._folder / "open").touch()

    def close(self) -> None:
        """Hold every job again that has not been let through yet."""
        (self._folder / "open").unlink(missing_ok=True)

    def held(self, server: Server) -> int:
        """Wait until an engine process of *server* stands at the gate with a job; its process id."""
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
        self._inner = recognizer.PocketSphinx()
        self._folder = folder

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        for number, part in enumerate(self._inner.recognize(speech, hints)):
            yield part
            if number == 0:
                _wait(self._folder)


def _load(_model: str, _device: str, _engine_config: EngineConfig) -> Gated:
    return Gated(Path(os.environ[_FOLDER]))


ENGINE = Engine(name="gated", package="pocketsphinx", offers=lambda _: (recognizer.CAPABILITIES,), load=_load)

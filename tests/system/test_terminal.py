"""What people see on a terminal: the start of `serve`, the progress of `transcribe`, colours of lists; and JSON without one."""

import json
import os
import pty
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import databases, prefork, sleeper
from tests.prefork import Process
from tests.servers import DEFAULTS, PATIENCE, until

pytestmark = pytest.mark.system

SPEECH = Path(__file__).parents[1] / "fixtures" / "audio" / "speech.flac"


class Terminal:
    """A command whose output and errors are a terminal."""

    def __init__(self, arguments: list[str], env: dict[str, str], home: Path) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.shown = ""
        with os.fdopen(theirs, "r+b", buffering=0) as end:
            self.process = Process(arguments, env=env, cwd=home, files=(end, end, end))

    def read(self) -> str:
        """All that was shown so far."""
        with suppress(OSError):  # nothing new, or the command has ended
            while piece := os.read(self._ours, 65_536):
                self.shown += piece.decode("utf-8", "replace")
        return self.shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._ours)


@contextmanager
def terminal(arguments: list[str], env: dict[str, str], home: Path) -> Iterator[Terminal]:
    made = Terminal(arguments, env, home)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def env() -> dict[str, str]:
    return prefork.bare() | DEFAULTS | sleeper.environment() | {"TERM": "xterm", "COLUMNS": "200"}


def test_a_start_is_a_few_lines_for_people(tmp_path: Path, env: dict[str, str]) -> None:
    databases.make_embedded(tmp_path / "data")
    env.pop("NO_COLOR", None)
    with terminal(["serve", "--port", "0"], {**env, "SOTTOVOCE_NONESUCH": ""}, tmp_path) as seen:
        until(lambda: "Ctrl-C ends it" in seen.read(), "the start")
        shown = re.sub(r"\x1b\[\d*m", "", seen.shown).replace("\r", "")
        url = re.search(r"is listening on (http://127\.0\.0\.1:\d+)\n", shown)
        assert url
        for label, value in {
            "URL": url[1],
            "API key": (tmp_path / "data" / "api-key").read_text().strip(),
            "Engine": "drowsy",
            "Languages": "en",
            "Docs": f"{url[1]}/docs",
        }.items():
            assert re.search(rf"^  {label} +{re.escape(value)}", shown, re.MULTILINE), label
        assert '{"at"' not in shown
        assert "unknown setting (why: " in shown  # a warning, as text
        seen.process.send_signal(signal.SIGINT)
        assert seen.process.wait(PATIENCE) == 0
        assert "Stopping: jobs have 1 s to end" in seen.read()


def test_progress_and_colours_are_for_a_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    data = ["--data-dir", str(tmp_path)]
    with terminal(["transcribe", str(SPEECH), *data], {**env, "SLEEPER_FACTOR": "0.3"}, tmp_path) as seen:
        assert seen.process.wait(PATIENCE) == 0
        assert re.search(r" \d+ % (\d:\d\d left|finishing)", seen.read())
        assert "alpha" in seen.shown.lower()
    piped = prefork.run("transcribe", str(SPEECH), *data, env=env)
    assert "%" not in piped.stdout + piped.stderr
    databases.make_embedded(tmp_path)
    with terminal(["keys", "list", *data], {**env, "NO_COLOR": ""}, tmp_path) as seen:
        seen.process.wait(PATIENCE)
        assert "\x1b[1mKEY" in seen.read()
    assert "\x1b" not in prefork.run("keys", "list", *data, env=env).stdout
    assert json.loads(prefork.run("keys", "list", "--json", *data, env=env).stdout) == []

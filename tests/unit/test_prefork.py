"""Commands that are forked behave like those that a shell starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prefork


def spawned(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sottovoce.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env)


@pytest.mark.parametrize("arguments", [("--version",), ("nonesuch",), ("keys", "list")])
def test_a_forked_command_says_what_a_spawned_one_says(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    environment = prefork.bare() | {"SOTTOVOCE_DATA_DIR": str(tmp_path / "none")}
    forked, other = prefork.run(*arguments, env=environment), spawned(*arguments, env=environment)
    assert (forked.returncode, forked.stdout, forked.stderr) == (other.returncode, other.stdout, other.stderr)


@pytest.mark.parametrize("end", ["", "sys.exit()", "sys.exit(3)", "sys.exit('the reason')", "raise KeyError('a')"])
def test_a_forked_module_ends_as_the_interpreter_does(tmp_path: Path, end: str) -> None:
    """With the status and the errors of the same program in a new interpreter, after its threads and its exit handlers."""
    program = f"""
import atexit, sys, threading, time
atexit.register(lambda: print("handler", end=""))
threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
{end}
"""
    (tmp_path / "ending.py").write_text(program)
    environment = prefork.bare() | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "ending"]
    other = subprocess.run(command, env=environment, capture_output=True, text=True)
    forked = prefork.run("-m", "ending", env=environment)
    assert (forked.returncode, forked.stdout) == (other.returncode, other.stdout)
    assert forked.stderr.splitlines()[-1:] == other.stderr.splitlines()[-1:]
    assert other.stdout == "thread\nhandler"


def test_settings_of_the_tests_do_not_reach_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", "elsewhere")
    # in an empty folder: in the repository's, `make run` may have made a database
    assert "no database in data;" in prefork.run("keys", "list", cwd=tmp_path).stderr


def test_a_signal_that_ends_a_command_is_its_status(tmp_path: Path) -> None:
    with Path(os.devnull).open("r+b") as nothing:
        arguments = ["serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
        process = prefork.Process(arguments, env=prefork.bare(), cwd=tmp_path, files=(nothing, nothing, nothing))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == process.poll() == -signal.SIGKILL
    assert not Path(f"/proc/{process.pid}").exists()

"""The command line in a shell: a script of every option, the blocks of docs/command-line.md, and a run of many files."""

import json
import os
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sottovoce.cli import main
from sottovoce.transcript.model import RATE
from tests import prefork, sleeper
from tests.prefork import Process
from tests.servers import PATIENCE, ROOT, Server, until
from tests.shell import Shell, shell

pytestmark = pytest.mark.system

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
SCRIPT = Path(__file__).with_name("command_line.sh")
PAGE = ROOT / "docs" / "command-line.md"
MANY = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), **sleeper.environment()) as running:
        yield running


@pytest.fixture(scope="module")
def sh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("shell")) as made:
        yield made


@pytest.fixture
def env(server: Server) -> dict[str, str]:
    return prefork.bare() | sleeper.environment() | {"URL": server.url, "KEY": server.key}


def put(folder: Path, *names: str) -> None:
    """Recordings of these names, which need not tell what they are."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(AUDIO / "speech.flac", folder / name)


def test_every_option_does_what_the_script_says(sh: Shell, env: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path, "talk.flac", "calls/a.flac", "calls/below/b.flac")
    shutil.copy(AUDIO / "not_media.wav", tmp_path / "bad.wav")
    (tmp_path / "names.txt").write_text("Kubernetes: cooper netties\n")
    done = sh.run(SCRIPT.read_text(), cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_has_every_option() -> None:
    script = SCRIPT.read_text()
    options = {
        name for each in main.commands["transcribe"].params if isinstance(each, click.Option) for name in each.opts
    }
    assert {name for name in options if name.startswith("--") and f"{name} " not in script} == set()


def blocks() -> list[str]:
    """The shell blocks of the page, and the commands of its tables that are ours."""
    text = PAGE.read_text()
    return [
        *re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL),
        *re.findall(r"\| sottovoce \| `(sottovoce [^`]+)`", text),
    ]


def test_the_commands_of_the_page_run(sh: Shell, env: dict[str, str], tmp_path: Path, server: Server) -> None:
    found = blocks()
    assert len(found) >= 6
    for number, block in enumerate(found):
        here = tmp_path / str(number)
        put(
            here,
            "talk.mp3",
            "talk.mp4",
            "interview.m4a",
            "meeting.wav",
            "recordings/a.flac",
            "calls/b.wav",
            "inbox/c.wav",
        )
        (here / "names.txt").write_text("Kubernetes\n")
        script = block.replace("sottovoce watch", "sottovoce watch --once --settle 0")
        script = script.replace("https://speech.example.org", server.url)
        script = script.replace("inbox ", f"inbox --key {server.key} ") if "--server" in script else script
        done = sh.run(script, cwd=here, env=env)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
    assert (tmp_path / "0" / "interview.srt").exists()
    assert (tmp_path / "0" / "transcripts" / "a.srt").exists()


def test_many_files_a_kill_and_each_exactly_once(tmp_path: Path) -> None:
    calls, out = tmp_path / "calls", tmp_path / "out"
    calls.mkdir()
    first = calls / "call000.wav"
    with wave.open(str(first), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(RATE // 2))
    for number in range(1, MANY):
        shutil.copy(first, calls / f"call{number:03}.wav")
    arguments = [
        "transcribe",
        str(calls),
        "--output-dir",
        str(out),
        "--skip-existing",
        "--json",
        "--data-dir",
        str(tmp_path),
    ]
    env = prefork.bare() | sleeper.environment()
    with Path(os.devnull).open("r+b") as nothing:
        process = Process(arguments, env=env, files=(nothing, nothing, nothing))
        until(lambda: out.is_dir() and len(list(out.iterdir())) >= MANY // 5, "a fifth of the files")
        process.kill()
        process.wait(PATIENCE)
    kept = {path.name: path.stat().st_ino for path in out.glob("*.txt")}
    assert MANY // 5 - 1 <= len(kept) < MANY
    done = prefork.run(*arguments, env=env, timeout=240)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    written = [line["file"] for line in events if line["event"] == "done"]
    assert len(written) == len(set(written)) == MANY - len(kept)
    assert {path.name: path.stat().st_ino for path in out.glob("*.txt") if path.name in kept} == kept
    assert len(list(out.glob("*.txt"))) == MANY

"""`sottovoce watch` as a process: a kill in the middle, Ctrl-C, a server, a file that is not media."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import prefork, sleeper
from tests.prefork import Process
from tests.servers import PATIENCE, Server, until

pytestmark = pytest.mark.system

FIXTURES = Path(__file__).parents[1] / "fixtures" / "audio"
SPEECH = FIXTURES / "speech.flac"
ENGINE = prefork.bare() | sleeper.environment()
COUNT = 6


class Watched:
    """A folder that is watched, and where its transcripts and the lines for machines go."""

    def __init__(self, home: Path, *options: str, env: dict[str, str] = ENGINE) -> None:
        self.folder, self.out, self.home, self.env = home / "in", home / "out", home, env
        self.options = options
        self.folder.mkdir()

    def put(self, name: str, source: Path = SPEECH) -> None:
        shutil.copy(source, self.folder / name)

    @contextmanager
    def running(self, *options: str) -> Iterator[Process]:
        arguments = [
            "watch",
            str(self.folder),
            "--out",
            str(self.out),
            "--settle",
            "0",
            "--json",
            *self.options,
            *options,
        ]
        with (
            Path(os.devnull).open("rb") as nothing,
            self.lines.open("ab") as out,
            (self.home / "err").open("ab") as err,
        ):
            process = Process(arguments, env=self.env, cwd=self.home, files=(nothing, out, err))
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)

    @property
    def lines(self) -> Path:
        return self.home / "lines"

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = self.lines.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("}\n")]
        return [line for line in found if line["event"] == event]

    def texts(self) -> list[str]:
        return sorted(path.stem for path in self.out.glob("*.srt"))

    @property
    def errors(self) -> str:
        return (self.home / "err").read_text()


def test_a_watch_survives_a_kill_and_ends_cleanly(tmp_path: Path) -> None:
    desk = Watched(tmp_path, "--format", "json,srt", "--done", str(tmp_path / "done"))
    for number in range(COUNT):
        desk.put(f"call{number}.flac")
    desk.put("broken.wav", FIXTURES / "not_media.wav")
    with desk.running() as process:
        until(lambda: len(desk.texts()) >= 3, "three transcripts")
        process.kill()
        process.wait(PATIENCE)
    assert len(desk.texts()) < COUNT
    with desk.running() as process:
        until(lambda: len(desk.texts()) == COUNT, "all transcripts")
        desk.put("late.flac")
        until((tmp_path / "done" / "late.flac").exists, "the file that came later")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    names = sorted([*(f"call{number}" for number in range(COUNT)), "late"])
    assert desk.texts() == sorted(path.stem for path in (tmp_path / "done").iterdir()) == names
    assert [path.name for path in desk.folder.iterdir()] == ["broken.wav"]
    told = [Path(line["file"]).stem for line in desk.events("done")]
    assert len(told) == len(set(told)), "no file twice"
    assert len(set(names) - set(told)) <= 1, "one may have been done just before the kill, and not told"
    assert [Path(line["file"]).name for line in desk.events("failed")] == ["broken.wav"]
    assert "broken.wav: " in desk.errors
    assert "Traceback" not in desk.errors


def test_ctrl_c_during_a_file_leaves_no_part_of_it(tmp_path: Path) -> None:
    desk = Watched(tmp_path, env=prefork.bare() | sleeper.environment(factor=100.0))
    desk.put("long.flac")
    with desk.running() as process:
        until(lambda: desk.events("started"), "the beginning of the file")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert [path.name for path in desk.out.iterdir()] == [".sottovoce-watch.jsonl"]
    assert "Traceback" not in desk.errors


def test_a_server_makes_one_job_of_a_file_across_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path / "server", **sleeper.environment(factor=0.3)) as server:
        remote = ("--server", server.url, "--key", server.key, "--format", "srt")
        desk = Watched(tmp_path, *remote, env=prefork.bare())
        desk.put("call.flac")
        with desk.running() as process:
            until(lambda: desk.events("note"), "the number of the job")
            process.kill()
            process.wait(PATIENCE)
        with desk.running("--once") as process:
            assert process.wait(PATIENCE) == 0
        assert desk.texts() == ["call"]
        assert len(json.loads(server.told("jobs", "list", "--json"))) == 1
    desk.put("later.flac")
    with desk.running("--once") as process:  # the server is away
        assert process.wait(PATIENCE) == 1
    assert [Path(line["file"]).name for line in desk.events("postponed")] == ["later.flac"]

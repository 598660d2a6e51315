"""`watch` without an engine: when a file is ready, what is marked, what a kill leaves, where files and transcripts go."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sottovoce.cli import main
from sottovoce.cli.files.failures import FileFailed, Unavailable
from sottovoce.cli.files.journal import NAME, Mark, journal_in
from sottovoce.cli.files.outputs import Outputs
from sottovoce.cli.files.reports import Reports
from sottovoce.cli.files.watcher import Places, Watcher


class Kill(BaseException):
    """The end of the process at a point."""


class Desk:
    """A watched folder with a clock, and a transcriber that writes a file's content in capitals."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder, self.out = home, home / "in", home / "out"
        self.folder.mkdir()
        self.now = 0.0
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.during: Callable[[Path], None] = lambda _: None

    def put(self, name: str, text: str = "words") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def transcribe(self, source, forms, listen):
        self.asked.append(source.name)
        self.tokens.append(source.token)
        text = Path(source.text).read_text()
        self.during(Path(source.text))
        if text.startswith("bad"):
            raise FileFailed("not audio")
        return {form: text.upper().encode() for form in forms}

    def run(
        self, *, looks: int = 8, once: bool = False, forms=("txt",), again: bool = False, **places: Path
    ) -> Watcher:
        """A start of the command with so many looks, a second apart."""
        left = iter(range(looks))

        def wait() -> bool:
            self.now += 1
            return next(left, None) is not None

        outputs = Outputs(suffixes={form: f".{form}" for form in forms}, folder=self.out)
        with journal_in(self.out) as journal:
            where = Places(folder=self.folder, outputs=outputs, **places)
            reports = Reports(quiet=True, machine=False, count=1)
            watcher = Watcher(where, journal, lambda: self, reports, settle=3, again=again, clock=lambda: self.now)
            self.usable = watcher.run(wait, once=once)
            return watcher

    def texts(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.out)): path.read_text()
            for path in sorted(self.out.rglob("*"))
            if path.is_file() and path.name != NAME
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_each_file_is_transcribed_once_and_a_restart_repeats_nothing(desk: Desk) -> None:
    desk.put("a.wav", "one")
    desk.put("below/b.MP3", "two")
    desk.put("notes.txt")
    desk.put(".hidden.wav")
    assert desk.run().done == 2
    assert desk.run().done == 0
    desk.put("c.ogg", "three")
    assert desk.run().done == 1
    assert desk.asked == ["a.wav", "b.MP3", "c.ogg"]
    assert desk.texts() == {"a.txt": "ONE", "below/b.txt": "TWO", "c.txt": "THREE"}


def test_a_file_is_read_when_it_has_stopped_growing(desk: Desk) -> None:
    path = desk.put("a.wav", "")
    desk.run(looks=2)
    assert desk.asked == []

    def grow(at: Path) -> None:
        if at.read_text() == "half":
            path.write_text("half and half")

    path.write_text("half")
    desk.during = grow
    desk.run(looks=12)
    assert desk.texts() == {"a.txt": "HALF AND HALF"}
    assert desk.asked == ["a.wav", "a.wav"]  # it grew while it was read the first time: that text was thrown away


def test_a_changed_file_replaces_its_transcript(desk: Desk) -> None:
    path = desk.put("a.wav", "one")
    desk.run()
    path.write_text("one two")
    desk.run()
    assert desk.texts() == {"a.txt": "ONE TWO"}


def test_a_bad_file_is_named_once_and_the_others_go_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.put("a.wav", "bad")
    desk.put("b.wav", "good")
    watcher = desk.run()
    assert (watcher.done, watcher.failed) == (1, 1)
    assert capsys.readouterr().err == f"Error: {desk.folder / 'a.wav'}: not audio\n"
    desk.run()
    assert desk.asked == ["a.wav", "b.wav"]
    desk.run(again=True)
    assert desk.asked == ["a.wav", "b.wav", "a.wav"]
    assert len(set(desk.tokens)) == 3  # a server makes a new job of it


def test_one_that_vanishes_is_forgotten(desk: Desk) -> None:
    desk.put("a.wav", "bad")
    desk.during = lambda path: path.unlink()
    watcher = desk.run()
    assert (watcher.done, watcher.failed) == (0, 0)


@pytest.mark.parametrize("step", ["begun", "outputs", "line"])
@pytest.mark.parametrize("changed", [False, True])
def test_a_kill_anywhere_loses_and_repeats_nothing(
    desk: Desk, step: str, changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*changed*: the file had other content and other outputs before."""
    if changed:
        desk.put("a.wav", "before")
        desk.run(forms=("txt", "srt"))
        desk.asked.clear()
    desk.put("a.wav", "after it")

    def kill(*_: object, **__: object) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        if step == "begun":
            desk.during = kill
        else:
            whole = Outputs.write

            def write(self: Outputs, source, rendered):
                if step == "outputs":  # one of the two is written
                    (path, *_) = self.paths(source).values()
                    (path.parent / "part").write_bytes(rendered["txt"])
                    (path.parent / "part").replace(path)
                else:
                    whole(self, source, rendered)
                raise Kill

            patch.setattr(Outputs, "write", write)
        with pytest.raises(Kill):
            desk.run(forms=("txt", "srt"))
    desk.during = lambda _: None
    with (desk.out / NAME).open("ab") as file:
        file.write(b'{"file": "a.wav", "ver')  # and a line that was cut
    desk.run(forms=("txt", "srt"))
    assert desk.texts() == {"a.txt": "AFTER IT", "a.srt": "AFTER IT"}
    assert len(desk.asked) == (1 if step == "line" else 2)
    assert len(set(desk.tokens[-len(desk.asked) :])) == 1  # a server is asked for the same job again
    desk.run(forms=("txt", "srt"))
    assert len(desk.asked) == (1 if step == "line" else 2)


def test_files_are_moved_and_names_that_come_again_keep_their_transcripts(desk: Desk) -> None:
    done, failed = desk.folder / "done", desk.home / "failed"
    for text in ("monday", "tuesday"):
        desk.put("rec.wav", text)
        desk.put("bad.wav", f"bad {text}")
        desk.run(done=done, failed=failed)
    assert [path.name for path in desk.folder.iterdir()] == ["done"]
    assert {path.name: path.read_text() for path in done.iterdir()} == {"rec.wav": "monday", "rec-2.wav": "tuesday"}
    assert sorted(path.name for path in failed.iterdir()) == ["bad-2.wav", "bad.wav"]
    assert desk.texts() == {"rec.txt": "MONDAY", "rec-2.txt": "TUESDAY"}
    assert desk.asked.count("rec.wav") == 2  # what lies in `done` is not watched


def test_a_kill_before_the_move_moves_at_the_next_start(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("a.wav", "one")
    done = desk.home / "done"
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "_move", lambda *_: (_ for _ in ()).throw(Kill()))
        with pytest.raises(Kill):
            desk.run(done=done)
    desk.run(done=done)
    assert desk.asked == ["a.wav"]
    assert [path.name for path in done.iterdir()] == ["a.wav"]


def test_outputs_of_other_files_are_not_overwritten(desk: Desk) -> None:
    desk.out.mkdir()
    (desk.out / "a.txt").write_text("mine")
    desk.put("a.wav", "one")
    desk.put("b.wav", "two")
    desk.run()
    desk.put("b.mp3", "three")
    desk.run()
    assert desk.texts() == {"a.txt": "mine", "a.wav.txt": "ONE", "b.txt": "TWO", "b.mp3.txt": "THREE"}


def test_trouble_that_is_not_of_the_file_is_waited_out(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.put("a.wav", "one")

    def away(_: Path) -> None:
        if len(desk.asked) < 3:
            raise Unavailable("no answer from the server")

    desk.during = away
    assert desk.run(looks=40).done == 1
    assert desk.texts() == {"a.txt": "ONE"}
    assert capsys.readouterr().err.count("no answer from the server; it is tried again") == 2
    assert len(set(desk.tokens)) == 1


def test_once_ends_when_no_file_is_left(desk: Desk) -> None:
    desk.put("a.wav", "one")
    desk.run(looks=100, once=True)
    assert desk.usable
    assert desk.now < 10
    desk.put("b.wav", "two")
    desk.during = lambda _: (_ for _ in ()).throw(Unavailable("the disk is full"))
    desk.run(looks=100, once=True)
    assert not desk.usable


def test_two_commands_do_not_write_to_one_folder(tmp_path: Path) -> None:
    told = pytest.raises(click.ClickException, match="another `sottovoce watch` writes to")
    with journal_in(tmp_path), told, journal_in(tmp_path):
        pass


def test_the_journal_names_every_file_with_its_end(desk: Desk) -> None:
    desk.put("a.wav", "one")
    desk.put("b.wav", "bad")
    strange = os.fsencode(desk.folder) + b"/\xff.wav"
    Path(os.fsdecode(strange)).write_text("odd")
    desk.run()
    lines = [json.loads(line) for line in (desk.out / NAME).read_text().splitlines()]
    assert {(line["file"], line["mark"], line["reason"]) for line in lines if line["mark"] != "begun"} == {
        ("a.wav", "done", ""),
        ("b.wav", "failed", "not audio"),
        ("\udcff.wav", "done", ""),
    }
    with journal_in(desk.out) as journal:
        assert journal.last("b.wav").mark is Mark.FAILED


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["in"], "Missing option"),
        (["in", "--out", "out", "--done", "in"], "--done is the watched folder"),
        (["in", "--out", "out", "--failed", "in/."], "--failed is the watched folder"),
        (["gone", "--out", "out"], "does not exist"),
        (["in", "--out", "in/a.wav"], "is a file"),
        (["in", "--out", "out", "--format", "doc"], "is not a format"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    desk: Desk, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.home)
    desk.put("a.wav")
    done = CliRunner().invoke(main, ["watch", *arguments])
    assert done.exit_code == 2
    assert told in done.stderr

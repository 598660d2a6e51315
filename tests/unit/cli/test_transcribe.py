"""`transcribe` without an engine: which files it finds, where it writes, what one failure does to the others."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx2
import pytest
from click.testing import CliRunner

from sottovoce.cli import main
from sottovoce.cli.files.failures import FileFailed
from sottovoce.cli.files.job_config import Wishes, vocabulary
from sottovoce.cli.files.outputs import Outputs, write_whole
from sottovoce.cli.files.remote import RemoteTranscriber
from sottovoce.cli.files.reports import Pace, Reports
from sottovoce.cli.files.run import Printer, run
from sottovoce.cli.files.sources import SourceKind, expanded

SUFFIXES = {"txt": ".txt", "json-v2": ".json"}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of media, with one of another kind, a hidden one, and one in a folder below."""
    for name in ("a.wav", "b.MP3", "notes.txt", ".hidden.wav", "below/a.flac", ".cache/c.wav"):
        (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "calls" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "calls"


# ── sources ──


def test_a_folder_stands_for_its_media_and_keeps_its_shape(calls: Path) -> None:
    found = expanded(["calls"])
    assert [source.text for source in found] == ["calls/a.wav", "calls/b.MP3", "calls/below/a.flac"]
    assert [str(source.place) for source in found] == ["a", "b", "below/a"]


def test_patterns_urls_and_standard_input(calls: Path) -> None:
    found = expanded(
        ["calls/**/*.flac", "https://media.example/x/talk%20one.mp3?y=1", "-", "calls/no*.ogg", "gone.wav"]
    )
    assert [(source.kind, source.name) for source in found] == [
        (SourceKind.FILE, "a.flac"),
        (SourceKind.URL, "talk one.mp3"),
        (SourceKind.STDIN, "stdin"),
        (SourceKind.MISSING, "no*.ogg"),
        (SourceKind.MISSING, "gone.wav"),
    ]


def test_a_file_that_is_named_twice_is_one(calls: Path) -> None:
    assert [source.text for source in expanded(["calls/a.wav", "calls/*.wav"])] == ["calls/a.wav"]


def test_files_of_one_name_do_not_share_an_output(calls: Path) -> None:
    (calls / "a.mp3").touch()
    assert [str(source.place) for source in expanded(["calls/a.wav", "calls/a.mp3", "calls/b.MP3"])] == [
        "a.wav",
        "a.mp3",
        "b",
    ]


@pytest.mark.parametrize(
    "url", ["https://media.example/..", "https://media.example/%2e%2e", "https://media.example/a%2fb"]
)
def test_a_url_does_not_choose_a_folder(url: str) -> None:
    (source,) = expanded([url])
    assert len(source.place.parts) == 1
    assert ".." not in source.place.parts


# ── options ──


def test_words_come_from_files_and_options(tmp_path: Path) -> None:
    lines, listed = tmp_path / "words.txt", tmp_path / "words.json"
    lines.write_text("# ours\nSottovoce: sotto voche, soto voce\n\nKubernetes\n")
    listed.write_text('[{"content": "gnocchi", "sounds_like": ["nyokki"]}, "CEO"]')
    assert vocabulary([str(lines), "Ljubljana", str(listed)]) == [
        {"content": "Sottovoce", "sounds_like": ["sotto voche", "soto voce"]},
        "Kubernetes",
        "Ljubljana",
        {"content": "gnocchi", "sounds_like": ["nyokki"]},
        "CEO",
    ]


@pytest.mark.parametrize(("name", "content"), [("no.txt", None), ("a.json", "{}"), ("a.json", "[")])
def test_a_list_of_words_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(click.UsageError, match=name):
        vocabulary([str(tmp_path / name)])


def test_options_become_the_job_config() -> None:
    wishes = Wishes(
        language=None,
        operating_point="enhanced",
        diarization="speaker",
        entities=True,
        locale="en-GB",
        vocab=("Ljubljana",),
        max_line_length=42,
        max_lines=None,
        summary=True,
    )
    assert wishes.named_language == "en"
    assert wishes.config("en") == {
        "type": "transcription",
        "transcription_config": {
            "language": "en",
            "operating_point": "enhanced",
            "diarization": "speaker",
            "enable_entities": True,
            "output_locale": "en-GB",
            "additional_vocab": ["Ljubljana"],
        },
        "output_config": {"srt_overrides": {"max_line_length": 42}},
        "summarization_config": {},
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "srt,vtt"], "need --output-dir"),
        (["calls/b.MP3", "--format", "srt"], "needs --output-dir"),
        (["calls/b.MP3", "-o", "x.txt"], "use --output-dir"),
        (["-o", "x.txt", "--format", "srt,txt"], "use --output-dir"),
        (["calls/b.MP3", "--format", "docx"], "docx needs -o FILE or --output-dir FOLDER"),
        (["calls/b.MP3", "--format", "docx", "--json"], "docx needs -o FILE or --output-dir FOLDER"),
        (["-o", "x.txt", "--output-dir", "out"], "exclude each other"),
        (["--skip-existing"], "needs --output-dir"),
        (["--format", "doc"], "'doc' is not a format; formats are json"),
        (["--server", "http://localhost:1"], "--server needs --key"),
        (["--server", "http://localhost:1", "--key", "k", "--model", "base"], "--model is for this machine"),
        (["--vocab", "missing.txt"], "there is no file missing.txt"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    calls: Path, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOTTOVOCE_API_KEY", raising=False)
    done = CliRunner().invoke(main, ["transcribe", "calls/a.wav", *arguments])
    assert done.exit_code == 2
    assert told in done.stderr


# ── outputs ──


def test_outputs_have_the_name_of_the_file_and_the_suffix_of_the_format(calls: Path) -> None:
    outputs = Outputs(suffixes=SUFFIXES, folder=Path("out"))
    (source,) = expanded(["calls/a.wav"])
    assert not outputs.complete(source)
    outputs.write(source, {"txt": b"words", "json-v2": b"{}"})
    assert outputs.complete(source)
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == {"a.txt": b"words", "a.json": b"{}"}
    Path("out/a.json").unlink()
    assert not outputs.complete(source)


def test_an_output_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"after")
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"before"


# ── the run ──


class Scripted:
    """Transcribes every file but those whose name begins with *bad*; keeps the names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def transcribe(self, source, forms, listen):
        self.asked.append(source.text)
        if source.name.startswith("bad"):
            raise FileFailed("not audio")
        shown = {"txt": f"words of {source.name}\n", "json-v2": json.dumps({"name": source.name})}
        return {form: shown[form].encode() for form in forms}


def go(sources, scripted: Scripted, outputs: Outputs, *, machine: bool = False, skip: bool = False) -> int:
    @contextmanager
    def opened() -> Iterator[Scripted]:
        yield scripted

    form = next(iter(outputs.suffixes))
    printing = outputs.folder is None and not machine
    printer = Printer(form, headed=form == "txt", several=len(sources) > 1) if printing else None
    reports = Reports(quiet=True, machine=machine, count=len(sources))
    return run(sources, outputs, opened=opened, reports=reports, printer=printer, skip_existing=skip)


@pytest.fixture
def mixed(calls: Path):
    """Two good files with a bad and a missing one between them."""
    (calls / "bad.wav").touch()
    return expanded(["calls/a.wav", "calls/bad.wav", "gone.wav", "calls/b.MP3"])


def test_a_bad_file_is_told_and_the_others_go_on(mixed, capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted()
    assert go(mixed, scripted, Outputs(suffixes={"txt": ".txt"})) == 2
    out, err = capsys.readouterr()
    assert out == "# a.wav\nwords of a.wav\n# b.MP3\nwords of b.MP3\n"
    assert "Error: calls/bad.wav: not audio\n" in err
    assert "Error: gone.wav: there is no such file" in err


@pytest.mark.parametrize("names", [["a.wav", "b.MP3"], ["bad.wav", "a.wav"], ["bad.wav", "bad.wav2"]])
def test_several_files_in_json_are_one_list(calls: Path, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in names:
        (calls / name).touch()
    sources = expanded([f"calls/{name}" for name in names])
    go(sources, Scripted(), Outputs(suffixes={"json-v2": ".json"}))
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == [
        name for name in names if not name.startswith("bad")
    ]


def test_machines_get_a_line_for_everything(mixed, capsys: pytest.CaptureFixture[str]) -> None:
    go(mixed, Scripted(), Outputs(suffixes=SUFFIXES), machine=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line.get("file")) for line in lines] == [
        ("failed", "gone.wav"),
        ("started", "calls/a.wav"),
        ("done", "calls/a.wav"),
        ("started", "calls/bad.wav"),
        ("failed", "calls/bad.wav"),
        ("started", "calls/b.MP3"),
        ("done", "calls/b.MP3"),
        ("ended", None),
    ]
    assert lines[2]["transcripts"] == {"txt": "words of a.wav\n", "json-v2": {"name": "a.wav"}}
    assert lines[-1] == {"event": "ended", "done": 2, "skipped": 0, "failed": 2}


def test_files_with_outputs_are_skipped(mixed, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = Outputs(suffixes=SUFFIXES, folder=Path("out"))
    outputs.write(mixed[0], {"txt": b"kept", "json-v2": b"{}"})
    scripted = Scripted()
    assert go(mixed, scripted, outputs, skip=True) == 2
    assert scripted.asked == ["calls/bad.wav", "calls/b.MP3"]
    assert Path("out/a.txt").read_bytes() == b"kept"


def test_no_engine_starts_if_nothing_is_to_be_done(calls: Path) -> None:
    outputs = Outputs(suffixes={"txt": ".txt"}, folder=Path("out"))
    (source,) = expanded(["calls/a.wav"])
    outputs.write(source, {"txt": b"kept"})

    def opened():
        raise AssertionError

    reports = Reports(quiet=True, machine=False, count=1)
    assert run([source], outputs, opened=opened, reports=reports, printer=None, skip_existing=True) == 0


def test_the_time_left_follows_from_the_speed_and_counts_down() -> None:
    pace = Pace(100.0)
    assert pace.shown(105.0) == "starting"
    pace.update(110.0, 250, 1000)  # 10 s, most of which were the loading of a model
    assert pace.left(110.0) == 30.0
    assert pace.left(111.0) == 29.0
    pace.update(111.0, 500, 1000)
    assert pace.left(111.0) == 2.0  # the speed since the first progress
    assert pace.shown(112.2) == "0:01 left"
    pace.update(113.0, 1000, 1000)
    assert pace.shown(114.0) == "finishing"
    unknown = Pace(0.0)
    unknown.update(1.0, 5, None)
    assert unknown.left(2.0) is None


def test_the_estimate_follows_a_change_of_speed() -> None:
    pace = Pace(0.0)
    pace.begin(0.0)
    for second in range(1, 101):  # a busy machine
        pace.update(second, second, 1000)
    for second in range(101, 301):
        pace.update(second, 100 + 3 * (second - 100), 1000)
    assert pace.left(300.0) == pytest.approx(100, abs=1), "not 128"


def test_progress_that_comes_in_bursts_does_not_mislead_the_estimate() -> None:
    """As Whisper reports it: several windows are recognised together."""
    pace = Pace(0.0)
    pace.begin(10.0)
    assert pace.shown(20.0) == "recognising"
    pace.update(30.0, 100, 1000)
    pace.update(30.1, 200, 1000)  # in 20 s, not in 0.1 s
    assert pace.left(30.1) == pytest.approx(80, abs=1)
    assert pace.left(60.0) == pytest.approx(50, abs=1)
    assert pace.left(130.0) == pytest.approx(120, abs=1), "late: it grows, and never stands at 0:00"


def test_a_busy_server_is_asked_again_after_the_pause_that_it_names() -> None:
    slept: list[float] = []
    answers = [
        httpx2.Response(503, headers={"retry-after": "7"}),
        httpx2.Response(429, headers={"retry-after": "Sun, 29 Nov 2026 08:00:00 GMT"}),
        httpx2.Response(201, json={"id": "j1"}),
        httpx2.Response(200, json={"job": {"status": "done"}}),
        httpx2.Response(200, content=b"Hello.", headers={"content-type": "text/plain"}),
    ]
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return answers[len(asked) - 1]

    with httpx2.Client(base_url="http://server", transport=httpx2.MockTransport(answer)) as client:
        transcriber = RemoteTranscriber(client, {"type": "transcription"}, slept.append)
        (source,) = expanded(["https://example.org/a.mp3"])
        assert transcriber.transcribe(source, ["txt"], lambda _: None) == {"txt": b"Hello.\n"}
    assert slept == [7.0, 1.0]
    assert asked == ["POST /v2/jobs"] * 3 + ["GET /v2/jobs/j1", "GET /v2/jobs/j1/transcript"]

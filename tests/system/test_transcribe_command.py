"""`sottovoce transcribe` as a process: many files and a kill in the middle, standard input, a server, and addresses of media."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import prefork, sleeper
from tests.listeners import Reply, listening
from tests.prefork import Process
from tests.servers import PATIENCE, Server, until

pytestmark = pytest.mark.system

FIXTURES = Path(__file__).parents[1] / "fixtures" / "audio"
SPEECH = FIXTURES / "speech.flac"
BAD = FIXTURES / "not_media.wav"
COUNT = 24
ENGINE = prefork.bare() | sleeper.environment()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), **sleeper.environment()) as running:
        yield running


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A folder of recordings, one of which is not media."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(COUNT):
        shutil.copy(SPEECH, folder / f"call{number:02}.flac")
    shutil.copy(BAD, folder / "call10bad.wav")
    return folder


def command(*arguments: object, env: dict[str, str] = ENGINE) -> "subprocess.CompletedProcess[str]":
    return prefork.run("transcribe", *map(str, arguments), env=env)


def events(done: "subprocess.CompletedProcess[str]", event: str) -> list[str]:
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line["file"] for line in lines if line["event"] == event]


def test_a_run_that_was_killed_goes_on_and_does_each_file_once(calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = ("--output-dir", str(out), "--format", "txt,json,docx", "--skip-existing", "--json")
    options = (str(calls), *written, "--data-dir", str(tmp_path))

    def texts() -> list[Path]:
        return sorted(out.glob("*.json"))

    with Path(os.devnull).open("r+b") as nothing:
        process = Process(("transcribe", *options), env=ENGINE, files=(nothing, nothing, nothing))
        until(lambda: len(texts()) >= 3, "three transcripts")
        process.kill()
        process.wait(PATIENCE)
    kept = {path: path.stat().st_mtime_ns for path in texts()}
    assert 3 <= len(kept) < COUNT
    done = command(*options)
    assert done.returncode == 1  # one of them is not media
    assert events(done, "failed") == [str(calls / "call10bad.wav")]
    assert [Path(name).stem for name in events(done, "skipped")] == [path.stem for path in kept]
    names = sorted([*events(done, "skipped"), *events(done, "done")])
    assert names == sorted(map(str, calls.glob("*.flac")))
    assert {path: path.stat().st_mtime_ns for path in texts() if path in kept} == kept
    assert len(texts()) == len(list(out.glob("*.txt"))) == COUNT
    for path in texts():
        assert zipfile.is_zipfile(path.with_suffix(".docx"))
        assert json.loads(path.read_text())["job"]["data_name"] == f"{path.stem}.flac"


def test_standard_input_and_a_named_output(tmp_path: Path) -> None:
    out = tmp_path / "said.srt"
    arguments = ["transcribe", "-", "-o", str(out), "--max-line-length", "12", "--data-dir", str(tmp_path)]
    with SPEECH.open("rb") as media, Path(os.devnull).open("r+b") as nothing:
        assert Process(arguments, env=ENGINE, files=(media, nothing, nothing)).wait(PATIENCE) == 0
    lines = [line for line in out.read_text().splitlines() if line and not line[0].isdigit()]
    assert len(lines) > 1
    assert max(map(len, lines)) <= 12


def test_media_is_fetched_where_the_rules_of_outgoing_requests_allow_it(tmp_path: Path) -> None:
    with listening(lambda _asked, _number: Reply(body=SPEECH.read_bytes())) as site:
        url = f"{site.url}/talk.flac"
        refused = command(url, "--data-dir", tmp_path)
        assert refused.returncode == 1
        assert "the address is not allowed" in refused.stderr
        assert site.heard == []
        allowed = command(url, "--data-dir", tmp_path, env={**ENGINE, "SOTTOVOCE_OUTBOUND_ALLOW": "127.0.0.1"})
    assert allowed.returncode == 0, allowed.stderr
    assert allowed.stdout.split()


def heard(text: str) -> list[Any]:
    """The results of every transcript of a JSON list."""
    return [transcript["results"] for transcript in json.loads(text)]


def test_a_server_gives_the_same(server: Server, calls: Path, tmp_path: Path) -> None:
    options = (calls / "call00.flac", calls / "call10bad.wav", calls / "call01.flac", "--format", "json")
    here = command(*options, "--data-dir", tmp_path)
    there = command(*options, "--server", server.url, env={**prefork.bare(), "SOTTOVOCE_API_KEY": server.key})
    assert here.returncode == there.returncode == 1
    assert heard(there.stdout) == heard(here.stdout)
    assert len(heard(there.stdout)) == 2
    assert "call10bad.wav: " in there.stderr


@pytest.mark.parametrize(
    ("url", "key", "told"),
    [
        ("{url}", "wrong", "the server does not accept the key"),
        ("http://127.0.0.1:1", "key", "no answer from http://127.0.0.1:1"),
        ("nonsense", "key", "--server: nonsense is not"),
    ],
)
def test_a_server_that_cannot_be_used_is_named(server: Server, url: str, key: str, told: str) -> None:
    done = command(SPEECH, "--server", url.format(url=server.url), "--key", key, env=prefork.bare())
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_jobs_of_a_server_are_listed_with_their_files(server: Server) -> None:
    job_id = server.submit(SPEECH)
    server.wait(job_id)
    row = next(line for line in server.told("jobs", "list").splitlines() if line.startswith(job_id))
    assert " done " in row
    assert row.endswith("  speech.flac")
    listed = json.loads(server.told("jobs", "list", "--json"))
    assert {"id": job_id, "data_name": "speech.flac", "state": "done"}.items() <= listed[0].items()
    shown = server.told("jobs", "show", job_id)
    assert re.search(r"^created_at +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", shown, re.MULTILINE)
    assert re.search(r"^duration_ms +0:00:0\d$", shown, re.MULTILINE)
    whole = json.loads(server.told("jobs", "show", job_id, "--json"))
    assert whole["id"] == job_id
    assert whole["log"]

"""Data folders of earlier releases: today's release opens them, answers as before and finishes what was begun.

`tests/fixtures/make_data_folder.py` makes the folders and describes what is in them.
"""

import json
import tarfile
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.fixtures.make_data_folder import FOLDERS, SETTINGS, answer, status
from tests.listeners import Asked, Listener, Reply, listening
from tests.servers import ROOT, Server, until

pytestmark = pytest.mark.system

RELEASES = sorted(path.stem for path in FOLDERS.glob("*.json"))
RUNNING = {"running", "transcribing", "aligning"}


def _receive(asked: Asked, _number: int) -> Reply:
    """The media where it is asked for; every notification is accepted."""
    return Reply(body=(ROOT / "samples" / "demo.wav").read_bytes() if asked.path == "/media" else b"")


def _unpacked(release: str, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with tarfile.open(FOLDERS / f"{release}.tar.xz") as archive:
        archive.extractall(home, filter="data")


def _received(receiver: Listener, paths: tuple[str, ...]) -> bool:
    return set(paths) <= {asked.path for asked in receiver.heard}


def test_there_are_folders_of_earlier_releases() -> None:
    assert RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_folder_of_an_earlier_release_opens_and_finishes(release: str, tmp_path: Path) -> None:
    facts = json.loads((FOLDERS / f"{release}.json").read_text(encoding="utf-8"))
    _unpacked(release, tmp_path)
    with listening(_receive) as receiver:
        proxy = {"SOTTOVOCE_OUTBOUND_PROXY": receiver.url, "SOTTOVOCE_SLOTS": "2"}
        with Server(tmp_path, **SETTINGS | proxy) as server, server.client() as client:
            _finished_jobs_answer_as_before(client, facts["done"])
            assert {job: status(client, job) for job in facts["removed"]} == facts["removed"]
            for job in facts["pending"].values():
                assert until(partial(_ended, client, job), f"end of {job}") == "done", job
            for kind in ("running", "queued", "fetching"):
                assert "meeting" in server.transcript(facts["pending"][kind], "txt"), kind
            until(lambda: _received(receiver, ("/done", "/running", "/queued", "/callback")), "delivered notifications")
            assert [line for line in server.lines() if line["level"] == "error"] == []


def _ended(client: httpx.Client, job: str) -> str | None:
    found = status(client, job)
    return None if found in RUNNING else found


def _finished_jobs_answer_as_before(client: httpx.Client, done: dict[str, dict[str, str]]) -> None:
    for kind, answers in done.items():
        for path, body in answers.items():
            assert _lasting(answer(client, path)) == _lasting(body), (kind, path)


def _lasting(body: str) -> object:
    """What of *body* stays the same in every release.

    The errors of a job do not: attempts at its notifications are added at any time. Nor does `itn`, which says what a new job
    of the language gets, nor the division of text into subtitles.
    """
    try:
        found = json.loads(body)
    except ValueError:
        return _words(body) if "-->" in body else body
    if isinstance(found, dict) and isinstance(job := found.get("job"), dict):
        job.pop("errors", None)
    if isinstance(found, dict) and isinstance(metadata := found.get("metadata"), dict):
        metadata.get("language_pack_info", {}).pop("itn", None)
    return found


def _words(subtitles: str) -> list[str]:
    """The words of *subtitles*, without numbers and times of cues."""
    lines = (line for line in subtitles.splitlines() if "-->" not in line and not line.strip().isdigit())
    return " ".join(lines).split()

"""`sottovoce doctor FILE`: what media it is and what would be heard."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sottovoce.cli.local.doctor import doctor
from sottovoce.cli.local.engine_session import progress
from sottovoce.inference.messages import Stage
from tests.media_files import Audio, Recipe, write
from tests.recognition.material import FIXTURES, load


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(doctor, list(arguments), env={"SOTTOVOCE_AUDIO_TRACK": None})

    return run


def speech(tmp_path: Path, **more: object) -> Path:
    voice = load(FIXTURES / "speech.flac")[None]
    tracks = [
        Audio(codec="aac", rate=16_000, silent=True),
        Audio(codec="aac", rate=16_000, samples=voice, language="eng"),
    ]
    return write(tmp_path / "talk.mkv", Recipe(container="matroska", tracks=tracks, offset=3.0, video=True))


def test_it_tells_of_tracks_levels_times_and_speech(tmp_path, ask):
    found = ask(str(speech(tmp_path)))
    assert found.exit_code == 0, found.output
    assert "matroska,webm, aac, 16000 Hz, 1 channel(s)" in found.output
    assert "track 2 of 2 is transcribed: track 1 is without sound" in found.output
    assert "the audio begins 3.00 s after the beginning" in found.output
    assert "in 1 stretch(es), from 3." in found.output
    assert "levels    in dBFS: channel 1 -" in found.output


def test_it_says_that_nothing_would_be_heard(tmp_path, ask):
    track = Audio(codec="flac", samples=np.zeros((1, 48_000), np.float32))
    found = ask("--json", str(write(tmp_path / "x.flac", Recipe(container="flac", tracks=[track]))))
    assert found.exit_code == 1
    (report,) = json.loads(found.output)["files"]
    assert (report["speech_seconds"], report["stretches"], report["levels"]) == (0, 0, [-120])


def test_a_file_that_cannot_be_read_does_not_hide_the_others(ask):
    files = [str(FIXTURES / name) for name in ("not_media.wav", "speech.flac", "empty.wav")]
    found = ask(*files)
    assert found.exit_code == 1
    assert "not_media.wav\n  error     the file is not audio or video of a known format" in found.output
    assert "speech.flac\n  media     flac, flac, 16000 Hz" in found.output
    assert "empty.wav\n  error     the file is empty" in found.output
    first, second, _ = json.loads(ask("--json", *files).output)["files"]
    assert ("not audio or video" in first["error"], second["stretches"]) == (True, 1)


def test_a_note_on_a_file_is_one_line(capsys):
    note = "channels of opposite phase cancel each other in 11.0 s: the loudest channel is heard there"
    with progress("phase.flac") as listen:
        listen(Stage(name="media", note=note), b"")
    assert capsys.readouterr().err == f"phase.flac: {note}\n"

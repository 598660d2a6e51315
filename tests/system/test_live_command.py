"""`sottovoce live`: captions of a file, of PCM on standard input, and what it says when it cannot work."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from tests import prefork
from tests.servers import ROOT

pytestmark = pytest.mark.system

ENGINE = ("--engine", "pocketsphinx")


def test_captions_of_a_file(sentence: Path, tmp_path: Path) -> None:
    done = prefork.run("live", str(sentence), "--fast", *ENGINE, "--data-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "meeting" in done.stdout
    assert "\x1b" not in done.stdout


def test_captions_of_standard_input(sentence: Path, tmp_path: Path) -> None:
    audio = np.concatenate([block[0] for block in media.decode(sentence)])[::2]  # 8 kHz
    command = [
        sys.executable,
        "-m",
        "sottovoce.cli",
        "live",
        "-",
        "--rate",
        "8000",
        *ENGINE,
        "--data-dir",
        str(tmp_path),
    ]
    environment = {**prefork.bare(), "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        command, input=(audio * 32_767).astype("<i2").tobytes(), capture_output=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name one source"),
        (("a.wav", "--device"), "name one source"),
        (("missing.wav",), "missing.wav is not a file"),
        (("{demo}", "--language", "fr"), "'fr' is not available"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    demo: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = (part.format(demo=demo) for part in arguments)
    done = prefork.run("live", *given, *ENGINE, "--data-dir", str(tmp_path))
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr

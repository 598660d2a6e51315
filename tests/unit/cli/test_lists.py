"""Lists and labels of commands about a server's databases, and the completion of shells."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.cli.tables import clock, length, printable, show
from sottovoce.service.identity import api_keys
from sottovoce.service.storage.database import Database, sqlite_url
from tests import databases


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with migrated databases."""
    folder = tmp_path_factory.mktemp("lists") / "data"
    databases.make_embedded(folder, control=True, region=True)
    with contextlib.closing(Database(sqlite_url(folder / "control.db"))) as control, control.writing() as connection:
        api_keys.bootstrap(connection, "the-first-key")  # with the first workspace
    return folder


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data-dir", str(data)])


def test_a_new_project_is_named_and_listed_under_headings(data: Path) -> None:
    made = run(data, "projects", "create", "night desk")
    assert made.exit_code == 0, made.stderr
    number = made.stdout.split()[1]
    assert made.stdout == f"project {number} created; a key for it: sottovoce keys create NAME --project {number}\n"
    heading, *lines = run(data, "projects", "list").stdout.splitlines()
    assert heading.split() == ["PROJECT", "CREATED", "DEFAULT", "NAME"]
    assert any(line.startswith(number) and line.endswith("night desk") for line in lines)
    listed = json.loads(run(data, "projects", "list", "--json").stdout)
    assert "night desk" in [each["name"] for each in listed]
    assert "\x1b" not in heading


def test_no_jobs_are_an_empty_list(data: Path) -> None:
    assert json.loads(run(data, "jobs", "list", "--json").stdout) == []
    assert run(data, "jobs", "list").stdout.split() == ["JOB", "CREATED", "STATE", "LENGTH", "DONE", "REASON", "FILE"]


def test_an_unknown_job_names_the_next_step(data: Path) -> None:
    assert "`sottovoce jobs list`" in run(data, "jobs", "show", "aaaaaaaaaa").stderr


def test_columns_are_as_wide_as_their_longest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    show([], machine=False, headings=("A", "B"), cells=[("long one", "x"), ("s", "y")])
    assert capsys.readouterr().out == "A         B\nlong one  x\ns         y\n"


def test_times_are_for_people() -> None:
    assert clock(1_780_257_581_742) == "2026-05-31 19:59:41 UTC"
    assert length(3_723_400) == "1:02:03"
    assert printable("a\x1b[31m\nb.wav") == "a?[31m?b.wav"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert "_SOTTOVOCE_COMPLETE" in script
    if shell == "bash" and shutil.which("bash"):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0

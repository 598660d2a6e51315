"""Lists and labels of commands about a server's databases, and the completion of shells."""

import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.cli.tables import clock, length, printable, show, styled
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
    assert made.stdout == f"project  {number} (night desk)\n"
    assert f"sottovoce keys create NAME --project {number}" in made.stderr
    heading, *lines = run(data, "projects", "list").stdout.splitlines()
    assert heading.split() == ["PROJECT", "CREATED", "DEFAULT", "NAME"]
    assert any(line.startswith(number) and line.endswith("night desk") for line in lines)
    listed = json.loads(run(data, "projects", "list", "--json").stdout)
    assert "night desk" in [each["name"] for each in listed]
    assert "\x1b" not in heading


def test_a_new_key_is_labelled_and_listed(data: Path) -> None:
    made = run(data, "keys", "create", "bell\u202e", "--client-ref", "shop 7")
    labels = {line.split("  ")[0]: line.split()[1] for line in made.stdout.splitlines()}
    assert list(labels) == ["key", "secret", "project", "reaches"]
    assert "shown only now" in made.stderr
    heading, *lines = run(data, "keys", "list").stdout.splitlines()
    assert heading.split() == ["KEY", "CREATED", "PROJECT", "USER", "REACHES", "STATE", "NAME"]
    (mine,) = [re.split(r" {2,}", line) for line in lines if line.startswith(labels["key"])]
    assert mine[-3:] == ["jobs of shop 7", "active", "bell?"]
    listed = json.loads(run(data, "keys", "list", "--json").stdout)
    assert {"id": labels["key"], "client_ref": "shop 7", "manages": False}.items() <= listed[-1].items()
    assert labels["secret"] not in json.dumps(listed)
    assert run(data, "keys", "revoke", labels["key"]).exit_code == 0
    assert f"{labels['key']}  " in run(data, "keys", "list").stdout
    assert "  revoked 20" in run(data, "keys", "list").stdout
    assert "`sottovoce keys list`" in run(data, "keys", "revoke", labels["key"]).stderr


LISTS = [
    ("keys", "list"), ("users", "list"), ("workspaces", "list"), ("projects", "list"), ("audit",), ("usage",),
    ("credits", "list", "1"), ("credits", "check"), ("deliveries", "list"), ("jobs", "list"), ("status",),
    ("retention", "report"), ("models", "list"), ("doctor", "--quick"),
]  # fmt: skip


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_every_list_has_json_and_lines_for_people(data: Path, command: tuple[str, ...]) -> None:
    machine, people = run(data, *command, "--json"), run(data, *command)
    assert machine.exit_code in {0, 1}, machine.stderr
    assert isinstance(json.loads(machine.stdout), list | dict)
    assert people.stdout.splitlines()
    assert "{" not in people.stdout
    assert "\x1b" not in people.stdout


def test_every_command_that_lists_is_in_the_list_above() -> None:
    """A new `… list` or `… report` has `--json`."""
    found = {
        (name, sub)
        for name, group in main.commands.items()
        if isinstance(group, click.Group)
        for sub in group.commands
        if sub in {"list", "report", "check"}
    }
    assert found == {command[:2] for command in LISTS if command[1:2] and command[1] in {"list", "report", "check"}}


def test_states_are_coloured_on_a_terminal_only(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("done", fg="green") == "\x1b[32mdone\x1b[0m"
    show([], machine=False, headings=("STATE", "COUNT>"), cells=[("done", "5"), ("rejected", "1,000")])
    assert capsys.readouterr().out == "STATE     COUNT\ndone          5\nrejected  1,000\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("done", fg="green") == "done"


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

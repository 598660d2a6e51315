"""`sottovoce usage`, on a data folder beside which no server runs."""

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.cli.admin.usage import FORMULA, KEYS
from sottovoce.service.billing.usage import GroupBy
from sottovoce.service.identity import api_keys
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from tests.unit.service.service_values import migrated

FEBRUARY = 20485
"""2026-02-01."""
NEVER = 10_000_000
"""A day that is far away."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder with some usage, and no setting from outside."""
    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(tmp_path))
    with migrated(tmp_path, migrate.CONTROL) as control:
        with control.writing() as connection:
            api_keys.bootstrap(connection, "abcdefgh12345678")
            connection.execute(sa.update(t.projects).values(name="-2+3 desk"))
            rows = [
                ("a", 1, FEBRUARY, "en", 5_400_000, "@SUM(A1)"), ("b", 1, FEBRUARY, "fr", 1_800_000, None),
                ("c", 1, FEBRUARY + 1, "en", 1, 'quoted, "name"'), ("d", 2, FEBRUARY + 2, "en", 900_000, None),
                ("e", 1, NEVER, "en", 900_000, None),
            ]  # fmt: skip
            for job_id, workspace, day, language, duration, app in rows:
                values = {
                    "region": "eu1",
                    "job_id": job_id,
                    "workspace_id": workspace,
                    "project_id": workspace,
                    "day": day,
                }
                values |= {"type": "transcription", "language": language, "operating_point": "standard", "app": app}
                connection.execute(sa.insert(t.usage).values(duration_ms=duration, **values))
        yield tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments])


def lines(*arguments: str) -> list[list[str]]:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return [line.split(maxsplit=3) for line in done.output.splitlines()[1:]]


def test_it_shows_whole_days_of_everybody() -> None:
    assert lines() == [
        ["2026-02-01", "2", "2.00"], ["2026-02-02", "1", "0.00"], ["2026-02-03", "1", "0.25"],
    ]  # fmt: skip
    assert lines("--workspace", "2") == [["2026-02-03", "1", "0.25"]]
    assert lines("--since", "2026-02-02", "--until", "2026-02-02") == [["2026-02-02", "1", "0.00"]]
    assert lines("--since", "2026-02-03", "--until", "2026-02-02") == []


def test_it_shows_names_beside_numbers() -> None:
    assert lines("--by", "project") == [["1", "3", "2.00", "-2+3 desk"], ["2", "1", "0.25"]]
    assert lines("--by", "workspace")[0] == ["1", "3", "2.00", "default"]
    assert lines("--by", "app")[-1] == ["(none)", "2", "0.75"]
    assert lines("--by", "language") == [["en", "3", "1.75"], ["fr", "1", "0.50"]]


def test_it_has_headings_and_json() -> None:
    assert run("--by", "project").output.splitlines()[0].split() == ["PROJECT", "JOBS", "HOURS", "NAME"]
    assert json.loads(run("--by", "app", "--json").output)[-1] == {"app": None, "jobs": 2, "hours": 0.75}
    assert "exclude each other" in run("--json", "--csv", "-").output


def test_csv_goes_to_a_file_or_to_the_output(folder: Path) -> None:
    expected = "day,jobs,hours\n2026-02-01,2,2.0000000\n2026-02-02,1,0.0000003\n2026-02-03,1,0.2500000\n"
    assert run("--csv", "-").output == expected
    done = run("--csv", "usage.csv")
    assert (done.exit_code, done.output) == (0, "")
    assert (folder / "usage.csv").read_bytes().decode() == expected


def test_a_file_that_cannot_be_written_is_said_so() -> None:
    done = run("--csv", "nowhere/usage.csv")
    assert done.exit_code == 1
    assert "nowhere/usage.csv" in done.output


@pytest.mark.parametrize("by", list(GroupBy))
def test_no_cell_is_a_formula(by: GroupBy) -> None:
    rows = list(csv.reader(io.StringIO(run("--by", by.value, "--csv", "-").output)))
    assert rows[0][0] == by.value
    assert len({len(row) for row in rows}) == 1
    assert [cell for row in rows for cell in row if cell[:1] in FORMULA] == []


def test_names_stand_in_the_csv_as_they_are_but_for_the_mark() -> None:
    rows = list(csv.reader(io.StringIO(run("--by", "app", "--csv", "-").output)))
    assert [row[0] for row in rows] == ["app", "'@SUM(A1)", 'quoted, "name"', ""]
    rows = list(csv.reader(io.StringIO(run("--by", "project", "--csv", "-").output)))
    assert rows[:2] == [["project", "name", "jobs", "hours"], ["1", "'-2+3 desk", "3", "2.0000003"]]


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "20260201"])
def test_what_is_no_day_is_refused(day: str) -> None:
    done = run("--since", day)
    assert done.exit_code == 2
    assert "write YYYY-MM-DD" in done.output


def test_the_choices_are_those_of_the_service() -> None:
    assert set(KEYS) == set(GroupBy)

"""`sottovoce workspaces`, on a data folder beside which no server runs, and what its keys then say of themselves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.service.identity import api_keys, audit_log
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.storage import migrate
from sottovoce.service.storage.database import DAY_MS, Database
from tests.unit.service.service_values import migrated

SECRET = "the-first-key"


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(tmp_path))
    with migrated(tmp_path, migrate.CONTROL) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, SECRET)
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["workspaces", *arguments])


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def caller(control: Database) -> Caller:
    with control.reading() as connection:
        found = api_keys.caller(connection, api_keys.digest(SECRET))
        assert found
        held = api_keys.holder(connection, found.key_id, found.project_id)
    assert held == found, "a temporary key in its name is bound as it is"
    return found


def kept(control: Database) -> list[tuple[str, str, dict[str, object]]]:
    with control.reading() as connection:
        return [
            (each.entry.action, each.entry.target, dict(each.entry.details)) for each in audit_log.latest(connection, 9)
        ]


def test_a_workspace_is_bound_to_regions_and_let_go_again(control: Database) -> None:
    assert caller(control).regions is None
    assert "everywhere" in done("list")
    assert done("bind", "1", "eu1, us1,eu1") == "workspace 1 is served in eu1, us1 only\n"
    assert caller(control).regions == ("eu1", "us1")
    assert "in eu1,us1 only" in done("list")
    done("unbind", "1")
    assert caller(control).regions is None
    assert kept(control) == [
        ("workspace unbound", "1", {}),
        ("workspace bound", "1", {"regions": "eu1,us1,eu1"}),
    ]


def test_its_jobs_are_kept_for_a_time_of_its_own(control: Database) -> None:
    assert caller(control).retention_ms is None
    done("retention", "1", "0.5")
    assert caller(control).retention_ms == DAY_MS // 2
    assert "  everywhere  0.5 days  " in done("list")
    assert "until they were delivered" in done("retention", "1", "0")
    assert caller(control).retention_ms == 0
    done("retention", "1", "--default")
    assert caller(control).retention_ms is None
    assert [details for _, _, details in kept(control)] == [{"days": "default"}, {"days": "0.0"}, {"days": "0.5"}]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("bind", "2", "eu1"), "no workspace 2"),
        (("bind", "1", ","), "at least one region"),
        (("bind", "1", "EU1"), "not a region name"),
        (("bind", "1", "../eu1"), "not a region name"),
        (("unbind", "99"), "no workspace 99"),
        (("retention", "1"), "either DAYS or --default"),
        (("retention", "1", "3", "--default"), "either DAYS or --default"),
        (("retention", "1", "36501"), "between 0 and 36500"),
        (("retention", "1", "nan"), "between 0 and 36500"),
        (("retention", "9", "3"), "no workspace 9"),
    ],
)
def test_what_makes_no_sense_changes_nothing(control: Database, arguments: tuple[str, ...], why: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert why in result.output
    assert (caller(control).regions, caller(control).retention_ms, kept(control)) == (None, None, [])

"""`sottovoce credits`, and what `jobs retry` does about credits, on a data folder beside which no server runs."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.job import Reason, State
from sottovoce.service.identity import api_keys, audit_log
from sottovoce.service.jobs import repository
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from tests.unit.service.billing.credit_values import Bank
from tests.unit.service.service_values import migrated


@contextmanager
def opened(folder: Path) -> Iterator[Bank]:
    (folder / "eu1").mkdir(exist_ok=True)
    with migrated(folder, migrate.CONTROL) as control, migrated(folder / "eu1") as region:
        yield Bank(control=control, region=region)


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting from outside."""
    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(tmp_path))
    with opened(tmp_path) as made:
        with made.control.writing() as connection:
            api_keys.bootstrap(connection, "abcdefgh12345678")
            connection.execute(sa.update(t.users).values(email="ada@example.org"))
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_credits_are_added_removed_and_listed(bank: Bank) -> None:
    assert run("credits", "add", "1", "100").output == "the balance is 100\n"
    assert run("credits", "remove", "Ada@example.org", "30").output == "the balance is 70\n"
    bank.hold("q7f3k2m9xa", 5)
    lines = run("credits", "list", "1").output.splitlines()
    assert lines[0] == "balance 65"
    assert lines[1].split() == ["AT", "CREDITS", "KIND", "REGION", "JOB"]
    assert [line.split()[3:] for line in lines[2:]] == [
        ["-5", "hold", "eu1", "q7f3k2m9xa"], ["-30", "removed"], ["+100", "added"],
    ]  # fmt: skip
    listed = json.loads(run("credits", "list", "1", "--limit", "1", "--json").output)
    assert (listed["balance"], [entry["amount"] for entry in listed["entries"]]) == (65, [-5])
    with bank.control.reading() as connection:
        kept = [
            (each.entry.action, each.entry.workspace_id, each.entry.details) for each in audit_log.latest(connection, 9)
        ]
    assert kept == [("credits removed", 1, {"credits": 30}), ("credits added", 1, {"credits": 100})]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("remove", "1", "1"), "the balance is 0"),
        (("add", "2", "1"), "no user 2"),
        (("add", "nobody@example.org", "1"), "no user nobody@example.org"),
        (("list", "2"), "no user 2"),
        (("add", "1", "0"), "0 is not in the range"),
        (("add", "1", "1.5"), "not a valid integer"),
        (("add", "1", "-5"), "No such option"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(bank: Bank, arguments: tuple[str, ...], why: str) -> None:
    done = run("credits", *arguments)
    assert done.exit_code
    assert why in done.output
    assert (bank.balance(), bank.told()) == (0, [])


def test_a_check_says_whose_balance_is_wrong(bank: Bank) -> None:
    bank.add(10)
    right = run("credits", "check")
    assert (right.exit_code, right.output) == (0, "every balance is right (1)\n")
    with bank.control.writing() as connection:
        connection.execute(sa.update(t.workspaces).values(balance=11))
    wrong = run("credits", "check", "--json")
    assert (wrong.exit_code, json.loads(wrong.stdout)[0]["right"]) == (1, False)
    wrong = run("credits", "check")
    assert wrong.exit_code == 1
    assert wrong.output.splitlines() == [
        "workspace 1: balance 11, entries 10", "Error: 1 of 1 balances are wrong",
    ]  # fmt: skip


# ── jobs retry ──


def state(bank: Bank) -> State:
    with bank.region.reading() as connection:
        found = repository.get(connection, "a")
    assert found
    return found.state


@pytest.fixture
def rejected(bank: Bank) -> Bank:
    bank.queued("a")
    bank.rejected("a")
    return bank


def test_a_retry_costs_nothing_without_billing(rejected: Bank) -> None:
    assert run("jobs", "retry", "a").exit_code == 0
    assert (state(rejected), rejected.told()) == (State.QUEUED, [])


def test_a_retry_with_billing_is_held_for(rejected: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BILLING", "true")
    monkeypatch.setenv("SOTTOVOCE_CREDITS_PER_MINUTE", "3")
    rejected.add(2)
    refused = run("jobs", "retry", "a")
    assert (refused.exit_code, state(rejected)) == (1, State.REJECTED)
    assert refused.output == "Error: the job costs 3 credits, the balance is 2\n"
    rejected.add(2)
    assert run("jobs", "retry", "a").output == "a is queued again\n"
    assert (state(rejected), rejected.balance(), rejected.held()) == (State.QUEUED, 1, ["a"])


def test_a_retry_uses_the_hold_that_is_still_open(rejected: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BILLING", "true")
    rejected.add(1)
    rejected.hold("a", 1)
    assert run("jobs", "retry", "a").exit_code == 0
    assert (rejected.balance(), rejected.held()) == (0, ["a"])


def test_a_retry_that_comes_too_late_for_its_hold_is_not_made(rejected: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BILLING", "true")
    rejected.add(1)
    clock = itertools.count(0, 121)
    monkeypatch.setattr(import_module("sottovoce.cli.admin.jobs"), "_now", lambda: next(clock))
    late = run("jobs", "retry", "a")
    assert (late.exit_code, state(rejected)) == (1, State.REJECTED)
    assert "try again" in late.output
    assert rejected.held() == ["a"]


def test_a_retry_of_empty_media_costs_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BILLING", "true")
    bank.queued("a", media_bytes=0)
    bank.rejected("a")
    assert run("jobs", "retry", "a").exit_code == 0
    assert bank.told() == []


def test_a_retry_of_media_that_could_not_be_fetched_is_held_for_as_of_unknown_size(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOTTOVOCE_BILLING", "true")
    bank.add(1)
    bank.queued("a", media_bytes=0)
    bank.rejected("a", Reason.FETCH)
    assert run("jobs", "retry", "a").exit_code == 0
    assert bank.told() == [("added", 1), ("hold", -1)]

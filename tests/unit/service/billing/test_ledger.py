import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.billing import ledger
from sottovoce.service.billing.ledger import EntryKind, Hold
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.billing.credit_values import BACKENDS, REGION, Bank, again, bank


@pytest.fixture(params=BACKENDS, name="bank")
def _bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    with bank(request, tmp_path) as made:
        yield made


def settle(bank: Bank, held: Hold, cost: int) -> int | None:
    with bank.control.writing() as connection:
        return ledger.settle(connection, held, cost)


def give_back(bank: Bank, held: Hold, kind: EntryKind = EntryKind.REFUND) -> bool:
    with bank.control.writing() as connection:
        return ledger.give_back(connection, held, kind)


def payments(bank: Bank, limit: int = 100, **bounds: int) -> list[tuple[str, int, str | None]]:
    with bank.control.reading() as connection:
        found = ledger.payments(connection, 1, limit=limit, **bounds)
    return [(payment.kind, payment.amount, payment.job_id) for payment in found]


# ── what operators do ──


def test_credits_are_given_and_taken_with_an_entry_for_each(bank: Bank) -> None:
    with bank.control.writing() as connection:
        assert ledger.add(connection, 1, 100) == 100
        assert ledger.remove(connection, 1, 30) == 70
        assert ledger.balance(connection, 2) == 0
    assert bank.told() == [("added", 100), ("removed", -30)]
    entry = bank.entries()[0]
    assert (entry.region, entry.job_id, entry.round) == (None, None, 0)
    assert entry.at > 1_700_000_000_000


def test_no_more_is_taken_than_there_is(bank: Bank) -> None:
    bank.add(5)
    with pytest.raises(Refused, match="the balance is 5") as caught, bank.control.writing() as connection:
        ledger.remove(connection, 1, 6)
    assert caught.value.kind is Kind.INSUFFICIENT_CREDIT
    assert (bank.balance(), bank.told()) == (5, [("added", 5)])


def test_a_balance_stays_a_number_that_clients_can_hold(bank: Bank) -> None:
    bank.add(ledger.MOST)
    with pytest.raises(Refused, match="at most"), bank.control.writing() as connection:
        ledger.add(connection, 1, 1)
    assert ledger.MOST < 2**53
    assert bank.balance() == ledger.MOST


# ── holds ──


def test_a_hold_takes_what_the_job_costs(bank: Bank) -> None:
    bank.add(10)
    held = bank.hold("a", 4)
    assert (held.region, held.job_id, held.workspace_id, held.round, held.amount) == (REGION, "a", 1, 0, 4)
    assert (bank.balance(), bank.told(), bank.held()) == (6, [("added", 10), ("hold", -4)], ["a"])


def test_a_hold_is_refused_when_there_is_too_little(bank: Bank) -> None:
    bank.add(3)
    with pytest.raises(Refused, match="costs 4 credits, the balance is 3") as caught:
        bank.hold("a", 4)
    assert caught.value.kind is Kind.INSUFFICIENT_CREDIT
    assert (bank.balance(), bank.told(), bank.held()) == (3, [("added", 3)], [])
    bank.hold("b", 3)
    with pytest.raises(Refused, match="costs 1 credit, the balance is 0"):
        bank.hold("c", 1)


def test_a_second_hold_of_the_same_job_renews_the_first(bank: Bank) -> None:
    bank.add(10)
    first = bank.hold("a", 4)
    second = bank.hold("a", 9)
    assert second.at > first.at
    assert replace(second, at=first.at, age=first.age) == first
    assert (bank.balance(), bank.told()) == (6, [("added", 10), ("hold", -4)])


def test_who_has_read_a_hold_before_it_was_renewed_cannot_close_it(bank: Bank) -> None:
    bank.add(10)
    stale = bank.hold("a", 4)
    fresh = bank.hold("a", 4)
    assert settle(bank, stale, 1) is None
    assert not give_back(bank, stale)
    assert (bank.balance(), bank.held()) == (6, ["a"])
    assert settle(bank, fresh, 4) == 0


def test_a_hold_is_closed_once(bank: Bank) -> None:
    bank.add(10)
    held = bank.hold("a", 4)
    assert give_back(bank, held)
    assert not give_back(bank, held)
    assert not give_back(bank, held, EntryKind.WITHDRAWN)
    assert settle(bank, held, 4) is None
    assert (bank.balance(), bank.held()) == (10, [])
    assert bank.told() == [("added", 10), ("hold", -4), ("refund", 4)]


@pytest.mark.parametrize(
    ("cost", "short", "told", "left"),
    [(4, 0, [], 1), (1, 0, [("settled", 3)], 4), (5, 0, [("settled", -1)], 0), (9, 4, [("settled", -1)], 0), (0, 0, [("settled", 4)], 5)],
)  # fmt: skip
def test_settling_charges_the_difference_as_far_as_there_is_anything(
    bank: Bank, cost: int, short: int, told: list[tuple[str, int]], left: int
) -> None:
    bank.add(5)
    held = bank.hold("a", 4)
    assert settle(bank, held, cost) == short
    assert settle(bank, held, cost) is None
    assert (bank.balance(), bank.held()) == (left, [])
    assert bank.told() == [("added", 5), ("hold", -4), *told]


def test_a_job_that_is_run_again_is_held_for_in_a_new_round(bank: Bank) -> None:
    bank.add(10)
    assert give_back(bank, bank.hold("a", 4))
    second = bank.hold("a", 3)
    assert (second.round, second.amount) == (1, 3)
    assert give_back(bank, second)
    assert settle(bank, bank.hold("a", 3), 2) == 0
    assert [entry.round for entry in bank.entries()] == [0, 0, 0, 1, 1, 2, 2]
    assert bank.balance() == 8


def test_a_hold_is_never_older_than_the_end_that_it_follows(bank: Bank) -> None:
    bank.add(10)
    ahead = bank.hold("a", 1).at + 3_600_000
    assert bank.hold("a", 1, ended_at=ahead).at == ahead
    assert bank.hold("a", 1, ended_at=ahead).at == ahead + 1
    assert bank.hold("b", 1, ended_at=ahead).at == ahead
    assert bank.hold("c", 1, ended_at=1).at < ahead


def test_open_holds_are_one_regions_and_come_in_pages(bank: Bank) -> None:
    bank.add(10)
    for job_id in "cadb":
        bank.hold(job_id, 1)
    bank.hold("a", 1, region="us1")
    assert bank.held("us1") == ["a"]

    def page(after: str) -> list[str]:
        with bank.control.reading() as connection:
            return [held.job_id for held in ledger.open_holds(connection, REGION, after=after, limit=2)]

    assert [page(after) for after in ("", "b", "d")] == [["a", "b"], ["c", "d"], []]


def test_a_hold_grows_old_by_the_clock_of_its_database(bank: Bank) -> None:
    bank.add(1)
    assert 0 <= bank.hold("a", 1).age < 60_000
    bank.age("a", 90_000)
    with bank.control.reading() as connection:
        found = ledger.open_hold(connection, REGION, "a")
    assert found
    assert found.age >= 90_000


def test_an_entry_and_its_balance_are_undone_together(bank: Bank) -> None:
    bank.add(5)
    with pytest.raises(ZeroDivisionError), bank.control.writing() as connection:
        raise ZeroDivisionError(ledger.hold(connection, 1, region=REGION, job_id="a", cost=2))
    assert (bank.balance(), bank.told(), bank.held()) == (5, [("added", 5)], [])


# ── reading ──


def test_payments_show_one_charge_for_a_job_whenever_it_was_settled(bank: Bank) -> None:
    bank.add(100)
    first, second, third = bank.hold("a", 5), bank.hold("b", 5), bank.hold("c", 5)
    settle(bank, third, 5)
    settle(bank, first, 7)
    settle(bank, second, 1)
    bank.hold("open", 2)
    wanted = [
        ("charge", -2, "open"),
        ("charge", -5, "c"),
        ("charge", -1, "b"),
        ("charge", -7, "a"),
        ("added", 100, None),
    ]
    assert payments(bank) == wanted
    assert payments(bank, limit=2) == wanted[:2]
    with bank.control.reading() as connection:
        (newest,) = ledger.payments(connection, 1, limit=1)
        assert (newest.at, newest.region) == (bank.entries()[-1].at, REGION)
        assert ledger.payments(connection, 2, limit=9) == []


def test_payments_show_refunds_and_leave_out_what_came_to_nothing(bank: Bank) -> None:
    bank.add(100)
    give_back(bank, bank.hold("refunded", 5))
    give_back(bank, bank.hold("never made", 6), EntryKind.WITHDRAWN)
    settle(bank, bank.hold("cost nothing", 1), 0)
    again_ = bank.hold("refunded", 4)
    settle(bank, again_, 3)
    assert payments(bank) == [
        ("charge", -3, "refunded"), ("refund", 5, "refunded"), ("charge", -5, "refunded"), ("added", 100, None),
    ]  # fmt: skip
    assert sum(amount for _, amount, _ in payments(bank)) == bank.balance()


def test_payments_are_bounded_by_their_instants(bank: Bank) -> None:
    for amount in (1, 2, 3):
        bank.add(amount)
    with bank.control.writing() as connection:
        for amount in (1, 2, 3):
            mine = t.credit_entries.c.amount == amount
            connection.execute(sa.update(t.credit_entries).where(mine).values(at=amount * 1000))

    def amounts(**bounds: int) -> list[int]:
        return [amount for _, amount, _ in payments(bank, **bounds)]

    assert amounts(since=2000) == [3, 2]
    assert amounts(before=2000) == [1]
    assert amounts(since=1000, before=3000, limit=1) == [2]


def test_a_balance_that_is_not_the_sum_of_its_entries_is_seen(bank: Bank) -> None:
    bank.add(10)
    bank.hold("a", 4)
    with bank.control.writing() as connection:
        found = ledger.accounts(connection)
        assert [(each.workspace_id, each.balance, each.entries, each.right) for each in found] == [
            (1, 6, 6, True),
            (2, 0, 0, True),
        ]
        connection.execute(sa.update(t.workspaces).where(t.workspaces.c.id == 2).values(balance=1))
        assert [each.right for each in ledger.accounts(connection)] == [True, False]


# ── all at once ──

CLERKS = 8


def bustle(database: Database, jobs: list[str], seed: int) -> None:
    """Holds, settles, gives back and pays in, over *jobs* that others are at as well."""
    rng = random.Random(seed)
    for job_id in rng.sample(jobs, len(jobs)):
        workspace_id = 1 + jobs.index(job_id) % 2
        with database.writing() as connection:
            try:
                ledger.hold(connection, workspace_id, region=REGION, job_id=job_id, cost=rng.randint(1, 4))
            except Refused:
                if rng.random() < 0.2:
                    ledger.add(connection, workspace_id, 3)
        with database.writing() as connection:
            held = ledger.open_hold(connection, REGION, rng.choice(jobs))
            if held is None:
                continue
            if rng.random() < 0.5:
                ledger.settle(connection, held, rng.randint(0, 6))
            else:
                ledger.give_back(connection, held, rng.choice([EntryKind.REFUND, EntryKind.WITHDRAWN]))


def test_no_credit_is_made_or_lost_when_many_are_at_it(bank: Bank) -> None:
    for workspace_id in (1, 2):
        bank.add(20, workspace_id)
    jobs = [f"job{number:02}" for number in range(24)]
    databases = [again(bank.control) for _ in range(CLERKS)]
    try:
        with ThreadPoolExecutor(CLERKS) as clerks:
            list(clerks.map(bustle, databases, itertools.repeat(jobs), range(CLERKS)))
    finally:
        for database in databases:
            database.close()
    with bank.control.reading() as connection:
        assert all(account.right for account in ledger.accounts(connection))
        still = {held.job_id: held.amount for held in ledger.open_holds(connection, REGION, after="", limit=500)}
    entries = [*bank.entries(1), *bank.entries(2)]
    for workspace_id in (1, 2):
        sums = list(itertools.accumulate(entry.amount for entry in bank.entries(workspace_id)))
        assert min(sums) >= 0, "somebody was below zero at some moment"
        assert sums[-1] == bank.balance(workspace_id)
    for job_id in jobs:
        mine = [entry for entry in entries if entry.job_id == job_id]
        for number in {entry.round for entry in mine}:
            ends = [entry for entry in mine if entry.round == number]
            assert [entry.kind for entry in ends][:1] == [EntryKind.HOLD]
            assert len(ends) <= 2
        assert sum(entry.kind is EntryKind.HOLD for entry in mine) >= (job_id in still)
    assert len({entry.round for entry in entries}) > 1, "no job was held for twice: the test tested little"


def test_of_many_who_want_the_last_credit_one_has_it(bank: Bank) -> None:
    bank.add(1)
    databases = [again(bank.control) for _ in range(CLERKS)]

    def want(number: int) -> bool:
        try:
            with databases[number].writing() as connection:
                ledger.hold(connection, 1, region=REGION, job_id=f"job{number}", cost=1)
        except Refused:
            return False
        return True

    try:
        with ThreadPoolExecutor(CLERKS) as clerks:
            assert sum(clerks.map(want, range(CLERKS))) == 1
    finally:
        for database in databases:
            database.close()
    assert (bank.balance(), len(bank.held())) == (0, 1)

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.service.billing import ledger
from sottovoce.service.billing.credit_holds import CreditReservations, Pricing, Reservation
from sottovoce.service.billing.ledger import Payment
from tests.log_records import warnings
from tests.unit.service.billing.credit_values import BACKENDS, REGION, Bank, bank, nowhere

BILLING = Pricing(billing=True, per_minute=1)


@pytest.fixture(params=BACKENDS, name="bank")
def _bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    with bank(request, tmp_path) as made:
        yield made


def till(bank: Bank, pricing: Pricing = BILLING) -> CreditReservations:
    return CreditReservations(bank.control, REGION, pricing)


# ── what is asked for ──


@pytest.mark.parametrize(
    ("duration_ms", "media_bytes", "minutes"),
    [
        (1, 9, 1),
        (60_000, 9, 1),
        (60_001, 9, 2),
        (244_000, 9, 5),  # contract, legacy-v1 §5
        (36_000_000, 9, 600),
        (None, 9, 1),
        (0, 9, 1),
        (None, None, 1),
        (0, None, 1),
        (120_001, None, 3),
        (None, 0, 0),
        (0, 0, 0),
        (60_000, 0, 0),
    ],
)
def test_each_started_minute_counts(duration_ms: int | None, media_bytes: int | None, minutes: int) -> None:
    for per_minute in (0, 1, 7):
        assert Pricing(billing=True, per_minute=per_minute).cost(duration_ms, media_bytes) == per_minute * minutes


@given(duration_ms=st.integers(1, 10**12), per_minute=st.integers(0, 10**6))
def test_a_cost_is_whole_and_covers_the_last_millisecond(duration_ms: int, per_minute: int) -> None:
    cost = Pricing(billing=True, per_minute=per_minute).cost(duration_ms, 1)
    assert cost * 60_000 >= per_minute * duration_ms > (cost - per_minute) * 60_000 or per_minute == 0 == cost


# ── holding ──


def test_a_hold_tells_the_cost_and_the_balance_after_it(bank: Bank) -> None:
    bank.add(10)
    assert asyncio.run(till(bank).hold(1, "a", 4)) == Reservation(cost=4, balance=6)
    assert asyncio.run(till(bank).hold(1, "a", 4)) == Reservation(cost=4, balance=6)
    assert asyncio.run(till(bank).balance(1)) == 6
    assert bank.held() == ["a"]


def test_a_job_that_costs_nothing_leaves_no_entry(bank: Bank) -> None:
    assert asyncio.run(till(bank).hold(1, "a", 0)) == Reservation(cost=0, balance=0)
    assert (bank.told(), bank.held()) == ([], [])


def test_too_few_credits_are_a_refusal_that_names_both_figures(bank: Bank) -> None:
    bank.add(3)
    with pytest.raises(Refused, match="costs 4 credits, the balance is 3") as caught:
        asyncio.run(till(bank).hold(1, "a", 4))
    assert caught.value.kind is Kind.INSUFFICIENT_CREDIT
    assert bank.balance() == 3


def test_without_billing_nobody_is_refused_and_balances_are_shown(bank: Bank) -> None:
    off = till(bank, Pricing())
    assert asyncio.run(off.hold(1, "a", 4)) == Reservation(cost=0, balance=None)
    asyncio.run(off.release("a"))
    bank.add(3)
    assert asyncio.run(off.balance(1)) == 3
    assert (bank.told(), bank.held()) == ([("added", 3)], [])


def test_what_was_held_for_a_job_that_never_was_comes_back_once_and_is_no_payment(bank: Bank) -> None:
    async def both() -> list[Payment]:
        await till(bank).hold(1, "a", 4)
        await till(bank).release("a")
        await till(bank).release("a")
        await till(bank).release("nobody held for this")
        return await till(bank).payments(1, limit=9)

    bank.add(10)
    assert [(payment.kind, payment.amount) for payment in asyncio.run(both())] == [("added", 10)]
    assert (bank.balance(), bank.held()) == (10, [])
    assert bank.told() == [("added", 10), ("hold", -4), ("withdrawn", 4)]


def test_a_release_leaves_other_regions_alone(bank: Bank) -> None:
    bank.add(10)
    bank.hold("a", 1, region="us1")
    asyncio.run(till(bank).release("a"))
    assert bank.held("us1") == ["a"]


def test_payments_are_one_workspaces_and_bounded(bank: Bank) -> None:
    bank.add(10)
    bank.add(20, workspace_id=2)
    asyncio.run(till(bank).hold(1, "a", 4))
    added, held = bank.entries()

    def kinds(**bounds: int | None) -> list[str]:
        found = asyncio.run(till(bank).payments(1, **{"limit": 9, "since": None, "before": None, **bounds}))  # type: ignore[arg-type]
        return [payment.kind for payment in found]

    assert kinds() == ["charge", "added"]
    assert kinds(limit=1) == ["charge"]
    assert kinds(since=held.at + 1) == []
    assert kinds(before=added.at) == []


def test_many_submissions_at_once_spend_what_there_is_and_no_more(bank: Bank) -> None:
    bank.add(5)

    async def rush() -> int:
        async def one(number: int) -> bool:
            try:
                await till(bank).hold(1, f"job{number}", 1)
            except Refused:
                return False
            return True

        return sum(await asyncio.gather(*(one(number) for number in range(16))))

    assert asyncio.run(rush()) == 5
    assert (bank.balance(), len(bank.held())) == (0, 5)


# ── the control database is away ──


def test_without_the_control_database_nothing_is_sold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = nowhere(tmp_path)
    credit_reservations = CreditReservations(away, REGION, BILLING)
    try:
        for ask in (
            credit_reservations.hold(1, "a", 1),
            credit_reservations.hold(1, "a", 0),
            credit_reservations.balance(1),
            credit_reservations.payments(1, limit=1),
        ):
            with pytest.raises(Refused) as caught:
                asyncio.run(ask)
            assert caught.value.kind is Kind.UNAVAILABLE
            assert str(tmp_path) not in caught.value.detail
        caplog.clear()
        asyncio.run(credit_reservations.release("a"))
        assert asyncio.run(CreditReservations(away, REGION, Pricing()).hold(1, "a", 1)) == Reservation(
            cost=0, balance=None
        )
    finally:
        away.close()
    assert warnings(caplog) == ["credits not released yet"]


def test_a_defect_is_not_taken_for_a_database_that_is_away(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> ledger.Hold:
        raise ZeroDivisionError

    monkeypatch.setattr(ledger, "hold", broken)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(till(bank).hold(1, "a", 1))

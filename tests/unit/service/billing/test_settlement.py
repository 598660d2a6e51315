import asyncio
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sottovoce.job import Event, Reason
from sottovoce.service.billing import ledger, settlement
from sottovoce.service.billing.credit_holds import Pricing
from sottovoce.service.billing.ledger import EntryKind
from sottovoce.service.billing.settlement import GRACE_MS, SettlementJob
from sottovoce.service.jobs import repository
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage.database import Database
from tests.log_records import warnings
from tests.unit.service.billing.credit_values import BACKENDS, REGION, Bank, again, bank, nowhere

TARIFF = Pricing(billing=True, per_minute=2)
MINUTE = 60_000


@pytest.fixture(params=BACKENDS, name="bank")
def _bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    with bank(request, tmp_path) as made:
        made.add(20)
        yield made


def tick(bank: Bank, pricing: Pricing = TARIFF) -> None:
    asyncio.run(SettlementJob(bank.control, bank.region, REGION, pricing, Metrics()).tick())


def twice(bank: Bank) -> None:
    """Settle, and once more: nothing may come of that."""
    tick(bank)
    once = bank.told()
    tick(bank)
    assert bank.told() == once


@pytest.mark.parametrize(
    ("duration_ms", "told"),
    [(2 * MINUTE, []), (MINUTE, [("settled", 2)]), (3 * MINUTE, [("settled", -2)]), (0, [("settled", 4)])],
)
def test_a_done_job_costs_by_its_real_duration(bank: Bank, duration_ms: int, told: list[tuple[str, int]]) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.done("a", duration_ms)
    twice(bank)
    assert bank.told() == [("added", 20), ("hold", -4), *told]
    assert bank.held() == []


def test_a_job_in_hand_is_left_alone_however_old(bank: Bank) -> None:
    for job_id in ("queued", "running"):
        bank.hold(job_id, 2)
        bank.queued(job_id)
        bank.age(job_id, 30 * GRACE_MS)
    with bank.region.writing() as connection:
        assert repository.claim(connection, "running", owner="w", lease_ms=1)
    twice(bank)
    assert bank.held() == ["queued", "running"]


@pytest.mark.parametrize("reason", list(Reason))
def test_a_rejected_job_costs_nothing_whatever_the_reason(bank: Bank, reason: Reason) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.rejected("a", reason)
    twice(bank)
    assert bank.told() == [("added", 20), ("hold", -4), ("refund", 4)]


@pytest.mark.parametrize("event", [Event.REMOVED, Event.EXPIRED_BY_RETENTION])
def test_a_tombstone_tells_whether_the_job_was_done(bank: Bank, event: Event) -> None:
    for job_id in ("done", "live", "rejected"):
        bank.hold(job_id, 4)
        bank.queued(job_id)
    bank.done("done", MINUTE)
    bank.rejected("rejected")
    for job_id in ("done", "live", "rejected"):
        bank.removed(job_id, event)
    twice(bank)
    assert [entry.amount for entry in bank.entries() if entry.job_id == "done"] == [-4, 2]
    assert [entry.kind for entry in bank.entries()[-3:]] == [EntryKind.SETTLED, EntryKind.REFUND, EntryKind.REFUND]
    assert bank.balance() == 18


def test_empty_media_cost_nothing_even_when_something_was_held(bank: Bank) -> None:
    bank.hold("a", 2)
    bank.queued("a", media_bytes=0)
    bank.done("a", 0)
    twice(bank)
    assert bank.balance() == 20


def test_a_dearer_job_takes_what_is_there_and_says_what_is_missing(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    bank.hold("a", 17)
    bank.queued("a")
    bank.done("a", 11 * MINUTE)
    twice(bank)
    assert (bank.balance(), bank.told()[-1]) == (0, ("settled", -3))
    (record,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert record.getMessage() == "credits fell short"
    said = record.__dict__
    assert (said["job"], said["workspace"], said["held"], said["cost"], said["short"]) == ("a", 1, 17, 22, 2)


# ── a process died in between ──


def test_a_hold_without_a_job_is_withdrawn_after_a_while_and_no_sooner(bank: Bank) -> None:
    bank.hold("a", 4)
    bank.age("a", GRACE_MS - 30_000)
    twice(bank)
    assert bank.held() == ["a"]
    bank.age("a", GRACE_MS + 1)
    twice(bank)
    assert bank.told() == [("added", 20), ("hold", -4), ("withdrawn", 4)]
    assert bank.balance() == 20


def test_another_regions_holds_are_not_ours_to_judge(bank: Bank) -> None:
    bank.hold("a", 4, region="us1")
    bank.age("a", 2 * GRACE_MS)
    twice(bank)
    assert bank.held("us1") == ["a"]


def test_what_one_transaction_could_not_close_the_next_tick_does(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    for job_id in ("a", "b", "c"):
        bank.hold(job_id, 4)
        bank.queued(job_id)
        bank.rejected(job_id)
    give_back = ledger.give_back

    class Killed(BaseException):
        pass

    def dies(connection, held, kind):
        if held.job_id == "b":
            raise Killed
        return give_back(connection, held, kind)

    monkeypatch.setattr(ledger, "give_back", dies)
    with pytest.raises(Killed):
        tick(bank)
    assert (bank.held(), bank.balance()) == (["a", "b", "c"], 8)
    monkeypatch.undo()
    twice(bank)
    assert (bank.held(), bank.balance()) == ([], 20)


def test_a_hold_that_cannot_be_closed_stops_no_other(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for job_id in ("a", "b", "c"):
        bank.hold(job_id, 4)
        bank.queued(job_id)
        bank.rejected(job_id)
    give_back = ledger.give_back

    def broken(connection, held, kind):
        if held.job_id == "b":
            raise ZeroDivisionError
        return give_back(connection, held, kind)

    monkeypatch.setattr(ledger, "give_back", broken)
    settler = SettlementJob(bank.control, bank.region, REGION, TARIFF, Metrics())
    for _ in range(3):
        asyncio.run(settler.tick())
    assert (bank.held(), bank.balance()) == (["b"], 16)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["credits of a job not settled"]


def test_many_settlers_close_each_hold_once(bank: Bank) -> None:
    bank.add(200, workspace_id=2)
    wanted = {1: 20, 2: 200}
    for number in range(40):
        job_id, workspace_id = f"job{number:02}", 1 + (number > 7)
        bank.hold(job_id, 2, workspace_id)
        bank.queued(job_id, workspace_id=workspace_id)
        if number % 2:
            bank.done(job_id, 2 * MINUTE)
            wanted[workspace_id] -= 4
        else:
            bank.rejected(job_id)
    controls, regions = ([again(database) for _ in range(4)] for database in (bank.control, bank.region))

    def settle(control: Database, region: Database) -> None:
        asyncio.run(SettlementJob(control, region, REGION, TARIFF, Metrics()).tick())

    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(settle, controls, regions))
    finally:
        for database in (*controls, *regions):
            database.close()
    assert bank.held() == []
    assert {workspace_id: bank.balance(workspace_id) for workspace_id in wanted} == wanted


# ── run again by an operator ──


def test_a_job_that_is_run_again_is_charged_once(bank: Bank) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.rejected("a")
    tick(bank)
    bank.hold("a", 4, ended_at=bank.finished_at("a"))
    tick(bank)
    assert bank.held() == ["a"], "the old end was taken for the new one"
    bank.retried("a")
    tick(bank)
    assert bank.held() == ["a"]
    bank.done("a", MINUTE)
    twice(bank)
    assert bank.balance() == 18
    assert [entry.round for entry in bank.entries()[1:]] == [0, 0, 1, 1]


def test_a_hold_that_is_still_open_serves_the_next_run(bank: Bank) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.rejected("a")
    bank.hold("a", 4, ended_at=bank.finished_at("a"))
    tick(bank)
    assert bank.held() == ["a"]
    bank.retried("a")
    bank.done("a", MINUTE)
    twice(bank)
    assert bank.told() == [("added", 20), ("hold", -4), ("settled", 2)]


def test_a_retry_between_a_settlers_look_and_its_deed_is_not_undone(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.rejected("a")
    look = settlement._rows

    def then_retried(connection, ids):
        rows = look(connection, ids)
        monkeypatch.undo()
        bank.hold("a", 4, ended_at=rows["a"].finished_at)
        with ThreadPoolExecutor(1) as elsewhere:  # while the settler believes that the job is rejected
            elsewhere.submit(bank.retried, "a").result()
        return rows

    monkeypatch.setattr(settlement, "_rows", then_retried)
    tick(bank)
    assert (bank.held(), bank.balance()) == (["a"], 16)


def test_a_retry_that_came_to_nothing_is_refunded_after_a_while(bank: Bank) -> None:
    bank.queued("a")
    bank.rejected("a")
    bank.hold("a", 4, ended_at=bank.finished_at("a"))
    twice(bank)
    assert bank.held() == ["a"]
    bank.age("a", GRACE_MS + 1)
    twice(bank)
    assert bank.told()[-1] == ("refund", 4)


def test_a_retry_that_another_one_was_quicker_than_is_not_charged(bank: Bank) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.rejected("a")
    tick(bank)
    ended_at = bank.finished_at("a")
    bank.hold("a", 4, ended_at=ended_at)
    bank.retried("a")
    bank.done("a", MINUTE)
    tick(bank)
    bank.hold("a", 4, ended_at=ended_at)  # by somebody who saw it rejected, and finds that it is no more
    twice(bank)
    assert bank.told()[-4:] == [("hold", -4), ("settled", 2), ("hold", -4), ("refund", 4)]
    assert bank.balance() == 18


def test_a_first_hold_is_charged_even_when_the_regions_clock_is_behind(bank: Bank) -> None:
    bank.hold("a", 4)
    bank.queued("a")
    bank.done("a", MINUTE)
    bank.age("a", -5000)
    twice(bank)
    assert bank.balance() == 18


def test_a_retry_whose_job_was_deleted_meanwhile_is_refunded_at_once(bank: Bank) -> None:
    bank.queued("a")
    bank.rejected("a")
    bank.hold("a", 4, ended_at=bank.finished_at("a"))
    bank.removed("a")
    twice(bank)
    assert bank.told()[-1] == ("refund", 4)


# ── much to do ──


def test_ticks_go_on_where_the_last_one_ended_and_begin_anew(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "PAGE", 2)
    monkeypatch.setattr(settlement, "PAGES", 1)
    for job_id in "abcde":
        bank.hold(job_id, 1)
        bank.queued(job_id)
    settler = SettlementJob(bank.control, bank.region, REGION, TARIFF, Metrics())

    def after_a_tick() -> list[str]:
        asyncio.run(settler.tick())
        return bank.held()

    bank.rejected("e")
    assert [after_a_tick() for _ in range(3)] == [list("abcde"), list("abcde"), list("abcd")]
    for job_id in "abcd":
        bank.rejected(job_id)
    assert [after_a_tick() for _ in range(2)] == [["c", "d"], []]


def test_a_tick_asks_each_database_once_for_a_page_of_jobs(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = itertools.count()
    read: Callable[..., object] = Database.read

    async def counted(database: Database, work: Callable[..., object]) -> object:
        next(asked)
        return await read(database, work)  # type: ignore[misc]

    for number in range(20):
        bank.hold(f"job{number:02}", 1)
        bank.queued(f"job{number:02}")
    monkeypatch.setattr(Database, "read", counted)
    tick(bank)
    assert next(asked) == 2


# ── the control database is away ──


def test_a_database_that_is_away_is_told_of_once_and_waited_for(
    bank: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = nowhere(tmp_path)
    settler = SettlementJob(away, bank.region, REGION, TARIFF, Metrics())
    try:
        for _ in range(3):
            asyncio.run(settler.tick())
        assert warnings(caplog) == ["credits not settled"]
        settler._control = bank.control
        bank.hold("a", 4)
        bank.queued("a")
        bank.rejected("a")
        asyncio.run(settler.tick())
        assert bank.balance() == 20
        settler._control = away
        asyncio.run(settler.tick())
    finally:
        away.close()
    assert warnings(caplog) == ["credits not settled"] * 2

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.job import Event, JobType
from sottovoce.service.billing import usage, usage_replication
from sottovoce.service.billing.usage import GroupBy, UsageBreakdown
from sottovoce.service.billing.usage_replication import UsageReplicator
from sottovoce.service.identity import projects
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.retention import project_cleanup
from sottovoce.service.retention.project_cleanup import ProjectCleanup
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.wire.v2.usage import Line
from tests.unit.service.billing.credit_values import BACKENDS, DAY_MS, REGION, Bank, again, bank, nowhere
from tests.unit.service.service_values import CALLER, FakeQueue, new_job


@pytest.fixture(params=BACKENDS, name="bank")
def _bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    with bank(request, tmp_path) as made:
        assert project(made, "first") == CALLER.project_id
        yield made


def today(bank: Bank) -> int:
    with bank.region.reading() as connection:
        return usage.yesterday(connection) + 1


def record(bank: Bank, job_id: str) -> None:
    with bank.region.writing() as connection:
        usage.record(connection, job_id)


def done(bank: Bank, job_id: str, *, days_ago: int = 1, duration_ms: int = 60_000, **changes: Any) -> None:
    """A job that was done *days_ago*; *changes* are of the job, *workspace_id* and *project_id* of who calls."""
    caller = replace(CALLER, **{name: changes.pop(name) for name in ("workspace_id", "project_id") if name in changes})
    with bank.region.writing() as connection:
        repository.insert(connection, new_job(job_id, caller=caller, **changes))
    bank.done(job_id, duration_ms)
    record(bank, job_id)
    with bank.region.writing() as connection:
        earlier = t.job_usage.c.day - days_ago
        connection.execute(sa.update(t.job_usage).where(t.job_usage.c.job_id == job_id).values(day=earlier))


def counted(bank: Bank) -> dict[str, dict[str, Any]]:
    """The region's rows by job."""
    with bank.region.reading() as connection:
        rows = connection.execute(sa.select(t.job_usage)).mappings()
        return {row["job_id"]: {name: value for name, value in row.items() if name != "job_id"} for row in rows}


def copied(bank: Bank) -> list[tuple[str, str, int]]:
    """The copies: region, job, day."""
    with bank.control.reading() as connection:
        columns = (t.usage.c.region, t.usage.c.job_id, t.usage.c.day)
        return [
            (region, job_id, day) for region, job_id, day in connection.execute(sa.select(*columns).order_by(*columns))
        ]


def untold(bank: Bank) -> list[str]:
    return sorted(job_id for job_id, row in counted(bank).items() if row["told_at"] is None)


def tick(bank: Bank, control: Database | None = None, region: str = REGION) -> None:
    asyncio.run(UsageReplicator(control or bank.control, bank.region, region, Metrics()).tick())


def used(bank: Bank, **period: int | None) -> tuple[int, int, list[Line]]:
    """Days before today, and what the first workspace used."""
    now = today(bank)
    asked = {name: None if ago is None else now - ago for name, ago in period.items()}
    with bank.region.reading() as connection:
        found = usage.used(connection, 1, asked.get("since"), asked.get("until"))
    lines = sorted(found.lines, key=lambda line: (line.type, line.language, line.operating_point))
    return now - found.since, now - found.until, lines


def line(count: int, duration_ms: int, **changes: str) -> Line:
    keys = {"type": "transcription", "language": "en", "operating_point": "standard", **changes}
    return Line(count=count, duration_ms=duration_ms, **keys)


# ── counting ──


def test_a_done_job_is_counted_once_with_all_that_is_told_of_it(bank: Bank) -> None:
    caller = replace(CALLER, workspace_id=2, project_id=7)
    with bank.region.writing() as connection:
        repository.insert(
            connection, new_job("a", caller=caller, language="fr", operating_point="enhanced", app="desk/1")
        )
    bank.done("a", 1234)
    record(bank, "a")
    record(bank, "a")
    assert counted(bank) == {
        "a": {
            "workspace_id": 2, "project_id": 7, "day": bank.finished_at("a") // DAY_MS, "type": "transcription",
            "language": "fr", "operating_point": "enhanced", "duration_ms": 1234, "app": "desk/1", "told_at": None,
        }
    }  # fmt: skip


def test_only_done_jobs_are_counted(bank: Bank) -> None:
    for job_id in ("queued", "running", "rejected", "removed"):
        bank.queued(job_id)
    with bank.region.writing() as connection:
        assert repository.claim(connection, "running", owner="w", lease_ms=DAY_MS)
    bank.rejected("rejected")
    bank.removed("removed")
    for job_id in ("queued", "running", "rejected", "removed", "never"):
        record(bank, job_id)
    assert counted(bank) == {}


def test_a_job_whose_end_is_taken_back_is_not_counted(bank: Bank) -> None:
    bank.queued("a")

    def dies(connection: sa.Connection) -> None:
        claimed = repository.claim(connection, "a", owner="w", lease_ms=DAY_MS)
        assert claimed
        finish: dict[str, Any] = {"result_key": "k", "duration_ms": 5, "engine": "e", "keep_ms": DAY_MS}
        assert repository.finish(connection, "a", claimed.attempt, **finish)
        usage.record(connection, "a")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        asyncio.run(bank.region.write(dies))
    assert counted(bank) == {}


# ── telling ──


def test_the_current_day_is_never_told(bank: Bank) -> None:
    done(bank, "today", days_ago=0)
    done(bank, "yesterday", days_ago=1, duration_ms=5)
    for period in ({}, {"since": 9, "until": 0}, {"since": 9, "until": -5}, {"until": -2_000_000}):
        since, until, lines = used(bank, **period)
        assert (until, lines) == (1, [line(1, 5)])
        assert since == period.get("since", 1)


def test_without_bounds_it_is_told_from_the_first_done_job_to_yesterday(bank: Bank) -> None:
    assert used(bank) == (1, 1, [])
    done(bank, "of today", days_ago=0)
    assert used(bank) == (1, 1, [])
    done(bank, "old", days_ago=9)
    done(bank, "older", days_ago=40)
    done(bank, "of others", days_ago=90, workspace_id=2)
    assert used(bank) == (40, 1, [line(2, 120_000)])
    assert used(bank, until=50) == (50, 50, [])


def test_both_days_are_inclusive(bank: Bank) -> None:
    for ago in (2, 3, 4, 5):
        done(bank, f"job{ago}", days_ago=ago, duration_ms=10**ago)
    assert used(bank, since=4, until=3) == (4, 3, [line(2, 11_000)])
    assert used(bank, since=4) == (4, 1, [line(3, 11_100)])
    assert used(bank, until=5) == (5, 5, [line(1, 100_000)])


def test_a_period_that_ends_before_it_begins_is_empty(bank: Bank) -> None:
    done(bank, "a", days_ago=3)
    assert used(bank, since=2, until=4) == (2, 4, [])
    assert used(bank, since=0) == (0, 1, [])


def test_it_is_told_by_type_language_and_operating_point_for_all_projects(bank: Bank) -> None:
    done(bank, "a", duration_ms=1)
    done(bank, "b", duration_ms=2, project_id=5, app="other")
    done(bank, "c", duration_ms=4, language="fr")
    done(bank, "d", duration_ms=8, operating_point="enhanced")
    done(bank, "e", duration_ms=16, type=JobType.ALIGNMENT)
    assert used(bank)[2] == [
        line(1, 16, type="alignment"), line(1, 8, operating_point="enhanced"), line(2, 3), line(1, 4, language="fr"),
    ]  # fmt: skip


@pytest.mark.parametrize("event", [Event.REMOVED, Event.EXPIRED_BY_RETENTION])
def test_the_end_of_a_job_changes_nothing(bank: Bank, event: Event) -> None:
    done(bank, "a")
    before = used(bank)
    bank.removed("a", event)
    assert used(bank) == before
    with bank.region.writing() as connection:
        connection.execute(sa.delete(t.jobs))
    assert used(bank) == before == (1, 1, [line(1, 60_000)])


# ── the copies ──


def test_every_row_is_copied_once(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_replication, "PAGE", 3)
    for number in range(7):
        done(bank, f"job{number}", days_ago=number)
    now = today(bank)
    expected = [(REGION, f"job{number}", now - number) for number in range(7)]
    for _ in range(2):
        tick(bank)
        assert copied(bank) == expected
        assert untold(bank) == []


def test_what_one_tick_has_no_time_for_the_next_one_does(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_replication, "PAGE", 2)
    monkeypatch.setattr(usage_replication, "PAGES", 1)
    keeper = UsageReplicator(bank.control, bank.region, REGION, Metrics())
    for number in range(3):
        done(bank, f"job{number}")
    asyncio.run(keeper.tick())
    assert (len(copied(bank)), len(untold(bank))) == (2, 1)
    asyncio.run(keeper.tick())
    assert (len(copied(bank)), untold(bank)) == (3, [])


def test_a_kill_between_the_copy_and_its_mark_changes_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    done(bank, "a")
    done(bank, "b")

    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(usage_replication, "_mark_copied", dies)
        with pytest.raises(Killed):
            tick(bank)
    once = copied(bank)
    assert (len(once), untold(bank)) == (2, ["a", "b"])
    tick(bank)
    assert (copied(bank), untold(bank)) == (once, [])


def test_a_record_that_cannot_be_copied_stops_no_other(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for job_id in ("a", "b", "c"):
        done(bank, job_id)
    copy = usage_replication._copy

    def broken(connection: Any, region: str, rows: Any) -> set[int]:
        if any(row["job_id"] == "b" for row in rows):
            raise TypeError("a bug")
        return copy(connection, region, rows)

    monkeypatch.setattr(usage_replication, "_copy", broken)
    keeper = UsageReplicator(bank.control, bank.region, REGION, Metrics())
    for _ in range(3):
        asyncio.run(keeper.tick())
    assert ([job_id for _, job_id, _ in copied(bank)], untold(bank)) == (["a", "c"], ["b"])
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["usage of a job not copied"]


def test_several_may_copy_at_the_same_time(bank: Bank) -> None:
    for number in range(40):
        done(bank, f"job{number:02}")
    ways = [(again(bank.control), again(bank.region)) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as threads:
            keepers = [UsageReplicator(control, region, REGION, Metrics()) for control, region in ways]
            list(threads.map(lambda keeper: asyncio.run(keeper.tick()), keepers))
    finally:
        for way in ways:
            for database in way:
                database.close()
    assert len(copied(bank)) == 40
    assert untold(bank) == []


def test_a_control_database_that_is_away_only_delays(
    bank: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done(bank, "a")
    away = nowhere(tmp_path)
    keeper = UsageReplicator(away, bank.region, REGION, Metrics())
    try:
        for _ in range(3):
            asyncio.run(keeper.tick())
    finally:
        away.close()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["usage not copied"]
    assert (untold(bank), used(bank)[2]) == (["a"], [line(1, 60_000)])
    tick(bank)
    assert (untold(bank), len(copied(bank))) == ([], 1)


def test_a_control_database_that_was_restored_gets_its_copies_again(bank: Bank) -> None:
    for number in range(3):
        done(bank, f"job{number}", days_ago=number)
    tick(bank)
    whole = copied(bank)
    with bank.control.writing() as connection:
        connection.execute(sa.delete(t.usage).where(t.usage.c.job_id != "job2"))
    tick(bank)
    assert (copied(bank), untold(bank)) == (whole, [])


# ── deleted projects ──


def project(bank: Bank, name: str = "second") -> int:
    with bank.control.writing() as connection:
        return projects.create(connection, 1, name).id


def clearing(bank: Bank, folder: Path) -> ProjectCleanup:
    deletion = JobDeletion(bank.region, Blobs.open(f"file://{folder}/blobs", {}), FakeQueue())
    return ProjectCleanup(bank.control, bank.region, deletion, Metrics())


def delete(bank: Bank, project_id: int) -> None:
    with bank.control.writing() as connection:
        projects.delete(connection, 1, project_id)


@pytest.mark.parametrize("jobs_are_gone", [False, True])
@pytest.mark.parametrize("how", ["at once", "later"])
def test_the_usage_of_a_deleted_project_goes_with_it(bank: Bank, tmp_path: Path, how: str, jobs_are_gone: bool) -> None:
    theirs = project(bank)
    done(bank, "theirs", project_id=theirs)
    done(bank, "ours")
    tick(bank)
    if jobs_are_gone:
        with bank.region.writing() as connection:
            connection.execute(sa.delete(t.job_events))
            connection.execute(sa.delete(t.jobs))
    delete(bank, theirs)
    work = clearing(bank, tmp_path)
    asyncio.run(work.project(theirs) if how == "at once" else work.tick())
    for _ in range(2):
        assert set(counted(bank)) == {"ours"}
        assert [job_id for _, job_id, _ in copied(bank)] == ["ours"]
        asyncio.run(work.tick())


def test_a_deletion_is_carried_out_once_and_the_next_one_too(bank: Bank, tmp_path: Path) -> None:
    work = clearing(bank, tmp_path)
    for number in range(3):
        theirs = project(bank, f"project {number}")
        done(bank, f"job{number}", project_id=theirs)
        delete(bank, theirs)
        asyncio.run(work.tick())
        assert counted(bank) == {}
        with bank.control.writing() as connection:  # long ago, by the time of the next one
            long_ago = project_cleanup.OVERLAP_MS * 2
            connection.execute(sa.update(t.projects).values(deleted_at=t.projects.c.deleted_at - long_ago))
        with bank.region.writing() as connection:
            mark = t.counters.c.name.like("deleted projects%")
            connection.execute(sa.update(t.counters).where(mark).values(value=t.counters.c.value - long_ago))


def test_what_ends_after_its_project_was_deleted_is_neither_copied_nor_kept(bank: Bank, tmp_path: Path) -> None:
    theirs = project(bank)
    delete(bank, theirs)
    asyncio.run(clearing(bank, tmp_path).tick())
    done(bank, "late", project_id=theirs)
    done(bank, "ours")
    tick(bank)
    assert set(counted(bank)) == {"ours"}
    assert [job_id for _, job_id, _ in copied(bank)] == ["ours"]


# ── the operator's figures ──


@pytest.fixture
def figures(bank: Bank) -> Bank:
    """What two regions used for two workspaces."""
    theirs = project(bank)
    done(bank, "a", days_ago=2, duration_ms=1, app="desk")
    done(bank, "b", days_ago=1, duration_ms=2, project_id=theirs)
    done(bank, "c", days_ago=1, duration_ms=4, workspace_id=2, project_id=99, language="fr", app="desk")
    done(bank, "d", days_ago=0, duration_ms=8)
    tick(bank)
    with bank.region.writing() as connection:
        connection.execute(sa.delete(t.job_usage))
    done(bank, "e", days_ago=5, duration_ms=16, app="=cmd")
    tick(bank, region="us1")
    return bank


def shares(bank: Bank, by: GroupBy, **more: int) -> list[tuple[int | str | None, str | None, int, int]]:
    with bank.control.reading() as connection:
        found: list[UsageBreakdown] = usage.shares(connection, by, **more)
    return [(share.key, share.name, share.count, share.duration_ms) for share in found]


def test_the_operator_sees_every_region_and_workspace(figures: Bank) -> None:
    now = today(figures)
    assert shares(figures, GroupBy.DAY) == [(now - 5, None, 1, 16), (now - 2, None, 1, 1), (now - 1, None, 2, 6)]
    assert shares(figures, GroupBy.APP) == [("=cmd", None, 1, 16), ("desk", None, 2, 5), (None, None, 1, 2)]
    assert shares(figures, GroupBy.LANGUAGE) == [("en", None, 3, 19), ("fr", None, 1, 4)]
    assert shares(figures, GroupBy.REGION) == [("eu1", None, 3, 7), ("us1", None, 1, 16)]
    assert shares(figures, GroupBy.WORKSPACE) == [(1, "w", 3, 19), (2, "w", 1, 4)]
    (ours, theirs, others) = shares(figures, GroupBy.PROJECT)
    assert (ours[1:], theirs[1:], others) == (("first", 2, 17), ("second", 1, 2), (99, None, 1, 4))


def test_the_operator_may_ask_for_some_days_and_one_workspace(figures: Bank) -> None:
    now = today(figures)
    assert shares(figures, GroupBy.REGION, since=now - 2) == [("eu1", None, 3, 7)]
    assert shares(figures, GroupBy.REGION, until=now - 5) == [("us1", None, 1, 16)]
    assert shares(figures, GroupBy.REGION, until=now) == shares(figures, GroupBy.REGION)
    assert shares(figures, GroupBy.DAY, workspace_id=2) == [(now - 1, None, 1, 4)]
    assert shares(figures, GroupBy.DAY, since=now - 1, until=now - 2) == []


def test_a_day_begins_at_midnight_utc(bank: Bank) -> None:
    done(bank, "a", days_ago=0)
    midnight = today(bank) * DAY_MS
    with bank.region.reading() as connection:
        now = connection.execute(sa.select(now_ms())).scalar_one()
    assert midnight <= now < midnight + 2 * DAY_MS
    with bank.region.writing() as connection:
        for job_id, at in (("before", midnight - 1), ("after", midnight)):
            repository.insert(connection, new_job(job_id))
            ended = {"state": "done", "finished_at": at, "duration_ms": 1}
            connection.execute(sa.update(t.jobs).where(t.jobs.c.id == job_id).values(**ended))
            usage.record(connection, job_id)
    rows = counted(bank)
    assert rows["after"]["day"] - rows["before"]["day"] == 1


@pytest.mark.parametrize("bank", ["postgres"], indirect=True)
def test_a_project_cannot_be_deleted_while_its_usage_is_copied(bank: Bank) -> None:
    """Else the copy would come after the clearing. SQLite has one writer anyway."""
    theirs = project(bank)
    done(bank, "a", project_id=theirs)
    with bank.region.reading() as connection:
        rows = usage_replication._uncopied(connection, but=())
    with bank.control.writing() as copying:
        assert usage_replication._copy(copying, REGION, rows) == set()
        with bank.control.reading() as deleting:
            deleting.execute(sa.text("SET LOCAL lock_timeout = 50"))
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                projects.delete(deleting, 1, theirs)
    delete(bank, theirs)
    assert len(copied(bank)) == 1

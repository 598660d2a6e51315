"""Bugs, and rows of another release: each ends the one task that fails, visibly, and the others go on."""

import asyncio
import errno
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from sottovoce.inference import messages as m
from sottovoce.inference.pool import Listener, Outcome, Task
from sottovoce.job import REJECTED_BUG, Reason, State
from sottovoce.outbound import Outbound
from sottovoce.service.jobs import media_fetcher, repository
from sottovoce.service.notifications import model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import INTERNAL
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.queue import retry
from sottovoce.service.queue.port import EntryStatus, JobQueue, QueueState, TaskKind
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.worker import notification_sender
from sottovoce.service.worker.attempt_reaper import AttemptReaper
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy
from tests.unit.outbound.receivers import answer, receiving, says
from tests.unit.service.service_values import FakeQueue, migrated, new_job, off_thread
from tests.unit.service.task_values import CONFIG, ID, Region, going_out, region_in
from tests.unit.service.worker.job_runner_values import Bench, check, succeed

NEWER: dict[str, Any] = {"errors": [{"timestamp": 1, "message": "m", "severity": "a member of a later release"}]}
"""A row that this release cannot read."""
OK = says(answer())
POLICY = ReaperPolicy(lease_ms=60_000, stranded_ms=120_000, keep_ms=1000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", 0.001)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def change(database: Database, job_id: str = ID, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(t.jobs).where(t.jobs.c.id == job_id).values(**values))


def row(database: Database, job_id: str = ID) -> Any:
    with database.reading() as connection:
        return connection.execute(sa.select(t.jobs).where(t.jobs.c.id == job_id)).one()


def traces(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The events that were logged with a stack trace."""
    return [record.getMessage() for record in caplog.records if record.exc_info and record.levelno >= logging.ERROR]


# ── jobs ──


@pytest.mark.parametrize("newer", [NEWER, {"type": "dictation"}])
def test_a_job_of_a_later_release_is_rejected(
    database: Database, tmp_path: Path, newer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(database, tmp_path)

    async def go() -> None:
        await bench.accept()
        change(database, **newer)
        runner, pool = bench.runner(succeed)
        assert await runner.work(ID) is None
        assert pool.tasks == []

    check(go)
    found = row(database)
    assert (found.state, found.reason, found.lease_owner) == (State.REJECTED, Reason.ENGINE, None)
    assert [entry["message"] for entry in found.errors] == [REJECTED_BUG]
    assert "job failed with an internal error" in traces(caplog)
    assert bench.counted("internal_errors", where="job") >= 1
    assert bench.counted("jobs_finished", state="rejected") == 1


def test_the_trace_of_a_stage_that_breaks_is_logged(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(database, tmp_path)

    async def limp(_task: Task, listen: Listener) -> Outcome:
        await off_thread(listen, m.Stage(name="punctuation", note="left out: TypeError", trace="Traceback: a bug"))
        return await succeed(_task, listen)

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(limp)
        assert await runner.work(ID)

    check(go)
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert (record.getMessage(), record.__dict__["trace"]) == ("stage of a job failed", "Traceback: a bug")
    assert "1 punctuation: left out: TypeError" in bench.log()  # without the trace, which is not for the owner
    assert bench.counted("internal_errors", where="stage") == 1


def test_a_bug_in_publishing_rejects_the_job(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(database, tmp_path)

    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("a bug")

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(succeed)
        result = await runner.work(ID)
        assert result
        monkeypatch.setattr(Outbox, "post", broken)
        await runner.publish(ID, result)

    check(go)
    assert bench.job().state is State.REJECTED
    assert traces(caplog) == ["job failed with an internal error"]


def test_a_row_of_a_later_release_hides_no_other(database: Database) -> None:
    caller = new_job().caller
    with database.writing() as connection:
        for job_id in ("good000001", "newer00001"):
            repository.insert(connection, new_job(job_id))
    change(database, "newer00001", state="paused")
    with database.reading() as connection:
        assert [found.id for found in repository.list_recent(connection, caller, limit=9)] == ["good000001"]
        assert list(repository.get_many(connection, ["good000001", "newer00001"])) == ["good000001"]
        assert repository.states(connection, ["good000001", "newer00001"]) == {"good000001": State.QUEUED}
        assert repository.counts(connection) == {State.QUEUED: 1}
        with pytest.raises(repository.RowUnreadable, match="newer00001"):
            repository.get(connection, "newer00001")


# ── deliveries ──


def failed(region: Region) -> list[tuple[str, str | None]]:
    return [(told.state.value, told.outcome) for told in region.told()]


def test_a_delivery_of_a_later_release_fails_and_is_listed(region: Region, caplog: pytest.LogCaptureFixture) -> None:
    async def go(outbound: Outbound) -> None:
        await region.accept_media({"url": "https://e.org"})
        (posted,) = await region.end()
        with region.database.writing() as connection:
            connection.execute(sa.update(t.deliveries).values(kind="pager"))
        await region.sender(outbound).attempt(posted.id, 1)

    going_out(go)
    assert failed(region) == [("failed", INTERNAL)]
    assert region.told()[0].kind == "pager"
    assert traces(caplog) == ["delivery failed with an internal error"]
    assert region.counted("internal_errors", where="delivery") == 1


def test_a_delivery_whose_job_cannot_be_read_fails(region: Region, caplog: pytest.LogCaptureFixture) -> None:
    async def go(outbound: Outbound) -> None:
        await region.accept_media({"url": "https://e.org"})
        (posted,) = await region.end()
        change(region.database, **NEWER)
        await region.sender(outbound).attempt(posted.id, 1)

    going_out(go)
    assert failed(region) == [("failed", INTERNAL)]
    assert traces(caplog) == ["delivery failed with an internal error"]
    assert region.counted("internal_errors", where="delivery") == 1


def test_a_bug_in_sending_fails_the_delivery(
    region: Region, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(model, "notification_of", broken)

    async def go(outbound: Outbound) -> None:
        await region.accept_media({"url": "https://e.org"})
        (posted,) = await region.end()
        await region.sender(outbound).attempt(posted.id, 1)

    going_out(go)
    assert failed(region) == [("failed", INTERNAL)]
    assert traces(caplog) == ["delivery failed with an internal error"]


def test_a_delivery_gives_its_slot_back_while_the_store_is_away(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification_sender, "PATIENCE", 0.0)

    async def away(_self: Blobs, key: str) -> bytes:
        raise OSError(errno.EROFS, "read-only")

    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": ["transcript"]})
            (posted,) = await region.end()
            with monkeypatch.context() as outage:
                outage.setattr(Blobs, "get", away)
                await region.sender(outbound).attempt(posted.id, 1)
            assert [(told.state.value, told.attempts) for told in region.told()] == [("waiting", 0)]
            await region.sender(outbound).attempt(posted.id, 1)  # as the reaper has it done
        assert [(told.state.value, told.attempts) for told in region.told()] == [("delivered", 1)]

    going_out(go)


# ── fetches ──


@pytest.mark.parametrize("newer", [NEWER, {"config": b"no key decrypts this"}])
def test_a_fetch_that_cannot_be_read_rejects_its_job(
    region: Region, newer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    region.accept({**CONFIG, "fetch_data": {"url": "https://e.org"}}, fetched=True)
    change(region.database, **newer)
    going_out(lambda outbound: region.fetcher(outbound).attempt(ID, 1))
    found = row(region.database)
    assert (found.state, found.reason) == (State.REJECTED, Reason.FETCH)
    assert len(traces(caplog)) == 1
    assert region.counted("internal_errors", where="fetch") == 1


def test_a_bug_in_a_fetch_rejects_its_job(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(media_fetcher.Fetcher, "_fetch_file", broken)
    region.accept({**CONFIG, "fetch_data": {"url": "https://e.org"}}, fetched=True)
    going_out(lambda outbound: region.fetcher(outbound).attempt(ID, 1))
    assert (region.job().state, region.errors()) == (State.REJECTED, [media_fetcher.FAILED_BUG])


# ── reapers ──


class Lost(FakeQueue):
    """A queue that lost every entry."""

    def states(self, entries: Sequence[str]) -> dict[str, QueueState]:
        return {entry: QueueState(status=EntryStatus.FAILED, worker=None) for entry in entries}


def test_one_abandoned_job_that_cannot_be_read_stops_no_other(region: Region) -> None:
    with region.database.writing() as connection:
        for job_id in ("newer00001", "good000001"):
            repository.insert(connection, new_job(job_id))
        connection.execute(sa.update(t.jobs).values(created_at=t.jobs.c.created_at - 3_600_000))
    change(region.database, "newer00001", **NEWER)
    queue = Lost()
    reaper = Reaper(region.database, cast("JobQueue", queue), region.metrics, POLICY)
    assert asyncio.run(reaper.tick()) == 1
    assert queue.submitted == ["good000001"]
    assert row(region.database, "newer00001").state == State.REJECTED
    assert region.counted("internal_errors", where="reaper") == 1


def test_one_lost_attempt_that_cannot_be_read_stops_no_other(region: Region) -> None:
    with region.database.writing() as connection:
        for job_id in ("newer00001", "good000001"):
            repository.insert(connection, new_job(job_id, fetched=True))
        connection.execute(sa.update(t.jobs).values(fetch_at=now_ms() - 3_600_000))
    change(region.database, "newer00001", **NEWER)
    queue = Lost()
    reaper = AttemptReaper(region.database, cast("JobQueue", queue), region.metrics, POLICY)
    assert asyncio.run(reaper.tick()) == 1
    assert queue.sent == [(TaskKind.FETCH.value, "good000001", 1, 0.0)]
    assert row(region.database, "newer00001").state == State.REJECTED


def test_a_failed_delivery_of_a_bug_can_be_tried_again(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url()})
            (posted,) = await region.end()
            with region.database.writing() as connection:
                assert deliveries.abandon(connection, posted.id, 1, INTERNAL)
                assert not deliveries.abandon(connection, posted.id, 1, INTERNAL)  # it is recorded already
                again = deliveries.retry(connection, posted.id, {model.Kind.NOTIFICATION: 4})
            assert again
            await region.sender(outbound).attempt(posted.id, again.attempts + 1)
        assert failed(region) == [("delivered", "Response status: 200")]

    going_out(go)

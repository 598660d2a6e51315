# ruff: noqa: ASYNC110 - polling is what a test can do
import asyncio
import errno
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import EngineTemporarilyUnavailable, Listener, Outcome, Task, TaskCrashed
from sottovoce.job import REJECTED_BUG, Event, Reason, State
from sottovoce.service.jobs import repository
from sottovoce.service.queue import retry
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, result_key
from sottovoce.service.storage.encryption import Encryptor
from tests.log_records import warnings
from tests.unit.service.service_values import Script, migrated, off_thread
from tests.unit.service.worker.job_runner_values import (
    ID,
    KEY,
    WINDOWS,
    Bench,
    check,
    die,
    fine,
    gone,
    hang,
    raising,
    succeed,
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(retry, "BACKOFF", 0.01)
    with migrated(tmp_path) as database:
        yield Bench(database, tmp_path)


def test_a_job_is_claimed_recognised_and_published(bench: Bench) -> None:
    async def speak(task: Task, listen: Listener) -> Outcome:
        await off_thread(listen, m.Media(duration=32_000, channels=1, rate=8000, codec="pcm", container="wav"))
        await off_thread(listen, m.Stage(name="recognise", note="engine fake"))
        await off_thread(listen, m.Progress(done=8_000, total=32_000))
        while bench.job().progress == 0:
            await asyncio.sleep(0.005)
        return fine()

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(speak)
        result = await runner.work(ID)
        json.dumps(result)  # the queue keeps it so
        found = bench.job()
        assert (found.state, found.attempt, found.progress, found.duration_ms) == (State.RUNNING, 1, 0.25, 2000)
        assert result is not None
        await runner.publish(ID, result)
        found = bench.job()
        assert (found.state, found.result_key, found.engine) == (State.DONE, result_key(ID, 1), "fake small")
        assert await bench.blobs.get(result_key(ID, 1)) == b"transcript"
        assert await bench.keys() == [result_key(ID, 1), media_key(ID)]
        (task,) = pool.tasks
        assert isinstance(task.message, m.Transcribe)
        assert task.message.path == str(bench.folder / "blobs" / media_key(ID))
        assert pool.keys == [KEY]

    check(go)
    stages = [line.partition(":")[0] for line in bench.log()]
    assert stages == ["0 accepted", "1 engine", "1 media", "1 recognise", "1 done"]
    assert bench.counted("jobs_finished", state="done") == 1
    assert bench.counted("audio_seconds", engine="fake") == 2


def test_a_child_gets_no_credentials(bench: Bench) -> None:
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en"},
        "notification_config": [
            {"url": "https://u:p@example.org/hook", "auth_headers": ["Authorization: Bearer hush"]}
        ],
        "tracking": {"title": "private"},
    }

    async def go() -> None:
        await bench.accept(json.dumps(config).encode())
        runner, pool = bench.runner(succeed)
        assert await runner.work(ID)
        assert not any(word in repr(pool.tasks) for word in ("hush", "example.org", "private"))

    check(go)


def test_a_job_that_is_done_or_gone_is_not_worked_on(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(succeed)
        result = await runner.work(ID)
        assert result
        await runner.publish(ID, result)
        assert await runner.work(ID) is None
        assert await runner.work("nosuchjob0") is None
        assert len(pool.tasks) == 1
        assert bench.job().state is State.DONE
        assert await bench.blobs.get(result_key(ID, 1))

    check(go)


# ── failures ──


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (Refused(Kind.INVALID_AUDIO, "no audio stream"), Reason.INVALID_AUDIO, "no audio stream"),
        (Refused(Kind.INVALID_CONFIG, "bad", at="x.y"), Reason.CONFIG, "x.y: bad"),
        (EngineUnavailable("cannot", at=None), Reason.LANGUAGE, "cannot"),
        (TaskCrashed("Traceback … secret"), Reason.ENGINE, REJECTED_BUG),
        (TaskCrashed("Traceback … secret", told="It failed"), Reason.ENGINE, "It failed"),
        (ValueError("a bug"), Reason.ENGINE, REJECTED_BUG),
        (KeyError("no such team"), Reason.ENGINE, REJECTED_BUG),
        (OSError("no errno: a bug"), Reason.ENGINE, REJECTED_BUG),
        (FileNotFoundError(2, "a file of ours is missing"), Reason.ENGINE, REJECTED_BUG),
        (RuntimeError("any other bug"), Reason.ENGINE, REJECTED_BUG),
    ],
)
def test_what_cannot_be_done_is_rejected_once(bench: Bench, error: Exception, reason: Reason, message: str) -> None:
    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(raising(error))
        assert await runner.work(ID) is None
        found = bench.job()
        assert (found.state, found.reason, found.failures) == (State.REJECTED, reason, 0)
        assert [entry.message for entry in found.errors] == [message]
        assert len(pool.tasks) == 1

    check(go)
    assert bench.counted("jobs_finished", state="rejected") == 1
    assert bench.log()[-1] == f"1 rejected: {message}"


def test_deaths_are_counted_apart_from_attempts_until_the_job_is_poison(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        for _ in range(4):
            bench.steal()  # restarts of the server, say
        runner, pool = bench.runner(die)
        assert await runner.work(ID) is None
        found = bench.job()
        assert (found.state, found.reason) == (State.REJECTED, Reason.POISON)
        assert (found.failures, found.attempt, len(pool.tasks)) == (3, 7, 3)
        assert "3 times" in found.errors[0].message

    check(go)
    assert bench.counted("engine_deaths") == 3


def test_a_death_below_the_limit_is_survived(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(die, die, succeed)
        result = await runner.work(ID)
        assert result
        await runner.publish(ID, result)
        found = bench.job()
        assert (found.state, found.failures, found.attempt, found.result_key) == (State.DONE, 2, 3, result_key(ID, 3))

    check(go)


def test_the_trouble_of_the_world_is_waited_out(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    troubles = [
        EngineTemporarilyUnavailable("no memory"),
        OSError(errno.ENOSPC, "no space"),
        OSError(errno.EROFS, "read-only"),
        sa.exc.OperationalError("x", None, Exception("away")),
    ]

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(*map(raising, troubles), succeed)
        result = await runner.work(ID)
        assert result
        assert bench.job().failures == 0

    with caplog.at_level(logging.WARNING):
        check(go)
    assert warnings(caplog) == ["attempt failed; trying again"] * len(troubles)


def test_a_config_that_no_key_opens_is_rejected(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        bench.encryptor = Encryptor([Fernet.generate_key()])
        runner, _ = bench.runner(succeed)
        assert await runner.work(ID) is None
        assert (bench.job().state, bench.job().reason) == (State.REJECTED, Reason.ENGINE)

    check(go)


def test_media_that_is_gone_is_rejected_and_holds_no_slot(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        await bench.blobs.delete(media_key(ID))
        runner, _ = bench.runner(succeed)
        assert await runner.work(ID) is None
        assert bench.job().state is State.REJECTED

    check(go)


def test_publishing_outlives_the_trouble_of_the_world(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = repository.finish
    calls = []

    def flaky(*arguments: Any, **named: Any) -> bool:
        calls.append(1)
        if len(calls) < 3:
            raise sa.exc.OperationalError("x", None, Exception("database is locked"))
        return honest(*arguments, **named)

    monkeypatch.setattr(repository, "finish", flaky)

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(succeed)
        result = await runner.work(ID)
        assert result
        await runner.publish(ID, result)
        assert bench.job().state is State.DONE

    check(go)


def test_work_goes_on_while_the_lease_cannot_be_renewed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = asyncio.Event()

    def away(*_: Any, **__: Any) -> bool:
        tried.set()
        raise sa.exc.OperationalError("x", None, Exception("away"))

    async def wait(task: Task, listen: Listener) -> Outcome:
        await gone(lambda: asyncio.sleep(0, tried.is_set()))
        return fine()

    monkeypatch.setattr(repository, "renew", away)

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(wait)
        assert await runner.work(ID)
        assert len(pool.tasks) == 1

    check(go)


# ── two attempts, and users who change their mind ──


def test_an_attempt_that_lost_its_lease_stops_its_child(bench: Bench) -> None:
    async def robbed(task: Task, listen: Listener) -> Outcome:
        await asyncio.to_thread(bench.steal)
        return await hang(task, listen)

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(robbed)
        assert await runner.work(ID) is None
        assert pool.cancelled == 1
        found = bench.job()
        assert (found.state, found.attempt, found.errors) == (State.RUNNING, 2, ())
        assert await bench.keys() == [media_key(ID)]

    check(go)


def test_a_run_presumed_dead_does_not_steal_the_job_back(bench: Bench) -> None:
    async def trouble(task: Task, listen: Listener) -> Outcome:
        await asyncio.to_thread(bench.steal)
        raise OSError("the disk was away for long")

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(trouble, succeed)
        assert await runner.work(ID) is None
        assert len(pool.tasks) == 1
        assert (bench.job().state, bench.job().attempt) == (State.RUNNING, 2)

    check(go)


@pytest.mark.parametrize("ending", [die, raising(Refused(Kind.INVALID_AUDIO, "no")), raising(TaskCrashed("bug"))])
def test_the_verdict_of_a_lost_attempt_does_not_count(bench: Bench, ending: Script) -> None:
    async def robbed(task: Task, listen: Listener) -> Outcome:
        await asyncio.to_thread(bench.steal)
        return await ending(task, listen)

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(robbed)
        assert await runner.work(ID) is None
        found = bench.job()
        assert (found.state, found.attempt, found.failures, found.errors) == (State.RUNNING, 2, 0, ())
        assert len(pool.tasks) == 1

    check(go)
    assert bench.counted("jobs_finished", state="rejected") == 0


async def newest(task: Task, listen: Listener) -> Outcome:
    return fine(b"newer")


def test_a_late_result_is_refused_and_removed(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        slow, _ = bench.runner(succeed)
        late = await slow.work(ID)
        quick, _ = bench.runner(newest, owner="two")
        newer = await quick.work(ID)
        assert late
        assert newer
        await slow.publish(ID, late)  # before the winner
        assert bench.job().state is State.RUNNING
        assert await bench.keys() == [result_key(ID, 2), media_key(ID)]
        await quick.publish(ID, newer)
        await slow.publish(ID, late)  # and after
        assert bench.job().result_key == result_key(ID, 2)
        assert await bench.blobs.get(result_key(ID, 2)) == b"newer"
        assert await bench.keys() == [result_key(ID, 2), media_key(ID)]

    check(go)
    assert bench.counted("jobs_finished", state="done") == 1


def test_publishing_twice_keeps_the_result(bench: Bench) -> None:
    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(succeed)
        result = await runner.work(ID)
        assert result
        await runner.publish(ID, result)
        before = bench.job()
        await bench.blobs.put(f"{WINDOWS}fake-small/000-000000000000000", b"left by a kill after the commit")
        await runner.publish(ID, result)
        assert bench.job() == before
        assert await bench.keys() == [result_key(ID, 1), media_key(ID)]

    check(go)


def test_a_job_deleted_in_mid_work_leaves_nothing(bench: Bench) -> None:
    async def deleted(task: Task, listen: Listener) -> Outcome:
        await asyncio.to_thread(bench.remove)
        await bench.blobs.delete_prefix(f"jobs/{ID}/")
        await off_thread(listen, m.WindowDone(channel=0, start=0, end=10), b"late")
        await off_thread(listen, m.Stage(name="recognise", note="of a tombstone"))
        return await hang(task, listen)

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(deleted)
        assert await runner.work(ID) is None
        assert pool.cancelled == 1
        assert bench.job().state is State.DELETED
        assert await bench.keys() == []

    check(go)
    assert bench.log() == []


@pytest.mark.parametrize("ending", [succeed, die, raising(Refused(Kind.INVALID_AUDIO, "no"))])
def test_a_job_deleted_just_before_its_end_leaves_nothing(bench: Bench, ending: Script) -> None:
    async def deleted(task: Task, listen: Listener) -> Outcome:
        await off_thread(listen, m.WindowDone(channel=0, start=0, end=10), b"late")
        await asyncio.to_thread(bench.remove)
        return await ending(task, listen)

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(deleted)
        if result := await runner.work(ID):
            await runner.publish(ID, result)
        assert bench.job().state is State.DELETED
        assert await bench.keys() == []

    check(go)
    assert bench.log() == []


def test_a_lease_lost_at_the_very_end_is_no_cancellation(bench: Bench) -> None:
    """Whichever comes first, the child's end or the heartbeat that finds the job gone: `work` ends in good order."""

    async def one(number: int) -> None:
        job_id = f"job{number:07}"

        async def deleted(task: Task, listen: Listener) -> Outcome:
            await bench.database.write(lambda connection: repository.make_tombstone(connection, job_id, Event.REMOVED))
            await asyncio.sleep(number * 0.0005)
            return fine()

        await bench.accept(job_id=job_id)
        runner, _ = bench.runner(deleted)
        if result := await runner.work(job_id):
            await runner.publish(job_id, result)
        assert bench.job(job_id).state is State.DELETED
        assert await bench.blobs.keys(f"jobs/{job_id}/") == []

    async def go() -> None:
        for number in range(60):
            await one(number)

    check(go)


@pytest.mark.parametrize("removed", [False, True])
def test_cancelling_stops_the_child_and_sweeps_only_a_removed_job(bench: Bench, removed: bool) -> None:
    async def go() -> None:
        await bench.accept()
        started = asyncio.Event()

        async def run(task: Task, listen: Listener) -> Outcome:
            started.set()
            return await hang(task, listen)

        runner, pool = bench.runner(run)
        work = asyncio.create_task(runner.work(ID))
        await started.wait()
        if removed:
            bench.remove()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert pool.cancelled == 1
        assert await bench.keys() == ([] if removed else [media_key(ID)])
        assert bench.job().failures == 0
        assert len(asyncio.all_tasks()) == 1  # this one

    check(go)


# ── windows ──


def test_nothing_of_the_config_reaches_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        await bench.accept(b'{"type": "transcription", "hush": ')
        runner, _ = bench.runner(succeed)
        assert await runner.work(ID) is None
        assert bench.job().state is State.REJECTED

    with caplog.at_level(logging.DEBUG):
        check(go)
    with bench.database.reading() as connection:
        assert connection.execute(sa.select(t.jobs.c.failures)).scalar_one() == 0
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    "error", [TaskCrashed("no such file"), FileNotFoundError("input"), Refused(Kind.INVALID_AUDIO)]
)
def test_a_deletion_under_an_attempt_is_no_error(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The attempt finds its media or folder gone before its heartbeat says why."""

    async def deleted(task: Task, listen: Listener) -> Outcome:
        bench.remove()
        await bench.blobs.delete_prefix(f"jobs/{ID}/")
        raise error

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(deleted)
        with caplog.at_level(logging.INFO):
            assert await runner.work(ID) is None
        assert await bench.keys() == []

    check(go)
    assert warnings(caplog) == []
    assert any("or it was removed" in record.message for record in caplog.records)

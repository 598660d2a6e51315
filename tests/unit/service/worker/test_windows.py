"""Windows of long media: kept, handed to the next attempt, removed at the end."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Listener, Outcome, ProcessDied, Task
from sottovoce.service.queue import retry
from sottovoce.service.storage.blob_keys import media_key
from tests.unit.service.service_values import migrated, off_thread
from tests.unit.service.worker.job_runner_values import ID, WINDOWS, Bench, check, gone, hang, succeed


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(retry, "BACKOFF", 0.01)
    with migrated(tmp_path) as database:
        yield Bench(database, tmp_path)


async def _say_windows(listen: Listener, *ends: int, channel: int = 0) -> None:
    start = 0
    for end in ends:
        await off_thread(listen, m.WindowDone(channel=channel, start=start, end=end), f"{channel}:{start}".encode())
        start = end


def test_windows_are_kept_and_handed_to_the_next_attempt_and_then_removed(bench: Bench) -> None:
    async def two_windows(task: Task, listen: Listener) -> Outcome:
        await _say_windows(listen, 100, 250)
        await gone(lambda: _stored(bench, 2))
        raise ProcessDied("killed")

    async def go() -> None:
        await bench.accept()
        runner, pool = bench.runner(two_windows, succeed)
        result = await runner.work(ID)
        second = pool.tasks[1]
        assert [(w.start, w.end, payload) for w, payload in second.windows] == [(0, 100, b"0:0"), (100, 250, b"0:100")]
        assert isinstance(second.message, m.Transcribe)
        assert second.message.windows == 2
        assert result
        assert len(await bench.blobs.keys(WINDOWS)) == 2
        await runner.publish(ID, result)
        assert await bench.blobs.keys(WINDOWS) == []

    check(go)


async def _stored(bench: Bench, count: int) -> bool:
    return len(await bench.blobs.keys(WINDOWS)) == count


def test_windows_of_another_engine_are_ignored(bench: Bench) -> None:
    async def one_window(task: Task, listen: Listener) -> Outcome:
        await _say_windows(listen, 100)
        await gone(lambda: _stored(bench, 1))
        return await hang(task, listen)

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(one_window)
        work = asyncio.create_task(runner.work(ID))
        await gone(lambda: _stored(bench, 1))
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        other, pool = bench.runner(succeed, engine="other")
        result = await other.work(ID)
        assert pool.tasks[0].windows == []
        assert result
        await other.publish(ID, result)
        assert await bench.blobs.keys(WINDOWS) == []  # all engines'

    check(go)


def frame(start: int, end: int, channel: int = 0) -> bytes:
    return m.encode(m.WindowDone(channel=channel, start=start, end=end), f"{channel}:{start}".encode())


@pytest.mark.parametrize(
    ("stored", "handed"),
    [
        ({"000-0": frame(0, 10), "000-2": frame(20, 30)}, [(0, 0)]),  # a gap
        ({"000-1": frame(10, 20)}, []),  # no beginning
        ({"000-0": frame(0, 10), "001-0": frame(0, 5, 1), "001-1": frame(5, 9, 1)}, [(0, 0), (1, 0), (1, 5)]),
        ({"000-0": frame(0, 10)[:-1], "000-1": frame(10, 20)}, []),  # cut short
        ({"000-0": b""}, []),
        ({"000-0": b"\0\0\0"}, []),
        ({"000-0": b"not a frame at all"}, []),
        ({"000-0": m.encode(m.Finished())}, []),  # not a window
    ],
)
def test_only_an_unbroken_chain_is_handed_on(
    bench: Bench, stored: dict[str, bytes], handed: list[tuple[int, int]]
) -> None:
    async def go() -> None:
        await bench.accept()
        for name, data in stored.items():
            await bench.blobs.put(f"{WINDOWS}fake-small/{name}", data)
        runner, pool = bench.runner(succeed)
        assert await runner.work(ID)
        assert [(window.channel, window.start) for window, _ in pool.tasks[0].windows] == handed

    check(go)


def test_rejected_jobs_keep_no_windows(bench: Bench) -> None:
    async def one_window(task: Task, listen: Listener) -> Outcome:
        await _say_windows(listen, 100)
        await gone(lambda: _stored(bench, 1))
        raise Refused(Kind.INVALID_AUDIO, "broken in the middle")

    async def go() -> None:
        await bench.accept()
        runner, _ = bench.runner(one_window)
        assert await runner.work(ID) is None
        assert await bench.keys() == [media_key(ID)]

    check(go)

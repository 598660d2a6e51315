"""The media of a job for pages that play it: stored beside the job, never a reason for its failure."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sottovoce.errors import MediaUnreadable
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Listener, Outcome, Task, TaskCrashed
from sottovoce.service.worker.playback import PlaybackMaker
from tests.unit.service.service_values import FakePool, Script, migrated
from tests.unit.service.worker.job_runner_values import Bench, check, raising

EBML = b"\x1a\x45\xdf\xa3" * 100_000


async def copied(task: Task, listen: Listener) -> Outcome:
    assert isinstance(task.message, m.PreparePlayback)
    await asyncio.to_thread(Path(task.message.target).write_bytes, EBML)
    return Outcome(finished=m.Finished(), payload=b"peaks")


async def played_as_it_is(task: Task, listen: Listener) -> Outcome:
    return Outcome(finished=m.Finished(), payload=b"peaks")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with migrated(tmp_path) as database:
        yield Bench(database, tmp_path)


def made(bench: Bench, script: Script) -> dict[str, bytes]:
    found: dict[str, bytes] = {}

    async def go() -> None:
        await bench.accept()
        scratch = bench.folder / "tmp" / "one"
        await PlaybackMaker(FakePool(script), bench.blobs).make(bench.job(), bench.folder / "media", scratch)  # type: ignore[arg-type]
        assert not scratch.exists()
        for key in await bench.keys():
            found[key.rpartition("/")[2]] = await bench.blobs.get(key)

    check(go)
    return found


def test_peaks_and_a_copy_are_stored_with_the_job(bench: Bench) -> None:
    assert made(bench, copied) == {"input": b"media", "peaks": b"peaks", "playback": EBML}


def test_media_that_browsers_play_gets_no_copy(bench: Bench) -> None:
    assert made(bench, played_as_it_is) == {"input": b"media", "peaks": b"peaks"}


@pytest.mark.parametrize("error", [MediaUnreadable("no audio"), TaskCrashed("a trace"), OSError("disk full")])
def test_a_failure_leaves_the_job_as_it_is(bench: Bench, error: Exception) -> None:
    assert made(bench, raising(error)) == {"input": b"media"}

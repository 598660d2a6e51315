"""Results of done jobs that the store lost or damaged: a fault that operators see, never an answer "expired"."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.job import Event, JobType
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.results import ResultLost
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.notifications import model
from sottovoce.service.storage.blob_keys import text_key
from tests.listeners import Reply, listening
from tests.unit.service.task_values import CONFIG, ID, Region, going_out, region_in


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def test_a_missing_result_of_a_done_job_is_a_fault_of_ours(region: Region, caplog: pytest.LogCaptureFixture) -> None:
    """Neither expired nor removed: an operator must see it."""
    region.accept(CONFIG)
    asyncio.run(region.end())
    job = region.job()
    asyncio.run(region.blobs.delete(str(job.result_key)))
    with pytest.raises(ResultLost):
        asyncio.run(region.results.stored(job))
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.message == "result of a done job is missing"
    assert region.counted("results_lost", why="missing") == 1
    with region.database.writing() as connection:
        assert repository.make_tombstone(connection, ID, Event.REMOVED)
    with pytest.raises(Refused) as refused:  # it was removed between the read of the row and that of the blob
        asyncio.run(region.results.stored(job))
    assert refused.value.kind is Kind.FILE_EXPIRED


@pytest.mark.parametrize("part", [slice(0), slice(20), slice(-1), slice(1, None)])
def test_a_damaged_result_of_a_done_job_is_a_fault_of_ours(
    region: Region, caplog: pytest.LogCaptureFixture, part: slice
) -> None:
    region.accept(CONFIG)
    asyncio.run(region.end())
    job = region.job()
    whole = asyncio.run(region.blobs.get(str(job.result_key)))
    asyncio.run(region.blobs.put(str(job.result_key), whole[part]))
    view = V1ViewBuilder(region.encryptor, region.results, region.large_work)
    for read in (region.results.rendered(job, "txt"), view.transcript(job, "txt", user_id=1)):
        with pytest.raises(ResultLost):
            asyncio.run(read)
    lines = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [line.message for line in lines] == ["result of a done job cannot be read"] * 2
    assert (lines[0].__dict__["job"], lines[0].__dict__["blob"]) == (job.id, job.result_key)
    assert region.counted("results_lost", why="unreadable") == 2


def test_a_damaged_alignment_is_a_fault_of_ours(region: Region) -> None:
    region.accept({"type": "alignment", "alignment_config": {"language": "en"}}, type=JobType.ALIGNMENT)
    asyncio.run(region.end())
    job = region.job()
    with pytest.raises(ResultLost):  # its text is missing
        asyncio.run(region.results.text(job))
    asyncio.run(region.blobs.put(text_key(ID), b"hello"))
    with pytest.raises(ResultLost):  # it is a transcript
        asyncio.run(region.results.aligned(job, "one_per_line"))
    assert (region.counted("results_lost", why="missing"), region.counted("results_lost", why="unreadable")) == (1, 1)


def test_a_notification_about_a_lost_result_is_a_fault_of_ours(region: Region) -> None:
    with listening(lambda _asked, _number: Reply(status=200)) as there:
        region.accept({**CONFIG, "notification_config": [{"url": there.url, "contents": ["transcript"]}]})
        (posted,) = asyncio.run(region.end())
        asyncio.run(region.blobs.delete(str(region.job().result_key)))
        going_out(lambda outbound: region.sender(outbound).attempt(posted.id, 1), "127.0.0.1")
        assert there.heard == []
    (told,) = region.told()
    assert (told.state, told.outcome) == (model.State.FAILED, model.INTERNAL)
    assert region.counted("internal_errors", where="delivery") == 1

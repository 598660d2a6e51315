"""What answers about jobs are made of: the submitted text as it is, large configs in small batches and in other threads."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sottovoce.inference import messages as m
from sottovoce.job import Event
from sottovoce.service.jobs import repository, results
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import ProgressReader
from sottovoce.service.large_work import SMALL
from sottovoce.service.storage.blob_keys import progress_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript import codec
from sottovoce.transcript.model import Word
from sottovoce.wire.v2.job import job_object
from tests.unit.service.service_values import CALLER, new_job
from tests.unit.service.task_values import Region, region_in

LARGE = b'{"tracking": {"details": "' + b"x" * 300_000 + b'"}}'


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def add(region: Region, job_id: str, config: bytes) -> None:
    new = new_job(job_id, config=region.encryptor.encrypt(config))
    with region.database.writing() as connection:
        repository.insert(connection, new)


def found(region: Region) -> list[Job]:
    with region.database.reading() as connection:
        return repository.list_recent(connection, CALLER, limit=100)


def listed(region: Region, jobs: list[Job]) -> list[bytes]:
    """The pieces of the list of *jobs*."""

    async def collect() -> list[bytes]:
        render = region.results.shown_whole
        return [piece async for piece in region.results.listed(jobs, lambda job: orjson.dumps(job_object(render(job))))]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    "text",
    [b'{"a": 1,  "a": 2}', b'{"a": 1.50, "b": 1E3}', b'{"\\u00e4": "\\u00e4"}', '{\n\t"ä": []\n}'.encode(), b"{}"],
)
def test_an_answer_has_the_submitted_text_as_it_is(region: Region, text: bytes) -> None:
    add(region, "one", b"\xef\xbb\xbf \n" + text + b"\n")
    (job,) = found(region)
    view = asyncio.run(region.results.shown(job))
    assert b'"config":' + text + b"," in orjson.dumps(job_object(view))


def test_reads_of_several_jobs_leave_large_configs_out(region: Region) -> None:
    add(region, "large", LARGE)
    add(region, "small", b"{}")
    small, large = found(region)
    with region.database.reading() as connection:
        by_number = repository.by_number(connection, large.v1_id)
        assert repository.get_many(connection, ["large"])["large"] == by_number == large
        whole = repository.get_many(connection, ["large"], whole=True)["large"]
        assert repository.get(connection, "large") == whole
    assert small.whole
    assert not large.whole
    assert replace(whole, config=None) == large
    assert asyncio.run(region.results.whole(large)) == whole


def test_a_list_reads_large_configs_in_batches(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        add(region, f"large{number}", LARGE)
    jobs, sizes = found(region), []
    read = repository.get_many

    def counted(connection: Any, ids: list[str], *, whole: bool = False) -> dict[str, Job]:
        sizes.append(len(ids))
        return read(connection, ids, whole=whole)

    monkeypatch.setattr(repository, "get_many", counted)
    pieces = listed(region, jobs)
    assert sizes == [2, 2, 2, 1]  # of 400 kB each, encrypted
    assert 2 * jobs[0].config_bytes < results.BATCH
    shown = json.loads(b"[" + b",".join(pieces) + b"]")
    assert [job["id"] for job in shown] == [f"large{number}" for number in reversed(range(7))]
    assert all(job["config"] == json.loads(LARGE) for job in shown)


def test_a_job_that_is_removed_while_a_list_is_made_is_not_in_it(region: Region) -> None:
    add(region, "gone", LARGE)
    add(region, "stays", LARGE)
    jobs = found(region)
    with region.database.writing() as connection:
        assert repository.make_tombstone(connection, "gone", Event.REMOVED)
    shown = json.loads(b"[" + b",".join(listed(region, jobs)) + b"]")
    assert [job["id"] for job in shown] == ["stays"]


def test_large_configs_are_decrypted_away_from_the_event_loop(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    add(region, "large", LARGE)
    add(region, "small", b"{}")
    decrypt, here = Encryptor.decrypt, []

    def watched(self: Encryptor, encrypted: bytes) -> bytes:
        if threading.current_thread() is threading.main_thread():
            here.append(len(encrypted))
        return decrypt(self, encrypted)

    monkeypatch.setattr(Encryptor, "decrypt", watched)

    async def both() -> None:
        for job in found(region):
            await region.results.shown(job)

    asyncio.run(both())
    assert len(here) == 1
    assert here[0] < SMALL
    listed(region, found(region))
    assert len(here) == 1


def test_small_configs_are_decrypted_once(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    add(region, "small", b'{"a": 1}')
    (job,) = found(region)
    first = region.results.view(job)
    monkeypatch.setattr(Encryptor, "decrypt", lambda *_: pytest.fail("decrypted again"))
    assert region.results.view(job) == first


# ── the result of a running job so far ──


def _stored_stretch(start: int, end: int, text: str) -> bytes:
    word = Word(text=text, start=start, end=end)
    return m.encode(m.StretchDone(start=start, end=end, language="en"), codec.dump_items([word]))


def test_stretches_are_read_once_in_the_order_of_the_media(tmp_path):
    async def run() -> None:
        blobs = Blobs.open(f"file://{tmp_path}", {})
        reader = ProgressReader(blobs, "a")
        assert await reader.more() == []
        for start, end, text in ((2000, 3000, "b"), (0, 1000, "a")):
            await blobs.put(progress_key("a", start), _stored_stretch(start, end, text))
        assert [each.items[0].text for each in await reader.more()] == ["a", "b"]
        assert (await reader.more(), reader.end) == ([], 3000)
        await blobs.put(progress_key("a", 2500), _stored_stretch(2500, 3500, "again"))  # of a later attempt
        await blobs.put(progress_key("a", 3500), b"of another release")
        await blobs.put(progress_key("a", 4000), _stored_stretch(4000, 5000, "c"))
        await blobs.put(progress_key("b", 9000), _stored_stretch(9000, 9001, "of another job"))
        assert [each.items[0].text for each in await reader.more()] == ["c"]
        assert reader.end == 5000

    asyncio.run(run())

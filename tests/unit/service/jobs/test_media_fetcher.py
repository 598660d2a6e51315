# ruff: noqa: ASYNC110 - polling is what a test can do
"""Fetching from servers on real sockets."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.job import Reason, State
from sottovoce.outbound import Outbound
from sottovoce.outbound.policy import NOT_ALLOWED
from sottovoce.service.jobs import media_fetcher, repository
from sottovoce.service.jobs.media_fetcher import FetchPolicy
from sottovoce.service.limits.quotas import Disk, Quota
from sottovoce.service.queue import retry
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.service.storage.blobs import Blobs, BlobWriter
from tests.unit.outbound.receivers import Receiver, answer, canary, endless, hear, receiving, redirect, says
from tests.unit.service.task_values import CONFIG, ID, MEDIA, Region, going_out, region_in

SERVED = says(answer(MEDIA))
ALIGNMENT = {"type": "alignment", "alignment_config": {"language": "en"}}


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    monkeypatch.setattr(retry, "BACKOFF", 0.01)
    with region_in(tmp_path) as made:
        yield made


def accept(region: Region, source: dict[str, Any], **more: Any) -> None:
    config = {**CONFIG, "fetch_data": source, **more}
    region.accept(config, data_name="", media_bytes=0, fetched=True)


async def blobs_of(region: Region) -> list[str]:
    return await region.blobs.keys("jobs/")


# ── success ──


def test_media_is_fetched_stored_and_handed_to_the_recognisers(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(SERVED) as there:
            accept(region, {"url": there.url("/a.wav?x=1"), "auth_headers": ["Authorization: Bearer hush"]})
            assert region.queue.submitted == []
            await region.fetcher(outbound).attempt(ID, 1)
        (heard,) = there.heard
        assert heard.line == "GET /a.wav?x=1 HTTP/1.1"
        assert heard.header("user-agent") == "Speechmatics-API/2.0"
        assert heard.header("authorization") == "Bearer hush"
        assert await region.blobs.get(media_key(ID)) == MEDIA
        assert await blobs_of(region) == [media_key(ID)], "nothing is left of the way there"

    going_out(go)
    found = region.job()
    assert (found.state, found.fetch_attempts, found.fetch_at) == (State.QUEUED, None, None)
    assert (found.media_bytes, found.data_name, found.errors) == (len(MEDIA), "", ())
    assert region.queue.submitted == [ID]
    assert region.counted("fetches", outcome="done") == 1
    assert b"hush" not in region.everything()


def test_redirects_are_followed_without_the_callers_headers(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(SERVED) as there, receiving(says(redirect(there.url("/b.wav")))) as here:
            accept(region, {"url": here.url(), "auth_headers": ["X-Secret: hush"]})
            await region.fetcher(outbound).attempt(ID, 1)
        assert here.heard[0].header("x-secret") == "hush"
        assert there.heard[0].header("x-secret") is None

    going_out(go)
    assert region.queue.submitted == [ID]


def test_an_alignment_fetches_media_and_text_once_each(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(SERVED) as media, receiving(says(answer(status="500 No"), answer(b"words"))) as text:
            sources = {"fetch_data": {"url": media.url()}, "fetch_text": {"url": text.url()}}
            region.accept({**ALIGNMENT, **sources}, data_name="", fetched=True)
            fetcher = region.fetcher(outbound)
            await fetcher.attempt(ID, 1)
            assert region.errors() == ["unable to fetch text: http status code 500"]
            await fetcher.attempt(ID, 2)
        assert (len(media.heard), len(text.heard)) == (1, 2)
        assert await region.blobs.get(text_key(ID)) == b"words"

    going_out(go)
    assert region.queue.submitted == [ID]


# ── failures (contract §4, §6.3) ──


def test_the_contracts_story_of_four_attempts_and_a_fetch_error(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(says(answer(status="404 Not Found"))) as there:
            accept(region, {"url": there.url()}, notification_config=[{"url": "https://e.org/", "contents": []}])
            fetcher = region.fetcher(outbound)
            for number in range(1, 4):
                await fetcher.attempt(ID, number)
                assert region.job().state is State.QUEUED
            assert region.told() == []
            await fetcher.attempt(ID, 4)
        assert len(there.heard) == 4
        assert await blobs_of(region) == []

    going_out(go)
    found = region.job()
    assert (found.state, found.reason) == (State.REJECTED, Reason.FETCH)
    assert found.finished_at is not None
    assert found.delete_at is not None
    assert region.errors() == ["unable to fetch audio: http status code 404"] * 4
    (told,) = region.told()
    assert told.status == "fetch_error"
    assert region.queue.sent == [
        ("fetch", ID, 2, 2.0),
        ("fetch", ID, 3, 10.0),
        ("fetch", ID, 4, 20.0),
        ("delivery", told.id, 1, 0.0),
    ]
    assert region.queue.submitted == []
    assert [region.counted("fetches", outcome=word) for word in ("retried", "failed")] == [3, 1]


async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    receiver.heard.append(await hear(reader))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(5000))


async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    receiver.heard.append(await hear(reader))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(5000))
    await writer.drain()
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (says(answer(status="503 No")), "http status code 503"),
        (says(answer(status="204 Nothing") + b""), None),
        (says(answer(status="304 Same")), "http status code 304"),
        (short, "the connection was closed before the answer was complete"),
        (stuck, "not finished within 1 seconds"),
        (says(b"hello\r\n\r\n"), "the answer is not well-formed HTTP"),
    ],
    ids=["503", "204", "304", "short", "stuck", "no HTTP"],
)
def test_what_is_not_whole_is_not_stored_and_tried_again(region: Region, script: Any, error: str | None) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(script) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound, FetchPolicy(seconds=1.0)).attempt(ID, 1)
        assert await blobs_of(region) == ([media_key(ID)] if error is None else [])

    going_out(go)
    assert region.errors() == ([] if error is None else [f"unable to fetch audio: {error}"])
    assert bool(region.queue.submitted) is (error is None)


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_an_upload_may_be_is_rejected_at_once(region: Region, announced: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 100000\r\n\r\n" if announced else b"\r\n")

    async def go(outbound: Outbound) -> None:
        async with receiving(endless(head, bytes(1000))) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound, FetchPolicy(media_bytes=5000)).attempt(ID, 1)
        assert await blobs_of(region) == []

    going_out(go)
    assert region.job().state is State.REJECTED
    assert region.errors() == ["unable to fetch audio: the answer is larger than 5000 bytes"]


def test_what_the_policy_forbids_is_rejected_at_once_and_reaches_nobody(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with canary() as forbidden, receiving(says(redirect(forbidden.url(host="127.0.0.2")))) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound).attempt(ID, 1)

    going_out(go)
    assert region.job().state is State.REJECTED
    assert region.errors() == [f"unable to fetch audio: {NOT_ALLOWED}"]


@pytest.mark.parametrize("full", ["disk", "quota"])
def test_where_there_is_no_room_nothing_is_stored(region: Region, full: str) -> None:
    disk = Disk(root=region.folder, reserve=1 << 60) if full == "disk" else None
    policy = FetchPolicy(quota=Quota(stored_bytes=100)) if full == "quota" else FetchPolicy()

    async def go(outbound: Outbound) -> None:
        async with receiving(SERVED) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound, policy, disk).attempt(ID, 1)
        assert await blobs_of(region) == []

    going_out(go)
    found = region.job()
    assert (found.state, found.fetch_attempts) == (State.QUEUED, 1), "there may be room later"
    assert region.errors()[0].startswith("unable to fetch audio: ")


def test_a_config_that_no_key_opens_is_rejected(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        accept(region, {"url": "https://e.org"})
        await Region(region.database, region.folder).fetcher(outbound).attempt(ID, 1)

    going_out(go)
    assert region.job().state is State.REJECTED


# ── once, and only while it is wanted ──


def test_an_attempt_is_recorded_once(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(says(answer(status="500 No"))) as there:
            accept(region, {"url": there.url()})
            fetcher = region.fetcher(outbound)
            await asyncio.gather(*(fetcher.attempt(ID, 1) for _ in range(3)))
            await fetcher.attempt(ID, 1)
            await fetcher.attempt(ID, 3)
        assert len(there.heard) <= 3

    going_out(go)
    assert len(region.errors()) == 1
    assert region.queue.sent == [("fetch", ID, 2, 2.0)]


def test_a_slow_attempt_takes_nothing_from_the_one_that_was_quicker(region: Region) -> None:
    """An attempt presumed dead fails after another one has fetched everything: what that one stored stays."""
    fetched = asyncio.Event()

    async def first_slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        if len(receiver.heard) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
            await writer.drain()
            await fetched.wait()  # and then the connection is closed in mid-body
        else:
            writer.write(answer(MEDIA))

    async def go(outbound: Outbound) -> None:
        async with receiving(first_slow) as there:
            accept(region, {"url": there.url()})
            fetcher = region.fetcher(outbound)
            slow = asyncio.create_task(fetcher.attempt(ID, 1))
            while not there.heard:
                await asyncio.sleep(0.01)
            await fetcher.attempt(ID, 1)
            assert await blobs_of(region) != []
            fetched.set()
            await slow
        assert await blobs_of(region) == [media_key(ID)]
        assert await region.blobs.get(media_key(ID)) == MEDIA

    going_out(go)
    assert region.queue.submitted == [ID]
    assert region.errors() == []


def test_a_job_removed_in_mid_fetch_keeps_no_bytes(region: Region) -> None:
    async def remover(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        await asyncio.to_thread(region.remove)
        writer.write(answer(MEDIA))

    async def go(outbound: Outbound) -> None:
        async with receiving(remover) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound).attempt(ID, 1)
        assert await blobs_of(region) == []

    going_out(go)
    assert region.queue.submitted == []
    assert region.job().errors == ()


def test_a_cancelled_attempt_leaves_nothing(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(stuck) as there:
            accept(region, {"url": there.url()})
            task = asyncio.create_task(region.fetcher(outbound).attempt(ID, 1))
            while not there.heard:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await blobs_of(region) == []

    going_out(go)
    assert region.job().fetch_attempts == 0


def test_our_own_trouble_is_waited_out_and_counts_for_nothing(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = [OSError(errno.EROFS, "the store is away")]
    close = BlobWriter.close

    async def troubled(self: BlobWriter) -> None:
        if trouble:
            raise trouble.pop()
        await close(self)

    monkeypatch.setattr(BlobWriter, "close", troubled)

    async def go(outbound: Outbound) -> None:
        async with receiving(SERVED) as there:
            accept(region, {"url": there.url()})
            await region.fetcher(outbound).attempt(ID, 1)
        assert len(there.heard) == 2

    going_out(go)
    assert not trouble
    assert region.errors() == []
    assert region.queue.submitted == [ID]


# ── starting, looking, trying again ──


def test_a_job_to_be_fetched_is_started_as_one(region: Region) -> None:
    accept(region, {"url": "https://e.org"})
    with region.database.writing() as connection:
        media_fetcher.start(connection, region.queue, region.job())
    assert region.queue.sent == [("fetch", ID, 1, 0.0)]
    assert region.queue.submitted == []
    assert media_fetcher.entry(region.job()) == f"{ID}-fetch-1"


def test_a_job_with_its_media_is_started_at_the_recognisers(region: Region) -> None:
    region.accept(CONFIG)
    with region.database.writing() as connection:
        media_fetcher.start(connection, region.queue, region.job())
    assert (region.queue.sent, region.queue.submitted) == ([], [ID])
    assert media_fetcher.entry(region.job()) is None


def test_a_retried_job_is_fetched_again_with_all_its_attempts(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(says(answer(status="404 No"), answer(MEDIA))) as there:
            accept(region, {"url": there.url()})
            fetcher = region.fetcher(outbound, FetchPolicy(pauses=()))
            await fetcher.attempt(ID, 1)
            assert region.job().state is State.REJECTED
            with region.database.writing() as connection:
                found = repository.retry(connection, ID)
            assert found is not None
            assert found.fetch_attempts == 0
            await fetcher.attempt(ID, 1)
        assert region.errors() == []

    going_out(go)
    assert region.queue.submitted == [ID]


def test_overdue_is_what_should_have_been_recorded_by_now(region: Region) -> None:
    accept(region, {"url": "https://e.org"})
    with region.database.reading() as connection:
        assert media_fetcher.overdue(connection, 60_000, 10) == []
        assert media_fetcher.overdue(connection, -1000, 10) == [(ID, 1)]


def test_nobody_takes_a_job_for_stranded_while_it_is_fetched(region: Region) -> None:
    accept(region, {"url": "https://e.org"})
    with region.database.reading() as connection:
        assert repository.abandoned(connection, stranded_ms=-1000, limit=10) == []


def test_blobs_move_whole(tmp_path: Path) -> None:
    async def go() -> None:
        blobs = Blobs.open(f"file://{tmp_path}/b", {})
        await blobs.put("a/one", b"1")
        await blobs.put("a/two", b"22")
        await blobs.move("a/one", "a/two")
        assert await blobs.keys("a/") == ["a/two"]
        assert (await blobs.get("a/two"), await blobs.size("a/two")) == (b"1", 1)

    asyncio.run(go())


def test_no_secret_of_a_fetch_is_stored_in_the_open(region: Region) -> None:
    accept(region, {"url": "https://e.org/?token=hush", "auth_headers": ["X: hush"]})
    assert b"hush" not in region.everything()

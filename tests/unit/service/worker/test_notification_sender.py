"""One attempt after another against receivers on real sockets."""

import asyncio
import email
import email.policy
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.job import Event, Reason
from sottovoce.outbound import Outbound
from sottovoce.service.email.smtp import Mail
from sottovoce.service.jobs import repository
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Delivery, State
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.queue import retry
from sottovoce.service.storage.blob_keys import media_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.worker.notification_sender import DELIVERY_ID
from sottovoce.wire.notifications.signatures import Signing
from tests.unit.outbound.receivers import Heard, Receiver, answer, canary, endless, hear, receiving, redirect, says
from tests.unit.service.task_values import ID, MEDIA, Region, going_out, region_in

OK = says(answer())
QUICK = SendPolicy(timeout=0.5)
KEY = b"k" * 32


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    monkeypatch.setattr(retry, "BACKOFF", 0.01)
    with region_in(tmp_path) as made:
        yield made


def form(heard: Heard) -> dict[str, tuple[str, str, Any]]:
    """The parts of a form as the standard library's mail parser reads them: name to file name, type and content."""
    head = f"Content-Type: {heard.header('content-type')}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + heard.body, policy=email.policy.HTTP)
    assert message.is_multipart()
    found = {}
    for part in message.iter_parts():
        name = str(part["content-disposition"].params["name"])
        found[name] = (str(part.get_filename()), part.get_content_type(), part.get_payload(decode=True))
    return found


async def attempted(region: Region, outbound: Outbound, policy: SendPolicy | None = None) -> list[Delivery]:
    """Every waiting delivery attempted once, all at the same time."""
    sender = region.sender(outbound, policy)
    waiting = [each for each in region.told() if each.state is State.WAITING]
    await asyncio.gather(*(sender.attempt(each.id, each.attempts + 1) for each in waiting))
    return region.told()


# ── what arrives ──


def test_a_transcript_arrives_with_everything_that_the_contract_names(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media(
                {
                    "url": there.url("/hook?mine=1"),
                    "contents": ["transcript"],
                    "auth_headers": ["Authorization: Bearer hush", "X-Extra: yes"],
                }
            )
            (posted,) = await region.end()
            (told,) = await attempted(region, outbound)
        (heard,) = there.heard
        assert heard.line == f"POST /hook?mine=1&id={ID}&status=success HTTP/1.1"
        assert heard.header("user-agent") == "Speechmatics-API/2.0"
        assert heard.header("content-type") == "application/json"
        assert heard.header("authorization") == "Bearer hush"
        assert heard.header("x-extra") == "yes"
        assert heard.header(DELIVERY_ID) == posted.id
        assert heard.header("webhook-signature") is None
        assert int(heard.header("content-length") or 0) == len(heard.body)
        body = json.loads(heard.body)
        assert body["job"]["id"] == ID
        assert body["results"][0]["alternatives"][0]["content"] == "hello"
        assert (told.state, told.attempts, told.outcome) == (State.DELIVERED, 1, "Response status: 200")

    going_out(go)
    assert region.errors() == []
    assert "INFO notification: http://127.0.0.1" in region.log()[-1]
    assert region.counted("deliveries", kind="notification", outcome="delivered") == 1


@pytest.mark.parametrize(
    ("contents", "content_type", "start"),
    [
        (["transcript.txt"], "text/plain; charset=utf-8", b"hello world."),
        (["transcript.srt"], "text/plain; charset=utf-8", b"1\n00:00:00,000 --> "),
        (["jobinfo"], "application/json", b'{"config":{"type":"transcription",'),
        (["data"], "audio/wav", MEDIA),
        ([], None, b""),
    ],
)
def test_one_item_is_sent_raw(region: Region, contents: list[str], content_type: str | None, start: bytes) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": contents, "method": "put"})
            await region.end()
            await attempted(region, outbound)
        (heard,) = there.heard
        assert heard.line.startswith("PUT /?id=")
        assert heard.header("content-type") == content_type
        assert heard.body.startswith(start)
        assert bool(heard.body) is bool(start)

    going_out(go)


def test_several_items_are_a_form_that_another_parser_reads(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            contents = ["jobinfo", "transcript", "transcript.txt", "transcript.srt", "data", "text", "alignment"]
            await region.accept_media({"url": there.url(), "contents": contents})
            await region.end()
            await attempted(region, outbound)
        (heard,) = there.heard
        parts = form(heard)
        assert list(parts) == ["jobinfo", "transcript", "transcript.txt", "transcript.srt", "data"]
        assert parts["data"] == ("talk.wav", "audio/wav", MEDIA)
        assert parts["transcript.txt"] == (f"{ID}.txt", "text/plain", b"hello world.")
        assert json.loads(parts["jobinfo"][2])["id"] == ID
        assert json.loads(parts["transcript"][2])["format"] == "2.9"
        assert len(heard.body) == int(heard.header("content-length") or 0)

    going_out(go)


def test_without_contents_the_transcript_is_the_file_data_file(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url()})
            await region.end()
            await attempted(region, outbound)
        ((name, part),) = form(there.heard[0]).items()
        assert (name, part[0], part[1]) == ("data_file", f"{ID}.json", "application/json")
        assert json.loads(part[2])["metadata"]["type"] == "transcription"

    going_out(go)


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.INVALID_AUDIO, "trim_error"), (Reason.ENGINE, "error"), (Reason.LANGUAGE, "error")],
)
def test_a_failed_job_is_told_by_jobinfo(region: Region, reason: Reason, status: str) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": ["transcript.txt"]})
            await region.end(reason)
            await attempted(region, outbound)
        (heard,) = there.heard
        assert heard.line == f"POST /?id={ID}&status={status} HTTP/1.1"
        assert heard.header("content-type") == "application/json"
        told = json.loads(heard.body)
        assert (told["id"], told["status"], told["errors"][0]["message"]) == (ID, "rejected", "it failed")

    going_out(go)


def test_no_receiver_sees_anothers_credentials(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as one, receiving(OK) as two:
            entries = [
                {"url": there.url(f"/?k=hush-{n}"), "contents": ["jobinfo"], "auth_headers": [f"X: hush-{n}"]}
                for n, there in enumerate((one, two))
            ]
            await region.accept_media(*entries)
            await region.end()
            await attempted(region, outbound)
        assert b"hush-1" not in one.heard[0].body
        assert one.heard[0].header("x") == "hush-0"
        told = json.loads(two.heard[0].body)["config"]["notification_config"]
        assert told == [{"url": two.url("/?k=hush-1"), "contents": ["jobinfo"]}]

    going_out(go)


def test_callers_cannot_take_the_place_of_what_is_ours(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            lines = [f"{DELIVERY_ID}: mine", "Content-Type: text/html", "Webhook-Signature: v1,forged"]
            await region.accept_media({"url": there.url(), "contents": ["jobinfo", "data"], "auth_headers": lines})
            (posted,) = await region.end()
            await attempted(region, outbound)
        (heard,) = there.heard
        assert heard.header(DELIVERY_ID) == posted.id
        assert str(heard.header("content-type")).startswith("multipart/form-data; boundary=")
        assert heard.header("webhook-signature") is None

    going_out(go)


def test_a_raw_body_may_be_given_another_type(region: Region) -> None:
    """Signed addresses of object stores are signed for one content type."""

    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            entry = {"url": there.url(), "contents": ["data"], "auth_headers": ["content-type: audio/x-wav"]}
            await region.accept_media(entry)
            await region.end()
            await attempted(region, outbound)
        assert there.heard[0].header("content-type") == "audio/x-wav"

    going_out(go)


def test_a_signature_covers_the_whole_body(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": ["transcript", "data"]})
            (posted,) = await region.end()
            await attempted(region, outbound, SendPolicy(signing=KEY))
        (heard,) = there.heard
        signing = Signing(KEY, posted.id, int(heard.header("webhook-timestamp") or 0))
        signing.update(heard.body)
        expected = signing.headers()
        assert {name: heard.header(name) for name in expected} == expected

    going_out(go)


# ── what goes wrong ──


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    receiver.heard.append(await hear(reader))
    await asyncio.sleep(60)


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    receiver.heard.append(await hear(reader))


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await asyncio.sleep(60)


LATE = 'HTTPError: Post "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (says(answer(status="500 No")), "Response status: 500"),
        (says(answer(status="404 No")), "Response status: 404"),
        (says(answer(status="413 Too Large")), "Response status: 413"),
        (says(redirect("http://127.0.0.2:1/")), "Response status: 302"),
        (says(redirect("http://127.0.0.2:1/", 307)), "Response status: 307"),
        (late, LATE),
        (closing, 'HTTPError: Post "{url}": the connection was closed before the answer was complete'),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), 'HTTPError: Post "{url}": '),
        (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), 'HTTPError: Post "{url}": '),
        (says(b"hello\r\n\r\n"), 'HTTPError: Post "{url}": the answer is not well-formed HTTP'),
    ],
    ids=["500", "404", "413", "redirect", "kept redirect", "late", "closing", "endless head", "endless 100", "no HTTP"],
)
def test_a_failed_attempt_is_told_in_the_contracts_words_and_the_next_one_enqueued(
    region: Region, script: Any, failure: str
) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(script) as there:
            await region.accept_media({"url": there.url("/h?k=hush"), "contents": ["jobinfo"]})
            (posted,) = await region.end()
            region.queue.sent.clear()
            (told,) = await attempted(region, outbound, QUICK)
        whole = failure.format(url=there.url(f"/h?k=hush&id={ID}&status=success"))
        (error,) = region.errors()
        assert error.startswith(f"Error in sending notification: unable to send notification: {whole}")
        assert error.endswith(", retrying")
        assert (told.state, told.attempts) == (State.WAITING, 1)
        assert told.next_at is not None
        assert region.queue.sent == [("delivery", posted.id, 2, 15.0)]
        assert there.heard[0].header(DELIVERY_ID) == posted.id

    going_out(go)
    assert region.job().state == "done"
    assert b"hush" not in region.everything()
    assert "hush" not in "".join(region.log())
    assert region.counted("deliveries", kind="notification", outcome="retried") == 1


def test_an_endless_answer_body_is_not_waited_for(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)) as there:
            await region.accept_media({"url": there.url(), "contents": []})
            await region.end()
            (told,) = await attempted(region, outbound)
        assert told.state is State.DELIVERED

    going_out(go)


def test_a_receiver_that_takes_no_body_is_late(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(deaf) as there:
            await region.accept_media({"url": there.url(), "contents": ["data"]})
            await region.blobs.put(media_key(ID), bytes(64 << 20))
            await region.end()
            (told,) = await attempted(region, outbound, QUICK)
        assert told.state is State.WAITING
        assert "context deadline exceeded" in region.errors()[0]

    going_out(go)


def test_nobody_listening_is_an_attempt_like_any_other(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            url = there.url()
        await region.accept_media({"url": url})
        await region.end()
        (told,) = await attempted(region, outbound)
        assert told.state is State.WAITING
        assert f'HTTPError: Post "{url}?id={ID}&status=success": ' in region.errors()[0]

    going_out(go)


def test_the_contracts_story_of_four_attempts(region: Region) -> None:
    """Contract §9.4: late, then three times 500; the entries of `errors[]` in order."""

    async def first_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        if len(receiver.heard) == 1:
            await asyncio.sleep(60)
        writer.write(answer(status="500 No"))

    async def go(outbound: Outbound) -> None:
        async with receiving(first_late) as there:
            await region.accept_media({"url": there.url(), "contents": ["transcript"]})
            (posted,) = await region.end()
            for _ in range(4):
                (told,) = await attempted(region, outbound, QUICK)
        assert {heard.header(DELIVERY_ID) for heard in there.heard} == {posted.id}
        assert len(there.heard) == 4
        assert (told.state, told.attempts, told.next_at) == (State.FAILED, 4, None)
        url = there.url(f"/?id={ID}&status=success")
        again = "Error in sending notification: unable to send notification: "
        assert region.errors() == [
            f"{again}{LATE.format(url=url)}, retrying",
            f"{again}Response status: 500, retrying",
            f"{again}Response status: 500, retrying",
            "unable to send notification: unable to send notification: Response status: 500",
            "Sending notification failed",
        ]
        delays = [delay for _, _, _, delay in region.queue.sent]
        assert delays == [0.0, 15.0, 20.0, 30.0]

    going_out(go)
    assert region.job().state == "done"
    assert region.counted("deliveries", kind="notification", outcome="failed") == 1


def test_what_the_policy_forbids_is_not_tried_again_and_reaches_nobody(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with canary() as forbidden:
            await region.accept_media({"url": forbidden.url(host="127.0.0.2")})
            await region.end()
            (told,) = await attempted(region, outbound)
        assert (told.state, told.attempts) == (State.FAILED, 1)
        assert region.errors()[0].startswith("unable to send notification: unable to send notification: HTTPError: ")
        assert region.errors()[1] == "Sending notification failed"

    going_out(go)


def test_three_receivers_are_told_side_by_side(region: Region) -> None:
    """Each answers only when all three have been asked."""
    asked = asyncio.Event()
    count = 0

    async def together(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        nonlocal count
        receiver.heard.append(await hear(reader))
        count += 1
        if count == 3:
            asked.set()
        await asked.wait()
        writer.write(answer())

    async def go(outbound: Outbound) -> None:
        async with receiving(together) as there:
            await region.accept_media(*({"url": there.url(f"/{n}"), "contents": []} for n in range(3)))
            posted = await region.end()
            told = await attempted(region, outbound, SendPolicy(timeout=30.0))
        assert len({each.id for each in posted}) == 3
        assert [each.state for each in told] == [State.DELIVERED] * 3

    going_out(go)


# ── once, and only while it is wanted ──


def test_an_attempt_is_recorded_once(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(says(answer(status="500 No"))) as there:
            await region.accept_media({"url": there.url()})
            (posted,) = await region.end()
            sender = region.sender(outbound)
            await asyncio.gather(*(sender.attempt(posted.id, 1) for _ in range(3)))
            await sender.attempt(posted.id, 1)
            await sender.attempt(posted.id, 3)  # nobody has made the second
        assert len(there.heard) <= 3
        assert len(region.errors()) == 1
        assert [entry[2] for entry in region.queue.sent] == [1, 2]

    going_out(go)


def test_a_removed_job_is_told_to_nobody(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url()})
            (posted,) = await region.end()
            region.remove()
            await region.sender(outbound).attempt(posted.id, 1)
        assert there.heard == []
        assert region.told() == []

    going_out(go)


def test_a_job_removed_in_mid_attempt_keeps_no_trace(region: Region) -> None:
    async def remover(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        await asyncio.to_thread(region.remove)
        writer.write(answer(status="500 No"))

    async def go(outbound: Outbound) -> None:
        async with receiving(remover) as there:
            await region.accept_media({"url": there.url()})
            (posted,) = await region.end()
            region.queue.sent.clear()
            await region.sender(outbound).attempt(posted.id, 1)
        assert region.queue.sent == []
        assert region.told() == []
        assert region.job().errors == ()
        assert region.log() == []

    going_out(go)


def test_a_job_that_is_tried_again_is_told_of_its_new_end_only(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": []})
            (posted,) = await region.end(Reason.ENGINE)
            with region.database.writing() as connection:
                assert repository.retry(connection, ID)
            await region.sender(outbound).attempt(posted.id, 1)
        assert there.heard == []
        assert region.told() == []

    going_out(go)


def test_our_own_trouble_is_waited_out_and_counts_for_nothing(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = [OSError(errno.EROFS, "the store is away"), OSError(errno.EIO, "still away")]
    get = Blobs.get

    async def troubled(self: Blobs, key: str) -> bytes:
        if trouble:
            raise trouble.pop()
        return await get(self, key)

    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url(), "contents": ["transcript"]})
            await region.end()
            monkeypatch.setattr(Blobs, "get", troubled)
            (told,) = await attempted(region, outbound)
        assert (told.state, told.attempts) == (State.DELIVERED, 1)
        assert len(there.heard) == 1

    going_out(go)
    assert not trouble


def test_a_target_that_no_key_opens_fails_for_good(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        await region.accept_media({"url": "http://127.0.0.1:1/"})
        await region.end()
        other = Region(region.database, region.folder)
        (told,) = await attempted(other, outbound)
        assert (told.state, told.outcome) == (State.FAILED, "internal error")

    going_out(go)


def test_mail_without_a_mail_server_says_so_and_the_job_is_done(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        await region.accept_media()
        mail = Mail(to="ada@example.org", subject="done", body="It is done.")
        (posted,) = await region.end(envelopes=[region.outbox().mailed(mail)])
        assert posted.kind == "mail"
        (told,) = await attempted(region, outbound)
        assert (told.state, told.outcome) == (State.FAILED, "not configured")

    going_out(go)
    assert region.job().state == "done"
    assert region.errors() == []
    assert b"ada@example.org" not in region.everything()


def test_an_expired_job_is_told_to_nobody_either(region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        async with receiving(OK) as there:
            await region.accept_media({"url": there.url()})
            (posted,) = await region.end()
            with region.database.writing() as connection:
                assert repository.make_tombstone(connection, ID, Event.EXPIRED_BY_RETENTION)
                assert deliveries.get(connection, posted.id) is None
            await region.sender(outbound).attempt(posted.id, 1)
        assert there.heard == []

    going_out(go)

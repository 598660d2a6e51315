"""Receivers that answer too much, too slowly, or something else: each is bounded, by limits that are small here."""

import asyncio
import contextlib
import gzip
import os
import socket
import struct
import zlib
from dataclasses import replace

import pytest

from sottovoce.outbound import FailureKind, Limits, OutboundFailed, OutboundRequest
from sottovoce.outbound.client import Outbound
from tests.unit.outbound.receivers import (
    QUICK,
    Receiver,
    Script,
    answer,
    ask,
    endless,
    hear,
    opened,
    receiving,
    run,
    says,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(8 << 20))


async def failing(outbound: Outbound, script: Script, limits: Limits = QUICK, *, body: bytes = b"") -> OutboundFailed:
    """How a request to a receiver with this script fails; its connection is seen to be closed."""
    async with receiving(script) as receiver:
        with pytest.raises(OutboundFailed) as failed:
            await ask(outbound, receiver.url(), limits=limits, body=body, method="POST" if body else "GET")
        await asyncio.wait_for(receiver.gone.wait(), 10)
        assert not outbound._dialers
        assert outbound._free._value == outbound.policy.connections
    assert "127.0.0.1" not in failed.value.text
    return failed.value


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await reader.read()


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await asyncio.sleep(0.5)  # longer than is waited for
    await reader.read()


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await hear(reader)


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    pass


def stops_after(before: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await hear(reader)
        writer.write(before)
        await reader.read()

    return script


def resets(before: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await hear(reader)
        writer.write(before)
        await writer.drain()
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script


TOO_MUCH: dict[str, Script] = {
    "a body without end": endless(OK + b"\r\n", b"x" * 4096),
    "a chunked body without end": endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "a body said to be too long": says(OK + b"Content-Length: 65537\r\n\r\n"),
    "a body said to be absurdly long": says(OK + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "a body one byte too long": says(answer(b"x" * 65537)),
    "a header without end": endless(OK + b"X: ", b"x" * 4096),
    "headers without end": endless(OK, b"X: y\r\n" * 500),
    "a status line without end": endless(b"HTTP/1.1 200 ", b"x" * 4096),
    "too many headers": says(OK + b"X: y\r\n" * 21 + b"\r\n"),
    "too large headers": says(OK + (b"X: " + b"y" * 1000 + b"\r\n") * 9 + b"\r\n"),
    "interim answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "early hints without end": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100),
    "a gzip bomb": says(answer(BOMB, "Content-Encoding: gzip")),
    "a deflate bomb": says(answer(zlib.compress(bytes(8 << 20)), "Content-Encoding: deflate")),
    "a raw deflate bomb": says(answer(zlib.compress(bytes(8 << 20), wbits=-15), "Content-Encoding: deflate")),
    "a bomb in many members": says(answer(gzip.compress(bytes(1 << 15)) * 8, "Content-Encoding: gzip")),
    "packed data that is nothing": says(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"") * 5000),
    "packed data without end": endless(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
}

FRAMING: dict[str, Script] = {
    "chunk extensions without end": endless(CHUNKED, b"1;" + b"x" * 4096 + b"\r\ny\r\n"),
    "one chunk extension without end": endless(CHUNKED + b"1;", b"x" * 4096),
    "a chunk size without end": endless(CHUNKED, b"0" * 4096),
    "trailers without end": endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 500),
}

NOT_HTTP: dict[str, Script] = {
    "no HTTP": says(b"220 mail.example ESMTP\r\n\r\n"),
    "binary": says(bytes(range(256))),
    "HTTP/0.9": says(b"<html>hello</html>\r\n\r\n"),
    "HTTP/2 preface": says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a status of two digits": says(b"HTTP/1.1 99 Odd\r\n\r\n"),
    "a status below all": says(b"HTTP/1.1 000 Odd\r\n\r\n"),
    "another protocol": says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "two lengths": says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "a negative length": says(OK + b"Content-Length: -1\r\n\r\n"),
    "a length in words": says(OK + b"Content-Length: many\r\n\r\n"),
    "an unknown framing": says(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a header without colon": says(OK + b"nonsense\r\n\r\n"),
    "a header with a space in its name": says(OK + b"X Y: z\r\n\r\n"),
    "a header with NUL": says(OK + b"X: \x00\r\n\r\n"),
    "a chunk size that is none": says(CHUNKED + b"xyz\r\n\r\n"),
    "a negative chunk": says(CHUNKED + b"-1\r\nx\r\n0\r\n\r\n"),
    "a chunk longer than it says": says(CHUNKED + b"1\r\nxyz\r\n0\r\n\r\n"),
    "damaged gzip": says(answer(b"not gzip at all", "Content-Encoding: gzip")),
    "damaged deflate": says(answer(b"\xff\xff\xff\xff", "Content-Encoding: deflate")),
    "gzip that ends early": says(answer(gzip.compress(b"hello" * 100)[:-9], "Content-Encoding: gzip")),
    "deflate of one byte": says(answer(b"x", "Content-Encoding: deflate")),
    "gzip with a tail": says(answer(gzip.compress(b"hello") + b"tail", "Content-Encoding: gzip")),
    "deflate with a tail": says(answer(zlib.compress(b"hello") + b"tail", "Content-Encoding: deflate")),
}

GONE: dict[str, Script] = {
    "nothing at all": closes_at_once,
    "nothing after the request": closes,
    "half a head": says(OK + b"X-Half: "),
    "half a body": says(OK + b"Content-Length: 10\r\n\r\nhalf"),
    "half a chunk": says(CHUNKED + b"a\r\nhalf"),
    "no last chunk": says(CHUNKED + b"4\r\nfull\r\n"),
    "a reset before the answer": resets(b""),
    "a reset in the head": resets(OK),
    "a reset in the body": resets(OK + b"Content-Length: 10\r\n\r\nhalf"),
}

PACKED = ["br", "zstd", "compress", "gzip, gzip", "gzip, identity", "nonsense", "x" * 1000]


@pytest.mark.parametrize("script", [*TOO_MUCH.values(), *FRAMING.values()], ids=[*TOO_MUCH, *FRAMING])
def test_an_answer_that_is_too_large_is_cut_off(script: Script, runner: asyncio.Runner, outbound: Outbound) -> None:
    failed = runner.run(failing(outbound, script))
    # what is malformed before it is too large may be told as either
    assert failed.kind in {FailureKind.TOO_LARGE, FailureKind.PROTOCOL}


@pytest.mark.parametrize("chunk", [b"1;" + b"x" * 4096 + b"\r\ny\r\n", b"1\r\ny\r\n" * 1000])
def test_a_body_that_is_nearly_all_framing_is_cut_off(chunk: bytes, runner: asyncio.Runner, outbound: Outbound) -> None:
    limits = replace(QUICK, body_bytes=1 << 30)  # which would be reached after 6 GiB
    failed = runner.run(failing(outbound, endless(CHUNKED, chunk), limits))
    assert (failed.kind, failed.text) == (FailureKind.TOO_LARGE, "the answer is cut into too small chunks")


def test_a_body_in_small_chunks_is_let_through(runner: asyncio.Runner, outbound: Outbound) -> None:
    async def go() -> None:
        script = says(CHUNKED + (b"14\r\n" + b"y" * 20 + b"\r\n") * 20_000 + b"0\r\n\r\n")
        async with receiving(script) as receiver:
            got = await ask(outbound, receiver.url(), limits=replace(QUICK, body_bytes=1 << 20))
            assert got == (200, b"y" * 400_000)

    runner.run(go())


@pytest.mark.parametrize("script", TOO_MUCH.values(), ids=TOO_MUCH)
def test_an_answer_that_is_too_large_is_told_as_that(
    script: Script, runner: asyncio.Runner, outbound: Outbound
) -> None:
    failed = runner.run(failing(outbound, script))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.TOO_LARGE, False)


@pytest.mark.parametrize("script", NOT_HTTP.values(), ids=NOT_HTTP)
def test_an_answer_that_is_not_http_fails_and_is_not_repeated_to_the_caller(
    script: Script, runner: asyncio.Runner, outbound: Outbound
) -> None:
    failed = runner.run(failing(outbound, script))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.PROTOCOL, True)
    assert failed.text in {
        "the answer is not well-formed HTTP",
        "the packed answer is damaged",
        "the packed answer ended early",
    }


@pytest.mark.parametrize("script", GONE.values(), ids=GONE)
def test_a_connection_that_is_cut_off_is_never_taken_for_an_end(
    script: Script, runner: asyncio.Runner, outbound: Outbound
) -> None:
    failed = runner.run(failing(outbound, script))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.CONNECTION, True)


@pytest.mark.parametrize("encoding", PACKED)
def test_an_encoding_that_was_not_asked_for_is_not_unpacked(
    encoding: str, runner: asyncio.Runner, outbound: Outbound
) -> None:
    failed = runner.run(failing(outbound, says(answer(b"xxxx", f"Content-Encoding: {encoding}"))))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.ENCODING, False)


@pytest.mark.parametrize(
    "head", [b"", OK + b"X: ", OK + b"\r\n", OK + b"Content-Length: 60000\r\n\r\n", CHUNKED + b"8000\r\n"]
)
def test_one_byte_at_a_time_is_too_slow(head: bytes, runner: asyncio.Runner, outbound: Outbound) -> None:
    limits = replace(QUICK, window=0.2, progress=1000)
    assert runner.run(failing(outbound, endless(head, b"H" if not head else b"x", 0.01), limits)).kind in {
        FailureKind.TOO_SLOW,
        FailureKind.PROTOCOL,
    }


def test_a_trickle_of_a_body_is_told_as_too_slow_and_may_be_tried_again(
    runner: asyncio.Runner, outbound: Outbound
) -> None:
    failed = runner.run(failing(outbound, endless(OK + b"\r\n", b"x", 0.01), replace(QUICK, window=0.2)))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.TOO_SLOW, True)


def test_steady_progress_that_never_ends_is_ended_by_the_total(runner: asyncio.Runner, outbound: Outbound) -> None:
    limits = replace(QUICK, total=0.3, progress=0, body_bytes=1 << 30)
    failed = runner.run(failing(outbound, endless(OK + b"\r\n", b"x" * 10, 0.01), limits))
    assert (failed.kind, failed.worth_retrying) == (FailureKind.TIMEOUT, True)
    assert "0.3 seconds" in failed.text


@pytest.mark.parametrize(
    "script", [silent, stops_after(OK), stops_after(OK + b"Content-Length: 9\r\n\r\nhalf"), stops_after(CHUNKED)]
)
def test_silence_is_not_waited_out(script: Script, runner: asyncio.Runner, outbound: Outbound) -> None:
    assert runner.run(failing(outbound, script, replace(QUICK, silence=0.1))).kind is FailureKind.TIMEOUT


def test_a_receiver_that_takes_no_body_is_not_waited_for(runner: asyncio.Runner, outbound: Outbound) -> None:
    failed = runner.run(failing(outbound, deaf, replace(QUICK, silence=0.1), body=bytes(32 << 20)))
    assert failed.kind is FailureKind.TIMEOUT


def test_a_receiver_that_takes_the_body_in_drops_is_too_slow(runner: asyncio.Runner, outbound: Outbound) -> None:
    async def sips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        number = writer.get_extra_info("socket").fileno()
        for _ in range(30):
            await asyncio.sleep(0.05)
            with contextlib.suppress(BlockingIOError):
                os.read(number, 4096)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        while await reader.read(1 << 20):
            pass

    limits = replace(QUICK, window=0.5, progress=1 << 30)
    assert runner.run(failing(outbound, sips, limits, body=bytes(32 << 20))).kind is FailureKind.TOO_SLOW


def test_thinking_before_the_first_byte_counts_as_silence_only() -> None:
    async def thinks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await hear(reader)
        await asyncio.sleep(0.4)
        writer.write(answer(b"thought"))
        await writer.drain()

    async def go() -> None:
        limits = replace(QUICK, window=0.2)
        async with receiving(thinks) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url(), limits=limits) == (200, b"thought")

    run(go())


def test_time_that_the_caller_takes_is_not_held_against_the_receiver() -> None:
    async def go() -> None:
        limits = replace(QUICK, window=0.5, body_bytes=1 << 20)
        async with receiving(says(answer(b"x" * (1 << 20)))) as receiver, Outbound(opened()) as outbound:
            async with outbound.open(OutboundRequest(url=receiver.url(), limits=limits)) as got:
                size = 0
                async for chunk in got.chunks():
                    if not size:
                        await asyncio.sleep(1)
                    size += len(chunk)
            assert size == 1 << 20

    run(go())


def test_a_bomb_gives_no_more_than_the_limit_before_it_is_stopped() -> None:
    async def go() -> int:
        script = says(answer(gzip.compress(bytes(256 << 20), 1), "Content-Encoding: gzip"))
        limits = replace(QUICK, body_bytes=2 << 20)
        got = 0
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(OutboundFailed):  # noqa: PT012 - counts until then
                async with outbound.open(OutboundRequest(url=receiver.url(), limits=limits)) as opened_answer:
                    async for chunk in opened_answer.chunks():
                        assert len(chunk) <= 64 << 10
                        got += len(chunk)
        return got

    assert run(go()) <= 2 << 20


def test_more_than_was_said_is_not_read() -> None:
    async def go() -> None:
        tail = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!"
        async with receiving(says(answer(b"four") + tail)) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url()) == (200, b"four")
            assert await ask(outbound, receiver.url()) == (200, b"four")
            assert receiver.connections == 2  # nothing is left over for the next request

    run(go())


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(b"hello" * 99), "gzip"),
        (gzip.compress(b"hello" * 50) + gzip.compress(b"hello" * 49), "X-GZip"),
        (zlib.compress(b"hello" * 99), "deflate"),
        (zlib.compress(b"hello" * 99, wbits=-15), "deflate"),
        (b"hello" * 99, "identity"),
    ],
    ids=range(5),
)
def test_honest_packing_is_unpacked_though_it_was_not_asked_for(packed: bytes, encoding: str) -> None:
    async def go() -> None:
        async with (
            receiving(says(answer(packed, f"Content-Encoding: {encoding}"))) as receiver,
            Outbound(opened()) as outbound,
        ):
            assert await ask(outbound, receiver.url()) == (200, b"hello" * 99)
            assert receiver.heard[0].header("accept-encoding") == "identity"

    run(go())


def test_an_answer_before_the_end_of_our_body_is_heard() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"", status="413 Content Too Large"))
        await writer.drain()
        writer.write_eof()
        while await reader.read(1 << 20):
            pass

    async def go() -> None:
        async with receiving(early) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url(), method="POST", body=bytes(4 << 20)) == (413, b"")

    run(go())

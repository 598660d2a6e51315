"""The client itself: streams both ways at constant memory, bounded connections, a clean end."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
import uvloop

from sottovoce.outbound import FailureKind, Limits, OutboundFailed, OutboundRequest, Policy, Streamed
from sottovoce.outbound.client import Outbound
from tests.unit.outbound.receivers import (
    HERE,
    QUICK,
    Names,
    Receiver,
    answer,
    ask,
    endless,
    hear,
    opened,
    receiving,
    run,
    says,
)

MEGABYTE = bytes(1 << 20)


async def megabytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield MEGABYTE


def streamed(count: int, length: int | None = None) -> Streamed:
    return Streamed(start=lambda: megabytes(count), length=length)


@pytest.mark.parametrize("length", [None, 64 << 20])
def test_bodies_are_streamed_both_ways_at_constant_memory(length: int | None) -> None:
    size = 64 << 20
    counted = 0

    async def echo_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        nonlocal counted
        head = await reader.readuntil(b"\r\n\r\n")
        assert (b"Transfer-Encoding: chunked" in head) == (length is None)
        while counted < size:
            counted += len(await reader.read(1 << 16))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            writer.write(MEGABYTE)
            await writer.drain()

    async def go() -> int:
        limits = replace(QUICK, body_bytes=size, total=60)
        async with receiving(echo_size) as receiver, Outbound(opened()) as outbound:
            tracemalloc.start()
            try:
                request = OutboundRequest(method="POST", url=receiver.url(), body=streamed(64, length), limits=limits)
                got = 0
                async with outbound.open(request) as opened_answer:
                    async for chunk in opened_answer.chunks():
                        assert len(chunk) <= 64 << 10
                        got += len(chunk)
                assert got == size
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert run(go()) < 8 << 20  # receiver and sender together


@pytest.mark.parametrize("length", [(2 << 20) - 1, (2 << 20) + 1])
def test_a_body_of_another_length_than_said_is_our_mistake(length: int) -> None:
    async def go() -> None:
        async with receiving(says(answer())) as receiver, Outbound(opened()) as outbound:
            request = OutboundRequest(method="PUT", url=receiver.url(), body=streamed(2, length), limits=QUICK)
            with pytest.raises(ValueError, match="than its declared length"):
                async with outbound.open(request):
                    pass
            await asyncio.wait_for(receiver.gone.wait(), 10)
            assert receiver.heard == []

    run(go())


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError("blob store"), RuntimeError("other")])
def test_what_the_source_of_a_body_raises_comes_through(error: Exception) -> None:
    closed = False

    async def broken() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"some"
            raise error
        finally:
            closed = True

    async def go() -> None:
        async with receiving(says(answer())) as receiver, Outbound(opened()) as outbound:
            request = OutboundRequest(method="POST", url=receiver.url(), body=Streamed(start=broken), limits=QUICK)
            with pytest.raises(type(error), match=str(error)):
                async with outbound.open(request):
                    pass
            assert closed
            await asyncio.wait_for(receiver.gone.wait(), 10)

    run(go())


def test_the_source_of_a_body_is_closed_with_the_connection() -> None:
    closed = False

    async def unending() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield MEGABYTE
        finally:
            closed = True

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def go() -> None:
        async with receiving(hangs_up) as receiver, Outbound(opened()) as outbound:
            request = OutboundRequest(method="POST", url=receiver.url(), body=Streamed(start=unending), limits=QUICK)
            with pytest.raises(OutboundFailed) as failed:
                async with outbound.open(request):
                    pass
            assert closed
            assert failed.value.kind is FailureKind.CONNECTION

    run(go())


def test_an_error_of_the_caller_closes_the_connection_and_comes_through() -> None:
    async def go() -> None:
        script = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100)
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(KeyError):
                async with outbound.open(OutboundRequest(url=receiver.url(), limits=QUICK)):
                    raise KeyError("mine")
            await asyncio.wait_for(receiver.gone.wait(), 10)
            assert not outbound._dialers

    run(go())


def test_a_body_may_be_left_at_any_chunk() -> None:
    async def go() -> None:
        script = endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 16))
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            async with outbound.open(OutboundRequest(url=receiver.url(), limits=Limits())) as got:
                chunks = got.chunks()
                assert await anext(chunks)
            await asyncio.wait_for(receiver.gone.wait(), 10)
            assert [chunk async for chunk in chunks] == []  # over with the block
            with pytest.raises(RuntimeError, match="once"):
                got.chunks()

    run(go())


def test_a_cancelled_request_lets_go_of_its_connection() -> None:
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await hear(reader)
        arrived.set()
        await reader.read()

    async def go() -> None:
        async with receiving(silent) as receiver, Outbound(opened(connections=1)) as outbound:
            task = asyncio.create_task(ask(outbound, receiver.url()))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(receiver.gone.wait(), 10)
            assert not outbound._dialers
            assert outbound._free._value == 1

    run(go())


def test_no_more_connections_are_open_than_allowed() -> None:
    now = most = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await hear(reader)
        await asyncio.sleep(0.02)
        now -= 1
        writer.write(answer())
        await writer.drain()

    async def go() -> None:
        async with receiving(counting) as receiver, Outbound(opened(connections=3)) as outbound:
            got = await asyncio.gather(*(ask(outbound, receiver.url()) for _ in range(20)))
            assert got == [(200, b"")] * 20
            assert receiver.connections == 20

    run(go())
    assert most == 3


def test_waiting_for_a_connection_has_an_end() -> None:
    async def go() -> None:
        async with receiving(says(answer())) as receiver, Outbound(opened(connections=1)) as outbound:
            async with outbound.open(OutboundRequest(url=receiver.url(), limits=QUICK)):
                with pytest.raises(OutboundFailed) as failed:
                    await ask(outbound, receiver.url(), limits=replace(QUICK, wait=0.05))
            assert (failed.value.kind, failed.value.worth_retrying) == (FailureKind.BUSY, True)
            assert (await ask(outbound, receiver.url()))[0] == 200

    run(go())


def test_closing_ends_what_is_under_way_and_begins_nothing() -> None:
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await hear(reader)
        arrived.set()
        await reader.read()

    async def go() -> None:
        async with receiving(silent) as receiver:
            outbound = Outbound(opened())
            task = asyncio.create_task(ask(outbound, receiver.url()))
            await arrived.wait()
            await outbound.aclose()
            with pytest.raises(OutboundFailed) as failed:
                await task
            assert failed.value.worth_retrying
            await asyncio.wait_for(receiver.gone.wait(), 10)
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, receiver.url())
            assert failed.value.kind is FailureKind.CLOSED
            assert receiver.connections == 1
            await outbound.aclose()

    run(go())


def test_a_connection_that_is_made_while_the_client_closes_is_closed_too() -> None:
    asked, found = asyncio.Event(), asyncio.Event()

    async def slow(host: str, port: int) -> list[str]:
        asked.set()
        await found.wait()
        return [HERE]

    async def go() -> None:
        async with receiving(says(answer())) as receiver:
            outbound = Outbound(opened(), resolver=slow)
            task = asyncio.create_task(ask(outbound, receiver.url(host="slow.example")))
            await asked.wait()
            await outbound.aclose()
            found.set()
            with pytest.raises(OutboundFailed) as failed:
                await task
            assert failed.value.worth_retrying
            assert receiver.heard == []

    run(go())


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def go() -> None:
        names = Names({"two.example": ["::1", "127.0.0.3", HERE]})
        async with (
            receiving(says(answer(b"here"))) as receiver,
            Outbound(Policy(allow_private=True), resolver=names) as outbound,
        ):
            assert await ask(outbound, receiver.url(host="two.example")) == (200, b"here")

    run(go())


def test_an_address_that_hangs_takes_its_share_of_the_time_only() -> None:
    async def go() -> None:
        names = Names({"two.example": ["127.0.0.4", HERE]})
        async with (
            receiving(says(answer(b"here"))) as receiver,
            Outbound(Policy(allow_private=True), resolver=names) as outbound,
        ):
            with ExitStack() as stack:
                full = stack.enter_context(socket.create_server(("127.0.0.4", receiver.port), backlog=0))
                for _ in range(3):  # nobody accepts: the kernel takes one and lets the others wait
                    waiting = stack.enter_context(socket.socket())
                    waiting.setblocking(False)  # noqa: FBT003
                    with suppress(BlockingIOError):
                        waiting.connect(full.getsockname())
                limits = replace(QUICK, connect=2)
                assert await ask(outbound, receiver.url(host="two.example"), limits=limits) == (200, b"here")

    run(go())


def test_a_closed_port_is_a_failure_worth_retrying() -> None:
    async def go() -> None:
        async with receiving(says(answer())) as receiver:
            url = receiver.url()
        async with Outbound(opened()) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, url)
            assert (failed.value.kind, failed.value.worth_retrying) == (FailureKind.CONNECTION, True)
            assert HERE not in failed.value.text

    run(go())


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 413, 429, 500, 503, 599, 999])
def test_every_status_is_an_answer(status: int) -> None:
    async def go() -> None:
        head = f"HTTP/1.1 {status} X\r\nX-A: 1\r\nx-a: 2\r\nX-B: \xe9\r\n"
        body = b"" if status in {204, 304} else b"body"
        script = says(f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            async with outbound.open(OutboundRequest(method="POST", url=receiver.url(), limits=QUICK)) as got:
                assert got.status == status
                assert got.headers["x-a"] == "1, 2"
                assert got.headers["x-b"] == "\xe9"
                assert b"".join([chunk async for chunk in got.chunks()]) == body
            assert receiver.heard[0].header("content-length") == "0"

    run(go())


def test_an_interim_answer_is_not_the_answer() -> None:
    async def go() -> None:
        script = says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"end"))
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url()) == (200, b"end")

    run(go())


def test_it_works_on_the_event_loop_of_the_server() -> None:
    async def go() -> None:
        async with receiving(says(answer(b"x" * 5000))) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url(), method="POST", body=MEGABYTE) == (200, b"x" * 5000)
        async with receiving(endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(OutboundFailed):
                await ask(outbound, receiver.url())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(go(), 60))


@pytest.mark.parametrize(
    "wrong",
    [
        {"total": 0},
        {"connect": -1},
        {"silence": float("inf")},
        {"wait": float("nan")},
        {"body_bytes": -1},
        {"head_lines": 0},
    ],
)
def test_limits_that_limit_nothing_are_no_limits(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"times|sizes"):
        replace(QUICK, **wrong)  # type: ignore[arg-type]


def test_a_request_is_one_of_three_methods() -> None:
    with pytest.raises(ValueError, match="GET"):
        OutboundRequest(url="http://a.example/", method="DELETE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="body"):
        OutboundRequest(url="http://a.example/", body=b"x")

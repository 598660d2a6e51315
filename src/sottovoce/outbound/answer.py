"""The response of a receiver: status and headers at once, the body in bounded chunks as the caller reads them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import httpcore2

from sottovoce.outbound.ask import Limits
from sottovoce.outbound.decoder import Decoder, decoder
from sottovoce.outbound.faults import FailureKind, OutboundFailed
from sottovoce.outbound.stream import TransferMonitor


class Deadline:
    """The total time limit of one request: *seconds* from now, on the clock of the running event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Limit the time of the `async with` block. Raises OutboundFailed(TIMEOUT) when the deadline passes."""
        limit = asyncio.timeout_at(self._at)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():  # another timeout, e.g. of the source of the request body
                raise
            raise OutboundFailed(FailureKind.TIMEOUT, f"not finished within {self._seconds:g} seconds") from error


class OutboundResponse:
    """A response whose head has arrived. *headers* have lower-case names; the values of repeated names are joined by commas."""

    def __init__(self, response: httpcore2.Response, meter: TransferMonitor, deadline: Deadline) -> None:
        self.status = response.status
        self.headers = headers_of(response, meter.limits)
        self._body = Chunks(response, self.headers, meter, deadline)
        self._given = False

    def chunks(self) -> AsyncIterator[bytes]:
        """The decoded body, once, in chunks of at most 64 KiB. Raises OutboundFailed, also after some chunks."""
        if self._given:
            raise RuntimeError("the body can be read once")
        self._given = True
        return self._body

    async def aclose(self) -> None:
        """Discard the rest of the body; `Outbound` calls this."""
        await self._body.aclose()


class Chunks:
    """The body of a response. Not a generator, so that a caller may stop at any chunk without closing it."""

    def __init__(
        self, response: httpcore2.Response, headers: Mapping[str, str], meter: TransferMonitor, deadline: Deadline
    ) -> None:
        if not isinstance(response.stream, AsyncIterable):
            raise TypeError("an asynchronous connection must return an asynchronous stream")
        self._stream = aiter(response.stream)
        self._length = int(headers.get("content-length", "0"))
        self._encoding = headers.get("content-encoding", "")
        self._meter = meter
        self._deadline = deadline
        self._decoder: Decoder | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._received = self._unpacked = 0
        self._done = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._decoder is None:
            self._check_size(self._length)
            self._decoder = decoder(self._encoding)
        while not self._done:
            piece = next(self._pieces, None)
            if piece is not None:
                self._unpacked += len(piece)
                self._check_size(self._unpacked)
                return piece
            data = await self._next()
            if data is None:
                self._decoder.finish()
                self._done = True
            else:
                self._received += len(data)
                self._check_size(self._received)
                self._meter.framing(self._received)
                self._pieces = self._decoder.feed(data)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop the iteration and close the stream."""
        self._done = True
        if isinstance(self._stream, AsyncGenerator):
            await self._stream.aclose()

    async def _next(self) -> bytes | None:
        try:
            async with self._deadline.kept():
                return await anext(self._stream, None)
        except httpcore2.RemoteProtocolError as error:
            raise malformed(self._meter) from error

    def _check_size(self, size: int) -> None:
        most = self._meter.limits.body_bytes
        if size > most:
            raise OutboundFailed(FailureKind.TOO_LARGE, f"the answer is larger than {most} bytes")


def headers_of(response: httpcore2.Response, limits: Limits) -> Mapping[str, str]:
    """The headers by lower-case name. Raises OutboundFailed for too many lines; `TransferMonitor.room` bounds their bytes."""
    raw = response.headers
    if len(raw) > limits.head_lines:
        raise OutboundFailed(FailureKind.TOO_LARGE, f"the answer has more than {limits.head_lines} header lines")
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return MappingProxyType(headers)


def malformed(meter: TransferMonitor) -> OutboundFailed:
    """The error for a response that HTTP forbids; the most common cause is a connection that closed too early."""
    if meter.ended:
        return OutboundFailed(FailureKind.CONNECTION, "the connection was closed before the answer was complete")
    return OutboundFailed(FailureKind.PROTOCOL, "the answer is not well-formed HTTP")

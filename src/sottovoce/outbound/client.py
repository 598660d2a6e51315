"""The HTTP client of a process: sends the requests that the policy allows and returns their responses."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Self

import httpcore2

from sottovoce.outbound.answer import Deadline, OutboundResponse, malformed
from sottovoce.outbound.ask import Header, Limits, OutboundRequest, Streamed
from sottovoce.outbound.dialer import Dialer
from sottovoce.outbound.faults import FailureKind, OutboundFailed
from sottovoce.outbound.headers import checked, header_lines, merged
from sottovoce.outbound.policy import Policy
from sottovoce.outbound.redirect import followed, trusted
from sottovoce.outbound.resolver import Resolver, SystemResolver
from sottovoce.outbound.stream import TransferMonitor
from sottovoce.outbound.target import Target

USER_AGENT = "Speechmatics-API/2.0"
"""The value that the vendor's service sends (contract batch-v2 §6.3, §9.4)."""


class Outbound:
    """Sends requests, at most `policy.connections` at a time, each on a connection of its own.

    Connections are not reused: every request resolves and checks its receiver, and no response can belong to an earlier
    request. The environment is ignored, except for OpenSSL's location of trusted certificate authorities; cookies are not
    stored. Use it from one event loop. Raises ValueError for a `ca_file` that cannot be read.
    """

    def __init__(self, policy: Policy, *, resolver: Resolver | None = None) -> None:
        self.policy = policy
        self._system = SystemResolver(policy.connections)
        self._resolve: Resolver = resolver or self._system
        self._trusted = _authorities(policy.ca_file)
        self._free = asyncio.Semaphore(policy.connections)
        self._dialers: set[Dialer] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Reject new requests; requests in progress fail."""
        self._closed = True
        self._system.close()
        for dialer in list(self._dialers):
            await dialer.aclose()

    @asynccontextmanager
    async def open(self, ask: OutboundRequest) -> AsyncIterator[OutboundResponse]:
        """Send *ask* and return the response, whatever its status; the connection closes at the end of the block.

        Raises OutboundRefused before the request is sent or a redirect is followed, and OutboundFailed when it fails.
        Exceptions of the source of the request body pass through unchanged.
        """
        lines = header_lines(ask.auth_headers)
        here = self.policy.target(ask.url)
        async with self._connection(ask.limits), AsyncExitStack() as stack:
            deadline = Deadline(ask.limits.total)
            for left in range(ask.limits.redirects, -1, -1):
                answer = await stack.enter_async_context(self._exchange(ask, here, lines, deadline))
                there = self._next(ask, answer, here, left)
                if there is None:
                    yield answer
                    return
                await stack.aclose()
                lines = lines if trusted(here, there) else ()
                here = there

    def _next(self, ask: OutboundRequest, answer: OutboundResponse, here: Target, left: int) -> Target | None:
        """The target that *answer* redirects to (checked when it is connected to); `None` when *answer* is final."""
        most = ask.limits.redirects
        there = followed(ask.method, answer.status, answer.headers.get("location"), here) if most else None
        if there is None:
            return None
        if not left:
            raise OutboundFailed(FailureKind.REDIRECTS, f"more than {most} redirects")
        return there

    @asynccontextmanager
    async def _connection(self, limits: Limits) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limits.wait):
                await self._free.acquire()
        except TimeoutError as error:
            raise OutboundFailed(FailureKind.BUSY, "too many requests are under way") from error
        try:
            if self._closed:
                raise OutboundFailed(FailureKind.CLOSED, "the server is stopping")
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def _exchange(
        self, ask: OutboundRequest, target: Target, lines: tuple[Header, ...], deadline: Deadline
    ) -> AsyncIterator[OutboundResponse]:
        """Send one request on one connection, which is closed in every case."""
        meter = TransferMonitor(ask.limits)
        dialer = Dialer(self.policy, self._resolve, self._trusted, target, meter)
        request = _request(ask, target, lines)
        connection = httpcore2.AsyncHTTPConnection(
            origin=request.url.origin, ssl_context=self._trusted, network_backend=dialer
        )
        self._dialers.add(dialer)
        answer = None
        try:
            try:
                async with deadline.kept():
                    response = await connection.handle_async_request(request)
            except httpcore2.RemoteProtocolError as error:
                raise malformed(meter) from error
            meter.in_head = False
            answer = OutboundResponse(response, meter, deadline)
            yield answer
        finally:
            self._dialers.discard(dialer)
            if answer is not None:
                await answer.aclose()
            await connection.aclose()
            await dialer.aclose()


def _request(ask: OutboundRequest, target: Target, lines: tuple[Header, ...]) -> httpcore2.Request:
    """The HTTP request for *ask* to *target*, with the caller's *lines*. Raises OutboundRefused for forbidden headers."""
    usual = [("User-Agent", USER_AGENT), ("Accept", "*/*")]
    ours = (checked(name, value) for name, value in ask.headers)
    fixed = [("Host", target.authority), ("Accept-Encoding", "identity"), ("Connection", "close")]
    if ask.method != "GET":
        fixed.append(_framing(ask.body))
    headers = fixed + merged(usual, ours, lines)
    limits = ask.limits
    return httpcore2.Request(
        ask.method,
        httpcore2.URL(
            scheme=target.scheme.encode("ascii"),
            host=target.host.encode("ascii"),
            port=target.port,
            target=target.path.encode("ascii"),
        ),
        headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in headers],
        content=ask.body if isinstance(ask.body, bytes) else _chunks(ask.body),
        extensions={"timeout": {"connect": limits.connect, "read": limits.silence, "write": limits.silence}},
    )


def _framing(body: bytes | Streamed) -> Header:
    length = len(body) if isinstance(body, bytes) else body.length
    return ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))


async def _chunks(body: Streamed) -> AsyncGenerator[bytes]:
    """*body* from its start. Raises ValueError when its length differs from `body.length`: the message would be malformed."""
    sent = 0
    async with AsyncExitStack() as stack:
        source = body.start()
        if isinstance(source, AsyncGenerator):
            await stack.enter_async_context(aclosing(source))
        async for chunk in source:
            sent += len(chunk)
            if body.length is not None and sent > body.length:
                raise ValueError("the body is longer than its declared length")
            yield chunk
    if body.length is not None and sent < body.length:
        raise ValueError("the body is shorter than its declared length")


def _authorities(ca_file: Path | None) -> ssl.SSLContext:
    """The system's authorities and those of *ca_file*; certificates and host names are always verified."""
    context = httpcore2.default_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError("the file of certificate authorities cannot be read") from error
    return context

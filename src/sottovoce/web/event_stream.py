"""A response of server-sent events, which ends its source when the client disconnects."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

QUIET = 15.0
"""Seconds without an event after which a comment is sent, so that proxies do not take the connection for dead."""


async def client_disconnected(request: Request) -> None:
    """Wait until the client disconnects; the body of *request* must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def first_of(event: "asyncio.Future[bytes | None]", left: "asyncio.Future[None]", seconds: float) -> None:
    """Wait up to *seconds* until one of the two is done."""
    both: list[asyncio.Future[Any]] = [event, left]
    await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


class EventStream(Response):
    """Sends *events*, of which *first* is the task for the next one, until they end or *left*, the disconnect, is done.

    *failed* makes the last event of an exception; *comment* is sent when there is no event for `QUIET` seconds.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        first: "asyncio.Future[bytes | None]",
        left: "asyncio.Future[None]",
        *,
        failed: Callable[[Exception], bytes],
        comment: bytes,
        media_type: str,
    ) -> None:
        headers = {"content-type": media_type, "cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._events = events
        self._next = first
        self._left = left
        self._failed = failed
        self._comment = comment

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (event := await self._event()) is not None:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            if not self._left.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            await asyncio.shield(self._close())

    async def _event(self) -> bytes | None:
        """The next event, or the comment when there is none for a while; None after the last event and the disconnect."""
        await first_of(self._next, self._left, QUIET)
        if self._left.done():
            return None
        if not self._next.done():
            return self._comment
        try:
            event = self._next.result()
        except Exception as error:  # noqa: BLE001 - the status is sent already, so the error becomes the last event
            event = self._failed(error)
        self._next = next_event(self._events)
        return event

    async def _close(self) -> None:
        self._left.cancel()
        await end(self._events, self._next)


def next_event(events: AsyncGenerator[bytes, None]) -> "asyncio.Future[bytes | None]":
    """The task for the next of *events*; its result is None at their end."""
    return asyncio.ensure_future(anext(events, None))


async def end(events: AsyncGenerator[bytes, None], pending: "asyncio.Future[bytes | None]") -> None:
    """Cancel *pending*, the task for the next of *events*, and close their source."""
    pending.cancel()
    await asyncio.gather(pending, return_exceptions=True)
    await events.aclose()

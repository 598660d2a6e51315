"""uvicorn's server with a callback on stop, and its HTTP protocol with limits on connections, heads, trailers and time.

Without them one connection without a key can fill the memory (measured: a 300 MB header took 486 MB and 37 s, 100 MB of
trailers 3.2 GB and a minute), and silent connections take all file descriptors.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from sottovoce.web.connections import ConnectionLimits
from sottovoce.web.middleware import ANSWER, CORS

MAX_HEAD = 128 << 10
"""Bytes of a request line and headers, and of trailers; the parser itself has no limit."""

_CONNECTION = {b"connection", b"transfer-encoding"}
_WORDS = {400: "Bad Request", 408: "Request Timeout", 417: "Expectation Failed", 503: "Service Unavailable"}


class Server(uvicorn.Server):
    """Calls *stopping* before it waits for the open requests, so that requests that wait for a job are answered at once."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Call *stopping*, then stop as uvicorn does."""
        self._stopping()
        await super().shutdown(sockets)


class Protocol(HttpToolsProtocol):
    """One HTTP connection within `limits`: its number, the size of what is no body, and the time it may make no progress."""

    limits = ConnectionLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address: str | None = None  # of an admitted connection
        self._in_head = True
        self._begun = False  # a head: its first byte has arrived
        self._in_body = False
        self._head = 0  # bytes of the current head
        self._body = 0  # bytes of body data of the current request
        self._framing = 0  # bytes behind the head that are no body data: sizes of chunks, trailers
        self._trailers = False
        self._begins = False  # a request begins in the data that is parsed now
        self._received = 0  # bytes of body data in the data that is parsed now
        self._refused = False
        self._upgraded = False  # to a WebSocket, whose protocol has taken over
        self._running: RequestResponseCycle | None = (
            None  # the request that is answered; `cycle` is the last one that arrived
        )
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # ── the connection ──

    def connection_made(self, transport: Any) -> None:
        """Admit the connection, or answer 503 and close it."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        # not `len(self.connections)`: WebSockets, which have limits of their own, are among them
        if self.limits.admit(address, self.limits.open.total() + 1):
            self._address = address
            self._await_head()
        else:
            self._refuse(503, "too many connections", ("retry-after: 5",))

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection and its timers."""
        self._release()
        if running := self._answered():
            running.disconnected = True  # uvicorn tells only the last of several requests that arrived together
            running.message_event.set()
        super().connection_lost(exc)

    def _release(self) -> None:
        for timer in (self._timer, self._write_timer):
            if timer:
                timer.cancel()
        if self._address is not None:
            self.limits.release(self._address)
            self._address = None

    def _should_upgrade(self) -> bool:
        """True for the request of a WebSocket; another method is answered as a request (contract `realtime.md` §1.4)."""
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; it no longer counts here, because sessions have limits of their own."""
        if self._refused:
            return
        self._upgraded = True
        self._release()
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.scope["extensions"] = {ANSWER: {"write": self._write_whole}}
        super()._start_asgi_task(cycle, app)

    def _answered(self) -> RequestResponseCycle | None:
        """The request whose response is not complete."""
        return self._running if self._running is not None and not self._running.response_complete else None

    def _write_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], fixed: bytes, body: bytes) -> bool:
        """Write a response in one piece, with *fixed*, header lines that are known to be valid, behind *headers*.

        False if that is not possible: a client that reads slowly and all other cases are left to uvicorn's `send`. It does the
        same in two messages, and looks at each header line by itself; for ours that is a sixth of the time of a status request.
        """
        cycle = self._answered()
        if cycle is None or cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        lines, length = [STATUS_LINE[status]], None
        for name, value in cycle.default_headers:
            lines += name, b": ", value, b"\r\n"
        for name, value in headers:
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value) or name in _CONNECTION:
                return False
            if name == b"content-length":
                length = value
            lines += name, b": ", value, b"\r\n"
        if length != b"%d" % len(body):
            return False
        lines += fixed, b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.writelines([b"".join(lines), b"" if cycle.scope["method"] == "HEAD" else body])
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def data_received(self, data: bytes) -> None:
        """Parse *data* from the client; refuse too much that is no body data."""
        if self.transport.is_closing() or self._refused:
            return
        self._begins, self._received = False, 0
        super().data_received(data)
        if self.transport.is_closing() or self._upgraded:
            return
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._refuse(400, "the request line and headers are too long")
            elif self._timer is None:
                self._await_head()
            return
        # bytes in which a request begins are those of its head, and of requests before it
        self._framing += 0 if self._begins else len(data) - self._received
        # a chunk of one byte has five bytes around it
        if self._framing > MAX_HEAD + 16 * self._body:
            self._refuse(400, "the request has too many bytes besides its body")
        elif self._in_body:
            self._watch_body()

    # ── time ──

    def _await_head(self) -> None:
        self._set_timer(self.limits.head, self._head_late)

    def _watch_body(self) -> None:
        self._set_timer(self.limits.stall, self._body_late)

    def _set_timer(self, seconds: float, late: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, late)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _head_late(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # the response to an earlier request on this connection is still being made
        elif self._begun:
            self._refuse(408, "the request line and headers did not arrive in time")
        else:
            self.transport.close()

    def _body_late(self) -> None:
        self._timer = None
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._watch_body()  # the client waits for us
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Begin to wait for a client that reads its response slowly."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.stall, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    # ── parser callbacks ──

    def on_message_begin(self) -> None:
        """Start counting the bytes of a head."""
        self._in_head, self._begun, self._in_body, self._trailers = True, True, False, False
        self._begins = True
        self._head = self._body = self._framing = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers are dropped (RFC 9110 §6.5.1)."""
        if self._in_head:
            super().on_header(name, value)
        else:
            self._trailers = True

    def on_headers_complete(self) -> None:
        """Check the headers that concern the connection, and start the request."""
        self._stop_timer()
        self._in_head, self._in_body = False, True
        if fault := self._fault():
            self._refuse(*fault)
        else:
            super().on_headers_complete()

    def _fault(self) -> tuple[int, str] | None:
        """Status and detail for headers that RFC 9112 §3.2 and RFC 9110 §10.1.1 refuse."""
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"expect" and value.lower() != b"100-continue":
                return 417, "the only expectation that can be met is 100-continue"
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            return 400, "the request must have exactly one Host header"
        return None

    def on_body(self, body: bytes) -> None:
        """Count and pass on body data."""
        self._body += len(body)
        self._received += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; a connection that sent trailers is closed after the response."""
        self._in_body, self._begun = False, False
        self._stop_timer()
        if self._refused:
            return
        if self._trailers:
            self.cycle.keep_alive = False
        super().on_message_complete()

    # ── refusals ──

    def send_400_response(self, msg: str) -> None:
        """Answer malformed HTTP with the contract's error 400, and close the connection."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str, more: Sequence[str] = ()) -> None:
        """Answer with *status* and close the connection; a response that was begun is cut off."""
        self._refused = True
        self._stop_timer()
        if (running := self._answered()) and running.response_started:
            self.transport.abort()
            return
        text = orjson.dumps({"code": status, "error": _WORDS[status], "detail": detail})
        headers = {
            "content-type": "application/json",
            "content-length": str(len(text)),
            "request-id": uuid4().hex,
            "connection": "close",
            **CORS,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "".join(
            f"{line}\r\n" for line in more
        )
        self.transport.write(STATUS_LINE[status] + lines.encode() + b"\r\n" + text)
        self.transport.close()


def limited(limits: ConnectionLimits) -> type[Protocol]:
    """The protocol with *limits*, which all its connections share."""
    return type("LimitedProtocol", (Protocol,), {"limits": limits})

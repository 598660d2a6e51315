"""uvicorn's server with a callback on stop, and its HTTP protocol with a limit on heads and the contract's error for 400.

Without the limit one connection without a key can fill the memory (measured: a 300 MB header took 486 MB and 37 s).
"""

import socket
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from sottovoce.errors import Kind, Refused
from sottovoce.web.middleware import CORS
from sottovoce.wire.v2.errors import v2_error

MAX_HEAD = 128 << 10
"""Bytes of an incomplete request line and headers; the parser itself has no limit."""


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
    """One HTTP connection, whose heads are limited to `MAX_HEAD`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head, self._head = True, 0

    def on_message_begin(self) -> None:
        """Start counting the bytes of a head."""
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body has limits of its own."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse *data* from the client; refuse a head that is too long."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("the request line and headers are too long")

    def send_400_response(self, msg: str) -> None:
        """Answer malformed HTTP with the contract's error 400, and close the connection."""
        status, body = v2_error(Refused(Kind.BAD_REQUEST, msg))
        text = orjson.dumps(body)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(text)),
            "request-id": uuid4().hex,
            "connection": "close",
            **CORS,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[status] + lines.encode() + b"\r\n" + text)
        self.transport.close()

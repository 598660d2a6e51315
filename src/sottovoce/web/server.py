"""uvicorn's server, which tells when it stops, and its HTTP protocol with a bound on heads and refusals in the contract's words.

Without the bound one connection without a key can fill the memory (measured: a 300 MB header took 486 MB and 37 s).
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
"""Bytes of request line and headers that may wait for their end; the parser itself keeps any amount."""


class Server(uvicorn.Server):
    """Calls *stopping* before it waits for the answers under way: who waits for a job gets what there is to say."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Stop."""
        self._stopping()
        await super().shutdown(sockets)


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head, self._head = True, 0

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole; the body has bounds of its own."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("the request line and headers are too long")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the contract's shape, and hang up."""
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

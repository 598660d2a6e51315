"""uvicorn's WebSocket protocol with flow control, and the socket of a session on top of it.

uvicorn stops reading while a message waits for the application, so that a session that takes no messages slows its client down.
A small receive buffer keeps that exact: what lies in it delays the client's pings (contract `realtime.md` §10). The server sends no
pings and uses no compression (§1.1, §10).
"""

import contextlib
import socket
import time
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sottovoce.realtime.ports import Received

RECEIVE_BUFFER = 32 << 10
"""Bytes of the kernel's receive buffer of a socket: 1 s of 16 kHz samples of 16 bits; Linux doubles it for its own needs."""
SEND_BUFFER = 256 << 10
"""Bytes that wait in this process for a client that does not read, before `send` waits."""
LINGER = 20.0
"""Seconds that a client has to read what was sent before the close frame."""
PROTOCOL = "sottovoce.socket"
"""The member of the ASGI scope that holds the protocol."""
_TEXT = "sottovoce.text"  # the member of a message that tells text from binary; the data is not decoded


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard = time.monotonic()

    def connection_made(self, transport: Any) -> None:
        """Begin with small buffers."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=SEND_BUFFER)
        if (raw := transport.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Note that the client lives; pings count (§10)."""
        self._heard = time.monotonic()
        super().data_received(data)

    def heard(self, now: float) -> float:
        """When the last byte arrived; *now* while reading is paused."""
        return now if self.read_paused else self._heard

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def handle_connect(self, event: Any) -> None:
        """Give the application this protocol in the scope; its task starts after this method."""
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 - Switching Protocols
            self.scope["extensions"] = {**(self.scope.get("extensions") or {}), PROTOCOL: self}  # type: ignore[dict-item]

    def send_receive_event_to_app(self) -> None:
        """Pass on the bytes of a text message: the session has one error for all messages that it does not understand."""
        if self.curr_msg_data_type != "text":
            super().send_receive_event_to_app()
            return
        message = {"type": "websocket.receive", "bytes": b"".join(self.frames), _TEXT: True}
        self.frames = []
        if self.close_sent:
            return
        self.queue.put_nowait(message)  # type: ignore[arg-type]
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def shutdown(self) -> None:
        """At the server's shutdown: an accepted session ends itself (`Sessions.stop`), others are closed."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()


class AsgiSocket:
    """The `Socket` of a session over ASGI (`realtime/ports.py`)."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._protocol: SocketProtocol | None = (scope.get("extensions") or {}).get(PROTOCOL)
        self._receive, self._send = receive, send
        self.close_code: int | None = None  # that this side sent

    async def receive(self) -> Received | None:
        """The next message."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        if (text := message.get("text")) is not None:
            return Received(data=text.encode(), text=True)
        return Received(data=message["bytes"], text=bool(message.get(_TEXT)))

    async def send(self, text: str) -> None:
        """Send *text*."""
        await self._sent({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame; a client that does not read it is cut off."""
        self.close_code = code
        await self._sent({"type": "websocket.close", "code": code, "reason": reason})
        if self._protocol is not None:
            self._protocol.loop.call_later(LINGER, self._protocol.abort)

    async def _sent(self, message: Message) -> None:
        # uvicorn raises the first for a lost connection, the second for a message after the close frame of the client
        with contextlib.suppress(ClientDisconnected, RuntimeError):
            await self._send(message)

    def abort(self) -> None:
        """Cut the connection."""
        if self._protocol is not None:
            self._protocol.abort()

    def heard(self, now: float) -> float:
        """When the last byte arrived."""
        return now if self._protocol is None else self._protocol.heard(now)

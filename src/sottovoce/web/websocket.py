"""uvicorn's WebSocket protocol with flow control, and the socket of a session on top of it.

uvicorn stops reading while a message waits for the application, so that a session that takes no messages slows its client down.
The client's pings wait behind the audio that both kernels hold (contract `realtime.md` §10). The kernel of the client holds more
the faster it could send before, so the receive buffer is small from the beginning, and after each read the socket rests. The
server sends no pings and uses no compression (§1.1, §10).
"""

import asyncio
import contextlib
import socket
import struct
import time
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sottovoce.realtime.ports import Received

RECEIVED_SECONDS = 1 / 16
"""Seconds of audio in the kernel's receive buffer of a socket; Linux doubles it for its own needs.

Measured on Linux 6.18 over loopback, for 16-bit samples at 16 kHz (32 kB/s) that are taken in real time from a client that sends
as fast as it can: 0.35–0.44 MB are under way with 2 kB, and a pong takes 8–14 s (websockets, asyncio); with 6 kB it is 1.0 MB and
33 s. A client that fills its kernel's buffer in one burst has 0.83 MB under way: the window of the handshake lets it begin so.
"""
ROUND_TRIPS = 4
"""Round trips of audio in that buffer at least, so that a long path does not slow the client down."""
LEAST_BUFFER, MOST_BUFFER = 2 << 10, 64 << 10
"""Bytes. The least is also that of a socket whose audio is not known yet."""
FILE_RATE = 64_000
"""Bytes per second that are assumed for media files in pieces."""
REST = 0.005
"""Seconds without reading after each read: at most a buffer is read in that time, 25 times the rate of the audio."""
SEND_BUFFER = 256 << 10
"""Bytes that wait in this process for a client that does not read, before `send` waits."""
MOST_UNSENT = 4 << 20
"""Bytes, pongs among them, that wait in this process for a client that does not read, before it is cut off."""
LINGER = 20.0
"""Seconds that a client has to read what was sent before the close frame."""
PROTOCOL = "sottovoce.socket"
"""The member of the ASGI scope that holds the protocol."""
_ROUND_TRIP = struct.Struct("I")
_INFO, _AT = 104, 68  # bytes of Linux's `tcp_info`, and the place of `tcpi_rtt` in it, microseconds
_TEXT = "sottovoce.text"  # the member of a message that tells text from binary; the data is not decoded


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard = time.monotonic()
        self._resting = False
        self._joined = bytearray()  # the fragments of a message that is not complete
        self.lost = asyncio.Event()
        """Set when the connection has ended."""

    def connection_made(self, transport: Any) -> None:
        """Begin with small buffers."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=SEND_BUFFER)
        self.limit(LEAST_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session, which may not be receiving now."""
        super().connection_lost(exc)
        self.lost.set()

    def limit(self, size: int) -> None:
        """Let the kernel hold *size* bytes that are not read yet."""
        if (raw := self.transport.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def round_trip(self) -> float:
        """The kernel's estimate of the time to the client and back, in seconds; 0 where there is none."""
        raw = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError, struct.error):
            return (
                float(_ROUND_TRIP.unpack_from(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO), _AT)[0]) / 1e6
            )
        return 0.0

    def data_received(self, data: bytes) -> None:
        """Note that the client lives; pings count (§10)."""
        self._heard = time.monotonic()
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_head(self.conn.handshake_exc)
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()
            self._rest()

    def _refuse_head(self, why: Exception) -> None:
        """Answer a request that websockets does not parse, for example a line of more than 8 KiB; uvicorn leaves it open (§1.4)."""
        response = self.conn.reject(HTTPStatus.BAD_REQUEST, f"Failed to open a WebSocket connection: {why}.\n")
        self.transport.write(response.serialize())
        self.transport.close()

    async def send(self, message: Any) -> None:
        """As uvicorn's, which logs an error for each handshake that is refused with a response."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    async def receive(self) -> Any:
        """The next message; as uvicorn's, but reading goes on after a rest."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self._rest()
        return message

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self.loop.call_later(REST, self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        if self.read_paused and self.queue.empty() and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def heard(self, now: float) -> float:
        """When the last byte arrived; *now* while reading is paused for longer than a rest."""
        return now if self.read_paused and not self._resting else self._heard

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def handle_connect(self, event: Any) -> None:
        """Give the application this protocol in the scope; its task starts after this method."""
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 - Switching Protocols
            self.scope["extensions"] = {**(self.scope.get("extensions") or {}), PROTOCOL: self}  # type: ignore[dict-item]

    def handle_cont(self, event: Any) -> None:
        """Join the fragments of a message: a list of tiny ones takes twenty times their bytes, and empty ones count to no limit."""
        if self.frames:  # the first one
            self._joined = bytearray(self.frames.pop())
        self._joined += event.data
        if event.fin:
            self.frames = [bytes(self._joined)]
            self._joined = bytearray()
            self.send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping. Pongs do not wait for the client to read, as messages do in `send`."""
        if self.transport.is_closing():
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MOST_UNSENT:
            self.transport.abort()

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

    async def lost(self) -> None:
        """Wait until the client is gone."""
        await (asyncio.Event() if self._protocol is None else self._protocol.lost).wait()

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

    def expect(self, rate: float | None) -> None:
        """Read audio of *rate* bytes per second."""
        if self._protocol is None:
            return
        wanted = (FILE_RATE if rate is None else rate) * max(
            RECEIVED_SECONDS, ROUND_TRIPS * self._protocol.round_trip()
        )
        self._protocol.limit(min(max(round(wanted), LEAST_BUFFER), MOST_BUFFER))

    def abort(self) -> None:
        """Cut the connection."""
        if self._protocol is not None:
            self._protocol.abort()

    def heard(self, now: float) -> float:
        """When the last byte arrived."""
        return now if self._protocol is None else self._protocol.heard(now)

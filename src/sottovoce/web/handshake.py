"""The outermost layer of WebSockets: request id, CORS, one access log line, and refusals as HTTP responses before the upgrade."""

import logging
import time
from collections.abc import Sequence
from uuid import uuid4

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sottovoce.errors import Kind, Refused
from sottovoce.logs import about, redact
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.metrics import Metrics
from sottovoce.web import responses
from sottovoce.web.auth import CALLER
from sottovoce.web.routing import ROUTE

_log = logging.getLogger("sottovoce.access")
_failures = logging.getLogger(__name__)

SWITCHING = 101


class _Handshake:
    """The answer to one handshake, and its status."""

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.id = uuid4().hex
        self.status = 0
        self.close_code: int | None = None  # that the server sent
        self._send = send
        self._headers = [(b"request-id", self.id.encode()), *headers]

    async def send(self, message: Message) -> None:
        """Send *message*; an accepted handshake gets the headers of every response."""
        if message["type"] == "websocket.accept":
            self.status = SWITCHING
            message["headers"] = [*message.get("headers", ()), *self._headers]
        elif message["type"] == "websocket.close":
            self.close_code = message.get("code")
        await self._send(message)

    async def refuse(self, response: Response) -> None:
        """Answer the handshake with *response* instead of an upgrade."""
        self.status = response.status_code
        headers = [*response.raw_headers, *self._headers]
        await self._send({"type": "websocket.http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": bytes(response.body)})


async def serve(
    app: ASGIApp,
    metrics: Metrics,
    headers: Sequence[tuple[bytes, bytes]],
    connection: tuple[Scope, Receive, Send],
) -> None:
    """Serve one WebSocket with *app*; *headers* are added to the answer of its handshake."""
    scope, receive, send = connection
    scope["path"] = scope["path"].rstrip("/") or "/"
    handshake = _Handshake(send, headers)
    begun = time.monotonic()
    with about(request=handshake.id):
        try:
            await app(scope, receive, handshake.send)
        except Refused as refused:
            _failures.info("refused", extra={"kind": refused.kind, "why": refused.detail})
            if handshake.status:
                raise
            await handshake.refuse(responses.refusal(refused))
        except Exception:
            _failures.exception("request failed", extra={"path": scope["path"]})
            if handshake.status:
                raise  # the server closes the connection with 1011
            await handshake.refuse(responses.internal_error())
        finally:
            _note(scope, handshake, metrics, time.monotonic() - begun)


def _note(scope: Scope, handshake: _Handshake, metrics: Metrics, seconds: float) -> None:
    route = scope.get(ROUTE, "unmatched")
    metrics.handshake(route, handshake.status)
    line = {
        "method": "GET",
        "path": redact(scope["path"])[:256],  # without the query: it may hold a key
        "status": handshake.status,
        "ms": round(seconds * 1000, 1),
        "client": str((scope.get("client") or ("",))[0])[:64],
    }
    if handshake.close_code is not None:
        line["close"] = handshake.close_code
    if isinstance(caller := scope.get(CALLER), Caller):
        line["key"] = caller.actor
    _log.info("socket", extra=line)


def not_an_upgrade() -> Refused:
    """The refusal of a plain request to the address of a WebSocket (contract `realtime.md` §1.4)."""
    return Refused(Kind.BAD_REQUEST, "this address is a WebSocket: connect with the upgrade headers of RFC 6455")

"""The outermost ASGI layer, which applies to the responses of all routes.

It adds the request id and CORS headers (for browsers with temporary keys), removes trailing slashes, writes one access log line
without secrets, and turns uncaught exceptions into errors of the contract.
"""

import logging
import re
import time
from random import Random

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sottovoce.logs import about, log_request, redact
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.metrics import Metrics
from sottovoce.web import handshake, responses
from sottovoce.web.auth import CALLER
from sottovoce.web.routing import ROUTE, WHOLE

_log = logging.getLogger("sottovoce.access")
_failures = logging.getLogger(__name__)

# as observed on the vendor's service (contract §2.2); `Authorization` and our own headers are added for browsers
CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "access-control-allow-headers": (
        "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization,"
        "Accept-Charset,Idempotency-Key,Retention-Seconds,X-Request-Id,X-SM-EAR-Tag,X-SM-Processing-Data,"
        # of OpenAI's JavaScript client
        "OpenAI-Organization,OpenAI-Project,X-Stainless-Arch,X-Stainless-Lang,X-Stainless-OS,X-Stainless-Package-Version,"
        "X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout"
    ),
    "access-control-expose-headers": "Request-Id,Retry-After",
    "access-control-max-age": "1728000",
}
_CORS = [(name.encode(), value.encode()) for name, value in CORS.items()]
_NOSNIFF = (b"x-content-type-options", b"nosniff")  # a browser must not take media or text of a job for a page
_FIXED = [_NOSNIFF, *_CORS]  # of every response
_FIXED_LINES = b"".join(b"%s: %s\r\n" % line for line in _FIXED)
ANSWER = "sottovoce.answer"
"""The ASGI extension that writes a whole response at once (`web/server.py`); other servers do not have it."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # seeded by the system; to ask it for each id takes a fortieth of a status request, and an id is no secret
        self._ids = Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await handshake.serve(self._app, self._metrics, _CORS, (scope, receive, send))
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = scope["path"].rstrip("/") or "/"  # not a redirect, which would lose the body of a POST
        exchange = _ResponseSender(f"{self._ids.getrandbits(128):032x}", scope, send)
        if exchange.write is not None:
            scope[WHOLE] = exchange.send_whole
        with about(request=exchange.id):
            try:
                await self._serve(scope, receive, exchange)
            finally:
                self._access_log(scope, exchange)

    async def _serve(self, scope: Scope, receive: Receive, exchange: "_ResponseSender") -> None:
        if scope["method"] == "OPTIONS":
            await exchange.answer(204, b"", "")
            return
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            refused = responses.translated(error)
            if refused is not None:
                _failures.info("refused", extra={"kind": refused.kind, "why": refused.detail})
            else:
                _failures.exception("request failed", extra={"path": scope["path"]})
            if exchange.status:
                raise  # part of the response was sent: close the connection, so that the client sees it is incomplete
            path = scope["path"]
            answer = responses.internal_error_of(path) if refused is None else responses.refusal_of(path, refused)
            await answer(scope, receive, exchange.send)

    def _access_log(self, scope: Scope, exchange: "_ResponseSender") -> None:
        seconds = time.monotonic() - exchange.begun
        route = scope.get(ROUTE, "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.request(route, method, exchange.status, seconds)
        path = scope["path"]
        line = {
            "method": scope["method"][:16],
            # without the query: it may hold a token. The log redacts it again, so that only a cut must not hide what a secret is.
            "path": path if len(path) <= _LONGEST_PATH else redact(path)[:_LONGEST_PATH],
            "status": exchange.status,
            "ms": round(seconds * 1000, 1),
            "client": str((scope.get("client") or ("",))[0])[:64],  # with trusted proxies from their headers
        }
        if isinstance(caller := scope.get(CALLER), Caller):
            line["key"] = caller.actor
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                if _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
                    line["client_request"] = text
                break
        log_request(_log, logging.DEBUG if route in _QUIET else logging.INFO, "request", line)


_LONGEST_PATH = 256
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})


class _ResponseSender:
    """Sends the response of one request, and records its status."""

    def __init__(self, request_id: str, scope: Scope, send: Send) -> None:
        self.id = request_id
        self.begun = time.monotonic()
        self.status = 0
        self.write = scope["extensions"][ANSWER]["write"] if ANSWER in scope.get("extensions", ()) else None
        self._head = scope["method"] == "HEAD"
        self._send = send

    async def send(self, message: Message) -> None:
        """Send *message*, with the headers of every response added."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"request-id", self.id.encode()), *_FIXED]
        await self._send(message)

    def send_whole(self, response: Response) -> bool:
        """Send *response*, which is complete, at once. False if the server cannot: `send` does it in two messages."""
        headers = [*response.raw_headers, (b"request-id", self.id.encode())]
        sent = self.write is not None and self.write(response.status_code, headers, _FIXED_LINES, response.body)
        if sent:
            self.status = response.status_code
        return bool(sent)

    async def answer(self, status: int, body: bytes, media_type: str) -> None:
        """Send a complete response of the middleware itself."""
        headers = [(b"content-length", str(len(body)).encode())]
        if media_type:
            headers.append((b"content-type", media_type.encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"" if self._head else body})

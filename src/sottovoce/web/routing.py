"""Addresses: one path, a handler for each method."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from sottovoce.errors import Kind, MethodNotAllowed, Refused

Handler = Callable[[Request], Awaitable[Response]]
ROUTE = "sottovoce.route"
"""The scope's member that holds the path's pattern: for metrics, which must not know ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path, like `/v2/jobs/{job_id}`, and what to do for each method."""

    path: str
    handlers: Mapping[str, Handler]

    @property
    def allowed(self) -> str:
        """For the `Allow` header (RFC 9110 §15.5.6)."""
        return ", ".join(sorted({*self.handlers, "OPTIONS"} | ({"HEAD"} if "GET" in self.handlers else set())))

    async def answer(self, request: Request) -> Response:
        """Let the method's handler answer; HEAD is GET, whose body the server drops (RFC 9110 §9.3.2)."""
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.handlers.get(method)
        if handler is None:
            raise MethodNotAllowed(self.allowed)
        return await handler(request)


class Router:
    """The ASGI application of addresses: finds the path's, and raises `Refused` for a path that nobody has.

    Starlette's `Router` would try one route after another and wrap each answer twice; together that was an eighth of the time
    of a status request (`bench/jobs.py`, status).
    """

    def __init__(self, addresses: Sequence[Route]) -> None:
        self._plain = {address.path: address for address in addresses if "{" not in address.path}
        self._patterns = [(compile_path(each.path)[0], each) for each in addresses if each.path not in self._plain]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        address = self._find(scope)
        scope[ROUTE] = address.path
        response = await address.answer(Request(scope, receive, send))
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Route:
        path = scope["path"]
        if (plain := self._plain.get(path)) is not None:
            return plain
        for pattern, address in self._patterns:
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return address
        raise Refused(Kind.PAGE_NOT_FOUND)

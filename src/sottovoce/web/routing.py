"""Routes: one path, with a handler for each method."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from sottovoce.errors import Kind, MethodNotAllowed, Refused

Handler = Callable[[Request], Awaitable[Response]]
SocketHandler = Callable[[Scope, Receive, Send], Awaitable[None]]
"""Serves a WebSocket: accepts it, or raises `Refused` before."""
ROUTE = "sottovoce.route"
"""The member of the ASGI scope that holds the path pattern, for metrics, whose labels must not contain ids."""
WHOLE = "sottovoce.whole"
"""The member of the ASGI scope that sends a response which is complete; it returns False if that is not possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path, like `/v2/jobs/{job_id}`, and the handler of each method."""

    path: str
    handlers: Mapping[str, Handler]

    @property
    def allowed(self) -> str:
        """The value of the `Allow` header (RFC 9110 §15.5.6)."""
        return ", ".join(sorted({*self.handlers, "OPTIONS"} | ({"HEAD"} if "GET" in self.handlers else set())))

    async def answer(self, request: Request) -> Response:
        """Call the handler of the method; HEAD calls that of GET, whose body the server drops (RFC 9110 §9.3.2)."""
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.handlers.get(method)
        if handler is None:
            raise MethodNotAllowed(self.allowed)
        return await handler(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketRoute:
    """A path of WebSockets, and what serves them."""

    path: str
    serve: SocketHandler


class _Request(Request):
    """A request whose empty query is not parsed: most requests have none, and parsing takes a twentieth of a status request."""

    @property
    def query_params(self) -> QueryParams:
        return super().query_params if self.scope["query_string"] else _NO_QUERY


_NO_QUERY = QueryParams()


class Router:
    """An ASGI application that calls the route of a path, and raises `Refused(PAGE_NOT_FOUND)` when there is none.

    HTTP and WebSockets have separate routes, so that `/v2/{language}` hides no path of the jobs API.

    Starlette's `Router` tries one route after another and wraps each response twice; together that took an eighth of the time
    of a status request (`bench/jobs.py`, status).
    """

    def __init__(self, addresses: Sequence[Route], sockets: Sequence[SocketRoute] = ()) -> None:
        self._sockets = [(compile_path(each.path)[0], each) for each in sockets]
        self._plain = {each.path: each for each in addresses if "{" not in each.path}
        self._patterns = [(compile_path(each.path)[0], each) for each in addresses if each.path not in self._plain]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one WebSocket."""
        if scope["type"] == "websocket":
            await self._socket(scope).serve(scope, receive, send)
            return
        route = self._find(scope)
        scope[ROUTE] = route.path
        response = await route.answer(_Request(scope, receive, send))
        whole = scope.pop(WHOLE, None)  # removed: it refers to the scope, in a cycle that only the collector would find
        plain = type(response) is Response and response.background is None
        if whole is None or not plain or not whole(response):
            await response(scope, receive, send)

    def _socket(self, scope: Scope) -> SocketRoute:
        for pattern, route in self._sockets:
            if match := pattern.match(scope["path"]):
                scope["path_params"] = match.groupdict()
                scope[ROUTE] = route.path
                return route
        raise Refused(Kind.PAGE_NOT_FOUND)

    def _find(self, scope: Scope) -> Route:
        path = scope["path"]
        if (plain := self._plain.get(path)) is not None:
            return plain
        for pattern, route in self._patterns:
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return route
        raise Refused(Kind.PAGE_NOT_FOUND)

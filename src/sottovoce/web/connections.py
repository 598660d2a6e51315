"""Limits on HTTP connections: how many there may be, and how long one may make no progress.

Behind a trusted proxy all connections come from the proxy; there `RequestsPerClient` limits the requests in progress of each
client that the proxy names.
"""

import contextlib
import ipaddress
import resource
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.login_throttle import network_of

RESERVED = 256
"""File descriptors kept for our own work: databases, blobs, engine processes, outgoing requests."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The addresses and networks in *texts*, as the setting `trusted_proxies` has them."""
    return tuple(ipaddress.ip_network(text) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """*total* connections, *per_address* of one client (an IPv4 address or an IPv6 /64 network).

    Connections from *trusted* proxies count only in the total. *head*: seconds until the request line and headers are complete.
    *stall*: seconds without progress of a request body, or of a client that reads a response.
    """

    total: int = 1000
    per_address: int = 256
    head: float = 20.0
    stall: float = 60.0
    trusted: tuple[Network, ...] = ()
    open: Counter[str] = field(default_factory=Counter)

    def admit(self, address: str, connections: int) -> bool:
        """Count a connection from *address*, one of *connections* in all; False if it is one too many, and not counted."""
        client = network_of(address)
        if connections > self.total or (self.open[client] >= self.per_address and not _is_in(address, self.trusted)):
            return False
        self.open[client] += 1
        return True

    def release(self, address: str) -> None:
        """Count an admitted connection from *address* no longer."""
        _lower(self.open, network_of(address))


class RequestsPerClient:
    """ASGI middleware that limits the requests in progress of one client to *most*; requests of the *trusted* proxies are exempt.

    WebSockets have limits of their own. The client's address is in the scope, where uvicorn has put the one that a trusted proxy
    forwards.
    """

    def __init__(self, app: ASGIApp, most: int, trusted: tuple[Network, ...]) -> None:
        self._app = app
        self._most = most
        self._trusted = trusted
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises `Refused(UNAVAILABLE)` if it is one too many."""
        address = str((scope.get("client") or ("",))[0])
        if scope["type"] != "http" or _is_in(address, self._trusted):
            await self._app(scope, receive, send)
            return
        client = network_of(address)
        if self._open[client] >= self._most:
            raise Refused(Kind.UNAVAILABLE, "too many requests of this client are in progress")
        self._open[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            _lower(self._open, client)


def _is_in(address: str, nets: tuple[Network, ...]) -> bool:
    with contextlib.suppress(ValueError):  # a Unix socket has no address
        found = ipaddress.ip_address(address)
        return any(found in network for network in nets)
    return False


def _lower(counts: Counter[str], client: str) -> None:
    counts[client] -= 1
    if counts[client] <= 0:
        del counts[client]


def raise_descriptors(connections: int) -> int:
    """Raise this process's limit of file descriptors as far as it goes; the number of *connections* that fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - RESERVED))

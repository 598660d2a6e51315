"""An outgoing request and its limits."""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Header = tuple[str, str]
Method = Literal["GET", "POST", "PUT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one request, in seconds and bytes. *body_bytes* applies to the received bytes and to the decoded ones.

    A peer may be silent for *silence* seconds. Once bytes flow, at least *progress* bytes must move in every *window* seconds
    of waiting, in either direction; 0 disables this check (for a model backend that generates its response slowly). Time in
    which the caller does not read chunks counts towards *total* only.
    """

    wait: float = 30.0
    """Seconds to wait for a free connection, before all other limits."""
    connect: float = 10.0
    """Seconds for name resolution, TCP and the proxy, and again for TLS; both start again at each redirect."""
    silence: float = 30.0
    total: float = 60.0
    """Seconds from a free connection to the last byte, redirects included."""
    window: float = 20.0
    progress: int = 4096
    head_bytes: int = 32 << 10
    head_lines: int = 100
    body_bytes: int = 1 << 20
    redirects: int = 0
    """Redirects that are followed; with 0 the redirect itself is the response."""

    def __post_init__(self) -> None:
        """Raises ValueError: without a finite limit one receiver could hold a connection forever."""
        times = (self.wait, self.connect, self.silence, self.total, self.window)
        if not all(0 < each < float("inf") for each in times):
            raise ValueError("times must be positive and finite")
        if min(self.head_bytes, self.head_lines) < 1 or min(self.body_bytes, self.progress, self.redirects) < 0:
            raise ValueError("sizes and counts must not be negative, and the head limits must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A body in chunks. *start* returns a new iterator for each time it is sent; *length* in bytes, `None` if unknown."""

    start: Callable[[], AsyncIterable[bytes]]
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """A request. `repr` shows only its method and limits: URL, headers and body hold callers' secrets.

    *headers* are the server's (content type, delivery id, signature) and are sent to every target of a redirect.
    *auth_headers* are the caller's lines `Name: value`; they replace *headers* of the same name and are sent to the first
    origin only. *body* is for POST and PUT.
    """

    url: str = field(repr=False)
    method: Method = "GET"
    headers: Sequence[Header] = field(default=(), repr=False)
    auth_headers: Sequence[str] = field(default=(), repr=False)
    body: bytes | Streamed = field(default=b"", repr=False)
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Raises ValueError for a mistake in the server's own code."""
        if self.method not in {"GET", "POST", "PUT"}:
            raise ValueError("the method must be GET, POST or PUT")
        if self.method == "GET" and self.body != b"":
            raise ValueError("a GET request must not have a body")

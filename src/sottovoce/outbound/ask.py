"""One request as its sender describes it, and how much it may cost."""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Header = tuple[str, str]
Method = Literal["GET", "POST", "PUT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take. Seconds and bytes; sizes count what arrives and, once more, what it unpacks to.

    A peer may be silent for *silence* seconds. Once it moves, it must move *progress* bytes in every *window* seconds that we
    wait for it, in either direction; 0 bytes switch that off (for a receiver that answers as slowly as it thinks). Time in
    which the caller lets chunks wait counts towards *total* only.
    """

    wait: float = 30.0
    """For a free connection, before everything else."""
    connect: float = 10.0
    """For the name, TCP and the proxy, and again for TLS; at each redirect anew."""
    silence: float = 30.0
    total: float = 60.0
    """From a free connection to the last byte, redirects included."""
    window: float = 20.0
    progress: int = 4096
    head_bytes: int = 32 << 10
    head_lines: int = 100
    body_bytes: int = 1 << 20
    redirects: int = 0
    """How many are followed; with 0 the redirect itself is the answer."""

    def __post_init__(self) -> None:
        """Raises ValueError: a limit that is not there would let one receiver hold a connection for good."""
        times = (self.wait, self.connect, self.silence, self.total, self.window)
        if not all(0 < each < float("inf") for each in times):
            raise ValueError("times are positive and finite")
        if min(self.head_bytes, self.head_lines) < 1 or min(self.body_bytes, self.progress, self.redirects) < 0:
            raise ValueError("sizes and counts are not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A body in chunks. *start* begins it anew for each time that it is sent; *length* in bytes, `None` if not known."""

    start: Callable[[], AsyncIterable[bytes]]
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """A request. Nothing of it but the method is shown by `repr`: URL, headers and body hold callers' secrets.

    *headers* are ours (content type, delivery id, signature) and go to every address that a redirect leads to.
    *auth_headers* are the caller's own lines `Name: value`, take the place of ours of the same name, and stay with the first
    origin. *body* is for POST and PUT.
    """

    url: str = field(repr=False)
    method: Method = "GET"
    headers: Sequence[Header] = field(default=(), repr=False)
    auth_headers: Sequence[str] = field(default=(), repr=False)
    body: bytes | Streamed = field(default=b"", repr=False)
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Raises ValueError: our own mistakes, not the caller's."""
        if self.method not in {"GET", "POST", "PUT"}:
            raise ValueError("GET, POST or PUT")
        if self.method == "GET" and self.body != b"":
            raise ValueError("GET has no body")

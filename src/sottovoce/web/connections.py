"""Limits on HTTP connections: how many there may be, and how long one may make no progress."""

import contextlib
import ipaddress
import resource
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

RESERVED = 256
"""File descriptors kept for our own work: databases, blobs, engine processes, outgoing requests."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The addresses and networks in *texts*, as the setting `trusted_proxies` has them."""
    return tuple(ipaddress.ip_network(text) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """*total* connections, *per_address* of one client; connections from *trusted* proxies count only in the total.

    *head*: seconds until the request line and headers are complete. *stall*: seconds without progress of a request body, or of a
    client that reads a response.
    """

    total: int = 1000
    per_address: int = 256
    head: float = 20.0
    stall: float = 60.0
    trusted: tuple[Network, ...] = ()
    open: Counter[str] = field(default_factory=Counter)

    def admit(self, address: str, connections: int) -> bool:
        """Count a connection from *address*, one of *connections* in all; False if it is one too many, and not counted."""
        if connections > self.total or (self.open[address] >= self.per_address and not self._is_trusted(address)):
            return False
        self.open[address] += 1
        return True

    def _is_trusted(self, address: str) -> bool:
        with contextlib.suppress(ValueError):  # a Unix socket has no address
            found = ipaddress.ip_address(address)
            return any(found in network for network in self.trusted)
        return False

    def release(self, address: str) -> None:
        """Count an admitted connection from *address* no longer."""
        self.open[address] -= 1
        if self.open[address] <= 0:
            del self.open[address]


def raise_descriptors(connections: int) -> int:
    """Raise this process's limit of file descriptors as far as it goes; the number of *connections* that fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - RESERVED))

"""The way through an HTTP proxy: CONNECT to an address that was looked up and checked here.

The proxy gets no name, so it cannot find another address behind it than the one that was checked (RFC 9110 §9.3.6).
"""

import re
from ipaddress import IPv6Address

import httpcore2

from sottovoce.outbound.addresses import Address
from sottovoce.outbound.faults import FailureKind, OutboundFailed
from sottovoce.outbound.policy import Proxy

_MAX_ANSWER = 16 << 10
_STATUS = re.compile(rb"HTTP/1\.[01] (?P<status>[0-9]{3})[ \r]")


async def tunnel(stream: httpcore2.AsyncNetworkStream, proxy: Proxy, address: Address, port: int) -> None:
    """Make *stream*, connected to *proxy*, a connection to *address*. Raises OutboundFailed. The caller limits the time."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await stream.read(_MAX_ANSWER)
        answer += data
        if not data or len(answer) > _MAX_ANSWER:
            raise OutboundFailed(FailureKind.CONNECTION, "the proxy does not speak HTTP")
    match = _STATUS.match(answer)
    if match is None or not answer.endswith(b"\r\n\r\n"):  # neither HTTP nor TLS receivers speak first
        raise OutboundFailed(FailureKind.CONNECTION, "the proxy does not speak HTTP")
    if not match["status"].startswith(b"2"):
        raise OutboundFailed(
            FailureKind.CONNECTION, f"the proxy opened no connection (status {match['status'].decode()})"
        )

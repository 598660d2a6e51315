"""CONNECT through an HTTP proxy to an address that was resolved and checked here.

The proxy gets the address instead of the host name, so it cannot resolve the name to an unchecked address (RFC 9110 §9.3.6).
"""

import re
from ipaddress import IPv6Address

import httpcore2

from sottovoce.outbound.addresses import Address
from sottovoce.outbound.faults import FailureKind, OutboundFailed
from sottovoce.outbound.policy import Proxy

_MAX_ANSWER = 16 << 10
"""Bytes of the proxy's response head."""
_STATUS = re.compile(rb"HTTP/1\.[01] (?P<status>[0-9]{3})[ \r]")


async def tunnel(stream: httpcore2.AsyncNetworkStream, proxy: Proxy, address: Address, port: int) -> None:
    """Turn *stream*, connected to *proxy*, into a connection to *address*. Raises OutboundFailed. The caller limits the time."""
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
    if match is None or not answer.endswith(b"\r\n\r\n"):  # bytes after the head: HTTP and TLS servers never send first
        raise OutboundFailed(FailureKind.CONNECTION, "the proxy does not speak HTTP")
    if not match["status"].startswith(b"2"):
        raise OutboundFailed(
            FailureKind.CONNECTION, f"the proxy opened no connection (status {match['status'].decode()})"
        )

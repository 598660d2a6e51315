"""Opens the connection for one request: resolves the name once, checks every address, connects to a checked address."""

import asyncio
import logging
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import httpcore2

from sottovoce.outbound.addresses import Address, unmapped
from sottovoce.outbound.faults import FailureKind, OutboundFailed, OutboundRefused
from sottovoce.outbound.policy import Policy
from sottovoce.outbound.resolver import Resolver
from sottovoce.outbound.stream import TransferMonitor, WatchedStream
from sottovoce.outbound.target import Target
from sottovoce.outbound.tunnel import tunnel

MAX_ADDRESSES = 64
"""Addresses of one name; a name with more is refused."""
MAX_TRIED = 4
"""Addresses of one name that are tried, each with an equal share of the time left."""

log = logging.getLogger(__name__)


class Dialer(httpcore2.AsyncNetworkBackend):
    """The network backend of the HTTP connection to *target*. The creator must call `aclose`."""

    def __init__(
        self, policy: Policy, resolve: Resolver, trusted: ssl.SSLContext, target: Target, meter: TransferMonitor
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._trusted = trusted
        self._target = target
        self._meter = meter
        self._network = httpcore2.AnyIOBackend()
        self._opened: list[httpcore2.AsyncNetworkStream] = []
        self._closed = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the target. Raises OutboundRefused, OutboundFailed."""
        del host, port, local_address, socket_options  # host and port are the target's; the others are not used
        seconds = self._meter.limits.connect if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                return WatchedStream(await self._connected(await self._addresses()), self._meter)
        except TimeoutError as error:
            raise OutboundFailed(FailureKind.TIMEOUT, f"no connection within {seconds:g} seconds") from error

    async def aclose(self) -> None:
        """Close every connection that was opened, also those that no caller received."""
        self._closed = True
        while self._opened:
            await self._opened.pop().aclose()

    async def _addresses(self) -> list[Address]:
        """The addresses of the target. One forbidden address rejects the name: a later connection could use that one."""
        target = self._policy.checked(self._target)
        if target.address is not None:
            return [unmapped(target.address)]
        try:
            found = await self._resolve(target.host, target.port)
        except TimeoutError:
            raise
        except OSError as error:
            raise OutboundFailed(FailureKind.NAME, "the host name was not found") from error
        addresses = _parsed(found)
        for address in addresses:
            if not self._policy.permits(target.host, address):
                log.warning("outbound address refused", extra={"host": target.host, "address": str(address)})
                raise OutboundRefused("the host name resolves to an address that is not allowed")
        return addresses

    async def _connected(self, addresses: Sequence[Address]) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._meter.limits.connect
        tried = addresses[:MAX_TRIED]
        failure: Exception = TimeoutError()
        for left, address in zip(range(len(tried), 0, -1), tried, strict=True):
            try:
                async with asyncio.timeout((end - loop.time()) / left):
                    return await self._reached(address)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout, TimeoutError) as error:
                failure = error
        if isinstance(failure, TimeoutError | httpcore2.ConnectTimeout):
            raise TimeoutError from failure
        raise OutboundFailed(FailureKind.CONNECTION, "the host cannot be connected to") from failure

    async def _reached(self, address: Address) -> httpcore2.AsyncNetworkStream:
        proxy, port = self._policy.proxy, self._target.port
        if proxy is None:
            return await self._open(str(address), port)
        stream = await self._open(proxy.host, proxy.port)
        try:
            if proxy.scheme == "https":
                stream = await stream.start_tls(self._trusted, proxy.host)
            await tunnel(stream, proxy, address, port)
        except (httpcore2.NetworkError, ssl.SSLError) as error:
            raise OutboundFailed(FailureKind.CONNECTION, "the connection to the proxy was lost") from error
        return stream

    async def _open(self, host: str, port: int) -> httpcore2.AsyncNetworkStream:
        stream = await self._network.connect_tcp(host, port)
        self._opened.append(stream)
        if self._closed:  # `aclose` was called while this connected
            await self.aclose()
        return stream


def _parsed(found: Sequence[str]) -> list[Address]:
    """The addresses, without duplicates. Raises OutboundFailed for no address, too many, or invalid text."""
    try:
        addresses = list(dict.fromkeys(unmapped(ip_address(each)) for each in found))
    except ValueError as error:
        raise OutboundFailed(FailureKind.NAME, "the host name resolves to no valid address") from error
    if not 0 < len(addresses) <= MAX_ADDRESSES:
        raise OutboundFailed(FailureKind.NAME, f"the host name resolves to no address, or to more than {MAX_ADDRESSES}")
    return addresses

"""Limits on connections, and on the requests of a client behind a proxy."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from sottovoce.errors import Kind, Refused
from sottovoce.web.connections import ConnectionLimits, RequestsPerClient, networks

PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.7", "203.0.113.8"
TRUSTED = networks([PROXY, "10.1.0.0/16"])


def test_addresses_of_one_ipv6_network_count_together() -> None:
    limits = ConnectionLimits(per_address=2)
    assert limits.admit("2001:db8::1", 1)
    assert limits.admit("2001:db8::2", 2)
    assert not limits.admit("2001:db8::3", 3)
    assert limits.admit("2001:db8:0:1::3", 3)
    limits.release("2001:db8::1")
    assert limits.admit("2001:db8::3", 3)


def test_connections_of_a_trusted_proxy_count_in_all_only() -> None:
    limits = ConnectionLimits(total=4, per_address=1, trusted=TRUSTED)
    assert all(limits.admit("10.1.2.3", number) for number in range(1, 5))
    assert not limits.admit("10.1.2.3", 5)


class Site:
    """An application whose requests last until they are let go, behind uvicorn's reader of proxy headers."""

    def __init__(self, most: int) -> None:
        self.served = 0
        self.end = asyncio.Event()
        self.app = ProxyHeadersMiddleware(RequestsPerClient(self._serve, most, TRUSTED), [PROXY, "10.1.0.0/16"])  # type: ignore[arg-type]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served += 1
        await self.end.wait()

    async def ask(self, peer: str, *forwarded: str) -> asyncio.Task[None]:
        """A request from *peer* that has come as far as it will."""
        headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
        scope: Any = {"type": "http", "client": (peer, 1), "headers": headers}
        task = asyncio.ensure_future(self.app(scope, None, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return task


def test_each_client_behind_a_proxy_has_its_own_limit() -> None:
    async def go() -> None:
        site = Site(most=2)
        for client in (CLIENT, CLIENT, OTHER):
            await site.ask(PROXY, client)
        assert site.served == 3
        with pytest.raises(Refused) as refused:
            await (await site.ask(PROXY, CLIENT))
        assert refused.value.kind is Kind.UNAVAILABLE
        site.end.set()
        await asyncio.sleep(0)
        await (await site.ask(PROXY, CLIENT))

    asyncio.run(go())


@pytest.mark.parametrize(
    ("peer", "forwarded"),
    [
        (PROXY, [f"8.8.8.8, {CLIENT}"]),  # the client wrote the first address itself
        (PROXY, ["1.2.3.4", CLIENT]),
        (PROXY, [f"{CLIENT}, 10.1.9.9"]),  # through a second proxy
        (CLIENT, ["8.8.8.8"]),  # no proxy
    ],
)
def test_a_client_cannot_choose_its_address(peer: str, forwarded: list[str]) -> None:
    async def go() -> None:
        site = Site(most=1)
        await site.ask(PROXY, CLIENT)
        with pytest.raises(Refused):
            await (await site.ask(peer, *forwarded))

    asyncio.run(go())


def test_requests_of_the_proxy_itself_are_not_limited() -> None:
    async def go() -> None:
        site = Site(most=1)
        for _ in range(5):
            await site.ask(PROXY)
        assert site.served == 5

    asyncio.run(go())

"""One event loop and one client for all tests of a module: reading the system's authorities for each would take most of the time."""

import asyncio
from collections.abc import Iterator

import pytest

from sottovoce.outbound import Outbound
from tests.unit.outbound.receivers import opened


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def outbound(runner: asyncio.Runner) -> Iterator[Outbound]:
    """A client that reaches `HERE` and nothing else on this machine."""
    client = Outbound(opened())
    yield client
    runner.run(client.aclose())

"""Resolves host names to addresses."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class Resolver(Protocol):
    """Resolves a name once. The strings are addresses in the order and form of `socket.getaddrinfo`."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """All addresses of *host*. Raises OSError when there is none."""
        ...  # pragma: no cover


class SystemResolver:
    """The operating system's resolver, in threads of its own, so that a slow name server cannot delay other work."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """See `Resolver.__call__`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Reject new look-ups; those in progress end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    # bytes, since Python would encode a str with its own IDNA codec again
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]

"""From names to addresses."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class Resolver(Protocol):
    """Looks a name up once. The strings are addresses as `socket.getaddrinfo` gives them, best first."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """All addresses of *host*. Raises OSError where there is none."""
        ...  # pragma: no cover


class SystemResolver:
    """The operating system's resolver, in threads of its own: a slow name server must not hold up anybody else's work."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """As `Resolver` says."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Take no more names; look-ups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    # bytes: a str would go through Python's own IDNA codec once more
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]

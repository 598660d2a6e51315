"""Runs work whose time depends on what a caller sent or stored, away from the event loop."""

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

SMALL = 16 << 10
"""Bytes up to which decryption and JSON take less time than the change to another thread and back."""
THREADS = 2
"""Threads of one process. They share one interpreter lock with the event loop, which waits for each of them in turn (up to
`SWITCH_INTERVAL`): asyncio's default pool, with four threads more than cores, delays every request."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a busy thread hands the interpreter lock to one that waits for it; Python's default is 0.005."""
GC_THRESHOLD = 20_000
"""New containers between two collections of the youngest generation; Python's default is 700. A config of 150,000 empty lists,
parsed in one call that holds the lock, took 218 ms with the default and 21 ms with this."""


def prefer_event_loop() -> None:
    """Set this process up so that threads with large work delay its event loop little. Call it when all parts are built."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()  # modules and parts stay until the end: no collection need look at them again
    gc.set_threshold(GC_THRESHOLD)


class LargeWork:
    """A few threads for parsing, decryption and rendering."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="large-work")

    async def run(self, work: Callable[[], T]) -> T:
        """The result of *work*, run in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run_sized(self, size: int, work: Callable[[], T]) -> T:
        """The result of *work* on *size* bytes; small work runs at once."""
        return work() if size <= SMALL else await self.run(work)

    def close(self) -> None:
        """End the threads after their current work."""
        self._threads.shutdown(wait=True, cancel_futures=True)

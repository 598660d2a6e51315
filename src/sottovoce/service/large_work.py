"""Runs work whose time depends on what a caller sent or stored, away from the event loop."""

import asyncio
import errno
import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

SMALL = 16 << 10
"""Bytes up to which decryption and JSON take less time than the change to another thread and back."""
LARGE = 256 << 10
"""Bytes of JSON from which another process parses it: a parser holds the interpreter lock until its end, for 20 ms and more."""
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
    """A few threads for parsing, decryption and rendering, and a process for JSON whose parser would hold the interpreter lock."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="large-work")
        self._process: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of *work*, run in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run_sized(self, size: int, work: Callable[[], T]) -> T:
        """The result of *work* on *size* bytes; small work runs at once."""
        return work() if size <= SMALL else await self.run(work)

    def apart(self, size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of *work*, a function of a module, on *size* bytes of JSON; in another process if that is `LARGE`.

        Blocks: call it in a thread of `run`. Raises what *work* raises, and `OSError` if the process dies at it twice.
        """
        if size <= LARGE:
            return work(*args, **kwargs)
        for _ in range(2):
            process = self._started()
            try:
                return process.submit(work, *args, **kwargs).result()
            except BrokenProcessPool:
                self._forget(process)
        raise OSError(errno.EAGAIN, "the process for large configs died at this one")

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._process is None:
                context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
                self._process = ProcessPoolExecutor(1, context, initializer=_set_up, initargs=(os.getpid(),))
            return self._process

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._process is broken:
                self._process = None
        broken.shutdown(wait=False)

    def close(self) -> None:
        """End the threads and the process after their current work."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._process is not None:
            self._process.shutdown(wait=True, cancel_futures=True)


def _set_up(parent: int) -> None:
    """In the process for large work: end with *parent*, hear no Ctrl-C of its terminal, and yield the processor to it."""
    from sottovoce.inference.frame_socket import die_with_parent
    from sottovoce.inference.host import lower_priority

    die_with_parent(parent)
    os.setsid()
    lower_priority()

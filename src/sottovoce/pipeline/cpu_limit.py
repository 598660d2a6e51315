"""A limit on the processor time of code that cannot be trusted to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = 1.0
"""Seconds between two signals: code that swallows the first one gets another."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """End the block by a `TimeoutError` after *seconds* of this process's processor time.

    Works in the main thread only, where Python runs signal handlers, and without effect elsewhere. `re` looks for signals while it
    matches, so this ends a match too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    inside = True

    def late(*_: object) -> None:
        if inside:
            raise TimeoutError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, AGAIN)
    try:
        yield
    finally:
        inside = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

"""Processes several items at once and yields results in order; the degree of parallelism may change meanwhile."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

AHEAD = 8
"""Most submitted items, finished or not, per parallel slot: it bounds the results that wait for an earlier one."""


def in_order(work: Callable[[A], B], items: Iterable[A], width: Callable[[], int], most: int) -> Iterator[B]:
    """The results of *work* on *items*, in order; at most *width*() items run at once, and never more than *most*.

    *items* are consumed on the caller's thread, one at a time, and no earlier than needed. An exception of *work* is raised
    in place of its result. Closing the iterator waits for running items and cancels the others.
    """
    if most <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="windows")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            while waiting and (waiting[0].done() or _full(waiting, min(max(width(), 1), most))):
                if waiting[0].done():
                    yield waiting.popleft().result()
                else:
                    wait([each for each in waiting if not each.done()], return_when=FIRST_COMPLETED)
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _full(waiting: "deque[Future[B]]", width: int) -> bool:
    """True if no further item may be started: *width* items are running, or too many results are waiting."""
    return sum(not each.done() for each in waiting) >= width or len(waiting) >= AHEAD * width

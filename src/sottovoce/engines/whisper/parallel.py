"""Work on several items at once, results in order; how many at once may change while it goes on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

AHEAD = 8
"""Results that may wait for an earlier one, for each item that is worked on at once."""


def in_order(work: Callable[[A], B], items: Iterable[A], width: Callable[[], int], most: int) -> Iterator[B]:
    """*work* on each of *items*, at most *width*() of them at once, and never more than *most*.

    *items* are taken on the caller's thread, one at a time, and no earlier than needed. An exception of *work* is raised
    in the place of its result. Nothing goes on in the background when the iterator is closed.
    """
    if most <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="whisper")
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
    """Whether no further item may be begun: enough are at work, or too many results wait."""
    return sum(not each.done() for each in waiting) >= width or len(waiting) >= AHEAD * width

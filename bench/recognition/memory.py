"""Samples the memory of a process while it works."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from bench import machine

_EVERY = 0.25  # s
MOMENTS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of a measurement's duration at which the report gives the memory."""

Sample = tuple[float, int]
"""Seconds since the start, and resident bytes."""


class Track:
    """Samples resident bytes of the process that *pid* returns (0: not started yet), while the context is open."""

    def __init__(self, pid: Callable[[], int]) -> None:
        self._pid = pid
        self._samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        with contextlib.suppress(
            OSError
        ):  # without permission to reset it, the peak covers the whole life of the process
            machine.reset_peak(self._pid())
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        begun = time.monotonic()
        over = False
        while not over:
            over = self._done.wait(_EVERY)
            with contextlib.suppress(OSError):
                self._samples.append((time.monotonic() - begun, machine.rss(self._pid())))

    def report(self) -> dict[str, Any]:
        """Megabytes at `MOMENTS`, and the peak."""
        return summary(self._samples)


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Megabytes at `MOMENTS` of the time that *samples* span; *growth_mb*: the end less the first quarter."""
    if not samples:
        return {"at": {}, "peak_mb": None, "growth_mb": None}
    last = samples[-1][0]
    at = {
        f"{moment:.0%}": min(samples, key=lambda sample: abs(sample[0] - moment * last))[1] / 1e6 for moment in MOMENTS
    }
    return {
        "at": at,
        "peak_mb": max(size for _, size in samples) / 1e6,
        "growth_mb": at["100%"] - at["25%"],
    }

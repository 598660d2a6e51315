"""How much memory a process takes while it works."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from bench import machine

_EVERY = 0.25  # s
MOMENTS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Parts of the time of a measurement at which its memory is told."""

Sample = tuple[float, int]
"""Seconds since the beginning, and resident bytes."""


class Track:
    """Resident bytes of the process that *pid* names (0: not known yet), from the beginning of the context to its end."""

    def __init__(self, pid: Callable[[], int]) -> None:
        self._pid = pid
        self._samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # without the right to reset it, the peak is that of the whole life
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
        """Megabytes at `MOMENTS`, and the most."""
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

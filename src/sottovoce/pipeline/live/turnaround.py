"""How long a decision about audio takes: from its arrival to the end of the decode that covers it."""

from collections import deque

from sottovoce.transcript.model import RATE, Samples

_FIRST = 3 * RATE // 10  # assumed before the first decode: 0.3 s
_COUNT = 40  # latest decodes that count
_SHARE = 0.95


class Turnaround:
    """The times of the latest decodes of one channel, in samples of time. Arrival times are seconds of any clock."""

    def __init__(self) -> None:
        self._latest: deque[Samples] = deque(maxlen=_COUNT)
        self._arrivals: deque[tuple[Samples, float]] = deque()

    def arrived(self, end: Samples, now: float) -> None:
        """Note that the audio up to *end* arrived at *now*."""
        self._arrivals.append((end, now))

    def decoded(self, end: Samples, now: float) -> None:
        """Note that the audio up to *end* was decoded at *now*."""
        arrived: float | None = None
        while self._arrivals and self._arrivals[0][0] <= end:
            arrived = self._arrivals.popleft()[1]
        if arrived is not None:
            self._latest.append(round((now - arrived) * RATE))

    @property
    def last(self) -> Samples:
        """The time of the last decode; 0 before the first."""
        return self._latest[-1] if self._latest else 0

    @property
    def usual(self) -> Samples:
        """The time that 95 of 100 decodes need at most."""
        if not self._latest:
            return _FIRST
        ordered = sorted(self._latest)
        return ordered[min(int(len(ordered) * _SHARE), len(ordered) - 1)]

"""Token buckets of one process: how fast each name may take, by a clock of its own."""

import math
from collections import OrderedDict
from collections.abc import Callable

from sottovoce.service.limits.rate_limits import RateLimit, RateLimited

_WHOLE = 1.0 - 1e-9  # a token, but for rounding: who waits as long as he was told shall have one


class TokenBuckets:
    """A token bucket for each name, in this process. *clock* gives monotonic seconds.

    A bucket that has filled up again is the same as none, so only those in use take memory.
    """

    def __init__(self, pace: RateLimit, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, when

    def take(self, name: str) -> None:
        """Take one token. Raises `RateLimited`, with the seconds to wait, when there is none."""
        now = self._clock()
        left = self._left(name, now)
        if left < _WHOLE:
            raise RateLimited(math.ceil((1.0 - left) / self._pace.rate))
        self._held[name] = max(0.0, left - 1.0), now
        self._held.move_to_end(name)
        self._drop_full(now)

    def _left(self, name: str, now: float) -> float:
        left, at = self._held.get(name, (float(self._pace.burst), now))
        return min(self._pace.burst, left + (now - at) * self._pace.rate)

    def _drop_full(self, now: float) -> None:
        """Forget buckets from the least lately used on, as long as they are full."""
        while self._held and self._left(next(iter(self._held)), now) >= self._pace.burst:
            self._held.popitem(last=False)

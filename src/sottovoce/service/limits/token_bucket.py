"""Token buckets of one process."""

import math
from collections import OrderedDict
from collections.abc import Callable

from sottovoce.service.limits.rate_limits import RateLimit, RateLimited

_WHOLE = 1.0 - 1e-9  # one token less rounding errors, so that a client that waits as long as required gets one


class TokenBuckets:
    """A token bucket for each name, in this process. *clock* gives monotonic seconds.

    Full buckets are removed, so only those in use take memory.
    """

    def __init__(self, rate_limit: RateLimit, clock: Callable[[], float]) -> None:
        self._rate_limit = rate_limit
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by name: tokens left, and at which instant

    def take(self, name: str) -> None:
        """Take one token. Raises `RateLimited`, with the seconds to wait, if there is none."""
        now = self._clock()
        left = self._left(name, now)
        if left < _WHOLE:
            raise RateLimited(math.ceil((1.0 - left) / self._rate_limit.rate))
        self._held[name] = max(0.0, left - 1.0), now
        self._held.move_to_end(name)
        self._drop_full(now)

    def _left(self, name: str, now: float) -> float:
        left, at = self._held.get(name, (float(self._rate_limit.burst), now))
        return min(self._rate_limit.burst, left + (now - at) * self._rate_limit.rate)

    def _drop_full(self, now: float) -> None:
        """Remove full buckets, starting with the least recently used, up to the first one that is not full."""
        while self._held and self._left(next(iter(self._held)), now) >= self._rate_limit.burst:
            self._held.popitem(last=False)

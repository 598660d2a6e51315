"""Rate limits as values, and the error for a request that exceeds one."""

from dataclasses import dataclass, field

from sottovoce.errors import Kind, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Requests of one key: at most *burst* at once and *rate* per second on average. Both are above zero."""

    rate: float
    burst: int

    @property
    def filling(self) -> float:
        """Seconds in which an empty bucket refills."""
        return self.burst / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """One rate limit for new jobs, one for every other request about jobs."""

    submit: RateLimit = field(default_factory=lambda: RateLimit(rate=100.0, burst=1000))
    read: RateLimit = field(default_factory=lambda: RateLimit(rate=1000.0, burst=10_000))


class RateLimited(Refused):
    """Too many requests; *after*: whole seconds until the next one is allowed."""

    def __init__(self, after: int) -> None:
        super().__init__(Kind.RATE_LIMITED, f"too many requests of this key; try again in {after} s")
        self.after = after

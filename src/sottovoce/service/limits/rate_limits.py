"""Rate limits as values, and the refusal of a request over one of them."""

from dataclasses import dataclass, field

from sottovoce.errors import Kind, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Requests of one key: *burst* at once, *rate* a second on the whole. Both are above zero."""

    rate: float
    burst: int

    @property
    def filling(self) -> float:
        """Seconds after which an empty bucket is full again."""
        return self.burst / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """One pace for new jobs, one for every other request about jobs."""

    submit: RateLimit = field(default_factory=lambda: RateLimit(rate=100.0, burst=1000))
    read: RateLimit = field(default_factory=lambda: RateLimit(rate=1000.0, burst=10_000))


class RateLimited(Refused):
    """Too many requests; *after* is in whole seconds."""

    def __init__(self, after: int) -> None:
        super().__init__(Kind.RATE_LIMITED, f"too many requests of this key; try again in {after} s")
        self.after = after

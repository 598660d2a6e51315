"""The rate limiter of API requests: chooses the rate limit of a request, and counts it per process or across processes."""

from collections.abc import Callable

from sottovoce.service.limits.rate_limits import RateLimited, RateLimits
from sottovoce.service.limits.shared_token_bucket import SharedBuckets
from sottovoce.service.limits.token_bucket import TokenBuckets
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage.database import Database

SUBMIT, READ = "submit", "read"
KEPT = 3600.0
"""Seconds for which an unused bucket stays in the database, at least."""


class RateLimiter:
    """Rate limits per key. All API processes share them on PostgreSQL.

    With an embedded database, and while PostgreSQL is unreachable, each process counts its own requests. *clock* gives monotonic
    seconds.
    """

    def __init__(
        self, rate_limits: RateLimits, database: Database, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._rate_limits = {SUBMIT: rate_limits.submit, READ: rate_limits.read}
        self._own = {rule: TokenBuckets(rate_limit, clock) for rule, rate_limit in self._rate_limits.items()}
        self._shared = None if database.embedded else SharedBuckets(database, clock)
        self._metrics = metrics

    @property
    def shared(self) -> bool:
        """True if buckets are stored in the database."""
        return self._shared is not None

    async def take(self, key_id: str, method: str) -> None:
        """Count a request of a key, or of a temporary key that was issued for it. Raises `RateLimited`.

        The contract has one rate for new jobs and one for reading them (`batch-v2.md` §11). DELETE counts as reading, so that a
        client that submits, reads and deletes each job reaches the full rate of new jobs.
        """
        rule = SUBMIT if method == "POST" else READ
        try:
            if self._shared is None or not await self._shared.take(f"{rule} {key_id}", self._rate_limits[rule]):
                self._own[rule].take(key_id)
        except RateLimited:
            self._metrics.limited(rule)
            raise

    async def forget(self) -> None:
        """Remove the shared buckets that have refilled since their last use."""
        if self._shared is not None:
            await self._shared.forget(max(KEPT, *(rate_limit.filling for rate_limit in self._rate_limits.values())))

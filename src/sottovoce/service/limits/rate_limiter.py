"""How fast a key may ask: which pace counts for a request, in this process or in all of them together."""

from collections.abc import Callable

from sottovoce.service.limits.rate_limits import RateLimited, RateLimits
from sottovoce.service.limits.shared_token_bucket import SharedBuckets
from sottovoce.service.limits.token_bucket import TokenBuckets
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage.database import Database

SUBMIT, READ = "submit", "read"
KEPT = 3600.0
"""Seconds that an unused bucket stays in the database, at least."""


class RateLimiter:
    """The paces of keys. On PostgreSQL they are those of all API processes; while it is away, and embedded, of this one.

    *clock* gives monotonic seconds.
    """

    def __init__(
        self, rate_limits: RateLimits, database: Database, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._rate_limits = {SUBMIT: rate_limits.submit, READ: rate_limits.read}
        self._own = {rule: TokenBuckets(pace, clock) for rule, pace in self._rate_limits.items()}
        self._shared = None if database.embedded else SharedBuckets(database, clock)
        self._metrics = metrics

    @property
    def shared(self) -> bool:
        """Whether buckets are kept in the database."""
        return self._shared is not None

    async def take(self, key_id: str, method: str) -> None:
        """Count a request of the key, or the temporary ones in its name. Raises `RateLimited`.

        The contract knows a rate of new jobs and one of looks at them (`batch-v2.md` §11). DELETE goes with the latter: who
        submits, looks and deletes shall get as many jobs done as the former says.
        """
        rule = SUBMIT if method == "POST" else READ
        try:
            if self._shared is None or not await self._shared.take(f"{rule} {key_id}", self._rate_limits[rule]):
                self._own[rule].take(key_id)
        except RateLimited:
            self._metrics.limited(rule)
            raise

    async def forget(self) -> None:
        """Remove the shared buckets that have filled up since they were last used."""
        if self._shared is not None:
            await self._shared.forget(max(KEPT, *(pace.filling for pace in self._rate_limits.values())))

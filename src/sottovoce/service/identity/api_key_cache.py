"""A region's cache of API keys: read from the control database, and served from memory while that database is unreachable."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa

from sottovoce.service.identity import api_keys, temporary_keys
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.identity.temporary_keys import Claims, Expired, InvalidToken, VerificationKey
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)
T = TypeVar("T")

FRESH_SECONDS = 2.0
"""Seconds for which a cached answer is used: a revoked key stops working within this time (design §3 allows five)."""
STALE_IF_DOWN_SECONDS = 3600.0
"""Seconds for which the last answer about a cached key is used while the control database is unreachable."""
PATIENCE = 5.0
"""Seconds to wait for the control database before it counts as unreachable."""
CAPACITY = 10_000
"""Entries of one cache; the least recently used are removed first."""


class ControlAway(Exception):
    """The control database is unreachable, and this key is not cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedValue(Generic[T]):
    found: T | None
    at: float


class _TtlCache(Generic[T]):
    """The last answers of the control database about records of one kind, by name."""

    def __init__(self, control: Database, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._answers: OrderedDict[str, _CachedValue[T]] = OrderedDict()
        self._failed: float | None = None

    async def ask(self, name: str, look: Callable[[sa.Connection], T | None]) -> T | None:
        """Return what *look* finds, or found in the last `FRESH_SECONDS`; `None` if it finds nothing. Raises `ControlAway`."""
        cached = self._answers.get(name)
        now = self._clock()
        if cached and now - cached.at < FRESH_SECONDS:
            return cached.found
        remembered = cached.found if cached and now - cached.at < STALE_IF_DOWN_SECONDS else None
        if remembered is not None and self._failed is not None and now - self._failed < FRESH_SECONDS:
            return remembered  # without this, each request would wait `PATIENCE` for a database that does not answer
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._control.read(look)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            self._failed = self._clock()
            if remembered is not None:
                _log.warning("control database unreachable, key taken from the cache", extra=_log_fields(remembered))
                return remembered
            raise ControlAway from error
        self._failed = None
        self._answers[name] = _CachedValue(found=found, at=now)
        self._answers.move_to_end(name)
        _trim(self._answers)
        return found


def _log_fields(found: object) -> dict[str, str]:
    return {"key_id": found.key_id if isinstance(found, Caller) else getattr(found, "id", "")}


def _trim(remembered: "OrderedDict[str, T]") -> None:
    while len(remembered) > CAPACITY:
        remembered.popitem(last=False)


class ApiKeyCache:
    """Finds the caller that a secret belongs to. *clock* gives monotonic seconds, *now* epoch seconds; *region*: this region."""

    def __init__(
        self,
        control: Database,
        clock: Callable[[], float],
        *,
        now: Callable[[], float] = time.time,
        region: str | None = None,
    ) -> None:
        self.region = region
        self._now = now
        self._callers: _TtlCache[Caller] = _TtlCache(control, clock)
        self._verification_keys: _TtlCache[VerificationKey] = _TtlCache(control, clock)
        self._claims: OrderedDict[str, Claims] = OrderedDict()

    async def caller(self, secret: str) -> Caller | None:
        """Return the caller of the permanent or temporary key *secret*; `None` if it is unknown, revoked or expired.

        Raises `ControlAway`.
        """
        if temporary_keys.signing_key_of(secret) is None:
            key = api_keys.digest(secret)
            return await self._callers.ask(key, lambda connection: api_keys.caller(connection, key))
        claims = await self.claims(secret)
        if claims is None:
            return None
        name = f"{claims.key_id} in {claims.project_id}"
        holder = await self._callers.ask(
            name, lambda connection: api_keys.holder(connection, claims.key_id, claims.project_id)
        )
        return claims.caller(holder) if holder else None

    async def claims(self, token: str) -> Claims | None:
        """Return the claims of *token*; `None` if it is not a temporary key that is valid now. Raises `ControlAway`.

        The permanent key that it stands for may be revoked: `caller` looks.
        """
        signing_key = temporary_keys.signing_key_of(token)
        if signing_key is None:
            return None
        try:
            claims = await self._verified_claims(token, signing_key)
            claims.check(self._now())
        except InvalidToken:
            return None
        return claims

    async def is_expired(self, secret: str) -> bool:
        """True if *secret* is a temporary key that this installation signed and that has expired. Raises `ControlAway`."""
        signing_key = temporary_keys.signing_key_of(secret)
        if signing_key is None:
            return False
        try:
            (await self._verified_claims(secret, signing_key)).check(self._now())
        except Expired:
            return True
        except InvalidToken:
            return False
        return False

    async def _verified_claims(self, token: str, signing_key: str) -> Claims:
        """Return the claims of *token*; its signature is checked once and then cached. Raises `InvalidToken`, `ControlAway`."""
        verification_key = await self._verification_keys.ask(
            signing_key, lambda connection: temporary_keys.witness(connection, signing_key)
        )
        if verification_key is None:
            raise InvalidToken("the signing key is unknown")
        name = api_keys.digest(token)
        if (cached := self._claims.get(name)) is not None:
            return cached
        self._claims[name] = claims = temporary_keys.verify(token, verification_key)
        _trim(self._claims)
        return claims

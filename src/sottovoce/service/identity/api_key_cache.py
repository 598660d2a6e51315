"""Keys as a region knows them: asked of the control database, remembered briefly, and kept while that database is away."""

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
"""Seconds that an answer is good for: a revoked key stops working within this (design §3 allows five)."""
STALE_IF_DOWN_SECONDS = 3600.0
"""Seconds that the last answer about a known key serves while the control database cannot be asked."""
PATIENCE = 5.0
"""Seconds to wait for the control database before it counts as away."""
CAPACITY = 10_000


class ControlAway(Exception):
    """The control database cannot be asked, and this key was not known before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedValue(Generic[T]):
    found: T | None
    at: float


class _TtlCache(Generic[T]):
    """The last answers about things of one kind, by their names."""

    def __init__(self, control: Database, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._answers: OrderedDict[str, _CachedValue[T]] = OrderedDict()
        self._failed: float | None = None

    async def ask(self, name: str, look: Callable[[sa.Connection], T | None]) -> T | None:
        """What *look* finds, or found a moment ago. Raises `ControlAway`."""
        known = self._answers.get(name)
        now = self._clock()
        if known and now - known.at < FRESH_SECONDS:
            return known.found
        remembered = known.found if known and now - known.at < STALE_IF_DOWN_SECONDS else None
        if remembered is not None and self._failed is not None and now - self._failed < FRESH_SECONDS:
            return remembered  # a database that does not even refuse shall not cost each request its patience
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._control.read(look)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            self._failed = self._clock()
            if remembered is not None:
                _log.warning("control database away, key taken from memory", extra=_shown(remembered))
                return remembered
            raise ControlAway from error
        self._failed = None
        self._answers[name] = _CachedValue(found=found, at=now)
        self._answers.move_to_end(name)
        _trim(self._answers)
        return found


def _shown(found: object) -> dict[str, str]:
    return {"key_id": found.key_id if isinstance(found, Caller) else getattr(found, "id", "")}


def _trim(remembered: "OrderedDict[str, T]") -> None:
    while len(remembered) > CAPACITY:
        remembered.popitem(last=False)


class ApiKeyCache:
    """Who a secret belongs to. *clock* gives monotonic seconds, *now* epoch seconds; *region* is the one that asks."""

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
        self._witnesses: _TtlCache[VerificationKey] = _TtlCache(control, clock)
        self._claims: OrderedDict[str, Claims] = OrderedDict()

    async def caller(self, secret: str) -> Caller | None:
        """Whose permanent or temporary key *secret* is; `None` for nobody's, or one that is over. Raises `ControlAway`."""
        signing_key = temporary_keys.signing_key_of(secret)
        if signing_key is None:
            key = api_keys.digest(secret)
            return await self._callers.ask(key, lambda connection: api_keys.caller(connection, key))
        try:
            claims = await self._said(secret, signing_key)
            claims.check(self._now())
        except InvalidToken:
            return None
        name = f"{claims.key_id} in {claims.project_id}"
        holder = await self._callers.ask(
            name, lambda connection: api_keys.holder(connection, claims.key_id, claims.project_id)
        )
        return claims.caller(holder) if holder else None

    async def is_expired(self, secret: str) -> bool:
        """Whether *secret* is a temporary key of ours whose time is over. Raises `ControlAway`."""
        signing_key = temporary_keys.signing_key_of(secret)
        if signing_key is None:
            return False
        try:
            (await self._said(secret, signing_key)).check(self._now())
        except Expired:
            return True
        except InvalidToken:
            return False
        return False

    async def _said(self, token: str, signing_key: str) -> Claims:
        """What *token* says; a signature is checked once. Raises `InvalidToken`, `ControlAway`."""
        witness = await self._witnesses.ask(
            signing_key, lambda connection: temporary_keys.witness(connection, signing_key)
        )
        if witness is None:
            raise InvalidToken("signed with no key of ours")
        name = api_keys.digest(token)
        if (known := self._claims.get(name)) is not None:
            return known
        self._claims[name] = claims = temporary_keys.verify(token, witness)
        _trim(self._claims)
        return claims

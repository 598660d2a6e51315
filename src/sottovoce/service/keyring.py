"""Keys as a region knows them: asked of the control database, remembered briefly, and kept while that database is away."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.service import accounts
from sottovoce.service.accounts import Caller
from sottovoce.service.database import Database

_log = logging.getLogger(__name__)

FRESH = 2.0
"""Seconds that an answer is good for: a revoked key stops working within this (design §3 allows five)."""
STALE = 3600.0
"""Seconds that the last answer about a known key serves while the control database cannot be asked."""
PATIENCE = 5.0
"""Seconds to wait for the control database before it counts as away."""
CAPACITY = 10_000


class ControlAway(Exception):
    """The control database cannot be asked, and this key was not known before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    caller: Caller | None
    at: float


class Keyring:
    """Who a secret belongs to. *clock* gives monotonic seconds."""

    def __init__(self, control: Database, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    async def caller(self, secret: str) -> Caller | None:
        """Whose key *secret* is; `None` for nobody's. Raises `ControlAway`."""
        key = accounts.digest(secret)
        known = self._answers.get(key)
        now = self._clock()
        if known and now - known.at < FRESH:
            return known.caller
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._control.read(lambda connection: accounts.caller(connection, key))
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            if known and known.caller and now - known.at < STALE:
                _log.warning("control database away, key taken from memory", extra={"key_id": known.caller.key_id})
                return known.caller
            raise ControlAway from error
        self._remember(key, _Answer(caller=found, at=now))
        return found

    def _remember(self, key: str, answer: _Answer) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        while len(self._answers) > CAPACITY:
            self._answers.popitem(last=False)

"""The till of a region: what jobs cost, and the credits that are held for them before they are made."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.billing import ledger
from sottovoce.service.billing.ledger import EntryKind, Payment
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)
T = TypeVar("T")

MINUTE_MS = 60_000
PATIENCE = 15.0
"""Seconds to wait for the control database before it counts as away."""
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, TimeoutError)
"""What is raised when a database cannot be asked; anything else is a defect of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What is asked for a job. Without *billing* nothing is: balances are shown, and nobody is refused."""

    billing: bool = False
    per_minute: int = 1

    def cost(self, duration_ms: int | None, media_bytes: int | None) -> int:
        """Credits for media of that duration: each started minute counts.

        Unknown or no duration, of media that is not empty, counts as one minute. *media_bytes* `None`: not known yet.
        """
        if media_bytes == 0:
            return 0
        return self.per_minute * max(1, -(-(duration_ms or 0) // MINUTE_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a job *cost*s as far as is known, and the *balance* after that; `None` when nothing is billed."""

    cost: int
    balance: int | None


class CreditReservations:
    """Holds credits for the jobs of *region*."""

    def __init__(self, control: Database, region: str, pricing: Pricing) -> None:
        self._control = control
        self._region = region
        self.pricing = pricing

    async def hold(self, workspace_id: int, job_id: str, cost: int) -> Reservation:
        """Take *cost* credits for the job that is about to be made; again for the same job changes nothing.

        Raises `Refused`: too few credits; or `UNAVAILABLE`, after which the hold may have been made all the same, and is
        withdrawn later since its job is not there.
        """
        if not self.pricing.billing:
            return Reservation(cost=0, balance=None)
        if cost == 0:
            return Reservation(cost=0, balance=await self.balance(workspace_id))

        def take(connection: sa.Connection) -> Reservation:
            held = ledger.hold(connection, workspace_id, region=self._region, job_id=job_id, cost=cost)
            return Reservation(cost=held.amount, balance=ledger.balance(connection, workspace_id))

        return await _asked(self._control.write, take)

    async def release(self, job_id: str) -> None:
        """Give back what was held for a job that did not come to be. Without the control database the settler does it later."""
        if not self.pricing.billing:
            return

        def withdraw(connection: sa.Connection) -> None:
            held = ledger.open_hold(connection, self._region, job_id)
            if held is not None:
                ledger.give_back(connection, held, EntryKind.WITHDRAWN)

        try:
            async with asyncio.timeout(PATIENCE):
                await self._control.write(withdraw)
        except AWAY as error:
            _log.warning("credits not given back yet", extra={"job": job_id, "why": str(error)})

    async def balance(self, workspace_id: int) -> int:
        """The credits of a workspace. Raises `Refused(UNAVAILABLE)`."""
        return await _asked(self._control.read, lambda connection: ledger.balance(connection, workspace_id))

    async def payments(
        self, workspace_id: int, *, limit: int, since: int | None = None, before: int | None = None
    ) -> list[Payment]:
        """What a workspace was given and charged, newest first; see `ledger.payments`. Raises `Refused(UNAVAILABLE)`."""

        def look(connection: sa.Connection) -> list[Payment]:
            return ledger.payments(connection, workspace_id, limit=limit, since=since, before=before)

        return await _asked(self._control.read, look)


async def _asked(ask: Callable[[Callable[[sa.Connection], T]], Awaitable[T]], work: Callable[[sa.Connection], T]) -> T:
    try:
        async with asyncio.timeout(PATIENCE):
            return await ask(work)
    except AWAY as error:
        _log.warning("credits cannot be asked for", extra={"why": str(error)})
        raise Refused(Kind.UNAVAILABLE, "the ledger of credits cannot be reached") from error

"""The price of a job, and credits reserved for a region's jobs before they are created."""

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
"""Seconds to wait for the control database before it counts as unreachable."""
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, TimeoutError)
"""Exceptions that mean that a database is unreachable; any other exception is a defect of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """*per_minute*: credits for each started minute. Without *billing*, jobs are free and no job is rejected for its cost."""

    billing: bool = False
    per_minute: int = 1

    def cost(self, duration_ms: int | None, media_bytes: int | None) -> int:
        """Return the credits for media of *duration_ms*: each started minute counts.

        An unknown or zero duration of media that is not empty counts as one minute. *media_bytes* `None`: not known yet.
        """
        if media_bytes == 0:
            return 0
        return self.per_minute * max(1, -(-(duration_ms or 0) // MINUTE_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The credits reserved for a job, and the *balance* after that; `None` without billing."""

    cost: int
    balance: int | None


class CreditReservations:
    """Reserves credits for the jobs of *region*."""

    def __init__(self, control: Database, region: str, pricing: Pricing) -> None:
        self._control = control
        self._region = region
        self.pricing = pricing

    async def hold(self, workspace_id: int, job_id: str, cost: int) -> Reservation:
        """Reserve *cost* credits for a job before it is created. A second call for the same job changes nothing.

        Raises `Refused`: `INSUFFICIENT_CREDIT`; or `UNAVAILABLE`, after which the hold may exist all the same: the settlement
        withdraws it later, because its job does not exist.
        """
        if not self.pricing.billing:
            return Reservation(cost=0, balance=None)
        if cost == 0:
            return Reservation(cost=0, balance=await self.balance(workspace_id))

        def take(connection: sa.Connection) -> Reservation:
            held = ledger.hold(connection, workspace_id, region=self._region, job_id=job_id, cost=cost)
            return Reservation(cost=held.amount, balance=ledger.balance(connection, workspace_id))

        return await _within_patience(self._control.write, take)

    async def release(self, job_id: str) -> None:
        """Return the credits of a job that was not created; the settlement does it later if the database is unreachable."""
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
            _log.warning("credits not released yet", extra={"job": job_id, "why": str(error)})

    async def balance(self, workspace_id: int) -> int:
        """Return the credits of a workspace. Raises `Refused(UNAVAILABLE)`."""
        return await _within_patience(self._control.read, lambda connection: ledger.balance(connection, workspace_id))

    async def payments(
        self, workspace_id: int, *, limit: int, since: int | None = None, before: int | None = None
    ) -> list[Payment]:
        """Return the payments of a workspace, newest first; see `ledger.payments`. Raises `Refused(UNAVAILABLE)`."""

        def look(connection: sa.Connection) -> list[Payment]:
            return ledger.payments(connection, workspace_id, limit=limit, since=since, before=before)

        return await _within_patience(self._control.read, look)


async def _within_patience(
    run: Callable[[Callable[[sa.Connection], T]], Awaitable[T]], work: Callable[[sa.Connection], T]
) -> T:
    """Return what *run* returns for *work*. Raises `Refused(UNAVAILABLE)` if the database does not answer in `PATIENCE`."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await run(work)
    except AWAY as error:
        _log.warning("credit ledger unreachable", extra={"why": str(error)})
        raise Refused(Kind.UNAVAILABLE, "the credit ledger cannot be reached; try again later") from error

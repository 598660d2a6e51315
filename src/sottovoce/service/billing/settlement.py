"""Settling: what was held for jobs is charged or given back once they have ended.

Jobs and credits lie in two databases, and a process may die between any two of their transactions. Open holds are the work list,
the job's row says what is to become of each, and closing a hold happens once: so whoever comes next finishes what was left.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import State
from sottovoce.service.billing import ledger
from sottovoce.service.billing.credit_holds import AWAY, Pricing
from sottovoce.service.billing.ledger import EntryKind, Hold
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

GRACE_MS = 600_000
"""How long a hold may be without its job: intake makes the job within two minutes of the hold, or not at all."""
PAGE = 500
PAGES = 4
"""Holds that are looked at together, and how often in one tick: what a tick costs does not grow with the work in hand."""
TOGETHER = 50
"""Holds that are closed in one transaction, which keeps others from the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _JobEnd:
    """What a job's row says about its end."""

    id: str
    state: State
    reason: str | None
    duration_ms: int
    media_bytes: int
    finished_at: int | None

    @property
    def done(self) -> bool:
        """Whether it gave a result, also one that was deleted or has expired since."""
        return self.finished_at is not None and self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """How *held* is to be closed: by a *cost*, or by giving it back as *kind*."""

    held: Hold
    kind: EntryKind
    cost: int = 0


class SettlementJob:
    """Closes the holds of one region. Any number may be at it; *grace_ms* is for tests."""

    def __init__(
        self, control: Database, database: Database, region: str, pricing: Pricing, *, grace_ms: int = GRACE_MS
    ) -> None:
        self._control = control
        self._database = database
        self._region = region
        self._tariff = pricing
        self._grace_ms = grace_ms
        self._after = ""
        self._away = False

    async def tick(self) -> None:
        """Look at the next holds, and close those whose job has ended; the next tick goes on from there."""
        try:
            for _ in range(PAGES):
                if not await self._page():
                    break
        except AWAY as error:
            if not self._away:
                _log.warning("credits not settled", extra={"why": str(error)})
            self._away = True
        else:
            self._away = False

    async def _page(self) -> bool:
        """Look at one page; whether there is another behind it."""
        # holds first: a job that is not there afterwards was not there when its hold grew too old
        held = await self._control.read(
            lambda connection: ledger.open_holds(connection, self._region, after=self._after, limit=PAGE)
        )
        if held:
            rows = await self._database.read(lambda connection: _rows(connection, [each.job_id for each in held]))
            await self._close([verdict for each in held if (verdict := self._verdict(each, rows))])
        more = len(held) == PAGE
        self._after = held[-1].job_id if more else ""
        return more

    def _verdict(self, held: Hold, rows: Mapping[str, _JobEnd]) -> _Decision | None:
        """What is to become of *held*; `None`: nothing yet."""
        row = rows.get(held.job_id)
        if row is None:
            old = held.age > self._grace_ms
            return _Decision(held=held, kind=EntryKind.WITHDRAWN) if old else None
        if row.state in job.LIVE:
            return None
        earlier = (row.finished_at or 0) <= held.at  # it ended before it was held for, as far as two clocks can tell
        if row.done and not (earlier and held.round):  # else two operators retried it, and the other one's was charged
            # by now the duration is known: none means none
            cost = self._tariff.cost(row.duration_ms, row.media_bytes) if row.duration_ms else 0
            return _Decision(held=held, kind=EntryKind.SETTLED, cost=cost)
        if row.state is State.REJECTED and earlier and held.age <= self._grace_ms:
            return None  # an operator is about to run it again
        return _Decision(held=held, kind=EntryKind.REFUND)

    async def _close(self, verdicts: Sequence[_Decision]) -> None:
        # always in the order of workspaces: two who close at the same time never wait for each other
        ordered = sorted(verdicts, key=lambda verdict: (verdict.held.workspace_id, verdict.held.job_id))
        for begin in range(0, len(ordered), TOGETHER):
            some = ordered[begin : begin + TOGETHER]
            for verdict, short in await self._control.write(partial(_closed, verdicts=some)):
                _tell(verdict, short)


def _closed(connection: sa.Connection, verdicts: Iterable[_Decision]) -> list[tuple[_Decision, int]]:
    """Those of *verdicts* that were carried out, and the credits that were missing for each."""
    done = []
    for verdict in verdicts:
        if verdict.kind is EntryKind.SETTLED:
            short = ledger.settle(connection, verdict.held, verdict.cost)
        else:
            short = 0 if ledger.give_back(connection, verdict.held, verdict.kind) else None
        if short is not None:
            done.append((verdict, short))
    return done


def _rows(connection: sa.Connection, ids: Sequence[str]) -> dict[str, _JobEnd]:
    columns = [t.jobs.c[name] for name in _JobEnd.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).where(t.jobs.c.id.in_(ids))).mappings()
    return {row["id"]: _JobEnd(**{**row, "state": State(row["state"])}) for row in rows}


def _tell(verdict: _Decision, short: int) -> None:
    held = verdict.held
    told = {"job": held.job_id, "workspace": held.workspace_id, "held": held.amount}
    if verdict.kind is not EntryKind.SETTLED:
        _log.info("credits given back", extra=told | {"as": verdict.kind})
        return
    _log.info("credits settled", extra=told | {"cost": verdict.cost})
    if short:
        _log.warning("credits fell short", extra=told | {"cost": verdict.cost, "short": short})

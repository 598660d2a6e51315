"""Settlement: charges or returns the held credits of jobs that have ended.

Jobs and credits are in two databases, and a process may die between two transactions. So the open holds are the work list, the
job's row decides how each is closed, and a hold is closed only once: the next settlement completes an interrupted one.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import State
from sottovoce.service.billing import ledger
from sottovoce.service.billing.credit_holds import Pricing
from sottovoce.service.billing.ledger import EntryKind, Hold
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

GRACE_MS = 600_000
"""ms that a hold may exist without its job: a submission creates the job within two minutes of the hold, or not at all."""
PAGE = 500
"""Holds that are read in one query."""
PAGES = 4
"""Pages of one tick, which bounds the time of a tick."""
_STATES = frozenset(State)
TOGETHER = 50
"""Holds that are closed in one transaction; it blocks other changes of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _JobEnd:
    """The columns of a job that decide about its hold."""

    id: str
    state: str  # a `State`, unless another release wrote the row
    reason: str | None
    duration_ms: int
    media_bytes: int
    finished_at: int | None

    @property
    def done(self) -> bool:
        """True if the job had a result, even if it was deleted or has expired since."""
        return self.finished_at is not None and self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """How to close *held*: charge *cost* (`SETTLED`), or return it as another *kind*."""

    held: Hold
    kind: EntryKind
    cost: int = 0


class SettlementJob:
    """Closes the holds of one region. Several processes may run it at the same time. Tests set *grace_ms*."""

    def __init__(
        self,
        control: Database,
        database: Database,
        region: str,
        pricing: Pricing,
        metrics: Metrics,
        *,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._control = control
        self._database = database
        self._region = region
        self._pricing = pricing
        self._metrics = metrics
        self._grace_ms = grace_ms
        self._after = ""
        self._away = False
        self._broken: set[str] = set()  # jobs whose holds cannot be closed because of a bug; logged once

    async def tick(self) -> None:
        """Check the next `PAGES` pages of holds, and close those whose job has ended. The next tick continues after them."""
        try:
            for _ in range(PAGES):
                if not await self._page():
                    break
        except Exception as error:
            if not temporary(error):
                raise
            if not self._away:
                _log.warning("credits not settled", extra={"why": str(error)})
            self._away = True
        else:
            self._away = False

    async def _page(self) -> bool:
        """Check one page of holds. False if it was the last one."""
        # holds are read before jobs: a missing job was then missing already when its hold exceeded the grace time
        held = await self._control.read(
            lambda connection: ledger.open_holds(connection, self._region, after=self._after, limit=PAGE)
        )
        if held:
            rows = await self._database.read(lambda connection: _rows(connection, [each.job_id for each in held]))
            open_ones = [each for each in held if each.job_id not in self._broken]
            await self._close([decision for each in open_ones if (decision := self._decision(each, rows))])
        more = len(held) == PAGE
        self._after = held[-1].job_id if more else ""
        return more

    def _decision(self, held: Hold, rows: Mapping[str, _JobEnd]) -> _Decision | None:
        """Return how to close *held*; `None`: keep it open."""
        row = rows.get(held.job_id)
        if row is not None and row.state not in _STATES:
            return None  # another release wrote the row; it knows whether the job has ended
        if row is None:
            old = held.age > self._grace_ms
            return _Decision(held=held, kind=EntryKind.WITHDRAWN) if old else None
        if row.state in job.LIVE:
            return None
        earlier = (row.finished_at or 0) <= held.at  # the job ended before the hold, by the clocks of two databases
        # a done job with an earlier end and a later round was retried twice at once; the other hold was charged
        if row.done and not (earlier and held.round):
            # the duration of a done job is known: 0 means that the media has no audio
            cost = self._pricing.cost(row.duration_ms, row.media_bytes) if row.duration_ms else 0
            return _Decision(held=held, kind=EntryKind.SETTLED, cost=cost)
        if row.state == State.REJECTED and earlier and held.age <= self._grace_ms:
            return None  # an operator's retry took the hold and has not started the job yet
        return _Decision(held=held, kind=EntryKind.REFUND)

    async def _close(self, decisions: Sequence[_Decision]) -> None:
        # sorted by workspace, so that concurrent settlements lock workspaces in the same order and cannot deadlock
        ordered = sorted(decisions, key=lambda decision: (decision.held.workspace_id, decision.held.job_id))
        for begin in range(0, len(ordered), TOGETHER):
            some = ordered[begin : begin + TOGETHER]
            try:
                await self._close_together(some)
            except Exception as bug:
                if temporary(bug):
                    raise
                for decision in some:  # one of them failed: find it, and close the others
                    await self._close_alone(decision)

    async def _close_together(self, decisions: Sequence[_Decision]) -> None:
        for decision, short in await self._control.write(partial(_closed, decisions=decisions)):
            _log_closed(decision, short)

    async def _close_alone(self, decision: _Decision) -> None:
        try:
            await self._close_together([decision])
        except Exception as bug:
            if temporary(bug):
                raise
            self._set_aside(decision.held.job_id)

    def _set_aside(self, job_id: str) -> None:
        """Leave the hold of *job_id* open because of the bug that is being handled, until the next start of the process."""
        self._broken.add(job_id)
        self._metrics.broke("credits")
        _log.exception("credits of a job not settled", extra={"job": job_id})


def _closed(connection: sa.Connection, decisions: Iterable[_Decision]) -> list[tuple[_Decision, int]]:
    """Close the holds of *decisions*. Returns those that were still open, each with the credits that were missing."""
    done = []
    for decision in decisions:
        if decision.kind is EntryKind.SETTLED:
            short = ledger.settle(connection, decision.held, decision.cost)
        else:
            short = 0 if ledger.give_back(connection, decision.held, decision.kind) else None
        if short is not None:
            done.append((decision, short))
    return done


def _rows(connection: sa.Connection, ids: Sequence[str]) -> dict[str, _JobEnd]:
    columns = [t.jobs.c[name] for name in _JobEnd.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).where(t.jobs.c.id.in_(ids))).mappings()
    return {row["id"]: _JobEnd(**row) for row in rows}


def _log_closed(decision: _Decision, short: int) -> None:
    held = decision.held
    fields = {"job": held.job_id, "workspace": held.workspace_id, "held": held.amount}
    if decision.kind is not EntryKind.SETTLED:
        _log.info("credits returned", extra=fields | {"as": decision.kind})
        return
    _log.info("credits settled", extra=fields | {"cost": decision.cost})
    if short:
        _log.warning("credits fell short", extra=fields | {"cost": decision.cost, "short": short})

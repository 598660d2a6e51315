"""The credit ledger: every statement that changes a balance. Amounts are whole credits; entries are added and never changed.

A balance is always the sum of its entries: both are written in one transaction. Each function that changes a balance first locks
the workspace's row. So entries of a workspace are in commit order, and locks are always taken in the same order. No function
here makes a balance negative.

A hold is open from its `hold` entry until a `settled`, `refund` or `withdrawn` entry closes it. The closing transaction deletes
its row in `credit_holds`; a second attempt to close it finds no row and does nothing.

Parts, in order:
- values: `Entry`, `Hold`, `Payment`, `Account`;
- balances: reading them, and the operator's additions and removals;
- holds: taking, listing, settling and returning them;
- the private statements that write balances and entries;
- reports: entries, payments, and the check of all accounts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

MOST = 10**15
"""Credits of one workspace, at most: below 2**53, so that JSON clients read it without rounding."""


class EntryKind(StrEnum):
    """The reason of an entry."""

    ADDED = "added"  # by an operator
    REMOVED = "removed"  # by an operator
    HOLD = "hold"  # the estimated cost of a job, taken before the job is created
    SETTLED = "settled"  # the hold less the actual cost
    REFUND = "refund"  # the whole hold, of a job that was not transcribed
    WITHDRAWN = "withdrawn"  # the whole hold, of a job that was never created


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the ledger. *at* in epoch ms; *region* and *job_id* are `None` for an operator's entry."""

    at: int
    kind: EntryKind
    amount: int
    region: str | None
    job_id: str | None
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An open hold of *amount* credits. *at*: when it was taken or last renewed, in epoch ms; *age*: ms since then."""

    region: str
    job_id: str
    workspace_id: int
    round: int
    amount: int
    at: int
    age: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A line of the ledger for users: one for the hold and settlement of a job. *kind*: added, removed, charge or refund."""

    at: int
    amount: int
    kind: str
    region: str | None
    job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A workspace's *balance*, and the sum of its *entries*, which must be equal."""

    workspace_id: int
    balance: int
    entries: int

    @property
    def right(self) -> bool:
        """True if they are equal and not negative."""
        return self.balance == self.entries and self.balance >= 0


# --- the operator's changes of a balance ------------------------------------------------------------------------------


def balance(connection: sa.Connection, workspace_id: int) -> int:
    """Return the credits of a workspace."""
    return int(connection.execute(_balance(workspace_id)).scalar_one())


def add(connection: sa.Connection, workspace_id: int, amount: int) -> int:
    """Add *amount* credits, and return the new balance. Raises `Refused` beyond `MOST`."""
    before = _locked(connection, workspace_id)
    if before + amount > MOST:
        raise Refused(Kind.BAD_REQUEST, f"the balance is {before}, and may be {MOST} at most")
    return _enter(connection, workspace_id, EntryKind.ADDED, amount)


def remove(connection: sa.Connection, workspace_id: int, amount: int) -> int:
    """Remove *amount* credits, and return the new balance. Raises `Refused` if the balance is lower."""
    before = _locked(connection, workspace_id)
    if before < amount:
        raise Refused(Kind.INSUFFICIENT_CREDIT, f"the balance is {before}")
    return _enter(connection, workspace_id, EntryKind.REMOVED, -amount)


# --- holds ------------------------------------------------------------------------------------------------------------


def hold(
    connection: sa.Connection, workspace_id: int, *, region: str, job_id: str, cost: int, ended_at: int | None = None
) -> Hold:
    """Reserve *cost* credits (above zero) for a job before it is created or retried. Raises `Refused`.

    An open hold of the job keeps its amount and is renewed. *ended_at*: when a job that is to be retried ended, by its region's
    clock. The hold is never older than that, so that the settlement does not mistake the old end for the new one.
    """
    before = _locked(connection, workspace_id)
    if _renew(connection, region, job_id, ended_at or 0) == 0:
        if before < cost:
            raise Refused(Kind.INSUFFICIENT_CREDIT, f"the job costs {_credits(cost)}, the balance is {before}")
        round_ = _next_round(connection, region, job_id)
        _enter(connection, workspace_id, EntryKind.HOLD, -cost, region=region, job_id=job_id, round_=round_)
        row = {"region": region, "job_id": job_id, "workspace_id": workspace_id, "round": round_, "amount": cost}
        connection.execute(sa.insert(t.credit_holds).values(**row, at=_later(now_ms(), ended_at or 0)))
    created = open_hold(connection, region, job_id)
    if created is None:
        raise RuntimeError("the hold disappeared within the transaction")
    return created


def open_hold(connection: sa.Connection, region: str, job_id: str) -> Hold | None:
    """Return the open hold of a job; `None` if there is none."""
    mine = (t.credit_holds.c.region == region, t.credit_holds.c.job_id == job_id)
    row = connection.execute(_holds().where(*mine)).mappings().first()
    return Hold(**row) if row else None


def open_holds(connection: sa.Connection, region: str, *, after: str, limit: int) -> list[Hold]:
    """Return one page of open holds of *region*, ordered by job id, with ids greater than *after*."""
    page = (t.credit_holds.c.region == region, t.credit_holds.c.job_id > after)
    rows = connection.execute(_holds().where(*page).order_by(t.credit_holds.c.job_id).limit(limit))
    return [Hold(**row) for row in rows.mappings()]


def settle(connection: sa.Connection, held: Hold, cost: int) -> int | None:
    """Close *held* and charge *cost* credits instead, or as many as the balance allows. Returns the missing credits.

    Returns `None` and changes nothing if the hold was closed or renewed since it was read.
    """
    before = _locked(connection, held.workspace_id)
    if not _close(connection, held):
        return None
    back = held.amount - cost  # below zero: the job costs more than was held
    amount = max(back, -before)
    if amount:
        _enter_for(connection, held, EntryKind.SETTLED, amount)
    return amount - back


def give_back(connection: sa.Connection, held: Hold, kind: EntryKind) -> bool:
    """Return all credits of *held*, as `REFUND` or `WITHDRAWN`. False if it was closed or renewed since it was read."""
    _locked(connection, held.workspace_id)
    if not _close(connection, held):
        return False
    _enter_for(connection, held, kind, held.amount)
    return True


def _holds() -> sa.Select[Any]:
    names = [name for name in Hold.__dataclass_fields__ if name != "age"]
    return sa.select(*(t.credit_holds.c[name] for name in names), (now_ms() - t.credit_holds.c.at).label("age"))


def _renew(connection: sa.Connection, region: str, job_id: str, ended_at: int) -> int:
    mine = (t.credit_holds.c.region == region, t.credit_holds.c.job_id == job_id)
    # always a new value, so that `_close` of a hold that was read before does nothing
    instant = _later(_later(now_ms(), ended_at), t.credit_holds.c.at + 1)
    return connection.execute(sa.update(t.credit_holds).where(*mine).values(at=instant)).rowcount


def _later(one: Any, other: Any) -> Any:
    return sa.case((one < other, other), else_=one)


def _next_round(connection: sa.Connection, region: str, job_id: str) -> int:
    mine = (t.credit_entries.c.region == region, t.credit_entries.c.job_id == job_id)
    last = connection.execute(sa.select(sa.func.max(t.credit_entries.c.round)).where(*mine)).scalar_one()
    return 0 if last is None else int(last) + 1


def _close(connection: sa.Connection, held: Hold) -> bool:
    """Delete the row of *held*. False if it was closed or renewed since it was read."""
    same = [t.credit_holds.c[name] == getattr(held, name) for name in ("region", "job_id", "round", "at")]
    return connection.execute(sa.delete(t.credit_holds).where(*same)).rowcount == 1


# --- balances and entries ---------------------------------------------------------------------------------------------


def _balance(workspace_id: int) -> sa.Select[Any]:
    return sa.select(t.workspaces.c.balance).where(t.workspaces.c.id == workspace_id)


def _locked(connection: sa.Connection, workspace_id: int) -> int:
    """Return the balance, and lock it until the end of the transaction."""
    return int(connection.execute(_balance(workspace_id).with_for_update()).scalar_one())


def _enter(
    connection: sa.Connection,
    workspace_id: int,
    kind: EntryKind,
    amount: int,
    *,
    region: str | None = None,
    job_id: str | None = None,
    round_: int = 0,
) -> int:
    """Change the balance by *amount*, add the entry, and return the new balance. Raises if it would become negative."""
    moved = (
        sa.update(t.workspaces)
        .where(t.workspaces.c.id == workspace_id, t.workspaces.c.balance + amount >= 0)
        .values(balance=t.workspaces.c.balance + amount)
        .returning(t.workspaces.c.balance)
    )
    after = connection.execute(moved).scalar_one()
    row = {"workspace_id": workspace_id, "amount": amount, "kind": kind, "region": region, "job_id": job_id}
    connection.execute(sa.insert(t.credit_entries).values(**row, round=round_, at=now_ms()))
    return int(after)


def _enter_for(connection: sa.Connection, held: Hold, kind: EntryKind, amount: int) -> None:
    _enter(connection, held.workspace_id, kind, amount, region=held.region, job_id=held.job_id, round_=held.round)


def _credits(amount: int) -> str:
    return "1 credit" if amount == 1 else f"{amount} credits"


# --- reading ----------------------------------------------------------------------------------------------------------


def newest(connection: sa.Connection, workspace_id: int, limit: int) -> list[Entry]:
    """Return the newest *limit* entries of a workspace, newest first."""
    columns = [t.credit_entries.c[name] for name in Entry.__dataclass_fields__]
    mine = t.credit_entries.c.workspace_id == workspace_id
    rows = connection.execute(
        sa.select(*columns).where(mine).order_by(t.credit_entries.c.seq.desc()).limit(limit)
    ).mappings()
    return [Entry(**{**row, "kind": EntryKind(row["kind"])}) for row in rows]


_PAYMENTS = {
    EntryKind.ADDED: "added",
    EntryKind.REMOVED: "removed",
    EntryKind.HOLD: "charge",
    EntryKind.REFUND: "refund",
}
"""Kinds of entries that are payments; a `settled` entry is added to the payment of its hold."""


def payments(
    connection: sa.Connection, workspace_id: int, *, limit: int, since: int | None = None, before: int | None = None
) -> list[Payment]:
    """Return the payments of a workspace, newest first; *since* (inclusive) and *before* (exclusive) in epoch ms.

    Jobs that cost nothing, and holds of jobs that were never created, are left out.
    """
    entry, settled, withdrawn = (t.credit_entries.alias(name) for name in ("entry", "settled", "withdrawn"))
    amount = entry.c.amount + sa.func.coalesce(settled.c.amount, 0)
    statement = (
        sa.select(entry.c.at, entry.c.kind, amount.label("amount"), entry.c.region, entry.c.job_id)
        .select_from(entry)
        .outerjoin(settled, sa.and_(entry.c.kind == EntryKind.HOLD, *_of_same_hold(entry, settled, EntryKind.SETTLED)))
        .outerjoin(withdrawn, sa.and_(*_of_same_hold(entry, withdrawn, EntryKind.WITHDRAWN)))
        .where(entry.c.workspace_id == workspace_id, entry.c.kind.in_(list(_PAYMENTS)))
        .where(withdrawn.c.seq.is_(None), amount != 0)
    )
    if since is not None:
        statement = statement.where(entry.c.at >= since)
    if before is not None:
        statement = statement.where(entry.c.at < before)
    rows = connection.execute(statement.order_by(entry.c.seq.desc()).limit(limit)).mappings()
    return [Payment(**{**row, "kind": _PAYMENTS[EntryKind(row["kind"])]}) for row in rows]


def _of_same_hold(entry: sa.FromClause, other: sa.FromClause, kind: EntryKind) -> list[sa.ColumnElement[bool]]:
    same = [other.c[name] == entry.c[name] for name in ("region", "job_id", "round")]
    return [*same, other.c.kind == kind]


def accounts(connection: sa.Connection) -> list[Account]:
    """Return every workspace's balance and the sum of its entries, read in one statement, hence at one instant."""
    total = sa.func.coalesce(sa.func.sum(t.credit_entries.c.amount), 0).label("entries")
    statement = (
        sa.select(t.workspaces.c.id.label("workspace_id"), t.workspaces.c.balance, total)
        .outerjoin_from(t.workspaces, t.credit_entries, t.credit_entries.c.workspace_id == t.workspaces.c.id)
        .group_by(t.workspaces.c.id, t.workspaces.c.balance)
        .order_by(t.workspaces.c.id)
    )
    return [Account(**{**row, "entries": int(row["entries"])}) for row in connection.execute(statement).mappings()]

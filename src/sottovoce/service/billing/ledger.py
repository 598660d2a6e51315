"""The credits ledger: every statement that moves a balance. Whole credits; entries are added and never changed.

A balance is always the sum of its entries, since both are written in one transaction, behind the lock of the workspace's row:
whoever moves a balance takes that lock first, so that entries of a workspace stand in the order in which they became true, and
nobody waits for two locks in two orders. Nothing here takes a balance below zero.

A hold is open from its entry until a `settled`, `refund` or `withdrawn` closes it: its row in `credit_holds` goes in the same
transaction, so that whoever finds no row has come second and must do nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

MOST = 10**15
"""Credits that an operator may give to one workspace: a number that every client can hold without rounding it."""


class EntryKind(StrEnum):
    """What an entry is for."""

    ADDED = "added"  # by an operator
    REMOVED = "removed"  # likewise
    HOLD = "hold"  # what a job is thought to cost, taken before it is made
    SETTLED = "settled"  # the difference to what it did cost
    REFUND = "refund"  # the whole hold, of a job that was not done
    WITHDRAWN = "withdrawn"  # the whole hold, of a job that never was


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the ledger. *at* in epoch ms; *region* and *job_id* are `None` for what an operator did."""

    at: int
    kind: EntryKind
    amount: int
    region: str | None
    job_id: str | None
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An open hold of *amount* credits. *at*: when it was last wanted, epoch ms; *age*: how long ago that was, in ms."""

    region: str
    job_id: str
    workspace_id: int
    round: int
    amount: int
    at: int
    age: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a user sees of the ledger: one line for all that was taken for a job. *kind*: added, removed, charge or refund."""

    at: int
    amount: int
    kind: str
    region: str | None
    job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A workspace's *balance*, and the sum of its *entries*, which must be the same."""

    workspace_id: int
    balance: int
    entries: int

    @property
    def right(self) -> bool:
        """Whether they are."""
        return self.balance == self.entries and self.balance >= 0


# --- what operators do ------------------------------------------------------------------------------------------------


def balance(connection: sa.Connection, workspace_id: int) -> int:
    """The credits of a workspace now."""
    return int(connection.execute(_balance(workspace_id)).scalar_one())


def add(connection: sa.Connection, workspace_id: int, amount: int) -> int:
    """Give *amount* credits; the balance after it. Raises `Refused` beyond `MOST`."""
    there = _locked(connection, workspace_id)
    if there + amount > MOST:
        raise Refused(Kind.BAD_REQUEST, f"the balance is {there}, and may be {MOST} at most")
    return _enter(connection, workspace_id, EntryKind.ADDED, amount)


def remove(connection: sa.Connection, workspace_id: int, amount: int) -> int:
    """Take *amount* credits away; the balance after it. Raises `Refused` when there are fewer."""
    there = _locked(connection, workspace_id)
    if there < amount:
        raise Refused(Kind.INSUFFICIENT_CREDIT, f"the balance is {there}")
    return _enter(connection, workspace_id, EntryKind.REMOVED, -amount)


# --- holds ------------------------------------------------------------------------------------------------------------


def hold(
    connection: sa.Connection, workspace_id: int, *, region: str, job_id: str, cost: int, ended_at: int | None = None
) -> Hold:
    """Take *cost* credits (above zero) for a job that is about to be made, or to be run again. Raises `Refused`.

    A hold of the job that is still open stays what it is, and is renewed. *ended_at*: when a job that is to be run again had
    ended, by its region's clock. The hold is never older than that, so that the old end cannot be taken for the new one.
    """
    there = _locked(connection, workspace_id)
    if _renew(connection, region, job_id, ended_at or 0) == 0:
        if there < cost:
            raise Refused(Kind.INSUFFICIENT_CREDIT, f"the job costs {_credits(cost)}, the balance is {there}")
        round_ = _next_round(connection, region, job_id)
        _enter(connection, workspace_id, EntryKind.HOLD, -cost, region=region, job_id=job_id, round_=round_)
        row = {"region": region, "job_id": job_id, "workspace_id": workspace_id, "round": round_, "amount": cost}
        connection.execute(sa.insert(t.credit_holds).values(**row, at=_later(now_ms(), ended_at or 0)))
    made = open_hold(connection, region, job_id)
    if made is None:
        raise RuntimeError("the hold vanished")
    return made


def open_hold(connection: sa.Connection, region: str, job_id: str) -> Hold | None:
    """The open hold of a job."""
    mine = (t.credit_holds.c.region == region, t.credit_holds.c.job_id == job_id)
    row = connection.execute(_holds().where(*mine)).mappings().first()
    return Hold(**row) if row else None


def open_holds(connection: sa.Connection, region: str, *, after: str, limit: int) -> list[Hold]:
    """Open holds of *region* by job id, those behind the id *after*: a page."""
    page = (t.credit_holds.c.region == region, t.credit_holds.c.job_id > after)
    rows = connection.execute(_holds().where(*page).order_by(t.credit_holds.c.job_id).limit(limit))
    return [Hold(**row) for row in rows.mappings()]


def settle(connection: sa.Connection, held: Hold, cost: int) -> int | None:
    """Charge *cost* credits in place of *held*, or as many as there are; how many were missing.

    `None`: the hold was closed or renewed since it was read, and nothing was done.
    """
    there = _locked(connection, held.workspace_id)
    if not _close(connection, held):
        return None
    back = held.amount - cost  # below zero: the job was dearer than it looked
    amount = max(back, -there)
    if amount:
        _enter_for(connection, held, EntryKind.SETTLED, amount)
    return amount - back


def give_back(connection: sa.Connection, held: Hold, kind: EntryKind) -> bool:
    """Return all of *held*, as `REFUND` or `WITHDRAWN`. False: it was closed or renewed since it was read."""
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
    instant = _later(_later(now_ms(), ended_at), t.credit_holds.c.at + 1)  # another one: who read the old does nothing
    return connection.execute(sa.update(t.credit_holds).where(*mine).values(at=instant)).rowcount


def _later(one: Any, other: Any) -> Any:
    return sa.case((one < other, other), else_=one)


def _next_round(connection: sa.Connection, region: str, job_id: str) -> int:
    mine = (t.credit_entries.c.region == region, t.credit_entries.c.job_id == job_id)
    last = connection.execute(sa.select(sa.func.max(t.credit_entries.c.round)).where(*mine)).scalar_one()
    return 0 if last is None else int(last) + 1


def _close(connection: sa.Connection, held: Hold) -> bool:
    """Take the row of *held* away, if it is still the one that was read."""
    same = [t.credit_holds.c[name] == getattr(held, name) for name in ("region", "job_id", "round", "at")]
    return connection.execute(sa.delete(t.credit_holds).where(*same)).rowcount == 1


# --- balances and entries ---------------------------------------------------------------------------------------------


def _balance(workspace_id: int) -> sa.Select[Any]:
    return sa.select(t.workspaces.c.balance).where(t.workspaces.c.id == workspace_id)


def _locked(connection: sa.Connection, workspace_id: int) -> int:
    """The balance, which nobody else moves until the end of the transaction."""
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
    """Move the balance by *amount*, never below zero, and write down why; the balance after it."""
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
    """The ledger of a workspace as it is, newest first."""
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
"""Entries that are payments of their own; what was settled later belongs to the hold."""


def payments(
    connection: sa.Connection, workspace_id: int, *, limit: int, since: int | None = None, before: int | None = None
) -> list[Payment]:
    """What a workspace was given and charged, newest first; *since* (inclusive) and *before* (exclusive) in epoch ms.

    A job that cost nothing after all, or never was, is left out.
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
    """Every workspace's balance beside the sum of its entries: one statement, so that both are of one moment."""
    total = sa.func.coalesce(sa.func.sum(t.credit_entries.c.amount), 0).label("entries")
    statement = (
        sa.select(t.workspaces.c.id.label("workspace_id"), t.workspaces.c.balance, total)
        .outerjoin_from(t.workspaces, t.credit_entries, t.credit_entries.c.workspace_id == t.workspaces.c.id)
        .group_by(t.workspaces.c.id, t.workspaces.c.balance)
        .order_by(t.workspaces.c.id)
    )
    return [Account(**{**row, "entries": int(row["entries"])}) for row in connection.execute(statement).mappings()]

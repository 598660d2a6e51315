"""The audit log: who changed which key, project, job or account, and when. It contains no secrets and no file names."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, Database, now_ms

_log = logging.getLogger("sottovoce.audit")
_failures = logging.getLogger(__name__)

OPERATOR = "operator"
"""The actor of every action on the command line."""
KEEP_DAYS = 400
"""Days for which entries are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """*actor*: `Caller.actor`, `User.actor` or `OPERATOR`; *action*: a short phrase; *target*: an id; *details*: no secrets."""

    actor: str
    action: str
    target: str
    workspace_id: int | None = None
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A stored entry, *at* in epoch ms; *seq* grows with each entry of the database."""

    at: int
    entry: Entry
    seq: int


def record(connection: sa.Connection, entry: Entry) -> None:
    """Store *entry* in the transaction of the change that it describes, and remove entries older than `KEEP_DAYS`."""
    connection.execute(
        sa.insert(t.audit_log).values(
            at=now_ms(),
            actor=entry.actor,
            workspace_id=entry.workspace_id,
            action=entry.action,
            target=entry.target,
            details=dict(entry.details),
        )
    )
    connection.execute(sa.delete(t.audit_log).where(t.audit_log.c.at < now_ms() - KEEP_DAYS * DAY_MS))


def tell(entry: Entry) -> None:
    """Log *entry*. Call it after the change is committed."""
    fields = {"by": entry.actor, "target": entry.target, "workspace": entry.workspace_id, **entry.details}
    _log.info(entry.action, extra=fields)


def latest(
    connection: sa.Connection, limit: int, *, workspace_id: int | None = None, before: int | None = None
) -> list[Recorded]:
    """Return the newest *limit* entries, newest first; only those of *workspace_id*, and with a *seq* below *before*, if given."""
    names = ("actor", "action", "target", "workspace_id", "details")
    columns = (t.audit_log.c.seq, t.audit_log.c.at, *(t.audit_log.c[name] for name in names))
    statement = sa.select(*columns).order_by(t.audit_log.c.seq.desc()).limit(limit)
    if workspace_id is not None:
        statement = statement.where(t.audit_log.c.workspace_id == workspace_id)
    if before is not None:
        statement = statement.where(t.audit_log.c.seq < before)
    rows = connection.execute(statement).mappings()
    return [Recorded(at=row["at"], seq=row["seq"], entry=Entry(**{name: row[name] for name in names})) for row in rows]


async def note(control: Database, entry: Entry) -> None:
    """Log and store *entry* about a change that a region has committed already; a failure to store it is only logged."""
    tell(entry)
    try:
        await control.write(lambda connection: record(connection, entry))
    except sa.exc.SQLAlchemyError:
        _failures.warning("audit entry not stored", extra={"action": entry.action, "target": entry.target})

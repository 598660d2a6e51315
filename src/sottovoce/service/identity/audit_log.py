"""Who changed what, and when: keys, projects, deleted jobs, and what operators did. Never a secret, never a name of a file."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, Database, now_ms

_log = logging.getLogger("sottovoce.audit")
_failures = logging.getLogger(__name__)

OPERATOR = "operator"
"""The actor of whatever is done on the command line."""
KEEP_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """*actor* is `Caller.actor` or `OPERATOR`, *action* a short phrase, *target* an id, *details* few and no secrets."""

    actor: str
    action: str
    target: str
    workspace_id: int | None = None
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as it was kept, *at* in epoch ms."""

    at: int
    entry: Entry


def record(connection: sa.Connection, entry: Entry) -> None:
    """Keep *entry*, in the same transaction as what it tells of; and let go of what is older than `KEEP_DAYS`."""
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
    """The log line of *entry*, once it is true."""
    told = {"by": entry.actor, "target": entry.target, "workspace": entry.workspace_id, **entry.details}
    _log.info(entry.action, extra=told)


def latest(connection: sa.Connection, limit: int) -> list[Recorded]:
    """The newest *limit* entries, newest first."""
    names = ("actor", "action", "target", "workspace_id", "details")
    columns = (t.audit_log.c.at, *(t.audit_log.c[name] for name in names))
    rows = connection.execute(sa.select(*columns).order_by(t.audit_log.c.seq.desc()).limit(limit)).mappings()
    return [Recorded(at=row["at"], entry=Entry(**{name: row[name] for name in names})) for row in rows]


async def note(control: Database, entry: Entry) -> None:
    """Keep and tell *entry* of something that has happened in a region already: nothing can be taken back for its sake."""
    tell(entry)
    try:
        await control.write(lambda connection: record(connection, entry))
    except sa.exc.SQLAlchemyError:
        _failures.warning("audit entry not kept", extra={"action": entry.action, "target": entry.target})

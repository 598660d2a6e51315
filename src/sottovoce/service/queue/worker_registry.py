"""Who can do what, and is alive: each worker's row, and the union of their capabilities that every API process decides by."""

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.request import OperatingPoint
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

FORGET_MS = 86_400_000
"""A worker not seen for a day no longer counts for what may be submitted; until then its jobs may wait for its return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker as others see it. Instants in epoch ms of the database's clock."""

    id: str
    capabilities: tuple[Capabilities, ...]
    slots: int
    started_at: int
    heartbeat_at: int


def _plain(capabilities: Capabilities) -> dict[str, Any]:
    return {
        **asdict(capabilities),
        "languages": sorted(capabilities.languages),
        "skills": sorted(capabilities.skills),
        "operating_points": sorted(capabilities.operating_points),
        "pinned": sorted(capabilities.pinned),
    }


def _capabilities(plain: dict[str, Any]) -> Capabilities:
    """What a row says; members that another release added are left out."""
    known = {name: value for name, value in plain.items() if name in Capabilities.__dataclass_fields__}
    known["languages"] = frozenset(known["languages"])
    for name in ("operating_points", "pinned"):
        known[name] = frozenset(OperatingPoint(point) for point in known.get(name, ()))
    # a release from before there were skills knew recognisers alone; skills of a later one are left out
    told = [skill for skill in known.get("skills", [Skill.TRANSCRIPTION]) if skill in set(Skill)]
    known["skills"] = frozenset(map(Skill, told))
    known["suits"] = OperatingPoint(known["suits"]) if known.get("suits") else None
    return Capabilities(**known)


def beat(connection: sa.Connection, worker_id: str, capabilities: tuple[Capabilities, ...], slots: int) -> None:
    """Say that *worker_id* is alive, and what it can do."""
    values = {"capabilities": [_plain(entry) for entry in capabilities], "slots": slots, "heartbeat_at": now_ms()}
    row = t.workers.c.id == worker_id
    if not connection.execute(sa.update(t.workers).where(row).values(**values)).rowcount:
        connection.execute(sa.insert(t.workers).values(id=worker_id, started_at=now_ms(), **values))


def leave(connection: sa.Connection, worker_id: str) -> None:
    """*worker_id* has ended in good order. Its capabilities are remembered: another may come for its jobs."""
    connection.execute(sa.update(t.workers).where(t.workers.c.id == worker_id).values(slots=0))


def forget(connection: sa.Connection) -> int:
    """Remove workers that nobody has seen for a day; how many."""
    return connection.execute(sa.delete(t.workers).where(t.workers.c.heartbeat_at < now_ms() - FORGET_MS)).rowcount


def seen(connection: sa.Connection) -> list[Worker]:
    """Every worker of the last day, newest first."""
    statement = sa.select(t.workers).where(t.workers.c.heartbeat_at >= now_ms() - FORGET_MS)
    rows = connection.execute(statement.order_by(t.workers.c.started_at.desc())).mappings()
    return [Worker(**{**row, "capabilities": tuple(map(_capabilities, row["capabilities"]))}) for row in rows]


def alive(connection: sa.Connection, within_ms: int) -> dict[str, int]:
    """Slots of every worker that was heard of within the last *within_ms*."""
    statement = sa.select(t.workers.c.id, t.workers.c.slots).where(t.workers.c.heartbeat_at >= now_ms() - within_ms)
    return {worker: slots for worker, slots in connection.execute(statement) if slots}


def union(workers: list[Worker]) -> tuple[Capabilities, ...]:
    """What any of *workers* can do, each engine and model once."""
    found: dict[tuple[str, str], Capabilities] = {}
    for worker in workers:
        for entry in worker.capabilities:
            found.setdefault((entry.engine, entry.model), entry)
    return tuple(found.values())

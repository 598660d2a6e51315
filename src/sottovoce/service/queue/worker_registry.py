"""The rows of the workers: their heartbeats and capabilities. API processes check requests against the union of capabilities."""

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from sottovoce.engines.protocols import AnySkill, Capabilities, Skill
from sottovoce.intelligence.stages import StageName
from sottovoce.request import OperatingPoint
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

FORGET_MS = 86_400_000
"""Age (ms, one day) of a heartbeat after which a worker's capabilities no longer count for submissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker's row. Instants in epoch ms of the database's clock."""

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
        "event_types": sorted(capabilities.event_types),
        "targets": sorted(capabilities.targets),
    }


def _capabilities(plain: dict[str, Any]) -> Capabilities:
    """Parse the capabilities of a row; members that another release added are ignored."""
    members = {name: value for name, value in plain.items() if name in Capabilities.__dataclass_fields__}
    members["languages"] = frozenset(members["languages"])
    members["event_types"] = frozenset(members.get("event_types", ()))
    members["targets"] = frozenset(members.get("targets", ()))
    for name in ("operating_points", "pinned"):
        members[name] = frozenset(OperatingPoint(point) for point in members.get(name, ()))
    # rows of releases without skills are of recognisers only; skills of later releases are ignored
    skills = members.get("skills", [Skill.TRANSCRIPTION])
    members["skills"] = frozenset(skill for skill in (*Skill, *StageName) if skill in skills)
    members["suits"] = OperatingPoint(members["suits"]) if members.get("suits") else None
    return Capabilities(**members)


def beat(connection: sa.Connection, worker_id: str, capabilities: tuple[Capabilities, ...], slots: int) -> None:
    """Store the heartbeat and the capabilities of *worker_id*."""
    values = {"capabilities": [_plain(entry) for entry in capabilities], "slots": slots, "heartbeat_at": now_ms()}
    row = t.workers.c.id == worker_id
    if not connection.execute(sa.update(t.workers).where(row).values(**values)).rowcount:
        connection.execute(sa.insert(t.workers).values(id=worker_id, started_at=now_ms(), **values))


def leave(connection: sa.Connection, worker_id: str) -> None:
    """Record that *worker_id* has stopped. Its capabilities stay, because another worker may take its jobs."""
    connection.execute(sa.update(t.workers).where(t.workers.c.id == worker_id).values(slots=0))


def forget(connection: sa.Connection) -> int:
    """Delete workers without a heartbeat for a day; returns their number."""
    return connection.execute(sa.delete(t.workers).where(t.workers.c.heartbeat_at < now_ms() - FORGET_MS)).rowcount


def seen(connection: sa.Connection) -> list[Worker]:
    """The workers with a heartbeat in the last day, newest first."""
    statement = sa.select(t.workers).where(t.workers.c.heartbeat_at >= now_ms() - FORGET_MS)
    rows = connection.execute(statement.order_by(t.workers.c.started_at.desc())).mappings()
    return [Worker(**{**row, "capabilities": tuple(map(_capabilities, row["capabilities"]))}) for row in rows]


def alive(connection: sa.Connection, within_ms: int) -> dict[str, int]:
    """The slots of the workers with a heartbeat in the last *within_ms*, by worker id; stopped workers are missing."""
    statement = sa.select(t.workers.c.id, t.workers.c.slots).where(t.workers.c.heartbeat_at >= now_ms() - within_ms)
    return {worker: slots for worker, slots in connection.execute(statement) if slots}


def union(workers: list[Worker]) -> tuple[Capabilities, ...]:
    """The capabilities of all *workers*, each engine, model and set of skills once."""
    found: dict[tuple[str, str, frozenset[AnySkill]], Capabilities] = {}
    for worker in workers:
        for entry in worker.capabilities:
            found.setdefault((entry.engine, entry.model, entry.skills), entry)
    return tuple(found.values())

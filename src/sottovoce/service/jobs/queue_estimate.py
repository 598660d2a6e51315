"""Estimates the length and duration of the queue, for the metrics and for the log of a new job."""

from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue import worker_registry
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms

RECENT_MS = 3_600_000
"""Period (ms, one hour) whose finished jobs give the speed and the turnaround."""
DEFAULT_SPEED = 4.0
"""Seconds of audio that a slot recognises per second, used if no job ended in the last hour.

PocketSphinx's figure (research/engines.md §2).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEstimate:
    """The queue of a region at the instant *at* (epoch ms).

    *waiting*: queued jobs. *audio*: seconds of audio left in queued and running jobs. *oldest*: seconds that the oldest queued job
    has waited. *speed*: seconds of audio per second and slot. *turnaround*: mean seconds from submission to end over the last
    hour. *known_issues*: the flag that the operator sets.
    """

    waiting: int = 0
    audio: float = 0.0
    oldest: float = 0.0
    slots: int = 0
    speed: float = DEFAULT_SPEED
    turnaround: float = 0.0
    known_issues: bool = False
    at: int = 0

    @property
    def eta(self) -> float | None:
        """Seconds until all queued and running jobs are done; `None` without a worker."""
        return self.audio / self.speed / self.slots if self.slots else None

    def words(self) -> str:
        """A line for the log of a new job: its place in the queue and the time until it starts."""
        place = f"place {self.waiting + 1} in the queue"
        return (
            f"{place}, no worker at the moment"
            if self.eta is None
            else f"{place}, about {self.eta:.0f} s before it begins"
        )


def estimate(connection: sa.Connection, lease_ms: int) -> QueueEstimate:
    """Estimate the region's queue; workers silent for more than *lease_ms* do not count."""
    # a job whose media is being fetched does not wait for a slot
    queued = sa.and_(t.jobs.c.state == State.QUEUED, t.jobs.c.fetch_attempts.is_(None))
    waiting = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(t.jobs.c.duration_ms), 0),
        sa.func.coalesce(sa.func.max(now_ms() - t.jobs.c.created_at), 0),
    ).where(queued)
    count, audio, oldest = connection.execute(waiting).one()
    left = sa.func.coalesce(sa.func.sum(t.jobs.c.duration_ms * (1.0 - t.jobs.c.progress)), 0.0)
    running = connection.execute(sa.select(left).where(t.jobs.c.state == State.RUNNING)).scalar_one()
    return QueueEstimate(
        waiting=int(count),
        audio=(float(audio) + float(running)) / 1000,
        oldest=float(oldest) / 1000,
        slots=sum(worker_registry.alive(connection, lease_ms).values()),
        speed=_speed(connection),
        turnaround=_turnaround(connection),
        known_issues=known_issues(connection),
        at=int(connection.execute(sa.select(now_ms())).scalar_one()),
    )


PLACES = 1000
"""Waiting jobs whose place is told; the place of a later one changes too much to be of use."""


def places(connection: sa.Connection, outlook: QueueEstimate) -> dict[str, tuple[int, float | None]]:
    """The place of each waiting job in the queue, from 1, and the seconds until it starts with the speed of *outlook*.

    Jobs start in the order of their submission, unless the limit of an account holds some back.
    """
    queued = sa.and_(t.jobs.c.state == State.QUEUED, t.jobs.c.fetch_attempts.is_(None))
    waiting = sa.select(t.jobs.c.id, t.jobs.c.duration_ms).where(queued).order_by(t.jobs.c.created_at, t.jobs.c.id)
    left = sa.select(sa.func.coalesce(sa.func.sum(t.jobs.c.duration_ms * (1.0 - t.jobs.c.progress)), 0.0))
    audio = float(connection.execute(left.where(t.jobs.c.state == State.RUNNING)).scalar_one())
    found: dict[str, tuple[int, float | None]] = {}
    for place, row in enumerate(connection.execute(waiting.limit(PLACES)), start=1):
        found[row.id] = (place, audio / 1000 / outlook.speed / outlook.slots if outlook.slots else None)
        audio += row.duration_ms
    return found


def _speed(connection: sa.Connection) -> float:
    done = sa.and_(t.jobs.c.state == State.DONE, t.jobs.c.finished_at > now_ms() - RECENT_MS)
    took = t.jobs.c.finished_at - t.jobs.c.started_at
    row = connection.execute(sa.select(sa.func.sum(t.jobs.c.duration_ms), sa.func.sum(took)).where(done)).one()
    return float(row[0]) / float(row[1]) if row[0] and row[1] and row[1] > 0 else DEFAULT_SPEED


def _turnaround(connection: sa.Connection) -> float:
    done = sa.and_(t.jobs.c.state == State.DONE, t.jobs.c.finished_at > now_ms() - RECENT_MS)
    mean = connection.execute(sa.select(sa.func.avg(t.jobs.c.finished_at - t.jobs.c.created_at)).where(done)).scalar()
    return float(mean or 0) / 1000


_ISSUES = "known issues"


def known_issues(connection: sa.Connection) -> bool:
    """True if the operator has set the flag for known issues."""
    row = connection.execute(sa.select(t.counters.c.value).where(t.counters.c.name == _ISSUES)).first()
    return bool(row and row.value)


def set_known_issues(connection: sa.Connection, known: bool) -> None:
    """Set or clear the flag for known issues."""
    update = sa.update(t.counters).where(t.counters.c.name == _ISSUES).values(value=int(known))
    if not connection.execute(update).rowcount:
        connection.execute(sa.insert(t.counters).values(name=_ISSUES, value=int(known)))


class QueueEstimator:
    """Holds the latest estimate as `outlook`; a periodic task refreshes it."""

    def __init__(self, database: Database, metrics: Metrics, *, lease_ms: int) -> None:
        self._database = database
        self._metrics = metrics
        self._lease_ms = lease_ms
        self.outlook = QueueEstimate()

    async def refresh(self) -> None:
        """Update the estimate and the queue's metrics."""
        self.outlook = await self._database.read(lambda connection: estimate(connection, self._lease_ms))
        self._metrics.set_queue(self.outlook.waiting, self.outlook.oldest, self.outlook.eta)

"""The retention times of jobs, and the statements that find jobs whose retention time is over."""

from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, now_ms

UNDELIVERED_MS = 7 * DAY_MS
"""ms for which a job with retention 0 is kept if its result is never delivered or fetched."""
AFTER_READING_MS = 60_000
"""ms for which a fetched transcript is kept, because the response may have been lost."""
STUCK = 2
"""Jobs that never end are removed after this multiple of their retention, at least after as many weeks (contract §4, inferred)."""
UNCLEANED_MS = 60_000
"""ms after which a tombstone that still has blobs counts as left over by a killed process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Retention times in ms. *keep_ms*: of jobs without their own retention; *tombstone_ms*: of tombstones."""

    keep_ms: int = 7 * DAY_MS
    tombstone_ms: int = 30 * DAY_MS


def _delivered() -> sa.ColumnElement[bool]:
    """The result was received: the job has attempted deliveries and all have ended, or the transcript was fetched."""
    theirs = t.deliveries.c.job_id == t.jobs.c.id
    # a notice that could not be sent at all has no attempts and reached no one
    some = sa.exists(sa.select(t.deliveries.c.id).where(theirs, t.deliveries.c.attempts > 0))
    waiting = sa.exists(sa.select(t.deliveries.c.id).where(theirs, t.deliveries.c.state == "waiting"))
    return sa.or_(sa.and_(some, sa.not_(waiting)), t.jobs.c.read_at < now_ms() - AFTER_READING_MS)


def _due(policy: RetentionPolicy) -> sa.ColumnElement[bool]:
    """Ended jobs whose retention time is over."""
    keep = sa.func.coalesce(t.jobs.c.keep_ms, policy.keep_ms)
    over = sa.or_(keep > 0, _delivered(), t.jobs.c.finished_at < now_ms() - UNDELIVERED_MS)
    return sa.and_(t.jobs.c.state.in_([State.DONE, State.REJECTED]), t.jobs.c.delete_at <= now_ms(), over)


def _stuck(policy: RetentionPolicy) -> sa.ColumnElement[bool]:
    """Jobs that have not ended for `STUCK` times their retention, so that their media is not stored forever."""
    longest = sa.func.coalesce(t.jobs.c.keep_ms, policy.keep_ms)
    patience = STUCK * sa.case((longest > 7 * DAY_MS, longest), else_=7 * DAY_MS)
    return sa.and_(t.jobs.c.state.in_(job.LIVE), t.jobs.c.created_at < now_ms() - patience)


def due(connection: sa.Connection, policy: RetentionPolicy, limit: int) -> list[str]:
    """Return the ids of at most *limit* jobs to remove, ended jobs before stuck ones."""
    ended = sa.select(t.jobs.c.id).where(_due(policy)).order_by(t.jobs.c.delete_at).limit(limit)
    found = list(connection.scalars(ended))
    if len(found) < limit:
        found += connection.scalars(sa.select(t.jobs.c.id).where(_stuck(policy)).limit(limit - len(found)))
    return found


def uncleaned(connection: sa.Connection, limit: int) -> list[str]:
    """Return the ids of tombstones whose blobs may still exist."""
    old = t.jobs.c.removed_at < now_ms() - UNCLEANED_MS
    statement = sa.select(t.jobs.c.id).where(t.jobs.c.cleaned_at.is_(None), old).order_by(t.jobs.c.removed_at)
    return list(connection.scalars(statement.limit(limit)))


def delete_old_tombstones(connection: sa.Connection, policy: RetentionPolicy, limit: int) -> int:
    """Remove tombstones whose time is over and whose blobs are gone. From then on their jobs are 404.

    Returns the number of removed tombstones.
    """
    old = (t.jobs.c.removed_at <= now_ms() - policy.tombstone_ms, t.jobs.c.cleaned_at.is_not(None))
    ids = list(connection.scalars(sa.select(t.jobs.c.id).where(*old).limit(limit)))
    if ids:
        connection.execute(sa.delete(t.job_events).where(t.job_events.c.job_id.in_(ids)))
        connection.execute(sa.delete(t.jobs).where(t.jobs.c.id.in_(ids)))
    return len(ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """Numbers of stored jobs, and of jobs that are to be removed. Bytes are those of media; *oldest_end* in epoch ms."""

    kept: int
    kept_bytes: int
    due: int
    due_in_a_day: int
    stuck: int
    tombstones: int
    uncleaned: int
    oldest_end: int | None


def report(connection: sa.Connection, policy: RetentionPolicy) -> RetentionReport:
    """Return the current numbers."""
    kept = t.jobs.c.state.not_in(job.REMOVED)
    ended = t.jobs.c.state.in_([State.DONE, State.REJECTED])

    def count(*where: sa.ColumnElement[bool]) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.jobs).where(*where)).scalar_one())

    sums = sa.select(sa.func.coalesce(sa.func.sum(t.jobs.c.media_bytes), 0), sa.func.min(t.jobs.c.finished_at))
    held, oldest = connection.execute(sums.where(kept)).one()
    return RetentionReport(
        kept=count(kept),
        kept_bytes=int(held),
        due=count(_due(policy)),
        due_in_a_day=count(ended, t.jobs.c.delete_at <= now_ms() + DAY_MS),
        stuck=count(_stuck(policy)),
        tombstones=count(t.jobs.c.state.in_(job.REMOVED)),
        uncleaned=count(t.jobs.c.state.in_(job.REMOVED), t.jobs.c.cleaned_at.is_(None)),
        oldest_end=oldest,
    )

"""All SQL statements on jobs: insert, read, change of state, removal.

A change of state is one `UPDATE … WHERE id AND state IN (…) [AND attempt = n]`, with the states from the table in `job.py`. If it
changes no row, the caller has lost a race and must change nothing else.

The parts, in order: insert, lookups and lists, claim and lease, ends of a job, errors, retries, removal, log, states of jobs.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import Event, JobType, Reason, State
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs.model import Abandoned, Job, JobError, LogLine, Message, NewJob, Span
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, Lookup, now_ms
from sottovoce.service.storage.encryption import Encryptor

Check = Callable[[sa.Connection], None]
V1_STEP = 100
"""V1 ids are counter * 100 + region number (docs/decisions/0001): never reused, disjoint between regions."""
SAME_INSTANT_MS = 60_000
"""A newest job more than this far in the future (ms) got its time from a wrong clock; `_next_instant` ignores it."""

_log = logging.getLogger(__name__)
_STATES = frozenset(State)
_COLUMNS = [t.jobs.c[name] for name in Job.__dataclass_fields__ if name != "config_bytes"]
SMALL_CONFIG = 24 << 10
"""Bytes of the largest encrypted config that is read along with the other columns of several jobs: a config may have 5.6 MB."""
_SIZE = sa.func.length(t.jobs.c.config)
_LIGHT = [
    *(column for column in _COLUMNS if column.name not in {"config", "request"}),
    sa.case((_SIZE <= SMALL_CONFIG, t.jobs.c.config), else_=None).label("config"),
    sa.case((_SIZE <= SMALL_CONFIG, t.jobs.c.request), else_=None).label("request"),
    sa.func.coalesce(_SIZE, 0).label("config_bytes"),
]


_SOME = t.jobs.c.id.in_(sa.bindparam("ids", expanding=True))
# made once: a statement of so many columns takes longer to make than to run
_BY_IDS = {True: sa.select(*_COLUMNS).where(_SOME), False: sa.select(*_LIGHT).where(_SOME)}
BY_ID = Lookup(sa.select(*_LIGHT).where(t.jobs.c.id == sa.bindparam("id")))
"""Finds the row of a job, without a large config."""


class RowUnreadable(ValueError):
    """The row of a job cannot be read by this release, for example because another release wrote it."""


def job_of(row: Any) -> Job:
    """The job of *row*. Raises `RowUnreadable`."""
    values = dict(row)
    values.setdefault("config_bytes", len(values["config"] or b""))
    try:
        values["type"] = JobType(values["type"])
        values["state"] = State(values["state"])
        values["reason"] = Reason(values["reason"]) if values["reason"] else None
        values["errors"] = tuple(JobError(**entry) for entry in values["errors"])
    except (TypeError, ValueError) as error:
        raise RowUnreadable(f"the row of job {row['id']} cannot be read: {error}") from error
    return Job(**values)


def _readable(rows: Iterable[Any]) -> Iterator[Job]:
    """The jobs of *rows*. One that cannot be read is logged and left out, so that it does not hide the others."""
    for row in rows:
        try:
            yield job_of(row)
        except RowUnreadable:
            _log.exception("row of a job cannot be read", extra={"job": row["id"]})


# --- insert ----------------------------------------------------------------------------------------------------------


def insert(connection: sa.Connection, new: NewJob, room: Check | None = None) -> None:
    """Add *new* as queued. Raises `IntegrityError` when its project has used the idempotency key before.

    *room* is called after the counter row is locked; it raises to reject the job.
    """
    # first: locks the counter row, so that concurrent inserts run one after the other
    number = _next_number(connection)
    if room is not None:
        room(connection)
    connection.execute(
        sa.insert(t.jobs).values(
            id=new.id,
            v1_id=number * V1_STEP + new.region_number,
            region=new.region,
            workspace_id=new.caller.workspace_id,
            project_id=new.caller.project_id,
            user_id=new.caller.user_id,
            key_id=new.caller.key_id,
            client_ref=new.caller.client_ref,
            api=new.api,
            type=new.type,
            state=State.QUEUED,
            language=new.language,
            operating_point=new.operating_point,
            config=new.config,
            request=new.request,
            data_name=new.data_name,
            media_bytes=new.media_bytes,
            duration_ms=new.duration_ms,
            created_at=_next_instant(connection, new.caller.project_id),
            queue=new.queue,
            priority=new.priority,
            errors=[],
            idempotency_key=new.idempotency_key,
            idempotency_digest=new.idempotency_digest,
            fetch_attempts=0 if new.fetched else None,
            fetch_at=now_ms() if new.fetched else None,
            legacy=new.legacy,
            keep_ms=new.keep_ms,
            app=new.app,
            text_name=new.text_name,
        )
    )
    media = "media to be fetched" if new.fetched else f"{new.media_bytes} bytes"
    append_log(connection, new.id, stage="accepted", text=f"{media}, language {new.language}")


def _next_number(connection: sa.Connection) -> int:
    raised = sa.update(t.counters).where(t.counters.c.name == "v1").values(value=t.counters.c.value + 1)
    row = connection.execute(raised.returning(t.counters.c.value)).first()
    if row is None:
        connection.execute(sa.insert(t.counters).values(name="v1", value=1))
        return 1
    return int(row.value)


def _next_instant(connection: sa.Connection, project_id: int) -> int:
    """Now, or 1 ms after the project's newest job: instants are unique per project, so paging by `created_before` skips no job."""
    newest_one = sa.select(sa.func.max(t.jobs.c.created_at)).where(t.jobs.c.project_id == project_id)
    now, last = connection.execute(sa.select(now_ms(), newest_one.scalar_subquery())).one()
    return max(now, last + 1) if last is not None and last - now < SAME_INSTANT_MS else int(now)


# --- lookups and lists -----------------------------------------------------------------------------------------------


def get(connection: sa.Connection, job_id: str) -> Job | None:
    """The job *job_id*, tombstones included."""
    row = connection.execute(sa.select(*_COLUMNS).where(t.jobs.c.id == job_id)).mappings().first()
    return job_of(row) if row else None


def by_number(connection: sa.Connection, number: int) -> Job | None:
    """The job with the V1 id *number*, tombstones included, without a large config."""
    if not 0 < number < 1 << 63:  # the column is a signed 64-bit integer
        return None
    row = connection.execute(sa.select(*_LIGHT).where(t.jobs.c.v1_id == number)).mappings().first()
    return job_of(row) if row else None


def get_many(connection: sa.Connection, ids: Sequence[str], *, whole: bool = False) -> dict[str, Job]:
    """Those of *ids* that exist and can be read, tombstones included; without large configs, unless *whole*."""
    return {found.id: found for found in _readable(_rows(connection, ids, whole=whole))}


def read_many(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Job | RowUnreadable]:
    """Those of *ids* that exist, tombstones included: each as its job without a large config, or the error of its row."""
    found: dict[str, Job | RowUnreadable] = {}
    for row in _rows(connection, ids, whole=False):
        try:
            found[row["id"]] = job_of(row)
        except RowUnreadable as error:
            found[row["id"]] = error
    return found


def _rows(connection: sa.Connection, ids: Sequence[str], *, whole: bool) -> Iterable[Any]:
    return connection.execute(_BY_IDS[whole], {"ids": ids}).mappings()


def may_see(caller: Caller, found: Job) -> bool:
    """True if *caller* may access *found*: same project, and same `client_ref` if the key has one."""
    return found.project_id == caller.project_id and caller.client_ref in {None, found.client_ref}


def by_idempotency_key(connection: sa.Connection, caller: Caller, key: str) -> Job | None:
    """The job that *caller*'s project created with *key*, without a large config."""
    where = (t.jobs.c.project_id == caller.project_id, t.jobs.c.idempotency_key == key)
    row = connection.execute(sa.select(*_LIGHT).where(*where)).mappings().first()
    return job_of(row) if row else None


def list_recent(
    connection: sa.Connection,
    caller: Caller,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    days: float | None = None,
    include_removed: bool = False,
) -> list[Job]:
    """*caller*'s jobs, newest first, without large configs.

    *before* and *after* are exclusive bounds of `created_at`, *days* the greatest age.
    """
    statement = sa.select(*_LIGHT).where(*_of(caller))
    if before is not None:
        statement = statement.where(t.jobs.c.created_at < before)
    if after is not None:
        statement = statement.where(t.jobs.c.created_at > after)
    if days is not None:
        statement = statement.where(t.jobs.c.created_at > now_ms() - round(days * DAY_MS))
    if not include_removed:
        statement = statement.where(t.jobs.c.state.not_in(job.REMOVED))
    rows = connection.execute(statement.order_by(*_NEWEST).limit(limit))
    return list(_readable(rows.mappings()))


_NEWEST = (t.jobs.c.created_at.desc(), t.jobs.c.id.desc())
_PLACE = sa.tuple_(t.jobs.c.created_at, t.jobs.c.id)


def _of(caller: Caller) -> list[sa.ColumnElement[bool]]:
    """Conditions that select the jobs that *caller* may see."""
    where = [t.jobs.c.project_id == caller.project_id]
    return where if caller.client_ref is None else [*where, t.jobs.c.client_ref == caller.client_ref]


def newest_span(
    connection: sa.Connection, caller: Caller, *, limit: int | None, since: int | None, before: int | None
) -> Span | None:
    """The span of the *limit* newest of *caller*'s jobs that are not deleted; *since* is inclusive. `None` if there are none."""
    where = [*_of(caller), t.jobs.c.state != State.DELETED]
    if since is not None:
        where.append(t.jobs.c.created_at >= since)
    if before is not None:
        where.append(t.jobs.c.created_at < before)
    places = sa.select(t.jobs.c.created_at, t.jobs.c.id).where(*where)
    oldest_first = places.order_by(t.jobs.c.created_at, t.jobs.c.id).limit(1)
    newest = None if limit == 0 else connection.execute(places.order_by(*_NEWEST).limit(1)).first()
    if newest is None:
        return None
    first = connection.execute(places.order_by(*_NEWEST).limit(1).offset(limit - 1)).first() if limit else None
    first = first or connection.execute(oldest_first).one()
    return Span(first=(first.created_at, first.id), last=(newest.created_at, newest.id))


def page(connection: sa.Connection, caller: Caller, span: Span, *, size: int) -> list[Job]:
    """The *size* oldest of *caller*'s jobs in *span* that are not deleted, in ascending order, without large configs.

    Later jobs have higher V1 ids, unless the clock was turned back between them.
    """
    where = [*_of(caller), t.jobs.c.state != State.DELETED]
    first, last = (sa.tuple_(*map(sa.literal, place)) for place in (span.first, span.last))
    # the plain comparisons let SQLite find the place in the index, the pairs are exact
    inside = (
        t.jobs.c.created_at >= span.first[0],
        t.jobs.c.created_at <= span.last[0],
        first < _PLACE if span.begun else first <= _PLACE,
        last >= _PLACE,
    )
    statement = sa.select(*_LIGHT).where(*where, *inside).order_by(t.jobs.c.created_at, t.jobs.c.id).limit(size)
    return list(_readable(connection.execute(statement).mappings()))


# --- claim and lease -------------------------------------------------------------------------------------------------


def claim(connection: sa.Connection, job_id: str, *, owner: str, lease_ms: int, after: int | None = None) -> Job | None:
    """Take the job for a new attempt.

    `None` if the job is not live, or if *after* is given and is not the job's current attempt.
    """
    unless_taken = () if after is None else (t.jobs.c.attempt == after,)
    moved = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state.in_(job.sources(Event.CLAIMED)), *unless_taken)
        .values(
            state=job.target(Event.CLAIMED),
            attempt=t.jobs.c.attempt + 1,
            started_at=sa.func.coalesce(t.jobs.c.started_at, now_ms()),
            lease_owner=owner,
            lease_until=now_ms() + lease_ms,
        )
    )
    return get(connection, job_id) if connection.execute(moved).rowcount else None


def renew(
    connection: sa.Connection, job_id: str, attempt: int, *, lease_ms: int, progress: float, duration_ms: int | None
) -> bool:
    """Renew the lease and store the progress. False: this attempt has lost the job and must stop."""
    values: dict[str, Any] = {"lease_until": now_ms() + lease_ms, "progress": progress}
    if duration_ms is not None:
        values["duration_ms"] = duration_ms
    statement = _held(sa.update(t.jobs), job_id, attempt).values(**values)
    return connection.execute(statement).rowcount == 1


def _held(statement: sa.Update, job_id: str, attempt: int) -> sa.Update:
    return statement.where(t.jobs.c.id == job_id, t.jobs.c.attempt == attempt, t.jobs.c.state == State.RUNNING)


# --- ends of a job ---------------------------------------------------------------------------------------------------


def finish(
    connection: sa.Connection,
    job_id: str,
    attempt: int,
    *,
    result_key: str,
    duration_ms: int,
    engine: str,
    keep_ms: int,
) -> bool:
    """Mark the job done with the result of *attempt*. False if *attempt* does not hold the job."""
    statement = _held(sa.update(t.jobs), job_id, attempt).values(
        state=job.target(Event.FINISHED),
        finished_at=now_ms(),
        delete_at=now_ms() + sa.func.coalesce(t.jobs.c.keep_ms, keep_ms),
        result_key=result_key,
        duration_ms=duration_ms,
        engine=engine,
        progress=1.0,
        lease_owner=None,
        lease_until=None,
    )
    return connection.execute(statement).rowcount == 1


def finish_unheard(connection: sa.Connection, job_id: str, *, result_key: str, keep_ms: int) -> None:
    """Mark a job with empty media done, in the transaction that inserted it: its result is stored and no attempt is needed."""
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state.in_(job.sources(Event.EMPTY_MEDIA)))
        .values(
            state=job.target(Event.EMPTY_MEDIA),
            started_at=now_ms(),
            finished_at=now_ms(),
            delete_at=now_ms() + sa.func.coalesce(t.jobs.c.keep_ms, keep_ms),
            result_key=result_key,
            progress=1.0,
        )
    )
    if connection.execute(statement).rowcount != 1:
        raise RuntimeError("a job that was just inserted is not queued")


def fail(connection: sa.Connection, job_id: str, attempt: int, *, reason: Reason, message: str, keep_ms: int) -> bool:
    """Reject the job with *message* for its owner. False if *attempt* does not hold the job."""
    found = get(connection, job_id)
    if found is None:
        return False
    statement = _held(sa.update(t.jobs), job_id, attempt).values(
        state=job.target(Event.FAILED),
        reason=reason,
        errors=with_error(connection, found, message),
        finished_at=now_ms(),
        delete_at=now_ms() + sa.func.coalesce(t.jobs.c.keep_ms, keep_ms),
        lease_owner=None,
        lease_until=None,
    )
    return connection.execute(statement).rowcount == 1


def abandon(connection: sa.Connection, job_id: str, *, reason: Reason, message: str, keep_ms: int) -> bool:
    """Reject a live job after a bug, without reading its row, which may be the cause. False if it is not live."""
    now = int(connection.execute(sa.select(now_ms())).scalar_one())
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state.in_(job.sources(Event.FAILED)))
        .values(
            state=job.target(Event.FAILED),
            reason=reason,
            attempt=t.jobs.c.attempt + 1,
            errors=[_plain(JobError(timestamp=now, message=message))],
            whole_errors=None,
            finished_at=now,
            delete_at=now + sa.func.coalesce(t.jobs.c.keep_ms, keep_ms),
            fetch_at=None,
            lease_owner=None,
            lease_until=None,
        )
    )
    if connection.execute(statement).rowcount != 1:
        return False
    append_log(connection, job_id, stage="rejected", text=message, level="ERROR")
    return True


# --- errors ----------------------------------------------------------------------------------------------------------


def with_error(connection: sa.Connection, found: Job, *messages: str) -> list[dict[str, Any]]:
    """The stored form of *found*'s errors followed by *messages* with the current time."""
    now = int(connection.execute(sa.select(now_ms())).scalar_one())
    return [*map(_plain, found.errors), *({"timestamp": now, "message": message} for message in messages)]


def _plain(error: JobError) -> dict[str, Any]:
    return {"timestamp": error.timestamp, "message": error.message}


def add_errors(connection: sa.Connection, encryptor: Encryptor, job_id: str, messages: Sequence[Message]) -> None:
    """Append *messages* to the job's errors unless it was removed. Full texts for the owner are stored encrypted."""
    if not messages:
        return
    # several deliveries may fail at once. Not FOR UPDATE: it conflicts with the lock on the job's key that each of these
    # transactions holds, from the foreign key of its line in the job's log, and they would wait for each other
    locked = sa.select(*_COLUMNS).where(t.jobs.c.id == job_id).with_for_update(key_share=True)
    row = connection.execute(locked).mappings().first()
    if row is None or State(row["state"]) in job.REMOVED:
        return
    found = job_of(row)
    whole = whole_errors(encryptor, found)
    whole |= {len(found.errors) + n: each.whole for n, each in enumerate(messages) if each.whole is not None}
    values: dict[str, Any] = {"errors": with_error(connection, found, *(each.public_text for each in messages))}
    if whole:
        values["whole_errors"] = encryptor.encrypt(json.dumps(whole).encode())
    connection.execute(sa.update(t.jobs).where(t.jobs.c.id == job_id).values(**values))


def whole_errors(encryptor: Encryptor, found: Job) -> dict[int, str]:
    """The full texts of *found*'s errors by list index, where they differ; none if no key decrypts them."""
    if found.whole_errors is None:
        return {}
    try:
        plain = encryptor.decrypt(found.whole_errors)
    except ValueError:  # the public texts are there
        return {}
    return {int(place): text for place, text in json.loads(plain).items()}


# --- retries, failures, the operator's list --------------------------------------------------------------------------


def retry(connection: sa.Connection, job_id: str) -> Job | None:
    """Reset a rejected job to queued; `None` if it is not rejected. The caller enqueues it.

    A job that failed in a fetch is fetched again. Its deliveries, which report the rejection, are deleted.
    """
    again = t.jobs.c.reason == Reason.FETCH
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state.in_(job.sources(Event.RETRIED)))
        .values(
            state=job.target(Event.RETRIED),
            reason=None,
            failures=0,
            errors=[],
            finished_at=None,
            delete_at=None,
            progress=0.0,
            whole_errors=None,
            fetch_attempts=sa.case((again, 0), else_=None),
            fetch_at=sa.case((again, now_ms()), else_=None),
        )
    )
    if not connection.execute(statement).rowcount:
        return None
    connection.execute(sa.delete(t.deliveries).where(t.deliveries.c.job_id == job_id))
    append_log(connection, job_id, stage="retry", text="put back into the queue by the operator")
    return get(connection, job_id)


def list_all(connection: sa.Connection, *, state: State | None, limit: int) -> list[Job]:
    """Jobs of all projects, newest first, for the operator."""
    statement = sa.select(*_COLUMNS).order_by(t.jobs.c.created_at.desc()).limit(limit)
    if state is not None:
        statement = statement.where(t.jobs.c.state == state)
    return list(_readable(connection.execute(statement).mappings()))


def count_failure(connection: sa.Connection, job_id: str, attempt: int) -> int | None:
    """Count a death of the engine process and return the new count; `None` if *attempt* does not hold the job."""
    statement = _held(sa.update(t.jobs), job_id, attempt).values(failures=t.jobs.c.failures + 1)
    row = connection.execute(statement.returning(t.jobs.c.failures)).first()
    return int(row.failures) if row else None


# --- removal and retention -------------------------------------------------------------------------------------------


def make_tombstone(connection: sa.Connection, job_id: str, event: Event) -> bool:
    """Turn the job into a tombstone without config, names, log and deliveries. False if it was one already.

    The caller deletes the blobs.
    """
    statement = (
        sa.update(t.jobs)
        .where(t.jobs.c.id == job_id, t.jobs.c.state.in_(job.sources(event)))
        .values(
            state=job.target(event),
            removed_at=now_ms(),
            attempt=t.jobs.c.attempt + 1,  # a running attempt can no longer renew its lease or publish
            config=None,
            request=None,
            data_name="",
            text_name=None,
            result_key=None,
            errors=[],
            lease_owner=None,
            lease_until=None,
            fetch_attempts=None,
            fetch_at=None,
            whole_errors=None,
            legacy=None,
            speaker_names=None,
        )
    )
    if connection.execute(statement).rowcount != 1:
        return False
    connection.execute(sa.delete(t.job_events).where(t.job_events.c.job_id == job_id))
    connection.execute(sa.delete(t.deliveries).where(t.deliveries.c.job_id == job_id))
    return True


def mark_cleaned(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Record that the blobs of the tombstones *ids* are deleted."""
    theirs = (t.jobs.c.id.in_(ids), t.jobs.c.state.in_(job.REMOVED))
    connection.execute(sa.update(t.jobs).where(*theirs).values(cleaned_at=now_ms()))


def live_ids(connection: sa.Connection) -> list[str]:
    """Ids of all queued and running jobs."""
    return list(connection.scalars(sa.select(t.jobs.c.id).where(t.jobs.c.state.in_(job.LIVE))))


def mark_read(connection: sa.Connection, job_id: str) -> None:
    """Record the first read of the transcript; a job with `keep_ms` 0 may be removed from then on."""
    first = (t.jobs.c.id == job_id, t.jobs.c.read_at.is_(None))
    connection.execute(sa.update(t.jobs).where(*first).values(read_at=now_ms()))


# --- log -------------------------------------------------------------------------------------------------------------


def append_log(
    connection: sa.Connection, job_id: str, *, stage: str, text: str, level: str = "INFO", attempt: int = 0
) -> None:
    """Add a line to the job's log."""
    connection.execute(
        sa.insert(t.job_events).values(
            job_id=job_id, at=now_ms(), attempt=attempt, level=level, stage=stage, text=text[:4000]
        )
    )


def log_lines(connection: sa.Connection, job_id: str) -> list[LogLine]:
    """The log of *job_id*, oldest first."""
    columns = [t.job_events.c[name] for name in LogLine.__dataclass_fields__]
    statement = sa.select(*columns).where(t.job_events.c.job_id == job_id).order_by(t.job_events.c.seq)
    return [LogLine(**row) for row in connection.execute(statement).mappings()]


# --- states of jobs ----------------------------------------------------------------------------------------------------


def abandoned(connection: sa.Connection, *, stranded_ms: int, limit: int) -> list[Abandoned]:
    """Running jobs whose lease ran out, and jobs queued for longer than *stranded_ms*, oldest first."""
    lapsed = sa.and_(t.jobs.c.state == State.RUNNING, t.jobs.c.lease_until < now_ms())
    stranded = sa.and_(
        t.jobs.c.state == State.QUEUED,
        t.jobs.c.created_at < now_ms() - stranded_ms,
        t.jobs.c.fetch_attempts.is_(None),  # its media is still being fetched
    )
    columns = (t.jobs.c.id, t.jobs.c.state, t.jobs.c.queue, t.jobs.c.priority)
    rows = connection.execute(
        sa.select(*columns)
        .where(sa.or_(lapsed, stranded))
        .order_by(t.jobs.c.state.desc(), t.jobs.c.created_at)
        .limit(limit)
    )
    return [Abandoned(id=row.id, state=State(row.state), queue=row.queue, priority=row.priority) for row in rows]


def ended(connection: sa.Connection, ids: Sequence[str], *, for_ms: int = 0) -> dict[str, str]:
    """The queue names of those of *ids* that have not been live for at least *for_ms*, by id."""
    since = sa.func.coalesce(t.jobs.c.removed_at, t.jobs.c.finished_at, 0)
    where = (t.jobs.c.id.in_(ids), t.jobs.c.state.not_in(job.LIVE), since <= now_ms() - for_ms)
    return {row.id: row.queue for row in connection.execute(sa.select(t.jobs.c.id, t.jobs.c.queue).where(*where))}


def counts(connection: sa.Connection) -> dict[State, int]:
    """The number of jobs in each state."""
    rows = connection.execute(sa.select(t.jobs.c.state, sa.func.count()).group_by(t.jobs.c.state))
    return {State(state): count for state, count in rows if state in _STATES}


def states(connection: sa.Connection, ids: Sequence[str]) -> dict[str, State]:
    """The states of those of *ids* that exist; a state of another release counts as missing."""
    rows = connection.execute(sa.select(t.jobs.c.id, t.jobs.c.state).where(t.jobs.c.id.in_(ids)))
    return {job_id: State(state) for job_id, state in rows if state in _STATES}


def touch(connection: sa.Connection) -> None:
    """Write a row without changing it, to check that the database accepts writes."""
    connection.execute(sa.update(t.counters).where(t.counters.c.name == "v1").values(value=t.counters.c.value))

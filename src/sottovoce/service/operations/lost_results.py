"""Finds jobs that are done and whose results the blob store lacks or cannot give back whole."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.job import JobType, State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.service.storage.database import Database
from sottovoce.transcript import alignment, codec

_DECODERS = {JobType.TRANSCRIPTION: codec.decode, JobType.ALIGNMENT: alignment.decode}


@dataclass(frozen=True, slots=True, kw_only=True)
class LostResults:
    """Ids of done jobs: *missing* results, and *unreadable* ones among those *read*. *done*: the number of jobs that are done."""

    done: int
    read: int
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]


async def find(database: Database, blobs: Blobs, seconds: float) -> LostResults:
    """List the whole store once, then read results for at most *seconds*, those of the newest jobs first."""
    wanted = await database.read(_results)  # before the store: a blob is complete before its row names it
    absent = {key for key, _ in wanted.values()}
    if absent:
        async for key, _ in blobs.listing("jobs/"):
            absent.discard(key)
    present = {job_id: about for job_id, about in wanted.items() if about[0] not in absent}
    read, unreadable = await _read(blobs, present, seconds)
    lost = {job_id for job_id, (key, _) in wanted.items() if key in absent}
    still = await database.read(_results) if lost or unreadable else {}  # not those removed meanwhile
    same = {job_id for job_id in lost | unreadable if still.get(job_id) == wanted[job_id]}
    return LostResults(
        done=len(wanted), read=read, missing=tuple(sorted(lost & same)), unreadable=tuple(sorted(unreadable & same))
    )


def _results(connection: sa.Connection) -> dict[str, tuple[str, JobType]]:
    """Blob and type of the result of each done job, the newest first."""
    columns = (t.jobs.c.id, t.jobs.c.result_key, t.jobs.c.type)
    done = sa.select(*columns).where(t.jobs.c.state == State.DONE).order_by(t.jobs.c.created_at.desc())
    rows = connection.execute(done)
    return {row.id: (row.result_key, JobType(row.type)) for row in rows if row.result_key is not None}


async def _read(blobs: Blobs, wanted: dict[str, tuple[str, JobType]], seconds: float) -> tuple[int, set[str]]:
    """The number of results that were read within *seconds*, and the ids of those that are truncated or damaged."""
    unreadable: set[str] = set()
    end = time.monotonic() + seconds
    for number, (job_id, (key, kind)) in enumerate(wanted.items()):
        if time.monotonic() > end:
            return number, unreadable
        try:
            _DECODERS[kind](await blobs.get(key))
        except ValueError:
            unreadable.add(job_id)
        except Missing:  # removed since the store was listed
            continue
    return len(wanted), unreadable

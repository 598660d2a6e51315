"""Finds jobs that are done and whose transcripts the blob store lacks."""

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database


async def find(database: Database, blobs: Blobs) -> tuple[list[str], int]:
    """Return the ids of these jobs, and the number of jobs that are done. Lists the whole store once."""

    def results(connection: sa.Connection) -> dict[str, str]:
        done = sa.select(t.jobs.c.id, t.jobs.c.result_key).where(t.jobs.c.state == State.DONE)
        return {row.id: row.result_key for row in connection.execute(done) if row.result_key is not None}

    wanted = await database.read(results)  # before the store: a blob is complete before its row names it
    missing = set(wanted.values())
    if missing:
        async for key, _ in blobs.listing("jobs/"):
            missing.discard(key)
    gone = {job_id: key for job_id, key in wanted.items() if key in missing}
    still = await database.read(results) if gone else {}  # not those removed meanwhile
    return sorted(job_id for job_id, key in gone.items() if still.get(job_id) == key), len(wanted)

"""The servers and workers that run on a region now, as its database knows them."""

import sqlalchemy as sa

from sottovoce.service.plan import Plan
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.worker_registry import Worker
from sottovoce.service.storage import database_file
from sottovoce.service.storage.database import Database, DatabaseUnusable, sqlite_url

RECENT_MS = 30_000
"""Age in ms of a heartbeat up to which its worker counts as running, if the lease is not longer."""


def workers(plan: Plan) -> tuple[Worker, ...]:
    """Return the workers of the region of *plan* that have sent a heartbeat lately; none if its database cannot be read."""
    file = plan.folder.region_database
    try:
        if plan.database_url is None and not database_file.checked(file, "region"):
            return ()
        database = Database(plan.database_url or sqlite_url(file))
    except (DatabaseUnusable, ValueError):
        return ()
    try:
        with database.reading() as connection:
            lately = worker_registry.alive(connection, max(RECENT_MS, round(plan.lease * 1000)))
            return tuple(worker for worker in worker_registry.seen(connection) if worker.id in lately)
    except (sa.exc.SQLAlchemyError, OSError):  # the check of the database reports it
        return ()
    finally:
        database.close()

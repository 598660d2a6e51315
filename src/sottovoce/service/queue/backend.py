"""Opens the queue of a region. This module chooses the implementation; all others use the protocols of `port.py`."""

from collections.abc import Iterator
from contextlib import contextmanager

from sottovoce.service.queue.dbos_queue import DbosQueue, DbosWorker, migrate
from sottovoce.service.queue.port import JobQueue, QueueWorker, WorkerSetup
from sottovoce.service.storage.database import Database


def open_queue(database: Database) -> JobQueue:
    """The queue whose tables are in *database*; the caller closes it."""
    return DbosQueue(database)


@contextmanager
def opened_queue(database: Database) -> Iterator[JobQueue]:
    """The queue whose tables are in *database*, closed at the end of the block."""
    queue = open_queue(database)
    try:
        yield queue
    finally:
        queue.close()


def open_worker(database: Database, setup: WorkerSetup) -> QueueWorker:
    """The worker of the queue whose tables are in *database*. A process has at most one."""
    return DbosWorker(database, setup)


def upgrade_tables(database: Database) -> None:
    """Create or upgrade the tables of the queue in *database*."""
    migrate(database)

"""The place of each waiting job, and when it starts."""

from pathlib import Path

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.queue_estimate import QueueEstimate, places
from sottovoce.service.storage import schema as t
from sottovoce.wire.v2.job import Lifecycle, lifecycle_object
from tests.unit.service.service_values import migrated, new_job

OUTLOOK = QueueEstimate(slots=2, speed=5.0)


def test_jobs_start_in_the_order_of_their_submission(tmp_path: Path) -> None:
    with migrated(tmp_path) as database:
        with database.writing() as connection:
            for name in ("running", "first", "second", "fetched"):
                repository.insert(connection, new_job(name, duration_ms=60_000, fetched=name == "fetched"))
            repository.claim(connection, "running", owner="one", lease_ms=60_000)
            connection.execute(sa.update(t.jobs).where(t.jobs.c.id == "running").values(progress=0.5))
        with database.reading() as connection:
            assert places(connection, OUTLOOK) == {"first": (1, 3.0), "second": (2, 9.0)}
            assert places(connection, QueueEstimate()) == {"first": (1, None), "second": (2, None)}


def test_the_lifecycle_of_a_waiting_job_has_its_place() -> None:
    known = Lifecycle(state=State.QUEUED, progress=0.0, ended_at=None, delete_at=None, place=2, starts_in=8.6)
    assert lifecycle_object(known)["queue"] == {"place": 2, "starts_in": 9}
    alone = Lifecycle(state=State.QUEUED, progress=0.0, ended_at=None, delete_at=None, place=1)
    assert lifecycle_object(alone)["queue"] == {"place": 1}
    running = Lifecycle(state=State.RUNNING, progress=0.0, ended_at=None, delete_at=None)
    assert "queue" not in lifecycle_object(running)

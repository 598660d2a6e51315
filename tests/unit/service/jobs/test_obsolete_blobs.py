from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.job import Event, Reason, State
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.obsolete_blobs import obsolete
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import migrated, new_job

ID = "job0000001"
MEDIA, WINDOW = f"jobs/{ID}/input", f"jobs/{ID}/windows/e-m/000-000000000000000"
RESULTS = [f"jobs/{ID}/{attempt}/transcript" for attempt in (1, 2, 3)]
STRETCH = f"jobs/{ID}/progress/000000000000000"
KEYS = [MEDIA, WINDOW, STRETCH, *RESULTS]
FINISH: dict[str, Any] = {"duration_ms": 5, "engine": "e", "keep_ms": 1000}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


def job_in(database: Database, state: State) -> model.Job:
    """A job whose second attempt brought it into *state*."""
    with database.writing() as connection:
        repository.insert(connection, new_job(ID))
        for _ in range(2):
            repository.claim(connection, ID, owner="w", lease_ms=1000)
        if state is State.DONE:
            repository.finish(connection, ID, 2, result_key=RESULTS[1], **FINISH)
        if state is State.REJECTED:
            repository.fail(connection, ID, 2, reason=Reason.ENGINE, message="why", keep_ms=1)
        if state is State.DELETED:
            repository.make_tombstone(connection, ID, Event.REMOVED)
        found = repository.get(connection, ID)
    assert found
    assert found.state is state
    return found


@pytest.mark.parametrize(
    ("state", "gone"),
    [
        (State.RUNNING, []),
        (State.DONE, [WINDOW, STRETCH, RESULTS[0]]),  # attempt 3 is later than what we know: not ours to judge
        (State.REJECTED, [WINDOW, STRETCH, RESULTS[0], RESULTS[1]]),
        (State.DELETED, KEYS),
    ],
)
def test_what_may_go(database: Database, state: State, gone: list[str]) -> None:
    assert obsolete(job_in(database, state), KEYS) == gone


def test_what_nobody_knows_stays(database: Database) -> None:
    assert obsolete(job_in(database, State.DONE), [f"jobs/{ID}/something"]) == []

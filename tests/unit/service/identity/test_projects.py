import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.job import State
from sottovoce.service.identity import api_keys, projects
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.backend import open_queue
from sottovoce.service.retention.project_cleanup import ProjectCleanup
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import migrated, new_job


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, "abcdefgh12345678")
            connection.execute(sa.insert(t.workspaces).values(id=2, name="other", created_at=1))
            theirs = {"id": 50, "workspace_id": 2, "name": "theirs", "is_default": True, "created_at": 1}
            connection.execute(sa.insert(t.projects).values(**theirs))
        yield made


def refused(kind: Kind):
    return pytest.raises(Refused, match=f"^{kind}")


def test_projects_are_made_listed_renamed_and_deleted(control: Database) -> None:
    with control.writing() as connection:
        made = projects.create(connection, 1, " Night desk ", "calls\nat night")
        assert (made.name, made.description, made.is_default) == ("Night desk", "calls at night", False)
        assert [project.id for project in projects.listed(connection, 1)] == [1, made.id]
        assert projects.rename(connection, 1, made.id, "Day desk").name == "Day desk"
        projects.delete(connection, 1, made.id)
        assert [project.id for project in projects.listed(connection, 1)] == [1]
        for again in (projects.get, projects.delete):
            with refused(Kind.PAGE_NOT_FOUND):
                again(connection, 1, made.id)
        with refused(Kind.PAGE_NOT_FOUND):
            projects.rename(connection, 1, made.id, "x")


@pytest.mark.parametrize("project_id", [0, -1, 50, 99, 1 << 31, 1 << 80])
def test_other_workspaces_projects_are_as_unknown_as_those_that_never_were(control: Database, project_id: int) -> None:
    with control.writing() as connection, refused(Kind.PAGE_NOT_FOUND):
        projects.get(connection, 1, project_id)


@pytest.mark.parametrize("name", ["", "  ", "\n", "x" * 121, "a\tb"])
def test_a_project_has_a_name(control: Database, name: str) -> None:
    with control.writing() as connection:
        with refused(Kind.INVALID_QUERY):
            projects.create(connection, 1, name)
        with refused(Kind.INVALID_QUERY):
            projects.rename(connection, 1, 1, name)


def test_the_default_project_stays(control: Database) -> None:
    with control.writing() as connection, refused(Kind.FORBIDDEN):
        projects.delete(connection, 1, 1)


def test_a_workspace_has_only_so_many(control: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert projects.MAX_PROJECTS == 1000  # contract §11
    monkeypatch.setattr(projects, "MAX_PROJECTS", 2)
    with control.writing() as connection:
        projects.create(connection, 1, "second")
        with refused(Kind.FORBIDDEN):
            projects.create(connection, 1, "third")
        projects.create(connection, 2, "second of the other")


def test_the_keys_of_a_deleted_project_open_nothing(control: Database) -> None:
    with control.writing() as connection:
        made = projects.create(connection, 1, "second")
        api_keys.create_key(connection, project_id=made.id, name="k", secret="their-secret-1")
        assert api_keys.caller(connection, api_keys.digest("their-secret-1"))
        projects.delete(connection, 1, made.id)
        assert api_keys.caller(connection, api_keys.digest("their-secret-1")) is None
        assert api_keys.list_keys(connection, workspace_id=1, working=True) == api_keys.list_keys(connection)[:1]


@pytest.mark.parametrize("how", ["at once", "later"])
def test_what_a_deleted_project_held_is_removed_and_nothing_else(tmp_path: Path, control: Database, how: str) -> None:
    with migrated(tmp_path) as region, control.writing() as connection:
        made = projects.create(connection, 1, "second")
        projects.delete(connection, 1, made.id)
    with migrated(tmp_path) as region:
        blobs = Blobs.open(f"file://{tmp_path}/blobs", {})
        queue = open_queue(region)
        try:
            clearing = ProjectCleanup(control, region, JobDeletion(region, blobs, queue), Metrics())
            asyncio.run(_clear(clearing, region, blobs, made.id, how))
        finally:
            queue.close()


async def _clear(clearing: ProjectCleanup, region: Database, blobs: Blobs, project_id: int, how: str) -> None:
    owners = {f"job000000{n}": (project_id if n % 2 else 1) for n in range(1, 8)}
    for job_id, owner in owners.items():
        caller = Caller(key_id="k", project_id=owner, workspace_id=1, user_id=1)
        with region.writing() as connection:
            repository.insert(connection, new_job(job_id, caller=caller))
        await blobs.put(f"jobs/{job_id}/input", b"media")
    if how == "at once":
        assert await clearing.project(project_id) == 4
    else:
        await clearing.tick()
    await clearing.tick()
    with region.reading() as connection:
        states = {job_id: repository.get(connection, job_id).state for job_id in owners}
    gone = {job_id for job_id, owner in owners.items() if owner == project_id}
    assert {job_id for job_id, state in states.items() if state is State.DELETED} == gone
    kept = {key.split("/")[1] for key in await blobs.keys("jobs/")}
    assert kept == set(owners) - gone

"""The count of realtime sessions by key and project."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.billing import usage
from sottovoce.service.limits import live_sessions
from sottovoce.service.limits.live_sessions import LEASE_MS, Holder, LiveQuota
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.unit.service.billing.credit_values import BACKENDS, bank

ADA = Holder(workspace_id=1, project_id=1, key_id="ada")
BOB = Holder(workspace_id=1, project_id=1, key_id="bob")
FAR = Holder(workspace_id=2, project_id=2, key_id="far")


@pytest.fixture(params=BACKENDS, name="database")
def _database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with bank(request, tmp_path) as made:
        yield made.region


def enter(
    database: Database, session_id: str, holder: Holder, quota: LiveQuota, process: str = "p"
) -> tuple[int, int | None]:
    with database.writing() as connection:
        counted = live_sessions.enter(connection, session_id, holder, quota=quota, process=process)
    assert counted.at.endswith("Z")
    return counted.usage, counted.quota


def refused(database: Database, holder: Holder, quota: LiveQuota) -> str:
    with pytest.raises(Refused) as caught:
        enter(database, "refused", holder, quota)
    assert caught.value.kind is Kind.TOO_MANY_SESSIONS
    return caught.value.why


def active(database: Database) -> int:
    with database.reading() as connection:
        return live_sessions.active(connection)


def leave(database: Database, session_id: str) -> None:
    with database.writing() as connection:
        live_sessions.leave(connection, session_id)


def test_a_key_and_a_project_have_limits_of_their_own(database: Database) -> None:
    quota = LiveQuota(per_key=2, per_project=3)
    assert enter(database, "1", ADA, quota) == (1, 2)
    assert enter(database, "2", ADA, quota) == (2, 2)
    assert "2 of 2 sessions of this key" in refused(database, ADA, quota)
    assert enter(database, "3", BOB, quota) == (3, 3)  # the limit that leaves the least room
    assert "3 of 3 sessions of this project" in refused(database, BOB, quota)
    assert enter(database, "4", FAR, quota) == (1, 2)
    leave(database, "1")
    assert enter(database, "5", BOB, quota) == (2, 2)
    assert active(database) == 4


def test_without_limits_the_sessions_of_the_project_are_counted(database: Database) -> None:
    assert enter(database, "1", ADA, LiveQuota()) == (1, None)
    assert enter(database, "2", BOB, LiveQuota()) == (2, None)


def test_sessions_of_a_dead_process_count_until_their_lease_ends(database: Database) -> None:
    quota = LiveQuota(per_key=1)
    enter(database, "1", ADA, quota, process="dead")
    enter(database, "2", BOB, quota, process="alive")
    refused(database, ADA, quota)
    with database.writing() as connection:
        connection.execute(sa.update(t.live_sessions).values(lease_until=now_ms() - 1))
        live_sessions.renew(connection, "alive")
    assert active(database) == 1
    assert enter(database, "3", ADA, quota) == (1, 1)
    refused(database, BOB, quota)
    with database.writing() as connection:
        connection.execute(
            sa.update(t.live_sessions).where(t.live_sessions.c.id == "1").values(lease_until=now_ms() - LEASE_MS - 1)
        )
        live_sessions.renew(connection, "alive")
    with database.reading() as connection:
        assert set(connection.execute(sa.select(t.live_sessions.c.id)).scalars()) == {"2", "3"}


def test_the_usage_of_a_session_is_recorded_once(database: Database) -> None:
    session = usage.SessionUsage(
        session_id="s",
        workspace_id=1,
        project_id=1,
        language="en",
        operating_point="enhanced",
        duration_ms=1500,
        app="a",
    )
    with database.writing() as connection:
        usage.record_session(connection, session)
        usage.record_session(connection, session)
        rows = [dict(row) for row in connection.execute(sa.select(t.job_usage)).mappings()]
    assert len(rows) == 1
    assert (rows[0]["job_id"], rows[0]["type"], rows[0]["duration_ms"], rows[0]["app"]) == ("s", "realtime", 1500, "a")

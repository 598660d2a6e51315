"""The statements that run often find their rows by an index, on both databases, however many jobs have ended."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.service.jobs import queue_estimate, repository
from sottovoce.service.limits import quotas
from sottovoce.service.limits.quotas import Quota
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import CALLER, migrated

JOBS = 20_000
STATES = ("done", "done", "done", "rejected", "deleted", "expired")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A region with many ended jobs, of forty workspaces, two projects and ten references."""
    if request.param == "sqlite":
        with migrated(tmp_path_factory.mktemp("plans")) as made:
            fill(made)
            yield made
        return
    postgres, _ = request.getfixturevalue("backends")
    made = Database(postgres.create(f"plans_{secrets.token_hex(6)}"))
    try:
        migrate.upgrade(made, migrate.REGION)
        fill(made)
        with made.writing() as connection:
            connection.execute(sa.text("ANALYZE jobs"))
        yield made
    finally:
        made.close()


def fill(database: Database) -> None:
    rows: list[dict[str, object]] = [
        {
            "id": f"job{number:07}",
            "v1_id": number,
            "region": "eu1",
            "workspace_id": 1 + number % 40,
            "project_id": 1 + number % 2,
            "client_ref": f"ref{number // 2 % 10}" if number // 2 % 3 else None,
            "api": "v2",
            "type": "transcription",
            "state": STATES[number % len(STATES)],
            "language": "en",
            "operating_point": "standard",
            "data_name": "",
            "media_bytes": number,
            "created_at": number,
            "started_at": number,
            "finished_at": number,
            "queue": "batch",
            "errors": [],
        }
        for number in range(JOBS)
    ]
    with database.writing() as connection:
        connection.execute(sa.insert(t.jobs), rows)


def plans(database: Database, work: Callable[[sa.Connection], object]) -> list[str]:
    """The plans of all statements on jobs that *work* runs."""
    seen: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        seen.append((statement, parameters))

    with database.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        work(connection)
        sa.event.remove(connection, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if database.embedded else "EXPLAIN "
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in seen
            if "FROM jobs" in statement
        ]


def check(found: list[str], *indexes: str) -> None:
    """Each plan names an index that is expected, and none reads the whole table."""
    assert found
    for plan in found:
        assert "SCAN jobs" not in plan, plan
        assert "Seq Scan on jobs" not in plan, plan
        assert any(index in plan for index in indexes), plan


def test_the_estimate_reads_live_jobs_and_those_of_the_last_hour(database: Database) -> None:
    found = plans(database, lambda connection: queue_estimate.estimate(connection, 10_000))
    check(found, "jobs_leases", "jobs_ended", "jobs_quota")
    assert len([plan for plan in found if "jobs_ended" in plan]) >= 2


def test_a_quota_is_counted_from_its_index(database: Database) -> None:
    quota = Quota(live_jobs=1_000_000, stored_bytes=1 << 60)
    (plan,) = plans(
        database, lambda connection: quotas.enforce(connection, quota=quota, workspace_id=1, incoming=1)
    ) or [""]
    check([plan], "jobs_quota")
    if database.embedded:
        assert plan.count("COVERING INDEX jobs_quota") == 2, plan


@pytest.mark.parametrize("ref", [None, "ref1"])
def test_lists_are_read_in_the_order_of_an_index(database: Database, ref: str | None) -> None:
    caller = replace(CALLER, client_ref=ref)
    index = "jobs_newest" if ref is None else "jobs_refs"
    for found in (
        plans(database, lambda connection: repository.list_recent(connection, caller, limit=100)),
        plans(database, lambda connection: repository.list_recent(connection, caller, limit=100, before=9_000)),
        plans(
            database,
            lambda connection: repository.newest_span(connection, caller, limit=100, since=None, before=None),
        ),
    ):
        check(found, index)
        assert not any("TEMP B-TREE" in plan or "Sort" in plan for plan in found), found


def test_the_reapers_and_the_waiters_read_few_rows(database: Database) -> None:
    found = plans(database, lambda connection: repository.abandoned(connection, stranded_ms=1, limit=200))
    check(found, "jobs_leases", "jobs_ended", "jobs_quota")
    found = plans(database, repository.live_ids)
    check(found, "jobs_leases", "jobs_ended", "jobs_quota")

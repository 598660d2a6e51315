from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sottovoce.service.identity import api_keys
from sottovoce.service.queue.backend import upgrade_tables
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as tables
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import database_at, migrated

BRANCHES = {migrate.CONTROL: tables.control, migrate.REGION: tables.region}
OTHERS = ("sottovoce_control_version", "sottovoce_region_version")

# by the design (§3, §4): what must be kept of a job, and what must never stand in the control database
JOB_COLUMNS = {
    *("id", "v1_id", "region", "workspace_id", "project_id", "user_id", "key_id", "client_ref", "api", "type", "state"),
    *("reason", "language", "operating_point", "config", "data_name", "text_name", "media_bytes", "duration_ms"),
    *("created_at", "started_at", "finished_at", "delete_at", "removed_at", "attempt", "failures", "lease_owner"),
    *("lease_until", "progress", "priority", "queue", "engine", "result_key", "errors", "idempotency_key"),
    "idempotency_digest",
}


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _to: object) -> bool:
    return kind != "table" or name in {*tables.control.tables, *tables.region.tables}


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_tables_are_what_the_migrations_leave(tmp_path: Path, branch: str) -> None:
    with database_at(tmp_path / "x.db") as database:
        migrate.upgrade(database, branch)
        with database.reading() as connection:
            options = {"compare_type": True, "include_object": _ours, "version_table": f"sottovoce_{branch}_version"}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, BRANCHES[branch]) == []


def test_a_missing_column_would_be_seen(tmp_path: Path) -> None:
    with database_at(tmp_path / "x.db") as database:
        migrate.upgrade(database, migrate.REGION)
        with database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN engine")
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"include_object": _ours})
            assert [change[0] for change in compare_metadata(context, tables.region)] == ["add_column"]


@pytest.mark.parametrize("branch", BRANCHES)
def test_upgrading_twice_changes_nothing(tmp_path: Path, branch: str) -> None:
    def schema(database: Database) -> list[tuple[object, ...]]:
        with database.reading() as connection:
            return [
                tuple(row) for row in connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name")
            ]

    with database_at(tmp_path / "x.db") as database:
        assert migrate.current(database, branch)[0] is None
        migrate.upgrade(database, branch)
        first = schema(database)
        migrate.upgrade(database, branch)
        assert schema(database) == first
        has, wants = migrate.current(database, branch)
        assert has == wants != None  # noqa: E711 - both, and something


def test_an_older_control_database_keeps_its_keys_and_the_first_one_manages(tmp_path: Path) -> None:
    """Until then only the first key had a user."""
    with database_at(tmp_path / "x.db") as database:
        with database.writing() as connection:
            command.upgrade(migrate._config(migrate.CONTROL, connection), "0001")
            for statement in (
                "INSERT INTO workspaces (id, name, created_at) VALUES (1, 'default', 1)",
                "INSERT INTO users (id, workspace_id, created_at) VALUES (1, 1, 1)",
                "INSERT INTO projects (id, workspace_id, name, is_default, created_at) VALUES (1, 1, 'default', 1, 1)",
                "INSERT INTO api_keys (id, project_id, user_id, name, secret_sha256, created_at) VALUES ('a', 1, 1, 'first key', 'x', 1)",
                "INSERT INTO api_keys (id, project_id, user_id, name, secret_sha256, created_at) VALUES ('b', 1, NULL, 'desk', 'y', 2)",
            ):
                connection.exec_driver_sql(statement)
        migrate.upgrade(database, migrate.CONTROL)
        with database.reading() as connection:
            found = [api_keys.caller(connection, digest) for digest in ("x", "y")]
    assert [(caller.key_id, caller.manages) for caller in found if caller] == [("a", True), ("b", False)]


def test_both_branches_fit_in_one_database(tmp_path: Path) -> None:
    with database_at(tmp_path / "x.db") as database:
        for branch in BRANCHES:
            migrate.upgrade(database, branch)
        for branch in BRANCHES:
            has, wants = migrate.current(database, branch)
            assert has == wants


def test_the_queue_has_its_tables_in_the_same_file(tmp_path: Path) -> None:
    with migrated(tmp_path) as database:
        upgrade_tables(database)  # once more
        with database.reading() as connection:
            names = set(sa.inspect(connection).get_table_names())
    assert {"jobs", "job_events", "workers", "counters", "workflow_status"} <= names


def test_the_schema_keeps_what_the_design_names() -> None:
    assert set(tables.jobs.columns.keys()) >= JOB_COLUMNS
    assert set(tables.workers.columns.keys()) >= {"id", "capabilities", "heartbeat_at"}
    assert set(tables.api_keys.columns.keys()) >= {"secret_sha256", "client_ref", "revoked_at", "project_id"}
    assert {"workspaces", "users", "projects", "api_keys"} <= set(tables.control.tables)


def test_the_control_database_knows_no_jobs() -> None:
    columns = {column.name for table in tables.control.tables.values() for column in table.columns}
    assert not columns & {"data_name", "text_name", "config", "result_key", "legacy", "errors"}
    timed = [name for name, table in tables.control.tables.items() if "duration_ms" in table.columns]
    assert timed == ["usage"]  # which is counted in hours
    assert not set(tables.control.tables) & set(tables.region.tables)
    assert "secret" not in columns


def test_instants_are_wide_enough() -> None:
    for metadata in BRANCHES.values():
        for table in metadata.tables.values():
            for column in table.columns:
                if column.name.endswith(("_at", "_until", "_ms", "_bytes")):
                    assert isinstance(column.type, sa.BigInteger), f"{table.name}.{column.name}"

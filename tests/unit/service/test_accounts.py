from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service import accounts, migrate
from sottovoce.service import tables as t
from sottovoce.service.database import Database, now_ms
from tests.unit.service.service_values import migrated

SECRET = "abcdefgh12345678"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        yield made


@pytest.fixture
def started(control: Database) -> Database:
    with control.writing() as connection:
        assert accounts.bootstrap(connection, SECRET)
    return control


def whose(database: Database, secret: str) -> accounts.Caller | None:
    with database.reading() as connection:
        return accounts.caller(connection, accounts.digest(secret))


def test_secrets_are_long_and_never_the_same() -> None:
    made = {accounts.new_secret() for _ in range(500)}
    assert len(made) == 500
    assert all(len(secret) == 32 and secret.isalnum() and secret.isascii() for secret in made)


def test_bootstrap_happens_once(started: Database) -> None:
    with started.writing() as connection:
        assert not accounts.bootstrap(connection, "another-secret")
        assert accounts.default_project(connection) == 1
    found = whose(started, SECRET)
    assert found
    assert (found.workspace_id, found.project_id, found.user_id, found.client_ref) == (1, 1, 1, None)
    assert whose(started, "another-secret") is None


def test_the_secret_is_stored_nowhere(started: Database) -> None:
    with started.reading() as connection:
        for table in t.control.tables.values():
            assert SECRET not in repr(connection.execute(sa.select(table)).all())
        keys = accounts.list_keys(connection)
    assert SECRET not in repr(keys)
    assert not any("sha" in field for field in accounts.ApiKey.__dataclass_fields__)


def test_a_revoked_key_is_worthless(started: Database) -> None:
    with started.writing() as connection:
        made = accounts.create_key(connection, project_id=1, name="ci", secret="second-secret")
        assert [key.name for key in accounts.list_keys(connection)] == ["first key", "ci"]
    assert whose(started, "second-secret")
    with started.writing() as connection:
        assert accounts.revoke_key(connection, made.id)
        assert not accounts.revoke_key(connection, made.id)
        assert not accounts.revoke_key(connection, "no such key")
        assert accounts.list_keys(connection)[1].revoked_at
    assert whose(started, "second-secret") is None
    assert whose(started, SECRET)


def test_keys_of_deleted_projects_and_disabled_users_are_worthless(started: Database) -> None:
    with started.writing() as connection:
        accounts.create_key(connection, project_id=1, name="no user", secret="nobodys-secret")
        connection.execute(sa.update(t.users).values(disabled_at=now_ms()))
    assert whose(started, SECRET) is None
    assert whose(started, "nobodys-secret")
    with started.writing() as connection:
        connection.execute(sa.update(t.projects).values(deleted_at=now_ms()))
    assert whose(started, "nobodys-secret") is None


@pytest.mark.parametrize(
    "secret", ["", "short", "with a blank", "tab\tinside", "new\nline-here", "pässwörter", "\ud800" * 9]
)
def test_a_secret_must_fit_in_a_header(started: Database, secret: str) -> None:
    with pytest.raises(ValueError, match="API key"), started.writing() as connection:
        accounts.create_key(connection, project_id=1, name="bad", secret=secret)


def test_two_keys_never_share_a_secret(started: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), started.writing() as connection:
        accounts.create_key(connection, project_id=1, name="again", secret=SECRET)

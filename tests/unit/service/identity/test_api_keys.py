from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, projects, workspaces
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from tests.unit.service.service_values import migrated

SECRET = "abcdefgh12345678"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        yield made


@pytest.fixture
def started(control: Database) -> Database:
    with control.writing() as connection:
        assert api_keys.bootstrap(connection, SECRET)
    return control


def whose(database: Database, secret: str) -> api_keys.Caller | None:
    with database.reading() as connection:
        return api_keys.caller(connection, api_keys.digest(secret))


def test_secrets_are_long_and_never_the_same() -> None:
    made = {api_keys.new_secret() for _ in range(500)}
    assert len(made) == 500
    assert all(len(secret) == 32 and secret.isalnum() and secret.isascii() for secret in made)


def test_bootstrap_happens_once(started: Database) -> None:
    with started.writing() as connection:
        assert not api_keys.bootstrap(connection, "another-secret")
        assert api_keys.default_project(connection) == 1
    found = whose(started, SECRET)
    assert found
    assert (found.workspace_id, found.project_id, found.user_id, found.client_ref) == (1, 1, 1, None)
    assert whose(started, "another-secret") is None


def test_the_secret_is_stored_nowhere(started: Database) -> None:
    with started.reading() as connection:
        for table in t.control.tables.values():
            assert SECRET not in repr(connection.execute(sa.select(table)).all())
        keys = api_keys.list_keys(connection)
    assert SECRET not in repr(keys)
    assert not any("sha" in field for field in api_keys.ApiKey.__dataclass_fields__)


def test_a_revoked_key_is_worthless(started: Database) -> None:
    with started.writing() as connection:
        made = api_keys.create_key(connection, project_id=1, name="ci", secret="second-secret")
        assert [key.name for key in api_keys.list_keys(connection)] == ["first key", "ci"]
    assert whose(started, "second-secret")
    with started.writing() as connection:
        assert api_keys.revoke_key(connection, made.id)
        assert not api_keys.revoke_key(connection, made.id)
        assert not api_keys.revoke_key(connection, "no such key")
        assert api_keys.list_keys(connection)[1].revoked_at
    assert whose(started, "second-secret") is None
    assert whose(started, SECRET)


def test_keys_of_deleted_projects_and_disabled_users_are_worthless(started: Database) -> None:
    with started.writing() as connection:
        connection.execute(sa.insert(t.users).values(id=7, workspace_id=1, created_at=1))
        api_keys.create_key(connection, project_id=1, user_id=7, name="of another", secret="anothers-secret")
        connection.execute(sa.update(t.users).where(t.users.c.id == 1).values(disabled_at=now_ms()))
    assert whose(started, SECRET) is None
    assert whose(started, "anothers-secret")
    with started.writing() as connection:
        connection.execute(sa.update(t.projects).values(deleted_at=now_ms()))
    assert whose(started, "anothers-secret") is None


def test_every_key_has_a_user(started: Database) -> None:
    with started.writing() as connection:
        connection.execute(sa.insert(t.workspaces).values(id=2, name="other", created_at=1))
        connection.execute(sa.insert(t.projects).values(id=7, workspace_id=2, name="p", is_default=True, created_at=1))
        connection.execute(sa.insert(t.users), [{"id": each, "workspace_id": 2, "created_at": 1} for each in (8, 9)])
        first = api_keys.create_key(connection, project_id=7, name="first", secret="first-users-key")
        given = api_keys.create_key(connection, project_id=7, user_id=9, name="given", secret="given-users-key")
        assert (first.user_id, given.user_id) == (8, 9)
        connection.execute(sa.update(t.users).where(t.users.c.id == 8).values(disabled_at=now_ms()))
        assert api_keys.create_key(connection, project_id=7, name="next", secret="next-users-key").user_id == 9
        assert [key.name for key in api_keys.list_keys(connection, user_id=9)] == ["given", "next"]
        assert not api_keys.revoke_key(connection, given.id, user_id=8)
        assert api_keys.revoke_key(connection, given.id, user_id=9)


def test_each_workspace_has_its_own_default_project(started: Database) -> None:
    with started.writing() as connection:
        workspace, project = workspaces.open_workspace(connection, "other")
        assert api_keys.default_project(connection) == api_keys.default_project(connection, 1) == 1
        assert api_keys.default_project(connection, workspace) == project != 1


@pytest.mark.parametrize(
    "secret", ["", "short", "with a blank", "tab\tinside", "new\nline-here", "pässwörter", "\ud800" * 9]
)
def test_a_secret_must_fit_in_a_header(started: Database, secret: str) -> None:
    with pytest.raises(ValueError, match="API key"), started.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="bad", secret=secret)


def test_only_the_first_key_manages_unless_it_is_said(started: Database) -> None:
    with started.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="plain", secret="plain-secret")
        api_keys.create_key(connection, project_id=1, name="manager", secret="manager-secret", manages=True)
    found = [whose(started, secret) for secret in (SECRET, "plain-secret", "manager-secret")]
    assert [caller.manages for caller in found if caller] == [True, False, True]
    assert all(caller and caller.token_id is caller.product is caller.region is None for caller in found)


def test_a_key_bound_to_a_reference_says_so(started: Database) -> None:
    with started.writing() as connection:
        made = api_keys.create_key(connection, project_id=1, name="", secret="bound-secret", client_ref=" shop 7 ")
    assert made.client_ref == " shop 7 "
    found = whose(started, "bound-secret")
    assert found
    assert found.client_ref == " shop 7 "


def test_a_key_is_bound_or_manages(started: Database) -> None:
    with pytest.raises(Refused, match="create two keys"), started.writing() as connection:
        api_keys.create_key(
            connection, project_id=1, name="both", secret="both-secret", client_ref="shop 7", manages=True
        )


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "a\u2028b", "\ud800", "a\0b", "x" * 121])
def test_a_name_is_one_line_of_at_most_120_characters(started: Database, name: str) -> None:
    for changes in ({"name": name}, {"name": "x", "client_ref": name * 3}):
        with pytest.raises(Refused) as caught, started.writing() as connection:
            api_keys.create_key(connection, project_id=1, secret="some-secret", **changes)  # type: ignore[arg-type]
        assert caught.value.kind is Kind.INVALID_QUERY
    with started.writing() as connection:
        assert api_keys.create_key(connection, project_id=1, secret="some-secret", name=" 夜勤 🎙 ").name == "夜勤 🎙"


def test_a_project_has_only_so_many_keys_at_the_same_time(started: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_KEYS", 2)
    with started.writing() as connection:
        second = api_keys.create_key(connection, project_id=1, name="2", secret="secret-number-2")
        with pytest.raises(Refused, match="which is the maximum") as caught:
            api_keys.create_key(connection, project_id=1, name="3", secret="secret-number-3")
        assert caught.value.kind is Kind.FORBIDDEN
        api_keys.revoke_key(connection, second.id)
        api_keys.create_key(connection, project_id=1, name="3", secret="secret-number-3")


def test_keys_are_listed_and_revoked_within_their_workspace(started: Database) -> None:
    with started.writing() as connection:
        connection.execute(sa.insert(t.workspaces).values(id=2, name="other", created_at=1))
        connection.execute(sa.insert(t.projects).values(id=7, workspace_id=2, name="p", is_default=True, created_at=1))
        theirs = api_keys.create_key(connection, project_id=7, name="theirs", secret="their-secret")
        assert [key.name for key in api_keys.list_keys(connection, workspace_id=1)] == ["first key"]
        assert [key.name for key in api_keys.list_keys(connection, project_id=7)] == ["theirs"]
        assert not api_keys.revoke_key(connection, theirs.id, workspace_id=1)
        assert api_keys.revoke_key(connection, theirs.id, workspace_id=2)
        assert api_keys.list_keys(connection, project_id=7, working=True) == []


def test_a_key_speaks_in_its_own_project_and_one_that_manages_in_every_one_of_its_workspace(started: Database) -> None:
    with started.writing() as connection:
        second = projects.create(connection, 1, "second")
        connection.execute(sa.insert(t.workspaces).values(id=2, name="other", created_at=1))
        connection.execute(sa.insert(t.projects).values(id=7, workspace_id=2, name="p", is_default=True, created_at=1))
        plain = api_keys.create_key(connection, project_id=second.id, name="plain", secret="plain-secret")
        (first, _) = api_keys.list_keys(connection)

        def speaks(key_id: str) -> list[int]:
            found = [api_keys.holder(connection, key_id, project_id) for project_id in (1, second.id, 7, 99)]
            return [caller.project_id for caller in found if caller]

        assert speaks(first.id) == [1, second.id]
        assert speaks(plain.id) == [second.id]
        projects.delete(connection, 1, second.id)
        assert speaks(first.id) == [1]
        assert speaks(plain.id) == []
        api_keys.revoke_key(connection, first.id)
        assert speaks(first.id) == []


def test_two_keys_never_share_a_secret(started: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), started.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="again", secret=SECRET)

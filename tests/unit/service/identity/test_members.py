"""Roles in a workspace: what an admin changes, the last admin, and managing keys, on both kinds of database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, members, sessions, users
from sottovoce.service.identity.members import Change
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.identity.account_values import BACKENDS, control_on

DEMOTED = Change(role=Role.MEMBER)
DISABLED = Change(disabled=True)


@pytest.fixture(params=BACKENDS)
def control(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with control_on(request, tmp_path) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, "the-first-key")
        yield made


def added(control: Database, name: str, *, role: Role = Role.ADMIN, workspace: int | None = 1) -> User:
    """A user who can log in."""
    with control.writing() as connection:
        return users.add(
            connection,
            email=f"{name}@example.org",
            password_hash="kept",
            verified=True,
            workspace_id=workspace,
            role=role,
        )


def changed(control: Database, user: User, wanted: Change) -> User:
    with control.writing() as connection:
        return members.change(connection, user.workspace_id, user.id, wanted)


def caller(control: Database, secret: str) -> api_keys.Caller:
    with control.reading() as connection:
        found = api_keys.caller(connection, api_keys.digest(secret))
    assert found
    return found


def test_the_first_user_of_a_workspace_is_its_admin(control: Database) -> None:
    assert added(control, "ada", workspace=None, role=Role.MEMBER).role is Role.ADMIN
    with control.reading() as connection:
        assert [user.role for user in users.listed(connection, 1)] == [Role.ADMIN]


def test_users_of_an_earlier_release_are_admins(control: Database) -> None:
    with control.writing() as connection:
        connection.execute(sa.insert(t.users).values(id=9, workspace_id=1, created_at=1))
        assert members.get(connection, 1, 9).role is Role.ADMIN


def test_a_role_changes_and_a_disabled_user_comes_back(control: Database) -> None:
    ada = added(control, "ada")
    assert changed(control, ada, DEMOTED).role is Role.MEMBER
    with control.writing() as connection:
        session = sessions.create(connection, ada.id)
    assert changed(control, ada, DISABLED).state == "disabled"
    with control.reading() as connection:
        assert sessions.user_for(connection, session) is None
    assert changed(control, ada, Change(role=Role.ADMIN, disabled=False)).state == "active"


@pytest.mark.parametrize("wanted", [DEMOTED, DISABLED])
def test_the_last_admin_stays_one(control: Database, wanted: Change) -> None:
    ada = added(control, "ada", workspace=None)
    added(control, "bob", workspace=ada.workspace_id, role=Role.MEMBER)
    with control.writing() as connection:  # an admin who can neither log in nor use a managing key is no help
        users.add(connection, email="eve@example.org", password_hash=None, verified=True, workspace_id=ada.workspace_id)
    with pytest.raises(Refused, match="last admin") as caught:
        changed(control, ada, wanted)
    assert caught.value.kind is Kind.FORBIDDEN
    with control.reading() as connection:
        assert users.get(connection, ada.id) == ada


def test_the_user_of_the_first_key_counts_as_an_admin_while_the_key_is_valid(control: Database) -> None:
    ada = added(control, "ada")
    changed(control, ada, DEMOTED)
    changed(control, ada, Change(role=Role.ADMIN))
    with control.writing() as connection:
        api_keys.revoke_key(connection, api_keys.list_keys(connection)[0].id)
    with pytest.raises(Refused, match="last admin"):
        changed(control, ada, DEMOTED)


@pytest.mark.parametrize("wanted", [DEMOTED, DISABLED])
def test_of_admins_who_demote_each_other_at_once_one_remains(control: Database, wanted: Change) -> None:
    ada = added(control, "ada", workspace=None)
    theirs = [ada, *(added(control, f"admin{number}", workspace=ada.workspace_id) for number in range(3))]

    def attempt(user: User) -> bool:
        try:
            changed(control, user, wanted)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, theirs)) == [False, True, True, True]
    with control.reading() as connection:
        assert len(members.acting_admins(connection, ada.workspace_id)) == 1


def test_users_of_another_workspace_are_unknown(control: Database) -> None:
    ada = added(control, "ada", workspace=None)
    with control.writing() as connection:
        for user_id in (ada.id, 999, 0, 1 << 40):
            with pytest.raises(Refused, match="no such member") as caught:
                members.change(connection, 1, user_id, DEMOTED)
            assert caught.value.kind is Kind.PAGE_NOT_FOUND


def test_a_key_manages_only_while_its_user_is_an_admin(control: Database) -> None:
    ada = added(control, "ada")
    with control.writing() as connection:
        other = api_keys.create_key(connection, project_id=1, user_id=ada.id, name="", secret="adas-key", manages=True)
        connection.execute(
            sa.insert(t.projects).values(id=50, workspace_id=1, name="x", is_default=False, created_at=1)
        )
        assert api_keys.holder(connection, other.id, 50)
    assert caller(control, "adas-key").manages
    changed(control, ada, DEMOTED)
    assert not caller(control, "adas-key").manages, "it is a key for jobs now"
    with control.reading() as connection:
        assert [key.manages for key in api_keys.list_keys(connection)] == [True, False], "lists show that"
        assert api_keys.holder(connection, other.id, 50) is None, "nor does it reach other projects"
    changed(control, ada, Change(role=Role.ADMIN))
    assert caller(control, "adas-key").manages
    with control.reading() as connection:
        assert [key.manages for key in api_keys.list_keys(connection)] == [True, True]


def test_a_member_gets_no_managing_key(control: Database) -> None:
    bob = added(control, "bob", role=Role.MEMBER)
    with control.writing() as connection:
        with pytest.raises(Refused, match="users role"):
            api_keys.create_key(connection, project_id=1, user_id=bob.id, name="", secret="bobs-key", manages=True)
        assert api_keys.create_key(connection, project_id=1, user_id=bob.id, name="", secret="bobs-own-key")


def test_a_managing_key_without_a_user_goes_to_an_admin(control: Database) -> None:
    ada = added(control, "ada")
    with control.writing() as connection:
        users.set_role(connection, users.get(connection, 1) or ada, Role.MEMBER)
        made = [
            api_keys.create_key(connection, project_id=1, name="", secret=f"a-key-{manages}", manages=manages)
            for manages in (True, False)
        ]
    assert [key.user_id for key in made] == [ada.id, 1]

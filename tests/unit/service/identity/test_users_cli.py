"""`sottovoce users`, and what `sottovoce keys` does about users, on a data folder beside which no server runs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.errors import Refused
from sottovoce.service.identity import api_keys, audit_log, login_throttle, passwords, sessions, users
from sottovoce.service.identity.registration import login_allowances
from sottovoce.service.storage import migrate
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import migrated

EMAIL = "ada@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SOTTOVOCE_PASSWORD_MEMORY_KIB", "32")
    monkeypatch.setenv("SOTTOVOCE_UNSAFE_PASSWORD_HASHES", "true")
    with migrated(tmp_path, migrate.CONTROL) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, "the-first-key")
        yield made


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=typed)


def done(*arguments: str, typed: str = "") -> str:
    result = run(*arguments, typed=typed)
    assert result.exit_code == 0, result.output
    return result.output


def made(*arguments: str) -> Any:
    """What the command prints as JSON."""
    return json.loads(run(*arguments, "--json").stdout)


def user(control: Database, who: str = EMAIL) -> users.User:
    with control.reading() as connection:
        found = users.find(connection, who)
    assert found
    return found


def fits(control: Database, password: str) -> bool:
    with control.reading() as connection:
        found = users.credentials(connection, user(control))
    assert found
    return passwords.Hasher().matches(found.password_hash, password)


def entries(control: Database) -> list[audit_log.Entry]:
    with control.reading() as connection:
        return [recorded.entry for recorded in reversed(audit_log.latest(connection, 100))]


def test_a_user_is_added_with_a_password_and_a_key(control: Database) -> None:
    added = run("users", "add", " Ada@Example.org", "--password-stdin", typed=f"{PASSWORD}\r\nmore\n")
    public_text = added.stdout
    assert "shown only now" in added.stderr
    (_, user_id, _), _, (_, secret) = (line.split() for line in public_text.splitlines())
    ada = user(control)
    assert (str(ada.id), ada.state) == (user_id, "active")
    assert fits(control, PASSWORD)
    with control.reading() as connection:
        caller = api_keys.caller(connection, api_keys.digest(secret))
    assert (caller.user_id, caller.workspace_id, caller.manages) == (ada.id, ada.workspace_id, False)
    kept = entries(control)
    assert [(entry.actor, entry.action) for entry in kept] == [("operator", "user added"), ("operator", "key created")]
    assert secret not in repr(kept)
    assert PASSWORD not in repr(kept)


def test_a_password_is_typed_twice_without_echo(control: Database) -> None:
    public_text = done("users", "add", EMAIL, "--no-key", typed=f"{PASSWORD}\nwrong\n{PASSWORD}\n{PASSWORD}\n")
    assert f"user       {user(control).id} ({EMAIL})" in public_text
    assert "secret" not in public_text
    assert PASSWORD not in public_text
    assert fits(control, PASSWORD)
    with control.reading() as connection:
        assert len(api_keys.list_keys(connection)) == 1


def test_a_user_may_have_no_password_and_join_a_workspace(control: Database) -> None:
    secret = made("users", "add", EMAIL, "--no-password", "--workspace", "1")["secret"]
    assert user(control).workspace_id == 1
    with control.reading() as connection:
        assert users.credentials(connection, user(control)).password_hash is None
        assert api_keys.caller(connection, api_keys.digest(secret)).project_id == 1


def test_users_are_listed(control: Database) -> None:
    done("users", "add", EMAIL, "--no-password")
    done("users", "disable", EMAIL)
    heading, *lines = (line.split() for line in done("users", "list").splitlines())
    assert heading == ["USER", "CREATED", "WORKSPACE", "ROLE", "STATE", "ADDRESS"]
    assert [[line[0], *line[4:]] for line in lines] == [
        ["1", "1", "admin", "active"],
        ["2", "2", "admin", "disabled", EMAIL],
    ]
    listed = [(each["id"], each["workspace"], each["state"], each["email"]) for each in made("users", "list")]
    assert listed == [(1, 1, "active", None), (2, 2, "disabled", EMAIL)]


def test_a_user_gets_a_role(control: Database) -> None:
    done("users", "add", EMAIL, "--no-password", "--workspace", "1", "--role", "member")
    assert user(control).role == "member"
    assert [each["role"] for each in made("users", "list")] == ["admin", "member"]
    refused = run("keys", "create", "x", "--user", EMAIL, "--manages")
    assert (refused.exit_code, "a managing key needs an admin" in refused.output) == (1, True)
    ada = user(control)
    assert done("users", "role", EMAIL, "admin") == f"user {ada.id} is an admin of workspace 1\n"
    made("keys", "create", "x", "--user", EMAIL, "--manages")
    done("users", "role", "1", "member")
    refused = run("users", "role", EMAIL, "member")
    assert (refused.exit_code, "the last admin" in refused.output) == (1, True)
    latest = [entry for entry in entries(control) if entry.action == "role changed"]
    assert [(entry.target, entry.workspace_id, entry.details["role"]) for entry in latest] == [
        (str(ada.id), 1, "admin"),
        ("1", 1, "member"),
    ]
    assert run("users", "add", "x@example.org", "--role", "member", "--no-password").exit_code == 2


def test_who_is_disabled_is_out_until_enabled(control: Database) -> None:
    secret = made("users", "add", EMAIL, "--no-password")["secret"]
    ada = user(control)
    with control.writing() as connection:
        session = sessions.create(connection, ada.id)
    assert done("users", "disable", str(ada.id)) == f"disabled {ada.id}\n"
    with control.reading() as connection:
        assert sessions.user_for(connection, session) is None
        assert api_keys.caller(connection, api_keys.digest(secret)) is None
    assert done("users", "enable", EMAIL) == f"enabled {ada.id}\n"
    with control.reading() as connection:
        assert api_keys.caller(connection, api_keys.digest(secret))
    assert [entry.action for entry in entries(control)][-2:] == ["user disabled", "user enabled"]


def test_another_password_ends_sessions_and_lets_in_who_was_throttled(control: Database) -> None:
    done("users", "add", EMAIL, "--no-password", "--no-key")
    ada, allowance = user(control), login_allowances(EMAIL, "")[0]
    with control.writing() as connection:
        session = sessions.create(connection, ada.id)
        for _ in range(allowance.most):
            login_throttle.count_attempt(connection, [allowance])
    assert done("users", "password", "Ada@example.org", "--password-stdin", typed=PASSWORD).startswith("password of")
    assert fits(control, PASSWORD)
    with control.writing() as connection:
        assert sessions.user_for(connection, session) is None
        login_throttle.count_attempt(connection, [allowance])
    assert entries(control)[-1].action == "password set"


def test_a_user_gets_an_address(control: Database) -> None:
    """User 1 has none at first, so that mails about its jobs go nowhere."""
    assert user(control, "1").email is None
    assert done("users", "email", "1", " Ada@Example.org") == f"address of user 1 set to {EMAIL}\n"
    assert (user(control, "1").email, user(control, "1").state) == (EMAIL, "active")
    assert entries(control)[-1].action == "e-mail address set"
    done("users", "email", EMAIL, "bob@example.org")
    assert user(control, "1").email == "bob@example.org"
    done("users", "email", "1", "bob@example.org")
    with control.writing() as connection:
        assert users.give_owner_email(connection, EMAIL) is None, "a start never replaces an address"


def test_a_start_gives_the_owner_an_address(control: Database) -> None:
    with control.writing() as connection:
        assert users.give_owner_email(connection, " Ada@Example.org ")
        with pytest.raises(Refused, match="SOTTOVOCE_OWNER_EMAIL"):
            users.normal("nonsense", at="SOTTOVOCE_OWNER_EMAIL")
    assert user(control, "1").email == EMAIL


def test_keys_are_made_for_users_in_their_workspace(control: Database) -> None:
    done("users", "add", EMAIL, "--no-password", "--no-key")
    ada = user(control)
    for who in (EMAIL, str(ada.id)):
        shown = made("keys", "create", "theirs", "--user", who)
        key_id, secret = shown["id"], shown["secret"]
        with control.reading() as connection:
            caller = api_keys.caller(connection, api_keys.digest(secret))
        assert (caller.key_id, caller.user_id, caller.workspace_id) == (key_id, ada.id, ada.workspace_id)
    theirs = [key for key in made("keys", "list") if key["name"] == "theirs"]
    assert {(key["project"], key["user"]) for key in theirs} == {(caller.project_id, ada.id)}
    done("keys", "create", "first user's")
    assert "  1        1     jobs                     active  first user's" in done("keys", "list")


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        (("users", "add", "nobody", "--no-password"), "", "email: must be an e-mail address"),
        (("users", "add", "bob@example.org", "--password-stdin"), "short\n", "password: must have 10 to 256 characters"),
        (("users", "add", "bob@example.org", "--password-stdin"), "", "password: must have 10 to 256 characters"),
        (("users", "add", "bob@example.org", "--password-stdin"), "bob@example.org", "password: must not be the e-mail address"),
        (("users", "add", "bob@example.org", "--no-password", "--workspace", "99"), "", "no workspace 99"),
        (("users", "add", EMAIL, "--no-password"), "", "already"), (("users", "disable", "nobody"), "", "no user nobody"),
        (("users", "enable", "99"), "", "no user 99"), (("users", "password", "99"), "", "no user 99"),
        (("users", "password", "1"), "", "no e-mail address"), (("users", "email", "1", EMAIL), "", "already"),
        (("users", "email", "1", "nobody"), "", "must be an e-mail address"), (("users", "email", "99", EMAIL), "", "no user 99"),
        (("keys", "create", "k", "--user", "99"), "", "no user 99"),
        (("keys", "create", "k", "--user", EMAIL, "--project", "1"), "", "no project 1 of the workspace of user 2"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(
    control: Database, arguments: tuple[str, ...], typed: str, told: str
) -> None:
    done("users", "add", EMAIL, "--no-password", "--no-key")
    before = len(entries(control))
    result = run(*arguments, typed=typed)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.count("\n") == 1
    assert len(entries(control)) == before


def test_a_password_is_given_or_not(control: Database) -> None:
    result = run("users", "add", EMAIL, "--no-password", "--password-stdin")
    assert result.exit_code == 2
    assert "exclude each other" in result.output

"""Users, their sessions and the links in their mails, as statements over the control database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, email_links, sessions, users
from sottovoce.service.identity.email_links import Purpose
from sottovoce.service.identity.users import User
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.identity.account_values import BACKENDS, control_on

EMAIL = "ada@example.org"


@pytest.fixture(params=BACKENDS)
def control(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with control_on(request, tmp_path) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, "the-first-key")
        yield made


@pytest.fixture
def connection(control: Database) -> Iterator[sa.Connection]:
    with control.writing() as opened:
        yield opened


def added(connection: sa.Connection, email: str = EMAIL, *, verified: bool = True, **values: Any) -> User:
    return users.add(connection, email=email, password_hash="kept", verified=verified, **values)


# ── users ──


@pytest.mark.parametrize(
    ("given", "kept"), [(EMAIL, EMAIL), (" Ada@Example.ORG\n", EMAIL), ("a+b@c", "a+b@c"), ('"a b"@c.org', '"a b"@c.org')]
)  # fmt: skip
def test_an_address_is_kept_in_lower_case(given: str, kept: str) -> None:
    assert users.normal(given) == kept


@pytest.mark.parametrize(
    "given", ["", "ada", "ada@", "@example.org", "a@b@c", "a b@c", "a@b, c@d", "<a@b>", "a@b\nBcc: c@d", "a\0@b", f"{'a' * 250}@b.org"]
)  # fmt: skip
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="must be an e-mail address") as caught:
        users.normal(given)
    assert (caught.value.kind, caught.value.at) == (Kind.BAD_REQUEST, "email")


def test_a_new_user_has_a_workspace_with_a_default_project(connection: sa.Connection) -> None:
    ada = added(connection)
    assert (ada.email, ada.state, ada.actor) == (EMAIL, "active", f"user {ada.id}")
    assert ada.workspace_id != 1
    project = api_keys.default_project(connection, ada.workspace_id)
    assert project != api_keys.default_project(connection) == 1
    assert users.balance(connection, ada) == 0
    assert users.get(connection, ada.id) == users.by_email(connection, EMAIL) == ada
    assert [user.id for user in users.listed(connection)] == [1, ada.id]


def test_a_new_user_may_join_a_workspace_that_is_there(connection: sa.Connection) -> None:
    assert added(connection, workspace_id=1).workspace_id == 1
    assert connection.scalar(sa.select(sa.func.count()).select_from(t.projects)) == 1
    with pytest.raises(Refused, match="no workspace 99"):
        added(connection, "bob@example.org", workspace_id=99)


def test_an_address_is_taken_once(connection: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    added(connection)
    with pytest.raises(Refused, match="already") as caught:
        added(connection)
    assert caught.value.kind is Kind.BAD_REQUEST
    look = users.by_email
    monkeypatch.setattr(users, "by_email", lambda *_: None)  # as for one who looked a moment too early
    with pytest.raises(Refused, match="already"):
        added(connection)
    monkeypatch.setattr(users, "by_email", look)


@pytest.mark.parametrize(
    "who", ["0", "-1", "2", "99999999999999999999999", "²", "nobody@example.org", "ada", "", "1 OR 1=1"]
)
def test_nobody_is_found_by_what_names_nobody(connection: sa.Connection, who: str) -> None:
    assert users.find(connection, who) is None


def test_people_are_found_by_id_and_address(connection: sa.Connection) -> None:
    ada = added(connection)
    assert users.find(connection, str(ada.id)) == users.find(connection, " ADA@example.org") == ada
    assert users.find(connection, "1") == users.get(connection, 1)


def test_what_is_kept_of_a_password_is_not_shown(connection: sa.Connection) -> None:
    ada = added(connection)
    found = users.credentials(connection, ada)
    assert found
    assert (found.user, found.password_hash) == (ada, "kept")
    assert "kept" not in repr(found)
    assert users.credentials(connection, None) is None


def test_who_is_disabled_is_out_until_enabled(connection: sa.Connection) -> None:
    ada = added(connection, verified=False)
    assert ada.state == "unverified"
    session, link = sessions.create(connection, ada.id), email_links.create(connection, ada.id, Purpose.PASSWORD)
    project = api_keys.default_project(connection, ada.workspace_id)
    api_keys.create_key(connection, project_id=project, user_id=ada.id, name="k", secret="adas-own-key")
    key = api_keys.digest("adas-own-key")
    assert api_keys.caller(connection, key)
    users.disable(connection, ada)
    assert users.find(connection, EMAIL).state == "disabled"
    assert sessions.user_for(connection, session) is email_links.user_for(connection, link, Purpose.PASSWORD) is None
    assert api_keys.caller(connection, key) is None
    users.enable(connection, ada)
    assert users.find(connection, EMAIL).state == "active"
    assert sessions.user_for(connection, session) is None
    assert api_keys.caller(connection, key).user_id == ada.id


def test_another_password_ends_other_sessions_and_links(connection: sa.Connection) -> None:
    ada, bob = added(connection), added(connection, "bob@example.org")
    mine, other, bobs = (sessions.create(connection, user.id) for user in (ada, ada, bob))
    link = email_links.create(connection, ada.id, Purpose.PASSWORD)
    users.set_password(connection, ada, "new", session=mine)
    assert [sessions.user_for(connection, each) for each in (mine, other, bobs)] == [ada.id, None, bob.id]
    assert email_links.user_for(connection, link, Purpose.PASSWORD) is None
    assert users.credentials(connection, ada).password_hash == "new"


def test_accounts_that_nobody_verified_go_after_a_week(connection: sa.Connection) -> None:
    ada = added(connection, verified=False)
    email_links.create(connection, ada.id, Purpose.VERIFY)
    kept = [added(connection, f"{name}@example.org", verified=False) for name in ("key", "joined", "credit", "gone")]
    project = api_keys.default_project(connection, kept[0].workspace_id)
    api_keys.create_key(connection, project_id=project, user_id=kept[0].id, name="k", secret="somebodys-key")
    added(connection, "bob@example.org", workspace_id=kept[1].workspace_id)
    entry = {"workspace_id": kept[2].workspace_id, "amount": 1, "kind": "added", "at": 1}
    connection.execute(sa.insert(t.credit_entries).values(**entry))
    users.disable(connection, kept[3])
    assert users.forget_unverified(connection) == 0
    day = 86_400_000
    connection.execute(sa.update(t.users).values(created_at=t.users.c.created_at - users.UNVERIFIED_DAYS * day - 1))
    assert users.forget_unverified(connection) == 0, "the link is good still"
    connection.execute(sa.update(t.mail_links).values(expires_at=t.mail_links.c.expires_at - day))
    assert users.forget_unverified(connection) == 1
    assert users.find(connection, EMAIL) is None
    for table in (t.workspaces, t.projects):
        column = table.c.id if table is t.workspaces else table.c.workspace_id
        assert connection.execute(sa.select(table).where(column == ada.workspace_id)).first() is None
    assert all(users.get(connection, user.id) for user in kept)
    assert added(connection).email == EMAIL


# ── sessions ──


def test_a_session_is_known_by_its_secret_alone(connection: sa.Connection) -> None:
    ada = added(connection)
    secret = sessions.create(connection, ada.id)
    assert len(secret) == sessions.SECRET_LENGTH
    assert sessions.user_for(connection, secret) == ada.id
    assert secret not in repr(connection.execute(sa.select(t.sessions)).all())
    for other in ("", secret[:-1], api_keys.digest(secret), secret.swapcase(), "\ud800"):
        assert sessions.user_for(connection, other) is None


def test_a_session_ends_when_it_is_ended_or_over(connection: sa.Connection) -> None:
    ada = added(connection)
    first, second = sessions.create(connection, ada.id), sessions.create(connection, ada.id)
    assert sessions.delete(connection, first)
    assert not sessions.delete(connection, first)
    assert sessions.user_for(connection, second) == ada.id
    connection.execute(sa.update(t.sessions).values(expires_at=t.sessions.c.expires_at - sessions.SECONDS * 1000))
    assert sessions.user_for(connection, second) is None
    sessions.create(connection, ada.id)
    assert connection.scalar(sa.select(sa.func.count()).select_from(t.sessions)) == 1


def test_the_oldest_session_ends_when_there_are_too_many(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    ada = added(connection)
    made = []
    for _ in range(5):
        connection.execute(sa.update(t.sessions).values(created_at=t.sessions.c.created_at - 1000))
        made.append(sessions.create(connection, ada.id))
    assert [sessions.user_for(connection, each) for each in made] == [None, None, ada.id, ada.id, ada.id]


# ── links ──


def test_a_link_is_known_by_its_secret_and_good_for_one_purpose(connection: sa.Connection) -> None:
    ada = added(connection)
    secret = email_links.create(connection, ada.id, Purpose.VERIFY)
    assert email_links.user_for(connection, secret, Purpose.VERIFY) == ada.id
    assert email_links.user_for(connection, secret, Purpose.PASSWORD) is None
    assert secret not in repr(connection.execute(sa.select(t.mail_links)).all())
    email_links.revoke(connection, ada.id, Purpose.PASSWORD)
    assert email_links.user_for(connection, secret, Purpose.VERIFY) == ada.id
    users.verify(connection, ada)
    assert email_links.user_for(connection, secret, Purpose.VERIFY) is None


def test_a_link_takes_the_place_of_an_older_one_and_is_over_at_last(connection: sa.Connection) -> None:
    ada = added(connection)
    old, other, new = (
        email_links.create(connection, ada.id, each) for each in (Purpose.PASSWORD, Purpose.VERIFY, Purpose.PASSWORD)
    )
    assert email_links.user_for(connection, old, Purpose.PASSWORD) is None
    assert (
        email_links.user_for(connection, other, Purpose.VERIFY)
        == email_links.user_for(connection, new, Purpose.PASSWORD)
        == ada.id
    )
    connection.execute(sa.update(t.mail_links).values(expires_at=t.mail_links.c.expires_at - 3_600_000))
    assert email_links.user_for(connection, new, Purpose.PASSWORD) is None
    assert email_links.user_for(connection, other, Purpose.VERIFY) == ada.id


# ── many at once ──


def test_of_many_who_register_at_once_one_gets_the_address(control: Database) -> None:
    def add(number: int) -> bool:
        try:
            with control.writing() as connection:
                users.add(connection, email=EMAIL, password_hash=str(number), verified=True)
        except Refused as refused:
            return "already" not in refused.why
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(add, range(8))) == 1
    with control.reading() as connection:
        assert [user.email for user in users.listed(connection)] == [None, EMAIL]
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.workspaces)) == 2


def test_many_logins_at_once_end_in_as_many_sessions(control: Database) -> None:
    with control.writing() as connection:
        ada = added(connection)

    def begin(_: int) -> str:
        with control.writing() as connection:
            return sessions.create(connection, ada.id)

    with ThreadPoolExecutor(4) as threads:
        secrets = list(threads.map(begin, range(8)))
    with control.reading() as connection:
        assert {sessions.user_for(connection, secret) for secret in secrets} == {ada.id}

"""Accounts over HTTP, on a server in this process: registering, logging in, passwords, keys."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce import bootstrap
from sottovoce.service.email.smtp import Mail
from sottovoce.service.identity import api_keys, audit_log, sessions, users
from sottovoce.service.notifications import model
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage import schema as t
from sottovoce.settings import load
from sottovoce.web import app
from sottovoce.web.api.account import COOKIE
from tests import databases

pytestmark = pytest.mark.system

PASSWORD = "correct horse battery"
OTHER = "staple, and something else"
OWNER = "ada@example.org"
CHEAP_HASHES = {"password_memory_kib": 32, "unsafe_password_hashes": True}
SMTP = {"smtp_host": "mail.example.org", "smtp_sender": "sottovoce@example.org"}


class House:
    """A server in this process. Its mails stay where they are posted: nobody here sends them."""

    def __init__(self, folder: Path, runner: asyncio.Runner, **settings: Any) -> None:
        self.run = runner.run
        options = {"registration": "open", **CHEAP_HASHES, **settings}
        made = load(data_dir=folder, roles=("api",), api_key="the-first-key", **options)
        databases.make_embedded(folder)
        self.runtime = Runtime(replace(bootstrap.plan(made), inspectors=0))
        self.runtime.start()
        self.app = app.create_app(made, self.runtime)

    def visitor(self, base: str = "http://test", place: str = "192.0.2.1") -> "Visitor":
        return Visitor(self, base, place)

    def mails(self) -> list[Mail]:
        """What was posted, oldest first."""
        with self.runtime.database.reading() as connection:
            rows = connection.execute(sa.select(t.deliveries.c.target).order_by(sa.text("rowid"))).scalars()
            return [model.mail_of(self.runtime.encryptor, target) for target in rows]

    def code(self) -> str:
        """The code of the latest mail."""
        found = re.search(r"^Your code: (\S+)$", self.mails()[-1].body, re.MULTILINE)
        assert found
        return found.group(1)

    def actions(self) -> list[tuple[str, str]]:
        with self.runtime.control.reading() as connection:
            return [(each.entry.actor, each.entry.action) for each in reversed(audit_log.latest(connection, 100))]

    def user(self, email: str = OWNER) -> users.User:
        with self.runtime.control.reading() as connection:
            found = users.by_email(connection, email)
        assert found
        return found

    def everything(self) -> str:
        """All that both databases hold."""
        rows = []
        for database, metadata in ((self.runtime.control, t.control), (self.runtime.database, t.region)):
            with database.reading() as connection:
                rows += [repr(connection.execute(sa.select(table)).all()) for table in metadata.sorted_tables]
        return "".join(rows)


class Visitor:
    """A browser, or a program that keeps cookies."""

    def __init__(self, house: House, base: str, place: str) -> None:
        self._house = house
        self._base = base
        self._place = place
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        answer: httpx.Response = self._house.run(self.ask(method, path, body, **options))
        return answer

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if method == "POST" and "content" not in options:
            options["json"] = {} if body is None else body
        transport = httpx.ASGITransport(self._house.app, client=(self._place, 1))
        async with httpx.AsyncClient(transport=transport, base_url=self._base, cookies=self.cookies) as client:
            answer = await client.request(method, f"/account{path}", **options)
            self.cookies = client.cookies
        return answer

    def register(self, email: str = OWNER, password: str = PASSWORD) -> httpx.Response:
        return self("POST", "/register", {"email": email, "password": password})

    def log_in(self, email: str = OWNER, password: str = PASSWORD) -> httpx.Response:
        return self("POST", "/login", {"email": email, "password": password})

    def is_in(self) -> bool:
        status = self("GET", "").status_code
        assert status in {200, 401}
        return status == 200


Build = Callable[..., House]


@contextmanager
def opened(folder: Path) -> Iterator[Build]:
    built: list[House] = []
    with asyncio.Runner() as runner:

        def build(**settings: Any) -> House:
            built.append(House(folder / str(len(built)), runner, **settings))
            return built[-1]

        try:
            yield build
        finally:
            for house in built:
                house.runtime.close()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server for those who change nothing."""
    with opened(tmp_path_factory.mktemp("account")) as build:
        yield build()


@pytest.fixture
def house(build: Build) -> House:
    """Registration is open, no mail server is known."""
    return build()


@pytest.fixture
def posting(build: Build) -> House:
    """Registration is open, addresses are verified by mail."""
    return build(**SMTP, public_url="https://stt.example.org/")


def shape(answer: httpx.Response) -> Any:
    """All of an answer that a stranger can compare."""
    headers = {name: value for name, value in answer.headers.items() if name != "request-id"}
    return answer.status_code, answer.content, headers


def refused(answer: httpx.Response, status: int, error: str, told: str = "") -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["code"], body["error"]) == (status, error)
    assert told in body.get("detail", "")


# ── registering ──


def test_who_registers_has_a_workspace_and_gets_in(house: House) -> None:
    ada = house.visitor()
    assert (ada.register().status_code, ada.register("bob@example.org").json()) == (202, {"mail": False})
    answer = ada.log_in(" Ada@Example.ORG ")
    user = house.user()
    assert (answer.status_code, answer.json()) == (200, {"user_id": user.id, "email": OWNER})
    shown = ada("GET", "")
    assert shown.headers["cache-control"] == "no-store"
    assert shown.json() == {
        "user_id": user.id, "email": OWNER, "verified": True, "balance": 0, "workspace_id": user.workspace_id,
        "role": "admin",
    }  # fmt: skip
    assert len({1, user.workspace_id, house.user("bob@example.org").workspace_id}) == 3
    with house.runtime.control.reading() as connection:
        statement = sa.select(t.workspaces.c.name).where(t.workspaces.c.id == user.workspace_id)
        assert connection.scalar(statement) == f"of {OWNER}"


def test_without_mail_an_address_that_is_taken_is_refused(house: House) -> None:
    ada = house.visitor()
    ada.register()
    refused(ada.register(password=OTHER), 400, "Bad Request", "email: this address has an account already")
    assert ada.log_in(password=OTHER).status_code == 401
    assert ada.log_in().status_code == 200


def test_registration_may_be_closed(build: Build) -> None:
    house = build(registration="closed")
    refused(house.visitor().register(), 403, "Forbidden", "sottovoce users add")


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("nobody", PASSWORD, "email: must be"), ("", PASSWORD, "email: must be"), ("a@b\n@c", PASSWORD, "email: must be"),
        ("a@" + "b" * 260, PASSWORD, "email: must be"), (OWNER, "123456789", "password: must have 10 to 256"),
        (OWNER, "x" * 257, "password: must have"), (OWNER, OWNER.upper(), "password: must not be the e-mail"),
        (OWNER, "x" * 1001, "password: must have at most 1000"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_addresses_and_passwords_have_bounds(still: House, email: str, password: str, told: str) -> None:
    before = still.everything()
    refused(still.visitor().register(email, password), 400, "Bad Request", told)
    assert still.everything() == before


def test_with_mail_every_address_gets_the_same_answer(posting: House) -> None:
    ada = posting.visitor()
    answers = [ada.register()]  # new
    answers.append(ada.register())  # not verified
    ada("POST", "/verify", {"token": posting.code(), "password": PASSWORD})
    answers.append(ada.register(password=OTHER))  # verified
    assert len({repr(shape(answer)) for answer in answers}) == 1
    assert (answers[0].status_code, answers[0].json()) == (202, {"mail": True})
    assert [mail.subject for mail in posting.mails()] == ["Confirm your address"] * 2 + ["You have an account already"]
    assert {mail.to for mail in posting.mails()} == {OWNER}
    assert posting.visitor().log_in().status_code == 200
    assert posting.visitor().log_in(password=OTHER).status_code == 401


def test_an_account_opens_once_its_address_is_verified(posting: House) -> None:
    ada = posting.visitor()
    ada.register()
    refused(ada.log_in(), 403, "Forbidden", "not confirmed")
    assert ada.log_in(password=OTHER).status_code == 401
    token = posting.code()
    assert f"https://stt.example.org/account/verify?token={token}\n" in posting.mails()[0].body
    before = posting.everything()
    page = ada("GET", "/verify", params={"token": token})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.text.count("<button>") == 1
    assert token not in page.text, "the page is the same for every link"
    assert page.text != ada("GET", "/reset").text
    for tag in ("script", "style"):  # the policy lets a browser run these lines and no other
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert posting.everything() == before, "programs that read mail follow links"
    refused(ada("POST", "/verify", {"token": token, "password": OTHER}), 401, "Permission Denied", "wrong")
    refused(ada("POST", "/verify", {"token": "x" * 43, "password": PASSWORD}), 400, "Bad Request", "token")
    answer = ada("POST", "/verify", {"token": token, "password": PASSWORD})
    assert answer.json() == {"user_id": posting.user().id, "email": OWNER}
    assert ada("GET", "").json()["verified"] is True
    refused(ada("POST", "/verify", {"token": token, "password": PASSWORD}), 400, "Bad Request", "token")


def test_whoever_registers_with_somebody_elses_address_gets_nothing_when_its_owner_confirms(posting: House) -> None:
    stranger, ada = posting.visitor(place="198.51.100.1"), posting.visitor()
    ada.register()
    stranger.register(password=OTHER)
    refused(ada("POST", "/verify", {"token": posting.code(), "password": PASSWORD}), 401, "Permission Denied")
    assert posting.user().verified_at is None
    ada.register()
    assert ada("POST", "/verify", {"token": posting.code(), "password": PASSWORD}).status_code == 200
    assert stranger.log_in(password=OTHER).status_code == 401


def test_links_are_not_what_a_stranger_calls_the_server(build: Build) -> None:
    house = build(**SMTP)
    body = {"email": OWNER, "password": PASSWORD}
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example"}
    assert house.visitor()("POST", "/register", body, headers=headers).status_code == 202
    assert "evil" not in house.mails()[0].body
    assert "http" not in house.mails()[0].body
    assert len(house.code()) == 43


def test_registering_is_throttled_for_each_address_and_each_place(house: House) -> None:
    ada = house.visitor()
    assert [ada.register().status_code for _ in range(6)] == [202, 400, 400, 400, 400, 429]
    answer = ada.register()
    refused(answer, 429, "Rate Limited", "try again in 60 minutes")
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert ada.register("bob@example.org").status_code == 202


# ── logging in and out ──


def test_the_cookie_is_for_this_server_alone(house: House) -> None:
    house.visitor().register()
    for base, secure in (("http://test", False), ("https://test", True)):
        answer = house.visitor(base).log_in()
        (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
        assert (cookie.key, len(cookie.value), cookie["path"], cookie["max-age"]) == (COOKIE, 43, "/", "1209600")
        assert (cookie["samesite"], cookie["httponly"], bool(cookie["secure"])) == ("lax", True, secure)
        assert cookie["domain"] == ""


def test_a_wrong_password_and_a_wrong_address_are_told_alike(house: House) -> None:
    ada = house.visitor()
    ada.register()
    wrong = [ada.log_in(password=OTHER), ada.log_in("nobody@example.org"), ada.log_in(password="")]
    refused(wrong[0], 401, "Permission Denied", "wrong e-mail address or password")
    assert len({repr(shape(answer)) for answer in wrong}) == 1
    assert "set-cookie" not in wrong[0].headers


def test_passwords_are_the_same_however_a_keyboard_writes_them(house: House) -> None:
    ada = house.visitor()
    ada.register(password="Pa\u00dfw\u00f6rter, \ufb01ne")
    assert ada.log_in(password="Pa\u00dfwo\u0308rter, fine").status_code == 200


def test_ten_wrong_passwords_are_enough(house: House) -> None:
    ada, stranger = house.visitor(), house.visitor(place="198.51.100.1")
    ada.register()
    ada.register("bob@example.org")
    assert ada.log_in().status_code == 200
    assert {stranger.log_in(password=OTHER).status_code for _ in range(10)} == {401}
    answer = stranger.log_in()
    refused(answer, 429, "Rate Limited", "try again in 15 minutes")
    assert 800 < int(answer.headers["retry-after"]) <= 900
    assert stranger.log_in("bob@example.org").status_code == 200
    for _ in range(10):
        stranger.log_in("nobody@example.org")
    assert stranger.log_in("nobody@example.org").status_code == 429, "as for an account"
    assert ada.is_in()


def test_right_passwords_are_not_counted(house: House) -> None:
    ada = house.visitor()
    ada.register()
    assert {ada.log_in().status_code for _ in range(12)} == {200}


def test_many_attempts_at_once_are_not_free(house: House) -> None:
    visitors = [house.visitor(place=f"192.0.2.{number}") for number in range(16)]
    visitors[0].register()

    async def all_at_once() -> list[httpx.Response]:
        body = {"email": OWNER, "password": OTHER}
        return await asyncio.gather(*(each.ask("POST", "/login", body) for each in visitors))

    found = [answer.status_code for answer in house.run(all_at_once())]
    assert sorted(found) == [401] * 10 + [429] * 6


def test_a_place_has_only_so_many_attempts_too(house: House) -> None:
    stranger = house.visitor(place="2001:db8::1")
    found = [stranger.log_in(f"user{number}@example.org").status_code for number in range(101)]
    assert found == [401] * 100 + [429]
    assert house.visitor(place="2001:db8::2").log_in("x@example.org").status_code == 429, "the same customer's"
    assert house.visitor(place="2001:db8:1::1").log_in("x@example.org").status_code == 401


def test_who_logs_out_is_out(house: House) -> None:
    ada, elsewhere = house.visitor(), house.visitor()
    ada.register()
    ada.log_in()
    elsewhere.log_in()
    kept = httpx.Cookies(ada.cookies)
    answer = ada("POST", "/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not ada.cookies
    ada.cookies = kept
    assert not ada.is_in()
    assert elsewhere.is_in()
    assert house.visitor()("POST", "/logout").status_code == 204, "it is so already"


def test_a_user_sees_the_sessions_and_ends_them(house: House) -> None:
    laptop, phone = house.visitor(), house.visitor()
    laptop.register()
    for each in (laptop, phone):
        assert each.log_in().status_code == 200
    listed = laptop("GET", "/sessions")
    assert [set(each) for each in listed.json()] == [{"session_id", "created_at", "expires_at", "current"}] * 2
    for secret in (laptop.cookies[COOKIE], api_keys.digest(laptop.cookies[COOKIE])):
        assert secret not in listed.text
        assert secret[:16] not in listed.text
    (there,) = [each["session_id"] for each in listed.json() if not each["current"]]
    (here,) = [each["session_id"] for each in phone("GET", "/sessions").json() if not each["current"]]
    assert laptop("DELETE", f"/sessions/{there}").status_code == 204
    assert (laptop.is_in(), phone.is_in()) == (True, False)
    assert laptop("DELETE", f"/sessions/{there}").status_code == 404
    assert [each["session_id"] for each in laptop("GET", "/sessions").json()] == [here]
    assert (house.user().actor, "session ended") in house.actions()


def test_sessions_of_others_and_from_other_pages_stay(house: House) -> None:
    ada, grace = house.visitor(), house.visitor()
    for visitor, email in ((ada, OWNER), (grace, "grace@example.org")):
        visitor.register(email)
        assert visitor.log_in(email).status_code == 200
    (hers,) = [each["session_id"] for each in ada("GET", "/sessions").json()]
    assert grace("DELETE", f"/sessions/{hers}").status_code == 404
    assert ada("DELETE", f"/sessions/{hers}", headers={"origin": "https://evil.example"}).status_code == 403
    assert grace("GET", "/sessions").json()[0]["session_id"] != hers
    assert ada.is_in()


def test_a_session_ends_by_itself(house: House) -> None:
    ada = house.visitor()
    ada.register()
    ada.log_in()
    with house.runtime.control.writing() as connection:
        connection.execute(sa.update(t.sessions).values(expires_at=t.sessions.c.expires_at - sessions.SECONDS * 1000))
    assert not ada.is_in()


@pytest.mark.parametrize("secret", ["", "x" * 43, "x" * 4000, "a b"])
def test_a_made_up_cookie_opens_nothing(still: House, secret: str) -> None:
    ada = still.visitor()
    ada.cookies.set(COOKIE, secret)
    for method, path in (("GET", ""), ("GET", "/tokens"), ("POST", "/tokens"), ("POST", "/password")):
        refused(ada(method, path), 401, "Permission Denied", "log in first")


def test_who_is_disabled_is_out_with_every_key(house: House) -> None:
    ada = house.visitor()
    ada.register()
    ada.log_in()
    key = ada("POST", "/tokens", {"name": "k"}).json()["key_value"]
    with house.runtime.control.writing() as connection:
        users.disable(connection, house.user())
        assert api_keys.caller(connection, api_keys.digest(key)) is None
    assert not ada.is_in()
    refused(ada.log_in(), 403, "Forbidden", "disabled")
    assert ada.log_in(password=OTHER).status_code == 401, "that it is disabled is told to its owner alone"


# ── passwords ──


def test_another_password_ends_every_other_session(house: House) -> None:
    ada, elsewhere = house.visitor(), house.visitor()
    ada.register()
    ada.log_in()
    elsewhere.log_in()
    refused(ada("POST", "/password", {"old": OTHER, "new": OTHER}), 401, "Permission Denied", "old: wrong password")
    refused(ada("POST", "/password", {"old": PASSWORD, "new": "short"}), 400, "Bad Request", "new: must have")
    assert elsewhere.is_in()
    assert ada("POST", "/password", {"old": PASSWORD, "new": OTHER}).status_code == 204
    assert (ada.is_in(), elsewhere.is_in()) == (True, False)
    assert [house.visitor().log_in(password=each).status_code for each in (PASSWORD, OTHER)] == [401, 200]


def test_a_stolen_session_cannot_guess_the_password_for_long(house: House) -> None:
    ada = house.visitor()
    ada.register()
    ada.log_in()
    wrong = {"old": OTHER, "new": OTHER}
    assert [ada("POST", "/password", wrong).status_code for _ in range(11)] == [401] * 10 + [429]


def test_who_forgot_the_password_sets_a_new_one(posting: House) -> None:
    ada, elsewhere = posting.visitor(), posting.visitor()
    ada.register()
    elsewhere("POST", "/verify", {"token": posting.code(), "password": PASSWORD})
    for _ in range(10):
        ada.log_in(password=OTHER)
    assert ada.log_in().status_code == 429
    answer = ada("POST", "/forgot", {"email": OWNER})
    assert (answer.status_code, answer.json()) == (202, {"mail": True})
    token = posting.code()
    assert f"https://stt.example.org/account/reset?token={token}\n" in posting.mails()[-1].body
    refused(ada("POST", "/reset", {"token": token, "password": "short"}), 400, "Bad Request", "password")
    assert elsewhere.is_in()
    assert ada("POST", "/reset", {"token": token, "password": OTHER}).status_code == 204
    refused(ada("POST", "/reset", {"token": token, "password": OTHER}), 400, "Bad Request", "token")
    assert not elsewhere.is_in()
    assert ada.log_in(password=OTHER).status_code == 200, "and is no longer throttled"


def test_nobody_learns_who_has_an_account_by_forgetting(posting: House) -> None:
    ada = posting.visitor()
    ada.register()
    asked = [ada("POST", "/forgot", {"email": email}) for email in (OWNER, "nobody@example.org")]
    assert shape(asked[0]) == shape(asked[1])
    assert [(mail.to, mail.subject) for mail in posting.mails()[1:]] == [(OWNER, "A new password")]
    found = [ada("POST", "/forgot", {"email": "nobody@example.org"}).status_code for _ in range(5)]
    assert found == [202] * 4 + [429]


def test_a_new_password_by_mail_shows_that_the_address_is_theirs(posting: House) -> None:
    ada = posting.visitor()
    ada.register()
    ada("POST", "/forgot", {"email": OWNER})
    assert ada("POST", "/reset", {"token": posting.code(), "password": OTHER}).status_code == 204
    assert ada.log_in(password=OTHER).status_code == 200


def test_a_link_is_good_for_its_purpose_and_its_time_alone(posting: House) -> None:
    ada = posting.visitor()
    ada.register()
    token = posting.code()
    refused(ada("POST", "/reset", {"token": token, "password": OTHER}), 400, "Bad Request", "token")
    with posting.runtime.control.writing() as connection:
        connection.execute(sa.update(t.mail_links).values(expires_at=t.mail_links.c.expires_at - 86_400_000))
    refused(ada("POST", "/verify", {"token": token, "password": PASSWORD}), 400, "Bad Request", "token")


def test_without_mail_an_operator_sets_passwords(house: House) -> None:
    refused(house.visitor()("POST", "/forgot", {"email": OWNER}), 403, "Forbidden", "sottovoce users password")


# ── keys ──


def test_a_user_makes_keys_that_open_jobs_and_lists_and_deletes_them(house: House) -> None:
    ada, bob = house.visitor(), house.visitor()
    for visitor, email in ((ada, OWNER), (bob, "bob@example.org")):
        visitor.register(email)
        visitor.log_in(email)
    made = ada("POST", "/tokens", {"name": " desk "})
    assert (made.status_code, sorted(made.json())) == (201, ["apikey_id", "key_value"])
    key_id, value = made.json()["apikey_id"], made.json()["key_value"]
    caller = house.run(house.runtime.api_key_cache.caller(value))
    assert (caller.user_id, caller.workspace_id, caller.manages) == (house.user().id, house.user().workspace_id, False)
    (shown,) = ada("GET", "/tokens").json()
    assert (shown["apikey_id"], shown["name"]) == (key_id, "desk")
    assert bob("GET", "/tokens").json() == []
    with house.runtime.control.reading() as connection:
        (first, _) = api_keys.list_keys(connection)
    for visitor, other in ((bob, key_id), (ada, first.id), (ada, "0123456789abcdef"), (ada, "\u00e9")):
        refused(visitor("DELETE", f"/tokens/{other}"), 404, "Not Found", "no such key")
    answer = ada("DELETE", f"/tokens/{key_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert ada("GET", "/tokens").json() == []
    with house.runtime.control.reading() as connection:
        assert api_keys.caller(connection, api_keys.digest(value)) is None
    refused(ada("POST", "/tokens", {"name": "a\nb"}), 422, "Unprocessable Entity", "name in body")


# ── who may ask ──


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://test", 200), ("https://TEST", 200), ("https://stt.example.org", 200), ("https://evil.example", 403), ("null", 403),
        ("http://test:81", 403), ("http://test.evil.example", 403), ("http://[", 403), ("", 403), ("https://test@evil.example", 403),
    ],
)  # fmt: skip
def test_pages_of_other_origins_change_nothing(build: Build, origin: str, status: int) -> None:
    ada = (house := build(public_url="https://stt.example.org/stt")).visitor()
    ada.register()
    ada.log_in()
    headers = {"origin": origin}
    answer = ada("POST", "/login", {"email": OWNER, "password": PASSWORD}, headers=headers)
    assert answer.status_code == status, answer.text
    key_id = ada("POST", "/tokens", {"name": "k"}).json()["apikey_id"]
    before = house.everything()
    if status == 403:
        refused(ada("DELETE", f"/tokens/{key_id}", headers=headers), 403, "Forbidden", "another origin")
        for path in ("/register", "/verify", "/logout", "/password", "/forgot", "/reset", "/tokens"):
            refused(ada("POST", path, headers=headers), 403, "Forbidden", "another origin")
        assert house.everything() == before
    assert ada("GET", "", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_forms_change_nothing(still: House, kind: str) -> None:
    ada, email = still.visitor(), f"form-{kind.replace('/', '-')}@example.org"
    ada.register(email)
    ada.log_in(email)
    for path in ("/register", "/verify", "/login", "/logout", "/password", "/forgot", "/reset", "/tokens"):
        answer = ada("POST", path, content=b'{"name": "x"}', headers={"content-type": kind} if kind else {})
        refused(answer, 400, "Bad Request", "Content-Type: must be application/json")
    assert ada.is_in()
    assert ada("GET", "/tokens").json() == []


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "not valid JSON"), (b"{", 400, "not valid JSON"), (b"[]", 400, "must be a JSON object"), (b"{}", 400, "email: is required"),
        (b'{"email": 1, "password": "x"}', 400, "email: must be a text"), (b'{"email": null, "password": "x"}', 400, "email: must be a text"),
        (b'{"email": "a@b", "password": "x", "extra": 1}', 400, "allowed are email, password"),
        (b'{"email": "\\ud800", "password": "x"}', 400, "not valid JSON"), (b"[" * 4000, 400, "not valid JSON"),
        (b'"' + b"x" * 9000 + b'"', 413, "larger than 8192 bytes"), (b'{"email": "\xff", "password": "x"}', 400, "not valid JSON"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused(still: House, body: bytes, status: int, told: str) -> None:
    answer = still.visitor()(
        "POST", "/login", content=body, headers={"content-type": "application/json; charset=utf-8"}
    )
    refused(answer, status, "Bad Request", told)


# ── what is kept ──


def test_what_happened_is_kept_and_no_secret_is(posting: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ada = posting.visitor()
    ada.register()
    secrets = [PASSWORD, posting.code()]
    ada("POST", "/verify", {"token": posting.code(), "password": PASSWORD})
    secrets.append(next(iter(ada.cookies.jar)).value or "")
    ada.register()
    secrets.append(ada("POST", "/tokens", {"name": "k"}).json()["key_value"])
    ada("DELETE", f"/tokens/{ada('GET', '/tokens').json()[0]['apikey_id']}")
    ada("POST", "/password", {"old": PASSWORD, "new": OTHER})
    ada("POST", "/forgot", {"email": OWNER})
    secrets += [OTHER, posting.code()]
    ada("POST", "/logout")
    ada.log_in(password=OTHER)
    ada("POST", "/reset", {"token": posting.code(), "password": PASSWORD})
    me = f"user {posting.user().id}"
    assert posting.actions() == [
        (me, action)
        for action in (
            "account registered", "account verified", "registration repeated", "key created", "key revoked", "password changed",
            "password reset requested", "logged out", "logged in", "password reset",
        )
    ]  # fmt: skip
    told = posting.everything() + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert all(len(secret) > 8 and secret not in told for secret in secrets)
    assert OWNER not in caplog.text


def test_a_database_that_is_away_is_told_as_such(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(work: Any) -> None:
        raise sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(house.runtime.control, "write", away)
    answer = house.visitor().log_in()
    refused(answer, 503, "Job error", "is not available")
    assert answer.headers["retry-after"] == "5"

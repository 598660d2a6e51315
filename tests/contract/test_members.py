"""Members, invitations and the audit log over HTTP, on a server in this process."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.service.identity import api_keys, audit_log, users
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage import schema as t
from sottovoce.web import auth
from tests.contract.test_account import OTHER, PASSWORD, SMTP, Build, House, Visitor, opened, refused

pytestmark = pytest.mark.system

ADA = "ada@example.org"
BOB = "bob@example.org"
HOSTILE = "<img src=x onerror=alert(1)>"
FROM_PAGE: dict[str, Any] = {"headers": {auth.PORTAL_HEADER: "1"}}
COOKIES = [name("eu1") for name in (auth.cookie, auth.live_cookie, auth.manage_cookie)]


@pytest.fixture
def build(tmp_path: Any) -> Iterator[Build]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def house(build: Build) -> House:
    """Without a mail server."""
    return build()


def signed_in(house: House, email: str = ADA) -> Visitor:
    """A person with an account and a workspace of their own."""
    visitor = house.visitor()
    assert visitor.register(email).status_code == 202
    assert visitor.log_in(email).status_code == 200
    return visitor


def joined(house: House, admin: Visitor, email: str = BOB, role: str | None = None) -> Visitor:
    """A person whom *admin* invited, and who accepted."""
    body = {"email": email} if role is None else {"email": email, "role": role}
    made = admin("POST", "/members", body)
    assert made.status_code == 201, made.text
    visitor = house.visitor()
    answer = visitor("POST", "/join", {"token": made.json()["token"], "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return visitor


def change(visitor: Visitor, user_id: int | str, **body: Any) -> httpx.Response:
    return visitor("PATCH", f"/members/{user_id}", json=body)


def shown(visitor: Visitor) -> dict[str, tuple[str, str]]:
    """Role and state of each member by address."""
    found = visitor("GET", "/members")
    assert found.status_code == 200, found.text
    return {each["email"]: (each["role"], each["state"]) for each in found.json()["members"]}


# ── inviting and joining ──


def test_without_mail_an_admin_hands_over_a_token_once(house: House) -> None:
    ada = signed_in(house)
    made = ada("POST", "/members", {"email": " Bob@Example.org"})
    assert made.status_code == 201
    body = made.json()
    assert (body["mail"], body["invitation"]["email"], body["invitation"]["role"]) == (False, BOB, "member")
    assert body["token"] not in house.everything()
    listed = ada("GET", "/members").json()
    assert listed["invitations"] == [body["invitation"]]
    assert shown(ada) == {ADA: ("admin", "active")}
    bob = house.visitor()
    page = bob("GET", "/join", params={"token": body["token"]})
    assert (page.status_code, body["token"] in page.text) == (200, False)
    accept = {"token": body["token"], "password": PASSWORD}
    refused(bob("POST", "/join", {**accept, "password": "short"}), 400, "Bad Request", "password: must have 10")
    assert bob("POST", "/join", accept).json() == {"user_id": house.user(BOB).id, "email": BOB}
    assert bob("GET", "").json()["role"] == "member"
    refused(house.visitor()("POST", "/join", accept), 400, "Bad Request", "token: the invitation was used")
    assert shown(ada) == {ADA: ("admin", "active"), BOB: ("member", "active")}
    assert ada("GET", "/members").json()["invitations"] == []
    assert house.visitor().log_in(BOB).status_code == 200
    me, him = house.user().actor, house.user(BOB).actor
    assert {(me, "member invited"), (him, "member joined")} <= set(house.actions())


def test_with_mail_the_token_goes_to_the_address_only(build: Build) -> None:
    house = build(**SMTP, public_url="https://stt.example.org/")
    ada = house.visitor()
    ada.register()
    ada("POST", "/verify", {"token": house.code(), "password": PASSWORD})
    made = ada("POST", "/members", {"email": BOB, "role": "admin"})
    assert (made.status_code, made.json()["mail"]) == (201, True)
    assert "token" not in made.json()
    assert house.mails()[-1].to == BOB
    assert f"https://stt.example.org/account/join?token={house.code()}\n" in house.mails()[-1].body
    bob = house.visitor()
    assert bob("POST", "/join", {"token": house.code(), "password": PASSWORD}).status_code == 200
    assert (bob("GET", "").json()["role"], bob("GET", "").json()["verified"]) == ("admin", True)


def test_with_mail_an_admin_cannot_find_out_who_has_an_account(build: Build) -> None:
    house = build(**SMTP)
    ada, eve = house.visitor(), house.visitor()
    for visitor, email in ((ada, ADA), (eve, "eve@example.org")):
        visitor.register(email)
        visitor("POST", "/verify", {"token": house.code(), "password": PASSWORD})
    answers = [ada("POST", "/members", {"email": email}) for email in ("eve@example.org", "new@example.org")]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({re.sub(r"\d+|eve|new", "", answer.text) for answer in answers}) == 1
    assert len(ada("GET", "/members").json()["invitations"]) == 2
    assert "has an account already" in house.mails()[-2].body
    assert "code" not in house.mails()[-2].body


def test_a_stranger_who_registered_the_invited_address_is_not_in_the_way(build: Build) -> None:
    house = build(**SMTP)
    ada, stranger, bob = house.visitor(), house.visitor(), house.visitor()
    ada.register()
    ada("POST", "/verify", {"token": house.code(), "password": PASSWORD})
    ada("POST", "/members", {"email": BOB})
    token = house.code()
    stranger.register(BOB, OTHER)
    assert bob("POST", "/join", {"token": token, "password": PASSWORD}).status_code == 200
    assert house.user(BOB).workspace_id == house.user().workspace_id
    assert stranger.log_in(BOB, OTHER).status_code == 401


def test_addresses_that_cannot_be_invited(house: House) -> None:
    ada = signed_in(house)
    signed_in(house, "eve@example.org")
    joined(house, ada)
    refused(ada("POST", "/members", {"email": BOB}), 400, "Bad Request", "email: this address belongs to a member")
    taken = ada("POST", "/members", {"email": "eve@example.org"})
    refused(taken, 400, "Bad Request", "email: this address has an account already")
    refused(ada("POST", "/members", {"email": HOSTILE}), 400, "Bad Request", "email: must be an e-mail address")
    refused(ada("POST", "/members", {"email": "x@y.z", "role": "king"}), 400, "Bad Request", "role: must be one of")
    refused(ada("POST", "/members", {"email": "x@y.z", "admin": True}), 400, "Bad Request", "unknown member")


def test_a_newer_invitation_replaces_the_older_and_one_can_be_withdrawn(house: House) -> None:
    ada = signed_in(house)
    first, second = (ada("POST", "/members", {"email": BOB}).json() for _ in range(2))
    accept = {"token": first["token"], "password": PASSWORD}
    refused(house.visitor()("POST", "/join", accept), 400, "Bad Request", "token")
    (listed,) = ada("GET", "/members").json()["invitations"]
    assert listed == second["invitation"]
    stranger = signed_in(house, "eve@example.org")
    path = f"/invitations/{listed['invitation_id']}"
    refused(stranger("DELETE", path), 404, "Not Found")
    assert ada("DELETE", path).status_code == 204
    refused(ada("DELETE", path), 404, "Not Found")
    refused(house.visitor()("POST", "/join", {**accept, "token": second["token"]}), 400, "Bad Request", "token")
    assert house.actions()[-1][1] == "invitation withdrawn"


def test_an_invitation_expires_and_five_an_hour_are_enough(house: House) -> None:
    ada = signed_in(house)
    answers = [ada("POST", "/members", {"email": BOB}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    with house.runtime.control.writing() as connection:
        connection.execute(sa.update(t.invitations).values(expires_at=1))
    accept = {"token": answers[4].json()["token"], "password": PASSWORD}
    refused(house.visitor()("POST", "/join", accept), 400, "Bad Request", "has expired")
    assert ada("GET", "/members").json()["invitations"] == []


# ── roles ──


def test_a_member_reads_the_members_and_changes_nothing(house: House) -> None:
    ada = signed_in(house)
    bob = joined(house, ada)
    ada("POST", "/members", {"email": "new@example.org"})
    mine, theirs = house.user(BOB).id, house.user().id
    assert shown(bob) == {ADA: ("admin", "active"), BOB: ("member", "active")}
    listed = bob("GET", "/members").json()
    assert (listed["user_id"], listed["role"], listed["invitations"]) == (mine, "member", [])
    before = house.everything()
    told = "only an admin of the workspace may do this"
    for answer in (
        bob("POST", "/members", {"email": "x@example.org"}),
        change(bob, mine, role="admin"),
        change(bob, theirs, role="member"),
        bob("DELETE", f"/members/{theirs}"),
        bob("DELETE", "/invitations/1"),
        bob("GET", "/audit"),
    ):
        refused(answer, 403, "Forbidden", told)
    assert house.everything() == before
    made = bob("POST", "/tokens", {"name": "own"})
    assert made.status_code == 201, "own keys are a member's right"


def test_an_admin_changes_roles_and_ends_access(house: House) -> None:
    ada = signed_in(house)
    bob = joined(house, ada)
    him = house.user(BOB).id
    refused(change(ada, him), 400, "Bad Request", "nothing would change")
    refused(change(ada, him, role="king"), 400, "Bad Request", "role: must be one of")
    refused(change(ada, him, disabled="yes"), 400, "Bad Request", "disabled: must be true or false")
    assert change(ada, him, role="admin").json()["role"] == "admin"
    assert bob("GET", "/audit").status_code == 200
    assert change(ada, him, role="member").json()["role"] == "member"
    assert bob("GET", "/audit").status_code == 403
    assert ada("DELETE", f"/members/{him}").status_code == 204
    assert not bob.is_in()
    assert shown(ada)[BOB] == ("member", "disabled")
    refused(bob.log_in(BOB), 403, "Forbidden", "disabled")
    assert change(ada, him, disabled=False).json()["state"] == "active"
    assert bob.log_in(BOB).status_code == 200
    actions = [action for actor, action in house.actions() if actor == house.user().actor]
    assert actions[-4:] == ["role changed", "role changed", "member disabled", "member enabled"]


def test_the_last_admin_stays_also_when_two_requests_come_at_once(house: House) -> None:
    ada = signed_in(house)
    bob = joined(house, ada, role="admin")
    mine, his = house.user().id, house.user(BOB).id

    async def both() -> list[int]:
        asked = (
            ada.ask("PATCH", f"/members/{his}", json={"role": "member"}),
            bob.ask("PATCH", f"/members/{mine}", json={"role": "member"}),
        )
        return sorted(answer.status_code for answer in await asyncio.gather(*asked))

    assert house.run(both()) == [200, 403]
    (admin,) = [email for email, (role, _) in shown(ada).items() if role == "admin"]
    last, his_id = (ada, mine) if admin == ADA else (bob, his)
    told = "this is the last admin of the workspace"
    refused(change(last, his_id, role="member"), 403, "Forbidden", told)
    refused(change(last, his_id, disabled=True), 403, "Forbidden", told)
    refused(last("DELETE", f"/members/{his_id}"), 403, "Forbidden", told)


def test_another_workspace_sees_and_changes_nothing(house: House) -> None:
    ada, eve = signed_in(house), signed_in(house, "eve@example.org")
    joined(house, ada)
    ada("POST", "/members", {"email": "new@example.org"})
    with house.runtime.control.reading() as connection:
        (invitation,) = connection.execute(sa.select(t.invitations.c.id)).scalars()
    before = house.everything()
    assert shown(eve) == {"eve@example.org": ("admin", "active")}
    assert eve("GET", "/members").json()["invitations"] == []
    for user_id in (house.user().id, house.user(BOB).id, 1, 9999, "x", "1" * 30):
        refused(change(eve, user_id, role="member"), 404, "Not Found", "no such member")
        refused(eve("DELETE", f"/members/{user_id}"), 404, "Not Found", "no such member")
    refused(eve("DELETE", f"/invitations/{invitation}"), 404, "Not Found", "no such invitation")
    theirs = {entry["target"] for entry in eve("GET", "/audit").json()["entries"]}
    assert theirs == {str(house.user("eve@example.org").id)}
    assert house.everything() == before


def test_without_a_session_and_from_other_pages_nothing_opens(house: House) -> None:
    ada = signed_in(house)
    stranger = house.visitor()
    for method, path in (("GET", "/members"), ("GET", "/audit"), ("PATCH", "/members/1"), ("DELETE", "/members/1")):
        body = {"json": {"role": "member"}} if method == "PATCH" else {}
        refused(stranger(method, path, **body), 401, "Permission Denied")
    elsewhere = {"origin": "https://evil.example.org"}
    mine = house.user().id
    assert ada("DELETE", f"/members/{mine}", headers=elsewhere).status_code == 403
    assert change(ada, mine, role="member").status_code == 403
    plain = {"content": '{"role": "member"}', "headers": {"content-type": "text/plain"}}
    refused(ada("PATCH", f"/members/{mine}", **plain), 400, "Bad Request", "Content-Type")


# ── managing keys ──


def bearer(secret: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {secret}"}}


def test_a_managing_key_acts_as_an_admin_of_its_workspace(house: House) -> None:
    program = house.visitor()
    made = program("POST", "/members", {"email": BOB}, **bearer("the-first-key"))
    assert made.status_code == 201
    listed = program("GET", "/members", **bearer("the-first-key")).json()
    assert (listed["user_id"], listed["role"], len(listed["invitations"])) == (1, "admin", 1)
    (entry, *_) = program("GET", "/audit", **bearer("the-first-key")).json()["entries"]
    with house.runtime.control.reading() as connection:
        (first,) = api_keys.list_keys(connection)
    assert (entry["actor"], entry["action"]) == (first.id, "member invited")


def test_other_keys_open_nothing(house: House) -> None:
    program = house.visitor()
    with house.runtime.control.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="plain", secret="a-plain-key")
        bob = users.add(connection, email=BOB, password_hash=None, verified=True, workspace_id=1, role=Role.ADMIN)
        api_keys.create_key(connection, project_id=1, user_id=bob.id, name="", secret="bobs-key", manages=True)
    refused(program("GET", "/members", **bearer("a-plain-key")), 403, "Forbidden", "not a managing key")
    refused(program("GET", "/members", **bearer("unknown-key")), 401, "Permission Denied")
    answer = house.run(temporary(house))
    refused(program("GET", "/members", **bearer(answer.json()["key_value"])), 403, "Forbidden", "temporary key")
    assert program("GET", "/audit", **bearer("bobs-key")).status_code == 200
    with house.runtime.control.writing() as connection:
        users.set_role(connection, bob, Role.MEMBER)
    house.runtime.api_key_cache._callers._answers.clear()  # else a key is remembered for two seconds
    refused(program("GET", "/audit", **bearer("bobs-key")), 403, "Forbidden", "not a managing key")


async def temporary(house: House, kind: str = "batch") -> httpx.Response:
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post(f"/v1/api-keys?type={kind}", json={"ttl": 60}, **bearer("the-first-key"))


async def portal(house: House, visitor: Visitor, key: str) -> httpx.Response:
    """Sign in to the portal with *key*."""
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=visitor.cookies) as client:
        answer = await client.post("/portal/session", json={"api_key": key})
        visitor.cookies = client.cookies
        return answer


def test_a_person_who_signed_in_with_a_managing_key_acts_as_an_admin(house: House) -> None:
    visitor = house.visitor()
    answer = house.run(portal(house, visitor, "the-first-key"))
    assert [each.partition("=")[0] for each in answer.headers.get_list("set-cookie")] == COOKIES
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in answer.headers.get_list("set-cookie"))
    assert visitor("GET", "/members", **FROM_PAGE).json()["role"] == "admin"
    assert visitor("GET", "/audit", **FROM_PAGE).status_code == 200
    for method, path in (("GET", "/members"), ("GET", "/audit"), ("POST", "/members")):
        assert visitor(method, path).status_code == 401, "another page cannot send the header"
    assert visitor("POST", "/members", {"email": BOB}, **FROM_PAGE).status_code == 201
    token = visitor.cookies[COOKIES[2]]
    refused(house.visitor()("GET", "/members", **bearer(token)), 401, "Permission Denied", "cookie of the portal")
    assert house.run(temporary(house, "manage")).status_code == 422, "no call issues such a key"
    with house.runtime.control.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="plain", secret="a-plain-key")
    house.run(portal(house, visitor, "a-plain-key"))
    refused(visitor("GET", "/members", **FROM_PAGE), 403, "Forbidden", "not a managing key")
    visitor.register()
    visitor.log_in()
    assert visitor("GET", "/members", **FROM_PAGE).json()["user_id"] == house.user().id, "a session comes before that"


# ── the audit log ──


def test_the_audit_log_is_read_page_by_page_newest_first(house: House) -> None:
    ada = signed_in(house)
    workspace = house.user().workspace_id
    with house.runtime.control.writing() as connection:
        for number in range(120):
            audit_log.record(
                connection,
                audit_log.Entry(
                    actor=audit_log.OPERATOR, action="key created", target=str(number), workspace_id=workspace
                ),
            )
            audit_log.record(connection, audit_log.Entry(actor="x", action="theirs", target="y", workspace_id=1))
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 50}
    while query.get("before") is not None or not seen:
        page = ada("GET", "/audit", params=query).json()
        seen += page["entries"]
        query["before"] = page["next"]
    assert [entry["target"] for entry in seen[:120]] == [str(number) for number in reversed(range(120))]
    assert {entry["action"] for entry in seen} == {"key created", "logged in", "account registered"}
    assert [entry["id"] for entry in seen] == sorted((entry["id"] for entry in seen), reverse=True)
    assert set(seen[0]) == {"id", "at", "actor", "action", "target", "details"}
    assert len(ada("GET", "/audit").json()["entries"]) == 50
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"before": 0}, {"before": -1}):
        assert ada("GET", "/audit", params=wrong).status_code == 422, wrong

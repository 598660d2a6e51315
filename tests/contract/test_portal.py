"""The portal's pages, files and cookie, and the pages of docs/, on a server in this process."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from sottovoce import bootstrap
from sottovoce.service.identity import api_keys, projects, users
from sottovoce.service.identity.api_keys import Product
from sottovoce.service.identity.temporary_keys import TokenIssuer
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.runtime import Runtime
from sottovoce.settings import load
from sottovoce.web import app, auth
from sottovoce.web.docs import guides
from sottovoce.web.portal import assets, sign_in
from sottovoce.web.portal.sign_in import KEY_NAME
from tests import databases

pytestmark = pytest.mark.system

T = TypeVar("T")
KEY = "the-first-key"
OWNER = {"email": "ada@example.org", "password": "correct horse battery"}
COOKIE = auth.cookie("eu1")
PAGES = (
    "/portal/keys",
    "/portal/usage",
    "/portal/account",
    "/portal/sign-in",
    "/docs",
    "/docs/README",
    "/docs/decisions/0001-ids-and-time",
)
CHEAP_HASHES = {"password_memory_kib": 32, "unsafe_password_hashes": True}


class Visitor:
    """A browser without scripts: it keeps cookies."""

    def __init__(self, application: Any, runner: asyncio.Runner) -> None:
        self._app = application
        self._runner = runner
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=self.cookies) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return self._runner.run(ask())

    def sign_in(self, key: str = KEY) -> httpx.Response:
        return self("POST", "/portal/session", json={"api_key": key})


class House:
    """A server in this process."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        made = load(data_dir=folder, roles=("api",), api_key=KEY, registration="open", **CHEAP_HASHES)
        databases.make_embedded(folder)
        self.runtime = Runtime(replace(bootstrap.plan(made), inspectors=0))
        self.runtime.start()
        self.routes = app.routes(made, self.runtime)
        self._app = app.create_app(made, self.runtime)
        self._runner = runner

    def visitor(self) -> Visitor:
        return Visitor(self._app, self._runner)

    def run(self, work: Awaitable[T]) -> T:
        """*work*, on the loop of the server."""

        async def done() -> T:
            return await work

        return self._runner.run(done())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with asyncio.Runner() as runner:
        found = House(tmp_path_factory.mktemp("portal"), runner)
        yield found
        found.runtime.close()


@pytest.fixture
def visitor(house: House) -> Visitor:
    return house.visitor()


class Parts(HTMLParser):
    """What a page loads and links to, its inline scripts, and its attributes that hold script or style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.forbidden: list[str] = []
        self.ids: set[str] = set()
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := named.get(name))]
        self.forbidden += [name for name in named if name.startswith("on") or name == "style"] + [tag] * (
            tag == "style"
        )
        self.ids |= {value for name, value in attrs if name == "id" and value}
        self._script = tag == "script" and "src" not in named

    def handle_endtag(self, tag: str) -> None:
        self._script = self._script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.inline.append(data)


# ── pages ──


def pages(visitor: Visitor) -> list[httpx.Response]:
    visitor.sign_in()
    return [visitor("GET", path) for path in ("/", "/portal/jobs/0123456789", *PAGES)]


def test_every_page_has_the_strict_policy(visitor: Visitor) -> None:
    for answer in pages(visitor):
        assert answer.status_code == 200, answer.url
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert (policy["object-src"], policy["base-uri"], policy["frame-ancestors"]) == ("'none'",) * 3
        assert policy["require-trusted-types-for"] == "'script'"
        assert not re.search(r"unsafe|\*|http|data:", answer.headers["content-security-policy"])
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_loads_only_files_of_this_server_and_no_inline_script_but_the_import_map(visitor: Visitor) -> None:
    for answer in pages(visitor):
        parts = Parts(answer.text)
        assert parts.forbidden == [], answer.url
        for script in parts.inline:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
        own = [address for address in parts.addresses if address.startswith("/portal/static/")]
        assert own
        for address in own:
            assert visitor("GET", address).status_code == 200, address


def test_without_a_cookie_the_page_leads_to_the_sign_in(visitor: Visitor) -> None:
    assert visitor("GET", "/").headers["location"] == "/portal/sign-in"
    assert visitor("GET", "/portal/jobs/0123456789").headers["location"] == "/portal/sign-in?to=/portal/jobs/0123456789"
    assert visitor("GET", "/portal/jobs/a.b").status_code == 404
    for page in ("/portal/keys", "/portal/usage", "/portal/account"):
        assert visitor("GET", page).headers["location"] == f"/portal/sign-in?to={page}"


def test_the_first_visit_is_explained_and_accounts_come_first_where_there_are_some(
    house: House, visitor: Visitor
) -> None:
    text = visitor("GET", "/portal/sign-in").text
    assert "make run" in text
    assert "sottovoce users add" in text
    with house.runtime.control.reading() as connection:
        some = users.any_can_log_in(connection)
    assert (text.index('id="account"') < text.index('id="key"')) == some


# ── static files ──


def test_files_are_kept_by_browsers_only_under_their_digest(visitor: Visitor) -> None:
    found = assets.assets()
    answer = visitor("GET", found.url("app/top-bar.js"))
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    other = visitor("GET", "/portal/static/0123456789abcdef/app/top-bar.js")
    assert other.content == answer.content
    assert other.headers["cache-control"] == "no-cache"
    for path in ("app/nothing.js", "../assets.py", "%2e%2e/assets.py", "vendor/vendor.lock"):
        assert visitor("GET", f"/portal/static/{found.digest}/{path}").status_code == 404


def test_vendored_files_are_those_of_the_lock() -> None:
    vendor = assets.STATIC / "vendor"
    lines = [line.split() for line in (vendor / "vendor.lock").read_text().splitlines() if not line.startswith("#")]
    locked = {path: digest for digest, path, _, _ in lines}
    there = {path.relative_to(vendor).as_posix(): path for path in vendor.rglob("*") if path.is_file()}
    del there["vendor.lock"]
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == locked
    assert any(name.endswith("LICENSE") for name in there)


def test_own_modules_set_text_only_and_ask_this_server_only() -> None:
    for path in (assets.STATIC / "app").rglob("*.js"):
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafeHTML|\beval\b|new Function", text
        ), path
        for address in re.findall(r"""["'`](?:https?:)?//[^"'`]*""", text):
            assert "example.org" in address, (path, address)


def test_the_scripts_of_a_page_stay_small() -> None:
    import gzip

    files = assets.assets().files
    lit = [name for name in files if name.startswith("vendor/lit/")]

    def size(*names: str) -> int:
        return sum(len(gzip.compress(files[name], mtime=0)) for name in (*lit, *names))

    common = ("app/top-bar.js", "app/lib/api.js", "app/lib/format.js")
    jobs = size(
        *common,
        "app/upload-form.js",
        "app/job-table.js",
        "app/code-sample.js",
        "app/lib/samples.js",
        "app/lib/literals.js",
    )
    job = size(
        *common,
        "app/job-page.js",
        "app/transcript-view.js",
        "app/speaker-names.js",
        "app/wave-form.js",
        "app/delivery-log.js",
        "app/lib/peaks.js",
        "app/lib/picture.js",
        "app/analysis.js",
        "app/lib/transcript.js",
    )
    assert jobs <= 20 * 1024
    sample = (*common, "app/code-sample.js", *(f"app/lib/{name}.js" for name in ("literals", "programs")))
    for names in (
        ("keys-page", "key-list", "project-list", "new-secret"),
        ("usage-page", "bar-chart", "lib/usage", "lib/csv"),
        ("account-page",),
    ):
        assert size(*sample, *(f"app/{name}.js" for name in names)) <= 21 * 1024, names
    live = size(
        *common, "app/live-captions.js", *(f"app/lib/{name}.js" for name in ("captions", "live-session", "sound")),
        *(name for name in files if name.endswith(("js", "mjs")) and name.startswith(("vendor/real-time", "vendor/typescript"))),
    )  # fmt: skip
    assert live <= 40 * 1024
    assert job <= 60 * 1024


# ── the cookie ──


def test_a_key_opens_the_jobs_api_by_a_cookie_that_scripts_cannot_read(visitor: Visitor) -> None:
    answer = visitor.sign_in()
    assert answer.status_code == 204
    cookies = answer.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in cookies] == [COOKIE, f"{COOKIE}_live", f"{COOKIE}_manage"]
    for set_cookie in cookies:
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in set_cookie.split(";")}
        assert KEY not in set_cookie
    assert visitor("GET", "/v2/jobs").json() == {"jobs": []}
    assert visitor("DELETE", "/portal/session").status_code == 204
    assert visitor("GET", "/v2/jobs").status_code == 401


@pytest.mark.parametrize("key", ["", "unknown", "x" * 900, "ключ"])
def test_a_wrong_key_gets_no_cookie(visitor: Visitor, key: str) -> None:
    answer = visitor.sign_in(key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_the_cookie_changes_nothing_without_the_header_of_the_page(visitor: Visitor) -> None:
    visitor.sign_in()
    unknown = "/v2/jobs/0123456789"
    assert visitor("DELETE", unknown).status_code == 401
    assert visitor("POST", "/v2/jobs", files={"config": (None, "{}")}).status_code == 401
    assert visitor("DELETE", unknown, headers={auth.PORTAL_HEADER: "1"}).status_code == 404
    preflight = visitor("OPTIONS", unknown, headers={"origin": "https://example.org"})
    assert auth.PORTAL_HEADER not in preflight.headers["access-control-allow-headers"].lower(), (
        "other pages could send it"
    )


FROM_PAGE = {auth.PORTAL_HEADER: "1"}


def test_a_cookie_of_a_managing_key_opens_keys_and_projects_to_the_page_alone(visitor: Visitor) -> None:
    visitor.sign_in()
    assert visitor("GET", "/portal/session").json()["manages"] is True
    for path in ("/v1/api-keys", "/v1/api_keys", "/v1/projects"):
        assert visitor("GET", path, headers=FROM_PAGE).status_code == 200
        assert visitor("GET", path).status_code in {401, 403}, "another page cannot send the header"
    made = visitor("POST", "/v1/api-keys", json={"name": "made by the page"}, headers=FROM_PAGE).json()
    assert visitor("DELETE", f"/v1/api-keys/{made['apikey_id']}").status_code == 403
    assert visitor("DELETE", f"/v1/api-keys/{made['apikey_id']}", headers=FROM_PAGE).status_code == 200
    bearer = {"authorization": f"Bearer {visitor.cookies[f'{COOKIE}_manage']}"}
    assert visitor("GET", "/v2/jobs", headers=bearer).status_code == 401, "the cookie is for this browser"
    assert visitor.sign_in(visitor.cookies[f"{COOKIE}_manage"]).status_code == 403


def test_the_cookie_manages_no_more_than_its_key(house: House, visitor: Visitor) -> None:
    with house.runtime.control.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="plain", secret="a-key-that-does-not-manage")
        managing = api_keys.create_key(connection, project_id=1, name="boss", secret="a-key-that-goes", manages=True)
    visitor.sign_in("a-key-that-does-not-manage")
    assert visitor("GET", "/portal/session").json()["manages"] is False
    answer = visitor("POST", "/v1/projects", json={"name": "x"}, headers=FROM_PAGE)
    assert (answer.status_code, "not a managing key" in answer.text) == (403, True)
    temporary = visitor("POST", "/v1/api-keys?type=rt", json={"ttl": 60}, headers=FROM_PAGE)
    assert temporary.status_code == 201
    visitor.sign_in("a-key-that-goes")
    assert visitor("GET", "/v1/projects", headers=FROM_PAGE).status_code == 200
    with house.runtime.control.writing() as connection:
        api_keys.revoke_key(connection, managing.id)
    house.runtime.api_key_cache._callers._answers.clear()  # it checks again after two seconds
    assert visitor("GET", "/v1/projects", headers=FROM_PAGE).status_code == 401


def test_an_admin_manages_in_the_portal_while_the_session_lasts(house: House) -> None:
    visitor, admin = house.visitor(), {**OWNER, "email": "admin@example.org"}
    visitor("POST", "/account/register", json=admin)
    visitor("POST", "/account/login", json=admin)
    visitor("POST", "/portal/session", json={})
    assert visitor("GET", "/portal/session").json()["admin"] is True
    made = visitor("POST", "/v1/projects", json={"name": "of the admin"}, headers=FROM_PAGE)
    assert made.status_code == 201
    project = made.json()["project_id"]
    asked = {"name": "x", "project_id": project}
    key = visitor("POST", "/v1/api-keys", json=asked, headers=FROM_PAGE).json()["key_value"]
    program = {"authorization": f"Bearer {key}"}
    assert visitor("GET", "/v2/jobs", headers=program).status_code == 200
    assert visitor("GET", "/v1/projects", headers=program).status_code == 403, "the key itself manages nothing"
    assert (
        visitor("POST", "/v1/api-keys", json={"ttl": 60, "project_id": project}, headers=FROM_PAGE).status_code == 404
    )
    assert visitor("POST", "/v1/api-keys", json={"ttl": 60}, headers=FROM_PAGE).status_code == 201
    assert visitor("GET", "/v1/projects").status_code == 401, "another page cannot send the header"
    with house.runtime.control.writing() as connection:
        user = users.find(connection, admin["email"])
        assert user
        users.set_role(connection, user, Role.MEMBER)
    assert visitor("GET", "/v1/projects", headers=FROM_PAGE).status_code == 403
    assert visitor("GET", "/portal/session").json()["admin"] is False
    with house.runtime.control.writing() as connection:
        users.set_role(connection, user, Role.ADMIN)
    assert visitor("GET", "/v1/projects", headers=FROM_PAGE).status_code == 200
    visitor("POST", "/account/logout", json={})
    assert visitor("GET", "/v1/projects", headers=FROM_PAGE).status_code == 403


def test_a_temporary_key_manages_nothing_in_the_portal(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.sign_in(visitor.cookies[COOKIE])
    assert visitor.cookies.get(f"{COOKIE}_manage") is None
    assert visitor("GET", "/portal/session").json()["manages"] is None
    assert visitor("POST", "/v1/api-keys", json={"ttl": 60}, headers=FROM_PAGE).status_code == 403


def test_the_page_of_keys_tells_if_notifications_are_signed(visitor: Visitor) -> None:
    visitor.sign_in()
    assert "does not sign its notifications" in visitor("GET", "/portal/keys").text


def test_the_cookie_for_jobs_opens_nothing_else(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.cookies.delete(f"{COOKIE}_manage")
    headers = FROM_PAGE
    assert visitor("GET", "/v1/api-keys", headers=headers).status_code == 403
    assert visitor("POST", "/v1/api-keys", json={"name": "x", "ttl": 60}, headers=headers).status_code == 403
    assert visitor("GET", "/v1/models", headers=headers).status_code in {401, 404}
    assert visitor("GET", "/account", headers=headers).status_code == 401


def test_a_page_of_another_origin_cannot_sign_in_or_out(visitor: Visitor) -> None:
    elsewhere = {"origin": "https://evil.example.org"}
    assert visitor("POST", "/portal/session", json={"api_key": KEY}, headers=elsewhere).status_code == 403
    assert visitor("DELETE", "/portal/session", headers=elsewhere).status_code == 403
    form = visitor("POST", "/portal/session", content="{}", headers={"content-type": "text/plain"})
    assert form.status_code == 400


def test_a_key_with_a_client_ref_sees_only_its_own_jobs(house: House, visitor: Visitor) -> None:
    with house.runtime.control.writing() as connection:
        api_keys.create_key(connection, project_id=1, name="shop", secret="the-key-of-a-shop", client_ref="shop 1")
    visitor.sign_in("the-key-of-a-shop")
    caller = house.visitor()  # an answer that only a key without client_ref gets
    caller.sign_in()
    assert caller("GET", "/v2/usage").status_code == 200
    assert visitor("GET", "/v2/usage").status_code == 403


def test_an_account_acts_through_a_key_that_it_can_revoke(house: House) -> None:
    visitor = house.visitor()
    assert visitor("POST", "/portal/session", json={}).status_code == 401
    assert visitor("POST", "/account/register", json=OWNER).status_code == 202
    assert visitor("POST", "/account/login", json=OWNER).status_code == 200
    for _ in range(2):  # the second time renews the cookie
        assert visitor("POST", "/portal/session", json={}).status_code == 204
    assert visitor("GET", "/v2/jobs").json() == {"jobs": []}
    (key,) = visitor("GET", "/account/tokens").json()
    assert key["name"] == KEY_NAME
    assert visitor("DELETE", f"/account/tokens/{key['apikey_id']}").status_code == 204
    house.runtime.api_key_cache._callers._answers.clear()  # it checks again after two seconds
    assert visitor("GET", "/v2/jobs").status_code == 401


def test_an_account_switches_between_the_projects_of_its_workspace(house: House) -> None:
    visitor = house.visitor()
    owner = {**OWNER, "email": "grace@example.org"}
    assert visitor("GET", "/portal/session").status_code == 401
    visitor("POST", "/account/register", json=owner)
    visitor("POST", "/account/login", json=owner)
    visitor("POST", "/portal/session", json={})
    first = visitor("GET", "/portal/session").json()
    with house.runtime.control.writing() as connection:
        user = users.find(connection, owner["email"])
        second = projects.create(connection, user.workspace_id, "Interviews").id
    chosen = visitor("POST", "/portal/session", json={"project_id": second})
    assert chosen.status_code == 204
    assert visitor("POST", "/portal/session", json={}).status_code == 204, "a renewal keeps the project"
    shown = visitor("GET", "/portal/session").json()
    assert shown["project_id"] == second != first["project_id"]
    assert [each["name"] for each in shown["projects"]][-1] == "Interviews"
    assert visitor("GET", "/v2/jobs").json() == {"jobs": []}
    assert visitor("POST", "/portal/session", json={"project_id": 1}).status_code == 404, "of another workspace"
    assert visitor("GET", "/portal/session").json()["project_id"] == second


DAY = 86_400


def signed_in(house: House, *, began: int, renewed: int, secret: str = KEY) -> Visitor:
    """A person who gave the key *began* seconds ago, and whose cookies were renewed *renewed* seconds ago."""
    visitor = house.visitor()
    visitor.sign_in(secret)
    caller = house.run(house.runtime.api_key_cache.caller(secret))
    assert caller
    now = int(time.time())
    issuer = TokenIssuer(house.runtime.control, house.runtime.encryptor, "eu1", lambda: now - renewed)
    products = {COOKIE: Product.BATCH, auth.live_cookie("eu1"): Product.RT, auth.manage_cookie("eu1"): Product.MANAGE}
    for cookie in visitor.cookies.jar:
        cookie.value = house.run(sign_in.issue(issuer, caller, products[cookie.name], DAY, since=now - began))
    return visitor


def test_a_sign_in_with_a_key_is_renewed_while_the_person_works(house: House) -> None:
    visitor = signed_in(house, began=13 * DAY - 3600, renewed=DAY - 3600)
    shown = visitor("GET", "/portal/session").json()
    assert (shown["renewable"], shown["account"]) == (True, False)
    assert shown["expires_in"] == pytest.approx(3600, abs=30)
    answer = visitor("POST", "/portal/session", json={})
    assert answer.status_code == 204
    assert len(answer.headers.get_list("set-cookie")) == 3, "those for live captions and for keys, too"
    assert visitor("GET", "/portal/session").json()["manages"] is True
    shown = visitor("GET", "/portal/session").json()
    assert shown["lifetime"] == DAY
    assert shown["expires_in"] == pytest.approx(DAY, abs=30)
    assert visitor("GET", "/v2/jobs").status_code == 200


def test_the_key_for_jobs_is_not_renewed_into_one_that_manages(house: House) -> None:
    visitor = signed_in(house, began=3600, renewed=3600)
    visitor.cookies.delete(auth.manage_cookie("eu1"))
    assert visitor("POST", "/portal/session", json={}).status_code == 204
    assert not visitor.cookies.get(auth.manage_cookie("eu1"))
    assert visitor("GET", "/portal/session").json()["manages"] is None


def test_a_sign_in_with_a_key_ends_after_fourteen_days(house: House) -> None:
    visitor = signed_in(house, began=14 * DAY - 600, renewed=3600)
    assert visitor("POST", "/portal/session", json={}).status_code == 204
    for _ in range(2):  # a renewal keeps the time of the sign-in
        assert visitor("POST", "/portal/session", json={}).status_code == 204
        assert visitor("GET", "/portal/session").json()["lifetime"] <= 600
    answer = signed_in(house, began=14 * DAY - 30, renewed=3600)("POST", "/portal/session", json={})
    assert answer.status_code == 401
    assert "this sign-in has lasted 14 days" in answer.text


def test_a_sign_in_with_a_key_ends_after_a_day_without_work(house: House) -> None:
    visitor = signed_in(house, began=2 * DAY, renewed=DAY + 30)
    assert visitor("GET", "/v2/jobs").status_code == 401
    assert visitor("POST", "/portal/session", json={}).status_code == 401


def test_a_revoked_key_ends_its_sign_in(house: House) -> None:
    with house.runtime.control.writing() as connection:
        made = api_keys.create_key(connection, project_id=1, name="short", secret="a-key-for-a-while")
    visitor = signed_in(house, began=3600, renewed=3600, secret="a-key-for-a-while")
    assert visitor("POST", "/portal/session", json={}).status_code == 204
    with house.runtime.control.writing() as connection:
        api_keys.revoke_key(connection, made.id)
    house.runtime.api_key_cache._callers._answers.clear()  # it checks again after two seconds
    assert visitor("GET", "/v2/jobs").status_code == 401
    assert visitor("POST", "/portal/session", json={}).status_code == 401


def test_a_temporary_key_that_a_program_made_is_not_renewed(visitor: Visitor) -> None:
    answer = visitor("POST", "/v1/api-keys?type=batch", json={"ttl": 60}, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 201, answer.text
    visitor.sign_in(answer.json()["key_value"])
    assert visitor("GET", "/portal/session").json()["renewable"] is False
    assert visitor("POST", "/portal/session", json={}).status_code == 401
    assert visitor("GET", "/v2/jobs").status_code == 200


def test_the_key_that_was_given_last_counts_and_not_the_account_before(house: House) -> None:
    visitor = house.visitor()
    owner = {**OWNER, "email": "mary@example.org"}
    visitor("POST", "/account/register", json=owner)
    visitor("POST", "/account/login", json=owner)
    visitor("POST", "/portal/session", json={})
    assert visitor("GET", "/portal/session").json()["account"] is True
    visitor.sign_in()
    assert visitor("POST", "/portal/session", json={}).status_code == 204
    shown = visitor("GET", "/portal/session").json()
    assert (shown["account"], shown["project_id"]) == (False, 1)


def test_a_key_has_its_own_project_only(visitor: Visitor) -> None:
    visitor.sign_in()
    shown = visitor("GET", "/portal/session").json()
    assert [each["project_id"] for each in shown["projects"]] == [shown["project_id"]] == [1]


def test_the_sign_in_page_offers_what_the_server_can_do(visitor: Visitor) -> None:
    text = visitor("GET", "/portal/sign-in").text
    assert 'id="register"' in text
    assert "sends no mail" in text
    assert 'href="/portal/sign-in"' in visitor("GET", "/account/verify?token=x").text


# ── the docs ──


def test_every_page_of_the_docs_is_served_in_both_forms_and_listed(visitor: Visitor) -> None:
    root = Path(__file__).parents[2] / "docs"
    names = sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.md"))
    assert len(names) > 30
    listed = visitor("GET", "/llms.txt").text
    for name in names:
        text = (root / f"{name}.md").read_text()
        markdown = visitor("GET", f"/docs/{name}.md")
        assert markdown.text == visitor("GET", f"/docs/{name}", headers={"accept": "text/markdown"}).text == text
        assert markdown.headers["content-type"].startswith("text/markdown")
        assert re.search(rf"^- \[[^\]]+\]\(/docs/{name}\.md\): \S", listed, re.MULTILINE), name
    assert visitor("GET", "/docs/nothing").status_code == 404
    assert visitor("GET", "/docs/../pyproject").status_code == 404


def test_links_between_pages_lead_to_pages_and_to_headings(visitor: Visitor) -> None:
    rendered = {name: Parts(guides.html(each.text, name)) for name, each in guides.guides().items()}
    seen = 0
    for name, parts in rendered.items():
        for address in parts.addresses:
            path, _, anchor = address.partition("#")
            if "://" in address:
                continue
            target = name if not path else path.removeprefix("/docs/")
            if target.endswith(".png"):
                assert visitor("GET", path).headers["content-type"] == "image/png", (name, address)
                continue
            assert target in rendered, (name, address)
            assert not anchor or anchor in rendered[target].ids, (name, address)
            seen += 1
    assert seen > 100

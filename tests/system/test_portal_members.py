"""The pages Members, Audit log and Health of the portal in a real browser, over one real server."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from sottovoce.service.identity import audit_log, passwords, users
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage.database import Database, sqlite_url
from tests.browser import Visit, let_in, visiting
from tests.servers import ROOT, Server, tls
from tests.system.test_portal import AXE, HOSTILE

pytestmark = pytest.mark.system

PASSWORD = "correct horse battery"
ADMIN, MEMBER, OTHER, EVIL = (
    "ada@example.org",
    "bob@example.org",
    "eve@example.org",
    '"<img src=x onerror=alert(1)>"@x.org',
)
ENTRIES = 1000
SETTINGS = {"SOTTOVOCE_PASSWORD_MEMORY_KIB": "32", "SOTTOVOCE_UNSAFE_PASSWORD_HASHES": "true"}


def furnish(server: Server) -> None:
    """Insert an admin and two members of workspace 1, one with a hostile address, an admin of another one, and audit entries."""
    control = Database(sqlite_url(server.data / "control.db"))
    kept = passwords.Hasher(32).hashed(PASSWORD)
    with control.writing() as connection:
        add = partial(users.add, connection, password_hash=kept, verified=True)
        add(email=ADMIN, workspace_id=1)
        add(email=MEMBER, workspace_id=1, role=Role.MEMBER)
        add(email=EVIL, workspace_id=1, role=Role.MEMBER)
        add(email=OTHER)
        for number in range(ENTRIES):
            entry = audit_log.Entry(
                actor="user 2" if number % 2 else HOSTILE,
                action="key created",
                target=f"target {number}",
                workspace_id=1,
                details={"project": 1, "name": HOSTILE},
            )
            audit_log.record(connection, entry)
    control.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("members"), **SETTINGS) as running:
        furnish(running)
        yield running


def enter(page: Page, path: str, email: str | None = None, *, key: str = "") -> None:
    """Sign in with the account *email*, else with *key*, and open the page *path*."""
    if email is None:
        let_in(page.context, key=key)
    else:
        let_in(page.context, account=(email, PASSWORD))
    page.goto(path)


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


def told(server: Server, path: str) -> Any:
    """The JSON answer to GET *path* with the first key."""
    return httpx.get(server.url + path, headers={"authorization": f"Bearer {server.key}"}, verify=tls()).json()


def picture(page: Page, name: str) -> None:
    """Store what the page shows for docs/portal.md, if `SOTTOVOCE_WRITE_DOCS` is set."""
    if os.environ.get("SOTTOVOCE_WRITE_DOCS"):
        page.set_viewport_size({"width": 1000, "height": 980})
        page.screenshot(path=ROOT / "docs" / "pictures" / f"portal-{name}.png")


# ── members ──


def test_an_admin_invites_a_person_who_joins(visit: Visit, browser: Browser, server: Server) -> None:
    page = visit.page
    enter(page, "/portal/members", ADMIN)
    expect(row(page, ADMIN)).to_contain_text("(you)")
    assert page.locator("main img").count() == 0
    page.get_by_label("E-mail address").fill("new@example.org")
    expect(page.locator("code-sample pre")).to_contain_text("/account/members")
    page.get_by_role("button", name="Invite", exact=True).click()
    link = page.get_by_label("Link of the invitation").input_value()
    assert link.startswith(f"{server.url}/account/join?token=")
    expect(page.locator("code-sample pre")).to_contain_text('"email":"new@example.org"')
    expect(page.locator("code-sample pre")).to_contain_text("/account/login")
    with visiting(browser, server.url) as invited:
        theirs = invited.page
        theirs.goto(link)
        theirs.get_by_label("Choose a password").fill(PASSWORD)
        theirs.get_by_role("button", name="Accept").click()
        expect(theirs.get_by_text("Your account is open.")).to_be_visible()
        theirs.get_by_role("link", name="Sign in").click()
        theirs.get_by_label("E-mail address", exact=True).fill("new@example.org")
        theirs.get_by_label("Password", exact=True).fill(PASSWORD)
        theirs.locator("#account button").click()
        expect(theirs.get_by_text("There are no jobs yet.")).to_be_visible()
        invited.check()
    page.reload()
    expect(row(page, "new@example.org")).to_contain_text("Active")
    expect(page.get_by_role("heading", name="Open invitations")).to_have_count(0)
    visit.check()


def test_roles_and_access_change_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    enter(page, "/portal/members", ADMIN)
    visit.agrees = True
    role = page.get_by_label(f"Role of {EVIL}")
    role.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text(f"{EVIL} is an admin now.")).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_text(f"{EVIL} is a member now.")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{EVIL} has no access any more.")).to_be_visible()
    again = page.get_by_role("button", name=f"Give access again to {EVIL}")
    expect(again).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{EVIL} has access again.")).to_be_visible()
    assert visit.dialogs == [
        f"End the access of {EVIL}? The sessions and the keys of this user stop working. The jobs stay."
    ]
    visit.dialogs.clear()
    page.get_by_label("E-mail address").focus()
    page.keyboard.type("late@example.org")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Withdraw the invitation of late@example.org").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The invitation of late@example.org is withdrawn.")).to_be_focused()
    expect(page.get_by_role("heading", name="Open invitations")).to_have_count(0)
    visit.check()


def test_what_the_api_refuses_a_member_is_told_beside_the_button(visit: Visit) -> None:
    page = visit.page
    enter(page, "/portal/members", MEMBER)
    expect(page.get_by_text("You are a member of this workspace.")).to_be_visible()
    visit.agrees = True
    refusal = "Forbidden: only an admin of the workspace may do this; you are a member"
    mine = row(page, MEMBER)
    page.get_by_label(f"Role of {MEMBER}").select_option("Admin")
    expect(mine.get_by_role("alert").first).to_have_text(refusal)
    expect(page.get_by_label(f"Role of {MEMBER}")).to_have_value("member")
    page.get_by_role("button", name=f"End access of {ADMIN}").click()
    expect(row(page, ADMIN).get_by_role("alert").last).to_have_text(refusal)
    page.get_by_label("E-mail address").fill("x@example.org")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("section form").get_by_role("alert")).to_have_text(refusal)
    page.goto("/portal/audit")
    expect(page.locator("audit-page")).to_contain_text(refusal)
    assert all("403" in each for each in visit.complaints), visit.complaints


def test_the_last_admin_of_a_workspace_is_told_so(visit: Visit) -> None:
    page = visit.page
    enter(page, "/portal/members", OTHER)
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label(f"Role of {OTHER}").select_option("Member")
    expect(row(page, OTHER).get_by_role("alert").first).to_contain_text("the last admin of the workspace")
    expect(page.get_by_label(f"Role of {OTHER}")).to_have_value("admin")


def test_a_managing_key_opens_the_pages_and_a_temporary_key_is_told(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, "/portal/members", key=server.key)
    expect(row(page, ADMIN)).to_be_visible()
    expect(page.locator("code-sample pre")).to_contain_text("Authorization: Bearer $KEY")
    expect(page.get_by_text("A program needs a managing key.")).to_be_visible()
    visit.check()
    headers = {"authorization": f"Bearer {server.key}"}
    made = httpx.post(f"{server.url}/v1/api-keys?type=batch", json={"ttl": 60}, headers=headers, verify=tls()).json()
    for path in ("/portal/members", "/portal/audit"):
        enter(page, path, key=made["key_value"])
        expect(page.get_by_text("You signed in with a temporary key")).to_be_visible()
    visit.check()


# ── the audit log ──


def test_a_thousand_entries_can_be_read_and_searched(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, "/portal/audit", ADMIN)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(200)
    expect(rows.first).to_contain_text("logged in")
    expect(rows.first).to_contain_text(ADMIN)
    more = page.get_by_role("button", name="Show older entries")
    for shown in (400, 600, 800, 1000):
        more.focus()
        page.keyboard.press("Enter")
        expect(rows).to_have_count(shown)
    expect(page.get_by_text("200 older entries are shown.")).to_be_visible()
    more.click()
    expect(more).to_have_count(0)
    page.get_by_label("Search in what is shown").fill("target 7 ")
    expect(page.get_by_text("No entry matches.")).to_be_visible()
    page.get_by_label("Search in what is shown").fill("target 77")
    expect(rows).to_have_count(11)
    expect(rows.first).to_contain_text(HOSTILE)
    assert page.locator("main img, main script").count() == 0
    assert {entry["actor"] for entry in told(server, "/account/audit?limit=1000")["entries"]} >= {HOSTILE, "user 2"}
    visit.check()


# ── health ──


def test_the_operator_sees_the_state_of_the_server(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, "/portal/health", key=server.key)
    expect(page.get_by_role("heading", name="Everything that the server needs works")).to_be_visible()
    picture(page, "health")
    expect(page.get_by_role("region", name="Workers")).to_contain_text("Running")
    expect(page.get_by_role("region", name="Engines")).to_contain_text("transcription")
    expect(page.get_by_role("region", name="What is deleted when")).to_contain_text("7 days after the end of the job")
    expect(page.locator("code-sample pre")).to_contain_text("/v1/health/details")
    page.get_by_text("models can be pulled").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("A server with several workspaces pulls no models over HTTP")).to_be_visible()
    expect(page.get_by_role("region", name="Models that can be pulled")).to_contain_text(
        "sottovoce models pull whisper-tiny"
    )
    expect(page.get_by_role("button", name="Pull", exact=False)).to_have_count(0)
    visit.check()


@pytest.mark.parametrize("email", [MEMBER, OTHER])
def test_who_is_not_the_operator_is_told_so(visit: Visit, email: str) -> None:
    enter(visit.page, "/portal/health", email)
    expect(visit.page.locator("health-page")).to_have_text(
        "Forbidden: only an admin of the operator's workspace, 1, may do this"
    )


def test_a_part_that_fails_and_odd_values_are_told(visit: Visit, server: Server) -> None:
    page = visit.page

    def odd(route: Route) -> None:
        found = route.fetch().json()
        found["ready"]["disk"] = False
        found["queue"] |= {"eta_seconds": None, "waiting": 3, "oldest_seconds": 4000}
        found["jobs"] |= {"rejected": 2}
        found["deliveries"] |= {"failed": 5, "failed_last_day": 1}
        found["disk"] = {"free": 1000, "reserve": 2_000_000_000}
        found["models"]["faults"] = [{"name": HOSTILE, "remedy": f"remove {HOSTILE}"}]
        found["pull"] = {"model": HOSTILE, "state": "running", "step": "fetching", "done": 30, "total": 100}
        found["engines"][0] |= {"engine": HOSTILE, "model": HOSTILE}
        route.fulfill(json=found)

    page.route("**/v1/health/details", odd)
    enter(page, "/portal/health", key=server.key)
    expect(page.get_by_role("heading", name="Something that the server needs does not work")).to_be_visible()
    for text in ("No worker runs: jobs wait.", "1:06:40", "5, 1 of them in the last day", "Uploads are refused (507)."):
        expect(page.locator("health-page")).to_contain_text(text)
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 30)
    assert page.locator("main img, main script").count() == 0
    visit.check()


def test_a_pull_is_started_with_a_button_and_its_end_is_told(browser: Browser, tmp_path: Path) -> None:
    with Server(tmp_path, SOTTOVOCE_OFFLINE="true") as server, visiting(browser, server.url) as visit:
        page = visit.page
        enter(page, "/portal/health", key=server.key)
        page.get_by_text("models can be pulled").click()
        page.get_by_role("button", name="Pull whisper-tiny", exact=True).click()
        expect(page.get_by_text("whisper-tiny could not be pulled.")).to_be_visible()
        expect(page.locator("code-sample pre")).to_contain_text("/v1/health/models/whisper-tiny")
        assert "model not fetched" in {line["event"] for line in server.lines()}
        visit.check()


# ── all pages ──


PAGES = {"/portal/members": "tbody tr", "/portal/audit": "tbody tr", "/portal/health": ".facts"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe_and_no_overflow_in_narrow_windows(visit: Visit, server: Server, scheme: Any) -> None:
    if not AXE.exists():
        pytest.fail("axe-core is not installed: run `make .venv-clients/stamp`", pytrace=False)
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    enter(page, "/portal/members", key=server.key)
    for path, ready in PAGES.items():
        page.set_viewport_size({"width": 1000, "height": 800})
        page.goto(path)
        expect(page.locator(ready).first).to_be_visible()
        page.evaluate(AXE.read_text())
        found = page.evaluate(
            "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) => [id, impact, nodes[0].html]))"
        )
        assert [each for each in found if each[1] in {"serious", "critical"}] == [], path
        page.set_viewport_size({"width": 300, "height": 500})
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) == 0, path
    visit.check()

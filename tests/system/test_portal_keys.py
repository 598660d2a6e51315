"""The pages Keys, Usage and Account of the portal in a real browser, over one real server with many keys and a year of usage."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from sottovoce.service.identity import api_keys, projects
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from tests.browser import Visit, let_in, until_true
from tests.servers import Server, tls, until
from tests.system.test_portal import AXE, HOSTILE, picture

pytestmark = pytest.mark.system

PASSWORD = "correct horse battery"
PLAIN, TEMPORARY = "a-key-that-does-not-manage", "for-temporary-keys"
FORMULA = '=HYPERLINK("http://evil.example","x")'
SETTINGS = {
    "SOTTOVOCE_REGISTRATION": "open",
    "SOTTOVOCE_PASSWORD_MEMORY_KIB": "32",
    "SOTTOVOCE_UNSAFE_PASSWORD_HASHES": "true",
}
TODAY = (datetime.now(UTC).date() - date(1970, 1, 1)).days
HOUR_MS = 3_600_000


def furnish(server: Server) -> int:
    """Insert a hundred keys, two projects with hostile names, and two jobs on each day of a year. The id of the second project."""
    control, region = (
        Database(sqlite_url(server.data / "control.db")),
        Database(sqlite_url(server.data / "eu1/region.db")),
    )
    with control.writing() as connection:
        second = projects.create(connection, 1, FORMULA).id
        projects.create(connection, 1, HOSTILE)
        for number in range(100):
            name = HOSTILE if number == 0 else f"program {number}"
            api_keys.create_key(connection, project_id=1, name=name, secret=f"the-secret-{number}")
        api_keys.create_key(connection, project_id=1, name="plain", secret=PLAIN)
    same = {"workspace_id": 1, "language": "en"}
    with region.writing() as connection:
        for ago in range(1, 366):
            at = {**same, "day": TODAY - ago}
            rows = [
                {"job_id": f"b{ago:09}", "type": "transcription", "operating_point": "standard", "project_id": 1, "duration_ms": (ago % 3 + 1) * HOUR_MS // 2, **at},
                {"job_id": f"r{ago:09}", "type": "realtime", "operating_point": "enhanced", "project_id": second, "duration_ms": HOUR_MS // 2, **at},
            ]  # fmt: skip
            connection.execute(sa.insert(t.job_usage), rows)
    control.close()
    region.close()
    return second


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("pages"), **SETTINGS) as running:
        furnish(running)
        yield running


def enter(page: Page, key: str, path: str) -> None:
    """Sign in with *key* and open the page *path*."""
    let_in(page.context, key=key)
    page.goto(path)


def enter_with_account(page: Page, server: Server, email: str, path: str) -> None:
    """Register *email*, sign in with it, and open the page *path*."""
    body = {"email": email, "password": PASSWORD}
    assert httpx.post(f"{server.url}/account/register", json=body, verify=tls()).status_code == 202
    let_in(page.context, account=(email, PASSWORD))
    page.goto(path)


def told(server: Server, path: str, key: str | None = None) -> Any:
    """The JSON answer to GET *path*."""
    headers = {"authorization": f"Bearer {key or server.key}"}
    return httpx.get(server.url + path, headers=headers, verify=tls()).json()


def status(server: Server, key: str, path: str = "/v2/jobs") -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(server.url + path, headers=headers, verify=tls()).status_code


def chosen(page: Page, name: str) -> Locator:
    """The list of choices with the label *name*."""
    return page.get_by_role("combobox", name=name, exact=True)


# ── keys ──


def test_a_key_is_made_its_secret_shown_once_and_revoked(visit: Visit, server: Server) -> None:
    page = visit.page
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(page, server.key, "/portal/keys")
    rows = page.locator("key-list tbody tr")
    expect(rows).to_have_count(102)
    expect(page.get_by_role("cell", name=HOSTILE).first).to_be_visible()
    expect(rows.filter(has_text="first key")).to_contain_text("Managing key")
    page.get_by_label("Name of the new key").fill(f"new {HOSTILE}")
    page.get_by_label("client_ref (only for").fill("shop 1")
    page.get_by_role("button", name="Create the key").click()
    secret = page.get_by_label("Secret of").input_value()
    assert status(server, secret) == 200
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    expect(rows.first).to_contain_text("Only jobs of its client_ref")
    page.get_by_label("Search in 103 keys").fill("shop 1")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Revoke new").click()
    expect(rows).to_have_count(1)
    assert status(server, secret) == 200, "the person did not confirm"
    visit.agrees = True
    page.get_by_role("button", name="Revoke new").click()
    expect(page.locator("key-list .said")).to_be_focused()
    expect(page.locator("key-list .said")).to_contain_text("is revoked.")
    until(lambda: status(server, secret) == 401, "end of the key")
    assert len(visit.dialogs) == 2
    assert "This cannot be undone." in visit.dialogs[0]
    visit.dialogs.clear()
    page.reload()
    expect(rows).to_have_count(102)
    assert page.locator("main img, main script").count() == 0
    assert secret not in page.content()
    visit.check()


def test_projects_are_made_renamed_and_deleted(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, server.key, "/portal/keys")
    page.get_by_label("Name of the new project").fill("Interviews")
    page.get_by_role("button", name="Create the project").click()
    row = page.locator("project-list tbody tr").last
    expect(row).to_contain_text("Interviews")
    page.get_by_role("button", name="Rename Interviews").click()
    field = page.get_by_label("New name of Interviews")
    expect(field).to_be_focused()
    field.fill(f"Talks {HOSTILE}")
    field.press("Enter")
    expect(row).to_contain_text(f"Talks {HOSTILE}")
    chosen(page, "Project").select_option(f"Talks {HOSTILE}")
    expect(page.get_by_text("There are no keys.")).to_be_visible()
    page.get_by_label("Name of the new key").fill("of talks")
    page.get_by_role("button", name="Create the key").click()
    secret = page.get_by_label("Secret of").input_value()
    expect(page.locator("key-list tbody tr")).to_have_count(1)
    visit.agrees = True
    page.get_by_role("button", name="Delete Talks").click()
    expect(page.get_by_text(f"The project “Talks {HOSTILE}” is deleted.")).to_be_visible()
    expect(page.locator("key-list tbody tr")).to_have_count(102)
    assert [each["name"] for each in told(server, "/v1/projects")] == ["default", FORMULA, HOSTILE]
    until(lambda: status(server, secret) == 401, "end of the project's key")
    visit.dialogs.clear()
    visit.check()


@pytest.mark.parametrize(("kind", "expected"), [("batch", 200), ("rt", 403)])
def test_a_temporary_key_is_made_for_a_test(visit: Visit, server: Server, kind: str, expected: int) -> None:
    page = visit.page
    enter(page, server.key, "/portal/keys")
    chosen(page, "For").select_option(kind)
    page.get_by_label("Valid for").select_option("1 minute")
    page.get_by_role("button", name="Make a temporary key").click()
    assert status(server, page.get_by_label("Temporary key, valid until").input_value()) == expected
    visit.check()


def test_clicks_that_the_api_refuses_are_told_beside_the_button(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, PLAIN, "/portal/keys")
    expect(page.get_by_text("You signed in with a key that does not manage keys and projects.")).to_be_visible()
    visit.check()
    page.get_by_label("Name of the new key").fill("mine")
    page.get_by_role("button", name="Create the key").click()
    refused = "Forbidden: this is not a managing key; `sottovoce keys create --manages` creates one"
    expect(page.locator("key-list form .error")).to_have_text(refused)
    page.get_by_label("Name of the new project").fill("mine")
    page.get_by_role("button", name="Create the project").click()
    expect(page.locator("project-list form .error")).to_have_text(refused)
    visit.agrees = True
    page.get_by_role("button", name="Delete default").click()
    expect(page.locator("project-list tbody .error")).to_have_text(refused)
    page.get_by_role("button", name="Make a temporary key").click()
    assert status(server, page.get_by_label("Temporary key, valid until").input_value()) == 200
    assert all("403" in each for each in visit.complaints), visit.complaints


def test_the_sample_does_not_change_while_a_button_is_pressed(visit: Visit, server: Server) -> None:
    """Else the page could move between press and release, and the click would miss the button."""
    page = visit.page
    enter(page, server.key, "/portal/keys")
    page.get_by_label("Name of the new key").fill("a new key")
    shown = programs(page)["JavaScript"]
    page.get_by_role("button", name="Make a temporary key").hover()
    page.mouse.down()
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator("code-sample pre code").inner_text() == shown
    page.mouse.up()
    expect(page.get_by_label("Temporary key, valid until")).to_be_visible()
    expect(page.locator("code-sample pre code")).to_contain_text('"ttl"')
    visit.check()


def test_a_temporary_key_is_told_that_it_makes_none(visit: Visit, server: Server) -> None:
    made = httpx.post(
        f"{server.url}/v1/api-keys", json={"ttl": 600}, headers={"authorization": f"Bearer {server.key}"}, verify=tls()
    )
    enter(visit.page, made.json()["key_value"], "/portal/keys")
    expect(
        visit.page.get_by_text("You signed in with a temporary key. It makes no keys and sees none.")
    ).to_be_visible()
    visit.check()


def test_after_a_revoked_key_the_page_leads_to_the_sign_in_and_back(visit: Visit, server: Server) -> None:
    page = visit.page
    with server.client() as client:
        made = client.post("/v1/api-keys", json={"name": "short"}).json()
        enter(page, made["key_value"], "/portal/keys")
        expect(page.get_by_role("button", name="Make a temporary key")).to_be_visible()
        client.delete(f"/v1/api-keys/{made['apikey_id']}")
    until_true(page, "fetch('/portal/session').then(({status}) => status === 401)")
    page.get_by_role("button", name="Make a temporary key").click()
    page.wait_for_url(re.compile("/portal/sign-in.to=%2Fportal%2Fkeys$"))


def test_an_admin_with_an_account_manages_keys_and_projects(visit: Visit, server: Server) -> None:
    page = visit.page
    enter_with_account(page, server, "admin@example.org", "/portal/keys")
    page.get_by_label("Name of the new project").fill("Interviews")
    page.get_by_role("button", name="Create the project").click()
    expect(page.locator("project-list tbody tr")).to_have_count(2)
    keys = page.locator("section").filter(has=page.get_by_role("heading", name="Keys of a project"))
    keys.get_by_label("Name of the new key").fill("of interviews")
    keys.get_by_role("button", name="Create the key").click()
    assert status(server, keys.get_by_label("Secret of").input_value()) == 200
    page.get_by_role("button", name="Make a temporary key").click()
    assert status(server, page.get_by_label("Temporary key, valid until").input_value()) == 200
    visit.check()


def test_a_member_has_keys_of_their_own(visit: Visit, server: Server) -> None:
    page = visit.page
    enter_with_account(page, server, "keys@example.org", "/portal/account")
    expect(page.locator("account-page tbody tr")).to_have_count(1)
    control = Database(sqlite_url(server.data / "control.db"))
    with control.writing() as connection:
        connection.execute(sa.update(t.users).where(t.users.c.email == "keys@example.org").values(role="member"))
    control.close()
    page.goto("/portal/keys")
    expect(page.get_by_text("You are a member of the workspace")).to_be_visible()
    rows = page.locator("key-list tbody tr")
    expect(rows).to_have_count(1)
    page.get_by_label("Name of the new key").fill("laptop")
    page.get_by_role("button", name="Create the key").click()
    assert status(server, page.get_by_label("Secret of").input_value()) == 200
    expect(rows).to_have_count(2)
    visit.agrees = True
    page.get_by_role("button", name="Revoke laptop").click()
    expect(rows).to_have_count(1)
    visit.dialogs.clear()
    visit.check()
    page.get_by_label("Name of the new project").fill("mine")
    page.get_by_role("button", name="Create the project").click()
    expect(page.locator("project-list form .error")).to_contain_text("this is not a managing key")


# ── usage ──


def test_a_year_of_usage_is_charted_and_told_in_figures(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, server.key, "/portal/usage")
    expect(page.locator("usage-page section")).to_have_count(3)
    expect(page.get_by_text("45.00 hours in 60 jobs and sessions.")).to_be_visible()
    picture(page, "usage")
    page.get_by_role("button", name="A year").click()
    expect(page.get_by_text("548.00 hours in 730 jobs and sessions.")).to_be_visible()
    page.get_by_label("For each").select_option("Day")
    by_day = page.locator("usage-page section").first
    expect(by_day.locator(".plot rect")).to_have_count(730)
    expect(by_day.locator("tbody tr")).to_have_count(365)
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    expect(by_day.locator("tbody tr").last).to_have_text(f"{yesterday} 1.00 1 0.50 1 1.50 2", use_inner_text=True)
    expect(by_day.locator(".plot")).to_have_attribute("aria-label", "Usage by day, hours. The most is 2: " + (
        datetime.now(UTC).date() - timedelta(days=365)).isoformat() + ". The table has all figures.")  # fmt: skip
    page.get_by_label("For each").select_option("Month")
    assert 12 <= page.locator("usage-page section").first.locator("tbody tr").count() <= 13
    page.get_by_label("Split by").select_option("Model (operating point)")
    expect(by_day.locator("thead th").nth(1)).to_have_text("Enhanced: hours")
    page.get_by_label("Chart of").select_option("Number")
    expect(by_day.locator("figcaption")).to_contain_text("jobs and sessions")
    expect(page.get_by_role("row").filter(has_text="Batch, Standard")).to_contain_text("365.50")
    chosen(page, "Project").select_option(FORMULA)
    expect(page.get_by_text("182.50 hours in 365 jobs and sessions.")).to_be_visible()
    visit.check()


def test_csv_has_the_figures_of_the_table_and_no_formula(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.page
    enter(page, server.key, "/portal/usage")
    expect(page.locator("usage-page section")).to_have_count(3)
    found: list[list[list[str]]] = []
    for section in page.locator("usage-page section").all():
        with page.expect_download() as waiting:
            section.get_by_role("button", name="Download as CSV").click()
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
        found.append(list(csv.reader((tmp_path / waiting.value.suggested_filename).read_text().splitlines())))
    days, kinds, by_project = found
    assert days[0] == ["day", "Batch hours", "Batch number", "Real time hours", "Real time number", "hours", "number"]
    assert len(days) == 31
    assert days[1][1:] == ["0.5", "1", "0.5", "1", "1", "2"]
    assert kinds[1:] == [["Batch, Standard", "30", "30", "30", "30"], ["Real time, Enhanced", "15", "30", "15", "30"]]
    assert [row[0] for row in by_project] == ["project", "default", f"'{FORMULA}"]
    visit.check()


def test_a_period_that_is_too_long_and_one_without_usage_are_told(visit: Visit, server: Server) -> None:
    page = visit.page
    enter(page, server.key, "/portal/usage")
    page.get_by_label("From").fill("2001-01-01")
    page.get_by_label("From").blur()
    expect(page.get_by_text("Choose at most 400 days.")).to_be_visible()
    page.get_by_label("To", exact=True).fill("2001-02-01")
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_text("There is no usage in this period.")).to_be_visible()
    visit.check()


def test_a_key_with_a_client_ref_is_told_that_it_sees_no_usage(visit: Visit, server: Server) -> None:
    with server.client() as client:
        made = client.post("/v1/api-keys", json={"name": "shop", "client_ref": "shop 1"}).json()
        enter(visit.page, made["key_value"], "/portal/usage")
        expect(visit.page.get_by_text("a key with a client_ref cannot read usage")).to_be_visible()
        client.delete(f"/v1/api-keys/{made['apikey_id']}")


# ── the account ──


def test_a_password_is_changed_and_other_sessions_end(visit: Visit, server: Server) -> None:
    page, email = visit.page, "account@example.org"
    enter_with_account(page, server, email, "/portal/account")
    login = {"email": email, "password": PASSWORD}
    others = [httpx.Client(base_url=server.url, verify=tls()) for _ in range(3)]
    for each in others:
        assert each.post("/account/login", json=login).status_code == 200
    page.reload()
    expect(page.get_by_text(email)).to_be_visible()
    rows = page.locator("account-page tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="this browser")).to_have_count(1)
    page.get_by_role("button", name="End the session of").first.click()
    expect(page.get_by_text("1 session has ended.")).to_be_visible()
    expect(rows).to_have_count(3)
    assert sorted(each.get("/account").status_code for each in others) == [200, 200, 401]
    page.get_by_role("button", name="End all other sessions").click()
    expect(rows).to_have_count(1)
    expect(page.locator(".said")).to_be_focused()
    assert {each.get("/account").status_code for each in others} == {401}
    assert others[0].post("/account/login", json=login).status_code == 200
    visit.check()

    def change(old: str, new: str, again: str) -> None:
        page.get_by_label("Present password").fill(old)
        page.get_by_label("New password, of at least").fill(new)
        page.get_by_label("New password again").fill(again)
        page.get_by_role("button", name="Change the password").click()

    change(PASSWORD, "another good one", "another good 1")
    expect(page.locator("form .error")).to_have_text("The two new passwords differ. Enter the same one twice.")
    change("not the password", "another good one", "another good one")
    expect(page.locator("form .error")).to_contain_text("wrong password")
    visit.complaints.clear()  # the refused attempt
    change(PASSWORD, "another good one", "another good one")
    expect(page.get_by_text("The password is changed, and every other session has ended.")).to_be_visible()
    assert others[0].get("/account").status_code == 401
    assert others[0].post("/account/login", json=login).status_code == 401
    page.reload()
    expect(page.get_by_text(email)).to_be_visible()
    for each in others:
        each.close()
    visit.check()


def test_a_key_is_told_that_it_has_no_account(visit: Visit, server: Server) -> None:
    enter(visit.page, server.key, "/portal/account")
    expect(visit.page.get_by_text("A key has no account")).to_be_visible()
    expect(visit.page.get_by_text("sottovoce users add you@example.org")).to_be_visible()
    visit.check()


# ── view as code ──


def programs(page: Page) -> dict[str, str]:
    """The request of the page in each language."""
    sample = page.locator("code-sample")
    if not sample.locator("pre").is_visible():
        sample.locator("summary").click()
    found = {}
    for name in ("cURL", "Python", "JavaScript"):
        sample.get_by_role("button", name=name, exact=True).click()
        found[name] = sample.locator("pre code").inner_text()
    return found


def run(name: str, text: str, folder: Path, **environment: str) -> Any:
    """The answer that the program *text* prints."""
    command = {
        "cURL": ["sh", "-c", text],
        "Python": [sys.executable, "-c", text],
        "JavaScript": ["node", "--input-type=module", "-e", text],
    }
    done = subprocess.run(
        command[name], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (name, text, done.stderr)
    return json.loads(done.stdout)


def test_the_programs_of_each_page_get_what_the_page_gets(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.page
    enter(page, server.key, "/portal/keys")
    expect(page.locator("key-list tbody tr").first).to_be_visible()
    expected = told(server, "/v1/api-keys?project_id=1&manages=true")
    for name, text in programs(page).items():
        assert run(name, text, tmp_path, KEY=server.key) == expected, name
    page.goto("/portal/usage")
    expect(page.locator("usage-page section").first).to_be_visible()
    since, until_day = (datetime.now(UTC).date() - timedelta(days=ago) for ago in (30, 1))
    expected = told(server, f"/v2/usage?by=day&since={since}&until={until_day}")
    assert len(expected["days"]) == 60
    for name, text in programs(page).items():
        assert run(name, text, tmp_path, KEY=server.key) == expected, name
    visit.check()


def test_the_programs_follow_the_form_also_with_hostile_names(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.page
    enter(page, server.key, "/portal/keys")
    hostile = """it's "$HOME" `id` ${1} \\n {x}"""
    page.get_by_label("Name of the new key").fill(hostile)
    for name, text in programs(page).items():
        made = run(name, text, tmp_path, KEY=server.key)
        (found,) = [
            each for each in told(server, "/v1/api-keys?project_id=1") if each["apikey_id"] == made["apikey_id"]
        ]
        assert found["name"] == hostile
        with server.client() as client:
            client.delete(f"/v1/api-keys/{made['apikey_id']}")
    page.get_by_label("client_ref (optional)").fill(hostile)
    made = run("Python", programs(page)["Python"], tmp_path, KEY=server.key)
    assert status(server, made["key_value"]) == 200
    visit.check()


def test_the_programs_of_an_account_log_in(visit: Visit, server: Server, tmp_path: Path) -> None:
    page, email = visit.page, "code@example.org"
    enter_with_account(page, server, email, "/portal/account")
    expect(page.get_by_text(email)).to_be_visible()
    (tmp_path / "login.json").write_text(json.dumps({"email": email, "password": PASSWORD}))
    for name, text in programs(page).items():
        listed = run(name, text, tmp_path, EMAIL=email, PASSWORD=PASSWORD)
        assert [each["current"] for each in listed].count(True) == 1, name
    assert len(listed) == 4, "the browser, and one of each program"
    visit.check()


# ── all three ──


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(visit: Visit, server: Server, scheme: str) -> None:
    if not AXE.exists():
        pytest.fail("axe-core is not installed: run `make .venv-clients/stamp`", pytrace=False)
    page = visit.page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]

    def check(ready: str) -> None:
        expect(page.locator(ready).first).to_be_visible()
        page.locator("code-sample summary").click()
        page.evaluate(AXE.read_text())
        found = page.evaluate(
            "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) => [id, impact, nodes[0].html]))"
        )
        assert [each for each in found if each[1] in {"serious", "critical"}] == [], (page.url, scheme)

    enter_with_account(page, server, f"{scheme}@example.org", "/portal/account")
    check("account-page tbody tr")
    page.goto("/portal/keys")
    check("key-list tbody tr")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/portal/sign-in")
    enter(page, server.key, "/portal/keys")
    expect(page.locator("key-list tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Make a temporary key").click()
    check("new-secret input")
    page.goto("/portal/usage")
    check("usage-page section")
    page.goto("/portal/account")
    check("account-page section")
    visit.check()


def test_narrow_windows_and_the_keyboard_alone_are_enough(visit: Visit, server: Server) -> None:
    """A window of 600 px at 200 % zoom; no mouse from the page of jobs to a new key and to the CSV."""
    page = visit.page
    page.set_viewport_size({"width": 300, "height": 500})
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    enter(page, server.key, "/")
    page.get_by_role("link", name="Keys").focus()
    page.keyboard.press("Enter")
    expect(page.locator("key-list tbody tr").first).to_be_visible()
    assert page.evaluate(overflow) == 0
    chosen(page, "Project").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Create the key")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Secret of")).to_be_visible()
    assert page.evaluate(overflow) == 0
    visit.agrees = True
    page.get_by_role("button", name="Revoke by keyboard").focus()
    page.keyboard.press("Enter")
    expect(page.locator("key-list .said")).to_be_focused()
    visit.dialogs.clear()
    for path, ready in (("/portal/usage", "usage-page section"), ("/portal/account", "account-page section")):
        page.goto(path)
        expect(page.locator(ready).first).to_be_visible()
        assert page.evaluate(overflow) == 0, path
    page.goto("/portal/usage")
    expect(page.locator("usage-page section").first).to_be_visible()
    page.get_by_role("button", name="7 days").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("10.50 hours in 14 jobs and sessions.")).to_be_visible()
    until_true(page, "document.querySelectorAll('.figures[tabindex]').length === 3")
    with page.expect_download():
        page.get_by_role("button", name="Download as CSV").first.focus()
        page.keyboard.press("Enter")
    visit.check()

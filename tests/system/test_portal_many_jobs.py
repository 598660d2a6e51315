"""The list of jobs in a real browser, with ten thousand jobs."""

import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from tests import browser as browsers
from tests.browser import let_in, visiting
from tests.servers import Server

pytestmark = pytest.mark.system

COUNT = 10_000
ROW = {
    "region": "eu1", "workspace_id": 1, "project_id": 1, "api": "v2", "type": "transcription", "state": "done",
    "language": "en", "operating_point": "standard", "queue": "batch", "errors": [], "media_bytes": 1, "duration_ms": 1000,
    "attempt": 1, "failures": 0, "progress": 1.0, "priority": 10,
}  # fmt: skip


def furnish(server: Server) -> None:
    """Insert `COUNT` jobs, one each second until now; number 1 is the oldest."""
    database = Database(sqlite_url(server.data / "eu1/region.db"))
    now = time.time_ns() // 1_000_000
    rows = [
        {**ROW, "id": f"x{n:09}", "v1_id": n, "data_name": f"interview {n}.wav", "created_at": now - (COUNT - n) * 1000}
        for n in range(1, COUNT + 1)
    ]
    with database.writing() as connection:
        connection.execute(sa.insert(t.jobs), rows)
    database.close()


def test_ten_thousand_jobs_are_listed_in_pages_and_searched_to_the_oldest(tmp_path: Path) -> None:
    with (
        Server(tmp_path) as server,
        browsers.launched() as browser,
        visiting(browser, server.url) as visit,
    ):
        furnish(server)
        page = visit.page
        let_in(visit.context, key=server.key)
        page.goto("/")
        rows = page.locator("job-table tbody tr")
        expect(rows).to_have_count(100)
        expect(rows.first).to_contain_text(f"interview {COUNT}.wav")
        page.get_by_role("button", name="Show older jobs").click()
        expect(rows).to_have_count(200)
        page.evaluate("document.querySelector('job-table').load()")  # what a timer does, too
        expect(rows).to_have_count(200)
        page.get_by_label("Search").first.fill("interview 17.wav")
        expect(page.get_by_text("Only the newest 200 jobs were searched.")).to_be_visible()
        page.get_by_role("button", name="Search older jobs").click()
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("interview 17.wav")
        visit.agrees = True
        rows.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("1 job was deleted.")).to_be_visible()
        expect(rows).to_have_count(0)
        assert not visit.complaints
        assert not visit.foreign

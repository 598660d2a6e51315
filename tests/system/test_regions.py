"""Three regions on this machine, in one data folder, as docs/regions.md has them."""

import contextlib
import json
import os
import re
import secrets
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests import browser as browsers
from tests.backends import Postgres, migrate
from tests.servers import CONFIG, PATIENCE, ROOT, Server, files, tls, until, whole_lines

pytestmark = pytest.mark.system

NAMES = ("eu1", "us1", "au1")
KEY = "the-key-of-the-three-regions"


class Trio(Server):
    """`sottovoce serve --regions eu1,us1,au1` on free ports."""

    COMMAND = ("serve", "--regions", ",".join(NAMES), "--port", "0")

    def start(self) -> None:
        """Start it, and wait until all three listen."""
        super().start()
        self.urls = until(self._all_listening, "three regions")

    def _all_listening(self) -> dict[str, str] | None:
        found = dict(re.findall(r"region (\w+): listening on (\S+)", self.out.read_text()))
        return found if set(found) == set(NAMES) else None

    def at(self, region: str) -> Server:
        """The server of one region, to be talked to."""
        view = Server(self.home, **self.environment)
        view.url = self.urls[region]
        return view

    def pid(self, region: str) -> int | None:
        """The process of the region's server, if there is one now."""
        for pid in self.children():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == region:  # `prefork_children` names it so
                    return pid
        return None

    def lines(self) -> list[dict[str, Any]]:
        """The log without what servers that cannot start say to people."""
        kept = whole_lines(self.log.read_bytes()).splitlines()
        return [json.loads(line) for line in kept if not line.startswith(b"Error: ")]

    def kill_one(self, region: str) -> None:
        """kill -9 of one region's server."""
        os.kill(until(lambda: self.pid(region), "server to kill"), signal.SIGKILL)

    def answers(self, region: str) -> bool:
        """Whether it takes connections."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.urls[region]}/health/live", timeout=PATIENCE, verify=tls()).status_code == 200
        return False


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    with Trio(tmp_path_factory.mktemp("regions"), SOTTOVOCE_API_KEY=KEY, SOTTOVOCE_DEFAULT_WAIT="0") as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A finished job of us1 that is full of marks, and the marks."""

    id: str
    number: int
    text: str
    marks: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def marked(trio: Trio, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Marked:
    us1, mark = trio.at("us1"), secrets.token_hex(8)
    audio = tmp_path_factory.mktemp("media") / f"name-{mark}.wav"
    audio.write_bytes(media := demo.read_bytes())
    config = {**CONFIG, "tracking": {"title": f"title-{mark}", "reference": f"reference-{mark}"}}
    job_id = us1.submit(audio, config)
    assert us1.wait(job_id)["status"] == "done"
    text = us1.transcript(job_id, "txt")
    words = sorted({word.lower() for word in re.findall(r"[A-Za-z]{6,}", text)})
    assert len(words) > 3, text
    (seen,) = (job for job in legacy(us1, "jobs").json()["jobs"] if job["name"] == audio.name)
    marks = {
        "file name": [f"name-{mark}".encode()],
        "config": [f"title-{mark}".encode(), f"reference-{mark}".encode()],
        "transcript": [word.encode() for word in words],
        # far apart, and none of them silence
        "media": [part for at in range(60_000, len(media), 40_000) if len(set(part := media[at : at + 48])) > 20],
        "job id": [job_id.encode()],
    }
    assert len(marks["media"]) > 3
    return Marked(id=job_id, number=seen["id"], text=text, marks=marks)


def legacy(server: Server, path: str, **query: str) -> httpx.Response:
    """What V1 answers for the first user."""
    return httpx.get(
        f"{server.url}/v1.0/user/1/{path}", params={"auth_token": KEY, **query}, timeout=PATIENCE, verify=tls(),
    )  # fmt: skip


def found(folder: list[Path], marks: list[bytes]) -> list[tuple[str, bytes]]:
    """Which of *marks* stand in which of the files, in any letter case."""
    hits = []
    for path in folder:
        with contextlib.suppress(FileNotFoundError):
            held = path.read_bytes()
            hits += [(path.name, mark) for mark in marks if mark in held or mark in held.lower()]
    return hits


def rows(path: Path) -> bytes:
    """Every row of every table of a SQLite file."""
    with contextlib.closing(sqlite3.connect(path)) as opened:
        return "\n".join(opened.iterdump()).encode("utf-8", "surrogatepass")


# ── a job answers only where it was sent ──


def test_each_region_does_its_own_jobs_and_says_who_it_is(trio: Trio) -> None:
    for name in NAMES:
        told = httpx.get(f"{trio.urls[name]}/v1/regions", verify=tls()).json()
        assert told["region"] == name
        assert {each["name"]: each["url"] for each in told["regions"]} == trio.urls
        assert [each["modes"] for each in told["regions"] if each["name"] == "au1"] == [["batch"]]
        features = httpx.get(f"{trio.urls[name]}/v1/discovery/features", verify=tls()).json()
        assert "en" in features["batch"]["transcription"][0]["languages"]
        assert "realtime" not in features
    assert trio.out.read_text().count("API key:") == 1


def test_the_region_selector_of_the_portal_leads_to_the_other_region(trio: Trio, demo: Path) -> None:
    with browsers.launched() as browser, browsers.visiting(browser, trio.urls["eu1"]) as visit:
        page = visit.page
        page.goto("/")
        selector = page.get_by_label("Region")
        for name in ("eu1", "us1"):
            if name == "us1":
                selector.select_option("us1")
                page.wait_for_url(f"{trio.urls['us1']}/**")
            page.locator("#api-key").fill(KEY)
            page.locator("#key button").click()
            expect(selector.locator("option:checked")).to_have_attribute("value", name)
        expect(selector.locator("option")).to_have_count(len(NAMES))
        names = selector.locator("option").evaluate_all("all => all.map((each) => each.value)")
        assert sorted(names) == sorted(NAMES)
        page.get_by_label("Drop audio").set_input_files(demo)
        link = page.locator(".uploads a")
        expect(link).to_be_visible()
        job = str(link.get_attribute("href")).rpartition("/")[2]
        assert trio.at("us1").job(job)["data_name"] == demo.name
        with trio.at("eu1").client() as client:
            assert client.get(f"/v2/jobs/{job}").status_code == 404, "a job is in one region only"
        selector.select_option("eu1")
        page.wait_for_url(f"{trio.urls['eu1']}/")
        expect(page.get_by_role("heading", name="Jobs in EU1")).to_be_visible()
        assert not visit.complaints


def test_a_job_is_unknown_in_every_other_region(trio: Trio, marked: Marked) -> None:
    assert str(marked.number).endswith("02")
    for name in ("eu1", "au1"):
        with trio.at(name).client() as client:
            for path in ("", "/transcript", "/data", "/log"):
                answer = client.get(f"/v2/jobs/{marked.id}{path}")
                assert (answer.status_code, answer.json()["error"]) == (404, "Job not found"), path
            assert client.delete(f"/v2/jobs/{marked.id}", params={"force": "true"}).status_code == 404
            assert client.get("/v2/jobs", params={"include_deleted": "true"}).json() == {"jobs": []}
        for path in ("", "/transcript", "/alignment"):
            answer = legacy(trio.at(name), f"jobs/{marked.number}{path}")
            assert answer.json() == {"code": 404, "error": "Job not found"}, path
        assert legacy(trio.at(name), "jobs").json() == {"jobs": []}
    assert trio.at("us1").transcript(marked.id, "txt") == marked.text
    assert legacy(trio.at("us1"), f"jobs/{marked.number}/transcript", format="txt").status_code == 200


def test_nothing_of_a_job_stands_outside_its_region(trio: Trio, marked: Marked) -> None:
    control = trio.data / "control.db"
    until(lambda: marked.id.encode() in rows(control), "the copy of its usage")  # what control gets, it has by now
    home = files(trio.data / "us1")
    assert {name for name, marks in marked.marks.items() if found(home, marks)} >= {
        "file name", "transcript", "media", "job id",
    }, "else the search shows nothing; the config is sealed"  # fmt: skip
    assert not found(home, marked.marks["config"])
    outside = [path for path in files(trio.data) if "us1" not in path.relative_to(trio.data).parts]
    assert {path.name for path in outside} >= {"control.db", "control.db-wal", "region.db", "region.db-wal"}
    for name, marks in marked.marks.items():
        # usage is counted, and may be billed, by the job's id
        apart = [path for path in outside if name != "job id" or not path.name.startswith("control.db")]
        assert found(apart, marks) == [], name
    texts = {path: rows(path) for path in outside if path.suffix == ".db"}
    assert len(texts) == 3
    for path, text in texts.items():
        for name, marks in marked.marks.items():
            if name != "job id" or path != control:
                assert [mark for mark in marks if mark in text.lower()] == [], (path.name, name)


# ── one region down ──


def recipe() -> dict[str, Any]:
    """The functions that docs/regions.md gives clients, run as they stand there, but that they try regions in order."""
    page = (ROOT / "docs" / "regions.md").read_text()
    first = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    functions: dict[str, Any] = {}
    exec(compile(first, "docs/regions.md", "exec"), functions)  # noqa: S102 - our own page
    functions["random"] = SimpleNamespace(sample=lambda regions, _: list(regions))
    return functions


def test_a_region_that_is_killed_comes_back_and_the_others_go_on(trio: Trio, marked: Marked) -> None:
    others = {name: trio.pid(name) for name in ("eu1", "au1")}
    before = trio.pid("us1")
    trio.kill_one("us1")
    for name in others:
        assert trio.answers(name)
        with trio.at(name).client() as client:
            assert client.get("/v2/jobs").status_code == 200
    until(lambda: trio.answers("us1"), "the region's return")  # on its old port
    assert trio.pid("us1") not in {None, before}
    assert {name: trio.pid(name) for name in others} == others
    assert trio.at("us1").transcript(marked.id, "txt") == marked.text
    ended = [(line["region"], line["code"]) for line in trio.events("region ended")]
    assert ended == [("us1", -signal.SIGKILL)]


def test_clients_fail_over_as_the_page_says(trio: Trio, demo: Path) -> None:
    client, config, media = recipe(), json.dumps(CONFIG), demo.read_bytes()
    urls = [trio.urls["us1"], trio.urls["eu1"]]

    def failed_over() -> tuple[str, str] | None:
        trio.kill_one("us1")
        region, job = client["submit"](urls, KEY, media, config)
        return (region, job) if region == trio.urls["eu1"] else None  # us1 was back too soon

    region, job = until(failed_over, "a job in the other region")
    text = client["transcript"](region, KEY, job)
    assert len(text.split()) > 20
    until(lambda: trio.answers("us1"), "the region's return")


def test_a_job_of_a_killed_region_is_finished_there_and_fetched_by_patience(trio: Trio, demo: Path) -> None:
    client = recipe()
    until(lambda: trio.answers("us1"), "the region's return")
    region, job = client["submit"]([trio.urls["us1"]], KEY, demo.read_bytes(), json.dumps(CONFIG))
    trio.kill_one("us1")
    assert len(client["transcript"](region, KEY, job).split()) > 20


def test_a_bound_workspace_is_served_where_it_is_bound_alone(trio: Trio) -> None:
    def sottovoce(*words: str) -> None:
        trio.told(*words)

    def status(name: str) -> int:
        with trio.at(name).client() as client:
            return client.get("/v2/jobs").status_code

    sottovoce("workspaces", "bind", "1", "eu1,us1")
    until(lambda: status("au1") == 403, "the binding to bite")
    assert [status("eu1"), status("us1")] == [200, 200]
    sottovoce("workspaces", "unbind", "1")
    until(lambda: status("au1") == 200, "the end of the binding")


def test_all_stop_together_in_good_order_and_are_themselves_again(trio: Trio, marked: Marked) -> None:
    downs = len(trio.events("server down"))
    trio.process.send_signal(signal.SIGTERM)
    assert trio.process.wait(PATIENCE) == 0
    assert len(trio.events("server down")) == downs + 3
    trio.start()
    pids = [trio.pid(name) for name in NAMES]
    trio.kill()  # kill -9 of the parent: the kernel takes the others
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the end of all")
    trio.start()
    assert trio.at("us1").transcript(marked.id, "txt") == marked.text


# ── the control database down ──


def test_regions_go_on_for_keys_they_know_while_the_control_database_is_away(tmp_path: Path, demo: Path) -> None:
    with Postgres(fsync=False) as postgres:
        environment = {"SOTTOVOCE_CONTROL_DATABASE_URL": postgres.create("control"), "SOTTOVOCE_API_KEY": KEY}
        migrate(tmp_path, environment)
        with Trio(tmp_path, SOTTOVOCE_DEFAULT_WAIT="0", **environment) as trio:
            with trio.at("eu1").client() as client:
                made = [client.post("/v1/api-keys", json={"name": name}).json() for name in ("doomed", "unused")]
            doomed, unused = made
            assert [status(trio, name, doomed["key_value"]) for name in NAMES] == [200] * 3
            assert [status(trio, name, KEY) for name in NAMES] == [200] * 3

            postgres.stop()
            job = trio.at("us1").submit(demo)
            assert trio.at("us1").wait(job)["status"] == "done"
            assert [status(trio, name, doomed["key_value"]) for name in NAMES] == [200] * 3
            for key in (unused["key_value"], "nobodys-key-at-all"):  # neither may be judged
                answer = ask(trio, "au1", key)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert "keys cannot be checked at the moment" in answer.json()["detail"]
            trio.kill_one("au1")  # it cannot come back now, and the others do not mind
            until(lambda: len(trio.events("region ended")) > 1, "a start in vain")
            assert [status(trio, name, KEY) for name in ("eu1", "us1")] == [200] * 2

            postgres.start()
            until(lambda: trio.answers("au1"), "the region's return")
            until(lambda: status(trio, "us1", unused["key_value"]) == 200, "the new key")
            with trio.at("eu1").client() as client:
                until(lambda: client.delete(f"/v1/api-keys/{doomed['apikey_id']}").status_code == 200, "the revocation")
            for name in NAMES:
                until(partial(is_nobodys, trio, name, doomed["key_value"]), "the revocation to bite")
            assert trio.at("us1").transcript(job, "txt")


def ask(trio: Trio, region: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{trio.urls[region]}/v2/jobs", headers=headers, timeout=PATIENCE, verify=tls())


def is_nobodys(trio: Trio, region: str, key: str) -> bool:
    return status(trio, region, key) == 401


def status(trio: Trio, region: str, key: str) -> int:
    return ask(trio, region, key).status_code

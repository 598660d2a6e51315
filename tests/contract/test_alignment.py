"""Texts put to recordings through a real server: V2 and V1, what is sent and what is fetched, what is refused and how it ends."""

import asyncio
import json
import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.outbound.policy import NOT_ALLOWED
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from tests.contract.aligning import (
    AUDIO,
    BILLED,
    HOPELESS,
    JOB,
    LINES,
    MEDIA,
    NO_TEXTS,
    OTHER,
    SAID,
    SECONDS,
    TEXT,
    Hopeless,
    accepted,
    bare,
    form,
    get,
    heard,
    legacy_refused,
    lined,
    numbered,
    post,
    put,
    refused,
    stored,
    there,
    told,
)
from tests.contract.v1_site import Site
from tests.gated import Gate
from tests.listeners import listening
from tests.postbox import Inbox
from tests.servers import CONFIG, PATIENCE, Server, tls, until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that bills, with a gate (open at first), a place that serves files and takes notifications, and a stranger."""
    home = tmp_path_factory.mktemp("aligning")
    gate = Gate(home / "gate")
    gate.open()
    environment = {
        "SOTTOVOCE_BILLING": "true",
        "SOTTOVOCE_CREDITS_PER_MINUTE": str(BILLED),
        "SOTTOVOCE_OUTBOUND_ALLOW": "127.0.0.1",
        "SOTTOVOCE_NOTIFICATION_PAUSES": "1,1,1",
        "SOTTOVOCE_FETCH_PAUSES": "0.2,0.2,0.2",
        "SOTTOVOCE_RETENTION_INTERVAL": "0.5",
        **gate.environment(),
    }
    with listening(there) as receiver, Server(home, **environment) as server:
        made = Site(server=server, gate=gate, inbox=Inbox(), receiver=receiver, poor=(0, ""))
        made.command("credits", "add", "1", "10000")
        shown = json.loads(made.command("users", "add", "stranger@example.org", "--no-password", "--json"))
        user, token = str(shown["id"]), shown["secret"]
        made.poor = int(user), token
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job of V2 that is done, the answer that made it, and its two outputs."""

    made: dict[str, Any]
    job: dict[str, Any]
    config: dict[str, Any]
    words: bytes
    lines: bytes

    @property
    def id(self) -> str:
        return str(self.made["id"])


@pytest.fixture(scope="module")
def done(site: Site) -> Done:
    url = site.receiver.url
    config = told(
        {"url": f"{url}/all", "contents": ["alignment", "alignment.one_per_line", "text", "data", "jobinfo"]},
        {"url": f"{url}/file"},
        {"url": f"{url}/raw", "contents": ["alignment.one_per_line"], "method": "put"},
    ) | {"tracking": {"title": "A text"}}
    answer = post(site.server, config, params={"wait": "100"})
    assert answer.status_code == 201, answer.text
    job_id = answer.json()["id"]
    job = get(site.server, f"/jobs/{job_id}", wait="100").json()["job"]
    words, lines = (
        get(site.server, f"/jobs/{job_id}/alignment", **query) for query in ({"wait": "100"}, {"tags": "one_per_line"})
    )
    assert {words.status_code, lines.status_code} == {200}, words.text + lines.text
    assert {words.headers["content-type"], lines.headers["content-type"]} == {"text/plain; charset=utf-8"}
    return Done(made=answer.json(), job=job, config=config, words=words.content, lines=lines.content)


# ── what comes back ──


def test_a_job_with_a_text_is_done_and_says_so(site: Site, done: Done) -> None:
    assert done.made == {"id": done.id, "status": "done"}
    assert list(done.job) == ["config", "created_at", "data_name", "duration", "id", "status", "text_name"]
    assert (done.job["status"], done.job["duration"]) == ("done", 3)
    assert (done.job["data_name"], done.job["text_name"]) == ("talk.flac", "talk.en.txt")
    assert json.dumps(done.job["config"]) == json.dumps(done.config), "echoed as it was sent"
    assert done.job in get(site.server, "/jobs").json()["jobs"]


def test_every_word_has_its_times_and_the_rest_is_untouched(done: Done) -> None:
    assert bare(done.words) == TEXT
    found = re.findall(r"<time=(\d+\.\d\d)>([^<]+)<time=(\d+\.\d\d)>", done.words.decode())
    assert [word for _, word, _ in found] == SAID
    times = [float(at) for start, _, end in found for at in (start, end)]
    assert times == sorted(times)
    assert times[-1] <= SECONDS + 0.01
    assert all(float(start) < float(end) for start, _, end in found)


def test_every_line_with_words_has_its_time_before_a_tab_and_others_have_none(done: Done) -> None:
    assert re.sub(rb"\[\d\d:\d\d:\d\d\.\d\]\t", b"", done.lines) == TEXT
    times, rest = zip(*lined(done.lines), strict=True)
    assert [line.startswith(begin) for line, begin in zip(rest, LINES, strict=True)] == [True] * 3
    starts = dict(re.findall(rb"<time=(\d+\.\d\d)>([^<]+)", done.words))
    firsts = [at for at, word in starts.items() if word in {b"Nothing", b"will", b"room."}]
    assert [f"00:00:{float(at):06.3f}"[:10].encode() for at in firsts] == list(times), "cut off, not rounded"


def test_the_text_comes_back_to_the_byte(site: Site, done: Done) -> None:
    answer = get(site.server, f"/jobs/{done.id}/text")
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["content-type"].startswith("text/plain")
    assert get(site.server, f"/jobs/{done.id}/data").content == MEDIA


def test_outputs_of_the_other_type_are_not_there(site: Site, done: Done) -> None:
    other = site.server.submit(AUDIO / "silence.wav", CONFIG)
    assert site.server.wait(other)["status"] == "done"
    for job_id, path, error in (
        (done.id, "transcript", "Job is not of type transcription"),
        (other, "alignment", "Job is not of type alignment"),
        (other, "text", "Job is not of type alignment"),
    ):
        assert refused(get(site.server, f"/jobs/{job_id}/{path}")) == (404, error)


@pytest.mark.parametrize("tags", ["", "json", "word_start_and_end,one_per_line", "ONE_PER_LINE"])
def test_unknown_tags_are_refused(site: Site, done: Done, tags: str) -> None:
    answer = get(site.server, f"/jobs/{done.id}/alignment", tags=tags)
    assert refused(answer) == (404, "Format Not Supported")


def test_the_log_names_the_engine_and_how_much_was_found(site: Site, done: Done) -> None:
    log = get(site.server, f"/jobs/{done.id}/log").text
    assert "best aligner for en" in log
    assert f"{len(SAID)} of {len(SAID)} words placed" in log
    assert "Nothing" not in log, "what is said stands in no log"


def test_nobody_elses_key_sees_any_of_it(site: Site, done: Done) -> None:
    with site.server.client() as client:

        def key(**body: Any) -> str:
            return str(client.post("/v1/api-keys", json=body).json()["key_value"])

        second = client.post("/v1/projects", json={"name": "second"}).json()["project_id"]
        neighbour, customer = key(name="next door", project_id=second), key(name="a customer", client_ref="shop 1")
    for stranger in (neighbour, customer, site.poor[1]):
        for path in ("", "/alignment", "/text", "/data", "/log"):
            assert refused(get(site.server, f"/jobs/{done.id}{path}", stranger)) == (404, "Job not found"), path


def test_usage_counts_it_as_an_alignment(site: Site, done: Done) -> None:
    database = Database(sqlite_url(site.server.data / "eu1" / "region.db"))
    try:
        with database.writing() as connection:
            mine = sa.update(t.job_usage).where(t.job_usage.c.job_id == done.id)
            assert connection.execute(mine.values(day=t.job_usage.c.day - 1)).rowcount == 1
    finally:
        database.close()
    used = get(site.server, "/usage").json()
    assert [(each["type"], each["count"]) for each in used["summary"]] == [("alignment", 1)]
    assert [(each["type"], each["language"]) for each in used["details"]] == [("alignment", "en")]


def test_the_vendors_client_reads_the_job(site: Site, done: Done) -> None:
    """It rebuilds the config from what is echoed, and fails on whatever it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import AsyncClient, JobDetails, JobStatus, JobType

    async def look() -> JobDetails:
        async with AsyncClient(api_key=site.server.key, url=f"{site.server.url}/v2") as client:
            return await client.get_job_info(done.id)

    info = asyncio.run(look())
    assert (info.status, info.config.type) == (JobStatus.DONE, JobType.ALIGNMENT)
    assert info.config.alignment_config.language == "en"


# ── notifications ──


def test_receivers_get_what_they_asked_for(site: Site, done: Done) -> None:
    asked = heard(site.receiver, done.id, 3)
    assert {each.query["status"] for each in asked.values()} == {"success"}
    parts = form(asked["/all"])
    info = json.loads(parts.pop("jobinfo")[2])
    assert (info["id"], info["text_name"], info["config"]["type"]) == (done.id, "talk.en.txt", "alignment")
    assert parts == {
        "alignment": (f"{done.id}.txt", "text/plain", done.words),
        "alignment.one_per_line": (f"{done.id}.txt", "text/plain", done.lines),
        "text": ("talk.en.txt", "text/plain", TEXT),
        "data": ("talk.flac", "audio/flac", MEDIA),
    }
    assert (asked["/raw"].method, asked["/raw"].body) == ("PUT", done.lines)
    assert asked["/raw"].headers["content-type"] == "text/plain; charset=utf-8"


def test_who_asks_for_nothing_gets_the_text_with_times_as_a_file(site: Site, done: Done) -> None:
    parts = form(heard(site.receiver, done.id, 3)["/file"])
    assert {name: content for name, (_, _, content) in parts.items()} == {"data_file": done.words}


# ── what is fetched ──


@pytest.mark.parametrize("fetched", [("text",), ("data",), ("text", "data")], ids=" and ".join)
def test_what_is_fetched_is_aligned_like_what_is_sent(site: Site, done: Done, fetched: tuple[str, ...]) -> None:
    sources = {"fetch_text": "/text?s=1", "fetch_data": "/media"}
    named = {
        name: {"url": site.receiver.url + path, "auth_headers": ["X-Key: hush"]}
        for name, path in sources.items()
        if name.removeprefix("fetch_") in fetched
    }
    config = {**JOB, **named}
    text, media = (None if "text" in fetched else TEXT), (None if "data" in fetched else MEDIA)
    job_id = accepted(post(site.server, config, text=text, media=media))
    job = site.server.wait(job_id)
    assert (job["status"], job["config"]) == ("done", config)
    assert (job["data_name"], job.get("text_name")) == (
        "" if "data" in fetched else "talk.flac",
        None if "text" in fetched else "talk.en.txt",
    )
    assert get(site.server, f"/jobs/{job_id}/alignment").content == done.words
    assert get(site.server, f"/jobs/{job_id}/text").content == TEXT
    assert get(site.server, f"/jobs/{job_id}/data").content == MEDIA
    gotten = [asked for asked in site.receiver.heard if asked.method == "GET"]
    assert {asked.headers["x-key"] for asked in gotten[-len(fetched) :]} == {"hush"}


@pytest.mark.parametrize(("path", "why"), [("/latin", "not UTF-8"), ("/wide", "not UTF-8"), ("/none", "no words")])
def test_what_is_fetched_and_is_no_text_rejects_the_job(site: Site, path: str, why: str) -> None:
    job_id = accepted(post(site.server, {**JOB, "fetch_text": {"url": site.receiver.url + path}}, text=None))
    job = site.server.wait(job_id)
    assert job["status"] == "rejected"
    (error,) = job["errors"]
    assert error["message"].startswith("Text could not be aligned to audio")
    assert why in error["message"]


def test_a_text_that_is_not_there_is_a_failed_fetch(site: Site) -> None:
    entry = {"url": f"{site.receiver.url}/hook", "contents": ["alignment"]}
    config = {**told(entry), "fetch_text": {"url": f"{site.receiver.url}/away"}}
    job_id = accepted(post(site.server, config, text=None))
    job = site.server.wait(job_id)
    assert job["status"] == "rejected"
    assert [error["message"] for error in job["errors"]] == ["unable to fetch text: http status code 404"] * 4
    (asked,) = heard(site.receiver, job_id).values()
    assert (asked.query["status"], json.loads(asked.body)["id"]) == ("fetch_error", job_id)
    assert refused(get(site.server, f"/jobs/{job_id}/alignment")) == (404, "Job rejected")


# ── what is refused at once ──


@pytest.mark.parametrize(("text", "why"), NO_TEXTS.values(), ids=NO_TEXTS.keys())
def test_what_is_no_text_is_refused_and_nothing_of_it_stays(site: Site, text: bytes, why: str) -> None:
    before = stored(site.server)
    answer = post(site.server, text=text)
    assert refused(answer) == (400, "Job rejected due to invalid text")
    assert why in answer.json()["detail"]
    assert stored(site.server) == before


INVALID = "Job config JSON is invalid. Error: "
FETCHED = {"url": "https://example.org/a"}
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "no text": (JOB, {"text": None}, "Missing text_file", ""),
    "no media": (JOB, {"media": None}, "Missing data_file", ""),
    "neither": (JOB, {"media": None, "text": None}, "Missing data_file", ""),
    "text twice": ({**JOB, "fetch_text": FETCHED}, {}, "Job rejected", INVALID + "fetch_text: must not"),
    "media twice": ({**JOB, "fetch_data": FETCHED}, {}, "Job rejected", INVALID + "fetch_data: must not"),
    "a text for a transcription": (CONFIG, {}, "Job rejected", INVALID + "text_file: is for jobs of type alignment"),
    "a language that nobody aligns": (
        {**JOB, "alignment_config": {"language": "de"}}, {}, "Job rejected",
        INVALID + "alignment_config.language: language 'de' cannot be aligned",
    ),
    "a language to be identified": (
        {**JOB, "alignment_config": {"language": "auto"}}, {}, "Job rejected", INVALID + "alignment_config.language: must be",
    ),
    "no language": ({**JOB, "alignment_config": {}}, {}, "Job rejected", INVALID + "alignment_config.language: is required"),
    "no alignment_config": ({"type": "alignment"}, {}, "Job rejected", INVALID + "alignment_config: is required"),
    "another type's config": ({"type": "alignment", "transcription_config": {"language": "en"}}, {}, "Job rejected", INVALID),
    "a forbidden address": (
        {**JOB, "fetch_text": {"url": "http://10.0.0.1/a"}}, {"text": None}, "Job rejected",
        INVALID + f"fetch_text.url: {NOT_ALLOWED}",
    ),
    "no audio": (JOB, {"media": b"this is no audio"}, "Job rejected due to invalid audio", ""),
    "empty audio": (JOB, {"media": b""}, "Job rejected due to invalid audio", ""),
}  # fmt: skip


@pytest.mark.parametrize(("config", "sent", "error", "detail"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_never_be_aligned_is_refused(
    site: Site, config: dict[str, Any], sent: dict[str, Any], error: str, detail: str
) -> None:
    before = stored(site.server)
    answer = post(site.server, config, **sent)
    assert refused(answer) == (400, error)
    assert answer.json().get("detail", "").startswith(detail)
    assert stored(site.server) == before


def test_a_key_for_one_text_is_none_for_another(site: Site, done: Done) -> None:
    headers = {"Idempotency-Key": "one text"}
    first = accepted(post(site.server, done.config, headers=headers))
    assert accepted(post(site.server, done.config, headers=headers)) == first
    assert refused(post(site.server, done.config, text=TEXT + b" ", headers=headers)) == (400, "Bad Request")
    assert get(site.server, f"/jobs/{first}/text").content == TEXT


# ── what cannot be aligned ──


@pytest.mark.parametrize("case", HOPELESS.values(), ids=HOPELESS.keys())
def test_what_is_not_said_is_rejected_with_a_reason(site: Site, case: Hopeless) -> None:
    job_id = accepted(post(site.server, text=case.text, media=case.media))
    job = site.server.wait(job_id)
    assert job["status"] == "rejected"
    (error,) = job["errors"]
    assert error["message"].startswith("Text could not be aligned to audio")
    assert case.why in error["message"]
    for path in ("/alignment", "/alignment?tags=one_per_line"):
        assert refused(get(site.server, f"/jobs/{job_id}{path}")) == (404, "Job rejected")
    assert get(site.server, f"/jobs/{job_id}/text").content == case.text


def test_who_waits_hears_that_it_was_rejected(site: Site) -> None:
    answer = post(site.server, text=OTHER, params={"wait": "100"}).json()
    assert answer == {"id": answer["id"], "status": "rejected"}


def test_receivers_hear_of_a_text_that_could_not_be_aligned(site: Site) -> None:
    entries = [
        {"url": f"{site.receiver.url}/{n}", "contents": c}
        for n, c in (("a", ["alignment"]), ("t", ["text", "jobinfo"]))
    ]
    job_id = accepted(post(site.server, told(*entries), text=OTHER))
    asked = heard(site.receiver, job_id, 2)
    assert {each.query["status"] for each in asked.values()} == {"error"}
    assert json.loads(asked["/a"].body)["status"] == "rejected"
    assert form(asked["/t"])["text"][2] == OTHER


@pytest.mark.parametrize(
    "text",
    [
        b"<" * 100_000 + TEXT,
        TEXT + b"<!--" * 50_000,
        b"<<<b>>" * 30 + TEXT,  # more of them would be more words than are said
        b"<time=0.10>" + TEXT + b"<time=x>",
        TEXT + "\U0001f600 \u202e\u0301 \u2028".encode(),
    ],
    ids=["tags that never end", "comments that never end", "tags in tags", "times of its own", "strange signs"],
)
def test_hostile_markup_comes_back_as_it_was(site: Site, text: bytes) -> None:
    job_id = accepted(post(site.server, text=text))
    ended = site.server.wait(job_id)
    assert ended["status"] == "done", ended
    words, lines = (
        get(site.server, f"/jobs/{job_id}/alignment", tags=tags) for tags in ("word_start_and_end", "one_per_line")
    )
    assert bare(words.content) == bare(text)
    assert re.sub(rb"\[\d\d:\d\d:\d\d\.\d\]\t", b"", lines.content) == text
    assert get(site.server, f"/jobs/{job_id}/text").content == text


# ── the end of it ──


def test_a_deleted_job_takes_its_text_along(site: Site) -> None:
    job_id = accepted(post(site.server))
    assert site.server.wait(job_id)["status"] == "done"
    assert site.server.blobs(job_id)
    with site.server.client() as client:
        answer = client.delete(f"/v2/jobs/{job_id}")
    assert (answer.status_code, answer.json()["job"]["status"]) == (200, "deleted")
    assert site.server.blobs(job_id) == []
    for path in ("alignment", "text"):
        assert refused(get(site.server, f"/jobs/{job_id}/{path}")) == (410, "File Expired")
    assert site.server.key not in site.server.log.read_text()


def test_a_job_that_was_fetched_is_over_and_its_text_with_it(site: Site) -> None:
    job_id = accepted(post(site.server, headers={"Retention-Seconds": "0"}))
    assert site.server.wait(job_id)["status"] == "done"
    assert get(site.server, f"/jobs/{job_id}/alignment").status_code == 200  # from now on nobody waits for it
    database = Database(sqlite_url(site.server.data / "eu1" / "region.db"))
    try:
        with database.writing() as connection:
            read = sa.update(t.jobs).where(t.jobs.c.id == job_id).values(read_at=t.jobs.c.read_at - 120_000)
            assert connection.execute(read).rowcount == 1
    finally:
        database.close()
    until(lambda: get(site.server, f"/jobs/{job_id}").status_code == 410, "end of the job's time")
    until(lambda: site.server.blobs(job_id) == [], "end of its bytes")
    assert refused(get(site.server, f"/jobs/{job_id}/text")) == (410, "File Expired")


# ── V1 ──


def test_v1_aligns_a_form_with_a_text(site: Site, done: Done) -> None:
    before = site.get("/user/1/")["user"]["balance"]
    answer = put(site, meta="Project X")
    number = numbered(answer)
    assert list(answer.json()) == ["balance", "check_wait", "cost", "id"]
    assert (answer.json()["cost"], answer.json()["balance"]) == (BILLED, before - BILLED)
    job = site.ended(number)
    assert {name: value for name, value in job.items() if name != "created_at"} == {
        "alignment": "talk.en.txt",
        "check_wait": None,
        "duration": 3,
        "id": number,
        "job_status": "done",
        "job_type": "alignment",
        "lang": "en-US",
        "meta": "Project X",
        "name": "talk.flac",
        "next_check": 0,
        "notification": "none",
        "text_name": "talk.en.txt",
        "url": f"/v1.0/user/1/jobs/{number}/audio",
        "user_id": 1,
    }
    for params, content in (({}, done.words), ({"tags": "one_per_line"}, done.lines)):
        shown = site.ask("GET", f"/user/1/jobs/{number}/alignment", params=params)
        assert (shown.status_code, shown.content) == (200, content)
        assert shown.headers["content-type"].startswith("text/plain")
    assert b".5]\t  Nothing" in re.sub(rb"\.\d\]", b".5]", done.lines), "a literal tab"
    unknown = site.ask("GET", f"/user/1/jobs/{number}/alignment", params={"tags": "two"})
    assert legacy_refused(unknown) == (404, "Output format Not Supported")
    assert legacy_refused(site.ask("GET", f"/user/1/jobs/{number}/transcript")) == (404, "Job not found")
    newest = site.get("/user/1/payments/", limit="1")["payments"][0]
    assert (newest["balance"], newest["description"]) == (-BILLED, "Alignment of talk.flac")


def test_v1_shows_it_at_work_and_says_how_long_to_wait(site: Site) -> None:
    site.gate.close()
    try:
        site.post(AUDIO / "speech.flac", model="en", notification="none")
        site.gate.held(site.server)  # the only slot is taken
        number, job_id = numbered(put(site)), accepted(post(site.server))
        job = site.get(f"/user/1/jobs/{number}/")["job"]
        assert (job["job_status"], job["alignment"]) == ("aligning", None)
        assert isinstance(job["check_wait"], int)
        assert job["next_check"] >= time.time()
        answer = site.ask("GET", f"/user/1/jobs/{number}/alignment")
        assert legacy_refused(answer) == (404, "Job In Progress")
        assert refused(get(site.server, f"/jobs/{job_id}/alignment", wait="0")) == (404, "Job In Progress")
        assert get(site.server, f"/jobs/{job_id}", wait="0").json()["job"]["status"] == "running"
        assert get(site.server, f"/jobs/{job_id}/text").content == TEXT, "it is there from the beginning"
    finally:
        site.gate.open()
    assert site.ended(number)["job_status"] == "done"


def test_v1_pays_back_what_could_not_be_aligned(site: Site) -> None:
    before = site.get("/user/1/")["user"]["balance"]
    number = numbered(put(site, text=OTHER))
    job = site.ended(number)
    assert (job["job_status"], job["alignment"], job["text_name"]) == ("could_not_align", None, "talk.en.txt")
    answer = site.ask("GET", f"/user/1/jobs/{number}/alignment")
    assert legacy_refused(answer) == (404, "Text could not be aligned to audio")
    until(lambda: site.get("/user/1/")["user"]["balance"] == before, "refund")
    refund, charge = site.get("/user/1/payments/", limit="2")["payments"]
    assert (charge["balance"], charge["description"]) == (-BILLED, "Alignment of talk.flac")
    assert (refund["balance"], refund["description"]) == (BILLED, "Refund: Alignment of talk.flac")


def test_v1_calls_back_with_the_text_and_its_times(site: Site, done: Done) -> None:
    number = numbered(put(site, notification="callback", callback=f"{site.receiver.url}/v1?x=y"))
    (asked,) = heard(site.receiver, str(number)).values()
    assert (asked.method, asked.target) == ("POST", f"/v1?x=y&id={number}")
    assert form(asked) == {"data_file": ("talk.en.txt", "text/plain", done.words)}


@pytest.mark.parametrize("text", [b"", b"<p>", "Café".encode("latin-1"), b"a\0b"])
def test_v1_refuses_what_is_no_text(site: Site, text: bytes) -> None:
    before = stored(site.server)
    assert legacy_refused(put(site, text=text)) == (400, "Malformed request")
    assert stored(site.server) == before


@pytest.mark.parametrize(
    ("model", "told"), [("de", (400, "Requested product not available")), ("", (400, "No language selected"))]
)
def test_v1_refuses_a_language_that_nobody_aligns(site: Site, model: str, told: tuple[int, str]) -> None:
    assert legacy_refused(put(site, model=model)) == told


def test_v1_refuses_a_text_without_its_audio(site: Site) -> None:
    answer = site.ask("POST", "/user/1/jobs/", data={"model": "en"}, files={"text_file": ("a.txt", TEXT)})
    assert legacy_refused(answer) == (400, "Missing data_file")
    answer = put(site, media=b"this is no audio")
    assert legacy_refused(answer) == (403, "Job rejected due to invalid audio")


def test_v1_takes_audio_without_a_byte_for_a_trial(site: Site) -> None:
    """The page's way of trying things out: free, done at once, everything as usual."""
    answer = put(site, media=b"")
    number = numbered(answer)
    assert (answer.json()["cost"], answer.json()["check_wait"]) == (0, None)
    job = site.ended(number)
    assert (job["job_status"], job["duration"], job["alignment"]) == ("done", 0, "talk.en.txt")
    shown = site.ask("GET", f"/user/1/jobs/{number}/alignment").content
    assert bare(shown) == TEXT
    assert set(re.findall(rb"<time=([^>]*)>", shown)) == {b"0.00"}
    lines = site.ask("GET", f"/user/1/jobs/{number}/alignment", params={"tags": "one_per_line"}).content
    assert [at for at, _ in lined(lines)] == [b"00:00:00.0"] * 3


def test_v1s_example_client_gets_its_text_with_times(site: Site, done: Done) -> None:
    """It sends the text with the file, sleeps `check_wait`, looks by status, and asks for a time a line."""
    url = f"{site.server.url}/v1.0/user/1/jobs/"
    params = {"auth_token": site.server.key}
    files = {"data_file": ("talk.flac", MEDIA), "text_file": ("talk.en.txt", TEXT)}
    with httpx.Client(timeout=PATIENCE, verify=tls()) as client:
        answer = client.post(url, data={"model": "en-US"}, files=files, params=params)
        number = json.loads(answer.text)["id"]
        details = json.loads(client.get(f"{url}{number}/", params=params).text)["job"]
        while details["job_status"] not in {"done", "expired", "unsupported_file_format", "could_not_align"}:
            time.sleep(min(details["check_wait"], 1))
            details = json.loads(client.get(f"{url}{number}/", params=params).text)["job"]
        assert (details["job_status"], details["job_type"]) == ("done", "alignment")
        output = client.get(f"{url}{number}/alignment", params={**params, "tags": "one_per_line"})
    assert (output.status_code, output.content) == (200, done.lines)


def test_a_job_of_one_api_is_one_of_the_other(site: Site, done: Done) -> None:
    number = numbered(put(site, meta="Project Y"))
    site.ended(number)
    mine = next(
        job
        for job in get(site.server, "/jobs").json()["jobs"]
        if job["config"].get("tracking") == {"details": {"meta": "Project Y"}}
    )
    assert mine["config"]["alignment_config"] == {"language": "en"}
    assert mine["text_name"] == "talk.en.txt"
    assert get(site.server, f"/jobs/{mine['id']}/alignment").content == done.words
    listed = [job for job in site.get("/user/1/jobs/")["jobs"] if job["job_type"] == "alignment"]
    assert {job["lang"] for job in listed} == {"en", "en-US"}


def test_nothing_went_wrong_inside(site: Site) -> None:
    assert [line for line in site.server.lines() if line["level"] in {"error", "critical"} or "error" in line] == []

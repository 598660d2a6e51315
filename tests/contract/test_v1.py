"""The legacy API V1 through a real server: every resource, every error in the words of its page, both views of one job."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.wire.v1.responses import rfc1123
from tests.contract.v1_site import CTIME, DECIMALS, RFC1123, Site, heard, receive
from tests.gated import Gate
from tests.listeners import listening
from tests.postbox import HERE, Inbox, postbox
from tests.servers import PATIENCE, Server, tls, until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("v1")
    gate, inbox = Gate(home / "gate"), Inbox()
    gate.open()
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(postbox(inbox))
        receiver = stack.enter_context(listening(receive))
        environment = {
            "SOTTOVOCE_BILLING": "true",
            "SOTTOVOCE_CREDITS_PER_MINUTE": "5",
            "SOTTOVOCE_OUTBOUND_ALLOW_PRIVATE": "true",
            "SOTTOVOCE_CALLBACK_TIMEOUTS": "5,5,5",
            "SOTTOVOCE_SMTP_HOST": HERE,
            "SOTTOVOCE_SMTP_PORT": str(port),
            "SOTTOVOCE_SMTP_SECURITY": "none",
            "SOTTOVOCE_SMTP_SENDER": "sottovoce@example.org",
            **gate.environment(),
        }
        server = stack.enter_context(Server(home, **environment))
        made = Site(server=server, gate=gate, inbox=inbox, receiver=receiver, poor=(0, ""))
        made.command("credits", "add", "1", "10000")
        user, token = added(made, "poor@example.org")
        made.poor = int(user), token
        yield made


def added(site: Site, email: str) -> tuple[str, str]:
    """The id and the key of a new user."""
    made = json.loads(site.command("users", "add", email, "--no-password", "--json"))
    return str(made["id"]), made["secret"]


@pytest.fixture(scope="module")
def done(site: Site, demo: Path) -> dict[str, Any]:
    """A transcription job that is done, and the answer that made it."""
    made = site.post(demo, model="en-US", meta="Project X", notification="none", diarization="none")  # the name of V2
    return {**site.ended(made["id"]), "made": made}


# ── resources ──


def test_a_user_is_shown(site: Site) -> None:
    user = site.get("/user/1/")["user"]
    assert set(user) == {"balance", "email", "id"}
    assert (user["id"], user["email"]) == (1, "")
    assert isinstance(user["balance"], int)


def test_both_roots_and_any_slashes_lead_there(site: Site) -> None:
    for path in ("/v1.0/user/1", "/v1.0/user/1/", "/v1/user/1", "/v1/user/1/", "/v1.0/user/1//"):
        answer = httpx.get(site.server.url + path, params={"auth_token": site.server.key}, verify=tls())
        assert (answer.status_code, answer.json()["user"]["id"]) == (200, 1), path


def test_a_job_is_accepted_charged_and_done(site: Site, demo: Path) -> None:
    before = site.get("/user/1/")["user"]["balance"]
    made = site.post(demo, model="en-US", notification="none")
    assert list(made) == ["balance", "check_wait", "cost", "id"]
    assert (made["cost"], made["balance"]) == (5, before - 5)  # one started minute
    assert 1 <= made["check_wait"] <= 30
    job = site.ended(made["id"])
    assert (job["job_status"], job["name"], job["transcription"]) == ("done", "demo.wav", "demo.json")


def test_a_done_job_has_every_member(site: Site, done: dict[str, Any]) -> None:
    assert {name: value for name, value in done.items() if name not in {"made", "created_at", "id", "url"}} == {
        "check_wait": None,
        "duration": 16,
        "job_status": "done",
        "job_type": "transcription",
        "lang": "en-US",
        "meta": "Project X",
        "name": "demo.wav",
        "next_check": 0,
        "notification": "none",
        "transcription": "demo.json",
        "user_id": 1,
    }
    assert RFC1123.fullmatch(done["created_at"])
    assert done["url"] == f"/v1.0/user/1/jobs/{done['id']}/audio"
    assert done["id"] == done["made"]["id"]
    assert done["id"] % 100 == 1  # eu1: no other region gives the same number


def test_a_transcript_has_every_member_and_says_what_was_said(site: Site, done: dict[str, Any], demo_text: str) -> None:
    shown = site.get(f"/user/1/jobs/{done['id']}/transcript")
    assert list(shown) == ["job", "speakers", "words", "format"]
    assert set(shown["job"]) == {"lang", "user_id", "name", "duration", "created_at", "id"}
    assert CTIME.fullmatch(shown["job"]["created_at"])
    assert shown["format"] == "1.0"
    assert [turn["name"] for turn in shown["speakers"]] == ["M1", "F1", "M1", "F1"]
    for turn in shown["speakers"]:
        assert list(turn) == ["duration", "confidence", "name", "time"]
        assert DECIMALS.fullmatch(turn["time"])
        assert DECIMALS.fullmatch(turn["duration"])
        assert turn["confidence"] is None
    for word in shown["words"]:
        assert list(word) == ["duration", "confidence", "name", "time"]
        assert DECIMALS.fullmatch(word["time"])
        assert DECIMALS.fullmatch(word["duration"])
        mark = word["name"] in ".,?!"
        assert (word["confidence"] is None) is mark
        assert (word["duration"] == "0.000") is mark
    spoken = [word["name"] for word in shown["words"] if word["name"] not in ".,?!"]
    assert spoken == heard(demo_text)
    assert [float(word["time"]) for word in shown["words"]] == sorted(float(word["time"]) for word in shown["words"])


def test_a_transcript_as_text_has_a_line_for_each_turn(site: Site, done: dict[str, Any], demo_text: str) -> None:
    answer = site.ask("GET", f"/user/1/jobs/{done['id']}/transcript", params={"format": "txt"})
    assert answer.headers["content-type"].startswith("text/plain")
    turns = [turn.split("\n") for turn in answer.text.split("\n\n")]
    assert [header for header, _ in turns] == [f"SPEAKER: {name}" for name in ("M1", "F1", "M1", "F1")]
    assert heard(" ".join(said for _, said in turns)) == heard(demo_text)


def test_who_wants_no_speakers_gets_one_line(site: Site, demo: Path, demo_text: str) -> None:
    number = site.post(demo, model="en", notification="none", diarisation="false")["id"]
    site.ended(number)
    assert site.get(f"/user/1/jobs/{number}/transcript")["speakers"] == []
    text = site.ask("GET", f"/user/1/jobs/{number}/transcript", params={"format": "txt"}).text
    assert "\n" not in text
    assert heard(text) == heard(demo_text)


def test_json_may_be_asked_for_by_name(site: Site, done: dict[str, Any]) -> None:
    path = f"/user/1/jobs/{done['id']}/transcript"
    assert site.get(path, format="json") == site.get(path)


def test_jobs_are_listed_by_rising_id_and_the_newest_are_chosen(site: Site, done: dict[str, Any], demo: Path) -> None:
    site.post(demo, model="en", notification="none")
    ids = [job["id"] for job in site.get("/user/1/jobs/")["jobs"]]
    assert ids == sorted(ids)
    assert done["id"] in ids
    assert [job["id"] for job in site.get("/user/1/jobs/", limit="2")["jobs"]] == ids[-2:]
    assert site.get("/user/1/jobs/", limit="0")["jobs"] == []
    today = time.strftime("%Y-%m-%d", time.gmtime())
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    if time.strftime("%Y-%m-%d", time.gmtime()) == today:  # midnight may pass in mid-test
        assert site.get("/user/1/jobs/", enddate=today)["jobs"] == []
        assert site.get("/user/1/jobs/", startdate=tomorrow)["jobs"] == []
    assert len(site.get("/user/1/jobs/", startdate="2013-01-01", enddate="2999-01-01")["jobs"]) >= 2


def test_payments_name_the_media_and_add_up(site: Site, done: dict[str, Any]) -> None:
    balance = site.get("/user/1/")["user"]["balance"]
    payments = site.get("/user/1/payments/")["payments"]
    assert sum(payment["balance"] for payment in payments) == balance
    assert payments[-1]["description"] == "10,000 credits added"
    assert {"balance": -5, "description": "Transcription of demo.wav"}.items() <= payments[-2].items()
    assert all(RFC1123.fullmatch(payment["created_at"]) for payment in payments)
    assert site.get("/user/1/payments/", limit="1")["payments"] == payments[:1]
    assert site.get("/user/1/payments/", enddate="2014-01-01")["payments"] == []


def test_the_status_needs_no_key_and_tells_of_known_issues(site: Site) -> None:
    def status() -> dict[str, Any]:
        return dict(httpx.get(f"{site.server.url}/v1.0/status", verify=tls()).json())

    shown = status()
    assert list(shown) == ["Average_Turnaround_Mins", "Known_Issues", "Queue_Length_Mins", "Status", "Time_UTC"]
    assert (shown["Known_Issues"], shown["Status"]) == (False, "Good")
    assert isinstance(shown["Average_Turnaround_Mins"], int)
    assert RFC1123.fullmatch(shown["Time_UTC"])
    assert "known issues: yes" in site.command("status", "--known-issues")
    until(lambda: status()["Known_Issues"] or None, "known issues")
    assert "known issues: no" in site.command("status", "--no-known-issues")
    until(lambda: status()["Known_Issues"] is False or None, "end of known issues")


# ── files that hold nothing ──


def test_an_empty_file_is_free_done_at_once_and_empty(site: Site, tmp_path: Path) -> None:
    (nothing := tmp_path / "nothing.mp3").touch()
    before = site.get("/user/1/")["user"]["balance"]
    made = site.post(nothing, model="en-GB", notification="none")
    assert (made["cost"], made["balance"], made["check_wait"]) == (0, before, None)
    job = site.get(f"/user/1/jobs/{made['id']}/")["job"]
    assert (job["job_status"], job["duration"], job["transcription"]) == ("done", 0, "nothing.json")
    shown = site.get(f"/user/1/jobs/{made['id']}/transcript")
    assert (shown["words"], shown["speakers"], shown["job"]["lang"]) == ([], [], "en-GB")
    assert site.ask("GET", f"/user/1/jobs/{made['id']}/transcript", params={"format": "txt"}).text == ""


def test_an_empty_file_is_told_of_like_any_other(site: Site, tmp_path: Path) -> None:
    (nothing := tmp_path / "nothing.wav").touch()
    made = site.post(nothing, model="en", notification="callback", callback=f"{site.receiver.url}/ok")
    (asked,) = until(lambda: site.receiver.about(str(made["id"])) or None, "callback")
    assert b'"words":[]' in asked.body


# ── notices ──


def test_a_callback_carries_the_transcript_as_a_file(site: Site, demo: Path) -> None:
    made = site.post(demo, model="en", notification="callback", callback=f"{site.receiver.url}/ok?who=me")
    (asked,) = until(lambda: site.receiver.about(str(made["id"])) or None, "callback")
    assert (asked.method, asked.path, asked.query["who"]) == ("POST", "/ok", "me")
    assert asked.headers["content-type"].startswith("multipart/form-data")
    head, _, rest = asked.body.partition(b"\r\n\r\n")
    assert b'name="data_file"; filename="demo.json"' in head
    told = json.loads(rest.rpartition(b"\r\n--")[0])
    assert told == site.get(f"/user/1/jobs/{made['id']}/transcript")


def test_a_callback_that_nobody_takes_is_tried_three_times_then_mailed(site: Site, demo: Path) -> None:
    user, token = added(site, "caller@example.org")
    site.command("credits", "add", user, "100")
    with demo.open("rb") as file:
        data = {"model": "en", "notification": "callback", "callback": f"{site.receiver.url}/status/503"}
        answer = site.ask(
            "POST", f"/user/{user}/jobs/", token=token, data=data, files={"data_file": ("talk.wav", file)}
        )
    number = answer.json()["id"]
    (letter,) = until(lambda: site.letters("caller@example.org", number) or None, "mail about the callback")
    assert len(site.receiver.about(str(number))) == 3
    assert "Response status: 503" in letter.get_content()
    assert "/status/503" not in letter.get_content()  # a path may be the secret


def test_a_mail_goes_to_the_registered_or_the_given_address(site: Site, demo: Path) -> None:
    user, token = added(site, "reader@example.org")
    site.command("credits", "add", user, "100")

    def numbered(**fields: str) -> int:
        with demo.open("rb") as file:
            answer = site.ask(
                "POST",
                f"/user/{user}/jobs/",
                token=token,
                data={"model": "en", **fields},
                files={"data_file": ("talk.wav", file)},
            )
        return int(answer.json()["id"])

    registered, given = numbered(), numbered(notification_email_address="desk@example.org")
    (first,) = until(lambda: site.letters("reader@example.org", registered) or None, "mail")
    assert first["Subject"] == f"Job {registered}: done"
    until(lambda: site.letters("desk@example.org", given) or None, "mail")
    assert site.letters("reader@example.org", given) == []


def test_who_has_no_address_gets_no_mail(site: Site, demo: Path) -> None:
    made = site.post(demo, model="en")  # user 1 never gave one
    site.ended(made["id"])
    assert f"Job {made['id']}" not in repr([letter["Subject"] for letter in site.inbox.letters])


# ── credits ──


def test_a_job_that_costs_more_than_there_is_is_refused_and_nothing_is_charged(site: Site, demo: Path) -> None:
    user, token = site.poor
    with demo.open("rb") as file:
        answer = site.ask("POST", f"/user/{user}/jobs/", token=token, data={"model": "en"}, files={"data_file": file})
    assert (answer.status_code, answer.json()) == (403, {"code": 403, "error": "Insufficient Credit"})
    shown = site.ask("GET", f"/user/{user}/", token=token).json()["user"]
    assert shown == {"balance": 0, "email": "poor@example.org", "id": user}
    assert site.ask("GET", f"/user/{user}/jobs/", token=token).json() == {"jobs": []}


def test_v2_is_refused_too(site: Site, demo: Path) -> None:
    config = {"type": "transcription", "transcription_config": {"language": "en"}}
    with demo.open("rb") as file:
        answer = httpx.post(
            f"{site.server.url}/v2/jobs",
            headers={"authorization": f"Bearer {site.poor[1]}"},
            data={"config": json.dumps(config)},
            files={"data_file": file},
            verify=tls(),
        )
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")
    assert "credit" in answer.json()["detail"]


def test_an_unreadable_file_found_late_is_paid_back(site: Site, demo: Path) -> None:
    """It was good when it was accepted; what the worker finds when its turn comes is none."""
    before = site.get("/user/1/")["user"]["balance"]
    site.gate.close()
    try:
        first = site.post(demo, model="en", notification="none")["id"]
        site.gate.held(site.server)  # the only slot is taken
        second = site.post(demo, model="en", notification="none")
        assert second["balance"] == before - 10
        media = site.server.data / "eu1" / "blobs" / "jobs" / by_number(site, second["id"]) / "input"
        media.write_bytes(b"this is no audio")
    finally:
        site.gate.open()
    job = site.ended(second["id"])
    assert (job["job_status"], job["transcription"]) == ("unsupported_file_format", None)
    answer = site.ask("GET", f"/user/1/jobs/{second['id']}/transcript")
    assert refused(answer) == (404, "Job was rejected on submission")
    until(lambda: site.get("/user/1/")["user"]["balance"] == before - 5 or None, "refund")
    assert site.ended(first)["job_status"] == "done"


# ── errors, in the words of the page ──


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and text; the body has exactly two members."""
    body = answer.json()
    assert set(body) == {"code", "error"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["error"]


FORMS: list[tuple[str, dict[str, str], bytes | None, tuple[int, str]]] = [
    ("no file", {"model": "en-US"}, None, (400, "Missing data_file")),
    ("no model", {}, b"x", (400, "No language selected")),
    ("empty model", {"model": ""}, b"x", (400, "No language selected")),
    ("unknown model", {"model": "xx"}, b"x", (400, "Requested product not available")),
    ("no aligner", {"model": "de", "text_file": "some text"}, b"x", (400, "Requested product not available")),
    ("no words", {"model": "en", "text_file": "<p>"}, b"x", (400, "Malformed request")),
    ("no callback", {"model": "en", "notification": "callback"}, b"x", (400, "Missing callback")),
    ("odd notification", {"model": "en", "notification": "pigeon"}, b"x", (400, "Malformed request")),
    ("odd diarisation", {"model": "en", "diarisation": "maybe"}, b"x", (400, "Malformed request")),
    ("long meta", {"model": "en", "meta": "x" * 1025}, b"x", (400, "Malformed request")),
    ("odd address", {"model": "en", "notification_email_address": "nobody"}, b"x", (400, "Malformed request")),
    ("odd callback", {"model": "en", "notification": "callback", "callback": "ftp://e.org"}, b"x", (400, "Malformed request")),
    ("no audio", {"model": "en"}, b"this is no audio", (403, "Job rejected due to invalid audio")),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "media", "told"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_a_form_is_refused_in_the_words_of_the_page(
    site: Site, fields: dict[str, str], media: bytes | None, told: tuple[int, str]
) -> None:
    blobs = site.server.data / "eu1" / "blobs" / "jobs"
    before = set(blobs.glob("*"))  # there is no folder before the first job
    files: dict[str, Any] = {} if media is None else {"data_file": ("a.wav", media)}
    answer = site.ask("POST", "/user/1/jobs/", data=fields, files=files or {"other": ("o", b"")})
    assert refused(answer) == told
    assert {path for path in set(blobs.glob("*")) - before if any(path.iterdir())} == set()


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "application/json"])
def test_what_is_no_form_holds_no_file(site: Site, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert refused(site.ask("POST", "/user/1/jobs/", content=b"model=en", headers=headers)) == (
        400,
        "Missing data_file",
    )


def test_a_form_that_breaks_off_is_malformed(site: Site) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = site.ask("POST", "/user/1/jobs/", content=b"--b\r\nContent-Dispo", headers=headers)
    assert refused(answer) == (400, "Malformed request")


@pytest.mark.parametrize(
    ("user", "token"),
    [("1", ""), ("1", "wrong"), ("2", None), ("x", None), ("-1", None), ("1" * 30, None), ("%00", None)],
)
def test_a_user_and_a_token_that_do_not_belong_together(site: Site, user: str, token: str | None) -> None:
    for path in ("/", "/jobs/", "/payments/", "/jobs/101/", "/jobs/101/transcript", "/jobs/101/alignment"):
        answer = site.ask("GET", f"/user/{user}{path}", token=token)
        assert refused(answer) == (401, "Invalid User Id or Token"), path


def test_anothers_job_is_not_found(site: Site, done: dict[str, Any]) -> None:
    user, token = site.poor
    for path in ("/", "/transcript", "/alignment"):
        answer = site.ask("GET", f"/user/{user}/jobs/{done['id']}{path}", token=token)
        assert refused(answer) == (404, "Job not found")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/nonexistentendpoint", (404, "Page Not Found")),
        ("/user/1/jobs/999999999901/", (404, "Job not found")),
        ("/user/1/jobs/99999999999999999999999/", (404, "Job not found")),
        ("/user/1/jobs/first/", (400, "Malformed request")),
        ("/user/1/jobs/1.5/", (400, "Malformed request")),
        ("/user/1/jobs/%D9%A1/", (400, "Malformed request")),
        ("/user/1/jobs/?limit=many", (400, "Malformed request")),
        ("/user/1/jobs/?startdate=yesterday", (400, "Malformed request")),
        ("/user/1/payments/?enddate=2014-13-01", (400, "Malformed request")),
        ("/user/1/jobs/101/audio", (404, "Page Not Found")),
    ],
)
def test_an_address_is_refused_in_the_words_of_the_page(site: Site, path: str, told: tuple[int, str]) -> None:
    path, _, query = path.partition("?")
    params = dict([query.split("=")]) if query else {}
    assert refused(site.ask("GET", path, params=params)) == told


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/user/1/jobs/101/"), ("PUT", "/user/1/"), ("POST", "/status")]
)
def test_another_method_is_refused(site: Site, method: str, path: str) -> None:
    answer = site.ask(method, path)
    assert refused(answer) == (405, "Method Not Allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["transcript?format=xml", "transcript?format=srt"])
def test_an_unknown_format_is_refused(site: Site, done: dict[str, Any], path: str) -> None:
    path, _, query = path.partition("?")
    answer = site.ask("GET", f"/user/1/jobs/{done['id']}/{path}", params=dict([query.split("=")]))
    assert refused(answer) == (404, "Output format Not Supported")


def test_a_transcription_is_no_alignment(site: Site, done: dict[str, Any]) -> None:
    answer = site.ask("GET", f"/user/1/jobs/{done['id']}/alignment")
    assert refused(answer) == (404, "Job is not of type alignment")


def test_a_job_at_work_says_how_long_to_wait_and_has_no_transcript(site: Site, demo: Path) -> None:
    site.gate.close()
    try:
        number = site.post(demo, model="en", notification="none")["id"]
        site.gate.held(site.server)
        job = site.get(f"/user/1/jobs/{number}/")["job"]
        assert (job["job_status"], job["transcription"]) == ("transcribing", None)
        assert isinstance(job["check_wait"], int)
        assert job["next_check"] >= time.time()
        assert refused(site.ask("GET", f"/user/1/jobs/{number}/transcript")) == (404, "Job In Progress")
    finally:
        site.gate.open()
    assert site.ended(number)["job_status"] == "done"


# ── one store ──


def by_number(site: Site, number: int) -> str:
    """V2's id of a job of V1."""
    database = Database(sqlite_url(site.server.data / "eu1" / "region.db"))
    try:
        with database.reading() as connection:
            return str(connection.execute(sa.select(t.jobs.c.id).where(t.jobs.c.v1_id == number)).scalar_one())
    finally:
        database.close()


def test_a_job_of_v1_is_one_of_v2(site: Site, done: dict[str, Any]) -> None:
    job_id = by_number(site, done["id"])
    with site.server.client() as client:
        job = client.get(f"/v2/jobs/{job_id}").json()["job"]
        listed = [each["id"] for each in client.get("/v2/jobs").json()["jobs"]]
        text = client.get(f"/v2/jobs/{job_id}/transcript", params={"format": "txt"}).text
        whole = client.get(f"/v2/jobs/{job_id}/transcript").json()
        log = client.get(f"/v2/jobs/{job_id}/log").text
    assert job_id in listed
    assert "the form field 'diarization' is unknown and has no effect; the nearest known name is 'diarisation'" in log
    assert (job["status"], job["data_name"], job["duration"]) == ("done", done["name"], done["duration"])
    assert job["config"] == {
        "type": "transcription",
        "transcription_config": {"language": "en", "output_locale": "en-US", "diarization": "speaker"},
        "tracking": {"details": {"meta": "Project X"}},
    }
    legacy = site.ask("GET", f"/user/1/jobs/{done['id']}/transcript", params={"format": "txt"}).text
    assert text == legacy.replace("SPEAKER: M1", "SPEAKER: S1").replace("SPEAKER: F1", "SPEAKER: S2")
    words = [item["alternatives"][0]["content"] for item in whole["results"]]
    assert words == [word["name"] for word in site.get(f"/user/1/jobs/{done['id']}/transcript")["words"]]


def test_a_job_of_v2_is_one_of_v1(site: Site, demo: Path) -> None:
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en"},
        "tracking": {"details": {"meta": "Project Y"}},
        "notification_config": [{"url": f"{site.receiver.url}/ok", "contents": []}],
    }
    job_id = site.server.submit(demo, config)
    ended = site.server.wait(job_id)
    job = next(job for job in reversed(site.get("/user/1/jobs/")["jobs"]) if job["meta"] == "Project Y")
    assert {name: value for name, value in job.items() if name not in {"id", "url", "created_at"}} == {
        "check_wait": None,
        "duration": ended["duration"],
        "job_status": "done",
        "job_type": "transcription",
        "lang": "en",
        "meta": "Project Y",
        "name": "demo.wav",
        "next_check": 0,
        "notification": "callback",
        "transcription": "demo.json",
        "user_id": 1,
    }
    instant = ended["created_at"]
    assert job["created_at"] == rfc1123(round(epoch(instant) * 1000))
    shown = site.get(f"/user/1/jobs/{job['id']}/transcript")
    whole = site.server.transcript(job_id)
    for word, item in zip(shown["words"], whole["results"], strict=True):
        assert word["name"] == item["alternatives"][0]["content"]
        assert abs(float(word["time"]) - item["start_time"]) < 0.006
        assert abs(float(word["duration"]) - (item["end_time"] - item["start_time"])) < 0.011
        if item["type"] == "word":
            assert abs(float(word["confidence"]) - item["alternatives"][0]["confidence"]) < 0.006


def epoch(instant: str) -> float:
    """Epoch seconds of RFC 3339."""
    return datetime.fromisoformat(instant).timestamp()


def test_what_v2_deletes_v1_does_not_find(site: Site, demo: Path) -> None:
    number = site.post(demo, model="en", notification="none")["id"]
    site.ended(number)
    with site.server.client() as client:
        assert client.delete(f"/v2/jobs/{by_number(site, number)}").status_code == 200
    assert refused(site.ask("GET", f"/user/1/jobs/{number}/")) == (404, "Job not found")
    assert number not in [job["id"] for job in site.get("/user/1/jobs/")["jobs"]]


# ── the vendor's example client, by what it sends and how it reads ──


def test_the_example_client_gets_its_transcript(site: Site, demo: Path, demo_text: str) -> None:
    """`requests` sends the file first and the fields behind it; the client then sleeps `check_wait` and looks by status."""
    url = f"{site.server.url}/v1.0/user/1/jobs/"
    params = {"auth_token": site.server.key}
    with demo.open("rb") as file, httpx.Client(timeout=PATIENCE, verify=tls()) as client:
        fields = {"model": "en-US", "diarisation": "false"}
        answer = client.post(url, data=fields, files={"data_file": file}, params=params)
        number = json.loads(answer.text)["id"]
        details = json.loads(client.get(f"{url}{number}/", params=params).text)["job"]
        while details["job_status"] not in {"done", "expired", "unsupported_file_format", "could_not_align"}:
            time.sleep(min(details["check_wait"], 1))
            details = json.loads(client.get(f"{url}{number}/", params=params).text)["job"]
        assert details["job_type"] == "transcription"
        output = client.get(f"{url}{number}/transcript", params={**params, "format": "txt"})
    assert heard(output.text) == heard(demo_text)


# ── secrets ──


def test_no_token_and_no_text_reaches_the_log(site: Site, done: dict[str, Any]) -> None:
    assert done
    log = site.server.log.read_text()
    for secret in (site.server.key, site.poor[1], "Project X", "poor@example.org", "/status/503"):
        assert secret not in log

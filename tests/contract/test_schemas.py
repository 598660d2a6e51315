"""Every answer of V2 as the published description has it, and the rules that no schema can tell."""

import io
import json
import re
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import jsonschema
import pytest

from sottovoce.job import TERMINAL
from sottovoce.wire.v2.errors import PUBLISHED
from sottovoce.wire.v2.job import STATUS
from tests.conftest import SHARED
from tests.contract import deviations
from tests.contract.failures import AUDIO, FAILURES, JOB, JOBS, SILENCE, SPEECH, UNKNOWN, submit
from tests.contract.published import Published
from tests.gated import Gate
from tests.servers import CONFIG, Server, files, tls, until

pytestmark = pytest.mark.system

FORMATS = ("json-v2", "txt", "srt", "vtt")
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VENDOR = "application/vnd.speechmatics.v2+json"
RULE = {"from": "/(/", "to": "x"}
MALFORMED_RULE = {
    "type": "transcription",
    "transcription_config": {"language": "en", "transcript_filtering_config": {"replacements": [RULE]}},
}
PATIENCE = 60
WAITS = "waits"
"""The custom word of a job that does not end."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two slots, so that one long job holds nobody up, and a default wait that shows."""
    home = tmp_path_factory.mktemp("schemas")
    settings = {"SOTTOVOCE_SLOTS": "2", "SOTTOVOCE_DEFAULT_WAIT": "50", "SOTTOVOCE_MAX_UPLOAD_BYTES": "40000000"}
    with Server(home, **settings, **Gate(home / "gate").environment(WAITS)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def done(server):
    """A job that is done."""
    job_id = server.submit(SPEECH, {**CONFIG, "tracking": {"title": "Ä", "details": {"b": 1}}})
    assert server.wait(job_id)["status"] == "done"
    return job_id


@pytest.fixture(scope="module")
def rejected(server):
    """A job that failed."""
    job_id = server.submit(SPEECH, MALFORMED_RULE)
    assert server.wait(job_id)["status"] == "rejected"
    return job_id


@pytest.fixture(scope="module")
def deleted(server, client):
    """A job that was deleted."""
    job_id = server.submit(SPEECH)
    server.wait(job_id)
    assert client.delete(f"/v2/jobs/{job_id}").status_code == 200
    return job_id


@pytest.fixture(scope="module")
def running(server, client):
    """A job that runs for as long as these tests do: it waits at a gate that stays closed."""
    members: dict[str, Any] = {"language": "en", "additional_vocab": [{"content": WAITS}]}
    job_id = server.submit(SPEECH, {**CONFIG, "transcription_config": members})
    yield job_id
    client.delete(f"/v2/jobs/{job_id}", params={"force": "true"})


@pytest.fixture(scope="module")
def jobs(done, rejected, deleted, running):
    """One job in each state."""
    return {"done": done, "rejected": rejected, "deleted": deleted, "running": running}


@pytest.fixture(scope="module")
def published():
    return Published(SHARED / "contract" / "rest.json", "batch")


@pytest.fixture(scope="module")
def superseded():
    return Published(SHARED / "contract" / "rest.json", "batch_superseded")


def ids(client: httpx.Client, **query: Any) -> list[str]:
    """Ids of the list."""
    return [job["id"] for job in client.get("/v2/jobs", params=query).json()["jobs"]]


# ── the published description ──


@pytest.mark.shared
@pytest.mark.parametrize("wait", [None, "0", "50"])
@pytest.mark.parametrize("form", FORMATS)
def test_answers_to_a_submission(client, published, wait, form):
    query = {} if wait is None else {"wait": wait, "format": form}
    answer = submit(client, SPEECH, params=query)
    assert answer.status_code == 201
    published.verify(answer, JOBS)


@pytest.mark.shared
def test_the_answer_to_a_submission_that_fails(client, published):
    answer = submit(client, SPEECH, MALFORMED_RULE, params={"wait": "50"})
    published.verify(answer, JOBS)
    assert {key: value for key, value in answer.json().items() if key != "id"} == {"status": "rejected"}


@pytest.mark.shared
@pytest.mark.parametrize("query", [{}, {"limit": "2"}, {"include_deleted": "true"}])
def test_lists(client, published, jobs, query):
    answer = client.get("/v2/jobs", params=query)
    published.verify(answer, JOBS)
    assert answer.json()["jobs"]


@pytest.mark.shared
@pytest.mark.parametrize("state", ["done", "rejected", "running"])
def test_job_objects(client, published, jobs, state):
    answer = client.get(f"/v2/jobs/{jobs[state]}", params={"wait": "0"})
    published.verify(answer, JOB)
    assert answer.json()["job"]["status"] == state


@pytest.mark.shared
def test_the_answer_to_a_delete(server, client, published):
    job_id = server.submit(SILENCE)
    server.wait(job_id)
    answer = client.delete(f"/v2/jobs/{job_id}", params={"force": "false"})
    published.verify(answer, JOB)
    assert answer.json()["job"]["status"] == "deleted"


@pytest.mark.shared
@pytest.mark.parametrize("form", FORMATS)
def test_transcripts(client, published, done, form):
    answer = client.get(f"/v2/jobs/{done}/transcript", params={"format": form})
    assert answer.status_code == 200
    published.verify(answer, f"{JOB}/transcript")


@pytest.mark.shared
def test_a_transcript_with_everything_in_it(server, client, published):
    config = {
        "type": "transcription",
        "transcription_config": {
            "language": "en", "diarization": "channel", "channel_diarization_labels": ["Agent"], "operating_point": "standard",
            "audio_filtering_config": {}, "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki"]}],
            "punctuation_overrides": {"sensitivity": 0.4, "permitted_marks": [".", ","]}, "enable_entities": True,
        },
        "output_config": {"srt_overrides": {"max_line_length": 30, "max_lines": 1}},
        "translation_config": {"target_languages": ["en"]}, "summarization_config": {}, "sentiment_analysis_config": {},
        "topic_detection_config": {"topics": ["music"]}, "auto_chapters_config": {}, "audio_events_config": {},
        "tracking": {"title": "t", "reference": "r", "tags": ["a"], "details": {"any": [1, {"x": None}]}},
    }  # fmt: skip
    job_id = server.submit(AUDIO / "stereo_44k.wav", config)
    assert server.wait(job_id)["status"] == "done"
    answer = client.get(f"/v2/jobs/{job_id}/transcript")
    published.verify(answer, f"{JOB}/transcript")
    published.verify(client.get(f"/v2/jobs/{job_id}"), JOB)


@pytest.mark.shared
def test_the_log_and_the_media(client, published, superseded, done):
    log = client.get(f"/v2/jobs/{done}/log")
    published.verify(log, f"{JOB}/log")
    superseded.verify(log, f"{JOB}/log")
    data = client.get(f"/v2/jobs/{done}/data")
    superseded.verify(data, f"{JOB}/data")
    assert data.content == SPEECH.read_bytes()


@pytest.mark.shared
@pytest.mark.parametrize("failure", FAILURES, ids=[row[0] for row in FAILURES])
def test_failures(client, published, jobs, failure):
    _, path, ask, status, word = failure
    answer = ask(client, jobs)
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    published.verify(answer, path)


@pytest.mark.shared
def test_failures_of_the_media(client, superseded, deleted):
    for job_id, status in ((deleted, 410), (UNKNOWN, 404)):
        answer = client.get(f"/v2/jobs/{job_id}/data")
        assert answer.status_code == status
        superseded.verify(answer, f"{JOB}/data")


@pytest.mark.shared
def test_failures_without_an_operation(client, published):
    for answer, status in ((client.get("/v2/nowhere"), 404), (client.put("/v2/jobs"), 405)):
        assert answer.status_code == status
        assert status in deviations.STATUSES
        published.error(answer)


@pytest.mark.shared
def test_words_beyond_the_list_are_the_named_ones(published):
    words = set(published._part["definitions"]["ErrorResponse"]["properties"]["error"]["enum"])
    assert words | set(deviations.WORDS) >= PUBLISHED


@pytest.mark.shared
def test_the_schemas_would_find_a_fault(client, published, done):
    reference = published.operation("GET", f"{JOB}/transcript").answers[200]
    good = client.get(f"/v2/jobs/{done}/transcript").json()
    published.check(good, reference)
    for path, wrong in (
        (("job", "duration"), 2.5), (("job", "created_at"), "yesterday"), (("metadata", "more"), 1), (("results", 0, "type"), "noise"),
        (("results", 0, "alternatives", 0, "confidence"), None), (("metadata", "language_pack_info", "x"), 1), (("format",), 2.9),
    ):  # fmt: skip
        body = json.loads(json.dumps(good))
        *way, last = path
        inner = body
        for step in way:
            inner = inner[step]
        inner[last] = wrong
        with pytest.raises(jsonschema.ValidationError):
            published.check(body, reference)


# ── what no schema tells ──


def test_members_of_a_job_stand_in_alphabetical_order(client, jobs):
    listed = client.get("/v2/jobs", params={"include_deleted": "true"}).json()["jobs"]
    single = [
        client.get(f"/v2/jobs/{job_id}?wait=0").json()["job"]
        for job_id in (jobs["done"], jobs["rejected"], jobs["running"])
    ]
    for job in (*listed, *single):
        assert list(job) == sorted(job)
        assert {"created_at", "data_name", "duration", "id", "status"} <= set(job)
        assert type(job["duration"]) is int
        assert job["duration"] >= 0
        assert INSTANT.fullmatch(job["created_at"])
        assert re.fullmatch("[a-z0-9]{10}", job["id"])
        assert job["status"] in STATUS.values()


def test_json_is_compact_and_without_a_newline(client, done):
    """All but the config of a job, which is the caller's own text."""
    for path in ("/v2/jobs", f"/v2/jobs/{done}", f"/v2/jobs/{done}/transcript"):
        text = re.sub(r'"config":\{.*?\},"created_at"', '"config":{},"created_at"', client.get(path).text)
        assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("route", ["", "/transcript", "/data", "/log"])
def test_a_slash_at_the_end_changes_nothing(client, done, route):
    for path in ("/v2/jobs", f"/v2/jobs/{done}{route}"):
        bare, slashed = client.get(path), client.get(f"{path}/")
        assert (bare.status_code, bare.content) == (slashed.status_code, slashed.content)
        assert not slashed.history


def test_a_slash_at_the_end_of_a_submission_and_of_a_delete(server, client):
    answer = client.post("/v2/jobs/", data={"config": json.dumps(CONFIG)}, files={"data_file": SILENCE.read_bytes()})
    assert answer.status_code == 201
    server.wait(answer.json()["id"])
    assert client.delete(f"/v2/jobs/{answer.json()['id']}/").json()["job"]["status"] == "deleted"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml", "application/json"),
        ("text/plain", "application/json"),
        (VENDOR, VENDOR),
        ("application/vnd.speechmatics.v2", VENDOR),
        (f"{VENDOR}, application/json", VENDOR),
    ],
)
def test_json_comes_under_the_type_that_is_asked_for(client, done, accept, kind):
    headers = {"Accept": accept} if accept else {}
    for path in ("/v2/jobs", f"/v2/jobs/{done}", f"/v2/jobs/{done}/transcript"):
        assert client.get(path, headers=headers).headers["content-type"] == kind
    assert submit(client, headers=headers).headers["content-type"] == kind
    for form in FORMATS[1:]:
        text = client.get(f"/v2/jobs/{done}/transcript", params={"format": form}, headers=headers)
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
    error = client.get(f"/v2/jobs/{UNKNOWN}", headers=headers)
    assert error.headers["content-type"] == "application/json"


def test_every_route_answers_a_browsers_preflight(client, server):
    paths = client.get("/openapi.json").json()["paths"]
    assert len(paths) >= 8
    for path in (*paths, "/docs", "/nowhere", "/v2/jobs/"):
        asked = {
            "Origin": "https://example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = httpx.options(server.url + path.replace("{job_id}", UNKNOWN), headers=asked)
        assert answer.status_code == 204
        assert answer.content == b""
        allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
        assert {"authorization", "content-type", "idempotency-key"} <= allowed
        methods = {name.strip() for name in answer.headers["access-control-allow-methods"].split(",")}
        assert {"GET", "POST", "DELETE", "OPTIONS"} <= methods


def test_every_answer_may_be_read_by_a_browser(client, server, done):
    answers = [
        client.get("/v2/jobs"), client.get(f"/v2/jobs/{done}/data"), client.get("/nowhere"), client.put("/v2/jobs"),
        httpx.get(f"{server.url}/v2/jobs", verify=tls()), client.get("/health/live"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Request-Id" in answer.headers["access-control-expose-headers"]
    assert len({answer.headers["request-id"] for answer in answers}) == len(answers)


def test_unknown_query_parameters_and_headers_are_nobodys_business(server, client, done):
    query = "sm-sdk=python-5.0.0&sm-app=x%20y&jwt=&a[]=1&a[]=%ff&=&%00=1&wait_until=z"
    headers = {"X-SM-EAR-Tag": "", "X-SM-Processing-Data": "{}", "X-Request-Id": "x" * 300, "Accept-Charset": "utf-8"}
    for path in (
        "/v2/jobs",
        f"/v2/jobs/{done}",
        f"/v2/jobs/{done}/transcript",
        f"/v2/jobs/{done}/data",
        f"/v2/jobs/{done}/log",
    ):
        assert client.get(f"{path}?{query}", headers=headers).status_code == 200
    answer = client.post(
        f"/v2/jobs?{query}",
        data={"config": json.dumps(CONFIG)},
        files={"data_file": SILENCE.read_bytes()},
        headers=headers,
    )
    assert answer.status_code == 201
    server.wait(answer.json()["id"])
    assert client.delete(f"/v2/jobs/{answer.json()['id']}?{query}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "config",
    [
        '{"type":"transcription","transcription_config":{"language":"en"}}',
        '{"transcription_config":{"operating_point":"enhanced","language":"en"},"type":"transcription"}',
        '{"notification_config":null,"type":"transcription","transcription_config":{"language":"en","additional_vocab":null}}',
        '{"type":"transcription","transcription_config":{"language":"en","additional_vocab":[],"channel_diarization_labels":[]}}',
        '{"zebra":{"b":[1,2.5,-3],"a":"\u00e9\u4e16\\u0007"},"type":"transcription","transcription_config":{"unknown":true,"language":"en"}}',
        '{"type":"transcription","transcription_config":{"language":"en"},"tracking":{"details":{"z":9007199254740993,"a":{}}}}',
    ],
    ids=["plain", "another order", "nulls", "empty lists", "strangers", "large numbers"],
)
def test_the_config_comes_back_as_it_was_sent(client, config):
    job_id = submit(client, config=config).json()["id"]
    for path in (f"/v2/jobs/{job_id}?wait=0", "/v2/jobs?limit=1"):
        assert f'"config":{config}' in client.get(path).text


def test_a_rejected_job_says_why(client, rejected):
    job = client.get(f"/v2/jobs/{rejected}").json()["job"]
    assert job["status"] == "rejected"
    assert len(job["errors"]) == 1
    assert job["errors"][0]["message"]
    assert INSTANT.fullmatch(job["errors"][0]["timestamp"])


def test_wait_zero_never_waits_and_the_end_of_a_job_ends_any_wait(client, jobs):
    """The server's default wait is 50 s: what waits shows, by ending behind a job that never ends here."""
    for path in (f"/v2/jobs/{jobs['running']}?wait=0", f"/v2/jobs/{jobs['running']}?wait=-7"):
        begun = time.monotonic()
        assert client.get(path).json()["job"]["status"] == "running"
        assert time.monotonic() - begun < 40
    begun = time.monotonic()
    assert client.get(f"/v2/jobs/{jobs['running']}/transcript?wait=0").status_code == 404
    assert client.get(f"/v2/jobs/{jobs['rejected']}?wait=600").json()["job"]["status"] == "rejected"
    assert client.get(f"/v2/jobs/{jobs['done']}?wait=99999999").json()["job"]["status"] == "done"
    assert client.get(f"/v2/jobs/{jobs['done']}/transcript?wait=600").status_code == 200
    assert time.monotonic() - begun < 40
    job_id = submit(client, SPEECH).json()["id"]
    assert client.get(f"/v2/jobs/{job_id}").json()["job"]["status"] == "done"
    other = submit(client, SPEECH).json()["id"]
    assert client.get(f"/v2/jobs/{other}/transcript?format=txt").status_code == 200


def test_a_wait_that_runs_out_shows_the_job_as_it_is(client, running):
    assert client.get(f"/v2/jobs/{running}?wait=1").json()["job"]["status"] == "running"
    early = client.get(f"/v2/jobs/{running}/transcript?wait=1")
    assert (early.status_code, early.json()["error"]) == (404, "Job In Progress")


@pytest.mark.parametrize("form", FORMATS)
def test_a_submission_can_wait_for_its_transcript(client, form):
    body = submit(client, SPEECH, params={"wait": "50", "format": form}).json()
    assert list(body) == ["id", "status", form]
    assert body["status"] == "done"
    later = client.get(f"/v2/jobs/{body['id']}/transcript", params={"format": form})
    assert body[form] == (later.json() if form == "json-v2" else later.text)
    assert body[form]


def test_a_word_document_is_its_own_answer_and_no_part_of_json(client, done):
    answer = client.get(f"/v2/jobs/{done}/transcript", params={"format": "docx"})
    assert answer.headers["content-type"] == DOCX
    with zipfile.ZipFile(io.BytesIO(answer.content)) as document:
        assert b"<w:t" in document.read("word/document.xml")
    refused = submit(client, SPEECH, params={"wait": "50", "format": "docx"})
    assert (refused.status_code, refused.json()["error"]) == (404, "Format Not Supported")
    assert "get it from /v2/jobs/{id}/transcript" in refused.json()["detail"]


def test_a_submission_that_waits_too_short_says_created(client):
    body = submit(client, SPEECH, params={"wait": "0"}).json()
    assert list(body) == ["id", "status"]
    assert body["status"] == "created"
    assert list(submit(client).json()) == ["id"]


def test_paging_loses_no_job_even_when_many_come_at_once(client, server):
    with ThreadPoolExecutor(12) as pool:
        made = [answer.json()["id"] for answer in pool.map(lambda _: submit(client), range(24))]
    newest = ids(client, limit=100)
    assert set(made) <= set(newest)
    for size in (1, 7):
        paged: list[str] = []
        before: dict[str, str] = {}
        while jobs := client.get("/v2/jobs", params={"limit": size, **before}).json()["jobs"]:
            paged += [job["id"] for job in jobs]
            assert len(jobs) <= size
            before = {"created_before": jobs[-1]["created_at"]}
        assert paged == newest


def test_created_before_is_cut_to_the_millisecond(client, done):
    instant = client.get(f"/v2/jobs/{done}").json()["job"]["created_at"]
    later = (datetime.fromisoformat(instant) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    same = [instant, instant.replace("Z", "000Z"), instant.replace("Z", "999999Z"), instant.replace("Z", "+00:00")]
    before = [ids(client, limit=100, created_before=cursor) for cursor in same]
    assert all(listed == before[0] for listed in before)
    assert done not in before[0]
    assert ids(client, limit=100, created_before=later) == [done, *before[0]]
    assert done not in ids(client, limit=100, created_after=instant)
    raw = client.get(f"/v2/jobs?limit=100&created_before={instant[:-1]}+00:00")  # an unescaped plus sign
    assert [job["id"] for job in raw.json()["jobs"]] == before[0]


def test_deleted_jobs_are_listed_only_when_asked_for(client, deleted):
    assert deleted not in ids(client)
    assert deleted not in ids(client, include_deleted="false")
    (job,) = [job for job in client.get("/v2/jobs?include_deleted=true").json()["jobs"] if job["id"] == deleted]
    assert (job["status"], job["data_name"]) == ("deleted", "")
    assert "config" not in job


def test_a_running_job_is_deleted_by_force_with_everything_it_had(server, client):
    job_id = submit(client, AUDIO / "stereo_44k.wav").json()["id"]
    body = client.delete(f"/v2/jobs/{job_id}", params={"force": "true"}).json()
    assert (body["job"]["id"], body["job"]["status"]) == (job_id, "deleted")
    assert client.get(f"/v2/jobs/{job_id}").status_code == 410
    folder = server.data / "eu1" / "blobs" / "jobs" / job_id
    until(lambda: not files(folder), "empty folder", PATIENCE)


# ── the same request once more ──


def test_the_same_request_under_the_same_key_is_one_job(client):
    before = len(ids(client, limit=100))
    first, second = (submit(client, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(ids(client, limit=100)) == before + 1
    assert submit(client, headers={"Idempotency-Key": "once more"}).json() != first.json()
    assert submit(client).json() != first.json()


def test_another_request_under_the_same_key_is_refused(client, tmp_path, server):
    key = {"Idempotency-Key": "mine"}
    job_id = submit(client, headers=key).json()["id"]
    twin = tmp_path / SILENCE.name
    sound = bytearray(SILENCE.read_bytes())
    sound[-1] ^= 1
    twin.write_bytes(sound)  # the same name, the same size, other sound
    before = ids(client, limit=100)
    others = [
        submit(client, config={**CONFIG, "tracking": {"title": "x"}}, headers=key),
        submit(client, SPEECH, headers=key),
        submit(client, name="other.wav", headers=key),
        submit(client, twin, headers=key),
    ]
    for answer in others:
        assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")
        assert "Idempotency-Key" in answer.json()["detail"]
    assert ids(client, limit=100) == before
    folders = {path.name for path in (server.data / "eu1" / "blobs" / "jobs").iterdir()}
    assert folders <= set(ids(client, limit=100, include_deleted="true"))
    assert submit(client, headers=key).json()["id"] == job_id


def test_a_key_of_a_refused_request_is_free(client):
    key = {"Idempotency-Key": "free"}
    assert submit(client, config={}, headers=key).status_code == 400
    assert submit(client, AUDIO / "not_media.wav", headers=key).status_code == 400
    assert submit(client, headers=key).status_code == 201


@pytest.mark.parametrize("round_", range(3))
def test_two_at_once_under_one_key_are_one_job(client, server, round_):
    before = len(ids(client, limit=100))
    barrier = threading.Barrier(4)

    def send(_: int) -> httpx.Response:
        with server.client() as own:
            barrier.wait()
            return submit(own, headers={"Idempotency-Key": f"race {round_}"})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(ids(client, limit=100)) == before + 1


# ── odd but legal requests ──


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data"])
def test_a_content_type_on_a_request_without_body_means_nothing(client, done, kind):
    for path in (
        "/v2/jobs",
        f"/v2/jobs/{done}",
        f"/v2/jobs/{done}/transcript",
        f"/v2/jobs/{done}/data",
        f"/v2/jobs/{done}/log",
    ):
        assert client.get(path, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v2/jobs", "/v2/jobs/{}", "/v2/jobs/{}/transcript", "/v2/jobs/{}/data", "/v2/jobs/{}/log", "/health/live"]
)
def test_head_is_get_without_the_body(client, done, path):
    names = ("content-type", "content-length")
    for _ in range(20):  # jobs of other tests may still run, and the list grows when one is done
        before = client.get(path.format(done))
        given = client.head(path.format(done))
        after = client.get(path.format(done))
        if before.content == after.content:
            break
    assert (given.status_code, given.content) == (200, b"")
    assert {name: given.headers[name] for name in names} == {name: after.headers[name] for name in names}
    assert client.head(f"/v2/jobs/{UNKNOWN}").status_code == 404


def test_a_stretch_of_the_media(client, done):
    whole = SPEECH.read_bytes()
    for asked, wanted in (
        ("bytes=0-9", whole[:10]),
        ("bytes=-5", whole[-5:]),
        (f"bytes={len(whole) - 3}-", whole[-3:]),
    ):
        answer = client.get(f"/v2/jobs/{done}/data", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, wanted)
    for asked in ("bytes=9-2", "bytes=999999999-", "bytes=0-1,4-5", "bytes=a-b", "bytes=-0", "items=0-1", "x"):
        answer = client.get(f"/v2/jobs/{done}/data", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, whole)


def test_parts_in_any_order_and_of_any_type(client):
    sound, config = SILENCE.read_bytes(), json.dumps(CONFIG).encode()
    for parts in (
        [("data_file", ("a.wav", sound, "text/html")), ("config", (None, config, "application/json"))],
        [("config", ("config.json", config, "application/octet-stream")), ("data_file", ("", sound, ""))],
        [
            ("more", (None, b"x")),
            ("config", (None, b"\xef\xbb\xbf" + config)),
            ("data_file", ("../../a\\b/c.wav", sound)),
        ],
    ):
        answer = client.post("/v2/jobs", files=parts)
        assert answer.status_code == 201, answer.text
        name = client.get(f"/v2/jobs/{answer.json()['id']}?wait=0").json()["job"]["data_name"]
        assert name in {"a.wav", "", "c.wav"}


def test_nothing_went_wrong_inside(server, client):
    assert [line for line in server.lines() if line["level"] in {"error", "critical"} or "error" in line] == []
    listed = client.get("/v2/jobs?limit=100").json()["jobs"]
    assert {job["status"] for job in listed} <= {STATUS[state] for state in TERMINAL} | {"running"}


def test_lifecycle_is_told_on_request_only(client, done):
    plain = client.get(f"/v2/jobs/{done}").json()["job"]
    asked = client.get(f"/v2/jobs/{done}", params={"lifecycle": "true"}).json()["job"]
    told = asked.pop("lifecycle")
    assert asked == plain, "the contract's job object has no such member"
    assert (told["state"], told["progress"]) == ("done", 1.0)
    week = datetime.fromisoformat(told["delete_at"]) - datetime.fromisoformat(told["ended_at"])
    assert week == timedelta(days=7)
    listed = client.get("/v2/jobs", params={"lifecycle": "true"}).json()["jobs"]
    assert told in [job["lifecycle"] for job in listed]
    assert all("lifecycle" not in job for job in client.get("/v2/jobs").json()["jobs"])
    assert client.get("/v2/jobs", params={"lifecycle": "perhaps"}).status_code == 422

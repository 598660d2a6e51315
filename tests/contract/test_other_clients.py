"""Clients that are not written in Python, by what they send and by how they read; no other language is needed to run this."""

import io
import json
import re
import secrets
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, ValidationError

from sottovoce.errors import Kind as Fault
from sottovoce.wire.v2 import errors
from tests.contract.other_clients import (
    JS_WORDS,
    Answer,
    Connection,
    Created,
    JsClient,
    Part,
    Rejected,
    RetrieveJob,
    RustAlternative,
    RustClient,
    RustResult,
    Told,
    Unexpected,
    form,
    request,
    told,
)
from tests.servers import Server, until

pytestmark = pytest.mark.system

CONFIG: dict[str, Any] = {"transcription_config": {"language": "en"}, "type": "transcription"}
UNKNOWN = "n0suchj0b0"


# --- fixtures


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of their own."""
    with Server(tmp_path_factory.mktemp("other-clients")) as running:
        yield running


@pytest.fixture(scope="module")
def media(demo: Path) -> bytes:
    """The demo sample."""
    return demo.read_bytes()


@pytest.fixture(scope="module")
def long_media(media: bytes) -> bytes:
    """Ten minutes of it: still being worked on when it is asked for."""
    made = io.BytesIO()
    with wave.open(io.BytesIO(media)) as sample, wave.open(made, "wb") as many:
        many.setparams(sample.getparams())
        many.writeframes(sample.readframes(sample.getnframes()) * 40)
    return made.getvalue()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with Connection(server.url) as opened:
        yield opened


@pytest.fixture
def js(connection: Connection, server: Server) -> JsClient:
    return JsClient(connection, server.key)


@pytest.fixture
def rust(connection: Connection, server: Server) -> RustClient:
    return RustClient(connection, server.key)


@pytest.fixture(scope="module")
def done(server: Server, media: bytes) -> str:
    """A finished job of the JavaScript client."""
    with Connection(server.url) as opened:
        client = JsClient(opened, server.key)
        job_id = client.create(media, {**CONFIG, "tracking": {"title": "t"}}, name="dé.wav", kind="audio/wav")
        client.finished(job_id)
        return job_id


# --- JavaScript


def test_js_reads_a_finished_job(js: JsClient, done: str) -> None:
    job = js.job(done)
    assert (job["id"], job["status"], job["data_name"], job["duration"]) == (done, "done", "dé.wav", 16)
    assert job["config"] == {**CONFIG, "tracking": {"title": "t"}}
    transcript = js.result(done)
    assert transcript["job"]["tracking"] == {"title": "t"}
    assert transcript["metadata"]["transcription_config"] == CONFIG["transcription_config"]
    words = [result for result in transcript["results"] if result["type"] == "word"]
    assert len(words) > 20
    assert all(isinstance(each["alternatives"][0]["content"], str) for each in transcript["results"])


def test_js_reads_text_and_subtitles(js: JsClient, done: str) -> None:
    text, subtitles = js.result(done, "txt"), js.result(done, "srt")
    assert len(text.split()) > 20
    assert not text.endswith("\n")
    assert re.match(r"1\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n", subtitles)


def test_js_lists_jobs(js: JsClient, done: str) -> None:
    assert done in {job["id"] for job in js.jobs()}
    assert len(js.jobs(limit="1", created_before="9999-01-01T00:00:00.000Z", include_deleted="true")) == 1
    assert js.jobs(created_before="2000-01-01T00:00:00.000Z") == []


def test_js_gets_the_media_back(js: JsClient, done: str, media: bytes) -> None:
    """The client then fails on its own: it reads every answer without `text/plain` as JSON."""
    answer = js.data(done)
    assert (answer.status, answer.body) == (200, media)


@pytest.mark.parametrize(
    ("name", "shown"),
    [('a "b".wav', 'a "b".wav'), ("blob", "blob"), ("день 1.wav", "день 1.wav"), ("../x.wav", "x.wav")],
)
def test_js_names_its_file(js: JsClient, media: bytes, name: str, shown: str) -> None:
    job_id = js.create(media, CONFIG, name=name)
    assert js.delete(job_id, force=True)["data_name"] == shown


def test_js_deletes(js: JsClient, media: bytes) -> None:
    job_id = js.create(media, CONFIG)
    js.finished(job_id)
    assert js.delete(job_id)["status"] == "deleted"
    with told(410, "Job Expired"):
        js.delete(job_id)
    with told(410, "Job Expired"):
        js.job(job_id)
    for form_ in ("json-v2", "txt"):
        with told(410, "File Expired"):
            js.result(job_id, form_)
    assert job_id not in {job["id"] for job in js.jobs()}
    assert {job["id"]: job["status"] for job in js.jobs(include_deleted="true")}[job_id] == "deleted"


def test_js_is_too_early(js: JsClient, long_media: bytes) -> None:
    job_id = js.create(long_media, CONFIG)
    assert js.job(job_id)["status"] == "running"
    with told(404, "Job In Progress"):
        js.result(job_id)
    with told(423, "Resource Locked"):
        js.delete(job_id)
    assert js.delete(job_id, force=True)["status"] == "deleted"


def test_js_and_rust_hear_why_a_job_was_rejected(js: JsClient, rust: RustClient, media: bytes) -> None:
    """A malformed regular expression fails the job, not the request (§6.2)."""
    filtering = {"replacements": [{"from": "/(/", "to": "x"}]}
    config = {**CONFIG, "transcription_config": {"language": "en", "transcript_filtering_config": filtering}}
    job_id = js.create(media, config)
    with pytest.raises(Rejected) as caught:
        js.finished(job_id)
    (errors_,) = caught.value.args
    assert errors_
    assert all(set(each) == {"message", "timestamp"} and each["message"] for each in errors_)
    job = rust.job(job_id)
    assert (job.status, len(job.errors or [])) == ("rejected", len(errors_))
    with told(404, "Job rejected"):
        js.result(job_id)


def test_js_with_a_wrong_key(connection: Connection) -> None:
    stranger = JsClient(connection, "wrong")
    for call in (stranger.jobs, lambda: stranger.job(UNKNOWN), lambda: stranger.delete(UNKNOWN)):
        with told(401, "Permission Denied"):
            call()


def test_js_uploads_with_a_wrong_key(connection: Connection, long_media: bytes) -> None:
    """Refused before the body is read, and yet the connection is good for the next request."""
    stranger = JsClient(connection, "wrong")
    for _ in range(2):
        with told(401, "Permission Denied"):
            stranger.create(long_media, CONFIG)


def test_js_asks_for_an_unknown_job(js: JsClient) -> None:
    calls = (js.job, js.result, lambda job_id: js.result(job_id, "txt"), js.delete)
    for call in calls:
        with told(404, "Job not found"):
            call(UNKNOWN)


def test_js_asks_for_an_unknown_format(js: JsClient, done: str) -> None:
    with told(404, "Format Not Supported"):
        js.result(done, "xml")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"type": "transcription"}, "transcription_config"),
        ({"type": "transcription", "transcription_config": {"language": "zz"}}, "transcription_config.language"),
        (
            {"type": "transcription", "transcription_config": {"language": "en", "diarization": "x"}},
            "transcription_config.diarization",
        ),
    ],
)
def test_js_sends_a_bad_config(js: JsClient, media: bytes, config: dict[str, Any], named: str) -> None:
    with pytest.raises(Told, match="Job rejected") as caught:
        js.create(media, config)
    assert (caught.value.code, caught.value.word) == (400, "Job rejected")
    assert caught.value.detail.startswith("Job config JSON is invalid")
    assert named in caught.value.detail


@pytest.mark.parametrize("broken", [b"", b"this is no audio at all"])
def test_js_sends_no_audio(js: JsClient, broken: bytes) -> None:
    with told(400, "Job rejected due to invalid audio"):
        js.create(broken, CONFIG)


def test_js_sends_no_media(js: JsClient) -> None:
    with told(400, "Missing data_file"):
        js.create(None, CONFIG)


def test_js_knows_no_word_for_a_bad_query(js: JsClient) -> None:
    """The contract's own 422 texts are outside the published list (§3.3): the text itself must arrive."""
    with pytest.raises(Unexpected, match="limit in query should be greater than or equal to 1"):
        js.jobs(limit="0")


def test_js_knows_every_word_but_these() -> None:
    strange = {kind for kind, (_, word) in errors.V2.items() if word not in JS_WORDS}
    assert strange - errors.OUTSIDE_THE_LIST == {Fault.TOO_MANY_JOBS}  # known to the client's later versions


# --- Rust


def test_rust_submits_waits_and_reads(rust: RustClient, media: bytes) -> None:
    job_id = rust.submit(media, "example.wav", CONFIG).id
    job = rust.job(job_id)
    assert job.data_name == "example.wav"
    assert job.duration == 16
    assert job.config is not None
    assert job.config.transcription_config is not None
    until(lambda: rust.job(job_id).status == "done", "end of the job")
    transcript = rust.transcript(job_id)
    assert transcript.job.duration == 16
    assert {result.type for result in transcript.results} == {"word", "punctuation"}
    assert all(result.alternatives for result in transcript.results)
    assert len(rust.text(job_id).split()) > 20
    assert rust.delete(job_id).status == "deleted"


def test_rust_sends_all_that_it_can(rust: RustClient, media: bytes) -> None:
    config = {
        **CONFIG,
        "transcription_config": {
            "language": "en",
            "operating_point": "standard",
            "additional_vocab": [{"content": "Sottovoce", "sounds_like": ["sotto voce"]}],
            "diarization": "channel",
            "channel_diarization_labels": ["agent"],
            "enable_entities": False,
            "max_delay_mode": "flexible",
        },
        "tracking": {"title": "t", "tags": ["a"], "details": {"any": [1]}},
        "output_config": {"srt_overrides": {"max_line_length": 42, "max_lines": 1}},
    }
    job_id = rust.submit(media, "example.wav", config).id
    until(lambda: rust.job(job_id).status == "done", "end of the job")
    transcript = rust.transcript(job_id)
    assert transcript.metadata.transcription_config is not None
    assert transcript.metadata.transcription_config.channel_diarization_labels == ["agent"]
    assert transcript.metadata.output_config is not None
    assert transcript.job.tracking is not None
    assert transcript.job.tracking.details == {"any": [1]}
    assert {result.channel for result in transcript.results} == {"agent"}


def test_rust_lists_everything_that_lies_there(rust: RustClient, done: str, media: bytes) -> None:
    gone = rust.submit(media, "example.wav", CONFIG).id
    assert rust.delete(gone, "&force=true").status == "deleted"
    assert done in {job.id for job in rust.jobs()}
    assert gone not in {job.id for job in rust.jobs()}
    assert {job.id: job.status for job in rust.jobs("&limit=100&include_deleted=true")}[gone] == "deleted"
    assert len(rust.jobs("&limit=1")) == 1


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (RetrieveJob, {"job": {"created_at": "", "data_name": "", "id": "", "status": "done", "duration": 1.5}}),
        (RetrieveJob, {"job": {"created_at": "", "data_name": "", "id": "", "status": "created"}}),
        (RetrieveJob, {"job": {"created_at": "", "id": "", "status": "done"}}),
        (RustResult, {"start_time": 0, "end_time": 0, "type": "entity"}),
        (RustAlternative, {"content": "", "confidence": 1}),
    ],
)
def test_the_types_refuse_what_the_crate_refuses(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(body))


# --- curl


def curl(
    server: Server, media: bytes, *, version: str = "1.1", expect: bool = False, key: str = ""
) -> tuple[bytes, bytes]:
    """Head and body of `curl -F data_file=@demo.wav -F config='…' URL/v2/jobs/`."""
    boundary = f"------------------------{secrets.token_hex(8)}"
    disposition = "Content-Disposition: form-data; name="
    parts = (
        Part(
            head=f'{disposition}"data_file"; filename="demo.wav"\r\nContent-Type: application/octet-stream', body=media
        ),
        Part(head=f'{disposition}"config"', body=json.dumps(CONFIG).encode()),
    )
    body = form(boundary, *parts)
    headers = [
        ("Host", urlsplit(server.url).netloc),
        ("User-Agent", "curl/7.88.1"),
        ("Accept", "*/*"),
        ("Authorization", f"Bearer {key or server.key}"),
        ("Content-Length", str(len(body))),
        ("Content-Type", f"multipart/form-data; boundary={boundary}"),
    ]
    headers += [("Expect", "100-continue")] if expect else []
    return request("POST", "/v2/jobs/", headers, version=version), body


def created(answer: Answer) -> str:
    """The id in the answer to a submission."""
    assert answer.status == 201, answer.body
    assert answer.headers["content-type"] == "application/json"
    return Created.model_validate_json(answer.body).id


def test_curl_uploads(server: Server, connection: Connection, js: JsClient, media: bytes) -> None:
    head, body = curl(server, media)
    connection.send(head)
    connection.send(body)
    answer = connection.answer("POST")
    assert not answer.closed
    assert js.delete(created(answer), force=True)["data_name"] == "demo.wav"


def test_curl_waits_to_be_told_to_go_on(server: Server, connection: Connection, js: JsClient, media: bytes) -> None:
    head, body = curl(server, media, expect=True)
    connection.send(head)
    assert connection.interim().startswith(b"HTTP/1.1 100 ")
    connection.send(body)
    js.delete(created(connection.answer("POST")), force=True)


def test_curl_is_told_not_to_go_on(server: Server, connection: Connection, media: bytes) -> None:
    """Nobody uploads gigabytes to hear that the key is wrong."""
    head, _ = curl(server, media, expect=True, key="wrong")
    connection.send(head)
    answer = connection.answer("POST")
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "Permission Denied")


def test_curl_speaks_http_1_0(server: Server, js: JsClient, media: bytes) -> None:
    head, body = curl(server, media, version="1.0")
    with Connection(server.url) as old:
        old.send(head + body)
        answer = old.answer("POST")
        assert "transfer-encoding" not in answer.headers
        assert old.at_its_end()
    assert js.delete(created(answer), force=True)["status"] == "deleted"


@pytest.mark.parametrize("form_", ["json-v2", "txt", "srt"])
def test_curl_reads_over_http_1_0(server: Server, js: JsClient, done: str, form_: str) -> None:
    headers = [
        ("Host", "x"),
        ("User-Agent", "curl/7.88.1"),
        ("Accept", "*/*"),
        ("Authorization", f"Bearer {server.key}"),
    ]
    with Connection(server.url) as old:
        old.send(request("GET", f"/v2/jobs/{done}/transcript/?format={form_}", headers, version="1.0"))
        answer = old.answer()
        assert old.at_its_end()
    assert answer.ok
    shown = answer.body.decode()
    assert (json.loads(shown) if form_ == "json-v2" else shown) == js.result(done, form_)

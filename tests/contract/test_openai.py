"""OpenAI's audio API: formats, errors in its shape, bad input, isolation, and jobs that go when their answer is made.

Jobs with the custom word of the gate wait in the middle of their work until a test opens it.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from sottovoce.web.docs import openai_answers as described
from tests.contract.raw import BOUNDARY, MULTIPART, Part, exchange, head, multipart
from tests.gated import Gate
from tests.servers import PATIENCE, ROOT, Server, until

pytestmark = pytest.mark.system

AUDIO = ROOT / "tests" / "fixtures" / "audio"
TRANSCRIBE, TRANSLATE = "/v1/audio/transcriptions", "/v1/audio/translations"
WORD = "Sesame"
"""The custom word of the jobs that wait at the gate."""
COUNTED = 'sottovoce_jobs_accepted_total{api="openai"'
LIMIT = 20_000_000
"""Bytes of the largest upload."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module", params=["sqlite", "fleet"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment_of: Callable[[str, Path], dict[str, str]],
    gate: Gate,
) -> Iterator[Server]:
    """A server of their own: embedded, then on PostgreSQL and S3."""
    home = tmp_path_factory.mktemp("openai")
    more = {"SOTTOVOCE_MAX_UPLOAD_BYTES": str(LIMIT), "SOTTOVOCE_MAX_JOBS": "2", **gate.environment(WORD)}
    with Server(home, **environment_of(request.param, home), **more) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def post(client: httpx.Client, audio: Path, path: str = TRANSCRIBE, **fields: Any) -> httpx.Response:
    with audio.open("rb") as file:
        return client.post(path, data={"model": "whisper-1", **fields}, files={"file": (audio.name, file)})


def fault(answer: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    """The message of an error, which has this status and these members."""
    assert answer.status_code == status, answer.text
    error = described.OpenAiErrorResponse.model_validate_json(answer.content).error
    assert (error.code, error.param) == (code, param), answer.text
    return error.message


def jobs(client: httpx.Client) -> list[dict[str, Any]]:
    """All jobs, newest first, the deleted ones too."""
    return list(client.get("/v2/jobs", params={"include_deleted": "true"}).json()["jobs"])


# ── formats ──


def test_every_format(client: httpx.Client, demo: Path) -> None:
    text = post(client, demo, response_format="text").text
    assert len(text.split()) > 20
    said = text.strip()
    plain = post(client, demo).json()
    described.AudioText.model_validate(plain)
    assert plain["text"] == said
    both: dict[str, Any] = {"timestamp_granularities[]": ["word", "segment"]}
    verbose = post(client, demo, response_format="verbose_json", **both).json()
    described.AudioVerbose.model_validate(verbose)
    assert (verbose["text"], verbose["language"], verbose["duration"]) == (said, "english", 15.88)
    assert len(verbose["words"]) == len(said.split())
    assert "".join(each["text"] for each in verbose["segments"]).strip() == said
    diarized = post(client, demo, model="gpt-4o-transcribe-diarize", response_format="diarized_json").json()
    described.AudioDiarized.model_validate(diarized)
    assert diarized["segments"]
    assert post(client, demo, response_format="srt").text.startswith("1\n00:00:0")
    assert post(client, demo, response_format="vtt").text.startswith("WEBVTT\n")


def accepted(client: httpx.Client) -> float:
    """The jobs that the metrics count for this API."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(COUNTED))


def test_the_job_is_an_ordinary_one_and_goes_with_its_answer(server: Server, client: httpx.Client, demo: Path) -> None:
    before = accepted(client)
    assert post(client, demo, language="en", model="standard").status_code == 200
    newest = jobs(client)[0]
    assert newest["status"] == "deleted"
    assert newest["data_name"] == ""
    assert server.blobs(newest["id"]) == []
    assert accepted(client) == before + 1


def test_silence_is_an_empty_text(client: httpx.Client) -> None:
    assert post(client, AUDIO / "silence.wav").json()["text"] == ""


def test_models(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    described.OpenAiModels.model_validate(listed)
    names = [each["id"] for each in listed["data"]]
    assert {"whisper-1", "gpt-4o-transcribe", "standard", "enhanced"} <= set(names)
    for name in names:
        assert client.get(f"/v1/models/{name}").json()["id"] == name
    fault(client.get("/v1/models/nope"), 404, "model_not_found", "model")


# ── errors ──


def test_faults_of_the_request(client: httpx.Client, demo: Path) -> None:
    fault(post(client, demo, model="nope"), 404, "model_not_found", "model")
    fault(post(client, demo, response_format="xml"), 400, "unsupported_value", "response_format")
    assert "not available on this server" in fault(post(client, demo, language="cy"), 400, "invalid_value", "language")
    fault(post(client, demo, temperature="7"), 400, "invalid_value", "temperature")
    assert "sottovoce models pull" in fault(post(client, demo, TRANSLATE), 400, "invalid_value", "model")
    fault(client.post(TRANSCRIBE, data={"model": "whisper-1"}, files={"x": b""}), 400, "missing_required_parameter")
    fault(client.post(TRANSCRIBE, json={}), 400, None)
    fault(client.post(TRANSCRIBE), 400, None)
    for name in ("not_media.wav", "empty.wav", "picture.wav"):
        fault(post(client, AUDIO / name), 400, "audio_unreadable")
    fault(client.get("/v1/audio/voices"), 404, "unknown_url")
    answer = client.get(TRANSCRIBE)
    fault(answer, 405, "method_not_supported")
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_faults_of_the_key(server: Server, demo: Path) -> None:
    for headers in ({}, {"Authorization": "Bearer unknown"}, {"Authorization": f"Basic {server.key}"}):
        with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE) as stranger:
            answer = post(stranger, demo)
            fault(answer, 401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
            fault(stranger.get("/v1/models"), 401, "invalid_api_key")


def test_more_than_the_limit_is_refused_and_25_mb_is_no_limit(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(LIMIT + 1))
    fault(post(client, large), 413, "file_too_large", "file")
    declared = head(
        "POST",
        TRANSCRIBE,
        [
            ("Host", "x"),
            ("Authorization", f"Bearer {server.key}"),
            ("Content-Type", MULTIPART),
            ("Content-Length", str(LIMIT + 30_000_000)),
        ],
    )
    answer = exchange(server.url, declared, method="POST")
    assert answer is not None
    assert answer.status == 413
    TypeAdapter(described.OpenAiErrorResponse).validate_json(answer.body)


MODEL = Part(name="model", body=b"whisper-1")
SPEECH = Part(name="file", body=(AUDIO / "silence.wav").read_bytes(), filename="a.wav")
HOSTILE: dict[str, bytes] = {
    "twice": multipart([MODEL, MODEL, SPEECH]),
    "two files": multipart([MODEL, SPEECH, SPEECH]),
    "a field of 5 MB": multipart([Part(name="prompt", body=b"a" * (5 << 20)), MODEL, SPEECH]),
    "too many parts": multipart([Part(name="keywords[]", body=b"a")] * 600 + [MODEL, SPEECH]),
    "no end": multipart([MODEL, SPEECH], end=b""),
    "another boundary": multipart([MODEL, SPEECH], boundary="other"),
    "a model that is no text": multipart([Part(name="model", body=b"\xff\xfe"), SPEECH]),
    "a file for a model": multipart([Part(name="model", body=b"\0" * 9, filename="m"), SPEECH]),
    "nothing": b"",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_body_is_refused_in_this_apis_shape_and_leaves_nothing(
    server: Server, client: httpx.Client, case: str
) -> None:
    before = [job["id"] for job in jobs(client)]
    answer = client.post(TRANSCRIBE, content=HOSTILE[case], headers={"content-type": MULTIPART})
    assert answer.status_code == 400, answer.text
    described.OpenAiErrorResponse.model_validate_json(answer.content)
    assert [job["id"] for job in jobs(client)] == before
    if server.environment.get("SOTTOVOCE_BLOB_URL") is None:
        assert [path for path in (server.data / "eu1" / "blobs" / "jobs").glob("*/input") if path.stat().st_size] == []


def test_a_body_that_breaks_off_leaves_no_job(server: Server, client: httpx.Client) -> None:
    before = len(jobs(client))
    body = multipart([MODEL, SPEECH])
    lines = [("Host", "x"), ("Authorization", f"Bearer {server.key}"), ("Content-Type", MULTIPART)]
    sent = head("POST", TRANSCRIBE, [*lines, ("Content-Length", str(len(body)))]) + body[: len(body) // 2]
    exchange(server.url, sent, method="POST", hang_up=True)
    assert BOUNDARY in MULTIPART
    assert len(jobs(client)) == before


# ── a job while it runs: streams, isolation, disconnects ──


def held(client: httpx.Client, demo: Path, **fields: Any) -> httpx.Request:
    """A request whose job waits at the gate."""
    data = {"model": "whisper-1", "keywords[]": WORD, **fields}
    return client.build_request("POST", TRANSCRIBE, data=data, files={"file": ("a.wav", demo.read_bytes())})


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_stream_begins_before_the_job_ends(server: Server, client: httpx.Client, gate: Gate, demo: Path) -> None:
    gate.close()
    whole = post(client, demo).json()["text"]
    answer = client.send(held(client, demo, stream="true"), stream=True)
    with contextlib.closing(answer):
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        found = events(answer.iter_lines())
        first = next(found)
        job = jobs(client)[0]
        assert job["status"] == "running"
        assert first["type"] == "transcript.text.delta"
        assert whole.startswith(first["delta"])
        assert any("/progress/" in key for key in server.blobs(job["id"]))
        # another project's key sees neither the job nor its words
        secret = new_key(server, "other")
        with httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {secret}"}, timeout=PATIENCE
        ) as other:
            assert job["id"] not in {each["id"] for each in jobs(other)}
            for path in (f"/v2/jobs/{job['id']}", f"/v2/jobs/{job['id']}/transcript"):
                assert other.get(path, params={"wait": 0}).status_code == 404
        gate.open()
        rest = list(found)
    assert rest[-1] == {"type": "transcript.text.done", "text": whole}
    assert first["delta"] + "".join(each["delta"] for each in rest[:-1]) == whole
    until(lambda: jobs(client)[0]["status"] == "deleted", "deletion")
    assert server.blobs(job["id"]) == []


def new_key(server: Server, project: str) -> str:
    """A key of another project."""
    with server.client() as owner:
        made = owner.post("/v1/projects", json={"name": project}).json()["project_id"]
    return str(json.loads(server.told("keys", "create", project, "--project", str(made), "--json"))["secret"])


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_client_that_leaves_takes_its_job_along(
    client: httpx.Client, gate: Gate, demo: Path, server: Server, stream: str
) -> None:
    gate.close()
    with httpx.Client(base_url=server.url, headers=client.headers, timeout=PATIENCE) as leaving:
        thread = threading.Thread(target=_ignore, args=(leaving, held(leaving, demo, stream=stream)), daemon=True)
        thread.start()
        job_id = until(lambda: next((j["id"] for j in jobs(client) if j["status"] == "running"), None), "job")
        gate.held(server)
        until(lambda: server.blobs(job_id), "media")
        cut(leaving)
    until(lambda: next(j for j in jobs(client) if j["id"] == job_id)["status"] == "deleted", "deletion")
    until(lambda: server.blobs(job_id) == [], "deletion of the media")
    gate.open()
    thread.join(PATIENCE)
    assert post(client, demo).status_code == 200  # the slot is free again


def _ignore(client: httpx.Client, request: httpx.Request) -> None:
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError, RuntimeError):
        client.send(request)


def cut(client: httpx.Client) -> None:
    """Close the connections of *client*, as the end of its process would."""
    import socket

    for connection in client._transport._pool.connections:  # type: ignore[attr-defined]
        stream = connection._connection._network_stream
        stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def test_too_many_jobs_are_told_to_wait(server: Server, client: httpx.Client, gate: Gate, demo: Path) -> None:
    gate.close()
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(client.send, held(client, demo)) for _ in range(2)]
        until(lambda: len([j for j in jobs(client) if j["status"] == "running"]) == 2, "two jobs")
        answer = post(client, demo)
        fault(answer, 429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) > 0
        gate.open()
        assert [each.result().status_code for each in sent] == [200, 200]


def test_the_server_has_no_fault_to_tell(server: Server) -> None:
    assert [line for line in server.lines() if line["level"] in {"error", "critical"} or line["logger"] == "dbos"] == []

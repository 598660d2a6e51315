"""The batch clients for JavaScript and Rust, written again by what they send and by how they read.

The requests were taken from the wire of `@speechmatics/batch-client` 5.1.0 on Node 20, and from the sources of the crate
`speechmatics` 0.4.0 (contract `clients.md` §6, §10, §14).
"""

import contextlib
import json
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode, urlsplit

import pytest
from pydantic import BaseModel, ConfigDict, Field

from tests.servers import PATIENCE, until

# --- the wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. *closed*: the server said that this was the last answer on the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def ok(self) -> bool:
        """What `fetch` and `reqwest` call a success."""
        return 200 <= self.status < 300


class Connection:
    """One connection, kept alive from request to request as the clients do."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.host = where.netloc
        self._socket = socket.create_connection((where.hostname, where.port), PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, sent: bytes) -> None:
        """Exactly these bytes."""
        self._socket.sendall(sent)

    def interim(self) -> bytes:
        """What the server says before it has the body: the head of an informational answer."""
        seen = b""
        while not seen.endswith(b"\r\n\r\n"):
            seen += self._socket.recv(1)
        return seen

    def answer(self, method: str = "GET") -> Answer:
        """The next answer."""
        response = HTTPResponse(self._socket, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=headers, body=response.read(), closed=bool(response.will_close))

    def at_its_end(self) -> bool:
        """Whether the server has closed its side."""
        return self._socket.recv(1) == b""


def request(
    method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes = b"", *, version: str = "1.1"
) -> bytes:
    """A request with its headers in this order and in this spelling."""
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a form: the bytes of its header lines, and of its body."""

    head: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body and its content type."""

    data: bytes
    kind: str


Query = Sequence[tuple[str, str]]


def form(boundary: str, *parts: Part) -> bytes:
    """The body of a form."""
    line = f"--{boundary}".encode()
    return (
        b"".join(line + b"\r\n" + part.head.encode() + b"\r\n\r\n" + part.body + b"\r\n" for part in parts)
        + line
        + b"--\r\n"
    )


# --- the JavaScript client

JS_WORDS = frozenset({
    "Bad Request", "File Expired", "Forbidden", "Resource Locked", "Format Not Supported", "Internal Server Error", "Job error",
    "Job Expired", "Job In Progress", "Job is not of type alignment", "Job is not of type transcription", "Job not found",
    "Job rejected", "Job rejected due to invalid audio", "Job rejected due to invalid text", "Malformed request",
    "Missing callback", "Missing data_file", "Missing text_file", "No language selected", "Not Implemented",
    "Permission Denied", "Requested product not available", "Transcription not ready", "Log file not available",
    "Requested Early Access Release not available", "Unprocessable Entity",
})  # fmt: skip
"""The enumeration of 5.1.0; the repository's version adds the 429 of running jobs."""


class Told(Exception):
    """`SpeechmaticsResponseError`: the message is the word."""

    def __init__(self, code: int, word: str, detail: str) -> None:
        super().__init__(word)
        self.code = code
        self.word = word
        self.detail = detail


class Unexpected(Exception):
    """`SpeechmaticsUnexpectedResponse`: no word that the client knows."""


@contextlib.contextmanager
def told(code: int, word: str) -> Iterator[None]:
    """That the client throws *word*."""
    with pytest.raises(Told) as caught:
        yield
    assert (caught.value.code, caught.value.word) == (code, word)


class Rejected(Exception):
    """What `transcribe` throws: the job's `errors` as they are."""


class JsError(BaseModel):
    """Other members are ignored; a member that is there must not be null."""

    model_config = ConfigDict(strict=True)

    code: int | float
    error: str
    detail: str = ""


class JsClient:
    """`new BatchClient({apiKey, appId, apiUrl})`, on one kept connection."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key

    def ask(self, method: str, path: str, query: Query = (), *, kind: str = "", body: Body | None = None) -> Answer:
        """One `fetch`. *kind* is the content type that the client gives although there is no content."""
        target = f"{path}?{urlencode([('sm-sdk', 'js-5.1.0'), *query, ('sm-app', 'other clients/1')])}"
        headers = [("host", self._connection.host), ("connection", "keep-alive")]
        headers += [("Content-Type", kind)] if kind else []
        headers += [("Authorization", f"Bearer {self._key}")]
        headers += [("content-type", body.kind)] if body else []
        headers += [("accept", "*/*"), ("accept-language", "*"), ("sec-fetch-mode", "cors"), ("user-agent", "node")]
        headers += [("accept-encoding", "gzip, deflate")]
        headers += [("content-length", str(len(body.data)))] if body else []
        self._connection.send(request(method, target, headers, body.data if body else b""))
        return self._connection.answer(method)

    def _result(self, method: str, path: str, query: Query = (), *, kind: str = "", body: Body | None = None) -> Any:
        answer = self.ask(method, path, query, kind=kind, body=body)
        assert not answer.closed, "the client keeps its connection"
        assert "content-encoding" not in answer.headers
        if not answer.ok:
            error = JsError.model_validate(json.loads(answer.body))  # anything but JSON is a SyntaxError
            if error.error not in JS_WORDS:
                raise Unexpected(error.error)
            assert error.code == answer.status
            raise Told(answer.status, error.error, error.detail)
        return answer.body.decode() if kind == "text/plain" else json.loads(answer.body)

    def create(self, media: bytes | None, config: dict[str, Any], *, name: str = "blob", kind: str = "") -> str:
        """`createTranscriptionJob`: the media before the config, whatever the object's own order."""
        boundary = f"----formdata-undici-0{secrets.randbelow(10**11):011d}"
        shown = name.replace('"', "%22")
        parts = (
            [
                Part(
                    head=f'Content-Disposition: form-data; name="data_file"; filename="{shown}"\r\n'
                    f"Content-Type: {kind or 'application/octet-stream'}",
                    body=media,
                )
            ]
            if media is not None
            else []
        )
        text = json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode()
        parts.append(Part(head='Content-Disposition: form-data; name="config"', body=text))
        body = Body(data=form(boundary, *parts), kind=f"multipart/form-data; boundary={boundary}")
        return str(self._result("POST", "/v2/jobs", body=body)["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """`getJob`."""
        return dict(self._result("GET", f"/v2/jobs/{job_id}", kind="application/json")["job"])

    def result(self, job_id: str, form: str = "json-v2") -> Any:
        """`getJobResult`."""
        kind = "application/json" if form == "json-v2" else "text/plain"
        return self._result("GET", f"/v2/jobs/{job_id}/transcript", [("format", form)], kind=kind)

    def jobs(self, **filters: str) -> list[dict[str, Any]]:
        """`listJobs`."""
        return list(self._result("GET", "/v2/jobs", list(filters.items()), kind="application/json")["jobs"])

    def delete(self, job_id: str, *, force: bool = False) -> dict[str, Any]:
        """`deleteJob`: no content type, and `force` only when it is true."""
        return dict(self._result("DELETE", f"/v2/jobs/{job_id}", [("force", "true")] if force else [])["job"])

    def data(self, job_id: str) -> Answer:
        """`getDataFile`, before it tries to read the media as JSON."""
        return self.ask("GET", f"/v2/jobs/{job_id}/data", kind="application/json")

    def finished(self, job_id: str) -> dict[str, Any]:
        """The loop of `transcribe`, without its pauses of 3 s."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            if job["status"] == "rejected":
                raise Rejected(job["errors"])
            return job if job["status"] == "done" else None

        return until(ended, "end of the job")


# --- the Rust client, by its types

Int32 = Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)]
Status = Literal["running", "done", "rejected", "deleted", "expired"]
Kind = Literal["transcription", "alignment"]


class Rust(BaseModel):
    """A serde structure: exact types, members that are not known are ignored, `Option` may be absent or null."""

    model_config = ConfigDict(strict=True, extra="ignore")


class RustTracking(Rust):
    title: str | None = None
    reference: str | None = None
    tags: list[str] | None = None
    details: Any = None


class RustVocab(Rust):
    content: str
    sounds_like: list[str] | None = None


class RustTranscriptionConfig(Rust):
    language: str
    domain: str | None = None
    output_locale: str | None = None
    operating_point: Literal["standard", "enhanced"] | None = None
    additional_vocab: list[RustVocab] | None = None
    diarization: Literal["none", "speaker", "channel"] | None = None
    channel_diarization_labels: list[str] | None = None
    enable_entities: bool | None = None
    max_delay_mode: Literal["fixed", "flexible"] | None = None


class RustSrtOverrides(Rust):
    max_line_length: Int32 | None = None
    max_lines: Int32 | None = None


class RustOutputConfig(Rust):
    srt_overrides: RustSrtOverrides | None = None


class RustJobConfig(Rust):
    type: Kind
    transcription_config: RustTranscriptionConfig | None = None
    tracking: RustTracking | None = None
    output_config: RustOutputConfig | None = None


class RustJobError(Rust):
    timestamp: str
    message: str


class RustJobDetails(Rust):
    created_at: str
    data_name: str
    text_name: str | None = None
    duration: Int32 | None = None
    id: str
    status: Status
    config: RustJobConfig | None = None
    lang: str | None = None
    errors: list[RustJobError] | None = None


class RustJobInfo(Rust):
    created_at: str
    data_name: str
    duration: Int32
    id: str
    text_name: str | None = None
    tracking: RustTracking | None = None


class RustMetadata(Rust):
    created_at: str
    type: Kind
    transcription_config: RustTranscriptionConfig | None = None
    output_config: RustOutputConfig | None = None


class RustDisplay(Rust):
    direction: Literal["ltr", "rtl"]


class RustAlternative(Rust):
    content: str
    confidence: float
    language: str
    display: RustDisplay | None = None
    speaker: str | None = None
    tags: list[str] | None = None


class RustResult(Rust):
    channel: str | None = None
    start_time: float
    end_time: float
    is_eos: bool | None = None
    type: Literal["word", "punctuation"]
    alternatives: list[RustAlternative] | None = None


class Created(Rust):
    id: str


class RetrieveJob(Rust):
    job: RustJobDetails


class RetrieveJobs(Rust):
    jobs: list[RustJobDetails]


class RetrieveTranscript(Rust):
    format: str
    job: RustJobInfo
    metadata: RustMetadata
    results: list[RustResult]


class RustClient:
    """`BatchClient::new(key, Some("…/v2/"))`: header names in lower case, `sm-sdk` on some of the calls only."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key

    def _ask(self, method: str, target: str, body: bytes = b"", form_type: str = "") -> bytes:
        headers = [("content-type", form_type), ("content-length", str(len(body)))] if form_type else []
        headers += [("authorization", f"Bearer {self._key}"), ("accept", "*/*"), ("host", self._connection.host)]
        self._connection.send(request(method, target, headers, body))
        answer = self._connection.answer(method)
        assert answer.ok, f"error_for_status: {answer.status} {answer.body!r}"
        return answer.body

    def submit(self, media: bytes, name: str, config: dict[str, Any]) -> Created:
        """`submit_job`: neither part says what it is."""
        boundary = "-".join(secrets.token_hex(8) for _ in range(4))
        disposition = "Content-Disposition: form-data; name="
        parts = (
            Part(head=f'{disposition}"data_file"; filename="{name}"', body=media),
            Part(head=f'{disposition}"config"', body=json.dumps(config, separators=(",", ":")).encode()),
        )
        body = form(boundary, *parts)
        return Created.model_validate_json(
            self._ask("POST", "/v2/jobs", body, f"multipart/form-data; boundary={boundary}")
        )

    def job(self, job_id: str) -> RustJobDetails:
        """`get_job`, with no query at all."""
        return RetrieveJob.model_validate_json(self._ask("GET", f"/v2/jobs/{job_id}")).job

    def jobs(self, query: str = "") -> list[RustJobDetails]:
        """`get_jobs`."""
        return RetrieveJobs.model_validate_json(self._ask("GET", f"/v2/jobs?sm-sdk=rs-0.4.0{query}")).jobs

    def transcript(self, job_id: str) -> RetrieveTranscript:
        """`get_json_result`."""
        body = self._ask("GET", f"/v2/jobs/{job_id}/transcript?sm-sdk=rs-0.4.0&format=json-v2")
        return RetrieveTranscript.model_validate_json(body)

    def text(self, job_id: str) -> str:
        """`get_text_result`."""
        return self._ask("GET", f"/v2/jobs/{job_id}/transcript?sm-sdk=rs-0.4.0&format=txt").decode()

    def delete(self, job_id: str, query: str = "") -> RustJobDetails:
        """`delete_job`."""
        return RetrieveJob.model_validate_json(self._ask("DELETE", f"/v2/jobs/{job_id}?sm-sdk=rs-0.4.0{query}")).job

"""The pages of settings, metrics, errors and job options say what the code says: an undocumented name fails here.

`SOTTOVOCE_WRITE_DOCS=1` rewrites them.
"""

import os
from pathlib import Path

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.service.metrics import FAMILIES, Metrics
from sottovoce.settings import Settings
from sottovoce.web.docs import job_options
from sottovoce.wire.openai_audio.errors import OPENAI
from sottovoce.wire.v1.errors import PHRASES, V1
from sottovoce.wire.v2.errors import OUTSIDE_THE_LIST, v2_error

DOCS = Path(__file__).resolve().parents[2] / "docs"
WRITE = "run: SOTTOVOCE_WRITE_DOCS=1 .venv/bin/python -m pytest tests/unit/test_reference_docs.py"

MEANINGS: dict[Kind, str] = {
    Kind.BAD_REQUEST: "a header or the whole request is invalid",
    Kind.MALFORMED: "the body is not a well-formed multipart form, or has too many or too large parts",
    Kind.INVALID_CONFIG: "a field of the config is wrong, or asks for a feature that this server does not have",
    Kind.INVALID_QUERY: "a query parameter has the wrong type or is out of range",
    Kind.MISSING_DATA_FILE: "the form contains no media",
    Kind.MISSING_TEXT_FILE: "the form of an alignment job contains no text",
    Kind.MISSING_CALLBACK: "V1: the job asks for a callback without an address",
    Kind.NO_LANGUAGE: "V1: the form contains no `model`",
    Kind.INVALID_AUDIO: "the media is empty, contains no audio, or cannot be decoded",
    Kind.LANGUAGE: "the language of the speech was not identified, or is not among the expected languages: `errors[]` of the job",
    Kind.INVALID_TEXT: "the text of an alignment job is not usable",
    Kind.TOO_LARGE: "the media is larger than `SOTTOVOCE_MAX_UPLOAD_BYTES`",
    Kind.LENGTH_REQUIRED: "a length is needed and missing",
    Kind.REQUEST_TIMEOUT: "the body took longer than `SOTTOVOCE_UPLOAD_TIMEOUT`",
    Kind.UNAUTHENTICATED: "the request has no key, or an unknown or revoked key",
    Kind.FORBIDDEN: "the key is valid but lacks the right to do this",
    Kind.PAGE_NOT_FOUND: "the address does not exist",
    Kind.METHOD_NOT_ALLOWED: "the address does not accept the method",
    Kind.JOB_NOT_FOUND: "the job does not exist for this key",
    Kind.JOB_EXPIRED: "the job was deleted or has expired",
    Kind.FILE_EXPIRED: "the job's files were deleted or have expired",
    Kind.JOB_IN_PROGRESS: "the transcript is requested before the job has ended",
    Kind.JOB_REJECTED: "the transcript of a rejected job is requested; the detail gives the reason of the rejection",
    Kind.JOB_LOCKED: "a running job cannot be deleted without `force`",
    Kind.NOT_READY: "the job has ended and its transcript is not stored yet",
    Kind.NOT_TRANSCRIPTION: "the job is of another type",
    Kind.NOT_ALIGNMENT: "the job is of another type",
    Kind.FORMAT_NOT_SUPPORTED: "the `format` is not supported",
    Kind.LOG_NOT_AVAILABLE: "the job has no log",
    Kind.PRODUCT_NOT_AVAILABLE: "V1: the server does not offer the requested product",
    Kind.EAR_NOT_AVAILABLE: "the server does not offer the early-access release",
    Kind.MODEL_NOT_FOUND: "OpenAI's API: the server does not have the model",
    Kind.NOT_IMPLEMENTED: "this release does not implement this part of the contract",
    Kind.RATE_LIMITED: "too many requests; see `Retry-After`",
    Kind.TOO_MANY_JOBS: "too many jobs at the same time",
    Kind.TOO_MANY_SESSIONS: "realtime: too many sessions at the same time; the session gets `quota_exceeded`",
    Kind.STORAGE_FULL: "the storage has no space for the media",
    Kind.INSUFFICIENT_CREDIT: "the job costs more credits than the account has (with `SOTTOVOCE_BILLING`)",
    Kind.UNAVAILABLE: "the service is unavailable at this moment: a disk is full, or a database or the media store is away or locked; see "
    "`Retry-After`",
}


def _settings() -> str:
    lines = [
        "# Settings",
        "",
        "This page lists every setting with its default. A flag overrides the environment, the environment overrides the TOML file",
        "(`SOTTOVOCE_CONFIG`, else `sottovoce.toml` in the working folder), and the file overrides the default. In TOML a setting has its",
        "name without the prefix, in lower case. `serve` logs all settings at its start, secrets as stars.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in sorted(Settings.model_fields.items()):
        default = field.get_default(call_default_factory=True)
        shown = (
            ",".join(map(str, default)) if isinstance(default, tuple) else ("" if default in (None, {}) else default)
        )
        lines.append(f"| `SOTTOVOCE_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def _metrics() -> str:
    lines = [
        "# Metrics",
        "",
        "This page lists every metric of `GET /metrics`, which returns the Prometheus text format.",
        "",
        "| name | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    rows = ((f.name, f.kind.__name__.lower(), ", ".join(f.labels), f.meaning) for f in FAMILIES)
    lines.extend(f"| `{name}` | {kind} | {labels} | {meaning} |" for name, kind, labels, meaning in rows)
    return "\n".join(lines) + "\n"


def _errors() -> str:
    lines = [
        "# Errors",
        "",
        "This page lists every error of the API with its status and cause.",
        "",
        "## V2",
        "",
        "A response is `{code, error, detail}`; `detail` names the field, if there is one. An error marked * occurs in the contract but is",
        "missing from its published list.",
        "",
        "| kind | status | `error` | cause |",
        "|---|---|---|---|",
    ]
    for kind in Kind:
        status, body = v2_error(Refused(kind, "…"))
        mark = "*" if kind in OUTSIDE_THE_LIST else ""
        lines.append(f"| {kind} | {status} | {body['error']}{mark} | {MEANINGS[kind]} |")
    lines += [
        "",
        "## V1",
        "",
        "A response is `{code, error}`, with exactly these members. From status 500 on it is a piece of HTML that names the status. Causes are",
        "as above.",
        "",
        "| kind | status | `error` |",
        "|---|---|---|",
    ]
    lines += [f"| {kind} | {status} | {text or PHRASES[status]} |" for kind, (status, text) in V1.items()]
    lines += [
        "",
        "## OpenAI's API",
        "",
        "A response is `{error: {message, type, param, code}}`; `param` names the field, if there is one. Causes are as above.",
        "",
        "| kind | status | `type` | `code` |",
        "|---|---|---|---|",
    ]
    lines += [f"| {kind} | {status} | {word} | {code or 'null'} |" for kind, (status, word, code) in OPENAI.items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("settings.md", _settings),
        ("metrics.md", _metrics),
        ("errors.md", _errors),
        ("job-options.md", job_options.markdown),
    ],
)
def test_the_page_says_what_the_code_says(name, make):
    page, made = DOCS / name, make()
    if os.environ.get("SOTTOVOCE_WRITE_DOCS"):
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made, WRITE


def test_every_setting_has_a_meaning():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_metric_is_rendered():
    metrics = Metrics()
    metrics.accepted("v2", 1)
    metrics.finished("done")
    metrics.removed("expired")
    metrics.limited("submit")
    metrics.recognised("pocketsphinx", audio=1, seconds=1)
    metrics.child_died()
    metrics.delivered("notification", "delivered")
    metrics.fetched("done")
    metrics.request("/v2/jobs", "GET", 200, 0.1)
    metrics.realtime.started("whisper-base", "chosen")
    metrics.realtime.refused("full")
    metrics.realtime.ended("done")
    metrics.snapshot({"done": 1}, {"pocketsphinx": (0, 1)}, ["done"])
    shown = metrics.render().decode()
    assert [family.name for family in FAMILIES if f"\n{family.name}" not in shown.replace("_count", "")] == []

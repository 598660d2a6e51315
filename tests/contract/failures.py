"""Requests that fail on a running server, each with its status and word: data for `test_schemas.py`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.servers import CONFIG

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
SPEECH, SILENCE = AUDIO / "speech.flac", AUDIO / "silence.wav"
JOBS, JOB = "/jobs", "/jobs/{jobid}"
UNKNOWN = "zzzzzzzzzz"


def submit(
    client: httpx.Client, media: Path = SILENCE, config: object = CONFIG, name: str = "", **options: Any
) -> httpx.Response:
    """POST /v2/jobs, whatever comes of it."""
    text = config if isinstance(config, str) else json.dumps(config)
    files = {"data_file": (name or media.name, media.read_bytes())}
    return client.post("/v2/jobs", data={"config": text}, files=files, **options)


Ask = Callable[[httpx.Client, dict[str, str]], httpx.Response]

# (what, path in the description, request, status, word)
FAILURES: tuple[tuple[str, str, Ask, int, str], ...] = (
    ("an empty form", JOBS, lambda c, _: c.post("/v2/jobs"), 400, "Malformed request"),
    ("a bad config", JOBS, lambda c, _: submit(c, config={}), 400, "Job rejected"),
    ("bad media", JOBS, lambda c, _: submit(c, AUDIO / "not_media.wav"), 400, "Job rejected due to invalid audio"),
    ("no media", JOBS, lambda c, _: c.post("/v2/jobs", files={"config": json.dumps(CONFIG)}), 400, "Missing data_file"),
    ("a bad format", JOBS, lambda c, _: submit(c, params={"format": "xml"}), 404, "Format Not Supported"),
    ("a bad wait", JOBS, lambda c, _: submit(c, params={"wait": "x"}), 422, "wait in query must be of type int64"),
    ("a bad limit", JOBS, lambda c, _: c.get("/v2/jobs?limit=x"), 422, "limit in query must be of type int64"),
    ("no key", JOBS, lambda c, _: c.get("/v2/jobs", headers={"Authorization": ""}), 401, "Permission Denied"),
    ("an unknown job", JOB, lambda c, _: c.get(f"/v2/jobs/{UNKNOWN}"), 404, "Job not found"),
    ("an unknown job's end", JOB, lambda c, _: c.delete(f"/v2/jobs/{UNKNOWN}"), 404, "Job not found"),
    ("its transcript", f"{JOB}/transcript", lambda c, _: c.get(f"/v2/jobs/{UNKNOWN}/transcript"), 404, "Job not found"),
    ("its log", f"{JOB}/log", lambda c, _: c.get(f"/v2/jobs/{UNKNOWN}/log"), 404, "Job not found"),
    ("a deleted job", JOB, lambda c, i: c.get(f"/v2/jobs/{i['deleted']}"), 410, "Job Expired"),
    ("a second delete", JOB, lambda c, i: c.delete(f"/v2/jobs/{i['deleted']}"), 410, "Job Expired"),
    ("a third, by force", JOB, lambda c, i: c.delete(f"/v2/jobs/{i['deleted']}?force=true"), 410, "Job Expired"),
    ("a deleted transcript", f"{JOB}/transcript", lambda c, i: c.get(f"/v2/jobs/{i['deleted']}/transcript"), 410, "File Expired"),
    ("a deleted log", f"{JOB}/log", lambda c, i: c.get(f"/v2/jobs/{i['deleted']}/log"), 410, "File Expired"),
    ("a rejected transcript", f"{JOB}/transcript", lambda c, i: c.get(f"/v2/jobs/{i['rejected']}/transcript"), 404, "Job rejected"),
    ("an early transcript", f"{JOB}/transcript", lambda c, i: c.get(f"/v2/jobs/{i['running']}/transcript?wait=0"), 404, "Job In Progress"),
    ("an early delete", JOB, lambda c, i: c.delete(f"/v2/jobs/{i['running']}"), 423, "Resource Locked"),
    ("an early delete, aloud", JOB, lambda c, i: c.delete(f"/v2/jobs/{i['running']}?force=false"), 423, "Resource Locked"),
    ("a bad force", JOB, lambda c, i: c.delete(f"/v2/jobs/{i['done']}?force=x"), 422, "force in query must be of type bool"),
    ("an unknown format", f"{JOB}/transcript", lambda c, i: c.get(f"/v2/jobs/{i['done']}/transcript?format=x"), 404, "Format Not Supported"),
    ("a bad wait for a job", JOB, lambda c, i: c.get(f"/v2/jobs/{i['running']}?wait=soon"), 422, "wait in query must be of type int64"),
)  # fmt: skip

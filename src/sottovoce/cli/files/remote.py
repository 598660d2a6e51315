"""Transcribes files by a server: its public API (V2), with a key."""

import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson

from sottovoce.cli.files.failures import FileFailed, Unavailable
from sottovoce.cli.files.reports import Listener, Step
from sottovoce.cli.files.sources import Source, SourceKind

if TYPE_CHECKING:
    import httpx2

    from sottovoce.cli.files.job_config import Wishes

TRIES = 6
"""Attempts of a request that the server is too busy for (429, 503), or that does not reach it."""
_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between looks at a job; the last one repeats."""
_BUSY = frozenset({429, 503})
_WHOLE = 1000
"""Parts that the progress of a job is counted in: the API gives three digits."""
_SPENT = "use a new key"
"""What a server says of an `Idempotency-Key` whose job was removed."""
_UNAUTHORIZED = 401
_NOT_OF_THE_FILE = frozenset({_UNAUTHORIZED, 402, 403, 429, 500, 502, 503, 504, 507})
"""Statuses that another try of the same file may not get."""


class RemoteTranscriber:
    """Transcribes by the server that *client* is connected to. *config*: a JobConfig."""

    def __init__(self, client: "httpx2.Client", config: dict[str, Any], sleep: Callable[[float], None]) -> None:
        self._client = client
        self._config = config
        self._sleep = sleep

    def transcribe(self, source: Source, forms: Sequence[str], listen: Listener) -> Mapping[str, bytes]:
        """The transcript of *source* in each of *forms*. Raises `FileFailed`."""
        try:
            job_id = self._submit(source)
            listen(Step(note=f"job {job_id}"))
            self._wait(job_id, listen)
            return {form: self._transcript(job_id, form) for form in forms}
        except OSError as error:
            raise FileFailed(error.strerror or str(error)) from error

    def _submit(self, source: Source) -> str:
        """The id of the job of *source*. A repetition under the same token gives the same job. Raises `FileFailed`."""
        try:
            return self._posted(source, source.token or secrets.token_hex(16))
        except FileFailed as error:
            if not source.token or _SPENT not in str(error):
                raise
            return self._posted(source, secrets.token_hex(16))  # the job of that token was deleted meanwhile

    def _posted(self, source: Source, token: str) -> str:
        headers = {"Idempotency-Key": token}
        if source.kind is SourceKind.URL:
            config = {**self._config, "fetch_data": {"url": source.text}}
            made = {"files": {"config": (None, json.dumps(config))}, "headers": headers}
            answer = self._ask("POST", "/v2/jobs", lambda: made)
        else:
            with _opened(source) as file:

                def parts() -> dict[str, Any]:
                    file.seek(0)
                    files = {"data_file": (source.name, file)}
                    return {"data": {"config": json.dumps(self._config)}, "files": files, "headers": headers}

                answer = self._ask("POST", "/v2/jobs", parts)
        return str(answer.json()["id"])

    def _wait(self, job_id: str, listen: Listener) -> None:
        looks = 0
        while True:
            job = self._ask("GET", f"/v2/jobs/{job_id}", lambda: {"params": {"lifecycle": "true"}}).json()["job"]
            if (known := job.get("lifecycle")) and known["progress"]:
                listen(Step(done=round(known["progress"] * _WHOLE), total=_WHOLE))
            if job["status"] == "done":
                return
            if job["status"] != "running":
                told = "; ".join(error["message"] for error in job.get("errors", ()))
                raise FileFailed(f"job {job_id} is {job['status']}" + (f": {told}" if told else ""))
            self._sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
            looks += 1

    def _transcript(self, job_id: str, form: str) -> bytes:
        answer = self._ask("GET", f"/v2/jobs/{job_id}/transcript", lambda: {"params": {"format": form}})
        body, kind = answer.content, answer.headers.get("content-type", "")
        if "json" in kind:
            body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
        elif not kind.startswith("text/"):
            return body
        return body if body.endswith(b"\n") else body + b"\n"

    def _ask(self, method: str, path: str, options: Callable[[], dict[str, Any]] = dict) -> "httpx2.Response":
        """The response. A busy or unreachable server is asked again. Raises `FileFailed`, `Unavailable`."""
        import httpx2

        for attempt in range(1, TRIES + 1):
            try:
                answer = self._client.request(method, path, **options())
            except httpx2.RequestError as error:
                if attempt == TRIES:
                    where = self._client.base_url
                    raise Unavailable(f"no answer from {where}: {error or type(error).__name__}") from error
                self._sleep(0.5 * attempt)
                continue
            if answer.status_code not in _BUSY or attempt == TRIES:
                break
            self._sleep(_seconds(answer.headers.get("retry-after", "")))
        if not answer.is_success:
            raise (Unavailable if answer.status_code in _NOT_OF_THE_FILE else FileFailed)(_fault(answer))
        return answer


def _seconds(retry_after: str) -> float:
    """The pause that a busy server asks for, at most a minute; 1 s where the header has a date or nothing."""
    return min(60.0, float(retry_after)) if retry_after.isascii() and retry_after.isdigit() else 1.0


def _fault(answer: "httpx2.Response") -> str:
    if answer.status_code == _UNAUTHORIZED:
        return "the server does not accept the key; give another one with --key"
    try:
        body = answer.json()
        return f"the server answered {answer.status_code}: {body.get('detail') or body.get('error')}"
    except (ValueError, AttributeError):
        return f"the server answered {answer.status_code}"


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """The bytes of *source*; standard input is copied to a temporary file, because a request may be sent again."""
    if source.kind is SourceKind.FILE:
        with Path(source.text).open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        yield copy


@contextmanager
def remote_transcriber(url: str, key: str, wishes: "Wishes") -> Iterator[RemoteTranscriber]:
    """A transcriber by the server at *url*. Raises `ClickException` if it cannot be reached at all."""
    import httpx2

    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--server: {url} is not an address like http://localhost:8080")
    base = url.rstrip("/").removesuffix("/v2")
    headers = {"Authorization": f"Bearer {key}"}
    try:
        client = httpx2.Client(base_url=base, headers=headers, timeout=httpx2.Timeout(300.0, connect=15.0))
    except httpx2.InvalidURL as error:
        raise click.UsageError(f"--server: {url} is not a URL: {error}") from error
    with client:
        language = wishes.named_language or _usual_language(client)
        yield RemoteTranscriber(client, wishes.config(language), time.sleep)


def _usual_language(client: "httpx2.Client") -> str:
    """`auto` if the server identifies languages, else `en`. Raises `ClickException`."""
    import httpx2

    try:
        answer = client.get("/v1/discovery/features")
        identified = answer.raise_for_status().json()["batch"]["languageid"]
    except httpx2.RequestError as error:
        text = f"no answer from {client.base_url}: {error or type(error).__name__}; check the address, and that it runs"
        raise click.ClickException(text) from error
    except (httpx2.HTTPStatusError, ValueError, LookupError, TypeError):
        return "en"
    return "auto" if "en" in identified else "en"

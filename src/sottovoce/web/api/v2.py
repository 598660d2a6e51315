"""Batch REST V2: routes that parse a request, call the service, and render the response (contract `batch-v2.md` §5).

In order: create, read, delete and usage routes; helpers of the routes; parts and headers of a request; the route table.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.job import LIVE, REMOVED, JobType, State
from sottovoce.request import AlignmentRequest
from sottovoce.request import Request as JobRequest
from sottovoce.service.billing import usage
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import model, queue_estimate, repository
from sottovoce.service.jobs.alignment_text import SubmittedText
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import NO_NAMES, Results
from sottovoce.service.jobs.submission import MAX_IDEMPOTENCY_KEY, Submission
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.web import responses, uploads
from sottovoce.web.api import blob_response
from sottovoce.web.api.job_additions import JobAdditions
from sottovoce.web.auth import authenticate
from sottovoce.web.docs.additions import ADDITIONS
from sottovoce.web.docs.operations import OPERATIONS
from sottovoce.web.routing import Handler, Route
from sottovoce.web.uploads import Form, Limits, Received, announced, receive, submitted_text
from sottovoce.wire.formats.alignment import TAGS, WORD_START_AND_END
from sottovoce.wire.formats.table import DEFAULT, FORMATS
from sottovoce.wire.v2 import job_log
from sottovoce.wire.v2 import query as v2_query
from sottovoce.wire.v2 import usage as usage_wire
from sottovoce.wire.v2.job import SUBMIT_STATUS, JobView, Lifecycle, job_object, lifecycle_object
from sottovoce.wire.v2.unknown_members import parse_and_tell

T = TypeVar("T")
LIST_DEFAULT = 100
"""Jobs in a list without `limit`: the 100 most recent of the past 7 days ([seed1])."""
LIST_DAYS = 7.0
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """Seconds that a request waits for the end of a job: without `wait`, and at most."""

    default: float = 2.0
    cap: float = 600.0


class Batch:
    """The V2 routes over one runtime."""

    def __init__(self, runtime: Runtime, limits: Limits, waiting: WaitPolicy) -> None:
        self._runtime = runtime
        self._limits = limits
        self._waiting = waiting
        self._large_work = runtime.large_work
        self._results = Results(runtime.blobs, runtime.encryptor, runtime.database, self._large_work, runtime.metrics)
        self.additions = JobAdditions(runtime, self._results, self._job)

    # ── create ──

    async def create(self, request: Request) -> Response:
        """`POST /v2/jobs`: 201 with the id of the job, which is stored durably; with `wait` also its status and transcript."""
        caller = await self._caller(request)
        wait = v2_query.wait(request.query_params, default=-1, cap=self._waiting.cap)
        form_of = _format(request)
        if FORMATS[form_of].is_binary and wait >= 0:
            why = f"{form_of} cannot be part of a JSON response; leave out wait, and get it from /v2/jobs/{{id}}/transcript"
            raise Refused(Kind.FORMAT_NOT_SUPPORTED, why, at="format")
        idempotency_key, keep_ms = _idempotency_key(request), uploads.kept(request)
        app = usage_wire.application(request.query_params)
        await self._runtime.submitter.admit(caller, announced(request, self._limits))
        job_id = model.new_id()
        places = {"data_file": media_key(job_id), "text_file": text_key(job_id)}
        form = await receive(request, self._runtime.blobs, places, self._limits)
        submission = replace(
            await self._parse_submission(caller, job_id, form, idempotency_key), keep_ms=keep_ms, app=app
        )
        accepted = (await self._runtime.submitter.accept(submission)).id
        if wait < 0:
            return responses.json(request, {"id": accepted}, 201)
        await self._until_ended(request, accepted, wait)
        return responses.json(request, await self._submit_response(accepted, form_of), 201)

    async def _parse_submission(
        self, caller: Caller, job_id: str, form: Form, idempotency_key: str | None
    ) -> Submission:
        """The submission in *form*. Raises `Refused`, and deletes the media then."""
        try:
            config = _part(form.fields, "config", Kind.INVALID_CONFIG, "the part is missing")
            # a hostile config may take most of a second
            parsed, unknown = await self._large_work.run_sized(
                len(config), lambda: self._large_work.apart(len(config), parse_and_tell, config)
            )
            self._runtime.offers.check(parsed)
            media, text = _media(form, parsed), _text(form, parsed)
        except BaseException:
            await self._runtime.blobs.delete_prefix(f"jobs/{job_id}/")
            raise
        return Submission(
            job_id=job_id,
            caller=caller,
            api="v2",
            request=parsed,
            config=config,
            data_name=media.name if media else "",
            media_key=media.key if media else "",
            media_bytes=media.size if media else 0,
            media_digest=media.digest if media else "",
            text=text,
            idempotency_key=idempotency_key,
            unknown=unknown,
        )

    async def _submit_response(self, job_id: str, form: str) -> dict[str, Any]:
        """The response of POST with `wait`: status, and if available the transcript under the name of its format (§5.1)."""
        job = await self._runtime.database.read(lambda connection: repository.get(connection, job_id))
        state = job.state if job else State.DELETED
        body: dict[str, Any] = {"id": job_id, "status": SUBMIT_STATUS[state]}
        if job and state is State.DONE and job.type is JobType.TRANSCRIPTION:
            with contextlib.suppress(Refused):  # removed meanwhile: the caller learns it from GET
                rendered = await self._results.rendered(job, form)
                body[form] = orjson.Fragment(rendered) if FORMATS[form].is_json else rendered.decode()
                await self._runtime.fetched(job)
        return body

    # ── read ──

    async def listing(self, request: Request) -> Response:
        """`GET /v2/jobs`: newest first."""
        caller = await self._caller(request)
        query = request.query_params
        limit = v2_query.limit(query)
        before, after = v2_query.instant(query, "created_before"), v2_query.instant(query, "created_after")
        removed = v2_query.boolean(query, "include_deleted")
        found = await self._runtime.database.read(
            lambda connection: repository.list_recent(
                connection,
                caller,
                limit=limit or LIST_DEFAULT,
                before=before,
                after=after,
                days=LIST_DAYS if limit is None else None,
                include_removed=removed,
            )
        )
        shown = await self._job_objects(request, found)
        listed = self._results.listed(found, lambda job: orjson.dumps(shown(job, self._results.shown_whole(job))))
        kind = responses.json_type(request)
        return await responses.jobs(request, listed, kind, streamed=not all(job.whole for job in found))

    async def details(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}`: the job, as soon as it has ended or when `wait` is over."""
        job = await self._job(request)
        if job.state in REMOVED:
            raise Refused(Kind.JOB_EXPIRED)
        job = await self._wait_for_end(request, job)
        shown = await self._job_objects(request, [job])
        return responses.json(request, {"job": shown(job, await self._results.shown(job))})

    async def _job_objects(self, request: Request, jobs: Sequence[Job]) -> Callable[[Job, JobView], dict[str, Any]]:
        """What makes the objects of *jobs*; with `lifecycle` also with their places in the queue."""
        if not v2_query.boolean(request.query_params, "lifecycle"):
            return lambda _job, view: job_object(view)
        places: Places = {}
        if any(job.state is State.QUEUED for job in jobs):
            outlook = self._runtime.queue_estimator.outlook
            places = await self._runtime.database.read(lambda connection: queue_estimate.places(connection, outlook))
        return lambda job, view: job_object(view) | {"lifecycle": lifecycle_object(_lifecycle(job, places))}

    async def transcript(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/transcript`: the transcript in the requested format."""
        form = _format(request)
        job = await self._wait_for_end(request, await self._job(request))
        if job.type is not JobType.TRANSCRIPTION:
            raise Refused(Kind.NOT_TRANSCRIPTION)
        named = v2_query.boolean(request.query_params, "speaker_names") and not FORMATS[form].is_json
        names = await self.additions.names.get(job.id) if named else NO_NAMES
        rendered = await self._results.rendered(job, form, names)
        await self._runtime.fetched(job)
        kind = responses.json_type(request) if FORMATS[form].is_json else FORMATS[form].media_type
        return Response(rendered, headers={"content-type": kind})

    async def data(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/data`: the media as it was submitted."""
        job = await self._job(request)
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        return await blob_response.sent(request, self._runtime.blobs, media_key(job.id), name=job.data_name)

    async def text(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/text`: the text of an alignment, as it was submitted."""
        job = await self._alignment_job(request)
        return Response(await self._results.text(job), media_type="text/plain")

    async def alignment(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/alignment`: the text with times (§5.9)."""
        tags = request.query_params.get("tags", WORD_START_AND_END)
        if tags not in TAGS:
            raise Refused(Kind.FORMAT_NOT_SUPPORTED, f"tags are {', '.join(TAGS)}", at="tags")
        job = await self._wait_for_end(request, await self._alignment_job(request))
        value = await self._results.aligned(job, tags)
        await self._runtime.fetched(job)
        return responses.text(value)

    async def _alignment_job(self, request: Request) -> Job:
        job = await self._job(request)
        if job.type is not JobType.ALIGNMENT:
            raise Refused(Kind.NOT_ALIGNMENT)
        return job

    async def log(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/log`: the stages and their times, and the chosen engine with the reason."""
        job = await self._job(request)
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        lines = await self._runtime.database.read(lambda connection: repository.log_lines(connection, job.id))
        if not lines:
            raise Refused(Kind.LOG_NOT_AVAILABLE)
        return responses.text(
            job_log.render(
                job_log.Line(at=line.at, level=line.level, stage=line.stage, attempt=line.attempt, text=line.text)
                for line in lines
            )
        )

    # ── delete ──

    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/jobs/{id}`: delete the job and all its files; a running job only with `force`."""
        job = await self._job(request)
        force = v2_query.boolean(request.query_params, "force")
        view = await self._results.shown(job) if job.state not in REMOVED else None
        if view is None or not await self._runtime.deletion.delete(job.id, force=force):
            raise Refused(Kind.JOB_EXPIRED)
        self._runtime.metrics.removed("deleted")
        return responses.json(request, {"job": {**job_object(view), "status": "deleted"}})

    # ── usage ──

    async def usage(self, request: Request) -> Response:
        """`GET /v2/usage`: whole days of the key's workspace in this region, 403 for a key with a `client_ref` (§5.11, §13.3)."""
        caller = await self._caller(request)
        if caller.client_ref is not None:
            raise Refused(Kind.FORBIDDEN, "a key with a client_ref cannot read usage")
        since, until = (usage_wire.day(request.query_params, name) for name in ("since", "until"))
        find = partial(
            usage.used,
            workspace_id=caller.workspace_id,
            since=since,
            until=until,
            project_id=v2_query.integer(request.query_params, "project_id"),
            by=usage_wire.split_by(request.query_params),
        )
        used = await self._runtime.database.read(find)
        return responses.json(request, usage_wire.usage_object(used))

    # ── helpers of the routes ──

    async def _caller(self, request: Request) -> Caller:
        caller = await authenticate(request, self._runtime.api_key_cache)
        await self._runtime.rates.take(caller.key_id, request.method)
        return caller

    async def _job(self, request: Request) -> Job:
        return await self._load_visible(await self._caller(request), request.path_params["job_id"])

    async def _load_visible(self, caller: Caller, job_id: str) -> Job:
        if not _JOB_ID.fullmatch(job_id):  # checked first: some databases reject some characters
            raise Refused(Kind.JOB_NOT_FOUND)
        found = await self._runtime.loader.get(job_id)
        if found is None or not repository.may_see(caller, found):
            raise Refused(Kind.JOB_NOT_FOUND)
        return found

    async def _wait_for_end(self, request: Request, job: Job) -> Job:
        """*job* read again after it has ended or after the request's `wait` is over."""
        wait = v2_query.wait(request.query_params, default=self._waiting.default, cap=self._waiting.cap)
        if job.state not in LIVE or not wait:
            return job
        await self._until_ended(request, job.id, wait)
        again = await self._runtime.database.read(lambda connection: repository.get(connection, job.id))
        return again or job

    async def _until_ended(self, request: Request, job_id: str, wait: float) -> None:
        """Wait up to *wait* seconds for the end of the job. Stop waiting when the client disconnects."""
        waiting = asyncio.ensure_future(self._runtime.completion_waiter.ended(job_id, wait))
        disconnected = asyncio.ensure_future(_client_disconnected(request))
        try:
            await asyncio.wait({waiting, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            disconnected.cancel()
            await asyncio.gather(waiting, disconnected, return_exceptions=True)


async def _client_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# ── job objects ──


Places = Mapping[str, tuple[int, float | None]]
"""Place in the queue and seconds until the start, by job."""


def _lifecycle(job: Job, places: Places) -> Lifecycle:
    place, starts_in = places.get(job.id, (None, None))
    return Lifecycle(
        state=job.state,
        progress=job.progress,
        ended_at=job.finished_at,
        delete_at=job.delete_at,
        place=place,
        starts_in=starts_in,
    )


# ── parts and headers of a request ──


def _part(parts: Mapping[str, T], name: str, kind: Kind, why: str) -> T:
    if name not in parts:
        raise Refused(kind, why, at=name)
    return parts[name]


def _media(form: Form, parsed: JobRequest) -> Received | None:
    """The uploaded media; `None` with `fetch_data`. Raises `Refused` for neither and for both (contract §6.3)."""
    if parsed.fetch_data is None:
        return _part(form.files, "data_file", Kind.MISSING_DATA_FILE, "send the media in a part of this name")
    if "data_file" in form.files:
        raise Refused(Kind.INVALID_CONFIG, "must not be given when a data_file is sent", at="fetch_data")
    return None


def _text(form: Form, parsed: JobRequest) -> SubmittedText | None:
    """The uploaded text of an alignment; `None` with `fetch_text` and for a transcription. Raises `Refused` (contract §10)."""
    if not isinstance(parsed, AlignmentRequest):
        if "text_file" in form.files:
            raise Refused(Kind.INVALID_CONFIG, "is for jobs of type alignment", at="text_file")
        return None
    if parsed.fetch_text is None:
        return submitted_text(
            _part(form.files, "text_file", Kind.MISSING_TEXT_FILE, "send the text in a part of this name")
        )
    if "text_file" in form.files:
        raise Refused(Kind.INVALID_CONFIG, "must not be given when a text_file is sent", at="fetch_text")
    return None


def _format(request: Request) -> str:
    form = request.query_params.get("format", DEFAULT)
    if form not in FORMATS:
        raise Refused(Kind.FORMAT_NOT_SUPPORTED, f"formats are {', '.join(FORMATS)}", at="format")
    return form


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    key = key.strip(" \t") if key else key  # blanks around a value are no part of it (RFC 9110 §5.5)
    if key is not None and not (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isprintable()):
        raise Refused(
            Kind.BAD_REQUEST, f"must be 1 to {MAX_IDEMPOTENCY_KEY} printable characters", at="Idempotency-Key"
        )
    return key


def routes(runtime: Runtime, limits: Limits, waiting: WaitPolicy) -> list[Route]:
    """The V2 routes, as `docs.operations` and `docs.additions` describe them."""
    batch = Batch(runtime, limits, waiting)
    handlers: dict[str, Handler] = {
        "create_job": batch.create,
        "list_jobs": batch.listing,
        "get_job": batch.details,
        "delete_job": batch.delete,
        "get_transcript": batch.transcript,
        "get_data": batch.data,
        "get_text": batch.text,
        "get_alignment": batch.alignment,
        "get_log": batch.log,
        "get_usage": batch.usage,
        **batch.additions.handlers(),
    }
    found: dict[str, dict[str, Handler]] = {}
    for operation in (*OPERATIONS, *ADDITIONS):
        found.setdefault(operation.path, {})[operation.method] = handlers[operation.id]
    return [Route(path=f"/v2{path}", handlers=methods) for path, methods in found.items()]

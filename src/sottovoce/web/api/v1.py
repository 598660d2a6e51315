"""The legacy API V1 over the same jobs as V2 (contract `legacy-v1.md`): routes that parse, call the service, and render.

In order: the account, jobs, the service status, helpers of the routes, helpers without state, the route table.
"""

import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import orjson
from multipart import parse_options_header
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.job import JobType, Reason, State
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.jobs import alignment_text, model, repository
from sottovoce.service.jobs import v1_view as store
from sottovoce.service.jobs.alignment_text import SubmittedText
from sottovoce.service.jobs.capabilities import spells
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.queue_estimate import QueueEstimate
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.submission import Submission
from sottovoce.service.jobs.v1_view import RENDER, V1ViewBuilder
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.web import auth, responses
from sottovoce.web.routing import Handler, Route
from sottovoce.web.uploads import Form, Limits, announced, kept, receive, submitted_text
from sottovoce.wire.formats.alignment import TAGS, WORD_START_AND_END
from sottovoce.wire.v1 import form as v1_request
from sottovoce.wire.v1 import responses as v1_responses
from sottovoce.wire.v1.form import LegacyRequest, Notify, Selection
from sottovoce.wire.v2 import usage
from sottovoce.wire.v2.config import parse_job_config

ROOTS = ("/v1.0", "/v1")
"""The documented root, and the second root of the vendor's appliance (contract §6)."""
CHECK_WAIT = 30
"""The largest `check_wait`, in seconds, as in the samples (§2.2)."""
PAGE = 500
"""Jobs of a list that are read at once."""
MOST = 1_000_000
"""Payments in one response, at most."""
_NUMBER = re.compile(r"[0-9]{1,18}")


class LegacyApi:
    """The V1 routes over one runtime."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        self._runtime = runtime
        self._limits = limits
        self._large_work = runtime.large_work
        self._results = Results(runtime.blobs, runtime.encryptor, runtime.database, self._large_work, runtime.metrics)
        self._legacy = V1ViewBuilder(runtime.encryptor, self._results, self._large_work)

    # ── the account ──

    async def user(self, request: Request) -> Response:
        """`GET /user/{id}/`: the user's address and balance."""
        caller, user_id = await self._caller(request)
        email = await self._control(lambda connection: store.email_of(connection, user_id))
        balance = await self._runtime.credit_reservations.balance(caller.workspace_id)
        return _json(v1_responses.user_object(user_id=user_id, email=email, balance=balance))

    async def payments(self, request: Request) -> Response:
        """`GET /user/{id}/payments/`: newest first, as in the contract's sample."""
        caller, _ = await self._caller(request)
        asked = v1_request.selection(request.query_params)
        found = await self._runtime.credit_reservations.payments(
            caller.workspace_id,
            limit=MOST if asked.limit is None else min(asked.limit, MOST),
            since=asked.since,
            before=asked.before,
        )
        here = self._runtime.plan.folder.region
        ids = [each.job_id for each in found if each.region == here and each.job_id is not None]
        by_job = await self._runtime.database.read(lambda connection: store.names(connection, caller, ids))
        unnamed = v1_responses.Payment(amount=0, at=0, kind="")
        return _json({
            "payments": [
                v1_responses.payment_object(
                    replace(by_job.get(each.job_id or "", unnamed), amount=each.amount, at=each.at, kind=each.kind)
                )
                for each in found
            ]
        })  # fmt: skip

    # ── jobs ──

    async def listing(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/`: the most recent jobs, in ascending order of their ids."""
        caller, user_id = await self._caller(request)
        pages = self._pages(caller, v1_request.selection(request.query_params))
        first: list[Job] = await anext(pages, [])
        now = round(time.time() * 1000)

        def render(job: Job) -> bytes:
            return orjson.dumps(v1_responses.job_object(self._view(job, user_id), now))

        async def listed() -> AsyncIterator[bytes]:
            page = first
            while page:
                async for objects in self._results.listed(page, render):
                    yield objects
                page = await anext(pages, [])

        streamed = len(first) == PAGE or not all(job.whole for job in first)
        return await responses.jobs(request, listed(), responses.JSON, streamed=streamed)

    async def _pages(self, caller: Caller, asked: Selection) -> AsyncIterator[list[Job]]:
        """The selected jobs in pages: without a limit the contract wants all of them."""
        read = self._runtime.database.read
        span = await read(
            lambda connection: repository.newest_span(
                connection, caller, limit=asked.limit, since=asked.since, before=asked.before
            )
        )
        while span is not None:
            page = await read(partial(repository.page, caller=caller, span=span, size=PAGE))
            span = span.after(page[-1]) if len(page) == PAGE else None
            yield sorted(page, key=lambda job: job.v1_id)

    async def create(self, request: Request) -> Response:
        """`POST /user/{id}/jobs/`: 200 with the id of the job, which is stored durably."""
        caller, user_id = await self._caller(request)
        keep_ms, app = kept(request), usage.application(request.query_params)
        if not _has_parts(request):
            raise Refused(Kind.MISSING_DATA_FILE, "send a multipart form")
        await self._runtime.submitter.admit(caller, announced(request, self._limits))
        job_id = model.new_id()
        places = {"data_file": media_key(job_id), "text_file": text_key(job_id)}
        form = await receive(request, self._runtime.blobs, places, self._limits)
        try:
            submission = replace(await self._parse_submission(caller, user_id, job_id, form), keep_ms=keep_ms, app=app)
        except BaseException:
            await self._runtime.blobs.delete_prefix(f"jobs/{job_id}/")
            raise
        accepted = await self._runtime.submitter.accept(submission)
        job = await self._runtime.database.read(lambda connection: repository.get(connection, accepted.id))
        if job is None:
            raise RuntimeError("the accepted job is missing from the database")
        balance = accepted.balance
        if balance is None:
            balance = await self._runtime.credit_reservations.balance(caller.workspace_id)
        return _json(
            v1_responses.accepted(
                number=job.v1_id, cost=accepted.cost, balance=balance, wait=(await self._shown(job, user_id)).wait
            )
        )

    async def _parse_submission(self, caller: Caller, user_id: int, job_id: str, form: Form) -> Submission:
        """The submission in *form*, checked in the contract's order (§6). Raises `Refused`."""
        if (media := form.files.get("data_file")) is None:
            raise Refused(Kind.MISSING_DATA_FILE)
        text = submitted_text(form.files["text_file"]) if "text_file" in form.files else None
        offers = self._runtime.offers
        wanted, product = v1_request.parse(
            form.fields, v1_request.products(offers.languages if text is None else offers.aligned)
        )
        if text is None:
            config = orjson.dumps(v1_request.as_v2(wanted, product, locale=spells(product.locale)))
        else:
            config = orjson.dumps(v1_request.as_v2_alignment(wanted, product))
            await self._check_text(text)
        parsed = parse_job_config(config)
        self._check_callback(wanted)
        wanted = await self._with_email(wanted, user_id)
        return Submission(
            job_id=job_id,
            caller=caller,
            api="v1",
            request=parsed,
            config=config,
            data_name=media.name,
            media_key=media.key,
            media_bytes=media.size,
            media_digest=media.digest,
            text=text,
            legacy=v1_request.dump(wanted),
            unknown=tuple(v1_request.unknown_fields(form.fields)),
        )

    async def _check_text(self, text: SubmittedText) -> None:
        """Raise `Refused(MALFORMED)`, the error of V1, for a part that is not text."""
        try:
            await alignment_text.read(self._runtime.blobs, text)
        except Refused as refused:
            raise Refused(Kind.MALFORMED, refused.why, at="text_file") from refused

    def _check_callback(self, wanted: LegacyRequest) -> None:
        """Raise `Refused(MALFORMED)` for a callback URL that the outbound policy forbids; its name is not resolved."""
        if wanted.notification is Notify.CALLBACK and wanted.callback is not None:
            try:
                self._runtime.plan.task_settings.outbound.target(wanted.callback)
            except Refused as refused:
                raise Refused(Kind.MALFORMED, refused.why, at="callback") from refused

    async def _with_email(self, wanted: LegacyRequest, user_id: int) -> LegacyRequest:
        """*wanted* with the user's registered address, unless it has another or wants no mail.

        The address is stored with the job, so that the end of the job needs no look-up in the control database.
        """
        if wanted.email is not None or wanted.notification is Notify.NONE:
            return wanted
        return replace(wanted, email=await self._control(lambda connection: store.email_of(connection, user_id)))

    async def details(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/`: one job."""
        caller, user_id = await self._caller(request)
        job = await self._job(request, caller)
        view = await self._shown(job, user_id)
        return _json({"job": v1_responses.job_object(view, round(time.time() * 1000))})

    async def transcript(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/transcript`: JSON or plain text."""
        caller, user_id = await self._caller(request)
        job = await self._job(request, caller)
        if job.type is not JobType.TRANSCRIPTION:
            raise Refused(Kind.NOT_TRANSCRIPTION)
        form = request.query_params.get("format") or "json"
        if form not in RENDER:
            raise Refused(Kind.FORMAT_NOT_SUPPORTED)
        value = await self._legacy.transcript(job, form, user_id=user_id)
        await self._runtime.fetched(job)
        return Response(value, headers={"content-type": responses.TEXT if form == "txt" else responses.JSON})

    async def alignment(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/alignment`: the text with times."""
        caller, _ = await self._caller(request)
        job = await self._job(request, caller)
        if job.type is not JobType.ALIGNMENT:
            raise Refused(Kind.NOT_ALIGNMENT)
        tags = request.query_params.get("tags") or WORD_START_AND_END
        if tags not in TAGS:
            raise Refused(Kind.FORMAT_NOT_SUPPORTED)
        if job.reason is Reason.NOT_ALIGNABLE:
            raise Refused(Kind.INVALID_TEXT)
        value = await self._results.aligned(job, tags)
        await self._runtime.fetched(job)
        return responses.text(value)

    # ── the service status ──

    async def status(self, _request: Request) -> Response:
        """`GET /status`: turnaround and queue of this region, without a key."""
        queue_estimator = self._runtime.queue_estimator
        if not queue_estimator.outlook.at:  # not estimated yet
            await queue_estimator.refresh()
        outlook = queue_estimator.outlook
        waiting = _queue_seconds(outlook)
        return _json(
            v1_responses.status_object(
                v1_responses.Condition(
                    turnaround=outlook.turnaround / 60,
                    queue=waiting / 60,
                    known_issues=outlook.known_issues,
                    slow=waiting > self._runtime.plan.slow_after,
                    at=outlook.at,
                )
            )
        )

    # ── helpers of the routes ──

    async def _caller(self, request: Request) -> tuple[Caller, int]:
        """The caller and its user id. Raises `Refused(UNAUTHENTICATED)` unless the key belongs to the user in the path.

        A key with a `client_ref` is refused: it belongs to a customer of the account, who must not see the account's balance.
        """
        caller = await auth.authenticate(request, self._runtime.api_key_cache, Product.BATCH, in_query=True)
        given = request.path_params["user_id"]
        if caller.user_id is None or caller.client_ref is not None or not _NUMBER.fullmatch(given):
            raise Refused(Kind.UNAUTHENTICATED, "the user id and the token do not belong together")
        if int(given) != caller.user_id:
            raise Refused(Kind.UNAUTHENTICATED, "the user id and the token do not belong together")
        await self._runtime.rates.take(caller.key_id, request.method)  # §6: after 401, before all else
        return caller, caller.user_id

    async def _control(self, query: "store.Look[store.T]") -> "store.T":
        """The result of *query* in the control database."""
        return await self._runtime.control.read(query)

    async def _job(self, request: Request, caller: Caller) -> Job:
        given = request.path_params["job_id"]
        if not (given.isascii() and given.isdecimal()):
            raise Refused(Kind.MALFORMED, "the job id must be a whole number")
        if not _NUMBER.fullmatch(given):
            raise Refused(Kind.JOB_NOT_FOUND)
        found = await self._runtime.database.read(lambda connection: repository.by_number(connection, int(given)))
        if found is None or not repository.may_see(caller, found) or found.state is State.DELETED:
            raise Refused(Kind.JOB_NOT_FOUND)
        return found

    def _view(self, job: Job, user_id: int) -> v1_responses.LegacyView:
        check_wait = _check_wait(job, self._runtime.queue_estimator.outlook)
        return self._legacy.view(job, user_id=user_id, check_wait=check_wait)

    async def _shown(self, job: Job, user_id: int) -> v1_responses.LegacyView:
        check_wait = _check_wait(job, self._runtime.queue_estimator.outlook)
        return await self._legacy.shown(job, user_id=user_id, check_wait=check_wait)


def _json(body: object) -> Response:
    """A response with *body* as plain JSON, the only JSON type of V1."""
    return Response(orjson.dumps(body), media_type=responses.JSON)


def _has_parts(request: Request) -> bool:
    """True if the content type is that of a multipart form; no other body can contain a file."""
    return bool(parse_options_header(request.headers.get("content-type", ""))[0] == "multipart/form-data")


def _queue_seconds(outlook: QueueEstimate) -> float:
    """Seconds that a new job waits for a free slot; without workers the age of the oldest waiting job."""
    return outlook.oldest if outlook.eta is None else outlook.eta


def _check_wait(job: Job, outlook: QueueEstimate) -> int:
    """`check_wait`: the estimated seconds until *job* is done, 1 to 30; clients sleep for that time (contract §2.4)."""
    own = job.duration_ms / 1000 * (1.0 - job.progress) / outlook.speed
    before = _queue_seconds(outlook) if job.state is State.QUEUED else 0.0
    return max(1, min(CHECK_WAIT, math.ceil(own + before)))


def routes(runtime: Runtime, limits: Limits) -> list[Route]:
    """The V1 routes, under both roots. The middleware removes trailing slashes from the requested path."""
    api = LegacyApi(runtime, limits)
    handlers: dict[str, dict[str, Handler]] = {
        "/status": {"GET": api.status},
        "/user/{user_id}": {"GET": api.user},
        "/user/{user_id}/payments": {"GET": api.payments},
        "/user/{user_id}/jobs": {"GET": api.listing, "POST": api.create},
        "/user/{user_id}/jobs/{job_id}": {"GET": api.details},
        "/user/{user_id}/jobs/{job_id}/transcript": {"GET": api.transcript},
        "/user/{user_id}/jobs/{job_id}/alignment": {"GET": api.alignment},
    }
    return [Route(path=root + path, handlers=each) for root in ROOTS for path, each in handlers.items()]

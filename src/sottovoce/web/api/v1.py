"""The legacy API V1 over the same jobs as V2 (contract `legacy-v1.md`): routes that parse, ask the service, and render."""

import asyncio
import math
import re
import time
from dataclasses import replace

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
from sottovoce.service.storage.database import DATABASE_AWAY
from sottovoce.web import auth, responses
from sottovoce.web.routing import Handler, Route
from sottovoce.web.uploads import Form, Limits, announced, kept, receive, submitted_text
from sottovoce.wire.formats.alignment import TAGS, WORD_START_AND_END
from sottovoce.wire.v1 import form as v1_request
from sottovoce.wire.v1 import responses as v1_responses
from sottovoce.wire.v1.form import LegacyRequest, Notify
from sottovoce.wire.v2 import usage
from sottovoce.wire.v2.config import parse_job_config

ROOTS = ("/v1.0", "/v1")
"""The documented root, and the one that the appliance knew as well (contract §6)."""
CHECK_WAIT = 30
"""Most seconds that a client is told to wait before it looks again: what the samples say (§2.2)."""
MOST = 1_000_000
"""Payments in one answer."""
_NUMBER = re.compile(r"[0-9]{1,18}")


class LegacyApi:
    """The V1 routes over one runtime."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        self._runtime = runtime
        self._limits = limits
        self._results = Results(runtime.blobs, runtime.encryptor)
        self._legacy = V1ViewBuilder(runtime.encryptor, self._results)

    # ── the account ──

    async def user(self, request: Request) -> Response:
        """`GET /user/{id}/`."""
        caller, user_id = await self._caller(request)
        email = await self._control(lambda connection: store.email_of(connection, user_id))
        balance = await self._runtime.credit_reservations.balance(caller.workspace_id)
        return _json(v1_responses.user_object(user_id=user_id, email=email, balance=balance))

    async def payments(self, request: Request) -> Response:
        """`GET /user/{id}/payments/`: newest first, as in the sample."""
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
        known = await self._runtime.database.read(lambda connection: store.names(connection, caller, ids))
        bare = v1_responses.Payment(amount=0, at=0, kind="")
        return _json({
            "payments": [
                v1_responses.payment_object(
                    replace(known.get(each.job_id or "", bare), amount=each.amount, at=each.at, kind=each.kind)
                )
                for each in found
            ]
        })  # fmt: skip

    # ── jobs ──

    async def listing(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/`: the most recent ones, by rising id."""
        caller, user_id = await self._caller(request)
        asked = v1_request.selection(request.query_params)
        found = await self._runtime.database.read(
            lambda connection: repository.list_by_v1_id(
                connection, caller, limit=asked.limit, since=asked.since, before=asked.before
            )
        )
        now = round(time.time() * 1000)
        views = await asyncio.to_thread(
            lambda: [v1_responses.job_object(self._view(job, user_id), now) for job in found]
        )
        return _json({"jobs": views})

    async def create(self, request: Request) -> Response:
        """`POST /user/{id}/jobs/`: 200 with the id of a durable job."""
        caller, user_id = await self._caller(request)
        keep_ms, app = kept(request), usage.application(request.query_params)
        if not _has_parts(request):
            raise Refused(Kind.MISSING_DATA_FILE, "send a multipart form")
        await self._runtime.submitter.admit(caller, announced(request, self._limits))
        job_id = model.new_id()
        places = {"data_file": media_key(job_id), "text_file": text_key(job_id)}
        form = await receive(request, self._runtime.blobs, places, self._limits)
        try:
            submission = replace(await self._understood(caller, user_id, job_id, form), keep_ms=keep_ms, app=app)
        except BaseException:
            await self._runtime.blobs.delete_prefix(f"jobs/{job_id}/")
            raise
        accepted = await self._runtime.submitter.accept(submission)
        job = await self._runtime.database.read(lambda connection: repository.get(connection, accepted.id))
        if job is None:
            raise RuntimeError("an accepted job is not there")
        balance = accepted.balance
        if balance is None:
            balance = await self._runtime.credit_reservations.balance(caller.workspace_id)
        return _json(
            v1_responses.accepted(
                number=job.v1_id, cost=accepted.cost, balance=balance, wait=self._view(job, user_id).wait
            )
        )

    async def _understood(self, caller: Caller, user_id: int, job_id: str, form: Form) -> Submission:
        """What the form asks for, checked in the contract's order (§6)."""
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
        parsed = await asyncio.to_thread(parse_job_config, config)
        self._check_callback(wanted)
        wanted = await self._addressed(wanted, user_id)
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
        )

    async def _check_text(self, text: SubmittedText) -> None:
        """Refuse what is no text in a word that V1 has for it."""
        try:
            await alignment_text.read(self._runtime.blobs, text)
        except Refused as refused:
            raise Refused(Kind.MALFORMED, refused.why, at="text_file") from refused

    def _check_callback(self, wanted: LegacyRequest) -> None:
        """Refuse an address that could never be called, as far as that is seen without looking up its name."""
        if wanted.notification is Notify.CALLBACK and wanted.callback is not None:
            try:
                self._runtime.plan.task_settings.outbound.target(wanted.callback)
            except Refused as refused:
                raise Refused(Kind.MALFORMED, refused.why, at="callback") from refused

    async def _addressed(self, wanted: LegacyRequest, user_id: int) -> LegacyRequest:
        """With the registered address, unless the caller gave another or wants no mail: the end of a job asks nobody."""
        if wanted.email is not None or wanted.notification is Notify.NONE:
            return wanted
        return replace(wanted, email=await self._control(lambda connection: store.email_of(connection, user_id)))

    async def details(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/`."""
        caller, user_id = await self._caller(request)
        job = await self._job(request, caller)
        return _json({"job": v1_responses.job_object(self._view(job, user_id), round(time.time() * 1000))})

    async def transcript(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/transcript`."""
        caller, user_id = await self._caller(request)
        job = await self._job(request, caller)
        if job.type is not JobType.TRANSCRIPTION:
            raise Refused(Kind.NOT_TRANSCRIPTION)
        form = request.query_params.get("format") or "json"
        if form not in RENDER:
            raise Refused(Kind.FORMAT_NOT_SUPPORTED)
        value = await self._legacy.transcript(job, form, user_id=user_id)
        await self._runtime.fetched(job)
        return responses.text(value) if form == "txt" else _json(value)

    async def alignment(self, request: Request) -> Response:
        """`GET /user/{id}/jobs/{id}/alignment`."""
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

    # ── the service ──

    async def status(self, _request: Request) -> Response:
        """`GET /status`: of this region, without a key."""
        queue_estimator = self._runtime.queue_estimator
        if not queue_estimator.outlook.at:  # asked before the first look
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

    # ── shared ──

    async def _caller(self, request: Request) -> tuple[Caller, int]:
        """Who calls, and as which user. Raises `Refused(UNAUTHENTICATED)` unless the key is one of that user.

        A key with a `client_ref` is somebody's customer: V1 knows accounts alone, whose balance is not for customers.
        """
        caller = await auth.authenticate(request, self._runtime.api_key_cache, Product.BATCH, in_query=True)
        given = request.path_params["user_id"]
        if caller.user_id is None or caller.client_ref is not None or not _NUMBER.fullmatch(given):
            raise Refused(Kind.UNAUTHENTICATED, "the user id and the token do not belong together")
        if int(given) != caller.user_id:
            raise Refused(Kind.UNAUTHENTICATED, "the user id and the token do not belong together")
        await self._runtime.rates.take(caller.key_id, request.method)  # §6: after 401, before all else
        return caller, caller.user_id

    async def _control(self, look: "store.Look[store.T]") -> "store.T":
        """What *look* finds in the control database. Raises `Refused` while that is away."""
        try:
            return await self._runtime.control.read(look)
        except DATABASE_AWAY as away:
            raise Refused(Kind.UNAVAILABLE, "the control database cannot be asked; try again") from away

    async def _job(self, request: Request, caller: Caller) -> Job:
        given = request.path_params["job_id"]
        if not (given.isascii() and given.isdecimal()):
            raise Refused(Kind.MALFORMED, "a job id is a whole number")
        if not _NUMBER.fullmatch(given):
            raise Refused(Kind.JOB_NOT_FOUND)
        found = await self._runtime.database.read(lambda connection: repository.by_number(connection, int(given)))
        if found is None or not repository.may_see(caller, found) or found.state is State.DELETED:
            raise Refused(Kind.JOB_NOT_FOUND)
        return found

    def _view(self, job: Job, user_id: int) -> v1_responses.LegacyView:
        return self._legacy.view(
            job, user_id=user_id, check_wait=_check_wait(job, self._runtime.queue_estimator.outlook)
        )


def _json(body: object) -> Response:
    """V1 knows no media type but plain JSON."""
    return Response(orjson.dumps(body), media_type=responses.JSON)


def _has_parts(request: Request) -> bool:
    """Whether the body claims to be a multipart form; nothing else can hold a file."""
    return bool(parse_options_header(request.headers.get("content-type", ""))[0] == "multipart/form-data")


def _queue_seconds(outlook: QueueEstimate) -> float:
    """How long a job that came now would wait: until a slot is free, or as long as the oldest has, where nobody works."""
    return outlook.oldest if outlook.eta is None else outlook.eta


def _check_wait(job: Job, outlook: QueueEstimate) -> int:
    """Seconds after which *job* may be done, 1 to 30: clients sleep so long (contract §2.4)."""
    own = job.duration_ms / 1000 * (1.0 - job.progress) / outlook.speed
    before = _queue_seconds(outlook) if job.state is State.QUEUED else 0.0
    return max(1, min(CHECK_WAIT, math.ceil(own + before)))


def routes(runtime: Runtime, limits: Limits) -> list[Route]:
    """The V1 addresses, under both roots. The edge takes slashes from the end of what is asked for."""
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

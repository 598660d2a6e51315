"""OpenAI's audio API over the same jobs as V2: an upload becomes a job, and the answer waits for its end.

The job is an ordinary one: limits, quotas, credits, usage and the region's stores apply. It is deleted when the answer is made, and
when the client disconnects, unless the operator keeps such jobs.

In order: the routes; the job of a request; its answer; its events; helpers without state, the route table.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Busy, Kind, Refused
from sottovoce.job import LIVE, REMOVED, Reason, State
from sottovoce.request import TranscriptionRequest
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import ProgressReader, Results, Stretch
from sottovoce.service.jobs.submission import Submission
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.blob_keys import media_key
from sottovoce.service.storage.trouble import temporary
from sottovoce.web import responses
from sottovoce.web.auth import authenticate
from sottovoce.web.event_stream import EventStream, client_disconnected, end, first_of, next_event
from sottovoce.web.routing import Route
from sottovoce.web.uploads import Form, Limits, announced, receive
from sottovoce.wire.openai_audio import answers, form, models
from sottovoce.wire.openai_audio import errors as openai_errors
from sottovoce.wire.openai_audio.form import AudioRequest, Spoken
from sottovoce.wire.v2.config import parse_job_config

_log = logging.getLogger(__name__)

MAX_PARTS = 512
"""Parts of a form: each entry of a list is one."""
KEEP_MS = 600_000
"""Retention (ms) of a job whose answer was never made, because this process ended before the job did."""
PATIENCE = 3600.0
"""Seconds of one wait for the end of a job; waits are repeated."""
POLL = 0.5
"""Seconds between two looks for new stretches of a running job."""
HEAD_WAIT = 10.0
"""Seconds that a stream waits for its first event before it begins: a job that fails by then is answered with its status."""
CLIENT_LEFT = 499
"""Status in the log of a request whose client disconnected; the client does not see it."""

_REJECTED = {
    Reason.INVALID_AUDIO: Kind.INVALID_AUDIO,
    Reason.LANGUAGE: Kind.LANGUAGE,
    Reason.CONFIG: Kind.INVALID_CONFIG,
}


class OpenAiAudio:
    """The routes over one runtime. *keep*: jobs stay after the answer, as long as others."""

    def __init__(self, runtime: Runtime, limits: Limits, *, keep: bool) -> None:
        self._runtime = runtime
        self._limits = replace(limits, parts=MAX_PARTS)
        self._keep = keep
        self._results = Results(runtime.blobs, runtime.encryptor, runtime.database, runtime.large_work, runtime.metrics)

    # ── the routes ──

    async def transcriptions(self, request: Request) -> Response:
        """`POST /v1/audio/transcriptions`: the words that are spoken, in the requested format, or as events."""
        return await self._create(request, translate=False)

    async def translations(self, request: Request) -> Response:
        """`POST /v1/audio/translations`: what is spoken, in English."""
        return await self._create(request, translate=True)

    async def model_list(self, request: Request) -> Response:
        """`GET /v1/models`: the names of models that are accepted."""
        await self._caller(request)
        return _json({"object": "list", "data": [models.model_object(name) for name in self._names()]})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{id}`: one of them."""
        await self._caller(request)
        name = request.path_params["model_id"]
        if name not in self._names():
            raise models.not_found(name)
        return _json(models.model_object(name))

    def _names(self) -> list[str]:
        offers = self._runtime.offers
        return models.listed(offers.models, diarizes=offers.diarizer is not None)

    async def _caller(self, request: Request) -> Caller:
        caller = await authenticate(request, self._runtime.api_key_cache)
        await self._runtime.rates.take(caller.key_id, request.method)
        return caller

    # ── the job of a request ──

    async def _create(self, request: Request, *, translate: bool) -> Response:
        caller = await self._caller(request)
        await self._runtime.submitter.admit(caller, announced(request, self._limits))
        job_id = model.new_id()
        places = {"file": media_key(job_id)}
        received = await receive(request, self._runtime.blobs, places, self._limits, form.REPEATABLE)
        try:
            asked = form.parse(received.fields, received.lists, translate=translate)
            submission = await self._submission(caller, job_id, received, asked)
        except BaseException:
            await self._runtime.blobs.delete_prefix(f"jobs/{job_id}/")
            raise
        await self._runtime.submitter.accept(submission)
        left = asyncio.ensure_future(client_disconnected(request))
        if asked.stream:
            return await self._streamed(job_id, asked, left)
        return await self._answered(job_id, asked, left)

    async def _submission(self, caller: Caller, job_id: str, received: Form, asked: AudioRequest) -> Submission:
        """The submission of *asked*. Raises `Refused`."""
        if (media := received.files.get("file")) is None:
            raise Refused(Kind.MISSING_DATA_FILE)
        offers = self._runtime.offers
        if not offers.engines:
            raise Refused(Kind.UNAVAILABLE, "no worker has registered yet; try again later")
        chosen = models.chosen(asked.model, offers.models)
        codes, identifies = offers.spoken(chosen.name, translate=asked.translate)
        if not codes and chosen.name is not None:
            raise Refused(Kind.INVALID_CONFIG, f"{chosen.name} cannot translate; use whisper-1", at="model")
        spoken = Spoken(transcribed=codes, identifies=identifies)
        config = orjson.dumps(form.job_config(asked, chosen, spoken))
        parsed = await self._runtime.large_work.run_sized(len(config), lambda: parse_job_config(config))
        if not isinstance(parsed, TranscriptionRequest):
            raise TypeError(parsed)
        wanted = form.completed(parsed, asked, chosen, spoken)
        offers.check(wanted)
        return Submission(
            job_id=job_id,
            caller=caller,
            api="openai",
            request=wanted,
            config=config,
            data_name=media.name,
            media_key=media.key,
            media_bytes=media.size,
            media_digest=media.digest,
            keep_ms=None if self._keep else KEEP_MS,
        )

    async def _transcribed(self, job_id: str) -> Job:
        """The job *job_id*, which has ended with a transcript. Raises `Refused` if it ended otherwise."""
        job = await self._runtime.database.read(lambda connection: repository.get(connection, job_id))
        if job is None or job.state in REMOVED:
            raise Refused(Kind.JOB_EXPIRED)
        if job.state in LIVE:  # this process stops, and wakes all that wait
            raise Busy("the server is stopping; send the request again", after=responses.AFTER)
        if job.state is State.REJECTED:
            kind = _REJECTED.get(job.reason, Kind.JOB_REJECTED) if job.reason else Kind.JOB_REJECTED
            raise Refused(kind, "; ".join(error.message for error in job.errors))
        return job

    async def _forget(self, job_id: str, *, heard: bool = False) -> None:
        """Delete the job, whatever its state, unless it is done and jobs are kept.

        *heard*: the client has words of it. Where jobs are billed, it is finished first: a deleted one costs nothing.
        A deletion that fails is left to retention: the job is due soon after its end.
        """
        try:
            charged = heard and self._runtime.plan.pricing.billing
            if self._keep or charged:
                states = await self._runtime.database.read(partial(repository.states, ids=[job_id]))
                if charged if states.get(job_id) in LIVE else self._keep:
                    return
            if await self._runtime.deletion.delete(job_id, force=True):
                self._runtime.metrics.removed("deleted")
        except Exception as error:
            if (why := temporary(error)) is None:
                raise
            _log.warning("job of an answered request not deleted yet", extra={"job": job_id, "why": why})

    # ── its answer ──

    async def _answered(self, job_id: str, asked: AudioRequest, left: "asyncio.Future[None]") -> Response:
        """The answer, when the job has ended."""
        try:
            ended = asyncio.ensure_future(self._ended(job_id))
            await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ended.cancel()
                return Response(status_code=CLIENT_LEFT)
            ended.result()
            job = await self._transcribed(job_id)
            made = await self._results.made(job, lambda transcript: answers.answer(transcript, asked))
            await self._runtime.fetched(job)
        finally:
            left.cancel()
            await asyncio.shield(self._forget(job_id))
        return Response(made.body, headers={"content-type": made.media_type})

    async def _ended(self, job_id: str) -> None:
        while not await self._runtime.completion_waiter.ended(job_id, PATIENCE):
            if self._runtime.completion_waiter.closed:
                return

    # ── its events ──

    async def _streamed(self, job_id: str, asked: AudioRequest, left: "asyncio.Future[None]") -> Response:
        """The events of the job, as it goes on; an ordinary error if it fails before the first one."""
        events = self._events(job_id, asked)
        first = next_event(events)
        try:
            await first_of(first, left, HEAD_WAIT)
            if first.done():
                first.result()  # raises the error of the job
            if not left.done():
                return EventStream(
                    events, first, left, failed=_failed, comment=answers.WAITING, media_type=answers.MEDIA_TYPE
                )
        except BaseException:
            left.cancel()
            await asyncio.shield(end(events, first))
            raise
        await asyncio.shield(end(events, first))
        return Response(status_code=CLIENT_LEFT)

    async def _events(self, job_id: str, asked: AudioRequest) -> AsyncGenerator[bytes, None]:
        """The words of each stretch as soon as it is stored, then what the whole transcript adds."""
        reader = ProgressReader(self._runtime.blobs, job_id)
        first = True
        try:
            while not await self._ended_soon(job_id):
                for stretch in await _more(reader):
                    if event := answers.delta(stretch.items, stretch.language, first=first):
                        first = False
                        yield event
            job = await self._transcribed(job_id)
            for event in await self._results.made(
                job, partial(answers.closing, asked=asked, end=reader.end, first=first)
            ):
                yield event
            await self._runtime.fetched(job)
        finally:
            await asyncio.shield(self._forget(job_id, heard=not first))

    async def _ended_soon(self, job_id: str) -> bool:
        """True if the job ends within `POLL`, or this process stops."""
        waiter = self._runtime.completion_waiter
        return await waiter.ended(job_id, POLL) or waiter.closed


async def _more(reader: ProgressReader) -> list[Stretch]:
    """The new stretches; none while the store is away."""
    try:
        return await reader.more()
    except Exception as error:
        if temporary(error) is None:
            raise
        return []


def _failed(error: Exception) -> bytes:
    """The event for *error*, which a stream met after its first event."""
    refused = responses.translated(error)
    if refused is None:
        _log.error("stream of a transcript failed", exc_info=error)
        return answers.event(openai_errors.internal_error()[1])
    return answers.event(openai_errors.openai_error(refused)[1])


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), media_type=responses.JSON)


def routes(runtime: Runtime, limits: Limits, *, keep: bool) -> list[Route]:
    """The routes of OpenAI's API. V1 has no route that begins like one of them."""
    api = OpenAiAudio(runtime, limits, keep=keep)
    return [
        Route(path="/v1/audio/transcriptions", handlers={"POST": api.transcriptions}),
        Route(path="/v1/audio/translations", handlers={"POST": api.translations}),
        Route(path="/v1/models", handlers={"GET": api.model_list}),
        Route(path="/v1/models/{model_id}", handlers={"GET": api.model}),
    ]

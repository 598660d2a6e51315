"""Routes below a job that the contract does not have (docs/additions.md)."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.job import REMOVED, JobType
from sottovoce.service.jobs.additions.speaker_names import SpeakerNameStore
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import Results
from sottovoce.service.notifications import repository
from sottovoce.service.notifications.model import Delivery
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.blob_keys import media_key, peaks_key, playback_key
from sottovoce.service.storage.blobs import Missing
from sottovoce.service.storage.database import Connection
from sottovoce.transcript.speaker_names import labels
from sottovoce.web import request_body, responses
from sottovoce.web.api import blob_response
from sottovoce.web.routing import Handler
from sottovoce.wire.v2 import speaker_names as wire
from sottovoce.wire.v2.deliveries import DeliveryView, delivery_object

_DELIVERY_ID = re.compile(r"[a-z0-9]{1,64}")
FindJob = Callable[[Request], Awaitable[Job]]
"""Returns the job that the path of a request names. Raises `Refused` if its caller may not see it."""


class JobAdditions:
    """The routes over one runtime."""

    def __init__(self, runtime: Runtime, results: Results, find: FindJob) -> None:
        self._results = results
        self._find = find
        self._blobs = runtime.blobs
        self._database = runtime.database
        self._outbox = runtime.outbox
        self._large_work = runtime.large_work
        self.names = SpeakerNameStore(runtime.database, runtime.encryptor)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by the ids of `docs.additions.ADDITIONS`."""
        return {
            "get_speaker_names": self.get_names,
            "set_speaker_names": self.set_names,
            "get_peaks": self.peaks,
            "get_playback": self.playback,
            "list_deliveries": self.deliveries,
            "retry_delivery": self.retry,
        }

    # ── names of speakers ──

    async def get_names(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/speaker-names`."""
        job = await self._transcription(request)
        await self._results.stored(job)  # refuses a job without a transcript
        return responses.json(request, wire.names_object(await self.names.get(job.id)))

    async def set_names(self, request: Request) -> Response:
        """`PUT /v2/jobs/{id}/speaker-names`: replace all names."""
        job = await self._transcription(request)
        known = await self._results.made(job, lambda transcript: labels(transcript.items))
        body = await request_body.read_small(request, wire.MAX_BODY)
        names = await self._large_work.run_sized(len(body), lambda: wire.parse(body, known))
        if not await self.names.put(job.id, names):
            raise Refused(Kind.FILE_EXPIRED)
        return responses.json(request, wire.names_object(names))

    # ── playback ──

    async def peaks(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/peaks`: the waveform of the media."""
        job = await self._find(request)
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        try:
            found = await self._blobs.get(peaks_key(job.id))
        except Missing as missing:
            raise Refused(Kind.PAGE_NOT_FOUND, "this job has no peaks") from missing
        return Response(found, media_type=blob_response.BYTES, headers={"cache-control": "private, max-age=3600"})

    async def playback(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/playback`: audio that browsers play: the copy that the worker made, else the media itself."""
        job = await self._find(request)
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        try:
            await self._blobs.size(playback_key(job.id))
        except Missing:
            return await blob_response.sent(request, self._blobs, media_key(job.id))
        return await blob_response.sent(request, self._blobs, playback_key(job.id), media_type="audio/webm")

    # ── deliveries ──

    async def deliveries(self, request: Request) -> Response:
        """`GET /v2/jobs/{id}/deliveries`: the notifications, callbacks and mails of the job, newest first."""
        job = await self._find(request)
        if job.state in REMOVED:
            raise Refused(Kind.JOB_EXPIRED)
        found = await self._database.read(lambda connection: repository.listing(connection, job_id=job.id))
        return responses.json(request, {"deliveries": [delivery_object(_view(each)) for each in found]})

    async def retry(self, request: Request) -> Response:
        """`POST /v2/jobs/{id}/deliveries/{delivery_id}/retry`: send a failed delivery again, under the same id."""
        job = await self._find(request)
        delivery_id = request.path_params["delivery_id"]
        if not _DELIVERY_ID.fullmatch(delivery_id):  # checked first: some databases reject some characters
            raise Refused(Kind.PAGE_NOT_FOUND, "this job has no such delivery")

        def again(connection: Connection) -> Delivery:
            if repository.of_job(connection, delivery_id, job.id) is None:
                raise Refused(Kind.PAGE_NOT_FOUND, "this job has no such delivery")
            found = self._outbox.send_again(connection, delivery_id)
            if found is None:
                raise Refused(Kind.BAD_REQUEST, "this delivery has not failed, so it is not sent again")
            return found

        return responses.json(request, delivery_object(_view(await self._database.write(again))))

    async def _transcription(self, request: Request) -> Job:
        job = await self._find(request)
        if job.type is not JobType.TRANSCRIPTION:
            raise Refused(Kind.NOT_TRANSCRIPTION)
        return job


def _view(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        kind=delivery.kind,
        target=delivery.place,
        state=delivery.state,
        attempts=delivery.attempts,
        max_attempts=delivery.tries,
        outcome=delivery.outcome,
        next_at=delivery.next_at,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
    )

"""Routes below a job that the contract does not have (docs/additions.md)."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.job import JobType
from sottovoce.service.jobs.additions.speaker_names import SpeakerNameStore
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import Results
from sottovoce.service.runtime import Runtime
from sottovoce.transcript.speaker_names import labels
from sottovoce.web import request_body, responses
from sottovoce.web.routing import Handler
from sottovoce.wire.v2 import speaker_names as wire

FindJob = Callable[[Request], Awaitable[Job]]
"""Returns the job that the path of a request names. Raises `Refused` if its caller may not see it."""


class JobAdditions:
    """The routes over one runtime."""

    def __init__(self, runtime: Runtime, results: Results, find: FindJob) -> None:
        self._results = results
        self._find = find
        self._large_work = runtime.large_work
        self.names = SpeakerNameStore(runtime.database, runtime.encryptor)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by the ids of `docs.additions.ADDITIONS`."""
        return {"get_speaker_names": self.get_names, "set_speaker_names": self.set_names}

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

    async def _transcription(self, request: Request) -> Job:
        job = await self._find(request)
        if job.type is not JobType.TRANSCRIPTION:
            raise Refused(Kind.NOT_TRANSCRIPTION)
        return job

"""Stored results in the forms of the API: a job's view, and its transcript in each format."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import orjson

from sottovoce import __version__
from sottovoce.errors import Kind, Refused
from sottovoce.job import LIVE, NO_TRANSCRIPT, REMOVED, State
from sottovoce.request import Diarization, OperatingPoint, TranscriptionRequest
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.storage.blob_keys import text_key
from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript import alignment as codec_of_alignments
from sottovoce.transcript import codec
from sottovoce.transcript.model import Transcript
from sottovoce.wire.formats import alignment
from sottovoce.wire.formats.table import FORMATS, Rendering
from sottovoce.wire.v2.config import parse_job_config
from sottovoce.wire.v2.job import JobView

_log = logging.getLogger(__name__)

SMALL = 16 << 10
"""Bytes of the largest decrypted config that is cached."""
REMEMBERED = 1000
"""Decrypted configs in the cache."""
UNREADABLE = "the config cannot be shown: it is encrypted with a key that the server does not have"
"""The entry in `errors[]` of a job whose config no key decrypts; everything else of the job is there."""


def _request(job: Job, view: JobView, transcript: Transcript) -> TranscriptionRequest:
    """The request of *job*; with a config that cannot be decrypted, what its row and its transcript say of it."""
    if view.config is None:
        diarization = Diarization.SPEAKER if transcript.speakers else Diarization.NONE
        point = OperatingPoint(job.operating_point)
        return TranscriptionRequest(language=job.language, operating_point=point, diarization=diarization)
    parsed = parse_job_config(orjson.dumps(view.config))
    if not isinstance(parsed, TranscriptionRequest):
        raise Refused(Kind.NOT_TRANSCRIPTION)
    return parsed


class ResultLost(Missing):
    """The stored result of a job that is done is missing, although the job was not removed."""


class Results:
    """Reads the results of jobs."""

    def __init__(self, blobs: Blobs, encryptor: Encryptor, database: Database) -> None:
        self._blobs = blobs
        self._encryptor = encryptor
        self._database = database
        self._configs: OrderedDict[bytes, Any] = OrderedDict()

    def view(self, job: Job) -> JobView:
        """The view of *job* for the API, with the config exactly as submitted, or with an error if no key decrypts it."""
        config = None if job.config is None else self._config(job.config)
        unreadable = () if config is not None or job.config is None else ((job.created_at, UNREADABLE),)
        return JobView(
            id=job.id,
            state=job.state,
            created_at=job.created_at,
            data_name=job.data_name,
            duration_ms=job.duration_ms,
            config=config,
            errors=(*self._errors(job), *unreadable),
            text_name=job.text_name,
        )

    def _errors(self, job: Job) -> tuple[tuple[int, str], ...]:
        """Timestamp and full text of each error: the job's owner may see its own secrets again."""
        whole = repository.whole_errors(self._encryptor, job)
        return tuple((error.timestamp, whole.get(place, error.message)) for place, error in enumerate(job.errors))

    def _config(self, encrypted: bytes) -> Any:
        """The submitted config; `None` if no key decrypts it.

        Small ones are cached: decryption costs more than the rest of a status request.
        """
        if (cached := self._configs.get(encrypted)) is not None:
            return cached
        try:
            text = self._encryptor.decrypt(encrypted)
        except ValueError:
            return None
        config = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
        if len(text) <= SMALL:
            self._configs[encrypted] = config
            while len(self._configs) > REMEMBERED:
                self._configs.popitem(last=False)
        return config

    async def value(self, job: Job, form: str) -> Any:
        """The transcript of *job* in *form*: a JSON-compatible value for json-v2, else text. Raises `Refused` if there is none."""
        return (await self.values(job, [form]))[form]

    async def values(self, job: Job, forms: Collection[str]) -> dict[str, Any]:
        """The transcript of *job* in each of *forms*; see `value`."""
        stored = await self.stored(job)

        def render() -> dict[str, Any]:
            transcript, view = codec.decode(stored), self.view(job)
            given = Rendering(
                transcript=transcript, job=view, request=_request(job, view, transcript), version=__version__
            )
            return {form: FORMATS[form].render(given) for form in forms}

        return await asyncio.to_thread(render)  # a ten-hour transcript takes a second, too long for the event loop

    async def aligned(self, job: Job, tags: str) -> str:
        """The aligned text of *job* with times, in the form *tags*, one of `alignment.TAGS`. Raises `Refused` if there is none."""
        stored, text = await self.stored(job), await self.text(job)

        def render() -> str:
            return alignment.TAGS[tags](text.decode(), codec_of_alignments.decode(stored))

        return await asyncio.to_thread(render)

    async def text(self, job: Job) -> bytes:
        """The submitted text of the alignment *job*. Raises `Refused` if it was removed or is not fetched yet."""
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        try:
            return await self._blobs.get(text_key(job.id))
        except Missing as missing:
            raise Refused(Kind.JOB_IN_PROGRESS if job.state in LIVE else Kind.FILE_EXPIRED) from missing

    async def stored(self, job: Job) -> bytes:
        """The stored result of *job* in the form of its codec. Raises `Refused` if there is none, `ResultLost` if it is missing."""
        if job.state is not State.DONE:
            raise Refused(NO_TRANSCRIPT[job.state], "; ".join(error.message for error in job.errors))
        if job.result_key is None:
            raise Refused(Kind.NOT_READY)
        try:
            return await self._blobs.get(job.result_key)
        except Missing as missing:
            now = await self._database.read(lambda connection: repository.get(connection, job.id))
            if now is None or now.state in REMOVED:
                raise Refused(Kind.FILE_EXPIRED) from missing
            _log.error("result of a done job is missing", extra={"job": job.id, "blob": job.result_key})
            raise ResultLost(job.result_key) from missing

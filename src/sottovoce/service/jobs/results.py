"""Stored jobs and results in the forms of the API: a job's view, lists of jobs, and a transcript in each format.

A config may have 4 MB. Answers about jobs contain its stored text as it is, without parsing it; large configs are read in small
batches, and decrypted in the threads of `LargeWork`.

The worker of a running job stores each stretch as a blob, so that any process of the region can read it; `ProgressReader` does.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson

from sottovoce import __version__
from sottovoce.errors import Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.job import LIVE, NO_TRANSCRIPT, REMOVED, State
from sottovoce.request import Diarization, OperatingPoint, TranscriptionRequest
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.large_work import SMALL, LargeWork
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import job_requests
from sottovoce.service.storage.blob_keys import progress_prefix, text_key
from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript import alignment as codec_of_alignments
from sottovoce.transcript import codec
from sottovoce.transcript.model import Item, Samples, Transcript
from sottovoce.transcript.speaker_names import SpeakerNames
from sottovoce.wire.formats import alignment
from sottovoce.wire.formats.table import Rendering, render
from sottovoce.wire.v2.job import JobView

_log = logging.getLogger(__name__)
T = TypeVar("T")

REMEMBERED = 1000
"""Decrypted configs in the cache."""
BATCH = 1 << 20
"""Bytes of the configs that are read and decrypted together for a list; a single larger config is a batch of its own."""
ROW = 2 << 10
"""Bytes that count for the other columns of a job in a batch."""
UNREADABLE = "the config cannot be shown: it is encrypted with a key that the server does not have"
"""The entry in `errors[]` of a job whose config no key decrypts; everything else of the job is there."""
NO_NAMES = SpeakerNames()
_BOM = b"\xef\xbb\xbf"


class ResultLost(Exception):
    """The stored result of a job that is done is missing or cannot be decoded, although the job was not removed."""


class Results:
    """Reads jobs and their results."""

    def __init__(
        self, blobs: Blobs, encryptor: Encryptor, database: Database, large_work: LargeWork, metrics: Metrics
    ) -> None:
        self._metrics = metrics
        self._blobs = blobs
        self._encryptor = encryptor
        self._database = database
        self._large_work = large_work
        self._texts: OrderedDict[bytes, bytes] = OrderedDict()

    # ── jobs ──

    async def whole(self, job: Job) -> Job:
        """*job* with its config, which is read now if it was left out."""
        return job if job.whole else (await self._completed([job]))[0]

    async def _completed(self, jobs: Sequence[Job]) -> list[Job]:
        """*jobs* with their configs; those that were removed meanwhile as they are now."""
        left_out = [job.id for job in jobs if not job.whole]
        if not left_out:
            return list(jobs)
        found = await self._database.read(lambda connection: repository.get_many(connection, left_out, whole=True))
        return [job if job.whole else found.get(job.id, job) for job in jobs]

    async def shown(self, job: Job) -> JobView:
        """The view of *job* for a response: its config is the submitted text, for the JSON encoder to copy."""
        whole = await self.whole(job)
        return await self._large_work.run_sized(whole.config_bytes, lambda: self.shown_whole(whole))

    def shown_whole(self, job: Job) -> JobView:
        """Like `shown`, for a job that is whole; takes long if its config is large."""
        text = self.text_of(job)
        return self._view(job, None if text is None else orjson.Fragment(text))

    def view(self, job: Job) -> JobView:
        """The view of *job*, which is whole, with its config parsed; takes long if it is large."""
        text = self.text_of(job)
        return self._view(job, None if text is None else orjson.loads(text))

    def _view(self, job: Job, config: Any) -> JobView:
        """The view of *job*, with an error if no key decrypts its config."""
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

    def text_of(self, job: Job) -> bytes | None:
        """The submitted config of *job*; `None` if there is none, or if no key decrypts it.

        Small ones are cached: decryption costs more than the rest of a status request.
        """
        if (encrypted := job.config) is None:
            return None
        if (cached := self._texts.get(encrypted)) is not None:
            return cached
        try:
            text = self._encryptor.decrypt(encrypted).removeprefix(_BOM).strip()
        except ValueError:
            return None
        if len(text) <= SMALL:
            self._texts[encrypted] = text
            while len(self._texts) > REMEMBERED:
                self._drop_oldest()
        return text

    def _drop_oldest(self) -> None:
        try:
            self._texts.popitem(last=False)
        except KeyError:  # another thread has removed the last one
            return

    async def listed(self, jobs: Sequence[Job], render: Callable[[Job], bytes]) -> AsyncIterator[bytes]:
        """What *render* makes of each of *jobs*, several joined by commas, without those that are removed meanwhile."""
        for batch in _batches(jobs):
            before = {job.id: job.state in REMOVED for job in batch}
            whole = [job for job in await self._completed(batch) if before[job.id] or job.state not in REMOVED]
            if whole:
                yield await self._large_work.run(lambda whole=whole: b",".join(map(render, whole)))  # type: ignore[misc]

    # ── results ──

    async def rendered(self, job: Job, form: str, names: SpeakerNames = NO_NAMES) -> bytes:
        """The transcript of *job* in *form*, encoded, with *names* in place of the labels of speakers.

        Raises `Refused` if there is none, `ResultLost` if it is lost.
        """
        return (await self.renderings(job, [form], names))[form]

    async def renderings(self, job: Job, forms: Collection[str], names: SpeakerNames = NO_NAMES) -> dict[str, bytes]:
        """The transcript of *job* in each of *forms*; see `rendered`."""
        stored, whole = await self.stored(job), await self.whole(job)

        def rendered() -> dict[str, bytes]:
            transcript = self.decoded(job, stored, codec.decode)
            request = self._request(whole, transcript)
            text = self.text_of(whole)
            view = replace(self.shown_whole(whole), config=None)
            shown = names.shown_in(transcript)
            given = Rendering(transcript=shown, job=view, request=request, version=__version__, named=bool(names))
            return self._large_work.apart(len(text or b""), render, given, text, tuple(forms))

        return await self._large_work.run(rendered)  # a ten-hour transcript takes a second, too long for the event loop

    async def made(self, job: Job, make: Callable[[Transcript], T]) -> T:
        """What *make* makes of the transcript of *job*, in a thread. Raises `Refused` if there is none."""
        stored = await self.stored(job)
        return await self._large_work.run(lambda: make(self.decoded(job, stored, codec.decode)))

    def _request(self, job: Job, transcript: Transcript) -> TranscriptionRequest:
        """The request of *job*, which is whole; if it cannot be read, what its row and its transcript say of it."""
        try:
            request = job_requests.request_of(self._encryptor, job)
        except ValueError as error:
            _log.warning("request of a job cannot be read", extra={"job": job.id, "why": str(error)})
            diarization = Diarization.SPEAKER if transcript.speakers else Diarization.NONE
            point = OperatingPoint(job.operating_point)
            return TranscriptionRequest(language=job.language, operating_point=point, diarization=diarization)
        if request is None:
            raise Refused(Kind.FILE_EXPIRED)
        if not isinstance(request, TranscriptionRequest):
            raise Refused(Kind.NOT_TRANSCRIPTION)
        return request

    async def aligned(self, job: Job, tags: str) -> str:
        """The aligned text of *job* with times, in the form *tags*, one of `alignment.TAGS`. Raises `Refused` if there is none."""
        stored, text = await self.stored(job), await self.text(job)

        def render() -> str:
            words = self.decoded(job, stored, codec_of_alignments.decode)
            return alignment.TAGS[tags](self.decoded(job, text, bytes.decode), words)

        return await self._large_work.run(render)

    async def text(self, job: Job) -> bytes:
        """The submitted text of the alignment *job*. Raises `Refused` if it was removed or is not there yet, else `ResultLost`."""
        if job.state in REMOVED:
            raise Refused(Kind.FILE_EXPIRED)
        try:
            return await self._blobs.get(text_key(job.id))
        except Missing as missing:
            if job.state is State.DONE:
                raise await self._lost(job, text_key(job.id)) from missing
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
            raise await self._lost(job, job.result_key) from missing

    async def _lost(self, job: Job, key: str) -> Refused | ResultLost:
        """The error for the done *job*, whose blob *key* is missing: a fault of ours, unless the job was removed meanwhile."""
        now = (await self._database.read(lambda connection: repository.get_many(connection, [job.id]))).get(job.id)
        if now is None or now.state in REMOVED:
            return Refused(Kind.FILE_EXPIRED)
        _log.error("result of a done job is missing", extra={"job": job.id, "blob": key})
        self._metrics.result_lost("missing")
        return ResultLost(key)

    def decoded(self, job: Job, stored: bytes, decode: Callable[[bytes], T]) -> T:
        """What *decode* reads in *stored*, a result of the done *job*. Raises `ResultLost` if it is truncated or damaged."""
        try:
            return decode(stored)
        except ValueError as error:
            about = {"job": job.id, "blob": job.result_key, "bytes": len(stored), "why": str(error)}
            _log.error("result of a done job cannot be read", extra=about)
            self._metrics.result_lost("unreadable")
            raise ResultLost(f"{job.result_key}: {error}") from error


# ── the result of a running job so far ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Formatted *items* from *start* to *end* of the media, in *language*."""

    start: Samples
    end: Samples
    language: str
    items: tuple[Item, ...]


class ProgressReader:
    """Reads the stretches of one job, each once, in the order of the media."""

    def __init__(self, blobs: Blobs, job_id: str) -> None:
        self._blobs = blobs
        self._job_id = job_id
        self._last: str | None = None
        self.end: Samples = 0

    async def more(self) -> list[Stretch]:
        """The stretches that were stored since the last call.

        A stretch that begins before the end of those read before is left out: another attempt has repeated some of the work.
        """
        found: list[Stretch] = []
        for key in await self._blobs.keys_after(progress_prefix(self._job_id), self._last):
            try:
                stored = await self._blobs.get(key)
            except Missing:  # the job has just ended
                break
            self._last = key
            stretch = _decoded(stored)
            if stretch is not None and stretch.start >= self.end:
                self.end = stretch.end
                found.append(stretch)
        return found


def _decoded(frame: bytes) -> Stretch | None:
    """The stretch in *frame*; None if another release wrote it in another form."""
    try:
        header, payload = m.lengths(frame[: m.PREFIX])
        message = m.decode(frame[m.PREFIX : m.PREFIX + header])
        items = codec.load_items(frame[m.PREFIX + header : m.PREFIX + header + payload])
    except ValueError:
        return None
    if not isinstance(message, m.StretchDone):
        return None
    return Stretch(start=message.start, end=message.end, language=message.language, items=items)


def _batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """*jobs* in order, in batches of at most `BATCH` bytes, or of a single job."""
    batch: list[Job] = []
    size = 0
    for job in jobs:
        size += job.config_bytes + ROW
        if batch and size > BATCH:
            yield batch
            batch, size = [], job.config_bytes + ROW
        batch.append(job)
    if batch:
        yield batch

"""Accepts a job: inspects its media, checks that an engine can process it, then inserts job row and queue entry in one transaction.

The parts, in order: the values (`Submission`, `Accepted`, `RegionRef`), `JobSubmitter` with its steps in the order of execution,
and the checks of URLs.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from sottovoce.audio.media import too_long
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import MEDIA, EngineTemporarilyUnavailable, Pool, ProcessDied, Task, TaskCrashed
from sottovoce.job import REMOVED, JobType
from sottovoce.outbound import OutboundRefused, Policy, header_lines
from sottovoce.request import AlignmentRequest, Fetch, Notification, OperatingPoint, Request
from sottovoce.service.billing import usage
from sottovoce.service.billing.credit_holds import CreditReservations, Reservation
from sottovoce.service.context import RegionContext
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import alignment_text, repository
from sottovoce.service.jobs.alignment_text import SubmittedText
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.model import Job, NewJob
from sottovoce.service.jobs.queue_estimate import QueueEstimator
from sottovoce.service.limits import quotas
from sottovoce.service.limits.quotas import Quota
from sottovoce.service.queue.port import TaskKind
from sottovoce.service.storage import job_requests
from sottovoce.service.storage.blob_keys import result_key
from sottovoce.service.storage.trouble import temporary
from sottovoce.transcript import alignment, codec, marked_text
from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.model import RATE, Samples, Transcript

_log = logging.getLogger(__name__)

T = TypeVar("T")
LOOK_TIMEOUT = 60.0
"""Seconds that the inspection of the media may delay a submission; after that, the worker inspects it."""
HOLD_FOR = 120.0
"""Maximum seconds between credit hold and insert of the job. Settlement releases a hold without a job after 600 s (`GRACE_MS`)."""
MAX_IDEMPOTENCY_KEY = 255
"""Characters of an `Idempotency-Key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submission: the parsed request, the raw config, and the media, which is stored under the job's key already."""

    job_id: str
    caller: Caller
    api: str
    request: Request
    config: bytes
    data_name: str = ""  # this and the media's fields: empty if the media is to be fetched
    media_key: str = ""
    media_bytes: int = 0
    media_digest: str = ""
    text: SubmittedText | None = None  # the uploaded text of an alignment
    idempotency_key: str | None = None
    legacy: bytes | None = None  # the V1 request; None for V2
    unknown: tuple[str, ...] = ()  # a sentence for each member of the config, or field of a V1 form, that has no effect
    keep_ms: int | None = None  # retention after the job's end that the caller asks for
    app: str | None = None  # the application that calls

    @property
    def fetched(self) -> bool:
        """True if the media or the text to align must be fetched."""
        return self.request.fetch_data is not None or (
            isinstance(self.request, AlignmentRequest) and self.request.fetch_text is not None
        )

    @property
    def empty(self) -> bool:
        """True if the media is empty, which V1 accepts as a test (`legacy-v1.md` §1)."""
        return self.legacy is not None and not self.fetched and self.media_bytes == 0

    @property
    def digest(self) -> str:
        """SHA-256 of config, names, media, text and retention: equal for two submissions of the same request under one key."""
        text = (self.text.name, self.text.digest) if self.text else ()
        keep = () if self.keep_ms is None else (f"keep {self.keep_ms}",)
        fields = (self.data_name, str(self.media_bytes), self.media_digest, *text, *keep)
        return hashlib.sha256(b"\0".join((self.config, *(text.encode() for text in fields)))).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The durable job *id*, its *cost* in credits, and the *balance* after it; `None` if billing is off."""

    id: str
    cost: int = 0
    balance: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRef:
    """The region that accepts, and its number in V1 ids."""

    region: str
    number: int


class JobSubmitter:
    """Turns submissions into durable jobs."""

    def __init__(
        self,
        *,
        region: RegionContext,
        place: RegionRef,
        pool: Pool,
        offers: CapabilityTable,
        queue_estimator: QueueEstimator,
        quota: Quota,
        target: str,
        outbound: Policy,
        credit_reservations: CreditReservations,
        max_media: Samples | None = None,
    ) -> None:
        self._max_media = max_media
        self._place = place
        self._queue_estimator = queue_estimator
        self._quota = quota
        self._disk = region.disk
        self._target = target
        self._outbound = outbound
        self._credit_reservations = credit_reservations
        self._outbox = region.outbox
        self._keep_ms = region.keep_ms
        self._database = region.database
        self._blobs = region.blobs
        self._encryptor = region.encryptor
        self._queue = region.queue
        self._pool = pool
        self._offers = offers
        self._metrics = region.metrics
        self._large_work = region.large_work

    async def admit(self, caller: Caller, incoming: int, *, arrived: int = 0) -> None:
        """Raise `Refused` if disk or quota have no room for *incoming* announced or *arrived* received bytes.

        Concurrent submitters read the same quota, so `_store` checks it again inside the insert transaction.
        """
        with self._counting_refusals():
            if self._disk is not None:
                self._disk.check(incoming)
            if self._quota != Quota():
                await self._database.read(self._quota_check(caller.workspace_id, incoming + arrived))

    def _quota_check(self, workspace_id: int, size: int) -> repository.Check:
        """A check that the workspace may have one more job with *size* bytes."""
        return partial(quotas.enforce, quota=self._quota, workspace_id=workspace_id, incoming=size)

    @contextmanager
    def _counting_refusals(self) -> Iterator[None]:
        """Count a refusal by a quota in the metrics."""
        try:
            yield
        except Refused as refused:
            if (rule := quotas.RULES.get(refused.kind)) is not None:
                self._metrics.limited(rule)
            raise

    def check(self, request: Request) -> None:
        """Raise `Refused` for a request that no engine can process, before any media is read."""
        self._offers.check(request)
        _check_urls(request, self._outbound)

    async def accept(self, submission: Submission) -> Accepted:
        """Create the job, or return the earlier job of the same idempotency key. Raises `Refused`.

        On any exception the media is deleted and the credits are released, unless the transaction was committed anyway.
        """
        storing: asyncio.Task[str] | None = None
        try:
            await self._sized(submission, lambda: self.check(submission.request))
            await self.admit(submission.caller, 0, arrived=submission.media_bytes)
            if submission.text is not None:
                await alignment_text.read(self._blobs, submission.text)
            accepted = await self._earlier_job(submission)
            held = Reservation(cost=0, balance=None)
            if accepted is None:
                duration_ms = 0 if submission.empty else await self._inspect(submission)
                cost = self._credit_reservations.pricing.cost(
                    duration_ms or None, submission.media_bytes if submission.media_key else None
                )
                held = await self._credit_reservations.hold(submission.caller.workspace_id, submission.job_id, cost)
                storing = asyncio.create_task(self._store(submission, duration_ms, _elapsed()))
                accepted = await asyncio.shield(storing)
        except BaseException:
            await asyncio.shield(self._undo(submission.job_id, storing))
            raise
        if accepted != submission.job_id:
            await self._undo(submission.job_id, None)
            return Accepted(id=accepted)
        self._metrics.accepted(submission.api, submission.media_bytes)
        _log.info("job accepted", extra={"job": accepted, "bytes": submission.media_bytes})
        return Accepted(id=accepted, cost=held.cost, balance=held.balance)

    async def _earlier_job(self, submission: Submission) -> str | None:
        """The id of the earlier job of the same idempotency key. Raises `Refused` if that job has a different request."""
        key = submission.idempotency_key
        if key is None:
            return None
        found = await self._database.read(
            lambda connection: repository.by_idempotency_key(connection, submission.caller, key)
        )
        if found is None:
            return None
        return (await self._sized(submission, lambda: self._same_request(submission, found))).id

    async def _sized(self, submission: Submission, work: Callable[[], T]) -> T:
        """The result of *work*, which takes longer the larger the submission's config is."""
        return await self._large_work.run_sized(len(submission.config), work)

    async def _undo(self, job_id: str, storing: "asyncio.Task[str] | None") -> None:
        """Delete the media and release the credits of a failed submission.

        *storing* may have committed although the caller was cancelled or lost the database; then the job stays.
        """
        try:
            if storing is not None:
                await asyncio.wait({storing})
                if await self._database.read(lambda connection: repository.get(connection, job_id)):
                    return
            await self._credit_reservations.release(job_id)
            await self._blobs.delete_prefix(f"jobs/{job_id}/")
        except Exception as error:  # noqa: BLE001 - the caller raises its own error
            level = logging.WARNING if temporary(error) else logging.ERROR
            extra = {"job": job_id, "why": str(error)[:200]}
            _log.log(level, "media of a refused job not removed", exc_info=level == logging.ERROR, extra=extra)

    async def _inspect(self, submission: Submission) -> int:
        """Duration in ms that the container declares (0: unknown). Raises `MediaUnreadable` if the file is not media.

        A child process inspects the file, because demuxers are native code and the file is untrusted. If the inspection fails for
        another reason, the duration is unknown and the job is accepted.
        """
        if self._blobs.root is None or not submission.media_key:
            return 0  # not fetched yet, or in S3: the worker has to fetch it and inspects it then
        found: list[m.Media] = []
        path = str(self._blobs.root / submission.media_key)
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                await self._pool.run(
                    MEDIA, Task(message=m.Inspect(path=path)), lambda message, _: _collect(message, found)
                )
        except (TimeoutError, ProcessDied, TaskCrashed, EngineTemporarilyUnavailable, EngineUnavailable) as error:
            _log.warning("media not inspected", extra={"job": submission.job_id, "why": str(error)})
        samples = (found[0].duration or 0) if found else 0
        if self._max_media is not None and samples > self._max_media:
            raise too_long(self._max_media)
        return samples * 1000 // RATE

    async def _store(self, submission: Submission, duration_ms: int, held_at: float) -> str:
        new = await self._sized(submission, lambda: self._new_job(submission, duration_ms))
        result = result_key(new.id, 0)
        if submission.empty:
            await self._blobs.put(result, await self._empty_result(submission, new))

        room = self._quota_check(new.caller.workspace_id, new.media_bytes)

        def commit(connection: sa.Connection) -> None:
            if _elapsed() - held_at > HOLD_FOR:
                raise RuntimeError("the job was inserted too late: its credits may have been released already")
            repository.insert(connection, new, room)
            for text in submission.unknown:
                repository.append_log(connection, new.id, stage="accepted", text=text, level="WARNING")
            account = str(new.caller.workspace_id)
            if submission.empty:
                repository.finish_unheard(connection, new.id, result_key=result, keep_ms=self._keep_ms)
                usage.record(connection, new.id)
                repository.append_log(connection, new.id, stage="done", text="the media is empty")
                if found := repository.get(connection, new.id):
                    self._outbox.post(connection, new.id, self._outbox.envelopes(found))
                return
            repository.append_log(connection, new.id, stage="queue", text=self._queue_estimator.outlook.words())
            if new.fetched:
                self._queue.enqueue(connection, TaskKind.FETCH, new.id, 1)
            else:
                self._queue.submit(connection, new.id, queue=new.queue, account=account, priority=new.priority)

        try:
            with self._counting_refusals():
                await self._database.write(commit)
        except sa.exc.IntegrityError:
            if (earlier := await self._earlier_job(submission)) is None:
                raise RuntimeError("the new job id is taken already") from None
            return earlier
        return new.id

    async def _empty_result(self, submission: Submission, new: NewJob) -> bytes:
        """The result for empty media: no words, or, for an alignment, all words of the text at 0 s."""
        now = round(time.time() * 1000)
        if submission.text is None:
            return codec.encode(Transcript(language=new.language, duration=0, created_at=now))
        text = await alignment_text.read(self._blobs, submission.text)

        def encode() -> bytes:
            words = tuple(
                AlignedWord(first=word.first, last=word.last, start=0, end=0, bridged=True)
                for word in marked_text.words(text)
            )
            return alignment.encode(Alignment(language=new.language, duration=0, created_at=now, words=words))

        return await asyncio.to_thread(encode)

    def _new_job(self, submission: Submission, duration_ms: int) -> NewJob:
        request = submission.request
        return NewJob(
            id=submission.job_id,
            caller=submission.caller,
            region=self._place.region,
            region_number=self._place.number,
            api=submission.api,
            type=JobType.ALIGNMENT if isinstance(request, AlignmentRequest) else JobType.TRANSCRIPTION,
            language=request.language,
            operating_point=OperatingPoint.STANDARD
            if isinstance(request, AlignmentRequest)
            else request.operating_point,
            config=self._encryptor.encrypt(submission.config),
            request=job_requests.encrypted(self._encryptor, request),
            data_name=submission.data_name,
            media_bytes=submission.media_bytes,
            duration_ms=duration_ms,
            queue=self._target,
            idempotency_key=submission.idempotency_key,
            idempotency_digest=submission.digest if submission.idempotency_key else None,
            fetched=submission.fetched,
            legacy=None if submission.legacy is None else self._encryptor.encrypt(submission.legacy),
            keep_ms=self._retention_ms(submission),
            app=submission.app,
            text_name=submission.text.name if submission.text else None,
        )

    def _retention_ms(self, submission: Submission) -> int:
        """Retention in ms after the job's end: the workspace's, else the region's; the caller may only shorten it."""
        most = submission.caller.retention_ms
        most = self._keep_ms if most is None else most
        return most if submission.keep_ms is None else min(most, submission.keep_ms)

    @staticmethod
    def _same_request(submission: Submission, found: Job) -> Job:
        """Return *found*. Raises `Refused` if it was removed, has another request, or the caller may not see it."""
        if found.idempotency_digest != submission.digest or not repository.may_see(submission.caller, found):
            why = "was used for another request before; use a new key"
            raise Refused(Kind.BAD_REQUEST, why, at="Idempotency-Key")
        if found.state in REMOVED:
            raise Refused(Kind.BAD_REQUEST, f"its job {found.id} is {found.state}; use a new key", at="Idempotency-Key")
        return found


def _elapsed() -> float:
    """Seconds on a clock that includes suspend time, as the ledger's clock does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _check_urls(request: Request, policy: Policy) -> None:
    """Raise `Refused` for URLs and headers that are invalid or forbidden, without resolving host names."""
    named: list[tuple[str, Fetch | Notification | None]] = [("fetch_data", request.fetch_data)]
    if isinstance(request, AlignmentRequest):
        named.append(("fetch_text", request.fetch_text))
    named += [(f"notification_config[{number}]", entry) for number, entry in enumerate(request.notifications)]
    for at, entry in named:
        if entry is not None:
            _check_url(entry.url, entry.auth_headers, at, policy)


def _check_url(url: str, lines: Iterable[str], at: str, policy: Policy) -> None:
    try:
        policy.target(url)
    except OutboundRefused as refused:
        raise OutboundRefused(refused.why, at=f"{at}.url") from refused
    try:
        header_lines(lines)
    except OutboundRefused as refused:
        raise OutboundRefused(refused.why, at=f"{at}.auth_headers") from refused


def _collect(message: m.Message, found: list[m.Media]) -> None:
    if isinstance(message, m.Media):
        found.append(message)

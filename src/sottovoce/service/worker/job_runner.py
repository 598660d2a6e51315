"""What is done with a queued job: claim it, recognise it in a child, publish the result. Fenced, leased, resumable.

Claiming belongs to the `work` step on purpose: the queue replays recorded results of finished steps, so a claim of its own
would hand the same attempt number to the next process, and the fence would not be one (docs/decisions/0003).
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sottovoce.engines.registry import Choice
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import EngineMisconfigured, Outcome, Pool, ProcessDied, Task, TaskCrashed
from sottovoce.job import LIVE, REMOVED, Reason
from sottovoce.logs import about
from sottovoce.request import AlignmentRequest, Diarization, Request, TranscriptionRequest
from sottovoce.service.billing import usage
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import alignment_text, capabilities, obsolete_blobs, repository, speaker_identifiers
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.speaker_identifiers import Scope, SpeakerIdentifiers
from sottovoce.service.queue.retry import retry_forever
from sottovoce.service.storage.blob_keys import _windows_prefix, media_key, result_key, text_key
from sottovoce.service.storage.blobs import Missing
from sottovoce.transcript import codec
from sottovoce.transcript.model import RATE
from sottovoce.wire.v2.config import parse_job_config

_log = logging.getLogger(__name__)

REJECTED_POISON = "The media could not be processed: the recogniser stopped working on it {failures} times"
REJECTED_ENGINE = "The job could not be processed because the engine for it does not start on this server"
NOT_ALIGNED = "Text could not be aligned to audio"
REJECTED_BUG = "The job could not be processed because of an internal error"


class LeaseLost(Exception):
    """Another attempt has the job, or nobody wants it any more."""


class TryAgain(Exception):
    """The attempt's engine process died; the job deserves another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPolicy:
    """Leases, patience and keeping. Times in seconds."""

    owner: str
    scratch: Path
    lease: float = 10.0
    heartbeat: float = 2.0
    max_failures: int = 3
    keep: float = 7 * 86_400.0

    @property
    def lease_ms(self) -> int:
        """The lease in the database's unit."""
        return round(self.lease * 1000)

    @property
    def keep_ms(self) -> int:
        """How long a finished job is kept, in the database's unit."""
        return round(self.keep * 1000)


@dataclass(slots=True)
class _Live:
    """What the child has told of the running attempt; written on the pool's thread, read by the heartbeat."""

    done: int = 0
    total: int | None = None
    duration: int | None = None

    @property
    def progress(self) -> float:
        return min(0.99, self.done / self.total) if self.total else 0.0

    @property
    def duration_ms(self) -> int | None:
        return None if self.duration is None else self.duration * 1000 // RATE


@dataclass(slots=True)
class _Turn:
    """The last attempt of one run of `work`: it goes on only from its own, so that a run presumed dead steals nothing."""

    attempt: int | None = None


class JobRunner:
    """Does one job at a time for whoever calls; holds no state of its own between calls."""

    def __init__(
        self,
        *,
        region: RegionContext,
        pool: Pool,
        offered: CapabilityTable,
        policy: WorkPolicy,
    ) -> None:
        self._database = region.database
        self._blobs = region.blobs
        self._encryptor = region.encryptor
        self._pool = pool
        self._offers = offered
        self._metrics = region.metrics
        self._outbox = region.outbox
        self._policy = policy

    # ── the two steps ──

    async def work(self, job_id: str) -> dict[str, Any] | None:
        """Claim and recognise *job_id*, trying again as often as it makes sense; what `publish` needs, or `None`.

        Only the outside world's trouble (database, blobs) is waited out; everything else ends in a result or a rejection.
        """
        turn = _Turn()
        with about(job=job_id):
            while True:
                result = None
                try:
                    result = await retry_forever(lambda: self._once(job_id, turn), reraise=(TryAgain, LeaseLost))
                except TryAgain:
                    continue
                except LeaseLost:
                    _log.info("attempt given up: the job is somebody else's now")
                except asyncio.CancelledError:  # the queue was told to stop it, or drains
                    with contextlib.suppress(Exception):
                        await asyncio.shield(self._sweep(job_id))
                    raise
                # with a result too: the queue drops a removed job between this step and the next, which would sweep then
                await retry_forever(lambda: self._sweep(job_id))
                return result

    async def publish(self, job_id: str, result: dict[str, Any]) -> None:
        """Make the attempt's result the job's, unless the attempt has lost the job; then clean up after it."""
        attempt = int(result["attempt"])
        with about(job=job_id, attempt=str(attempt)):
            # a step that fails ends the workflow, and with it the job's last chance: trouble is waited out here too
            await retry_forever(lambda: self._publish(job_id, attempt, result))

    async def _publish(self, job_id: str, attempt: int, result: dict[str, Any]) -> None:
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        envelopes = await self._outbox.prepare(found) if found else ()

        def finish(connection: sa.Connection) -> bool:
            finished = repository.finish(
                connection,
                job_id,
                attempt,
                result_key=result_key(job_id, attempt),
                duration_ms=int(result["duration_ms"]),
                engine=str(result["engine"]),
                keep_ms=self._policy.keep_ms,
            )
            if finished:
                usage.record(connection, job_id)
                repository.append_log(connection, job_id, attempt=attempt, stage="done", text=str(result["summary"]))
                self._outbox.post(connection, job_id, envelopes)
            return finished

        if await self._database.write(finish):
            self._metrics.finished("done")
            _log.info("job done", extra={"engine": result["engine"], "summary": result["summary"]})
            await self._sweep(job_id)
        else:
            await self._discard(job_id, attempt)

    async def _discard(self, job_id: str, attempt: int) -> None:
        """Throw a late result away, unless it *is* the job's: a step killed after its commit runs once more."""
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.result_key != result_key(job_id, attempt):
            await self._blobs.delete(result_key(job_id, attempt))
            _log.info("late result thrown away")
        await self._sweep(job_id)

    async def _sweep(self, job_id: str) -> None:
        """Remove what an ended job does not need: windows, results that lost, what was written after a removal."""
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.state in REMOVED:
            await self._blobs.delete_prefix(f"jobs/{job_id}/")
        elif found.state not in LIVE:
            for key in obsolete_blobs.obsolete(found, await self._blobs.keys(f"jobs/{job_id}/")):
                await self._blobs.delete(key)

    # ── one attempt ──

    async def _once(self, job_id: str, turn: _Turn) -> dict[str, Any] | None:
        policy = self._policy
        claimed = await self._database.write(
            lambda connection: repository.claim(
                connection, job_id, owner=policy.owner, lease_ms=policy.lease_ms, after=turn.attempt
            )
        )
        if claimed is None:
            _log.info("job no longer wanted, or somebody else's")
            return None
        turn.attempt = claimed.attempt
        with about(attempt=str(claimed.attempt)):
            try:
                return await self._attempt(claimed)
            except Refused as refusal:
                await self._reject(claimed, _reason(refusal), _told(refusal))
            except ProcessDied as death:
                if await self._survive(claimed, death):
                    raise TryAgain from death
            except EngineMisconfigured as broken:  # to wait here would hold a slot that other engines' jobs could use
                _log.error("engine cannot be started", extra={"why": str(broken)})
                await self._reject(claimed, Reason.ENGINE, REJECTED_ENGINE)
            except _FINAL as bug:  # the same would happen again for ever, and hold a slot
                _log.exception("attempt met a bug", extra={"why": str(bug)})
                await self._reject(claimed, Reason.ENGINE, REJECTED_BUG)
            return None

    async def _attempt(self, job: Job) -> dict[str, Any]:
        begun = time.monotonic()
        request = await asyncio.to_thread(self._request, job)  # a hostile config may take most of a second
        choice = self._offers.choose(request)
        await self._note(job, "engine", f"{choice.engine} {choice.model} on {choice.device}: {choice.why}")
        _log.info("job claimed", extra={"engine": choice.engine, "model": choice.model, "why": choice.why})
        key = _key(choice)
        outcome = await self._done(job, request, key)
        result = await asyncio.to_thread(self._sealed, job, request, outcome.payload)
        await self._blobs.put(result_key(job.id, job.attempt), result)
        seconds = time.monotonic() - begun
        audio = outcome.finished.duration / RATE
        self._metrics.recognised(choice.engine, audio=audio, seconds=seconds)
        return {
            "attempt": job.attempt,
            "duration_ms": outcome.finished.duration * 1000 // RATE,
            "engine": f"{choice.engine} {choice.model}",
            "summary": f"{audio:.2f} s of audio in {seconds:.2f} s",
        }

    def _request(self, job: Job) -> Request:
        if job.config is None:
            raise LeaseLost
        return parse_job_config(self._encryptor.decrypt(job.config))

    def _sealed(self, job: Job, request: Request, payload: bytes) -> bytes:
        """The result without voice prints that anybody could read."""
        scope = self._scope(job)
        if scope is None or isinstance(request, AlignmentRequest) or not request.speaker_diarization.get_speakers:
            return payload
        return codec.encode(
            speaker_identifiers.encrypted(codec.decode(payload), scope, SpeakerIdentifiers(self._encryptor))
        )

    def _scope(self, job: Job) -> Scope | None:
        """Where identifiers of speakers in *job* are good; `None` where nobody makes voice prints."""
        diarizer = self._offers.diarizer
        form = diarizer.capabilities.voiceprints if diarizer else None
        return Scope(workspace_id=job.workspace_id, project_id=job.project_id, form=form) if form else None

    async def _done(self, job: Job, request: Request, key: m.EngineKey) -> Outcome:
        """The child's outcome, with the lease kept and windows and notes stored meanwhile."""
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[tuple[m.Message, bytes] | None] = asyncio.Queue()
        live = _Live()

        def listen(message: m.Message, payload: bytes) -> None:
            match message:
                case m.Progress():
                    live.done, live.total = message.done, message.total
                case m.Media():
                    live.duration = message.duration
                    loop.call_soon_threadsafe(inbox.put_nowait, (message, payload))
                case _:
                    loop.call_soon_threadsafe(inbox.put_nowait, (message, payload))

        scratch = self._policy.scratch / f"{job.id}-{job.attempt}"
        try:
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._keep_lease(job, live))  # from here on: fetching the media may take long
                recorder = group.create_task(self._record(job, key, inbox))
                async with self._blobs.as_file(media_key(job.id), scratch) as path:
                    outcome = await self._pool.run(key, await self._task(job, request, key, path), listen)
                loop.call_soon_threadsafe(inbox.put_nowait, None)  # behind everything that the child said
                await recorder
                beat.cancel()
                # waited for here, not in the group's exit: a lost lease found there would look like a cancellation
                await asyncio.wait({beat})
        except BaseExceptionGroup as several:
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError from several  # whatever else went wrong, nobody wants this attempt
            raise several.exceptions[0] from several
        return outcome

    async def _task(self, job: Job, request: Request, key: m.EngineKey, path: Path) -> Task:
        windows = await self._kept_windows(_windows_prefix(job.id, key))
        if isinstance(request, AlignmentRequest):
            text = await self._blobs.get(text_key(job.id))
            await asyncio.to_thread(alignment_text.checked, text)  # what was fetched nobody has looked at yet
            asked = m.Align(path=str(path), language=request.language, windows=len(windows))
            return Task(message=asked, payload=text, windows=windows)
        return Task(message=await self._transcription(job, request, path, len(windows)), windows=windows)

    async def _transcription(self, job: Job, request: TranscriptionRequest, path: Path, windows: int) -> m.Transcribe:
        diarizer = self._offers.diarizer if request.diarization is Diarization.SPEAKER else None
        scope = self._scope(job)
        voices, ignored = (
            speaker_identifiers.known(request, scope, SpeakerIdentifiers(self._encryptor)) if scope else ((), 0)
        )
        if ignored:
            await self._note(job, "diarize", f"{ignored} speaker identifier(s) not good here, ignored", "WARNING")
        return m.Transcribe(
            path=str(path),
            request=_without_secrets(request),
            errors=capabilities.missing(request),
            windows=windows,
            diarizer=_key(diarizer) if diarizer else None,
            known=voices if diarizer else (),
        )

    async def _keep_lease(self, job: Job, live: _Live) -> None:
        policy = self._policy
        while True:
            await asyncio.sleep(policy.heartbeat)
            try:
                kept = await self._database.write(
                    lambda connection: repository.renew(
                        connection,
                        job.id,
                        job.attempt,
                        lease_ms=policy.lease_ms,
                        progress=live.progress,
                        duration_ms=live.duration_ms,
                    )
                )
            except sa.exc.OperationalError as error:  # the database is away: no reason to throw the work away
                _log.warning("lease not renewed", extra={"why": str(error)})
                continue
            if not kept:
                raise LeaseLost

    async def _record(
        self, job: Job, engine: m.EngineKey, inbox: "asyncio.Queue[tuple[m.Message, bytes] | None]"
    ) -> None:
        """Store what the child hands out, in order, until the end mark."""
        while (heard := await inbox.get()) is not None:
            message, payload = heard
            match message:
                case m.WindowDone():
                    key = f"{_windows_prefix(job.id, engine)}{message.channel:03}-{message.start:015}"
                    await self._blobs.put(key, m.encode(message, payload))
                case m.Media():
                    length = "unknown" if message.duration is None else f"{message.duration / RATE:.2f} s"
                    text = f"{message.container}, {message.codec}, {message.rate} Hz, {message.channels} channel(s), {length}"
                    await self._note(job, "media", text)
                case m.Stage():
                    await self._note(job, message.name, message.note)
                case _:
                    _log.warning("unexpected message from a child", extra={"kind": message.kind})

    async def _kept_windows(self, prefix: str) -> list[tuple[m.WindowDone, bytes]]:
        """Windows of earlier attempts: per channel an unbroken chain from the start; what does not fit is ignored."""
        kept: list[tuple[m.WindowDone, bytes]] = []
        ends: dict[int, int] = {}
        for key in await self._blobs.keys(prefix):
            window, payload = _window(await self._blobs.get(key))
            if window is not None and window.start == ends.get(window.channel, 0):
                ends[window.channel] = window.end
                kept.append((window, payload))
        return kept

    # ── endings ──

    async def _survive(self, job: Job, death: ProcessDied) -> bool:
        """Count a death of the engine process of this very attempt; whether the job deserves another try."""
        failures = await self._database.write(
            lambda connection: repository.count_failure(connection, job.id, job.attempt)
        )
        self._metrics.child_died()
        _log.warning("engine process died", extra={"why": str(death), "failures": failures})
        if failures is None:
            return False  # the attempt had lost the job already
        limit = self._policy.max_failures
        await self._note(job, "engine", f"the engine process died ({failures} of {limit} times allowed)", "WARNING")
        if failures < limit:
            return True
        await self._reject(job, Reason.POISON, REJECTED_POISON.format(failures=failures))
        return False

    async def _reject(self, job: Job, reason: Reason, message: str) -> None:
        envelopes = await self._outbox.prepare(job, reason)

        def reject(connection: sa.Connection) -> bool:
            keep_ms = self._policy.keep_ms
            rejected = repository.fail(connection, job.id, job.attempt, reason=reason, message=message, keep_ms=keep_ms)
            if rejected:
                self._outbox.post(connection, job.id, envelopes)
            return rejected

        if await self._database.write(reject):
            self._metrics.finished("rejected")
            await self._note(job, "rejected", message, "ERROR")
            await self._sweep(job.id)
            _log.info("job rejected", extra={"reason": reason, "why": message})

    async def _note(self, job: Job, stage: str, text: str, level: str = "INFO") -> None:
        def add(connection: sa.Connection) -> None:
            if (found := repository.get(connection, job.id)) and found.config is not None:  # a tombstone keeps no log
                repository.append_log(connection, job.id, attempt=job.attempt, stage=stage, text=text, level=level)

        await self._database.write(add)


_FINAL = (TaskCrashed, Missing, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Failures that waiting does not mend: bugs, a config that no key opens, media that is gone."""

_REASONS = {
    Kind.INVALID_AUDIO: Reason.INVALID_AUDIO,
    Kind.INVALID_CONFIG: Reason.CONFIG,
    Kind.INVALID_TEXT: Reason.NOT_ALIGNABLE,
    Kind.LANGUAGE: Reason.LANGUAGE,
}


def _reason(refusal: Refused) -> Reason:
    return Reason.LANGUAGE if isinstance(refusal, EngineUnavailable) else _REASONS.get(refusal.kind, Reason.CONFIG)


def _key(choice: Choice) -> m.EngineKey:
    return m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device)


def _told(refusal: Refused) -> str:
    """What the caller reads in `errors[]`."""
    if refusal.kind is Kind.INVALID_TEXT:  # the contract's words (`batch-v2.md` §10), and why
        return f"{NOT_ALIGNED}: {refusal.why}" if refusal.why else NOT_ALIGNED
    return refusal.detail or str(refusal.kind)


def _without_secrets(request: TranscriptionRequest) -> TranscriptionRequest:
    """A child gets what it needs to transcribe, never a credential."""
    speakers = replace(request.speaker_diarization, speakers=())
    return replace(request, fetch_data=None, notifications=(), tracking=None, speaker_diarization=speakers)


def _window(frame: bytes) -> tuple[m.WindowDone | None, bytes]:
    """A stored window; one that another release wrote differently counts as none."""
    try:
        header, payload = m.lengths(frame[: m.PREFIX])
        message = m.decode(frame[m.PREFIX : m.PREFIX + header])
    except ValueError:
        return None, b""
    body = frame[m.PREFIX + header : m.PREFIX + header + payload]
    return (message, body) if isinstance(message, m.WindowDone) and len(body) == payload else (None, b"")

"""Runs a queued job: claim it, recognise the media in a child process, publish the result.

The claim is part of the `work` step. As a step of its own it would be replayed by the next process with the attempt number of the
dead one, and fencing would not tell the two apart (docs/decisions/0003).

The parts, in order: messages for rejected jobs, policy and state, and `JobRunner`: the two steps `work` and `publish`, one attempt,
and its ends.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.engines.resolution import Resolved
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import (
    EngineMisconfigured,
    EngineTemporarilyUnavailable,
    Outcome,
    Pool,
    ProcessDied,
    Task,
    TaskCrashed,
)
from sottovoce.job import LIVE, REJECTED_BUG, REMOVED, Reason, State
from sottovoce.logs import about
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.request import AlignmentRequest, Request, TranscriptionRequest
from sottovoce.service.billing import usage
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import alignment_text, obsolete_blobs, repository, speaker_identifiers
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.speaker_identifiers import Scope, SpeakerIdentifiers
from sottovoce.service.queue.retry import retry_while_unavailable
from sottovoce.service.storage import job_requests
from sottovoce.service.storage.blob_keys import media_key, progress_key, result_key, text_key, windows_prefix
from sottovoce.service.storage.trouble import temporary
from sottovoce.service.worker import playback
from sottovoce.service.worker.playback import PlaybackMaker
from sottovoce.transcript import codec
from sottovoce.transcript.model import RATE

_log = logging.getLogger(__name__)
T = TypeVar("T")

REJECTED_POISON = "The media could not be processed: the recogniser stopped working on it {failures} times"
REJECTED_ENGINE = "The job could not be processed because the engine for it does not start on this server"
NOT_ALIGNED = "Text could not be aligned to audio"


class LeaseLost(Exception):
    """Another attempt holds the job, or the job was removed."""


class TryAgain(Exception):
    """The engine process of the attempt died, and the job may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPolicy:
    """Limits and times of the work on jobs, in seconds. *playback*: prepare the media for pages that play it."""

    owner: str
    scratch: Path
    lease: float = 10.0
    heartbeat: float = 2.0
    max_failures: int = 3
    playback: bool = False

    @property
    def lease_ms(self) -> int:
        """The lease in ms, the database's unit."""
        return round(self.lease * 1000)


@dataclass(slots=True)
class _Live:
    """What the child process reported about the running attempt; written on the pool's thread, read by the heartbeat.

    *done* and *total* count the work, *duration* is in samples at `RATE`.
    """

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
class _LastAttempt:
    """The attempt that a run of `work` claimed last. The run claims again only if this attempt still holds the job."""

    attempt: int | None = None


class JobRunner:
    """Runs jobs; keeps no state between calls."""

    def __init__(
        self,
        *,
        region: RegionContext,
        pool: Pool,
        offered: CapabilityTable,
        policy: WorkPolicy,
        job_ended: Callable[[], None] = lambda: None,
    ) -> None:
        """*job_ended* is called, on the worker's thread, when a job has ended: requests of this process may wait for it."""
        self._job_ended = job_ended
        self._database = region.database
        self._blobs = region.blobs
        self._encryptor = region.encryptor
        self._pool = pool
        self._offers = offered
        self._metrics = region.metrics
        self._outbox = region.outbox
        self._keep_ms = region.keep_ms
        self._policy = policy
        self._large_work = region.large_work

    # ── the two steps ──

    async def work(self, job_id: str) -> dict[str, Any] | None:
        """Claim and recognise *job_id*; returns the arguments of `publish`, or `None` if there is no result.

        Retries for as long as the database, the blob store or the engine is unavailable, and until the engine process has died
        `max_failures` times. Every other error rejects the job.
        """
        last = _LastAttempt()
        with about(job=job_id):
            while True:
                result = None
                try:
                    result = await _retry(lambda: self._run_attempt(job_id, last))
                except TryAgain:
                    continue
                except LeaseLost:
                    _log.info("attempt stopped: another attempt holds the job, or it was removed")
                except asyncio.CancelledError:  # the job was cancelled, or the worker drains
                    with contextlib.suppress(Exception):
                        await asyncio.shield(self._delete_obsolete(job_id))
                    raise
                except Exception:  # noqa: BLE001 - a bug, or a row of another release: a retry would fail the same way
                    await self._abandon(job_id)
                # also when there is a result: if the job is removed before `publish`, nothing else deletes these blobs
                await self._clean_up(job_id)
                return result

    async def publish(self, job_id: str, result: dict[str, Any]) -> None:
        """Publish the result of the attempt if it still holds the job, then delete leftover blobs."""
        attempt = int(result["attempt"])
        with about(job=job_id, attempt=str(attempt)):
            try:
                # retry as long as it takes: a failed step ends the workflow, and the job would never finish
                await _retry(lambda: self._publish(job_id, attempt, result))
            except Exception:  # noqa: BLE001 - as in `work`
                await self._abandon(job_id)

    async def _abandon(self, job_id: str) -> None:
        """Reject the job because of the bug that is being handled, by a statement that does not read its row."""
        _log.exception("job failed with an internal error")
        self._metrics.broke("job")

        def end(connection: sa.Connection) -> bool:
            return repository.abandon(
                connection, job_id, reason=Reason.ENGINE, message=REJECTED_BUG, keep_ms=self._keep_ms
            )

        try:
            if await _retry(lambda: self._database.write(end)):
                self._job_ended()
            self._metrics.finished("rejected")
        except Exception:  # noqa: BLE001 - nothing is left to try; the log has the trace for the operator
            _log.exception("job with an internal error not rejected")

    async def _clean_up(self, job_id: str) -> None:
        """Delete the blobs that an ended job does not need. After a bug, the sweep is left to do it."""
        try:
            await _retry(lambda: self._delete_obsolete(job_id))
        except Exception:  # noqa: BLE001 - the job has ended
            _log.exception("blobs of an ended job not cleaned up")
            self._metrics.broke("job")

    async def _publish(self, job_id: str, attempt: int, result: dict[str, Any]) -> None:
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        pending = await self._outbox.prepare(found) if found else ()

        def finish(connection: sa.Connection) -> bool:
            finished = repository.finish(
                connection,
                job_id,
                attempt,
                result_key=result_key(job_id, attempt),
                duration_ms=int(result["duration_ms"]),
                engine=str(result["engine"]),
                keep_ms=self._keep_ms,
            )
            if finished:
                usage.record(connection, job_id)
                repository.append_log(connection, job_id, attempt=attempt, stage="done", text=str(result["summary"]))
                self._outbox.post(connection, job_id, pending)
            return finished

        if await self._database.write(finish):
            self._job_ended()
            self._metrics.finished("done")
            _log.info("job done", extra={"engine": result["engine"], "summary": result["summary"]})
            await self._delete_obsolete(job_id)
        else:
            await self._discard(job_id, attempt)

    async def _discard(self, job_id: str, attempt: int) -> None:
        """Delete the result of an attempt that lost its job.

        It is kept if it is the job's result: a `publish` step that was killed after its commit runs again.
        """
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.result_key != result_key(job_id, attempt):
            await self._blobs.delete(result_key(job_id, attempt))
            _log.info("late result deleted")
        await self._delete_obsolete(job_id)

    async def _delete_obsolete(self, job_id: str) -> None:
        """Delete the blobs that an ended job does not need: windows, results of lost attempts, and writes after a removal."""
        found = await self._database.read(lambda connection: repository.get(connection, job_id))
        if found is None or found.state in REMOVED:
            await self._blobs.delete_prefix(f"jobs/{job_id}/")
        elif found.state not in LIVE:
            for key in obsolete_blobs.obsolete(found, await self._blobs.keys(f"jobs/{job_id}/")):
                await self._blobs.delete(key)

    # ── one attempt ──

    async def _run_attempt(self, job_id: str, last: _LastAttempt) -> dict[str, Any] | None:
        policy = self._policy
        claimed = await self._database.write(
            lambda connection: repository.claim(
                connection, job_id, owner=policy.owner, lease_ms=policy.lease_ms, after=last.attempt
            )
        )
        if claimed is None:
            _log.info("job not claimed: it is not live, or another attempt holds it")
            return None
        last.attempt = claimed.attempt
        with about(attempt=str(claimed.attempt)):
            try:
                return await self._attempt_unless_lost(claimed)
            except Refused as refusal:
                await self._reject(claimed, _reason(refusal), _error_text(refusal))
            except ProcessDied as death:
                if await self._count_death(claimed, death):
                    raise TryAgain from death
            except EngineMisconfigured as broken:  # a retry would occupy a slot that jobs of other engines could use
                _log.error("engine cannot be started", extra={"why": str(broken)})
                await self._reject(claimed, Reason.ENGINE, REJECTED_ENGINE)
            except Exception as bug:
                if isinstance(bug, _PASSING) or temporary(bug):
                    raise
                # a retry would fail the same way and occupy a slot
                _log.exception("attempt failed with an internal error", extra={"why": str(bug)})
                self._metrics.broke("job")
                told = bug.told if isinstance(bug, TaskCrashed) else ""
                await self._reject(claimed, Reason.ENGINE, told or REJECTED_BUG)
            return None

    async def _attempt_unless_lost(self, job: Job) -> dict[str, Any]:
        """`_attempt`; raises `LeaseLost` for an error that only shows that the job was removed, or taken, meanwhile.

        A deletion removes the media and the folder of the job under the attempt, before the attempt notices.
        """
        try:
            return await self._attempt(job)
        except (LeaseLost, ProcessDied):
            raise
        except Exception as error:
            if await self._is_lost(job):
                raise LeaseLost from error
            raise

    async def _is_lost(self, job: Job) -> bool:
        """True if the attempt *job* does not hold the job any more; False as well if the database cannot say."""
        try:
            found = await self._database.read(lambda connection: repository.get_many(connection, [job.id]))
        except sa.exc.SQLAlchemyError:
            return False
        now = found.get(job.id)
        return now is None or now.state is not State.RUNNING or now.attempt != job.attempt

    async def _attempt(self, job: Job) -> dict[str, Any]:
        begun = time.monotonic()
        request = await self._large_work.run_sized(job.config_bytes, lambda: self._request(job))
        resolved = self._offers.resolve(request)
        choice = resolved.main
        await self._note(job, "engine", f"{choice.engine} {choice.model} on {choice.device}: {choice.why}")
        _log.info("job claimed", extra={"engine": choice.engine, "model": choice.model, "why": choice.why})
        outcome = await self._recognise(job, request, resolved)
        result = await asyncio.to_thread(self._encrypt_voiceprints, job, request, outcome.payload)
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
        if (request := job_requests.request_of(self._encryptor, job)) is None:
            raise LeaseLost
        return self._offers.prepared(request)

    def _encrypt_voiceprints(self, job: Job, request: Request, payload: bytes) -> bytes:
        """The result with its voice prints encrypted."""
        scope = self._scope(job)
        if scope is None or isinstance(request, AlignmentRequest) or not request.speaker_diarization.get_speakers:
            return payload
        return codec.encode(
            speaker_identifiers.encrypted(codec.decode(payload), scope, SpeakerIdentifiers(self._encryptor))
        )

    def _scope(self, job: Job) -> Scope | None:
        """The scope of speaker identifiers in *job*; `None` if the diarizer makes no voice prints."""
        diarizer = self._offers.diarizer
        form = diarizer.capabilities.voiceprints if diarizer else None
        return Scope(workspace_id=job.workspace_id, project_id=job.project_id, form=form) if form else None

    async def _recognise(self, job: Job, request: Request, resolved: Resolved) -> Outcome:
        """Run the job in a child process and return its outcome; renew the lease and store windows and notes meanwhile."""
        key = resolved.main.key
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
                beat = group.create_task(self._keep_lease(job, live))  # before the media is read, which may take long
                recorder = group.create_task(self._record(job, key, inbox))
                async with self._blobs.as_file(media_key(job.id), scratch) as path:
                    played = group.create_task(self._prepare_playback(job, path, scratch))
                    outcome = await self._pool.run(key, await self._task(job, request, resolved, path), listen)
                    await played
                loop.call_soon_threadsafe(inbox.put_nowait, None)  # the end mark, after all messages of the child
                await recorder
                beat.cancel()
                # wait here, not at the group's exit, where a lost lease would look like a cancellation
                await asyncio.wait({beat})
        except BaseExceptionGroup as several:
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError from several  # a cancellation takes precedence over other errors
            raise several.exceptions[0] from several
        return outcome

    async def _prepare_playback(self, job: Job, media: Path, scratch: Path) -> None:
        if self._policy.playback and playback.is_wanted(job):
            await PlaybackMaker(self._pool, self._blobs).make(job, media, scratch)

    async def _task(self, job: Job, request: Request, resolved: Resolved, path: Path) -> Task:
        windows = await self._kept_windows(windows_prefix(job.id, resolved.main.key))
        if isinstance(request, AlignmentRequest):
            text = await self._blobs.get(text_key(job.id))
            await asyncio.to_thread(alignment_text.checked, text)  # fetched texts are not checked before
            asked = m.Align(path=str(path), language=request.language, windows=len(windows))
            return Task(message=asked, payload=text, windows=windows)
        asked_for = m.Transcribe(
            path=str(path),
            request=_without_secrets(request),
            gaps=self._offers.gaps(request, resolved),
            windows=len(windows),
            engines=resolved.keys,
            known=await self._known_voices(job, request) if Skill.DIARIZATION in resolved.choices else (),
        )
        return Task(message=asked_for, windows=windows)

    async def _known_voices(self, job: Job, request: TranscriptionRequest) -> tuple[KnownVoice, ...]:
        """Return the voices that the request names by speaker identifiers; invalid ones are noted in the job's log."""
        scope = self._scope(job)
        voices, ignored = (
            speaker_identifiers.known(request, scope, SpeakerIdentifiers(self._encryptor)) if scope else ((), 0)
        )
        if ignored:
            await self._note(
                job,
                "diarize",
                f"{ignored} speaker identifier(s) ignored: not valid in this project or for this diarizer",
                "WARNING",
            )
        return voices

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
            except Exception as error:
                if not temporary(error):
                    raise
                _log.warning("lease not renewed", extra={"why": str(error)})  # keep working and renew later
                continue
            if not kept:
                raise LeaseLost

    async def _record(
        self, job: Job, engine: EngineKey, inbox: "asyncio.Queue[tuple[m.Message, bytes] | None]"
    ) -> None:
        """Store the messages of the child in order, until the end mark."""
        while (received := await inbox.get()) is not None:
            message, payload = received
            match message:
                case m.WindowDone():
                    key = f"{windows_prefix(job.id, engine)}{message.channel:03}-{message.start:015}"
                    await self._blobs.put(key, m.encode(message, payload))
                case m.StretchDone():
                    await self._blobs.put(progress_key(job.id, message.start), m.encode(message, payload))
                case m.Media():
                    length = "unknown" if message.duration is None else f"{message.duration / RATE:.2f} s"
                    text = f"{message.container}, {message.codec}, {message.rate} Hz, {message.channels} channel(s), {length}"
                    await self._note(job, "media", text)
                case m.Stage():
                    if message.trace:
                        _log.error("stage of a job failed", extra={"stage": message.name, "trace": message.trace})
                        self._metrics.broke("stage")
                    await self._note(job, message.name, message.note, "WARNING" if message.trace else "INFO")
                case _:
                    _log.warning("unexpected message from a child", extra={"kind": message.kind})

    async def _kept_windows(self, prefix: str) -> list[tuple[m.WindowDone, bytes]]:
        """Windows of earlier attempts: per channel those that form a chain without gaps from the start. Others are ignored."""
        kept: list[tuple[m.WindowDone, bytes]] = []
        ends: dict[int, int] = {}
        for key in await self._blobs.keys(prefix):
            window, payload = _window(await self._blobs.get(key))
            if window is not None and window.start == ends.get(window.channel, 0):
                ends[window.channel] = window.end
                kept.append((window, payload))
        return kept

    # ── endings ──

    async def _count_death(self, job: Job, death: ProcessDied) -> bool:
        """Count the death of the engine process; True if the job may be tried again, else it is rejected."""
        failures = await self._database.write(
            lambda connection: repository.count_failure(connection, job.id, job.attempt)
        )
        self._metrics.child_died()
        _log.warning("engine process died", extra={"why": str(death), "failures": failures})
        if failures is None:
            return False  # another attempt holds the job
        limit = self._policy.max_failures
        await self._note(job, "engine", f"the engine process died ({failures} of at most {limit} times)", "WARNING")
        if failures < limit:
            return True
        await self._reject(job, Reason.POISON, REJECTED_POISON.format(failures=failures))
        return False

    async def _reject(self, job: Job, reason: Reason, message: str) -> None:
        pending = await self._outbox.prepare(job, reason)

        def reject(connection: sa.Connection) -> bool:
            rejected = repository.fail(
                connection, job.id, job.attempt, reason=reason, message=message, keep_ms=self._keep_ms
            )
            if rejected:
                self._outbox.post(connection, job.id, pending)
            return rejected

        if await self._database.write(reject):
            self._metrics.finished("rejected")
            await self._note(job, "rejected", message, "ERROR")
            await self._delete_obsolete(job.id)
            _log.info("job rejected", extra={"reason": reason, "why": message})

    async def _note(self, job: Job, stage: str, text: str, level: str = "INFO") -> None:
        def add(connection: sa.Connection) -> None:
            if (found := repository.get(connection, job.id)) and found.config is not None:  # a tombstone keeps no log
                repository.append_log(connection, job.id, attempt=job.attempt, stage=stage, text=text, level=level)

        await self._database.write(add)


_PASSING = (LeaseLost, EngineTemporarilyUnavailable)
"""Exceptions that are no bugs, beside temporary trouble."""


async def _retry(work: Callable[[], Awaitable[T]]) -> T:
    """Call *work* until the database, the blob store and the engine are available; other exceptions pass through."""
    return await retry_while_unavailable(work, also=(EngineTemporarilyUnavailable,))


_REASONS = {
    Kind.INVALID_AUDIO: Reason.INVALID_AUDIO,
    Kind.INVALID_CONFIG: Reason.CONFIG,
    Kind.INVALID_TEXT: Reason.NOT_ALIGNABLE,
    Kind.LANGUAGE: Reason.LANGUAGE,
}


def _reason(refusal: Refused) -> Reason:
    return Reason.LANGUAGE if isinstance(refusal, EngineUnavailable) else _REASONS.get(refusal.kind, Reason.CONFIG)


def _error_text(refusal: Refused) -> str:
    """The text for `errors[]`."""
    if refusal.kind is Kind.INVALID_TEXT:  # the contract's text (`batch-v2.md` §10) and the reason
        return f"{NOT_ALIGNED}: {refusal.why}" if refusal.why else NOT_ALIGNED
    return refusal.detail or str(refusal.kind)


def _without_secrets(request: TranscriptionRequest) -> TranscriptionRequest:
    """*request* for the child process, without credentials, identifiers and tracking."""
    speakers = replace(request.speaker_diarization, speakers=())
    return replace(request, fetch_data=None, notifications=(), tracking=None, speaker_diarization=speakers)


def _window(frame: bytes) -> tuple[m.WindowDone | None, bytes]:
    """Decode a stored window; None if another release wrote it in a different form."""
    try:
        header, payload = m.lengths(frame[: m.PREFIX])
        message = m.decode(frame[m.PREFIX : m.PREFIX + header])
    except ValueError:
        return None, b""
    body = frame[m.PREFIX + header : m.PREFIX + header + payload]
    return (message, body) if isinstance(message, m.WindowDone) and len(body) == payload else (None, b"")

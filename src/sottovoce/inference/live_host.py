"""The live sessions of a child process: a few threads work on all of them in turn.

The main thread passes the parent's messages on and never waits for a decode. A session that has something to do stands in a
queue; a thread does a part of its work, at most one decode of each channel, and puts it at the end again.
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.errors import MediaUnreadable
from sottovoce.inference import messages as m
from sottovoce.inference.child_engines import ChildEngines
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import Diarization, LiveSession
from sottovoce.transcript import codec

Send = Callable[[m.Message, bytes], None]

_Job = Callable[[LiveSession], None]
_REPORT = 1.0  # seconds between two reports of what a session did


class _Hosted:
    """One session. *jobs*: what the parent asked for and no thread has done yet."""

    def __init__(self, opening: m.LiveOpen) -> None:
        self.opening = opening
        self.session: LiveSession | None = None
        self.jobs: deque[_Job] = deque()
        self.queued = False  # it stands in the queue, or a thread works on it
        self.closed = False
        self.reported = time.monotonic()


class LiveHost:
    """Holds sessions that use *engines*, and sends their events with *send*; *key*: the engine of the child."""

    def __init__(self, send: Send, engines: ChildEngines, key: EngineKey, *, threads: int) -> None:
        self._send = send
        self._engines = engines
        self._key = key
        self._sessions: dict[int, _Hosted] = {}
        self._queue: deque[_Hosted] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._spent = time.process_time()
        self._threads = [
            threading.Thread(target=self._run, name=f"live-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    # ── messages, on the main thread ──

    def handle(self, _line: object, message: m.Message, payload: bytes) -> None:
        """Take a message of the parent. One for a session that has ended is ignored."""
        match message:
            case m.LiveOpen():
                hosted = _Hosted(message)
                self._sessions[message.session] = hosted
                self._wake(hosted)
            case m.LiveAudio():
                self._ask(message.session, lambda session: session.audio(message.channel, payload))
            case m.LiveForceEnd():
                self._ask(message.session, lambda session: session.force_end(message.channel, message.at))
            case m.LiveConfigure():
                self._ask(message.session, lambda session: session.configure(message.request))
            case m.LiveReportSpeakers():
                self._ask(message.session, lambda session: session.report_speakers())
            case m.LiveEnd():
                self._ask(message.session, lambda session: session.end(message.channel))
            case m.LiveClose():
                self._drop(message.session)
            case _:
                raise TypeError(message.kind)

    def close(self) -> None:
        """End the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _ask(self, number: int, job: _Job) -> None:
        if hosted := self._sessions.get(number):
            hosted.jobs.append(job)
            self._wake(hosted)

    def _drop(self, number: int) -> None:
        if hosted := self._sessions.pop(number, None):
            hosted.closed = True
            self._wake(hosted)

    def _wake(self, hosted: _Hosted) -> None:
        with self._changed:
            if not hosted.queued:
                hosted.queued = True
                self._queue.append(hosted)
                self._changed.notify()

    # ── work, on the threads ──

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                hosted = self._queue.popleft()
            more = self._work(hosted)
            with self._changed:
                hosted.queued = more or bool(hosted.jobs)
                if hosted.queued:
                    self._queue.append(hosted)

    def _work(self, hosted: _Hosted) -> bool:
        """Do a part of the work of *hosted*; True if there is more now. A fault ends this session alone."""
        if hosted.closed:
            hosted.jobs.clear()
            if hosted.session is not None:
                hosted.session.close()
                hosted.session = None
            return False
        try:
            session = hosted.session = hosted.session or self._open(hosted)
            while hosted.jobs:
                hosted.jobs.popleft()(session)
            more = session.work()
            self._report_work(hosted, session)
        except (MediaUnreadable, ValueError) as fault:
            self._fail(hosted, events.Failed(kind="data_error", detail=str(fault)))
        except Exception as bug:  # noqa: BLE001 - one session must not end the others; the parent logs the trace
            detail = f"the recogniser failed: {type(bug).__name__}"
            self._fail(hosted, events.Failed(kind="job_error", detail=detail, trace=traceback.format_exc()))
        else:
            return more
        return False

    def _open(self, hosted: _Hosted) -> LiveSession:
        opening = hosted.opening
        key = opening.engines.get(Skill.LIVE, self._key)
        diarizer = opening.engines.get(Skill.LIVE_DIARIZATION)
        return LiveSession(
            opening.request,
            self._engines.load(Skill.LIVE, key),
            SileroVad,
            lambda event: self._report(hosted, event),
            time.monotonic,
            diarization=Diarization(engine=self._engines.load(Skill.LIVE_DIARIZATION, diarizer), known=opening.known)
            if diarizer
            else None,
        )

    def _report_work(self, hosted: _Hosted, session: LiveSession, *, last: bool = False) -> None:
        """Report what *session* did, about once a second, and with *last* what is left."""
        now = time.monotonic()
        if now - hosted.reported < _REPORT and not last:
            return
        hosted.reported = now
        work = session.worked()
        with self._changed:
            spent = time.process_time()
            seconds, self._spent = spent - self._spent, spent
        worked = events.Worked(audio=work.audio, decodes=work.decodes, skipped=work.skipped, seconds=seconds)
        self._report(hosted, worked)

    def _fail(self, hosted: _Hosted, failure: events.Failed) -> None:
        self._report(hosted, failure)
        self._drop(hosted.opening.session)

    def _report(self, hosted: _Hosted, event: events.Event) -> None:
        if hosted.closed:
            return
        if isinstance(event, events.Finished) and hosted.session is not None:
            self._report_work(hosted, hosted.session, last=True)
        payload = b""
        if isinstance(event, events.Final | events.Partial):
            payload = codec.dump_items(event.items)
            event = replace(event, items=())
        elif isinstance(event, events.SentenceHeard):
            payload, event = event.audio, replace(event, audio=b"")
        self._send(m.LiveReport(session=hosted.opening.session, event=event), payload)

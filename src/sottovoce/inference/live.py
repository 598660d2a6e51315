"""Live sessions in child processes: the parent's handle of a session, and the child that holds several.

A handle belongs to the event loop of its caller; the children belong to the pool's. Audio is sent while less than
`MOST_UNREAD` bytes of the session wait in the child; then `send` waits, so that the caller reads its client more slowly.
In order: `LiveFull`; `LiveSession`, the handle; `LiveChild`. `live_pool` starts and chooses the children.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from sottovoce.inference import messages as m
from sottovoce.inference.child import Child, ProcessDied
from sottovoce.pipeline.live.events import Event, Failed, Final, Finished, Partial, SentenceHeard, Taken, Worked
from sottovoce.request import LiveRequest
from sottovoce.transcript import codec
from sottovoce.transcript.model import Samples

_log = logging.getLogger(__name__)

MOST_UNREAD = 1 << 20
"""Bytes (1 MiB: 16 s of 32-bit samples at 16 kHz) of a session that wait in its child at most."""

_MOST_EVENTS = 2_000  # events that a caller has not read; beyond them partials are dropped
_TOO_MANY_EVENTS = 20_000  # beyond these the session ends: its client does not read
_STALLED = 60.0  # seconds in which a child with unread audio reports nothing, after which it is killed

Submit = Callable[[Coroutine[Any, Any, Any]], "Future[Any]"]


class LiveFull(Exception):
    """The engine processes for live sessions have no room for another one."""


class LiveSession:
    """The handle of one live session; use it on the event loop that opened it."""

    def __init__(self, child: "LiveChild", number: int, submit: Submit) -> None:
        self.number = number
        self._child = child
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()
        self._over = False

    async def send(self, channel: int, data: bytes) -> None:
        """Send audio of *channel*; waits while `MOST_UNREAD` bytes are unread. Audio after the end of the session is dropped."""
        await self._room.wait()
        if self._over or not data:
            return
        self._unread += len(data)
        if self._unread >= MOST_UNREAD:
            self._room.clear()
        await self._tell(m.LiveAudio(session=self.number, channel=channel), data)

    async def force_end(self, channel: int | None, at: Samples | None) -> None:
        """End the utterance of *channel*, or of all, at *at*, or at the end of the audio that was sent before."""
        await self._tell(m.LiveForceEnd(session=self.number, channel=channel, at=at))

    async def configure(self, request: LiveRequest) -> None:
        """Use the settings of *request* from now on."""
        await self._tell(m.LiveConfigure(session=self.number, request=request))

    async def report_speakers(self) -> None:
        """Ask for the event `Speakers`."""
        await self._tell(m.LiveReportSpeakers(session=self.number))

    async def end_channel(self, channel: int) -> None:
        """The audio of *channel* has ended."""
        await self._tell(m.LiveEnd(session=self.number, channel=channel))

    async def finish(self) -> None:
        """The audio of all channels has ended."""
        await self._tell(m.LiveEnd(session=self.number, channel=None))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of the session, up to `Finished` or `Failed`."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Finished | Failed):
                return

    async def close(self) -> None:
        """End the session at once; its place is free."""
        self._over = True
        self._room.set()
        await asyncio.wrap_future(self._submit(self._child.leave(self.number)))

    async def _tell(self, message: m.LiveMessage, payload: bytes = b"") -> None:
        if not self._over:
            await asyncio.wrap_future(self._submit(self._child.tell(message, payload)))

    # called on the pool's loop

    def deliver(self, event: Event) -> None:
        """Pass *event* to the loop of the caller. A loop that has ended needs no events."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: Event) -> None:
        if self._over:
            return
        if isinstance(event, Taken):
            self._unread -= event.size
            if self._unread < MOST_UNREAD:
                self._room.set()
        if isinstance(event, Finished | Failed):
            self._over = True
            self._room.set()
        waiting = self._events.qsize()
        if waiting >= _MOST_EVENTS and isinstance(event, Partial):
            return  # a newer partial replaces it
        if waiting >= _TOO_MANY_EVENTS:
            self._over = True
            self._room.set()
            event = Failed(kind="job_error", detail="the client does not read its messages")
        self._events.put_nowait(event)


class LiveChild:
    """A child process with live sessions; *ended* is called when it ends by itself, *worked* with what its sessions did.

    Use it on the pool's event loop.
    """

    def __init__(self, child: Child, ended: Callable[[], None], worked: Callable[[Worked], None]) -> None:
        self.child = child
        self._ended = ended
        self._worked = worked
        self.sessions: dict[int, LiveSession] = {}
        self._unread: dict[int, int] = {}
        self._heard = time.monotonic()
        self._reader = asyncio.create_task(self._read())
        self._watcher = asyncio.create_task(self._watch())

    @property
    def alive(self) -> bool:
        """True while sessions can be opened."""
        return not self._reader.done() and self.child.alive

    async def enter(self, session: LiveSession, opening: m.LiveOpen) -> None:
        """Open *session*. Raises `ProcessDied`."""
        self.sessions[session.number] = session
        self._unread[session.number] = 0
        await self.child.send(opening)

    async def tell(self, message: m.LiveMessage, payload: bytes) -> None:
        """Send a message of a session; a child that has ended is reported by its reader."""
        if message.session in self.sessions:
            self._unread[message.session] += len(payload)
            with contextlib.suppress(ProcessDied):
                await self.child.send(message, payload)

    async def leave(self, number: int) -> None:
        """Forget the session *number*, and let the child forget it."""
        self._unread.pop(number, None)
        if self.sessions.pop(number, None) is not None:
            with contextlib.suppress(ProcessDied):
                await self.child.send(m.LiveClose(session=number))

    async def close(self) -> None:
        """Kill the child; its sessions fail."""
        self._reader.cancel()
        self._watcher.cancel()
        await asyncio.gather(self._reader, self._watcher, return_exceptions=True)
        self._lose("the server stops")
        await self.child.kill()

    async def _read(self) -> None:
        """Pass the events of the child to its sessions until it ends."""
        try:
            while True:
                message, payload = await self.child.receive()
                self._heard = time.monotonic()
                if isinstance(message, m.LiveReport):
                    self._report(message, payload)
                elif isinstance(message, m.Broken):
                    _log.error("live session failed", extra={"error": message.error})
        except ProcessDied as death:
            why = str(death)
        except ValueError as fault:
            why = f"invalid event: {fault}"
        _log.error("live process ended", extra={"why": why, "sessions": len(self.sessions)})
        self._lose("the recogniser's process ended")
        self._watcher.cancel()
        await self.child.kill()
        self._ended()

    async def _watch(self) -> None:
        """Kill the child when it has unread audio and reports nothing for `_STALLED` seconds."""
        while True:
            await asyncio.sleep(_STALLED / 4)
            if not any(self._unread.values()):
                self._heard = time.monotonic()
            elif time.monotonic() - self._heard >= _STALLED:
                _log.error("live process stalled", extra={"sessions": len(self.sessions)})
                self.child.process.kill()
                return

    def _report(self, report: m.LiveReport, payload: bytes) -> None:
        event = report.event
        if isinstance(event, Worked):
            self._worked(event)
        session = self.sessions.get(report.session)
        if session is None:
            return
        if isinstance(event, Final | Partial):
            event = replace(event, items=codec.load_items(payload))
        elif isinstance(event, SentenceHeard):
            event = replace(event, audio=payload)
        elif isinstance(event, Taken):
            self._unread[report.session] -= event.size
        elif isinstance(event, Failed) and event.trace:
            _log.error("live session failed", extra={"error": event.trace})
        session.deliver(event)
        if isinstance(event, Finished | Failed):
            self.sessions.pop(report.session, None)
            self._unread.pop(report.session, None)

    def _lose(self, why: str) -> None:
        for session in self.sessions.values():
            session.deliver(Failed(kind="job_error", detail=why))
        self.sessions.clear()
        self._unread.clear()

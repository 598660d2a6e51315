"""One realtime session: connects the protocol to its socket and its recogniser.

Four tasks share one `Conversation`: the reader takes messages of the client one after another, the writer sends, the pump takes
events of the recogniser, the watch looks at the clock. Nothing of a session is written anywhere: audio, config and transcript exist
in memory, and log lines hold ids, counts and error types only.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sottovoce.errors import Refused
from sottovoce.inference import live_events as live
from sottovoce.inference.live import LiveFull
from sottovoce.realtime import conversation as c
from sottovoce.realtime.meter import Meter
from sottovoce.realtime.ports import Ledger, LiveSession, Observer, Opener, Planner, Received, Socket, VoiceCodec
from sottovoce.realtime.translation import Translations
from sottovoce.request import LiveRequest
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime.errors import ErrorType, SessionRefused, session_refused

_log = logging.getLogger(__name__)

PIECE = 64 << 10
"""Bytes of audio that are put into the recogniser's buffer at once, so that one large message does not fill it alone."""
SMALL = 16 << 10
"""Bytes of a text message that is parsed on the event loop; larger ones are parsed in a thread."""
MAX_UNSENT = 4 << 20
"""Bytes of messages that wait for a client that does not read; beyond it, the connection is cut."""
SEND_TIMEOUT = 60.0
"""Seconds that a client may take to read one message."""
CHECK = 1.0
"""Seconds between two looks at the clock, if nothing is due earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a session works with."""

    socket: Socket
    planner: Planner
    opener: Opener
    ledger: Ledger
    observer: Observer
    voices: VoiceCodec
    max_channels: int = 2
    clock: Callable[[], float] = time.monotonic


class Session:
    """A session of one client; `run` returns when it is over."""

    def __init__(self, conversation: c.Conversation, parts: Parts) -> None:
        self._conversation = conversation
        self._parts = parts
        self._socket, self._clock = parts.socket, parts.clock
        self._live: LiveSession | None = None
        self._meter: Meter | None = None
        self._counted: LiveRequest | None = None  # the request of a session that the ledger counts
        self._opened = asyncio.Event()
        self._over = asyncio.Event()
        # while the session is counted and gets a recogniser, which must not be cut short
        self._entering = asyncio.Lock()
        self._live_lock = asyncio.Lock()  # one command at a time: a large message is several
        self._unsent: deque[str | c.Close] = deque()
        self._unsent_bytes = 0
        self._to_send = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None

    @property
    def id(self) -> str:
        """The `id` of RecognitionStarted."""
        return self._conversation.session_id

    @property
    def lag(self) -> float:
        """Seconds of received audio that are not processed yet."""
        return self._meter.lag if self._meter else 0.0

    @property
    def outcome(self) -> str:
        """How the session ended: `done`, the type of an error, or `gone` (the client left early)."""
        if self._conversation.error is not None:
            return str(self._conversation.error)
        return "done" if self._conversation.state is c.State.DONE else "gone"

    @property
    def audio(self) -> float:
        """Seconds of audio of all channels together."""
        return self._meter.audio if self._meter else 0.0

    async def run(self) -> None:
        """Serve the client until the session is over. The recogniser is free when it returns."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._leave)
            stack.push_async_callback(self._cancel)  # first of all, so that no task uses what is closed
            self._stack = stack
            self._writer = self._start(self._write())
            self._start(self._read())
            self._start(self._watch())
            self._start(self._until_lost())
            await self._over.wait()

    def stop(self) -> None:
        """The server is shutting down: end the session with the text of what was sent so far."""
        if not self._over.is_set():
            self._start(self._take(c.Stopping()))

    # ── tasks ──

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._bug is None and not self._over.is_set():
            self._bug = error
            _log.error("session failed", exc_info=error, extra={"session": self.id})
            why = "an error of the server ended this session"
            self._put(self._conversation.take(SessionRefused(ErrorType.UNKNOWN_ERROR, why), self._clock()))
        if task is self._writer:  # nothing can be sent any more
            self._over.set()

    async def _cancel(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self) -> None:
        if self._counted is not None:
            await self._parts.ledger.leave(self._counted, self.audio if self._live else None)

    # ── from the client ──

    async def _read(self) -> None:
        while (received := await self._socket.receive()) is not None:
            await self._take(await self._parsed(received))
        self._over.set()  # §3 rule 8: the slot is free at once

    async def _until_lost(self) -> None:
        """End with the connection: the reader may wait for the recogniser, or for room in its buffer (§3 rule 8)."""
        await self._socket.lost()
        async with self._entering:
            self._over.set()

    async def _parsed(self, received: Received) -> c.Input:
        if not received.text:
            return m.AddAudio(data=received.data)
        conversation, channels = self._conversation, self._parts.max_channels
        try:
            # a start may hold a thousand regexes, which are compiled again for each change
            running = conversation.running
            if len(received.data) <= SMALL and running is not None and not running.request.replacements:
                return conversation.parse(received.data, channels)
            return await asyncio.to_thread(conversation.parse, received.data, channels)
        except SessionRefused as refused:
            return refused

    async def _take(self, message: c.Input) -> None:
        for output in self._conversation.take(message, self._clock()):
            await self._do(output)

    async def _do(self, output: c.Output) -> None:
        match output:
            case c.Send() | c.Close():
                self._put([output])
            case c.Open(started=started):
                if started.unknown:
                    _log.info("realtime config", extra={"session": self.id, "ignored_members": started.unknown})
                await self._open(started.request)
            case c.Feed():
                await self._feed(output)
            case _:
                await self._command(output)

    async def _open(self, request: LiveRequest) -> None:
        """Count and open the session, and wait until the recogniser is ready: the client's audio waits in the socket."""
        parts = self._parts
        self._socket.expect(_rate(request))
        try:
            served = parts.planner(request)
            async with self._entering:
                if self._over.is_set():  # the client has gone
                    return
                admitted = replace(await parts.ledger.enter(request), warnings=served.warnings)
                self._counted = request
                known, ignored = await asyncio.to_thread(parts.voices.known, request)
                await self._take(replace(admitted, ignored=ignored))
                self._meter = Meter(request.audio, request.channel_count, parts.observer)
                self._live = await self._stack.enter_async_context(parts.opener(served.request, known))
        except LiveFull:
            await self._take(SessionRefused(ErrorType.JOB_ERROR, "the server is full at the moment; connect again"))
        except Refused as refused:
            await self._take(session_refused(refused))
        else:
            # the exit stack cancels the tasks first: its callbacks run in reverse order
            self._stack.push_async_callback(self._cancel)
            translations = Translations(self.id, served.translators, self._take, parts.observer)
            for work in translations.work():
                self._start(work)
            self._start(self._pump(self._live, translations))
            await self._opened.wait()

    async def _feed(self, feed: c.Feed) -> None:
        if self._meter:
            self._meter.arrived(feed.channel, len(feed.data), self._clock())
        for at in range(0, len(feed.data), PIECE):
            async with self._live_lock:
                if self._live is None or self._conversation.duration_limited:
                    break
                await self._live.send(feed.channel, feed.data[at : at + PIECE])
        if self._conversation.state is not c.State.DONE:
            self._put([c.Send(body=feed.acknowledgement)])

    async def _command(self, output: c.Output) -> None:
        if self._live is None:
            return
        async with self._live_lock:
            match output:
                case c.Configure(request=request):
                    await self._live.configure(request)
                case c.Force(channel=channel, at=at):
                    await self._live.force_end(channel, at)
                case c.ReportSpeakers():
                    await self._live.report_speakers()
                case c.EndChannel(channel=number):
                    await self._live.end_channel(number)
                case c.Finish():
                    await self._live.finish()
                case _:
                    raise LookupError(f"no command for {type(output).__name__}")

    # ── from the recogniser ──

    async def _pump(self, session: LiveSession, translations: Translations) -> None:
        try:
            async for event in session.events():
                self._event(event)
                if isinstance(event, live.SentenceHeard):
                    translations.heard(event)
                elif isinstance(event, live.Finished):
                    await translations.finish()
                await self._take(await self._encrypted(event) if isinstance(event, live.Speakers) else event)
                if isinstance(event, live.Opened):
                    self._opened.set()
        finally:
            self._opened.set()
        if self._conversation.state is not c.State.DONE:
            await self._take(live.Failed(kind="job_error", detail="the recogniser ended without a result"))

    async def _encrypted(self, event: live.Speakers) -> live.Speakers:
        """*event* with an identifier in place of each voice print."""
        speakers = await asyncio.to_thread(self._parts.voices.encrypted, event.speakers)
        return replace(event, speakers=speakers)

    def _event(self, event: live.Event) -> None:
        if isinstance(event, live.Note):
            _log.info("realtime note", extra={"session": self.id, "text": event.text})
        elif isinstance(event, live.Failed):
            _log.warning(
                "realtime recogniser failed", extra={"session": self.id, "kind": event.kind, "why": event.detail}
            )
        if self._meter:
            self._meter.event(event, self._clock())

    # ── the clock ──

    async def _watch(self) -> None:
        while True:
            now = self._clock()
            self._put(self._conversation.tick(now, self._socket.heard(now)))
            due = self._conversation.due(self._socket.heard(now))
            await asyncio.sleep(CHECK if due is None else min(CHECK, max(0.0, due - now)))

    # ── to the client ──

    def _put(self, outputs: Iterable[c.Output]) -> None:
        for output in outputs:
            if isinstance(output, c.Send):
                text = orjson.dumps(output.body).decode()
                self._unsent_bytes += len(text)
                self._unsent.append(text)
            elif isinstance(output, c.Close):
                self._unsent.append(output)
        self._to_send.set()
        if self._unsent_bytes > MAX_UNSENT:
            self._cut("too many messages wait for the client")

    async def _write(self) -> None:
        while True:
            while self._unsent:
                item = self._unsent.popleft()
                if isinstance(item, c.Close):
                    await self._socket.close(item.code, item.reason)
                    self._over.set()
                    return
                self._unsent_bytes -= len(item)
                try:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await self._socket.send(item)
                except TimeoutError:
                    self._cut("the client does not read")
                    return
            self._to_send.clear()
            await self._to_send.wait()

    def _cut(self, why: str) -> None:
        if not self._over.is_set():
            _log.info("realtime connection cut", extra={"session": self.id, "why": why})
            self._over.set()
            self._socket.abort()


def _rate(request: LiveRequest) -> float | None:
    """Bytes per second that a client of *request* sends; `None` for a media file. Audio of channels is base64 in JSON (§4.6)."""
    audio = request.audio
    if audio.encoding is None or audio.sample_rate is None:
        return None
    return audio.encoding.width * audio.sample_rate * (4 / 3 * len(request.channels) if request.channels else 1)

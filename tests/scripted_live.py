"""A recogniser for tests of the realtime API: its words follow from the amount of audio alone, so that tests need no model.

It "hears" one word in each half second of 16 kHz samples of 16 bits, and ends a sentence every four words. In a session with
turns, each sentence is a turn (`vad`), or the client ends the turn (`external`); nothing is final before.
"""

import asyncio
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from sottovoce.inference import live_events as live
from sottovoce.inference.live import LiveFull
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.pipeline.live.beside.listeners import Listeners
from sottovoce.realtime.ports import Planner, Served
from sottovoce.request import LiveRequest, TurnDetection
from sottovoce.transcript.model import RATE, Item, Mark, Samples, Speaker, Word

WORDS = ("alpha", "bravo", "charlie", "delta")
WORD: Samples = 8_000
BYTES_PER_SAMPLE = 2
PRINT = b"a print"
SPEAKERS = (Speaker(label="S1", prints=(urlsafe_b64encode(PRINT).decode(),)), Speaker(label="S2"))
"""What each session with speakers reports; the second one said too little for a print."""


@dataclass
class Load:
    """The load that a test wants the server to see."""

    busy: float = 0.0
    capacity: float = 100.0
    sessions: int = 0


@dataclass
class Script:
    """What the recognisers of a test do; the sessions they served, and the requests."""

    load: Load = field(default_factory=Load)
    refuse: BaseException | None = None  # raised instead of opening
    open_after: float = 0.0
    fail_at: int | None = None  # words
    buffer: int = 1 << 20
    frozen: bool = False  # takes no audio from the buffer
    pace: float = 0.0  # seconds for a second of audio; 0: none
    planner: Planner | None = None  # what is done of a request beside recognition; None: nothing
    sessions: list["ScriptedLive"] = field(default_factory=list)
    closed: int = 0

    def plan(self, request: LiveRequest) -> Served:
        if self.planner is None:
            return Served(request=replace(request, translation=None, audio_events=None))
        return self.planner(request)

    @asynccontextmanager
    async def open(self, request: LiveRequest, known: Sequence[KnownVoice] = ()) -> AsyncIterator["ScriptedLive"]:
        if self.refuse is not None:
            raise self.refuse
        session = ScriptedLive(self, request, known)
        self.sessions.append(session)
        try:
            yield session
        finally:
            self.closed += 1


@dataclass
class _Heard:
    bytes: int = 0
    words: int = 0  # spoken so far
    final: int = 0  # words that are final
    ended: bool = False


class ScriptedLive:
    """One session."""

    def __init__(self, script: Script, request: LiveRequest, known: Sequence[KnownVoice]) -> None:
        self.request = request
        self.known = known
        self.commands: list[object] = []
        self.buffered = 0
        self.audio = bytearray()
        self.pieces: deque[bytes] = deque(maxlen=100)
        self._script = script
        self._channels = [_Heard() for _ in range(request.channel_count)]
        self._work: asyncio.Queue[tuple[str, int, object]] = asyncio.Queue()
        self._room = asyncio.Condition()

    async def send(self, channel: int, data: bytes) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self.buffered == 0 or self.buffered + len(data) <= self._script.buffer)
            self.buffered += len(data)
        self.audio += data
        self.pieces.append(data)
        self._work.put_nowait(("audio", channel, len(data)))

    async def force_end(self, channel: int | None, at: Samples | None) -> None:
        self.commands.append(("force", channel, at))
        for number in range(len(self._channels)) if channel is None else [channel]:
            self._work.put_nowait(("force", number, at))

    async def configure(self, request: LiveRequest) -> None:
        self.commands.append(("configure", request))
        self.request = request

    async def report_speakers(self) -> None:
        self._work.put_nowait(("speakers", 0, None))

    async def end_channel(self, channel: int) -> None:
        self.commands.append(("end", channel))
        self._work.put_nowait(("end", channel, None))

    async def finish(self) -> None:
        self.commands.append("finish")
        for number, heard in enumerate(self._channels):
            if not heard.ended:
                self._work.put_nowait(("end", number, None))

    async def events(self) -> AsyncIterator[live.Event]:
        await asyncio.sleep(self._script.open_after)
        yield live.Opened()
        told: deque[live.Event] = deque()
        listeners = Listeners(self.request, told.append)
        while not all(heard.ended for heard in self._channels):
            while self._script.frozen:  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.01)
            kind, channel, value = await self._work.get()
            if kind == "audio":
                await asyncio.sleep(self._script.pace * int(str(value)) / BYTES_PER_SAMPLE / RATE)
            if kind == "audio" and self.request.audio_events is not None:
                samples = np.frombuffer(self.pieces.popleft(), "<i2")
                listeners.heard(channel, samples.astype(np.float32) / np.float32(32_768))
            for event in self._done(kind, channel, value):
                listeners.emit(event)
            while told:
                yield (event := told.popleft())
                if isinstance(event, live.Failed):
                    return
            if kind == "audio":
                async with self._room:
                    self.buffered -= int(str(value))
                    self._room.notify_all()
        if self.request.diarization.by_speaker:
            yield live.Speakers(speakers=SPEAKERS, final=True)
        yield live.Finished()

    def _done(self, kind: str, channel: int, value: object) -> list[live.Event]:
        heard = self._channels[channel]
        if kind == "speakers":
            return [live.Speakers(speakers=SPEAKERS)]
        if kind == "audio":
            return self._hear(heard, channel, int(str(value)))
        words = self._close(heard, channel)
        at = heard.bytes // BYTES_PER_SAMPLE
        if self.request.turns and kind == "end" and words:
            words = [*words, live.UtteranceEnd(channel=channel, at=at, forced=False)]
        if kind == "force":
            return [*words, live.UtteranceEnd(channel=channel, at=at, forced=True)]
        heard.ended = True
        return [*words, live.Ended(channel=channel, duration=at)]

    def _hear(self, heard: _Heard, channel: int, size: int) -> list[live.Event]:
        heard.bytes += size
        found: list[live.Event] = [live.Taken(channel=channel, size=size)]
        while (heard.words + 1) * WORD * BYTES_PER_SAMPLE <= heard.bytes:
            heard.words += 1
            if heard.words == self._script.fail_at:
                return [*found, live.Failed(kind="job_error", detail="the script says so")]
            if turns := self.request.turns:
                found += self._turn(heard, channel, ends=turns.detection is TurnDetection.VAD)
            elif heard.words % len(WORDS) == 0:
                found += self._close(heard, channel)
                at = heard.words * WORD
                if self.request.end_of_utterance_silence_trigger:
                    found.append(live.UtteranceEnd(channel=channel, at=at, forced=False))
            else:
                found.append(self._partial(heard, channel))
        return found

    def _turn(self, heard: _Heard, channel: int, *, ends: bool) -> list[live.Event]:
        """What one more word means in a session with turns."""
        found: list[live.Event] = []
        if heard.words == heard.final + 1:
            found.append(live.SpeechStarted(channel=channel, at=heard.final * WORD))
        found.append(self._partial(heard, channel))
        if ends and heard.words % len(WORDS) == 0:
            at = heard.words * WORD
            found += self._close(heard, channel)
            found.append(live.SpeechEnded(channel=channel, at=at))
            found.append(live.UtteranceEnd(channel=channel, at=at, forced=False))
        return found

    def _items(self, heard: _Heard) -> tuple[Item, ...]:
        return tuple(
            Word(text=WORDS[n % len(WORDS)], start=n * WORD, end=(n + 1) * WORD, confidence=0.9)
            for n in range(heard.final, heard.words)
        )

    def _partial(self, heard: _Heard, channel: int) -> live.Partial:
        end = heard.words * WORD
        return live.Partial(channel=channel, start=heard.final * WORD, end=end, items=self._items(heard))

    def _close(self, heard: _Heard, channel: int) -> list[live.Event]:
        items, start, end = self._items(heard), heard.final * WORD, heard.words * WORD
        heard.final = heard.words
        if not items:
            return []
        marked = (*items, Mark(text=".", at=end, ends_sentence=True))
        return [live.Final(channel=channel, start=start, end=end, items=marked), self._partial(heard, channel)]


FULL = LiveFull("no room")

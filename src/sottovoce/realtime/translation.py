"""Translates the sentences of one session beside it (contract `realtime.md` §4.4, §6): the transcript never waits for it.

Each target language has a queue and a task of its own. Final sentences are translated in order; of partials only the newest one
is, and only while no final waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from sottovoce.inference.live_events import SentenceHeard
from sottovoce.realtime.conversation import Translated
from sottovoce.realtime.ports import Observer, Translator
from sottovoce.wire.realtime.beside import TranslatedSentence

_log = logging.getLogger(__name__)

CLOSING = 5.0
"""Seconds that the translations of the last sentences may delay EndOfTranscript (§3 rule 6)."""
TOGETHER = 8
"""Sentences of one request, if so many wait."""
MOST_SENTENCES = 1_000
MOST_BYTES = 32 << 20
"""What may wait for one target: sentences, and bytes of their audio. Beyond it, the oldest sentences are left out."""
FAILURES = 3
"""A target whose translator fails so often in a row is given up. There is no message for it: one client accepts no warning of
another type than `duration_limit_exceeded` while a session runs (§8)."""


Tell = Callable[[Translated], Awaitable[None]]


class Translations:
    """The translations of the session *session_id* by *translators*, by target; *tell* gets them in order."""

    def __init__(self, session_id: str, translators: Mapping[str, Translator], tell: Tell, observer: Observer) -> None:
        self._lines = [_Line(session_id, target, each, tell, observer) for target, each in translators.items()]

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run as tasks of the session."""
        return [line.run() for line in self._lines]

    def heard(self, sentence: SentenceHeard) -> None:
        """Put *sentence* into the queues."""
        for line in self._lines:
            line.put(sentence)

    async def finish(self, seconds: float = CLOSING) -> None:
        """Wait until all final sentences are translated, for at most *seconds* in all; the rest is left out."""
        for line in self._lines:
            line.close()
        try:
            async with asyncio.timeout(seconds):
                for line in self._lines:
                    await line.done.wait()
        except TimeoutError:
            pass
        for line in self._lines:
            line.stop()


class _Line:
    """The sentences on their way into one language. *done*: no final sentence waits or is being translated."""

    def __init__(self, session_id: str, target: str, translator: Translator, tell: Tell, observer: Observer) -> None:
        self._observer = observer
        self._log = {"session": session_id, "target": target}
        self._target = target
        self._translator = translator
        self._tell = tell
        self._finals: deque[SentenceHeard] = deque()
        self._bytes = 0
        self._partials: dict[int, SentenceHeard] = {}  # the newest one of each channel
        self._todo = asyncio.Event()
        self.done = asyncio.Event()
        self.done.set()
        self._failures = 0
        self._left_out = 0
        self._in_work = 0  # final sentences that are being translated
        self._closed = False

    def put(self, sentence: SentenceHeard) -> None:
        if self._failures >= FAILURES or self._closed:
            self._left_out += sentence.final
            return
        if sentence.final:
            self._partials.pop(sentence.channel, None)  # it is of this sentence, or of one before
            self._finals.append(sentence)
            self._bytes += len(sentence.audio)
            self.done.clear()
            while len(self._finals) > MOST_SENTENCES or self._bytes > MOST_BYTES:
                self._next()
                self._left_out += 1
        elif self._translator.partials:
            self._partials[sentence.channel] = sentence
        self._todo.set()

    def close(self) -> None:
        """No further sentence; partials are of no use any more."""
        self._closed = True
        self._partials.clear()

    def stop(self) -> None:
        """Leave out what still waits."""
        left = self._left_out + self._in_work + len(self._finals)
        self._drop()
        self._observer.translated(0, left)
        if left:
            _log.warning("realtime translations left out", extra={**self._log, "sentences": left})

    async def run(self) -> None:
        """Translate until the session cancels it."""
        try:
            await self._translator.prepare()
        except Exception as error:  # noqa: BLE001 - a translator must not end the session
            self._failed(error)
        while self._failures < FAILURES:
            await self._todo.wait()
            await self._work()

    async def _work(self) -> None:
        finals = self._taken()
        batch = finals or [self._partials.pop(channel) for channel in list(self._partials)[:1]]
        self._in_work = len(finals)
        if batch:
            try:
                await self._translate(batch, final=bool(finals))
            except Exception as error:  # noqa: BLE001
                self._left_out += len(finals)
                self._failed(error)
            else:
                self._failures = 0
                self._observer.translated(len(finals), 0)
        self._in_work = 0
        if not self._finals:
            self.done.set()
            if not self._partials:
                self._todo.clear()

    async def _translate(self, batch: list[SentenceHeard], *, final: bool) -> None:
        texts = await self._translator.translate(batch)
        found = tuple(
            TranslatedSentence(text=text, start=each.start, end=each.end, speaker=each.speaker)
            for each, text in zip(batch, texts, strict=True)
            if text
        )
        stale = not final and (self._closed or any(each.channel == batch[0].channel for each in self._finals))
        if found and not stale:
            await self._tell(Translated(target=self._target, sentences=found, final=final))

    def _taken(self) -> list[SentenceHeard]:
        """The next final sentences: several without audio, one with it."""
        batch: list[SentenceHeard] = []
        while self._finals and len(batch) < TOGETHER and not (batch and self._finals[0].audio):
            batch.append(self._next())
            if batch[-1].audio:
                break
        return batch

    def _next(self) -> SentenceHeard:
        sentence = self._finals.popleft()
        self._bytes -= len(sentence.audio)
        return sentence

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        given_up = self._failures >= FAILURES
        why = f"{type(error).__name__}: {error}"[:300]
        _log.warning("realtime translation failed", extra={**self._log, "why": why, "given_up": given_up})
        if given_up:
            self._left_out += len(self._finals)
            self._drop()

    def _drop(self) -> None:
        self._finals.clear()
        self._partials.clear()
        self._bytes = 0
        self.done.set()

"""One channel of a live session: from audio to finals, partials and ends of utterances (research `streaming.md` §5).

The channel is passive: `push` adds audio, `work` does at most one decode. Audio is judged in order and none is skipped; when
more audio waits than decodes can follow, the steps between decodes grow.
In order: the channel's state; input; `work`; decodes; what becomes final; ends of utterances.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import SpeechProbability, VolumeTrack
from sottovoce.engines.protocols import LiveStream, LiveWord
from sottovoce.pipeline.live import events, finals
from sottovoce.pipeline.live.finals import FinalsPolicy
from sottovoce.pipeline.live.formatting import LiveFormatter
from sottovoce.pipeline.live.intake import Intake
from sottovoce.pipeline.live.policy import (
    BEHIND_STEP,
    DEAF,
    DIGITS,
    EDGE,
    ENTITY_MOST,
    LARGEST_STEP,
    LEAST,
    PREROLL,
    SPOKEN,
    UNHEARD,
    LivePolicy,
)
from sottovoce.pipeline.live.turnaround import Turnaround
from sottovoce.pipeline.live.window import Window, context_of, placed
from sottovoce.transcript.model import RATE, Item, Mark, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sottovoce.pipeline.live.intake import Listener
    from sottovoce.pipeline.live.speakers import SpeakerTrack

    Floats = NDArray[np.float32]

ONSET = 0.5
"""Speech probability that begins an utterance."""
SPEECH = 0.35
"""Speech probability from which an utterance goes on."""
_FORCED_SILENCE: Samples = RATE // 4  # speech this close before a forced end goes on after it
_OVERLONG: Samples = 6 * RATE  # a window this much longer than its limit and the delay of finals is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParts:
    """What a channel works with. *emit* receives its events; *clock* returns seconds of any clock; *listen*: as of `Intake`;
    *speakers*: labels the words of segments.
    """

    number: int
    stream: LiveStream
    vad: SpeechProbability
    formatter: LiveFormatter
    volume: VolumeTrack | None
    partials: bool
    emit: Callable[[events.Event], None]
    clock: Callable[[], float]
    listen: "Listener | None" = None
    speakers: "SpeakerTrack | None" = None


@dataclass(slots=True, kw_only=True)
class Work:
    """What a channel did: *audio* judged, *decodes* made, and those *skipped* because it was behind."""

    audio: Samples = 0
    decodes: int = 0
    skipped: int = 0


@dataclass(slots=True, kw_only=True)
class _Sent:
    """What the client has. *final*: end of the last final; *partial*: time of the last partial.

    *owed*: a final came after the last partial; *shown*: the last partial has words; *marked*: the last final ends with a mark.
    """

    final: Samples = 0
    partial: Samples = 0
    owed: bool = False
    shown: bool = False
    marked: bool = True


class LiveChannel:
    """The state of one channel. Not thread-safe: one thread at a time calls it."""

    def __init__(self, parts: ChannelParts, policy: LivePolicy) -> None:
        self._parts = parts
        self._policy = policy
        self._finals = FinalsPolicy(policy, self._whole)
        self._turnaround = Turnaround()
        self._intake = Intake(parts.vad, parts.volume, parts.listen)
        self._buffer = self._intake.buffer
        self._window: Window | None = None
        self._open: tuple[LiveWord, ...] = ()  # words of the last decode that are not final
        self._last_speech: Samples = 0
        self._last_decode: Samples = 0
        self._cut: Samples = 0  # audio before it belongs to finished utterances
        self._final_end: Samples = 0
        self._context: tuple[LiveWord, ...] = ()  # the words of the utterance before
        self._sent = _Sent()
        self._forcing = False  # the client asked for the final that is made now
        self._work = Work()
        self._sent_marks = True  # the marks after the last final word were sent
        self._utterance = False  # finals were sent since the last reported end of an utterance
        self._forced: deque[Samples] = deque()
        self._finishing = False
        self.ended = False

    # ── input ──

    @property
    def backlog(self) -> Samples:
        """Audio that was pushed and not judged yet."""
        return self._intake.waiting

    @property
    def _judged(self) -> Samples:
        return self._intake.judged

    def push(self, audio: "Floats") -> None:
        """Add float32[n] at 16 kHz."""
        if len(audio):
            self._intake.push(audio)
            self._turnaround.arrived(self._intake.received, self._parts.clock())

    def force_end(self, at: Samples | None) -> None:
        """End the utterance at *at*, or at the end of the audio that was pushed so far."""
        insort(self._forced, self._intake.received if at is None else at)

    def finish(self) -> None:
        """End the channel after the audio that was pushed."""
        self._finishing = True

    def configure(self, policy: LivePolicy, *, partials: bool) -> None:
        """Use *policy* from now on."""
        self._policy = policy
        self._finals = FinalsPolicy(policy, self._whole)
        self._parts = replace(self._parts, partials=partials)

    def measure_volume(self) -> VolumeTrack:
        """The volumes of the audio from now on, or from when they were first asked for."""
        return self._intake.measure_volume()

    def worked(self) -> Work:
        """What was done since the last call."""
        done, self._work = self._work, Work()
        done.audio = self._intake.counted()
        return done

    # ── work ──

    def work(self) -> bool:
        """Judge waiting audio up to the next decode, and decode. Returns True if more can be done now."""
        while not self.ended:
            if self._act():
                return True
            if not self._take():
                break
        if self._finishing and not self.ended:
            self._finish()
        return False

    def _act(self) -> bool:
        """Do what is due at the audio judged so far; True if it took a decode."""
        # the detector judges whole frames: what is left of the audio before the end may never fill one
        if self._forced and self._forced[0] - self._judged < self._intake.frame:
            self._force(self._forced.popleft())
            return True
        if self._window is None:
            self._report_silence()
            self._beat()
            return False
        silence = self._judged - self._last_speech
        if silence >= self._closing_silence():
            self._close(min(self._judged, self._last_speech + PREROLL))
            return True
        if self._judged - self._last_decode >= self._step() and self._judged - self._window.start >= LEAST:
            self._decode()
            return True
        return False

    def _closing_silence(self) -> Samples:
        """The silence that ends the utterance."""
        policy = self._policy
        if policy.flexible and self._open and finals.is_number(self._open[-1].text):
            return max(policy.silence, min(DIGITS, policy.utterance or DIGITS))
        return policy.silence

    def _step(self) -> Samples:
        """The audio between two decodes: longer when decodes take long, and when much audio waits."""
        step = self._policy.step
        if self.backlog > RATE:
            return min(max(step, self.backlog), BEHIND_STEP)
        return min(max(step, self._turnaround.last * 13 // 10), max(step, LARGEST_STEP))

    def _take(self) -> bool:
        """Judge the next piece of the waiting audio; False if there is too little."""
        judged = self._intake.take(self._forced[0] if self._forced else None, ending=self._finishing)
        if not judged:
            return False
        self._judge(judged)
        self._late()
        return True

    def _judge(self, judged: Iterable[tuple[Samples, float]]) -> None:
        frame = self._intake.frame
        for start, probability in judged:
            if self._window is None and probability >= ONSET:
                begin = max(self._cut, start - PREROLL)
                self._window = Window(begin, context=context_of(self._context, begin))
                self._last_decode = start
                self._finals.restart()
            if self._window is not None and probability >= SPEECH:
                self._last_speech = min(start + frame, self._buffer.end)
                self._window.spoken += frame
        if self._window is None:
            self._forget()

    def _forget(self) -> None:
        """Drop the audio that no later utterance needs."""
        needed = max(self._cut, self._judged - PREROLL)
        if context := context_of(self._context, needed):
            needed = min(needed, context[0].start - PREROLL)
        self._buffer.forget(needed)
        self._intake.forget_volumes(needed)

    def _late(self) -> None:
        """Make words final whose time has passed although no decode came in time."""
        if self._window is not None and (
            count := self._whole(self._open, self._finals.due(self._open, self._judged), self._judged)
        ):
            self._commit(self._open[:count], self._window)
            self._open = self._open[count:]
            self._finals.restart()
            self._show()

    # ── decodes ──

    def _decode(self) -> None:
        """Decode the window up to the newest audio; make ready words final, show the others."""
        window, newest = self._window, self._judged
        if window is None:
            return
        self._work.skipped += max((newest - self._last_decode) // self._policy.step - 1, 0)
        self._last_decode = newest
        if window.spoken < SPOKEN:
            return
        found = self._new_words(window, newest, closing=False)
        now = self._parts.clock()
        self._turnaround.decoded(newest, now)
        budget = self._budget()
        count = self._finals.ready(found, newest, budget)
        if count:
            self._commit(found[:count], window)
        self._open = found[count:]
        self._revive(window, found, newest)
        self._show()
        if window.trim(newest, self._policy.window):
            self._buffer.forget(window.start)
        elif newest - window.start > self._policy.window + self._policy.max_delay + _OVERLONG:
            self._close(newest)

    def _whole(self, words: Sequence[LiveWord], count: int, newest: Samples) -> int:
        """Return *count* without an entity at its end that may go on, which waits for its last word (flexible mode)."""
        if not count or not self._policy.flexible:
            return count
        items: list[Item] = []
        ends: list[int] = []  # the number of items of the words up to each
        for word in words:
            items += self._parts.stream.items([word])
            ends.append(len(items))
        kept = self._parts.formatter.whole(items, ends[count - 1])
        whole = sum(end <= kept for end in ends[:count])
        if whole < count and newest - words[whole].end >= self._policy.max_delay + ENTITY_MOST:
            return count
        return whole

    def _budget(self) -> Samples:
        """Audio that passes until the next decision: the step and the usual time of a decode; less with a short delay."""
        policy = self._policy
        if policy.agreement:
            return policy.step // 2
        return min(policy.step + self._turnaround.usual, policy.max_delay // 2)

    def _new_words(self, window: Window, end: Samples, *, closing: bool) -> tuple[LiveWord, ...]:
        """Decode the window up to *end* and return the words after its final ones, with times of the channel."""
        audio = self._buffer.part(window.start, end)
        self._work.decodes += 1
        found = self._parts.stream.hypothesis(audio, window.committed, closing=closing)
        count = len(window.words)
        if count and len(found.words) >= count and not self._sent_marks:
            self._mark(window, found.words[count - 1].text)
        return placed(found.words[count:], window.start, max(self._final_end, window.start, window.floor), end)

    def _mark(self, window: Window, text: str) -> None:
        """Remember the marks that the last final word has in the newest hypothesis; they become final with the next word."""
        last = window.words[-1].text
        if finals.plain(text) == finals.plain(last):
            window.mark_last(finals.unmarked(last) + finals.marks_of(text))

    def _revive(self, window: Window, found: Sequence[LiveWord], newest: Samples) -> None:
        """Start the window anew if the person speaks on and the model has stopped writing."""
        last = max(window.words[-1].end if window.words else window.start, window.floor)
        if found or min(newest, self._last_speech) - last <= window.deaf_after:
            window.silent_decodes = 0
            return
        window.silent_decodes += 1
        if window.silent_decodes >= 2 and window.words:  # noqa: PLR2004 - two decodes without a new word
            self._send_pending(window)
            window.restart()
            self._buffer.forget(window.oldest)

    # ── what becomes final ──

    def _commit(self, words: Sequence[LiveWord], window: Window, *, closing: bool = False) -> None:
        """Send *words* as final; the marks after the last one are kept until the next word is final, except with *closing*."""
        pending = self._pending(window)
        window.commit(words)
        sent = [*words[:-1], replace(words[-1], text=words[-1].text if closing else finals.unmarked(words[-1].text))]
        items = (*pending, *self._parts.stream.items(sent))
        self._send(items, words[-1].end, closing=closing)
        if not closing:
            window.mark_last(words[-1].text)
        self._sent_marks = closing

    def _pending(self, window: Window) -> tuple[Item, ...]:
        """The mark after the last final word, which was not sent with it; empty if there is none."""
        if not window.words or self._sent_marks:
            return ()
        last = window.words[-1]
        if not finals.marks_of(last.text):
            return ()
        items = self._parts.stream.items([last])
        return tuple(replace(item, at=last.end) for item in items if isinstance(item, Mark))

    def _send_pending(self, window: Window) -> None:
        if pending := self._pending(window):
            self._send(pending, pending[-1].end, closing=False)
        self._sent_marks = True

    def _send(self, items: tuple[Item, ...], end: Samples, *, closing: bool) -> None:
        formatted = self._parts.formatter.final(items, end, closing=closing)
        self._final_end = max(self._final_end, end)
        self._utterance = True
        if formatted:
            self._emit_final(formatted, end)

    def _emit_final(self, items: tuple[Item, ...], end: Samples) -> None:
        """Send *items*, from the end of the final before on (contract `realtime.md` §5.3); a partial must follow (§3 rule 5)."""
        sent = self._sent
        begin, sent.final = min(sent.final, items[0].start), max(end, items[-1].end, sent.final)
        sent.owed, sent.marked = True, isinstance(items[-1], Mark)
        self._parts.emit(
            events.Final(channel=self._parts.number, start=begin, end=sent.final, items=items, forced=self._forcing)
        )

    def _show(self) -> None:
        """Send the open words as a partial; an empty one after a final, and to clear words that the client shows."""
        sent = self._sent
        if not self._parts.partials or not (self._open or sent.shown or sent.owed):
            return
        end = max(self._open[-1].end, self._judged) if self._open else self._judged
        items = self._parts.formatter.partial(self._parts.stream.items(self._open), end) if self._open else ()
        self._emit_partial(items, end)

    def _emit_partial(self, items: tuple[Item, ...], end: Samples) -> None:
        sent = self._sent
        sent.shown, sent.owed, sent.partial = bool(items), False, self._judged
        begin = min(sent.final, items[0].start) if items else sent.final
        self._parts.emit(events.Partial(channel=self._parts.number, start=begin, end=max(end, begin), items=items))

    def _beat(self) -> None:
        """Send empty partials in silence, at the pace of others (contract `realtime.md` §6)."""
        if self._parts.partials and self._judged - self._sent.partial >= self._step():
            self._emit_partial((), self._judged)

    # ── ends of utterances ──

    def _close(self, end: Samples, *, goes_on: bool = False) -> None:
        """Decode the window a last time up to *end*, make all of it final, and wait for the next utterance.

        *goes_on*: the next one begins in the audio that is here.
        """
        window, self._window = self._window, None
        if window is None:
            return
        words: tuple[LiveWord, ...] = ()
        if end > window.start and window.spoken >= SPOKEN:
            words = self._closing_words(window, end)
        self._turnaround.decoded(self._judged, self._parts.clock())
        if words:
            self._commit(words, window, closing=True)
        else:
            self._close_without_words(window, end)
        self._sent_marks = True
        self._open = ()
        self._show()
        self._cut = end
        self._context = tuple(window.words)
        if not goes_on:
            self._forget()

    def _closing_words(self, window: Window, end: Samples) -> tuple[LiveWord, ...]:
        """Decode *window* a last time, up to *end*, and again where the words do not reach the end of the speech."""
        words = self._new_words(window, end, closing=True)
        speech = min(self._last_speech, end)
        covered = _end_of(words, window)
        if speech - covered > UNHEARD or (self._open and covered + EDGE < self._open[-1].end):
            # The wider search may end the text too early: of `before the end of the week` it kept `before the end of` (tiny.en,
            # samples/demo.wav), whose rest the decode before had found.
            again = self._new_words(window, end, closing=False)
            words = again if _end_of(again, window) > covered else words
        if not words and window.has_context:  # the context may have kept the model from writing
            window.restart()
            words = self._new_words(window, end, closing=True)
        elif not words and window.recall():  # and what is short may need it
            words = self._new_words(window, end, closing=True)
            if not words:
                window.restart()
        if speech - _end_of(words, window) > DEAF and (words or window.words):
            words += self._rest(_end_of(words, window), end)
        return words

    def _rest(self, start: Samples, end: Samples) -> tuple[LiveWord, ...]:
        """Decode the audio from *start* to *end* by itself, without the words before it."""
        self._work.decodes += 1
        found = self._parts.stream.hypothesis(self._buffer.part(start, end), (), closing=True)
        return placed(found.words, start, start, end)

    def _close_without_words(self, window: Window, end: Samples) -> None:
        pending = self._pending(window)
        last = window.words[-1].end if window.words else end
        items = (*pending, *(self._parts.formatter.close(last) if window.words and not pending else ()))
        if items:
            self._send(items, items[-1].end, closing=True)

    def _force(self, at: Samples) -> None:
        """End the utterance at *at*, as the client asked; speech that goes on there begins the next one."""
        end = min(max(at, self._cut), self._judged)
        spoken = self._judged - self._last_speech < _FORCED_SILENCE or self._last_speech - end > UNHEARD
        goes_on = self._window is not None and spoken
        if self._window is not None:
            self._forcing = True
            self._close(max(end, self._window.start), goes_on=goes_on)
            self._forcing = False
        if goes_on:
            begin = max(end, self._cut)
            self._window = Window(begin, spoken=SPOKEN, context=context_of(self._context, begin))
            self._buffer.forget(self._window.start)
            self._last_decode = self._judged
            self._finals.restart()
        self._sent.final = max(self._sent.final, end)
        self._end_utterance(end, forced=True)

    def _report_silence(self) -> None:
        """Report the end of an utterance after the silence that the client asked for."""
        trigger = self._policy.utterance
        if trigger and self._utterance and self._judged - self._last_speech >= trigger:
            self._end_sentence(min(self._last_speech + trigger, self._judged))

    def _end_sentence(self, at: Samples) -> None:
        """Report the end of the utterance, after the mark of its last sentence if the engine set none (§6)."""
        if not self._sent.marked and (mark := self._parts.formatter.stop(self._final_end)):
            self._emit_final(mark, self._final_end)
            self._show()
        self._end_utterance(at, forced=False)

    def _end_utterance(self, at: Samples, *, forced: bool) -> None:
        self._utterance = False
        self._parts.emit(events.UtteranceEnd(channel=self._parts.number, at=at, forced=forced))

    def _finish(self) -> None:
        while self._forced:
            self._force(min(self._forced.popleft(), self._judged))
        if self._window is not None:
            self._close(min(self._judged, self._last_speech + PREROLL))
        if self._policy.utterance and self._utterance:
            self._end_sentence(self._judged)
        self.ended = True
        self._parts.emit(events.Ended(channel=self._parts.number, duration=self._buffer.end))


def _end_of(words: Sequence[LiveWord], window: Window) -> Samples:
    """The end of the last of *words*, or without any, of the final words of *window*."""
    last = words or window.words
    return max(last[-1].end, window.floor) if last else window.floor

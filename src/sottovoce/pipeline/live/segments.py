"""One channel of a voice agent's caller: from audio to partial segments, segments and turns (contract `agent-stt.md` §4, §5).

Partial segments come from short decodes as in `channel.py`. As soon as speech pauses, the piece is decoded as a whole with a wide
search; if nothing more is said, these are the words of the segment, ready before the turn ends. Nothing is final before.
In order: state; input; `work`; decodes; segments; turns.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span, VolumeTrack
from sottovoce.engines.protocols import LiveWord
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.channel import ONSET, SPEECH, ChannelParts, Work
from sottovoce.pipeline.live.finals import FinalsPolicy
from sottovoce.pipeline.live.intake import Intake
from sottovoce.pipeline.live.policy import BEHIND_STEP, LARGEST_STEP, LEAST, PREROLL, SPOKEN, LivePolicy
from sottovoce.pipeline.live.segment import Segment, Whole, ends_sentence, sentences_of
from sottovoce.pipeline.live.speakers import by_speaker, change
from sottovoce.pipeline.live.turn_end import end_silence
from sottovoce.pipeline.live.turnaround import Turnaround
from sottovoce.pipeline.live.window import context_of, placed
from sottovoce.request import TurnDetection, Turns
from sottovoce.transcript.model import RATE, Item, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PAUSE: Samples = RATE // 5
"""Silence (0.2 s) after which the piece is decoded as a whole."""

HOLD: Samples = 9 * RATE // 100
"""Silence (0.09 s) in which no short decode begins: it would delay the decode of the whole."""

QUIET: Samples = 2 * RATE // 5
"""Silence (0.4 s) after which the end of speech is reported."""

SENTENCE: Samples = RATE // 2
"""Silence (0.5 s) after a sentence that ends a segment, where segments are sentences, and a piece of more than `PIECE`."""

PIECE: Samples = 8 * RATE
"""Audio (8 s) after which a pause between sentences begins a new piece, so that the decode at the turn's end stays short."""

SHORT: Samples = 2 * RATE
"""Speech (2 s) below which a decode of the whole needs the words before it (`policy.CONTEXT_GAP`)."""

LONG_PAUSE: Samples = 3 * RATE // 2
"""Silence (1.5 s) that ends a piece."""

LONGEST_PIECE: Samples = 26 * RATE
"""Audio (26 s) that is decoded as a whole at most; the models take 30 s."""

LONGEST_SEGMENT: Samples = 120 * RATE
"""Audio (2 minutes) of a segment at most (§4)."""

_ONGOING: Samples = RATE // 10  # speech this close before a forced end goes on after it
_BEHIND: Samples = RATE  # while more audio than this waits, only long pauses are decoded
_KEPT = 0.6  # a whole decode with fewer than this share of the words heard before has lost some


class SegmentChannel:
    """The state of one channel. Not thread-safe: one thread at a time calls it."""

    def __init__(self, parts: ChannelParts, policy: LivePolicy, turns: Turns, language: str) -> None:
        self._parts = parts
        self._policy = policy
        self._turns = turns
        self._language = language
        self._finals = FinalsPolicy(policy)
        self._turnaround = Turnaround()
        self._intake = Intake(parts.vad, parts.volume, parts.listen)
        self._buffer = self._intake.buffer
        self._segment: Segment | None = None
        self._last_speech: Samples = 0
        self._last_decode: Samples = 0
        self._speaking = False  # its end was not reported yet
        self._turn = False  # words of it were sent
        self._cut: Samples = 0  # audio before it belongs to earlier segments
        self._context: tuple[LiveWord, ...] = ()  # the words of the segment before
        self._said: tuple[str, ...] = ()  # the same, as written
        self._shown: tuple[Item, ...] = ()  # the last partial
        self._forced: deque[Samples] = deque()
        self._finishing = False
        self._work = Work()
        self.ended = False

    # ── input ──

    @property
    def backlog(self) -> Samples:
        """Audio that was pushed and not judged yet."""
        return self._intake.waiting

    def push(self, audio: "Floats") -> None:
        """Add float32[n] at 16 kHz."""
        if len(audio):
            self._intake.push(audio)
            self._turnaround.arrived(self._intake.received, self._parts.clock())

    def force_end(self, at: Samples | None) -> None:
        """End the turn at *at*, or at the end of the audio that was pushed so far."""
        self._forced.append(self._intake.received if at is None else at)

    def finish(self) -> None:
        """End the channel after the audio that was pushed."""
        self._finishing = True

    def configure(self, policy: LivePolicy, *, partials: bool) -> None:
        """Use *policy* from now on. The partials are wanted whatever *partials* says: the first one begins a turn."""
        del partials
        self._policy = policy

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
            judged = self._intake.take(self._forced[0] if self._forced else None, ending=self._finishing)
            if not judged:
                break
            self._judge(judged)
        if self._finishing and not self.ended:
            self._finish()
        return False

    @property
    def _judged(self) -> Samples:
        return self._intake.judged

    def _judge(self, judged: Iterable[tuple[Samples, float]]) -> None:
        frame = self._intake.frame
        for start, probability in judged:
            if probability >= ONSET:
                self._onset(start)
            silent = start - self._last_speech >= PAUSE  # then it takes a clear onset to go on, not a breath
            if self._segment is not None and probability >= (ONSET if silent else SPEECH):
                self._last_speech = min(start + frame, self._buffer.end)
                self._segment.speak(start, start + frame)
        self._forget()

    def _onset(self, start: Samples) -> None:
        """Speech at *start*: begin a segment, or a piece after a long pause."""
        begin = max(self._cut, start - PREROLL)
        if self._segment is None:
            self._segment = Segment(begin, context_of(self._context, begin))
            self._last_decode = start
            self._finals.restart()
        elif not self._segment.spoken and not self._segment.words:
            begin = max(begin, self._segment.start)
            self._segment.begin(begin, context_of(self._words_before, begin))
        if not self._speaking:
            self._speaking = True
            self._parts.emit(events.SpeechStarted(channel=self._parts.number, at=start))

    @property
    def _words_before(self) -> Sequence[LiveWord]:
        """The words before the open piece."""
        return self._segment.settled if self._segment and self._segment.settled else self._context

    def _forget(self) -> None:
        """Drop the audio that no later decode needs."""
        needed = max(self._cut, self._judged - PREROLL)
        if self._segment is not None and (self._segment.spoken or self._segment.words):
            needed = min(self._segment.start, self._segment.audio_start)
        elif context := context_of(self._words_before, needed):
            needed = min(needed, context[0].start)
        self._buffer.forget(needed - PREROLL)
        self._intake.forget_volumes(needed - PREROLL)

    def _act(self) -> bool:
        """Do what is due at the audio judged so far; True if it took a decode."""
        # the detector judges whole frames: what is left of the audio before the end may never fill one
        if self._forced and self._forced[0] - self._judged < self._intake.frame:
            self._force(self._forced.popleft())
            return True
        silence = self._judged - self._last_speech
        if self._speaking and silence >= QUIET:
            self._speech_over()
        segment = self._segment
        if segment is None:
            return self._end_by_silence(silence)
        if self._judged - segment.begun >= LONGEST_SEGMENT:
            self._divide(segment, segment.longest_pause(self._judged), close=True)
            return True
        return self._pause(segment, silence) if silence >= PAUSE else self._speech(segment, silence)

    def _speech(self, segment: Segment, silence: Samples) -> bool:
        """What is due while speech goes on; True if it took a decode."""
        if self._judged - segment.start >= LONGEST_PIECE:
            self._divide(segment, segment.longest_pause(self._judged), close=False)
            return True
        if (
            silence < HOLD
            and self._judged - self._last_decode >= self._step()
            and self._judged - segment.start >= LEAST
        ):
            return self._decode(segment)
        return False

    def _pause(self, segment: Segment, silence: Samples) -> bool:
        """What is due in the silence after speech; True if it took a decode."""
        if segment.whole is None and segment.spoken and (self.backlog <= _BEHIND or silence >= SENTENCE):
            self._decode_whole(segment)
            return True
        over = ends_sentence(segment.heard[-1].text) if segment.heard else False
        if self._turns.sentences and over and silence >= SENTENCE:
            self._close(segment, self._last_speech)
        elif self._end_by_silence(silence):
            return True
        elif silence >= LONG_PAUSE or (silence >= SENTENCE and over and self._judged - segment.start >= PIECE):
            self._settle(segment)
        return False

    def _step(self) -> Samples:
        step = self._policy.step
        if self.backlog > _BEHIND:
            return min(max(step, self.backlog), BEHIND_STEP)
        return min(max(step, self._turnaround.last * 13 // 10), max(step, LARGEST_STEP))

    # ── decodes ──

    def _decode(self, segment: Segment) -> bool:
        """Decode the newest audio of the piece for a partial segment."""
        window, newest = segment.window, self._judged
        self._work.skipped += max((newest - self._last_decode) // self._policy.step - 1, 0)
        self._last_decode = newest
        if window.spoken < SPOKEN:
            return False
        audio = self._buffer.part(window.start, newest)
        self._work.decodes += 1
        found = self._parts.stream.hypothesis(audio, window.committed, closing=False)
        count = len(window.words)
        if count and len(found.words) >= count:
            segment.mark_last(found.words[count - 1].text)
        words = placed(found.words[count:], window.start, max(segment.start, window.floor), newest)
        self._turnaround.decoded(newest, self._parts.clock())
        ready = self._finals.ready(words, newest, min(self._policy.step + self._turnaround.usual, RATE))
        if ready:
            segment.hear(words[:ready])
        segment.open = words[ready:]
        self._revive(segment, words)
        window.trim(newest, self._policy.window)
        number = segment.sentence_end() if self._turns.sentences else None
        if number is not None:
            self._divide(segment, number, close=True)
        else:
            self._divide_speakers(segment)
        self._show()
        return True

    def _revive(self, segment: Segment, found: Sequence[LiveWord]) -> None:
        """Start the window anew if the person speaks on and the model has stopped writing."""
        window = segment.window
        last = max(window.words[-1].end if window.words else window.start, window.floor)
        if found or min(self._judged, self._last_speech) - last <= window.deaf_after:
            window.silent_decodes = 0
            return
        window.silent_decodes += 1
        if window.silent_decodes >= 2 and window.words:  # noqa: PLR2004 - two decodes without a new word
            window.restart()

    def _decode_whole(self, segment: Segment) -> None:
        words = self._whole(segment, min(self._judged, self._last_speech + PREROLL))
        segment.whole = Whole(words=words, speech_end=self._last_speech)
        self._turnaround.decoded(self._judged, self._parts.clock())
        self._show()

    def _whole(self, segment: Segment, end: Samples) -> tuple[LiveWord, ...]:
        """The words of the piece up to *end*, decoded with a wide search; a short piece together with the words just before it."""
        if segment.spoken < SPOKEN or end <= segment.start:
            return ()
        before = tuple(word for word in (*segment.words, *segment.open) if word.start < end)
        words: tuple[LiveWord, ...] = ()
        starts = (segment.audio_start, segment.start) if segment.spoken < SHORT else (segment.start,)
        for start in dict.fromkeys(starts):
            words = self._words(segment, max(start, end - LONGEST_PIECE - PREROLL), end)
            if len(words) > _KEPT * len(before):
                return words
        return before if len(before) > len(words) else words

    def _words(self, segment: Segment, start: Samples, end: Samples) -> tuple[LiveWord, ...]:
        context = (Span(start=word.start, end=word.end) for word in segment.context)
        runs = (Span(start=max(run.start, start), end=min(run.end, end)) for run in (*context, *segment.voiced))
        voiced = [Span(start=run.start - start, end=run.end - start) for run in runs if run.start < run.end]
        audio = self._buffer.part(start, end)
        self._work.decodes += 1
        found = [
            word
            for word in self._parts.stream.whole(audio, voiced)
            if (word.start + word.end) // 2 >= segment.start - start
        ]
        return placed(found, start, segment.start, end)

    # ── segments ──

    def _show(self) -> None:
        """Report the open segment, if its words have changed."""
        segment = self._segment
        if segment is None or not (segment.settled or segment.heard):
            return
        words = segment.heard
        items = (*segment.settled_items, *self._formatted(words))
        if self._parts.speakers is not None:
            items = self._parts.speakers.labelled(items, final=False)
        if items and items != self._shown:
            self._shown = items
            self._turn = True
            start, end = (segment.settled or words)[0].start, (words or segment.settled)[-1].end
            self._parts.emit(events.Partial(channel=self._parts.number, start=start, end=end, items=items))

    def _formatted(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        return self._parts.formatter.partial(self._parts.stream.items(words), words[-1].end) if words else ()

    def _keep(self, segment: Segment, words: Sequence[LiveWord]) -> None:
        """Settle *words*. Partials show them as they are formatted now; the final one formats all words together."""
        segment.settled.extend(words)
        segment.settled_items = (*segment.settled_items, *self._formatted(words))

    def _settle(self, segment: Segment) -> None:
        """Keep the words of the piece, and begin a new one when speech goes on; without words, drop the segment."""
        self._keep(segment, segment.heard)
        self._cut = min(self._judged, self._last_speech + PREROLL)
        if segment.settled:
            segment.begin(self._cut, ())
        else:
            self._segment = None
        self._finals.restart()

    def _divide(self, segment: Segment, number: int | None, *, close: bool) -> None:
        """Decode the piece up to the word *number* as a whole, and begin a new one there; with *close*, a new segment."""
        known = [*segment.words, *segment.open]
        if number is None:
            cut, rest = self._judged, []
        else:
            cut, rest = (known[number].end + known[number + 1].start) // 2, known[number + 1 :]
        words = segment.whole.words if segment.whole and number is None else self._whole(segment, cut)
        self._keep(segment, words)
        self._cut = cut
        self._finals.restart()
        if close:
            spoken, context = segment.voiced, self._send(segment.settled)
            segment = self._segment = Segment(cut)
        else:
            spoken, context = segment.voiced, segment.settled
        segment.begin(cut, () if rest else context_of(context, cut), rest)
        segment.speak_after(spoken)

    def _divide_speakers(self, segment: Segment) -> None:
        """End the segment where another speaker certainly goes on (§4)."""
        track, settled = self._parts.speakers, segment.settled
        if track is None:
            return
        words = [(word.start, word.end) for word in (*settled, *segment.words, *segment.open)]
        first = change(words, track.preview(words), self._judged)
        if first is None:
            return
        if first > len(settled):
            self._divide(segment, first - len(settled) - 1, close=True)
            return
        self._send(settled[:first])
        segment.begun, segment.settled = words[first][0], settled[first:]
        segment.settled_items = self._formatted(segment.settled)

    def _close(self, segment: Segment, end: Samples) -> None:
        """The segment is complete."""
        self._send([*segment.settled, *segment.heard])
        self._segment = None
        self._cut = min(self._judged, end + PREROLL)
        self._finals.restart()

    def _send(self, words: Sequence[LiveWord]) -> Sequence[LiveWord]:
        """Report *words* as a segment, or each sentence as one; none without words. Returns the context of the next one."""
        for part in sentences_of(words) if self._turns.sentences else [words]:
            items = (
                self._parts.formatter.final(self._parts.stream.items(part), part[-1].end, closing=True) if part else ()
            )
            if items:
                self._turn = True
                self._report(items, part[0].start, part[-1].end)
        if words:
            self._context = tuple(words)
            self._said = tuple(word.text for word in words)
        self._shown = ()
        return self._context

    def _report(self, items: tuple[Item, ...], start: Samples, end: Samples) -> None:
        """Report *items* of *start* … *end* as a segment, or as one for each run of one speaker."""
        track = self._parts.speakers
        runs = [items] if track is None else by_speaker(track.labelled(items, final=True, complete=True))
        for number, run in enumerate(runs):
            first = start if number == 0 else run[0].start
            last = end if number == len(runs) - 1 else run[-1].end
            self._parts.emit(events.Final(channel=self._parts.number, start=first, end=last, items=run))

    # ── turns ──

    def _speech_over(self) -> None:
        self._speaking = False
        self._parts.emit(events.SpeechEnded(channel=self._parts.number, at=self._last_speech))

    def _end_by_silence(self, silence: Samples) -> bool:
        """End the turn if the silence is long enough for its last words; True if it ended."""
        if self._turns.detection is not TurnDetection.VAD or not (self._segment or self._turn):
            return False
        segment = self._segment
        written = [word.text for word in (*segment.settled, *segment.heard)] if segment else []
        if silence < end_silence(written or self._said, self._language):
            return False
        if segment is not None:
            self._close(segment, self._last_speech)
        if self._turn:
            self._end_turn(self._last_speech, forced=False)
        return True

    def _end_turn(self, at: Samples, *, forced: bool) -> None:
        if self._speaking and self._judged - self._last_speech >= _ONGOING:
            self._speech_over()
        self._turn = False
        self._parts.emit(events.UtteranceEnd(channel=self._parts.number, at=at, forced=forced))

    def _force(self, at: Samples) -> None:
        """End the turn at *at*, as the client asked; words after it belong to the next one."""
        end = min(max(at, self._cut), self._judged)
        goes_on = self._last_speech > end or end - self._last_speech < _ONGOING
        segment = self._segment
        if segment is not None:
            if segment.whole is None or segment.whole.speech_end > end:
                words = self._whole(segment, min(end, max(self._last_speech, segment.start) + PREROLL))
                segment.whole = Whole(words=words, speech_end=min(self._last_speech, end))
            self._close(segment, end)
            self._cut = end if goes_on else min(self._judged, max(end, self._last_speech + PREROLL))
            if goes_on:
                self._segment = Segment(end, context_of(self._context, end))
                self._segment.speak_after(segment.voiced)
                self._last_decode = self._judged
        self._end_turn(max(at, end), forced=True)

    def _finish(self) -> None:
        while self._forced:
            self._force(min(self._forced.popleft(), self._judged))
        if self._speaking:
            self._speech_over()
        if segment := self._segment:
            if segment.whole is None:
                self._decode_whole(segment)
            self._close(segment, self._last_speech)
        if self._turn:
            self._end_turn(self._judged, forced=False)
        self.ended = True
        self._parts.emit(events.Ended(channel=self._parts.number, duration=self._buffer.end))


def turn_policy(policy: LivePolicy, turns: Turns) -> LivePolicy:
    """Return *policy* for a session with turns: later short decodes begin with words that are 2 s old (1.5 s with *sentences*)."""
    delay = 3 * RATE // 2 if turns.sentences else 2 * RATE
    return replace(policy, max_delay=delay, agreement=False, flexible=False, step=RATE // 2)

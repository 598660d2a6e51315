"""From a recording and its text to the time of every word: recognise, match with the text, align, interpolate.

The audio is streamed three times and never held as a whole: to recognise it, to align words that were not recognised, to
place all words. Recognised words are stored in windows and placed words in segments, so that an interrupted job resumes.
In order: the messages and constants; `Work` and `align`; `_Listener`, the recognition; `_Placement`; stored segments; the
anchors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from sottovoce.audio import activity, media, normalisation
from sottovoce.audio.tracks import Wanted
from sottovoce.engines.protocols import (
    Aligner,
    AlignmentSession,
    HeardWord,
    PlacedWord,
    Recognized,
    Speech,
    SpeechProbability,
)
from sottovoce.errors import Kind, Refused
from sottovoce.pipeline import anchors, media_report, segment_alignment
from sottovoce.pipeline.media_reader import SeekableAudio
from sottovoce.pipeline.segment_alignment import Anchor, SegmentAligner
from sottovoce.pipeline.windows import Observer, Window, cut
from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.marked_text import TextWord
from sottovoce.transcript.model import RATE, Samples, Word

if TYPE_CHECKING:
    from sottovoce.audio.activity import Floats

NO_WORDS = "there are no words in the text"
NO_SPEECH = "there is no speech in the audio"
TOO_LONG = "the text is far too long to be spoken in the time of the audio"
OTHER = "the text is not what is said in the audio"
SMALL_PART = "less than a tenth of the text is said in the audio: send only the part that is said"

LEAST = 0.15
"""Least share of the text, or of the recognised words, in trusted runs; of a wrong text it is at most 0.06 (measured)."""

LEAST_OF_TEXT = 0.1
"""Least share of the text in trusted runs, however much of the audio they are: the rest has no room between them."""

_SHORT = 25  # words: a text of up to this length is aligned before it is rejected
_PACE = 20  # words per second over the whole audio: faster than any speaker
_GRACE = 2_000  # words allowed in addition: only part of a text may be spoken
_HEARING, _PLACING = 0, 1  # channel numbers of windows: recognised words, placed words


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One alignment: the media, the words of the text, and the windows of earlier attempts."""

    path: Path
    words: Sequence[TextWord]
    language: str
    clock: Callable[[], int]  # epoch ms; called at the end
    windows: Sequence[Window] = ()
    limit: Samples | None = None  # of the media's length; longer media is refused
    track: Wanted | None = None  # of the file; without it the best one is chosen


VadFactory = Callable[[], SpeechProbability]


def align(work: Work, aligner: Aligner, make_vad: VadFactory, observer: Observer) -> Alignment:
    """Return a time for every word of *work*.

    Raises `MediaUnreadable`, and `Refused(INVALID_TEXT)` for a text that is empty, too long, or not spoken in the audio.
    """
    probe = media_report.opened(work.path, work.track, work.limit, observer)
    if not work.words:
        raise Refused(Kind.INVALID_TEXT, NO_WORDS)
    if probe.duration is not None and len(work.words) > _GRACE + probe.duration * _PACE // RATE:
        raise Refused(Kind.INVALID_TEXT, TOO_LONG)
    engine = aligner.capabilities
    observer.stage("align", f"engine {engine.engine} {engine.model}, {len(work.words)} words")
    reading = aligner.read([word.text for word in work.words], work.language)
    if not any(reading.spoken):
        raise Refused(Kind.INVALID_TEXT, NO_WORDS)
    listener = _Listener(work, make_vad, observer, probe)
    heard = list(listener.heard(reading))
    return _Placement(work, reading, listener, observer).finish(heard, f"{engine.engine} {engine.model}".strip())


class _Listener:
    """Recognises the audio and reports the progress; *duration* in samples is set at the end. *track*: what is read."""

    def __init__(self, work: Work, make_vad: VadFactory, observer: Observer, probe: media.Probe) -> None:
        self._work = work
        self._make_vad = make_vad
        self._observer = observer
        self._expected = probe.duration
        self.track = probe.track
        self.duration: Samples = 0
        self._furthest: Samples = 0

    def heard(self, reading: AlignmentSession) -> Iterator[HeardWord]:
        """Yield the recognised words in order: those of earlier attempts, then those of the rest of the audio."""
        earlier = [window for window in self._work.windows if window.channel == _HEARING]
        start = earlier[-1].end if earlier else 0
        if start:
            self._observer.stage("align", f"goes on at {start // RATE} s, {len(earlier)} window(s) kept")
        decoder = media.decode(self._work.path, split=False, start=start, limit=self._work.limit, track=self.track)
        blocks: Iterator[Floats] = (block[0] for block in decoder)
        found = media_report.Activity()
        speech = found.counted(activity.segments(blocks, self._make_vad(), activity.ActivityPolicy(), start=start))
        for window in earlier:
            yield from _words(window)
        count = start  # a kept window has words
        for window in cut(self._recognized(reading, speech), _HEARING, start):
            count += len(window.items)
            self._observer.window(window)
            yield from _words(window)
        self.duration = decoder.decoded
        media_report.tell(decoder, self._observer, set())
        for line in () if count else media_report.nothing_heard(decoder, found):
            self._observer.stage("align", line)

    def _recognized(self, reading: AlignmentSession, speech: Iterator[Speech]) -> Iterator[Recognized]:
        for stretch in normalisation.raised(speech):
            self.alive(stretch.start)
            items = tuple(Word(text=word.text, start=word.start, end=word.end) for word in reading.recognize(stretch))
            yield Recognized(start=stretch.start, end=stretch.end, items=items)

    def alive(self, at: Samples) -> None:
        """Report the progress at sample *at*: recognition is the first half of the work, placement the second."""
        self._furthest = max(self._furthest, at)
        self._observer.progress(self._furthest, None if self._expected is None else 2 * self._expected)


def _words(window: Window) -> Iterator[HeardWord]:
    for item in window.items:
        if isinstance(item, Word):
            yield HeardWord(text=item.text, start=item.start, end=item.end)


class _Placement:
    """The steps after recognition: anchors, alignment, interpolation."""

    def __init__(self, work: Work, reading: AlignmentSession, listener: _Listener, observer: Observer) -> None:
        self._work = work
        self._reading = reading
        self._listener = listener
        self._observer = observer
        self._behind = 0

    def finish(self, heard: Sequence[HeardWord], engine: str) -> Alignment:
        """Return the alignment. Raises `Refused` if the text is not what is said in the audio."""
        duration = self._listener.duration
        if not heard:
            raise Refused(Kind.INVALID_TEXT, NO_SPEECH)
        sayable = sum(map(bool, self._reading.spoken))
        known, alone, self._behind = _known(self._reading, heard, lambda: self._listener.alive(duration))
        share_heard = alone / len(heard)
        self._observer.stage("align", f"{len(known)} of {sayable} words heard in their order")
        if max(alone / sayable, share_heard) < LEAST and sayable > _SHORT:
            raise Refused(Kind.INVALID_TEXT, OTHER)
        if alone / sayable < LEAST_OF_TEXT and sayable > _SHORT:
            raise Refused(Kind.INVALID_TEXT, SMALL_PART)
        trial = self._placer()
        known = trial.fill_gaps(
            trial.fill_gaps(known)
        )  # twice: words found in the first pass are anchors of the second
        placed = self._placed(known)
        if not placed or not self._convinces(placed, sayable, len(heard), share_heard):
            raise Refused(Kind.INVALID_TEXT, OTHER)
        doubtful = {
            each.number for each in known if not each.heard and placed[each.number].score < segment_alignment.FITS
        }
        self._observer.stage("align", f"{len(placed) - len(doubtful)} of {sayable} words placed, the others bridged")
        times = segment_alignment.interpolate(placed, self._letters(), duration, trial.guesses)
        return Alignment(
            language=self._work.language,
            duration=duration,
            created_at=self._work.clock(),
            engine=engine,
            words=tuple(
                AlignedWord(first=word.first, last=word.last, start=start, end=end, bridged=guess or number in doubtful)
                for number, (word, (start, end, guess)) in enumerate(zip(self._work.words, times, strict=True))
            ),
        )

    @staticmethod
    def _convinces(placed: dict[int, PlacedWord], sayable: int, heard: int, share_heard: float) -> bool:
        """True if words that fit account for enough of the text, or of the recognised words."""
        score = fmean(word.score for word in placed.values())
        explained = score * len(placed) / sayable
        return score >= segment_alignment.FITS and (
            explained >= _needed(sayable) or score * share_heard >= _needed(heard)
        )

    def _placer(self) -> SegmentAligner:
        """Return an aligner for one pass through the audio."""
        duration = self._listener.duration
        clips = SeekableAudio(self._work.path, track=self._listener.track)
        alive = self._listener.alive
        return SegmentAligner(self._reading, clips, duration, lambda at: alive(duration + at), letters=self._letters())

    def _letters(self) -> list[int]:
        """Return the written length of each word, 0 for a word without sound; an engine's tokens may be generated names."""
        words = zip(self._work.words, self._reading.spoken, strict=True)
        return [len(word.text) if tokens else 0 for word, tokens in words]

    def _placed(self, known: Sequence[Anchor]) -> dict[int, PlacedWord]:
        """Align *known* segment by segment and return times by word number; segments of an earlier attempt are reused."""
        placer = self._placer()
        by_number = {each.number: each for each in known}
        done = {window.start: window for window in self._work.windows if window.channel == _PLACING}
        placed: dict[int, PlacedWord] = {}
        first = 0
        for segment in placer.segments(known, self._behind):
            last = segment.words[-1] + 1
            window = done.get(first)
            if window is None or tuple(_unpacked(window)) != segment.words:
                done.clear()  # the later segments were cut differently
                found = placer.align(segment, by_number)
                window = _window(first, last, found)
                self._observer.window(window)
            placed |= _unpacked(window)
            first = last
        return placed


def _window(first: int, last: int, found: dict[int, PlacedWord]) -> Window:
    """Return a placed segment as a window: *start* and *end* are word numbers here, and the text of a word is its number."""
    items = tuple(Word(text=str(n), start=w.start, end=w.end, confidence=w.score) for n, w in found.items())
    return Window(channel=_PLACING, start=first, end=last, items=items)


def _unpacked(window: Window) -> dict[int, PlacedWord]:
    """Return the placed words in a window that `_window` made, by number."""
    return {
        int(item.text): PlacedWord(start=item.start, end=item.end, score=item.confidence or 0.0)
        for item in window.items
        if isinstance(item, Word) and item.text.isdecimal()
    }


def _needed(count: int) -> float:
    """Return the share of *count* words that must be accounted for; it is larger for few words, which fit by chance.

    Measured on texts of 4 to 116 words: 0.85 and more of right texts, at most 0.59 of wrong ones of up to 25 words, 0.25
    of wrong ones of 44.
    """
    return LEAST + 0.5 * min(1.0, _SHORT / count)


def _known(
    reading: AlignmentSession, heard: Sequence[HeardWord], alive: Callable[[], None]
) -> tuple[list[Anchor], int, int]:
    """Return the words whose tokens were all recognised in order; the number of tokens in trusted runs; and the number of
    words recognised after the last of these words.
    """
    tokens = [(token, number) for number, said in enumerate(reading.spoken) for token in said]
    trusted = anchors.trusted_runs([token for token, _ in tokens], [word.text for word in heard], alive)
    places: dict[int, list[int]] = {}
    for pair in trusted.pairs:
        places.setdefault(tokens[pair.text][1], []).append(pair.heard)
    known: list[Anchor] = []
    last = -1
    for number, found in places.items():
        if len(found) == len(reading.spoken[number]) and found[-1] - found[0] + 1 == len(found):
            after = found[0] - last - 1
            known.append(Anchor(number=number, start=heard[found[0]].start, end=heard[found[-1]].end, after=after))
            last = found[-1]
    return known, trusted.alone, len(heard) - 1 - last

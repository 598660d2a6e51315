"""From anchors to a time for every word of a text: fill gaps, cut into segments, align, interpolate.

Words recognised in order (`anchors.trusted_runs`) are the anchors. The words between two anchors are aligned there and
kept if they fit. Where they do not fit, or where other speech lies between, the text is cut, so that neither side is
displaced. The rest is aligned in segments of at most a minute that end in pauses.
In order: the constants; `SegmentAligner` (gaps, segments, times); cutting; interpolation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from sottovoce.engines.protocols import AlignmentSession, PlacedWord
from sottovoce.pipeline.media_reader import SeekableAudio
from sottovoce.transcript.model import RATE, Samples

SEGMENT: Samples = 60 * RATE
"""Most audio that is aligned at once: 60 s."""

FITS = 0.5
"""Least score of `PlacedWord` with which a word counts as spoken."""

_HOLDS = 0.02  # the same for words whose gap has about the length that they need
_CONTEXT = 10  # anchors on either side that are aligned together with a gap
_REACH: Samples = 20 * RATE  # 20 s: least audio searched for words before the first anchor or after the last
_MARGIN: Samples = RATE // 4  # 0.25 s of audio around aligned words
_AROUND: Samples = 5 * RATE  # 5 s of audio before the first word of the text and after the last
_FOREIGN: Samples = RATE * 15 // 100  # 0.15 s: other speech of this length between two anchors separates them
_TRIAL: Samples = 60 * RATE  # 60 s: most audio in which a gap is aligned
_LETTER: Samples = RATE * 7 // 100  # 70 ms per letter of a slow speaker; a word takes two letters more
_QUICK: Samples = RATE * 2 // 100  # 20 ms per letter of the fastest speaker
_EDGE: Samples = RATE * 3 // 100  # 30 ms of audio beside other speech
_GRID: Samples = (
    RATE // 100
)  # 10 ms: segments start on it, so that an aligner's frames match those of the whole recording
_TRIES = 3  # times that a segment that cannot be placed is halved


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Word *number* of the text is at these times; *after*: words recognised between the previous anchor and it.

    *heard*: True if it was recognised, False if forced alignment found it.
    """

    number: int
    start: Samples
    end: Samples
    after: int = 0
    heard: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The numbers of *words* that are aligned together between *start* and *end* of the media."""

    words: tuple[int, ...]
    start: Samples
    end: Samples


class SegmentAligner:
    """Aligns the text of *reading* with *clips* of media of *duration* samples.

    *letters*: the number of letters of each word, from which its length is estimated; 0 for a word without sound. *alive*
    is called with the media time before each alignment.
    """

    def __init__(
        self,
        reading: AlignmentSession,
        clips: SeekableAudio,
        duration: Samples,
        alive: Callable[[Samples], None],
        *,
        letters: Sequence[int],
    ) -> None:
        self._reading = reading
        self._clips = clips
        self._duration = duration
        self._alive = alive
        self._said = [number for number, tokens in enumerate(reading.spoken) if tokens]
        self._letters = letters
        self.guesses: dict[int, PlacedWord] = {}
        """Times, by word number, of words that were aligned in a gap but did not fit."""
        self._seen: set[tuple[int, ...]] = set()  # gaps that were aligned

    # ── gaps: words that were not recognised ──

    def fill_gaps(self, known: Sequence[Anchor]) -> list[Anchor]:
        """Return *known* with the words between that fit there; the same gap is aligned only once."""
        found: list[Anchor] = []
        said = iter(self._said)
        before: list[Anchor] = []
        for at, each in enumerate([*known, None]):
            between = []
            for number in said:
                if each is not None and number >= each.number:
                    break
                between.append(number)
            after = known[at : at + _CONTEXT]
            gap = tuple(between)
            if between and gap not in self._seen:
                self._seen.add(gap)
                found += self._tried(before[-_CONTEXT:], between, after)
            if each is not None:
                found.append(each)
                before = [*before[-_CONTEXT:], each]
        return found

    def _tried(self, before: Sequence[Anchor], between: Sequence[int], after: Sequence[Anchor]) -> Iterator[Anchor]:
        """Yield those of *between* that are spoken between the anchors *before* and *after*.

        If their estimated length is within a factor of 3 of the gap, `_HOLDS` is enough, else `FITS`.
        """
        before, after = _close(before[::-1])[::-1], _close(after)
        gap = (after[0].start if after else self._duration) - (before[-1].end if before else 0)
        need = sum(map(self._leisurely, between))
        if gap < sum(self._letters[number] for number in between) * _QUICK:
            return
        reach = max(3 * need, _REACH)
        start = before[0].start - _MARGIN if before else max(0, after[0].start - reach if after else 0)
        end = min(
            self._duration, after[-1].end + _MARGIN if after else before[-1].end + reach if before else self._duration
        )
        if end - max(start, 0) > _TRIAL:
            return
        self._alive(max(start, 0))
        numbers = [*(each.number for each in before), *between, *(each.number for each in after)]
        placed = dict(zip(numbers, self._reading.align(self._clips.take(start, end), numbers), strict=True))
        neighbours = [each.number for each in (*before[-1:], *after[:1])]
        if any((word := placed[number]) is None or word.score < FITS for number in neighbours):
            return  # the new words displaced an anchor
        fills = bool(before and after) and need <= 3 * gap and gap <= 3 * need
        for number in between:
            if (word := placed[number]) is None:
                continue
            if word.score >= (_HOLDS if fills else FITS):
                yield Anchor(number=number, start=word.start, end=word.end, heard=False)
            else:
                self.guesses[number] = word

    def _leisurely(self, number: int) -> Samples:
        """Return the length of word *number* by a slow speaker."""
        return (self._letters[number] + 2) * _LETTER

    # ── segments ──

    def segments(self, known: Sequence[Anchor], behind: int = 0) -> Iterator[Segment]:
        """Yield *known* in order, cut at words of the text that are not spoken and at speech that is not in the text.

        *behind*: the number of words recognised after the last anchor.
        """
        if not known:
            return
        held = [known[0]]
        begin = max(0, known[0].start - (_EDGE if known[0].after else _AROUND))
        missing = set(self._said).difference(each.number for each in known)
        for one, two in pairwise(known):
            foreign = two.after > 0 and two.start - one.end >= _FOREIGN
            if foreign or any(number in missing for number in range(one.number + 1, two.number)):
                beside = _EDGE if foreign else _half(one, two)
                yield from _cut(held, begin, one.end + beside)
                held, begin = [], two.start - beside
            held.append(two)
        yield from _cut(
            held, begin, min(self._duration, held[-1].end + (_EDGE if behind and held[-1].heard else _AROUND))
        )

    # ── times ──

    def align(self, segment: Segment, known: Mapping[int, Anchor], tries: int = _TRIES) -> dict[int, PlacedWord]:
        """Align every word of *segment*, halving it up to *tries* times; a word that fails keeps its time as an anchor."""
        self._alive(segment.start)
        words = segment.words
        found = self._reading.align(self._clips.take(segment.start, segment.end), words)
        placed = {number: word for number, word in zip(words, found, strict=True) if word is not None}
        if len(placed) == len(words) or not tries or len(words) == 1:
            heard = {n: PlacedWord(start=known[n].start, end=known[n].end, score=FITS) for n in words}
            return heard | placed
        at = max(range(1, len(words)), key=lambda k: known[words[k]].start - known[words[k - 1]].end)
        middle = (known[words[at - 1]].end + known[words[at]].start) // 2
        left = Segment(words=words[:at], start=segment.start, end=middle)
        right = Segment(words=words[at:], start=middle, end=segment.end)
        return self.align(left, known, tries - 1) | self.align(right, known, tries - 1)


def _cut(held: Sequence[Anchor], begin: Samples, end: Samples) -> Iterator[Segment]:
    """Yield *held* in segments of at most `SEGMENT`, each ending in the longest pause of its second half."""
    first = 0
    while end - begin > SEGMENT and first + 1 < len(held):
        at = best = first + 1
        longest: Samples = -1
        while at < len(held) and held[at - 1].end - begin <= SEGMENT:
            pause = held[at].start - held[at - 1].end
            if held[at].start - begin >= SEGMENT // 2 and pause >= longest:
                best, longest = at, pause
            at += 1
        middle = (held[best - 1].end + held[best].start) // 2
        yield _segment(held[first:best], begin, min(middle, held[best - 1].end + _AROUND, begin + SEGMENT))
        first, begin = best, max(middle, held[best].start - _AROUND)
    yield _segment(held[first:], begin, end)


def _segment(held: Sequence[Anchor], begin: Samples, end: Samples) -> Segment:
    """Return the segment of *held*, with its start moved to the grid."""
    begin -= begin % _GRID
    return Segment(words=tuple(each.number for each in held), start=begin, end=max(begin, end))


def _half(one: Anchor, two: Anchor) -> Samples:
    """Return half of the pause between two anchors, at most `_MARGIN`."""
    return max(0, min((two.start - one.end) // 2, _MARGIN))


def _close(known: Sequence[Anchor]) -> Sequence[Anchor]:
    """Return the first of *known* and those that follow it directly in the text and within 5 s, in either direction."""
    for at, (one, two) in enumerate(pairwise(known), start=1):
        if abs(two.number - one.number) > 1 or abs(two.start - one.start) > 5 * RATE:
            return known[:at]
    return known


# ── interpolation ──


def interpolate(
    placed: Mapping[int, PlacedWord],
    weights: Sequence[int],
    duration: Samples,
    guesses: Mapping[int, PlacedWord] = MappingProxyType({}),
) -> list[tuple[Samples, Samples, bool]]:
    """Return (start, end, guessed) for every word; words that were not *placed* divide the free time by *weights* (letters).

    If there are *guesses* for all of them and these lie in the free time, the guesses are used. A word of weight 0 is not
    spoken: it takes no time after the word before it, and is not guessed. Before the first placed word, after the last one,
    and where the free time is over 3 times what a slow speaker needs, words take a slow speaker's time beside a placed word.
    """
    times: list[tuple[Samples, Samples, bool]] = []
    at: Samples = 0
    number = 0
    while number < len(weights):
        if (word := placed.get(number)) is not None:
            start = min(max(word.start, at), duration)
            at = min(max(word.end, start), duration)
            times.append((start, at, False))
            number += 1
            continue
        following = number
        while following < len(weights) and following not in placed:
            following += 1
        end = max(at, min(placed[following].start, duration)) if following < len(weights) else duration
        times += _between(range(number, following), weights, at, end, guesses, last=following == len(weights))
        at = times[-1][1]
        number = following
    return times


def _between(
    numbers: range,
    weights: Sequence[int],
    start: Samples,
    end: Samples,
    guesses: Mapping[int, PlacedWord],
    *,
    last: bool,
) -> Iterator[tuple[Samples, Samples, bool]]:
    """Yield times of *numbers*, none of which was placed, between *start* and *end*; *last*: no word follows them."""
    held = [guesses[number] for number in numbers if number in guesses]
    if len(held) == sum(weights[number] > 0 for number in numbers) and _inside(held, start, end):
        for number in numbers:
            guess = guesses.get(number)
            begin = min(max(guess.start, start), end) if guess else start
            start = min(max(guess.end, begin), end) if guess else start
            yield begin, start, guess is not None
        return
    need = _leisurely(numbers, weights)
    if last:
        yield from _spread(numbers, weights, start, min(end, start + need))
    elif numbers[0] == 0:
        yield from _spread(numbers, weights, max(start, end - need), end)
    elif end - start > 3 * need:  # other speech fills the gap: keep the words at its edges
        half = len(numbers) - len(numbers) // 2
        yield from _spread(numbers[:half], weights, start, start + _leisurely(numbers[:half], weights))
        yield from _spread(numbers[half:], weights, end - _leisurely(numbers[half:], weights), end)
    else:
        yield from _spread(numbers, weights, start, end)


def _leisurely(numbers: Sequence[int], weights: Sequence[int]) -> Samples:
    """Return the time that a slow speaker needs for *numbers*."""
    return sum((weights[number] + 2) * _LETTER for number in numbers if weights[number])


def _spread(
    numbers: Sequence[int], weights: Sequence[int], start: Samples, end: Samples
) -> Iterator[tuple[Samples, Samples, bool]]:
    """Yield the time from *start* to *end* divided among *numbers* by weight."""
    whole, done = sum(weights[number] for number in numbers), 0
    for number in numbers:
        begin = start + (end - start) * done // whole if whole else start
        done += weights[number]
        yield begin, start + (end - start) * done // whole if whole else start, weights[number] > 0


def _inside(words: Sequence[PlacedWord], start: Samples, end: Samples) -> bool:
    """True if *words* follow one another between *start* and *end*, with a tolerance of `_EDGE`."""
    ends = [start, *(word.end for word in words)]
    follow = all(before - _EDGE <= word.start for before, word in zip(ends, words, strict=False))
    return follow and ends[-1] <= end + _EDGE

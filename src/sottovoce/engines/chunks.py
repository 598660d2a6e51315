"""Stretches of speech packed into chunks of the length that a model hears at once, and its words put back where they were.

A model with a window of fixed length (Whisper: half a minute) works as long for a short stretch as for a full window. So
neighbouring stretches share a chunk, with a little silence in place of a long pause. A chunk ends at the longest pause of
its last third: there it costs least, and whoever begins to pack somewhere else soon comes to the same ends. Where speech
went on without a pause, the chunks on both sides of the cut get some of each other's audio, and `seams` joins the words.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span, Speech
from sottovoce.engines import seams
from sottovoce.engines.heard import Heard
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

OVERLAP: Samples = RATE
"""What a chunk hears of its neighbour where speech was cut."""

PAUSE: Samples = RATE // 2
"""The longest silence put between two stretches, besides what they bring of their own."""

SHORTEST_WORD: Samples = RATE // 50
"""A word lasts at least one step of the model's time, as far as there is room."""

_FILLED = 2 / 3  # of a chunk, before a pause may end it


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The media from *start* on, *length* samples of it without a gap, at *at* of the chunk."""

    at: Samples
    start: Samples
    length: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What a model hears at once: *audio* float32[n], made of *parts*.

    *spans* are the stretches that end in it. Where speech was cut: *begins* and *ends* are the places in the media from
    which and to which it is its own, and what *parts* have beyond them belongs to a neighbour; `None` at a pause.
    """

    audio: "Floats"
    parts: tuple[Part, ...]
    spans: tuple[Span, ...]
    begins: Samples | None = None
    ends: Samples | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A stretch, or a part of one that is longer than a chunk; *span* is the stretch if it ends here."""

    start: Samples
    audio: "Floats"
    span: Span | None

    @property
    def end(self) -> Samples:
        return self.start + len(self.audio)


def pack(speech: Iterable[Speech], longest: Samples) -> Iterator[Chunk]:
    """Chunks of at most *longest* samples (four times `OVERLAP` or more) out of stretches in order that do not overlap.

    Holds one chunk and what does not fit into it. Errors: ValueError for a shorter *longest*.
    """
    room = longest - 2 * OVERLAP
    if room < 2 * OVERLAP:
        raise ValueError(f"chunks of {longest} samples leave no room for their overlap")
    before: list[_Piece] = []
    held: list[_Piece] = []
    for stretch in speech:
        for piece in _pieces(stretch, room):
            held.append(piece)
            while _length(held) > room:
                count = _boundary(held, room)
                yield _chunk(before, held[:count], held[count:])
                before, held = _tail(held[:count]), held[count:]
    if held:
        yield _chunk(before, held, [])


def weave(decoded: Iterable[tuple[Chunk, Sequence[Heard]]]) -> Iterator[tuple[Span, tuple[Heard, ...]]]:
    """Every stretch with its words, in order; the words of a chunk come with times inside it, and leave with media times.

    A stretch whose end was cut waits for the next chunk. Words lie inside their stretch, in order.
    """
    words: list[Heard] = []
    waiting: deque[Span] = deque()
    reach = 0  # how far beyond its end the last chunk heard
    for chunk, heard in decoded:
        placed = [_placed(word, chunk.parts) for word in heard]
        if chunk.begins is None:
            words += placed
        else:
            words = seams.merge(words, placed, chunk.begins, before=chunk.begins - chunk.parts[0].start, after=reach)
        waiting.extend(chunk.spans)
        while waiting and waiting[0].end != chunk.ends:
            span = waiting.popleft()
            count = next((n for n, word in enumerate(words) if word.middle > span.end), len(words))
            if not waiting and chunk.ends is None:
                count = len(words)
            yield span, tuple(_fitted(words[:count], span))
            words = words[count:]
        reach = chunk.parts[-1].start + chunk.parts[-1].length - chunk.ends if chunk.ends is not None else 0


def _pieces(stretch: Speech, room: Samples) -> Iterator[_Piece]:
    """*stretch*, in equal parts if it is longer than *room*."""
    total = len(stretch.audio)
    count = max(-(-total // room), 1)
    edges = [total * n // count for n in range(count + 1)]
    for first, last in pairwise(edges):
        span = Span(start=stretch.start, end=stretch.end) if last == total else None
        yield _Piece(start=stretch.start + first, audio=stretch.audio[first:last], span=span)


def _gap(one: _Piece, other: _Piece) -> Samples:
    """The silence between two pieces of a chunk."""
    return min(max(other.start - one.end, 0), PAUSE)


def _length(pieces: Sequence[_Piece]) -> Samples:
    return sum(len(piece.audio) for piece in pieces) + sum(_gap(one, other) for one, other in pairwise(pieces))


def _boundary(pieces: Sequence[_Piece], room: Samples) -> int:
    """How many of *pieces*, which do not all fit into *room*, go into one chunk."""
    fitting = max(count for count in range(1, len(pieces)) if _length(pieces[:count]) <= room)
    full = [count for count in range(1, fitting + 1) if _length(pieces[:count]) >= room * _FILLED]
    return max(full or [fitting], key=lambda count: (pieces[count].start - pieces[count - 1].end, count))


def _tail(pieces: Sequence[_Piece]) -> list[_Piece]:
    """The last `OVERLAP` samples of *pieces*, as far back as speech goes without a gap; copied, so that nothing is kept."""
    found: list[_Piece] = []
    missing = OVERLAP
    for piece in reversed(pieces):
        if missing <= 0 or (found and piece.end != found[0].start):
            break
        audio = piece.audio[-missing:].copy()
        found.insert(0, replace(piece, start=piece.end - len(audio), audio=audio))
        missing -= len(audio)
    return found


def _head(pieces: Sequence[_Piece]) -> list[_Piece]:
    """The first `OVERLAP` samples of *pieces*, as far as speech goes without a gap."""
    found: list[_Piece] = []
    missing = OVERLAP
    for piece in pieces:
        if missing <= 0 or (found and piece.start != found[-1].end):
            break
        found.append(replace(piece, audio=piece.audio[:missing]))
        missing -= len(found[-1].audio)
    return found


def _chunk(before: Sequence[_Piece], pieces: Sequence[_Piece], after: Sequence[_Piece]) -> Chunk:
    """The chunk of *pieces*, with the edges of its neighbours where speech goes on across them."""
    begins = pieces[0].start if before and before[-1].end == pieces[0].start else None
    ends = pieces[-1].end if after and after[0].start == pieces[-1].end else None
    line = [*(before if begins is not None else ()), *pieces, *(_head(after) if ends is not None else ())]
    audio, parts = _joined(line)
    spans = tuple(piece.span for piece in pieces if piece.span)
    return Chunk(audio=audio, parts=parts, spans=spans, begins=begins, ends=ends)


def _joined(line: Sequence[_Piece]) -> "tuple[Floats, tuple[Part, ...]]":
    """The audio of *line* with its silences, and where it came from."""
    import numpy as np

    audio: list[Floats] = []
    parts: list[Part] = []
    at = 0
    for number, piece in enumerate(line):
        gap = _gap(line[number - 1], piece) if number else 0
        audio += [np.zeros(gap, np.float32), piece.audio]
        at += gap
        if parts and piece.start == line[number - 1].end:
            parts[-1] = replace(parts[-1], length=parts[-1].length + len(piece.audio))
        else:
            parts.append(Part(at=at, start=piece.start, length=len(piece.audio)))
        at += len(piece.audio)
    return np.concatenate(audio), tuple(parts)


def _placed(word: Heard, parts: Sequence[Part]) -> Heard:
    """*word*, whose times are those of the chunk, in the media: in the part nearest to its middle, and not beyond it."""
    limits = [(one.at + one.length + other.at) // 2 for one, other in pairwise(parts)]
    part = parts[bisect_right(limits, word.middle)]
    start, end = (min(max(at - part.at, 0), part.length) + part.start for at in (word.start, word.end))
    return replace(word, start=start, end=max(start, end))


def _fitted(words: Iterable[Heard], span: Span) -> Iterator[Heard]:
    """*words* inside *span*, none before the end of the one before, none shorter than can be helped."""
    floor = span.start
    for word in words:
        start = min(max(word.start, floor), span.end)
        floor = min(max(word.end, start + SHORTEST_WORD), span.end)
        yield replace(word, start=start, end=floor)

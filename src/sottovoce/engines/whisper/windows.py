"""Windows of audio for Whisper: each holds a stretch of speech, or a part of one, with real audio on both sides.

A stretch includes the audio around its speech (`ACTIVITY`), so a window is one piece of the media without gaps: if zeros
are inserted between pieces of speech, the model loses words, capitals and marks (research `whisper-real.md`). Where speech
is longer than a window, the windows on both sides of the cut share some audio, and `engines.common.overlap_merge` merges
their words.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sottovoce.audio.activity import ActivityPolicy, Span, Speech
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SHARED: Samples = RATE
"""Audio (1 s) that a window takes from its neighbour where speech was cut."""

CONTEXT: Samples = 2 * RATE // 5
"""Real audio (0.4 s) on both sides of speech, or less if other speech is nearer."""

LONGEST: Samples = 27 * RATE
"""Longest window (27 s) without shared audio: with 1 s shared on each side and 1 s of zeros, it fills the model's 30 s."""

ACTIVITY = ActivityPolicy(min_silence=2 * RATE, pad=CONTEXT, max_speech=LONGEST, inner_pause=RATE // 8)
"""Policy for cutting speech: pauses under 2 s stay inside a stretch, which has 0.4 s of real audio on both sides.

Measured with Whisper base and tiny.en (docs/accuracy.md): windows of 28 s lose fewer words than windows of 15 or 20 s, and
pauses of 2 s inside a window fewer than pauses of 1.2 or 3 s.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """*audio* float32[n] at 16 kHz; its first sample is at *start* of the media. *own*: the part without shared audio.

    *voiced*: runs of speech, in samples from *start*. *stretch*: the stretch of speech that the window was cut from; a long
    stretch has several windows. *ends*: this is its last window. *joins*: *own* begins where that of the window before ends.
    """

    start: Samples
    audio: "Floats"
    own: Span
    voiced: tuple[Span, ...]
    stretch: Span
    ends: bool = True
    joins: bool = False

    @property
    def length(self) -> Samples:
        """Samples of audio."""
        return len(self.audio)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A stretch, or a part of one that is too long for a window."""

    speech: Speech
    stretch: Span
    ends: bool


def windows(speech: Iterable[Speech]) -> Iterator[Window]:
    """One window per stretch, or several if it is longer than `LONGEST`; stretches come in order, without overlap.

    Keeps at most three pieces in memory.
    """
    before: Speech | None = None
    held: _Piece | None = None
    for piece in _pieces(speech):
        if held is not None:
            yield _window(before, held, piece.speech)
            before = held.speech
        held = piece
    if held is not None:
        yield _window(before, held, None)


def _pieces(speech: Iterable[Speech]) -> Iterator[_Piece]:
    for stretch in speech:
        whole = Span(start=stretch.start, end=stretch.end)
        count = max(-(-len(stretch.audio) // LONGEST), 1)
        edges = [len(stretch.audio) * number // count for number in range(count + 1)]
        for first, last in pairwise(edges):
            part = Speech(
                start=stretch.start + first, audio=stretch.audio[first:last], voiced=_voiced(stretch, first, last)
            )
            yield _Piece(speech=part, stretch=whole, ends=last == len(stretch.audio))


def _voiced(stretch: Speech, first: Samples, last: Samples) -> tuple[Span, ...]:
    """The runs of speech in samples *first* to *last* of *stretch*, in media time; all of it if its runs are unknown."""
    runs = stretch.voiced or (Span(start=stretch.start, end=stretch.end),)
    low, high = stretch.start + first, stretch.start + last
    return tuple(
        Span(start=max(run.start, low), end=min(run.end, high)) for run in runs if run.start < high and run.end > low
    )


def _window(before: Speech | None, piece: _Piece, after: Speech | None) -> Window:
    """The window of *piece*, with audio shared by neighbours that follow without a gap."""
    import numpy as np

    speech = piece.speech
    head = _shared(before, speech, side=-1)
    tail = _shared(speech, after, side=1)
    start, end = speech.start - len(head), speech.end + len(tail)
    around = [each for each in (before, speech, after) if each is not None]
    runs = [run for each in around for run in each.voiced]
    return Window(
        start=start,
        audio=np.concatenate([head, speech.audio, tail]),
        own=Span(start=speech.start, end=speech.end),
        voiced=_joined(runs, start, end),
        stretch=piece.stretch,
        ends=piece.ends,
        joins=before is not None and before.end == speech.start,
    )


def _shared(one: Speech | None, other: Speech | None, *, side: int) -> "Floats":
    """Audio that the window of *other* (*side* -1) or of *one* (*side* 1) takes from its neighbour.

    In a pause, up to `CONTEXT` samples of it; where speech was cut, `SHARED` samples; none if there is a gap between them.
    """
    import numpy as np

    if one is None or other is None or one.end != other.start:
        return np.zeros(0, np.float32)
    ends = one.voiced[-1].end if one.voiced else one.start
    begins = other.voiced[0].start if other.voiced else other.end
    in_pause = ends < one.end or begins > other.start
    if side < 0:
        length = min(CONTEXT, one.end - ends) if in_pause else SHARED
        return one.audio[len(one.audio) - min(length, len(one.audio)) :]
    return other.audio[: min(CONTEXT, begins - other.start) if in_pause else SHARED]


def _joined(runs: Iterable[Span], start: Samples, end: Samples) -> tuple[Span, ...]:
    """*runs* in samples from *start*, limited to *start* … *end*; runs that touch are joined."""
    found: list[Span] = []
    for run in runs:
        low, high = max(run.start, start) - start, min(run.end, end) - start
        if high <= low:
            continue
        if found and low <= found[-1].end:
            found[-1] = Span(start=found[-1].start, end=max(high, found[-1].end))
        else:
            found.append(Span(start=low, end=high))
    return tuple(found)

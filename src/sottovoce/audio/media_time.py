"""Media time: where the decoded audio lies on the time line of its file, by the time stamps of the frames.

Samples are counted; stamps correct the count where audio is missing. A jump of the stamps is a gap only if the frames after
it confirm it, because a single wrong stamp must not insert silence. Stamps that go back, and gaps that cannot be true, are
not followed: from there on the samples are counted again.
In order: limits; `Frame` and `Silence`; `Timing`, what was found; `placed`, which puts silence between frames.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from sottovoce.transcript.model import RATE, Samples

T = TypeVar("T")

JUMP: Samples = RATE // 10
"""Difference of stamp and count (0.1 s) from which a gap is filled; libswresample's `min_hard_comp` for `async=1`.

Stamps of many containers are rounded to milliseconds, and those of recorders vary by a frame, so less is not a gap.
"""

BACK: Samples = RATE
"""Stamps that go back by this much (1 s) begin a new count; less is an overlap, which a later gap makes up for."""

LONG: Samples = 60 * RATE
"""A gap of this length (60 s) and more must end before the end of the media that the header declares, if it declares one."""

MOST: Samples = 1_800 * RATE
"""Silence (30 min) that fills the gaps of one file at most, so that wrong stamps cannot make hours of it."""

AHEAD = 4
"""Frames after a jump of the stamps that must confirm it."""

_START: Samples = RATE // 1000  # 1 ms: the least silence before the first frame
_CLOSE: Samples = RATE // 200  # 5 ms: stamps that differ by less are rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Generic[T]):
    """Decoded audio: *length* samples at *rate* Hz. *stamp*: its start on the time line, None if unknown."""

    stamp: Samples | None
    rate: int
    length: int
    audio: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Silence until *until* on the time line, where the next frame begins."""

    until: Samples


@dataclass(slots=True, kw_only=True)
class Timing:
    """What the stamps of one pass showed, in samples.

    *late*: silence before the first frame. *gaps* and *filled*: number and length of the gaps after it. *ignored*: jumps
    of the stamps that were not followed.
    """

    late: Samples = 0
    gaps: int = 0
    filled: Samples = 0
    ignored: int = 0


def placed(frames: Iterable[Frame[T]], timing: Timing, *, end: Samples | None = None) -> Iterator[Frame[T] | Silence]:
    """Yield *frames*, and `Silence` where their stamps leave a gap. *end*: the declared end of the media, if any.

    Holds `AHEAD` frames.
    """
    clock = _Clock(timing, end)
    held: deque[Frame[T]] = deque()
    for frame in frames:
        held.append(frame)
        if len(held) > AHEAD:
            yield from clock.pass_on(held)
    while held:
        yield from clock.pass_on(held)


class _Clock:
    """Counts samples at 16 kHz, exactly: *base* and the frames of one rate since then."""

    def __init__(self, timing: Timing, end: Samples | None) -> None:
        self._timing = timing
        self._end = end
        self._base: Samples = 0
        self._rate = RATE
        self._counted = 0  # samples at _rate since _base
        self._shift: Samples = 0  # subtracted from stamps
        self._begun = False

    @property
    def now(self) -> Samples:
        """The end of the audio so far."""
        return self._base + self._counted * RATE // self._rate

    def pass_on(self, held: "deque[Frame[T]]") -> Iterator[Frame[T] | Silence]:
        """Take the first frame of *held*, and yield it with the silence before it."""
        if missing := self._missing(held):
            self._base, self._counted = self.now + missing, 0
            yield Silence(until=self._base)
        frame = held.popleft()
        if frame.rate != self._rate:
            self._base, self._counted, self._rate = self.now, 0, frame.rate
        self._counted += frame.length
        self._begun = True
        yield frame

    def _missing(self, held: "deque[Frame[T]]") -> Samples:
        """Return the silence to insert before the first frame of *held*, and note it."""
        stamp = held[0].stamp
        if stamp is None:
            return 0
        ahead = stamp - self._shift - self.now
        if ahead < -BACK:
            self._follow(min(max(self._differences(held)), 0))
            return 0
        if ahead < (JUMP if self._begun else _START):
            return 0
        differences = self._differences(held)
        least = min(differences)
        gap = ahead if least >= ahead - _CLOSE else least
        if gap < (JUMP if self._begun else _START) or max(differences) - least > JUMP:
            return 0
        if not self._possible(gap, alone=len(held) == 1):
            self._follow(gap)
            return 0
        self._note(gap)
        return gap

    def _differences(self, held: "deque[Frame[T]]") -> list[Samples]:
        """Return stamp minus count of the frames of *held*, as if nothing was inserted between them."""
        found: list[Samples] = []
        at = self.now + self._shift
        for frame in islice(held, AHEAD + 1):
            if frame.stamp is not None:
                found.append(frame.stamp - at)
            at += frame.length * RATE // frame.rate
        return found

    def _follow(self, difference: Samples) -> None:
        """Do not follow a jump by *difference*: later stamps count from here."""
        if abs(difference) >= JUMP:
            self._shift += difference
            self._timing.ignored += 1

    def _possible(self, gap: Samples, *, alone: bool) -> bool:
        """True if *gap* can be missing audio. *alone*: no other frame confirms it."""
        timing = self._timing
        if timing.late + timing.filled + gap > MOST:
            return False
        if gap < LONG:
            return True
        return self.now + gap <= self._end + RATE if self._end is not None else not (alone and self._begun)

    def _note(self, gap: Samples) -> None:
        if self._begun:
            self._timing.gaps += 1
            self._timing.filled += gap
        else:
            self._timing.late = gap

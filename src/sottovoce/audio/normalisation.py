"""Level normalisation of quiet audio, for the speech detector and for recognisers. Audio of a usual level is not changed.

The detector hears a stream, so its gain follows the audio (`RunningGain`); a recogniser hears one stretch of speech, which
has one gain (`raised`).
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Speech

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEVEL = -20.0
"""dBFS to which the loud frames of quiet audio are raised for the detector.

Silero misses half of the speech whose loud frames are at -60 dBFS, and all of it at -75 dBFS; with this level, none.
"""

VOICED = -23.0
"""dBFS to which quiet speech is raised for a recogniser."""

MOST = 40.0
"""Largest gain in dB."""

SPREAD = 12.0
"""Difference in dB of the loud frames and the floor from which a stream may be speech; that of steady noise is under 6."""

WINDOW = 940
"""Frames (30 s) whose levels are kept."""

_EVERY = 8  # frames between two estimates (0.26 s); also the frames of the short-term level
_SILENT = -100.0  # dBFS; a frame under it is digital silence, which changes nothing
_FIRST = 32  # frames (1 s) after which the spread is known; those before it may be the first word
_LOUD, _FLOOR = 95, 10  # percentiles
_QUIET = -38.0  # dBFS of a stretch of speech under which it is raised for the recogniser
_PEAK = 0.9  # largest magnitude of raised speech


class RunningGain:
    """The gain of each frame of one stream, from the levels of that frame and of those before it.

    Steady noise has no gain after its first second, whatever its level, because it has no spread. A louder frame lowers
    the gain at once.
    """

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=WINDOW)
        self._recent: deque[float] = deque(maxlen=_EVERY)
        self._frames = 0
        self._loud = self._floor = 0.0

    def gains(self, frames: "Floats") -> "Floats":
        """Return the factors float32[k] of *frames* (float32[k, n])."""
        import numpy as np

        powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
        return np.array([self._gain(power) for power in powers.tolist()], np.float32)

    def _gain(self, power: float) -> float:
        level = 10 * math.log10(power + 1e-12)
        if level < _SILENT:
            return 1.0
        self._levels.append(level)
        self._recent.append(power)
        if self._frames % _EVERY == 0:
            self._loud, self._floor = self._percentiles()
        self._frames += 1
        loud = max(self._loud, 10 * math.log10(sum(self._recent) / len(self._recent)))
        if loud - self._floor < SPREAD and self._frames > _FIRST:
            return 1.0
        return float(10 ** (min(max(LEVEL - max(loud, level - 6), 0.0), MOST) / 20))

    def _percentiles(self) -> tuple[float, float]:
        import numpy as np

        loud, floor = np.percentile(np.fromiter(self._levels, np.float64), (_LOUD, _FLOOR)).tolist()
        return loud, floor


def raised(speech: Iterable[Speech]) -> Iterator[Speech]:
    """Yield *speech*, with quiet stretches raised to `VOICED`; the level is that of the voiced runs."""
    for stretch in speech:
        factor = _factor(stretch)
        yield replace(stretch, audio=stretch.audio * factor) if factor > 1 else stretch


def _factor(stretch: Speech) -> float:
    import numpy as np

    base = stretch.start
    runs = [stretch.audio[run.start - base : run.end - base] for run in stretch.voiced] or [stretch.audio]
    count = sum(map(len, runs))
    power = sum(float(np.vdot(run, run)) for run in runs) / max(count, 1)
    level = 10 * math.log10(power + 1e-12)
    if not _SILENT < level < _QUIET:
        return 1.0
    peak = float(np.abs(stretch.audio).max(initial=0.0))
    return min(float(10 ** (min(VOICED - level, MOST) / 20)), _PEAK / peak)

"""How high a voice is: the median fundamental frequency of speech, by autocorrelation. For naming voices, not for music."""

from functools import lru_cache
from typing import TYPE_CHECKING

from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LOWEST, HIGHEST = 60.0, 400.0
"""Hz: of men's low voices and children's high ones."""

SPAN: Samples = RATE // 25
"""Of a frame: 40 ms, more than two periods of the lowest."""

_HOP: Samples = RATE // 50
_SHORTEST, _LONGEST = int(RATE / HIGHEST), int(RATE / LOWEST) + 1  # periods in samples
_TRANSFORM = 1_024  # holds a frame and the longest period
_VOICED = 0.5  # how alike two neighbouring periods of a voiced sound are at least
_FIRST = 0.9  # of the best likeness: two or three periods are alike as well, and are no octave lower
_FAINT = 1e-8  # mean square of what is no sound
_FEWEST = 5  # voiced frames from which on a median says something
_AT_ONCE = 1_000  # frames a transform: 20 s, 16 MB


def median_pitch(audio: "Floats") -> float | None:
    """The median pitch of float32[n] at 16 kHz in Hz; None for less than 0.1 s of voiced sound."""
    import numpy as np

    heard = _frequencies(audio)
    return float(np.median(heard)) if len(heard) >= _FEWEST else None


def _frequencies(audio: "Floats") -> "Floats":
    """Hz of each voiced frame of *audio*, float32[k]."""
    import numpy as np

    if len(audio) < SPAN:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio, SPAN)[::_HOP]
    found: Floats = np.concatenate([frequencies(frames[at : at + _AT_ONCE]) for at in range(0, len(frames), _AT_ONCE)])
    voiced: Floats = found[np.isfinite(found)]
    return voiced


def frequencies(frames: "Floats") -> "Floats":
    """Hz of each of float32[n, `SPAN`], float32[n]; NaN for one without a voice."""
    import numpy as np

    heard = np.mean(np.square(frames), axis=1) > _FAINT
    frames = frames - frames.mean(axis=1, keepdims=True)
    alike = _alikeness(frames * _taper()[0])
    inner = alike[:, 1:-1]
    best = inner.max(axis=1, keepdims=True, initial=0.0)
    peaks = (inner >= alike[:, :-2]) & (inner >= alike[:, 2:]) & (inner >= _FIRST * best)
    voiced = heard & (best[:, 0] >= _VOICED) & peaks.any(axis=1)
    rows, at = np.flatnonzero(voiced), peaks[voiced].argmax(axis=1)
    left, peak, right = (alike[rows, at + step] for step in range(3))
    bend = left - 2 * peak + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    found = np.full(len(frames), np.nan, np.float32)
    found[rows] = RATE / (_SHORTEST + at + shift)
    return found


def _alikeness(tapered: "Floats") -> "Floats":
    """Autocorrelation at each period (and one more on either side), 1 = the frame itself, the taper's own taken out."""
    import numpy as np

    spectrum = np.fft.rfft(tapered, _TRANSFORM, axis=1)
    raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)
    own = raw[:, _SHORTEST - 1 : _LONGEST + 2] / np.maximum(raw[:, :1], 1e-12)
    found: Floats = (own / _taper()[1]).astype(np.float32)
    return found


@lru_cache(maxsize=1)
def _taper() -> "tuple[Floats, Floats]":
    """Hann's window, and its own autocorrelation at the periods."""
    import numpy as np

    window = np.hanning(SPAN).astype(np.float32)
    raw = np.fft.irfft(np.abs(np.fft.rfft(window, _TRANSFORM)) ** 2)
    return window, (raw[_SHORTEST - 1 : _LONGEST + 2] / raw[0]).astype(np.float32)

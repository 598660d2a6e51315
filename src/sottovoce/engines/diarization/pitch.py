"""The median fundamental frequency of speech, by autocorrelation; accurate enough to describe voices, not for music."""

from functools import lru_cache
from typing import TYPE_CHECKING

from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LOWEST, HIGHEST = 60.0, 400.0
"""Hz: the search range, from low male voices to high children's voices."""

SPAN: Samples = RATE // 25
"""Length of a frame: 40 ms, more than two periods of `LOWEST`."""

_HOP: Samples = RATE // 50  # 20 ms from one frame to the next
_SHORTEST, _LONGEST = int(RATE / HIGHEST), int(RATE / LOWEST) + 1  # lags in samples: the shortest and longest period
_TRANSFORM = 1_024  # FFT length in samples: a frame plus the longest period
_VOICED = 0.5  # least normalised autocorrelation of a voiced frame
_FIRST = 0.9  # share of the highest peak that an earlier peak needs: multiples of the period peak almost as high
_FAINT = 1e-8  # mean square (full scale 1) up to which a frame counts as silence
_FEWEST = 5  # voiced frames that a median needs: 0.1 s
_AT_ONCE = 1_000  # frames per FFT call: 20 s of audio, 16 MB


def median_pitch(audio: "Floats") -> float | None:
    """Return the median pitch in Hz of *audio*, float32[n] at 16 kHz; None for less than 0.1 s of voiced sound."""
    import numpy as np

    heard = _frequencies(audio)
    return float(np.median(heard)) if len(heard) >= _FEWEST else None


def _frequencies(audio: "Floats") -> "Floats":
    """Return the pitch in Hz of each voiced frame of *audio*, float32[k]."""
    import numpy as np

    if len(audio) < SPAN:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio, SPAN)[::_HOP]
    found: Floats = np.concatenate([frequencies(frames[at : at + _AT_ONCE]) for at in range(0, len(frames), _AT_ONCE)])
    voiced: Floats = found[np.isfinite(found)]
    return voiced


def frequencies(frames: "Floats") -> "Floats":
    """Return the pitch in Hz of each frame, float32[n], of float32[n, `SPAN`]; NaN for an unvoiced frame.

    The period is the first autocorrelation peak near the highest one, refined by parabolic interpolation.
    """
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
    """Return the autocorrelation at each period and one lag beyond either end, divided by the window's own.

    It is normalised: 1 is the value at lag 0.
    """
    import numpy as np

    spectrum = np.fft.rfft(tapered, _TRANSFORM, axis=1)
    raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)
    own = raw[:, _SHORTEST - 1 : _LONGEST + 2] / np.maximum(raw[:, :1], 1e-12)
    found: Floats = (own / _taper()[1]).astype(np.float32)
    return found


@lru_cache(maxsize=1)
def _taper() -> "tuple[Floats, Floats]":
    """Return the Hann window, float32[`SPAN`], and its normalised autocorrelation at the same lags."""
    import numpy as np

    window = np.hanning(SPAN).astype(np.float32)
    raw = np.fft.irfft(np.abs(np.fft.rfft(window, _TRANSFORM)) ** 2)
    return window, (raw[_SHORTEST - 1 : _LONGEST + 2] / raw[0]).astype(np.float32)

"""The mel power spectra that the voice encoder was trained on: 40 bands, 25 ms windows, one every 10 ms, not logarithmic.

The values equal those of librosa 0.11 within 1e-6 (`feature.melspectrogram` with its defaults: Slaney's scale and norm,
power 2, windows centred on their frame, zeros beyond the ends).
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BANDS = 40
HOP: Samples = RATE // 100
"""10 ms."""
WINDOW: Samples = RATE // 40
"""25 ms."""

_AT_ONCE = 3_000  # frames per FFT call: 30 s of audio, 10 MB

# Slaney's scale: linear up to 1 kHz at 66.7 Hz per mel, above it 27 mels for each factor of 6.4
_LINEAR = 200.0 / 3.0  # Hz per mel
_KNEE = 1_000.0  # Hz
_STEP = 0.068751777420949  # log(6.4) / 27


def mel_spectrum(audio: "Floats") -> "Floats":
    """Return the power in each band, float32[1 + n // 160, 40], of float32[n] in -1..1; frame k is centred on sample 160 * k."""
    import numpy as np

    padded = np.pad(audio, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    taper, bank = _taper(), mel_bank()
    found = np.empty((len(frames), BANDS), np.float32)
    for at in range(0, len(frames), _AT_ONCE):
        spectrum = np.fft.rfft(frames[at : at + _AT_ONCE] * taper, axis=1)
        found[at : at + _AT_ONCE] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ bank.T
    return found


@lru_cache(maxsize=1)
def _taper() -> "Floats":
    """Return the periodic Hann window, float32[400]."""
    import numpy as np

    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@lru_cache(maxsize=1)
def mel_bank() -> "Floats":
    """Return the weights of 201 frequencies in each band, float32[40, 201]: triangles of equal area between band centres."""
    import numpy as np

    frequencies = np.arange(WINDOW // 2 + 1) * (RATE / WINDOW)
    corners = _hertz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    rise = (frequencies - corners[:-2, None]) / np.diff(corners)[:-1, None]
    fall = (corners[2:, None] - frequencies) / np.diff(corners)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    bank: Floats = (triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)
    bank.setflags(write=False)
    return bank


def _mel(hertz: float) -> float:
    import math

    return hertz / _LINEAR if hertz < _KNEE else _KNEE / _LINEAR + math.log(hertz / _KNEE) / _STEP


def _hertz(mels: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    knee = _KNEE / _LINEAR
    return np.where(mels < knee, mels * _LINEAR, _KNEE * np.exp(_STEP * (np.maximum(mels, knee) - knee)))

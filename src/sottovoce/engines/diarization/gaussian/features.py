"""Features that distinguish voices: mel cepstra every 10 ms, and the pitch. Computed with numpy alone."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.pitch import SPAN, frequencies
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

COEFFICIENTS = 15
"""Cepstral coefficients of a frame, from number 1 on: number 0 is loudness, which depends on the microphone's distance."""

FRAME: Samples = RATE // 100
"""Hop: 10 ms from one frame to the next; a frame is `_SPAN` long."""

_SPAN: Samples = RATE // 40  # 25 ms
_FFT = 512  # length in samples
_BANDS = 30
_LOW, _HIGH = 80.0, 7_600.0  # Hz
_FLOOR = 1e-10  # power added to every band; so low that recordings 30 dB quieter give the same cepstra
_AT_ONCE = 500  # frames per batch: 5 s of audio, about 20 MB of intermediate arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """*cepstra* float32[n, `COEFFICIENTS`]; *pitch* float32[n]: natural logarithm of Hz, NaN for an unvoiced frame."""

    cepstra: "Floats"
    pitch: "Floats"


def frames(audio: "Floats") -> Frames:
    """Return the n >= 1 frames of *audio*, float32[m] at 16 kHz. NaN and infinity count as 0; the rest is clipped to -1..1."""
    import numpy as np

    sound = np.clip(np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)
    sound = np.pad(sound, (0, max(0, _SPAN - len(sound))))
    n = 1 + (len(sound) - _SPAN) // FRAME
    emphasised = np.concatenate([sound[:1], sound[1:] - np.float32(0.97) * sound[:-1]])
    whole = np.pad(sound, (0, SPAN))
    spans = [(at, min(at + _AT_ONCE, n)) for at in range(0, n, _AT_ONCE)]
    return Frames(
        cepstra=np.concatenate([_cepstra(_cut(emphasised, _SPAN, *span)) for span in spans]),
        pitch=np.log(np.concatenate([frequencies(_cut(whole, SPAN, *span)) for span in spans])),
    )


def _cut(sound: "Floats", span: Samples, first: int, last: int) -> "Floats":
    """Return frames *first* … *last* (exclusive) of *sound*, float32[k, span]."""
    import numpy as np

    part = sound[first * FRAME : (last - 1) * FRAME + span]
    return np.lib.stride_tricks.sliding_window_view(part, span)[::FRAME]


def _cepstra(cut: "Floats") -> "Floats":
    import numpy as np

    window, bands, cosines = _tables()
    power = np.abs(np.fft.rfft(cut * window, _FFT)) ** 2
    logs = np.log(power.astype(np.float32) @ bands + np.float32(_FLOOR))
    found: Floats = (logs @ cosines).astype(np.float32)
    return found


@lru_cache(maxsize=1)
def _tables() -> "tuple[Floats, Floats, Floats]":
    """Return the Hamming window [_SPAN], triangular mel bands [_FFT / 2 + 1, _BANDS], and DCT [_BANDS, COEFFICIENTS]."""
    import numpy as np

    def mel(hz: float) -> float:
        return float(2595.0 * np.log10(1.0 + hz / 700.0))

    edges = 700.0 * (10.0 ** (np.linspace(mel(_LOW), mel(_HIGH), _BANDS + 2) / 2595.0) - 1.0)
    hz = np.arange(_FFT // 2 + 1)[:, None] * RATE / _FFT
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    bands = np.clip(np.minimum(rising, falling), 0.0, None)
    order = np.arange(1, COEFFICIENTS + 1)
    cosines = np.sqrt(2.0 / _BANDS) * np.cos(np.pi * order * (np.arange(_BANDS)[:, None] + 0.5) / _BANDS)
    return np.hamming(_SPAN).astype(np.float32), bands.astype(np.float32), cosines.astype(np.float32)

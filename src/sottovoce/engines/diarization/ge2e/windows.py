"""Overlapping windows of speech and their embeddings: about 800 bytes per 0.4 s are kept for clustering."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sottovoce.audio.activity import Speech
from sottovoce.engines.diarization.ge2e.mel import BANDS, HOP, mel_spectrum
from sottovoce.engines.diarization.pitch import median_pitch
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Numbers = NDArray[np.int64]

FRAMES = 160
"""Mel frames (10 ms) of a window: 1.6 s, the length that the encoder was trained on."""

STEP = 40
"""Frames from one window to the next: 0.4 s."""

_LEVEL = 1e-3  # mean square to which each window is normalised: -30 dBFS, as in the encoder's training
_QUIET = 1e-9  # added to a window's own mean square, so that silence is not amplified
_AT_ONCE = 64  # windows per call of the network


class Net(Protocol):
    """The encoder: mel spectra to embeddings."""

    def embed(self, mels: "Floats") -> "Floats":
        """Return unit-length embeddings float32[n, d] of windows float32[n, 160, 40]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """*m* stretches of speech in *n* windows.

    *spans* int64[m, 2]: start and end of each stretch in samples of the media; *bounds* int64[n, 2]: the same of each
    window; *stretch* int64[n]: the number of its stretch. *embeddings* float16[n, d]. *pitch* float32[n] in Hz, NaN
    for an unvoiced window.
    """

    spans: "Numbers"
    bounds: "Numbers"
    stretch: "Numbers"
    embeddings: "NDArray[np.float16]"
    pitch: "Floats"

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.bounds)

    @property
    def shares(self) -> "Numbers":
        """The samples that are nearer to a window's middle than to any other in its stretch, per window: int64[n]."""
        import numpy as np

        middles = self.bounds.sum(axis=1) // 2
        between = (middles[1:] + middles[:-1]) // 2
        fresh = np.flatnonzero(np.diff(self.stretch))
        starts, ends = np.concatenate([[0], between]), np.concatenate([between, [0]])
        starts[[0, *(fresh + 1)]] = self.spans[self.stretch[[0, *(fresh + 1)]], 0]
        ends[[*fresh, -1]] = self.spans[self.stretch[[*fresh, -1]], 1]
        found: Numbers = ends - starts
        return found


class _Window(NamedTuple):
    """One window: number of its stretch, bounds in the media, pitch in Hz (NaN: none), mel spectrum float32[160, 40]."""

    stretch: int
    start: Samples
    end: Samples
    pitch: float
    mel: "Floats"


def hear(net: Net, speech: Iterable[Speech]) -> Heard:
    """Compute the embeddings of all *speech* with *net*. Holds the audio of one stretch at a time; skips empty stretches."""
    import numpy as np

    spans: list[tuple[Samples, Samples]] = []
    embeddings: list[NDArray[np.float16]] = []
    rows: list[tuple[int, Samples, Samples]] = []
    pitch: list[float] = []
    waiting: list[Floats] = []

    def run() -> None:
        embeddings.append(net.embed(np.stack(waiting)).astype(np.float16))
        waiting.clear()

    for stretch in speech:
        if not len(stretch.audio):
            continue
        for window in _windows(len(spans), stretch):
            rows.append(window[:3])
            pitch.append(window.pitch)
            waiting.append(window.mel)
            if len(waiting) == _AT_ONCE:
                run()
        spans.append((stretch.start, stretch.end))
    if waiting:
        run()
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Heard(
        spans=np.array(spans, np.int64).reshape(-1, 2),
        bounds=table[:, 1:],
        stretch=table[:, 0],
        embeddings=np.concatenate(embeddings) if embeddings else np.zeros((0, 0), np.float16),
        pitch=np.array(pitch, np.float32),
    )


def _windows(number: int, stretch: Speech) -> Iterator[_Window]:
    """Yield the windows of *stretch*; the last one ends with it. A stretch shorter than a window is repeated to fill it."""
    import numpy as np

    audio = np.clip(np.nan_to_num(stretch.audio), -1.0, 1.0)
    mel = mel_spectrum(audio)
    whole = max(len(audio) // HOP, 1)
    places = [*range(0, max(whole - FRAMES, 0), STEP), max(whole - FRAMES, 0)]
    for first in places:
        last = min(first + FRAMES, whole)
        own = audio[first * HOP : last * HOP]
        gain = _LEVEL / (float(np.mean(np.square(own, dtype=np.float64))) + _QUIET)
        heard = mel[first:last] * np.float32(gain)
        yield _Window(
            stretch=number,
            start=stretch.start + first * HOP,
            end=stretch.end if first == places[-1] else stretch.start + last * HOP,
            pitch=_pitch(own),
            mel=heard if last - first == FRAMES else np.resize(heard, (FRAMES, BANDS)),
        )


def _pitch(audio: "Floats") -> float:
    """Return the median pitch in Hz of the middle half of a window, so that each sample enters about two windows; NaN: none."""
    quarter = len(audio) // 4
    found = median_pitch(audio[quarter : len(audio) - quarter])
    return float("nan") if found is None else found

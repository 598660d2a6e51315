"""Music by its spectrum: notes keep their frequency, the partials of a voice glide.

In each second, it counts how much of the energy of spectral peaks lies in peaks that stay at one frequency for a quarter of a
second. It finds music with sustained notes. It misses percussion and most music under speech, and it knows neither applause
nor laughter, which it cannot tell from noise and speech.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sottovoce.intelligence.audio_events import AudioEvent
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FRAME, HOP = 1024, 512
"""Samples of a frame of the spectrum (64 ms), and between two frames."""
LOW, HIGH = 10, 256
"""Bins 156 … 4,000 Hz: below are hum and mains, above is little."""
HELD = 8
"""Frames (256 ms) that a peak must stay at its frequency."""
PROMINENT = 6.0
"""A peak is this many times stronger than the median of the bins around it."""
QUIET = 3e-3
"""Root mean square of a second below which it is not music: -50 dB."""
LIMIT = 0.5
"""The share of held peaks from which a second is music."""
LEAST: Samples = 3 * RATE
"""The shortest music that is reported: a held vowel or a ringing telephone is shorter."""


class MusicDetector:
    """An `AudioTagger` of music alone."""

    types = frozenset({"music"})
    languages: frozenset[str] = frozenset()

    def tag(self, blocks: "Iterable[Floats]") -> Iterator[AudioEvent]:
        """Yield each stretch of music in *blocks*."""
        track, last = self.track(), None
        for block in blocks:
            track.hear(block)
            if track.open is None and last is not None:
                yield last
            last = track.open
        if last is not None:
            yield last

    def track(self) -> "MusicTrack":
        """Return a detector of one channel, which hears block after block."""
        return MusicTrack()


class MusicTrack:
    """Music in one channel. *at*: samples heard so far; *ended*: where the last music ended."""

    def __init__(self) -> None:
        self.at: Samples = 0
        self.ended: Samples = 0
        self._start: Samples = 0
        self._shares: list[float] = []

    def hear(self, block: "Floats") -> None:
        """The next second of the channel, float32[n] at 16 kHz; the last one may be shorter."""
        share = held(block)
        if share >= LIMIT:
            if not self._shares:
                self._start = self.at
            self._shares.append(share)
        elif self._shares:
            self._shares = []
            self.ended = self.at
        self.at += len(block)

    @property
    def open(self) -> AudioEvent | None:
        """The music that has gone on until now, once it is long enough to be reported."""
        if not self._shares or self.at - self._start < LEAST:
            return None
        mean = sum(self._shares) / len(self._shares)
        confidence = min(0.95, 0.5 + 0.5 * (mean - LIMIT) / (1 - LIMIT))
        return AudioEvent(type="music", start=self._start, end=self.at, confidence=confidence)


def held(audio: "Floats") -> float:
    """Return the share 0..1 of the energy of spectral peaks in *audio* that lies in held ones; 0 if it is quiet or short."""
    import numpy as np

    if len(audio) < FRAME + HELD * HOP or float(np.sqrt(np.mean(audio**2))) < QUIET:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME)[::HOP] * np.hanning(FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)[:, LOW:HIGH]) ** 2
    around = np.median(
        np.lib.stride_tricks.sliding_window_view(np.pad(power, ((0, 0), (8, 8)), "edge"), 17, axis=1), axis=2
    )
    middle = power[:, 1:-1]
    peaks = np.zeros(power.shape, bool)
    peaks[:, 1:-1] = (middle > power[:, :-2]) & (middle >= power[:, 2:]) & (middle > PROMINENT * around[:, 1:-1])
    energy = np.sqrt(power) * peaks  # amplitude: one loud note must not decide alone
    total = float(energy.sum())
    if total <= 0:
        return 0.0
    stays = np.zeros_like(peaks)  # the peaks that a run of HELD frames at the same bin contains
    runs = np.asarray(np.lib.stride_tricks.sliding_window_view(peaks, HELD, axis=0).all(axis=2))
    for shift in range(HELD):
        stays[shift : shift + len(runs)] |= runs
    return float((energy * stays).sum()) / total

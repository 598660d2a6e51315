"""The last minute of a channel's audio, for translators that hear a sentence again."""

from typing import TYPE_CHECKING

from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

KEPT: Samples = 60 * RATE
"""A sentence of 28 s, the longest delay of its final, and the audio that waits for recognition (10 s each)."""
SPARE: Samples = 10 * RATE
"""Older audio is dropped in pieces of this length."""
WIDTH = 2  # bytes of a sample


class RecentAudio:
    """Samples of 16 bits, from the first one of the channel on; the oldest ones are dropped."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._begin: Samples = 0

    def push(self, audio: "Floats") -> None:
        """Add float32[n] at 16 kHz, -1..1."""
        import numpy as np

        self._held += (np.clip(audio, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        extra = len(self._held) // WIDTH - KEPT
        if extra >= SPARE:
            del self._held[: extra * WIDTH]
            self._begin += extra

    def cut(self, start: Samples, end: Samples) -> tuple[bytes, Samples]:
        """Return the samples from *start* to *end*, as far as they are held, and where they begin."""
        first = max(start, self._begin)
        return bytes(self._held[(first - self._begin) * WIDTH : max(0, end - self._begin) * WIDTH]), first

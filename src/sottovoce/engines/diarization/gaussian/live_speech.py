"""The speech of a live channel as features: stretches that grow, with the voice of each frame."""

from typing import TYPE_CHECKING

from sottovoce.engines.diarization.gaussian.features import COEFFICIENTS, FRAME, frames
from sottovoce.engines.diarization.pitch import SPAN
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]
    Labels = NDArray[np.intp]

UNDECIDED = -1
"""In place of a voice: none yet."""

_AT_ONCE: Samples = RATE // 10  # audio (100 ms) whose features are computed at once


class Stretch:
    """Speech without a break that begins at *start*. Frames of 10 ms are numbered from the beginning of the channel.

    *cepstra* and *pitch* as of `features.Frames`; *found*: the voice of each frame as of the last clustering; *given*: the voice of
    those that belong to a final word.
    """

    def __init__(self, start: Samples) -> None:
        import numpy as np

        self.first = start // FRAME
        self.end = start
        self._rest: Floats = np.zeros(0, np.float32)
        self.cepstra: Halves = np.zeros((0, COEFFICIENTS), np.float16)
        self.pitch: Halves = np.zeros(0, np.float16)
        self.found: Labels = np.zeros(0, np.intp)
        self.given: Labels = np.zeros(0, np.intp)

    def __len__(self) -> int:
        return len(self.cepstra)

    @property
    def last(self) -> int:
        """The number of the frame after the last one."""
        return self.first + len(self)

    def push(self, audio: "Floats") -> None:
        """Add float32[n] at 16 kHz."""
        import numpy as np

        self.end += len(audio)
        self._rest = np.concatenate([self._rest, audio])
        ready = (len(self._rest) - SPAN) // FRAME + 1
        if ready * FRAME >= _AT_ONCE:
            self._add(self._rest, ready)
            self._rest = self._rest[ready * FRAME :]

    def close(self) -> None:
        """The stretch has ended."""
        import numpy as np

        if len(self._rest) >= SPAN:
            self._add(self._rest, (len(self._rest) - SPAN) // FRAME + 1)
        self._rest = np.zeros(0, np.float32)

    def _add(self, audio: "Floats", count: int) -> None:
        import numpy as np

        made = frames(audio)
        self.cepstra = np.concatenate([self.cepstra, made.cepstra[:count].astype(np.float16)])
        self.pitch = np.concatenate([self.pitch, made.pitch[:count].astype(np.float16)])
        none = np.full(count, UNDECIDED, np.intp)
        self.found, self.given = np.concatenate([self.found, none]), np.concatenate([self.given, none])

    def voices(self, first: int, last: int) -> "Labels":
        """Return the voices of those of the frames *first* … *last* (exclusive) that are here."""
        return self.found[max(first - self.first, 0) : max(last - self.first, 0)]

    def nearest(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the distance in frames of the nearest end of the stretch to *first* … *last*, and its voice."""
        if not len(self):
            return None
        at = -1 if self.last <= first else 0
        away = first - self.last if at else max(self.first - last, 0)
        return None if self.found[at] == UNDECIDED else (away, int(self.found[at]))

    def settle(self, first: int, last: int, voice: int) -> None:
        """The frames of *voice* among *first* … *last* (exclusive) belong to a final word."""
        span = slice(max(first - self.first, 0), max(last - self.first, 0))
        self.given[span][self.found[span] == voice] = voice

    def cut(self, count: int) -> "Stretch":
        """Remove the first *count* frames, and return them."""
        gone = Stretch(self.first * FRAME)
        for name in ("cepstra", "pitch", "found", "given"):
            values = getattr(self, name)
            setattr(gone, name, values[:count].copy())
            setattr(self, name, values[count:].copy())
        self.first += count
        return gone


class Exemplars:
    """The newest speech of one voice that has left the window."""

    def __init__(self) -> None:
        import numpy as np

        self.cepstra: Halves = np.zeros((0, COEFFICIENTS), np.float16)
        self.pitch: Halves = np.zeros(0, np.float16)

    def __len__(self) -> int:
        return len(self.cepstra)

    def add(self, cepstra: "Halves", pitch: "Halves") -> None:
        """Add the frames of a part of speech, newer than all here."""
        import numpy as np

        self.cepstra = np.concatenate([self.cepstra, cepstra])
        self.pitch = np.concatenate([self.pitch, pitch])

    def keep(self, most: int) -> None:
        """Drop all but the newest *most* frames."""
        if len(self) > most:
            self.cepstra, self.pitch = self.cepstra[-most:].copy(), self.pitch[-most:].copy()

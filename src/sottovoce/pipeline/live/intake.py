"""The audio of a live channel on its way in: what waits, and what the speech detector has judged."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sottovoce.audio.activity import SpeechProbability, VolumeTrack
from sottovoce.pipeline.live.window import AudioBuffer
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Listener = Callable[[Floats, Sequence[tuple[Samples, float]], Samples], None]

_HOP = 3  # frames of the speech detector that are judged at once: 96 ms


class Intake:
    """Audio in order, judged in whole frames of *vad*. Times are samples of the channel.

    *listen* receives the judged audio, the beginning and speech probability of each frame, and the length of a frame.
    """

    def __init__(self, vad: SpeechProbability, volume: VolumeTrack | None, listen: "Listener | None" = None) -> None:
        self._listen = listen
        self.buffer = AudioBuffer()
        """The judged audio, as far as it was not forgotten."""
        self.judged: Samples = 0
        """The end of the audio that the detector has seen."""
        self.waiting: Samples = 0
        """Audio that was pushed and not judged yet."""
        self.received: Samples = 0
        """All audio that was pushed."""
        self._vad = vad
        self._volume = volume
        self._counted: Samples = 0
        self._pieces: deque[Floats] = deque()

    @property
    def frame(self) -> Samples:
        """The length of a frame."""
        return self._vad.frame

    def measure_volume(self) -> VolumeTrack:
        """The volumes of the audio from now on, or from when they were first asked for."""
        self._volume = self._volume or VolumeTrack(start=self.judged)
        return self._volume

    def forget_volumes(self, before: Samples) -> None:
        """Drop the volumes before *before*."""
        if self._volume is not None:
            self._volume.forget(before)

    def counted(self) -> Samples:
        """The audio that was judged since the last call."""
        count, self._counted = self.judged - self._counted, self.judged
        return count

    def push(self, audio: "Floats") -> None:
        """Add float32[n] at 16 kHz."""
        self._pieces.append(audio)
        self.waiting += len(audio)
        self.received += len(audio)

    def take(self, until: Samples | None, *, ending: bool) -> list[tuple[Samples, float]]:
        """Judge the next piece, at most three frames and not far beyond *until*.

        Returns the beginning and the speech probability of each frame; empty if less than a frame waits. With *ending*, the rest
        of the audio is padded to a whole frame.
        """
        import numpy as np

        frame = self.frame
        most = _HOP * frame
        if until is not None:
            most = min(most, max(-(-(until - self.judged) // frame), 1) * frame)
        audio = self._next(most)
        short = -len(audio) % frame
        if short and not (ending and not self._pieces):
            whole = len(audio) - len(audio) % frame
            self._pieces.appendleft(audio[whole:])
            audio, short = audio[:whole], 0
        if not len(audio):
            return []
        self.waiting -= len(audio)
        self.buffer.append(audio)
        if self._volume is not None:
            self._volume.push(audio)
        start, self.judged = self.judged, self.buffer.end
        judged = self._vad(np.pad(audio, (0, short)) if short else audio)
        found = [(start + number * frame, probability) for number, probability in enumerate(judged)]
        if self._listen is not None:
            self._listen(audio, found, frame)
        return found

    def _next(self, most: Samples) -> "Floats":
        """Remove at most *most* samples from the waiting audio."""
        import numpy as np

        pieces: list[Floats] = []
        size = 0
        while self._pieces and size < most:
            piece = self._pieces.popleft()
            if size + len(piece) > most:
                self._pieces.appendleft(piece[most - size :])
                piece = piece[: most - size]
            pieces.append(piece)
            size += len(piece)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

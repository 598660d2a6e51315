"""Speakers of a live channel: passes its speech to a live diarizer, and its labels to items."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sottovoce.engines.protocols import LiveDiarizer
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Attaches, Item, Mark, Samples, Speaker, SpeakerLabel
from sottovoce.transcript.speakers import spoken_by

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SPEECH = 0.35
"""Speech probability of a frame that is diarized; the same threshold and padding as in batch (`pipeline/diarization.py`)."""

PAD: Samples = RATE // 5
"""Audio (200 ms) around such frames that is diarized, too."""


class SpeakerTrack:
    """The speakers of one channel. Times are samples of the channel."""

    def __init__(self, diarizer: LiveDiarizer) -> None:
        self._diarizer = diarizer
        self._quiet: deque[tuple[Samples, Floats]] = deque()
        self._until: Samples = 0  # audio until then is diarized
        self._last: SpeakerLabel = UNKNOWN_SPEAKER  # of the last final word

    def hear(self, audio: "Floats", judged: Sequence[tuple[Samples, float]], frame: Samples) -> None:
        """Take *audio*, in which the speech detector *judged* frames: beginnings and probabilities. The last may be shorter."""
        if not judged:
            return
        begin = judged[0][0]
        for start, probability in judged:
            part = audio[start - begin : start - begin + frame]
            if not len(part):
                continue
            if probability >= SPEECH:
                while self._quiet:
                    before, sound = self._quiet.popleft()
                    self._diarizer.push(sound, before)
                self._until = start + frame + PAD
            if start < self._until:
                self._diarizer.push(part, start)
                continue
            self._quiet.append((start, part))
            while self._quiet[0][0] + frame <= start - PAD:
                self._quiet.popleft()

    def settled(self, start: Samples, end: Samples) -> SpeakerLabel:
        """The speaker of the final word of *start* … *end*, which keeps it."""
        return self._diarizer.labels([(start, end)], final=True)[0]

    def labelled(self, items: tuple[Item, ...], *, final: bool) -> tuple[Item, ...]:
        """Return *items* with their speakers; a mark has that of its word. *final*: they keep them."""
        words = [(item.start, item.end) for item in items if not isinstance(item, Mark)]
        of_words = iter(self._diarizer.labels(words, final=final))
        labels = [None if isinstance(item, Mark) else next(of_words) for item in items]
        last = self._last
        found: list[Item] = []
        for number, (item, label) in enumerate(zip(items, labels, strict=True)):
            if label is None and isinstance(item, Mark) and item.attaches is Attaches.NEXT:
                last = next((each for each in labels[number:] if each is not None), last)
            last = last if label is None else label
            found.append(spoken_by(item, last))
        if final:
            self._last = last
        return tuple(found)

    def speakers(self) -> tuple[Speaker, ...]:
        """Return the speakers of the final words so far, with their prints."""
        return self._diarizer.speakers()

"""Random access to a recording that is cheap in rising order: it is decoded as a stream, and only one piece is held."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio import media
from sottovoce.audio.activity import Speech
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    from sottovoce.audio.activity import Floats


class SeekableAudio:
    """Track *track* of the media at *path*, channels mixed.

    A piece that begins before the last one's start restarts the decoder.
    """

    def __init__(self, path: Path, *, track: int | None = None) -> None:
        self._path = path
        self._track = track
        self._blocks: Iterator[Floats] = iter(())
        self._held: list[Floats] = []
        self._start: Samples = 0
        self._end: Samples = 0
        self._open = False

    def take(self, start: Samples, end: Samples) -> Speech:
        """Return the samples from *start* to *end*; fewer if the media ends before. Raises `MediaUnreadable`."""
        import numpy as np

        start = max(start, 0)
        if not self._open or start < self._start:
            self._reopen(start)
        while self._end < end and (block := next(self._blocks, None)) is not None:
            self._held.append(block)
            self._end += len(block)
            self._drop(start)
        self._drop(start)
        if not self._held:
            return Speech(start=start, audio=np.zeros(0, np.float32))
        if len(self._held) > 1:
            self._held = [np.concatenate(self._held)]
        return Speech(start=start, audio=self._held[0][start - self._start : max(end, start) - self._start])

    def _reopen(self, start: Samples) -> None:
        self._blocks = (block[0] for block in media.decode(self._path, split=False, start=start, track=self._track))
        self._held, self._start, self._end, self._open = [], start, start, True

    def _drop(self, before: Samples) -> None:
        """Drop whole blocks that end at or before *before*."""
        while self._held and self._start + len(self._held[0]) <= before:
            self._start += len(self._held.pop(0))

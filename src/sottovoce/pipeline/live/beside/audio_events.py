"""The audio events of one live channel (contract `realtime.md` §6): one at a time, reported as soon as it is certain."""

from typing import TYPE_CHECKING

from sottovoce.intelligence.backends.builtin.music import MusicDetector
from sottovoce.pipeline.live import events
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TYPES = MusicDetector.types
"""What is detected in realtime: music. A trained tagger would take processor time from the transcript."""
BLOCK: Samples = RATE
"""The detector hears blocks of 1 s."""


class SoundReporter:
    """Reports the events in the channel *number* that are of one of the types *wanted* (none: of all)."""

    def __init__(self, number: int, wanted: tuple[str, ...]) -> None:
        import numpy as np

        self._number = number
        self._track = MusicDetector().track() if TYPES & frozenset(wanted or TYPES) else None
        self._waiting: Floats = np.zeros(0, np.float32)
        self._open: str | None = None  # the type of the event that has started

    def heard(self, audio: "Floats") -> list[events.Event]:
        """Return the events that the next samples of the channel begin and end."""
        import numpy as np

        if self._track is None:
            return []
        self._waiting = np.concatenate([self._waiting, audio])
        found: list[events.Event] = []
        while len(self._waiting) >= BLOCK:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            self._track.hear(block)
            found += self._changes()
        return found

    def end(self) -> list[events.Event]:
        """Return the end of an open event: the audio has ended."""
        if self._track is None:
            return []
        if len(self._waiting):
            self._track.hear(self._waiting)
        found = self._changes()
        if self._open is not None:
            found.append(events.SoundEnded(channel=self._number, kind=self._open, end=self._track.at))
            self._open = None
        return found

    def _changes(self) -> list[events.Event]:
        track = self._track
        if track is None:
            return []
        now, found = track.open, list[events.Event]()
        if self._open is not None and now is None:
            found.append(events.SoundEnded(channel=self._number, kind=self._open, end=track.ended))
            self._open = None
        if now is not None and self._open is None:
            self._open = now.type
            found.append(
                events.SoundStarted(
                    channel=self._number, kind=now.type, start=now.start, confidence=round(now.confidence, 2)
                )
            )
        return found

"""Windows: what is kept of a long piece of work, so that an interrupted one goes on from there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sottovoce.audio import media
from sottovoce.engines.protocols import Recognized
from sottovoce.transcript.model import RATE, Item, Samples

WINDOW: Samples = 300 * RATE
"""A window is closed by the first pause after this much audio: at most this much is done again after a crash."""

GRID: Samples = 512
"""Windows end on the frames of the speech detector, so that a later attempt sees the audio in the same frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Recognised items of one channel between two pauses; *end* is where the next window begins."""

    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]


class Observer(Protocol):
    """Hears how the work goes; everything it is told happens in order."""

    def media(self, probe: media.Probe) -> None:
        """What the media is, before anything is decoded."""

    def stage(self, name: str, note: str = "") -> None:
        """A stage begins, or has something to say for the job's log."""

    def progress(self, done: Samples, total: Samples | None) -> None:
        """So much of the audio of all channels is recognised."""

    def window(self, window: Window) -> None:
        """A window that a later attempt need not do again."""


def cut(recognized: Iterable[Recognized], channel: int, start: Samples) -> Iterator[Window]:
    """Windows out of stretches: one is closed by the first pause `WINDOW` after its beginning.

    Without a pause it is closed after twice as much: an engine that looks over the edge of a stretch then hears a little
    less there when it goes on after a crash.
    """
    items: list[Item] = []
    end = start
    for part in recognized:
        pause = part.start > end
        if end - start >= (WINDOW if pause else 2 * WINDOW):
            yield Window(channel=channel, start=start, end=end - end % GRID, items=tuple(items))
            start, items = end - end % GRID, []
        items.extend(part.items)
        end = part.end
    if items:
        yield Window(channel=channel, start=start, end=end - end % GRID, items=tuple(items))

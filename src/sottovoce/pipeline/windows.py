"""Windows: partial results of a long task, which are stored so that an interrupted task resumes after the last one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sottovoce.audio import media
from sottovoce.engines.protocols import Recognized
from sottovoce.transcript.model import RATE, Item, Samples

WINDOW: Samples = 300 * RATE
"""300 s. A window ends at the first pause after this much audio, so an attempt after a crash repeats about this much."""

GRID: Samples = 512
"""Frame length of the speech detector. Windows end at frame borders, so that a resumed task has the same frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Recognised items of one channel between two pauses; the next window begins at *end*."""

    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]


class Observer(Protocol):
    """Receives the events of a task, in order."""

    def media(self, probe: media.Probe) -> None:
        """Receive the media's properties, before anything is decoded."""

    def stage(self, name: str, note: str = "", trace: str = "") -> None:
        """Receive that a stage begins, or a note of it for the job's log; *trace*: of a failure, for the operator's log only."""

    def progress(self, done: Samples, total: Samples | None) -> None:
        """Receive how much audio of all channels is done, and how much there is (None: unknown)."""

    def stretch(self, stretch: Recognized, language: str) -> None:
        """Receive the formatted words of a stretch in *language*, if the request asks for them; a later attempt repeats some."""

    def window(self, window: Window) -> None:
        """Receive a finished window, which a later attempt does not repeat."""


def cut(recognized: Iterable[Recognized], channel: int, start: Samples) -> Iterator[Window]:
    """Group stretches into windows; a window ends at the first pause after `WINDOW` of audio.

    Without a pause it ends after twice `WINDOW`; an engine that uses context across stretches then has less of it there
    when the task resumes.
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

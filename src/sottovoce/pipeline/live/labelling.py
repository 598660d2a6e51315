"""Speaker labels of a live channel's finals and partials.

A label is reliable when about two seconds of audio after the word were heard, and a final never changes. So finals are held until
then, and meanwhile their words are shown at the beginning of the partials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.speakers import SpeakerTrack
from sottovoce.request import LiveRequest
from sottovoce.transcript.model import Attaches, Item, Mark, Samples, samples
from sottovoce.transcript.speakers import LONGEST_SENTENCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

HOLD = 2.0
"""Seconds after a word that its final waits for at most. Of the words of the recordings in docs/speakers.md, labels after 2 s are
as often right as after 3.5 s, and after 1 s less often (`bench/live_speakers.py`).
"""
SPARE = 0.7
"""Seconds of `max_delay` that remain for recognition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How finals are held. *time*: audio after a word until its final; *step*: least audio between two parts of one final;
    *partials*: they are sent.
    """

    time: Samples
    step: Samples
    partials: bool


def holding_of(request: LiveRequest, step: Samples) -> Holding:
    """Return how long the finals of *request* are held, so that they are not later than `max_delay`."""
    time = min(HOLD, max(request.max_delay - SPARE, 0.0))
    return Holding(time=samples(time), step=step, partials=request.needs_partials)


class LabelledFinals:
    """Takes the events of the channel *number* with `emit`, and passes them on to *emit*, with labels from *track*."""

    def __init__(
        self, number: int, track: SpeakerTrack, emit: Callable[[events.Event], None], holding: Holding
    ) -> None:
        self._number = number
        self._track = track
        self._emit = emit
        self._holding = holding
        self._held: tuple[Item, ...] = ()  # of finals that were not passed on
        self._start: Samples = 0  # of the first of them
        self._end: Samples = 0  # of the last of them
        self._open: tuple[Item, ...] = ()  # the items of the last partial
        self._sentence: tuple[Item, ...] = ()  # what was passed on of the last sentence
        self._now: Samples = 0  # the audio that was heard
        self._passed: Samples = 0  # when a final was passed on

    def configure(self, holding: Holding) -> None:
        """Use *holding* from now on."""
        self._holding = holding

    def hear(self, audio: "Floats", judged: Sequence[tuple[Samples, float]], frame: Samples) -> None:
        """Take audio as `SpeakerTrack.hear` does, and pass on the finals that are due by then."""
        self._track.hear(audio, judged, frame)
        self._now = judged[0][0] + len(audio)
        if self._pass_due() and self._holding.partials:
            self._show()

    def emit(self, event: events.Event) -> None:
        """Take *event*. A partial follows each final, as in the channel."""
        match event:
            case events.Final():
                if not self._held:
                    self._start = event.start
                self._held, self._end, self._open = (*self._held, *event.items), event.end, ()
                if not event.forced:
                    self._pass_due()
            case events.Partial():
                self._open = event.items
                self._show(event.end)
            case events.UtteranceEnd():
                self._flush(forced=event.forced)
                self._emit(event)
            case events.Ended():
                self._flush(forced=False)
                self._emit(event)
            case _:
                self._emit(event)

    def _pass_due(self) -> bool:
        """Pass on the held items whose time has come; True if there were any."""
        count = self._due()
        if not count or (count < len(self._held) and self._now - self._passed < self._holding.step):
            return False
        self._pass(count, forced=False)
        return True

    def _due(self) -> int:
        """The number of held items that are due, without an opening mark whose word is not."""
        held, latest = self._held, self._now - self._holding.time
        count = next((number for number, item in enumerate(held) if item.end > latest), len(held))
        while 0 < count < len(held) and _belongs_together(held[count - 1], held[count]):
            count -= 1
        return count

    def _flush(self, *, forced: bool) -> None:
        """Pass on all that is held."""
        if self._held:
            self._pass(len(self._held), forced=forced, complete=True)
            if self._holding.partials:
                self._show()

    def _pass(self, count: int, *, forced: bool, complete: bool = False) -> None:
        items, self._held = self._held[:count], self._held[count:]
        start, end = self._start, items[-1].end if self._held else self._end
        self._start, self._passed = end, self._now
        labelled = self._track.labelled(items, final=True, before=self._sentence, after=self._held, complete=complete)
        self._sentence = _last_sentence((*self._sentence, *labelled))
        self._emit(events.Final(channel=self._number, start=start, end=end, items=labelled, forced=forced))

    def _show(self, end: Samples = 0) -> None:
        """Report all that is not final, up to *end*, or as far as was heard."""
        items = self._track.labelled((*self._held, *self._open), final=False, before=self._sentence)
        end = max(end, self._now, self._start, *(item.end for item in items[-1:]))
        self._emit(events.Partial(channel=self._number, start=self._start, end=end, items=items))


def _last_sentence(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The part of *items* after the last end of a sentence; of an endless sentence the newest part."""
    ends = (number for number in range(len(items), 0, -1) if _ends_sentence(items[number - 1]))
    return items[next(ends, 0) :][-LONGEST_SENTENCE:]


def _ends_sentence(item: Item) -> bool:
    return isinstance(item, Mark) and item.ends_sentence


def _belongs_together(one: Item, other: Item) -> bool:
    """True if a final cannot end between two items, of which one is a mark of the other."""
    return (isinstance(one, Mark) and one.attaches in {Attaches.NEXT, Attaches.BOTH}) or (
        isinstance(other, Mark) and other.attaches in {Attaches.PREVIOUS, Attaches.BOTH}
    )

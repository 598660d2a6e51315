"""Listens to the events and the audio of a live session, and adds the events that are made of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.beside.audio_events import SoundReporter
from sottovoce.pipeline.live.beside.sentences import SentenceCutter
from sottovoce.request import LiveRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Emit = Callable[[events.Event], None]


class Listeners:
    """Those that *request* needs. `emit` passes each event on to *emit*, followed by the events that are made of it."""

    def __init__(self, request: LiveRequest, emit: Emit) -> None:
        self._emit = emit
        channels = range(request.channel_count)
        translation = request.translation
        self._cutters = [SentenceCutter(number, request.language, translation) for number in channels if translation]
        wanted = request.audio_events
        self._sounds = [SoundReporter(number, wanted) for number in channels if wanted is not None]

    def heard(self, channel: int, audio: "Floats") -> None:
        """The next samples of *channel*, float32[n] at 16 kHz, before they are recognised."""
        if self._cutters:
            self._cutters[channel].heard(audio)
        if self._sounds:
            for event in self._sounds[channel].heard(audio):
                self._emit(event)

    def emit(self, event: events.Event) -> None:
        """Pass *event* on. The events that close a channel come before its `Ended`."""
        if isinstance(event, events.Ended):
            if self._cutters:
                self._pass(self._cutters[event.channel].flush())
            if self._sounds:
                self._pass(self._sounds[event.channel].end())
        self._emit(event)
        if not self._cutters:
            return
        match event:
            case events.Final():
                self._pass(self._cutters[event.channel].final(event))
            case events.Partial():
                self._pass(self._cutters[event.channel].partial(event))
            case events.UtteranceEnd():
                self._pass(self._cutters[event.channel].flush())
            case _:
                pass

    def _pass(self, found: list[events.Event]) -> None:
        for event in found:
            self._emit(event)

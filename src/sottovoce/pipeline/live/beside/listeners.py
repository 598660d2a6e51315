"""Listens to the events and the audio of a live session, and adds the events that are made of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    """Those that *request* needs. `emit` passes each event on to *emit*, followed by the events that are made of it.

    A listener that raises is left out from then on, with a `Note`: it must not cost the transcript.
    """

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
            self._try(self._cutters, lambda: self._cutters[channel].heard(audio))
        if self._sounds:
            self._try(self._sounds, lambda: self._sounds[channel].heard(audio))

    def emit(self, event: events.Event) -> None:
        """Pass *event* on. The events that close a channel come before its `Ended`."""
        if isinstance(event, events.Ended):
            if self._cutters:
                self._try(self._cutters, self._cutters[event.channel].flush)
            if self._sounds:
                self._try(self._sounds, self._sounds[event.channel].end)
        self._emit(event)
        if not self._cutters:
            return
        match event:
            case events.Final():
                self._try(self._cutters, lambda: self._cutters[event.channel].final(event))
            case events.Partial():
                self._try(self._cutters, lambda: self._cutters[event.channel].partial(event))
            case events.UtteranceEnd():
                self._try(self._cutters, self._cutters[event.channel].flush)
            case _:
                pass

    def _try(self, listeners: list[Any], listen: Callable[[], list[events.Event]]) -> None:
        """Emit what *listen* returns; empty *listeners* if it raises."""
        try:
            found = listen()
        except Exception as error:  # noqa: BLE001 - a bug here must not end the session
            name = type(listeners[0]).__name__
            listeners.clear()
            self._emit(events.Note(text=f"{name} left out: {type(error).__name__}"))
            return
        for event in found:
            self._emit(event)

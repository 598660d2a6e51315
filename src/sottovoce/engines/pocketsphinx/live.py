"""Live recognition with PocketSphinx: the window is decoded anew each time; words after the final ones are told by their times."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span
from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES, PocketSphinx
from sottovoce.engines.protocols import Capabilities, Hints, LiveHypothesis, LiveWord, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import Item, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class PocketSphinxLive:
    """A `LiveRecognizer`. Each stream has a decoder of its own (0.3 s to load), since custom words change it."""

    @property
    def capabilities(self) -> Capabilities:
        """English, custom words, confidence; no punctuation."""
        return CAPABILITIES

    def open(self, hints: Hints) -> "PocketSphinxStream":
        """Return a stream. Raises `EngineUnavailable` for a language other than English."""
        if hints.language not in CAPABILITIES.languages:
            raise EngineUnavailable(f"PocketSphinx supports English only, not {hints.language!r}")
        return PocketSphinxStream(hints)


class PocketSphinxStream:
    """A `LiveStream` with a loaded decoder."""

    def __init__(self, hints: Hints) -> None:
        self._engine = PocketSphinx()
        self._hints = hints
        self._lock = threading.Lock()

    def hypothesis(self, audio: "Floats", committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        """Return *committed* and the words of *audio* after them."""
        del closing  # every decode is of the same kind
        with self._lock:
            found = next(iter(self._engine.recognize([Speech(start=0, audio=audio)], self._hints)))
        heard = [
            LiveWord(text=item.text, start=item.start, end=item.end, probability=item.confidence or 0.0)
            for item in found.items
            if isinstance(item, Word)
        ]
        last = committed[-1].end if committed else 0
        return LiveHypothesis(words=(*committed, *(word for word in heard if (word.start + word.end) // 2 > last)))

    def whole(self, audio: "Floats", voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        """Return the words of *audio*."""
        del voiced  # its own model of silence is enough
        return self.hypothesis(audio, (), closing=True).words

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        """Return *words* as words of a transcript."""
        return tuple(
            Word(text=word.text, start=word.start, end=word.end, confidence=word.probability, language="en")
            for word in words
        )

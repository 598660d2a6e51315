"""Moonshine as a recogniser of files: windows as for Whisper, each decoded until its speech has words.

Moonshine takes audio of any length, and its cost grows with it, so windows are not padded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio.activity import ActivityPolicy, Speech
from sottovoce.engines.common import calibration, parallel, word_assembly
from sottovoce.engines.common.memory import release_memory
from sottovoce.engines.moonshine import listener
from sottovoce.engines.moonshine.listener import Engine
from sottovoce.engines.moonshine.model import Model
from sottovoce.engines.moonshine.placement import Placer
from sottovoce.engines.protocols import Capabilities, Hints, Recognized
from sottovoce.engines.whisper import coverage
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import Clip
from sottovoce.engines.whisper.stretches import WindowWords, by_stretch
from sottovoce.engines.whisper.windows import ACTIVITY, Window, windows
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LANGUAGE = "en"
"""The only language: the aligner that gives the times of words knows no other."""


class Moonshine:
    """A `Recognizer` with the model in *folder*. *threads* of one decode; *workers*: windows that may be decoded at once.

    Errors: EngineUnavailable if the model or PocketSphinx is missing or cannot be used.
    """

    def __init__(self, folder: Path, capabilities: Capabilities, *, threads: int, workers: int = 1) -> None:
        name = capabilities.model
        self._capabilities = capabilities
        self._workers = max(workers, 1)
        self._width: Callable[[], int] = lambda: 1
        try:
            model = Model(folder, threads=threads)
            self.calibration = calibration.load(folder)
        except Exception as error:
            why = f"Moonshine {name} cannot be loaded ({type(error).__name__}): run `sottovoce models verify {name}`"
            raise EngineUnavailable(why, at=None) from error
        self.engine = Engine(model=model, placer=Placer(), pack=pack(LANGUAGE))

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities given to the constructor."""
        return self._capabilities

    @property
    def activity(self) -> ActivityPolicy:
        """How speech is cut: as for Whisper, since windows of up to 27 s lose the fewest words here too (docs/accuracy.md)."""
        return ACTIVITY

    def allow(self, width: Callable[[], int]) -> None:
        """Call *width* before each window for the number of windows that may be decoded at once; at most `workers`."""
        self._width = width

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words and marks for each stretch; reads some windows ahead. The model takes no custom words.

        Errors: EngineUnavailable for a language other than English.
        """
        self.require(hints.language)
        heard = parallel.in_order(partial(window_words, self.engine), windows(speech), self._width, self._workers)
        for stretch, words, notes in by_stretch(heard):
            items = word_assembly.items(words, self.engine.pack, self.calibration)
            yield Recognized(start=stretch.start, end=stretch.end, items=items, notes=notes)
            release_memory()

    def require(self, language: str) -> None:
        """Raise `EngineUnavailable` for a *language* that the model does not support."""
        if language not in self._capabilities.languages:
            raise EngineUnavailable(f"Moonshine {self._capabilities.model} does not support the language {language!r}")


def window_words(engine: Engine, window: Window) -> WindowWords:
    """The words of *window*, with media times."""
    clip = Clip(audio=sanitized(window.audio), voiced=window.voiced)
    words, holes = listener.hear(engine, clip)
    words = coverage.fitted(words, coverage.with_onsets(clip.voiced), engine.pack)
    return WindowWords(
        window=window,
        words=tuple(replace(word, start=word.start + window.start, end=word.end + window.start) for word in words),
        notes=tuple(_note(hole, window) for hole in holes),
    )


def sanitized(audio: "Floats") -> "Floats":
    """*audio* as float32[n] clipped to -1..1, with NaN and infinities replaced by 0."""
    import numpy as np

    return np.clip(np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)


def _note(hole: Hole, window: Window) -> str:
    begin, end = ((window.start + at) / RATE for at in (hole.start, hole.end))
    return f"no words in {hole.missed / RATE:.1f} s of speech between {begin:.1f} and {end:.1f} s"

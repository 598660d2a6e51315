"""How many cores one live session of an engine uses: measured once when its process starts, then learned from its sessions."""

import statistics
import time
from typing import TYPE_CHECKING

from sottovoce.engines.protocols import Hints, LiveRecognizer, LiveWord
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

WINDOW: Samples = 2 * RATE
"""Audio of the decodes that are measured; half of the usual window of a session."""
_WORDS = ("and", "then", "we", "went", "home", "again")  # forced: each costs as much as a word that is found
_TRIES = 3
_LONG = 0.6  # seconds after which no further try begins
_STEP = 0.5  # seconds of audio between two decodes of a session
_ENOUGH = 60.0  # seconds of audio from which on sessions say more than the first measurement
_MEMORY = 600.0  # seconds of audio that count; older sessions are forgotten
_LEAST_SHARE = 0.5  # of the first measurement: people who listen now may all speak later
UNKNOWN = 0.5
"""Cores of a session whose engine was not measured: about those of Whisper base (research `streaming.md` §3)."""


def decode_seconds(recognizer: LiveRecognizer) -> float:
    """Processor seconds of one decode of a usual window, about 4 s, with *recognizer*. Nothing else may run in this process.

    The audio is faint noise and the words are forced, so that the decode is as long as one of speech: the time of a decode goes
    mostly into its words, forced or found (research `streaming.md` §1).
    """
    import numpy as np

    languages = recognizer.capabilities.languages
    stream = recognizer.open(Hints(language="en" if "en" in languages else min(languages)))
    noise = np.random.default_rng(0).normal(0, 0.01, WINDOW).astype(np.float32)
    length = WINDOW // (len(_WORDS) + 1)
    forced = [
        LiveWord(text=text, start=number * length, end=(number + 1) * length, probability=1.0)
        for number, text in enumerate(_WORDS)
    ]
    taken: list[float] = []
    while len(taken) < _TRIES and sum(taken) < _LONG:
        begun = time.process_time()
        stream.hypothesis(noise, forced, closing=False)
        taken.append(time.process_time() - begun)
    return 2 * statistics.median_low(taken)


class SessionCost:
    """The cores of one session of an engine whose decode takes *decode* processor seconds; `None`: not measured."""

    def __init__(self, decode: float | None) -> None:
        self._first = UNKNOWN if decode is None else decode / _STEP
        self._audio = 0.0
        self._seconds = 0.0

    def worked(self, audio: float, seconds: float) -> None:
        """Sessions processed *audio* seconds of audio in *seconds* of processor time."""
        keep = max(0.0, 1 - audio / _MEMORY)
        self._audio = self._audio * keep + audio
        self._seconds = self._seconds * keep + seconds

    @property
    def cores(self) -> float:
        """Cores that one session needs to keep up with real time: processor seconds for each second of audio."""
        if self._audio < _ENOUGH:
            return self._first
        return max(self._seconds / self._audio, _LEAST_SHARE * self._first)

"""How many cores one live session of an engine uses: measured once when its process starts, then learned from its sessions."""

import statistics
import time
from pathlib import Path

from sottovoce.audio import media
from sottovoce.engines.protocols import Hints, LiveRecognizer
from sottovoce.transcript.model import RATE, Samples

SPEECH = Path(__file__).with_name("speech.ogg")
"""Three seconds of speech (samples/demo.wav). Noise would not do: what a model writes for it, and how much, is chance."""
WINDOW: Samples = 4 * RATE
"""The usual window of a session."""
_TRIES = 3
_LONG = 0.6  # seconds after which no further try begins
_STEP = 0.5  # seconds of audio between two decodes of a session
_ENOUGH = 60.0  # seconds of audio from which on sessions say more than the first measurement
_MEMORY = 600.0  # seconds of audio that count; older sessions are forgotten
_LEAST_SHARE = 0.5  # of the first measurement: people who listen now may all speak later
ALL = 1.0
"""The most cores of a session: its decodes follow each other, and when they take longer, there are fewer of them."""
UNKNOWN = 0.5
"""Cores of a session whose engine was not measured: about those of Whisper base (research `streaming.md` §3)."""


def decode_seconds(recognizer: LiveRecognizer) -> float:
    """Processor seconds of one decode of a window of speech with *recognizer*. Nothing else may run in this process.

    A decode takes about as long as its audio is long (research `streaming.md` §1), so the time for the clip is scaled.
    """
    import numpy as np

    languages = recognizer.capabilities.languages
    stream = recognizer.open(Hints(language="en" if "en" in languages else min(languages)))
    speech = np.concatenate([block[0] for block in media.decode(SPEECH)])
    taken: list[float] = []
    while len(taken) < _TRIES and sum(taken) < _LONG:
        begun = time.process_time()
        stream.hypothesis(speech, (), closing=False)
        taken.append(time.process_time() - begun)
    return statistics.median_low(taken) * WINDOW / len(speech)


class SessionCost:
    """The cores of one session of an engine whose decode takes *decode* processor seconds; `None`: not measured."""

    def __init__(self, decode: float | None) -> None:
        self._first = UNKNOWN if decode is None else min(decode / _STEP, ALL)
        self._audio = 0.0
        self._seconds = 0.0

    def worked(self, audio: float, seconds: float) -> None:
        """Sessions processed *audio* seconds of audio in *seconds* of processor time."""
        keep = max(0.0, 1 - audio / _MEMORY)
        self._audio = self._audio * keep + audio
        self._seconds = self._seconds * keep + seconds

    @property
    def cores(self) -> float:
        """Cores that one session uses: processor seconds for each second of audio. At 1 it does not keep up."""
        if self._audio < _ENOUGH:
            return self._first
        return max(self._seconds / self._audio, _LEAST_SHARE * self._first)

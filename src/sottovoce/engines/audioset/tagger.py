"""Runs a tagger window by window: samples in, a probability for each label out.

A model takes samples (float32[n] or [1, n]) and returns one or more rows with a value for each label, beside other outputs. Models
that take spectrograms are refused when they are loaded.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.engines.audioset import labels
from sottovoce.engines.common import onnx_session
from sottovoce.intelligence.audio_events import AudioEvent
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MODEL = "model.onnx"
SETTINGS = "tagger.json"
"""`{"sample_rate": 32000, "threshold": 0.3}`, both optional."""
THRESHOLD = 0.4
"""The probability from which a window has an event."""
WINDOW: Samples = RATE
"""A window of a model that takes any length; others have their own."""
LONGEST = 60 * RATE
_RANKS = (1, 2)  # of an input of samples: [n] or [1, n]


class AudiosetTagger:
    """The model in *folder*, on *device*. Raises ValueError or `EngineUnavailable` for one that cannot be used."""

    languages: frozenset[str] = frozenset()

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int = 1) -> None:
        import onnxruntime

        names = labels.read(folder)
        self._columns = labels.columns(names)
        self.types = frozenset(self._columns)
        self._rate, self._threshold = settings(folder)
        gpu = onnx_session.gpu_of(device, "the audio tagger")
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / MODEL), onnx_session.options(threads), providers=onnx_session.providers(gpu)
        )
        onnx_session.check([self._session], gpu)
        self._input, self._rank, self._window = _input(self._session, self._rate)
        self._output = _output(self._session, len(names))
        self._labels = len(names)

    def tag(self, blocks: "Iterable[Floats]") -> Iterator[AudioEvent]:
        """Yield the events in *blocks*, windows that follow each other as one event, by rising start."""
        open_: dict[str, list[AudioEvent]] = {}
        at = 0
        for window, length in self._windows(blocks):
            found = self._scores(window)
            over = [kind for kind in open_ if found[kind] < self._threshold]
            yield from sorted((_joined(open_.pop(kind)) for kind in over), key=lambda event: event.start)
            for kind, score in found.items():
                if score >= self._threshold:
                    event = AudioEvent(type=kind, start=at, end=at + length, confidence=score)
                    open_.setdefault(kind, []).append(event)
            at += length
        yield from sorted(map(_joined, open_.values()), key=lambda event: event.start)

    def _windows(self, blocks: "Iterable[Floats]") -> "Iterator[tuple[Floats, Samples]]":
        """Yield windows at 16 kHz, the last one filled up with zeros, and the samples of audio in each."""
        import numpy as np

        held: Floats = np.zeros(0, np.float32)
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) >= self._window:
                yield held[: self._window], self._window
                held = held[self._window :]
        if len(held):
            yield np.pad(held, (0, self._window - len(held))), len(held)

    def _scores(self, window: "Floats") -> dict[str, float]:
        """The probability of each event in *window*: that of its likeliest label, averaged over the rows of the model."""
        import numpy as np

        samples = resampled(window, self._rate)
        asked = samples if self._rank == 1 else samples[None]
        (values,) = self._session.run([self._output], {self._input: asked})
        rows = np.asarray(values, np.float64).reshape(-1, self._labels)
        if rows.min() < 0 or rows.max() > 1:  # not probabilities yet
            rows = 1 / (1 + np.exp(-rows))
        means = rows.mean(axis=0)
        return {kind: float(means[indices].max()) for kind, indices in self._columns.items()}


def settings(folder: Path) -> tuple[int, float]:
    """The sample rate in Hz and the threshold of the model in *folder*. Raises ValueError."""
    path = folder / SETTINGS
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{SETTINGS} is not a JSON object")  # noqa: TRY004 - one error for a bad folder
    rate, threshold = found.get("sample_rate", RATE), found.get("threshold", THRESHOLD)
    if type(rate) is not int or not RATE <= rate <= 3 * RATE:
        raise ValueError(f"{SETTINGS}: sample_rate must be a whole number from {RATE} to {3 * RATE}")
    if not isinstance(threshold, float) or not 0 < threshold < 1:
        raise ValueError(f"{SETTINGS}: threshold must be between 0 and 1")
    return rate, threshold


def resampled(audio: "Floats", rate: int) -> "Floats":
    """Return *audio* at *rate* Hz, 16 kHz or more, by its spectrum."""
    import numpy as np

    if rate == RATE:
        return audio
    length = len(audio) * rate // RATE
    return (np.fft.irfft(np.fft.rfft(audio), length) * (length / len(audio))).astype(np.float32)


def _input(session: Any, rate: int) -> tuple[str, int, Samples]:
    """The name and rank of the input of samples, and the window in samples at 16 kHz."""
    inputs = session.get_inputs()
    found = inputs[0]
    rank = len(found.shape)
    if len(inputs) != 1 or found.type != "tensor(float)" or rank not in _RANKS:
        raise ValueError("the model does not take samples: it needs one input float32[n] or float32[1, n]")
    length = found.shape[-1]
    window = length * RATE // rate if isinstance(length, int) else WINDOW
    if not 0 < window <= LONGEST:
        raise ValueError(f"the model takes {length} samples, which is no window of at most a minute")
    return found.name, rank, window


def _output(session: Any, count: int) -> str:
    """The name of the output with a value for each of *count* labels."""
    known = session.get_outputs()
    fitting = [each.name for each in known if each.shape and each.shape[-1] == count]
    if fitting:
        return str(fitting[0])
    if len(known) == 1 and (not known[0].shape or not isinstance(known[0].shape[-1], int)):
        return str(known[0].name)
    raise ValueError(f"the model has no output with {count} values, one for each label")


def _joined(windows: list[AudioEvent]) -> AudioEvent:
    mean = sum(window.confidence for window in windows) / len(windows)
    return AudioEvent(type=windows[0].type, start=windows[0].start, end=windows[-1].end, confidence=mean)

"""Voice prints from a speaker's mean embedding, and the similarity of two prints."""

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.ge2e.network import SIZE
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FORM = "ge2e-256-1"
"""Name and version of the prints; they are comparable only if made with the published weights."""

_VERSION = 1
_HEAD = struct.Struct("<Bf")  # version, seconds of speech
_LENGTH = _HEAD.size + 2 * SIZE  # bytes of a print
_SLACK = 0.01  # largest deviation from 1 of the length of a float16 vector

# Measured on prints of 2, 4 and 8 s of 29 speakers, nine of them also at 4 kHz and with telephone quality: two windows of
# one speaker have a mean cosine of 0.72. Noise lowers the cosine of short prints; with that corrected, it is 1.0 for one
# speaker on one line, 0.6 to 1.0 on different lines, 0.5 to 0.8 for two speakers (5 to 95 %). The middle is the point of
# equal error rates when every second pair of prints is from two lines: 11 %.
_OWN = 0.72  # mean cosine of two windows of one speaker
_WINDOW = 1.6  # seconds
_MIDDLE = 0.76  # corrected cosine with the similarity 0.5
_STEEPNESS = 21.0  # slope of the logistic function per unit of cosine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    """A mean embedding: unit-length *vector* float32[256], and the *seconds* of speech that it was computed from."""

    vector: "Floats"
    seconds: float


def written(vector: "Floats", speech: Samples) -> bytes:
    """Return the print of the mean embedding *vector* (float32[256], not zero) computed from *speech* samples."""
    import numpy as np

    scaled = vector / np.linalg.norm(vector)
    return _HEAD.pack(_VERSION, max(speech, 1) / RATE) + scaled.astype("<f2").tobytes()


def read(data: bytes) -> Embedding:
    """Return the embedding in the bytes that `written` returned. Raises ValueError for any other bytes."""
    import numpy as np

    if len(data) != _LENGTH:
        raise ValueError("the bytes are no voice print of this form")
    version, seconds = _HEAD.unpack_from(data)
    vector = np.frombuffer(data, "<f2", SIZE, _HEAD.size).astype(np.float32)
    # NaN and infinity fail these comparisons
    if version != _VERSION or not 0.0 < seconds < math.inf or not abs(float(np.linalg.norm(vector)) - 1.0) < _SLACK:
        raise ValueError("the bytes are no voice print of this form")
    return Embedding(vector=vector, seconds=seconds)


def similarity(one: Embedding, other: Embedding) -> float:
    """Return the likelihood that both embeddings are of one speaker, 0..1."""
    clear = float(one.vector @ other.vector) * math.sqrt(_noise(one) * _noise(other))
    return 1.0 / (1.0 + math.exp(-_STEEPNESS * (clear - _MIDDLE)))


def _noise(each: Embedding) -> float:
    """Return the squared length of a mean embedding relative to that of its noise-free part, >= 1."""
    windows = max(each.seconds / _WINDOW, 1.0)
    return 1.0 + (1.0 - _OWN) / (_OWN * windows)

"""Voice prints of half a kilobyte: distribution of the cepstra, median pitch; and the similarity of two prints."""

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.gaussian.features import COEFFICIENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Halves = NDArray[np.float16]

FORM = "builtin-1"
"""Name and version of the prints; a change of how they are computed needs a new name."""

_VERSION = 1
_PAIRS = COEFFICIENTS * (COEFFICIENTS + 1) // 2  # numbers in a triangle of the covariance matrix
_LAYOUT = struct.Struct(f"<B2f{COEFFICIENTS}f{_PAIRS}f")  # version, frames, pitch, means, covariances
_LARGEST = 1e4  # absolute limit of every number in a print except the frames: cepstra are some tens
_MOST_FRAMES = 1e9

_TYPICAL = 100.0  # frames of the pooled covariance added to each print, which stabilises short ones
_PITCH_VARIES = 0.24  # deviation of one person's median log pitch between recordings
_PITCH_COUNTS = 0.5  # most that the pitch adds to the distance
# Distance (nats) at which two long prints have the similarity 0.5; frames * nats that short prints add to it; slope of
# the logistic function per nat. Chosen on the recordings of docs/speakers.md ("Measured").
_UNDECIDED = 1.2
_SCATTER = 200.0
_STEEPNESS = 4.0
_TRUSTED = 200.0  # frames of the shorter print at which the slope is half of its maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicePrint:
    """*frames*: their number; *mean* [d] and *covariance* [d, d] of the cepstra; *pitch*: median log Hz, or None."""

    frames: float
    mean: "Array"
    covariance: "Array"
    pitch: float | None

    def packed(self) -> bytes:
        """Return the print as bytes; equal prints give equal bytes."""
        import numpy as np

        pitch = math.nan if self.pitch is None else self.pitch
        upper = self.covariance[np.triu_indices(COEFFICIENTS)]
        return _LAYOUT.pack(_VERSION, self.frames, pitch, *self.mean.tolist(), *upper.tolist())


def printed(parts: "Sequence[Halves]", pitch: "Halves") -> VoicePrint:
    """Return the print of one voice.

    *parts*: cepstra float16[n, d] each, at least one frame in all; *pitch*: log Hz of the frames, NaN where unvoiced.
    """
    import numpy as np

    frames = sum(len(part) for part in parts)
    mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / frames
    scatter = np.zeros((COEFFICIENTS, COEFFICIENTS))
    for part in parts:
        away = part.astype(np.float64) - mean
        scatter += away.T @ away
    voiced = pitch[np.isfinite(pitch)].astype(np.float64)
    return VoicePrint(
        frames=float(frames),
        mean=mean,
        covariance=scatter / frames + 1e-3 * np.eye(COEFFICIENTS),
        pitch=float(np.median(voiced)) if len(voiced) else None,
    )


def unpacked(data: bytes) -> VoicePrint:
    """Return the print that `VoicePrint.packed` wrote. Raises ValueError for any other bytes."""
    import numpy as np

    if len(data) != _LAYOUT.size or data[0] != _VERSION:
        raise ValueError("the bytes are not a voice print of this form")
    _, frames, pitch, *rest = _LAYOUT.unpack(data)
    values = np.array(rest)
    if not (np.isfinite(values).all() and np.abs(values).max() < _LARGEST and 1.0 <= frames <= _MOST_FRAMES):
        raise ValueError("the voice print has a value out of range")
    if not (math.isnan(pitch) or abs(pitch) < _LARGEST):
        raise ValueError("the voice print has a pitch out of range")
    covariance = np.zeros((COEFFICIENTS, COEFFICIENTS))
    covariance[np.triu_indices(COEFFICIENTS)] = values[COEFFICIENTS:]
    covariance += np.triu(covariance, 1).T
    if np.linalg.eigvalsh(covariance)[0] <= 0.0:
        raise ValueError("the voice print's covariance is not positive definite")
    return VoicePrint(
        frames=frames,
        mean=values[:COEFFICIENTS],
        covariance=covariance,
        pitch=None if math.isnan(pitch) else pitch,
    )


def distance(one: VoicePrint, other: VoicePrint) -> float:
    """Return the distance of two voices in nats: >= 0, symmetric, 0 but for rounding between a print and itself.

    It is the log determinant of the joint covariance minus the mean of the separate ones, plus at most `_PITCH_COUNTS`
    for the difference of pitch.
    """
    import numpy as np

    pooled = 0.5 * (one.covariance + other.covariance)
    steady = [(each.covariance * each.frames + pooled * _TYPICAL) / (each.frames + _TYPICAL) for each in (one, other)]
    apart = one.mean - other.mean
    joint = 0.5 * (steady[0] + steady[1]) + 0.25 * np.outer(apart, apart)
    together, *alone = (float(np.linalg.slogdet(each)[1]) for each in (joint, *steady))
    spread = max(0.0, together - 0.5 * sum(alone))
    if one.pitch is None or other.pitch is None:
        return spread
    return spread + _PITCH_COUNTS * min(((one.pitch - other.pitch) / _PITCH_VARIES) ** 2, 1.0)


def similarity(one: VoicePrint, other: VoicePrint) -> float:
    """Return the likelihood that both prints are of one person, 0..1.

    0.5 is undecided; prints of a few seconds stay near it.
    """
    least = min(one.frames, other.frames)
    undecided = _UNDECIDED + _SCATTER / max(least, _SCATTER / 2)
    exponent = _STEEPNESS * least / (least + _TRUSTED) * (distance(one, other) - undecided)
    return 1.0 / (1.0 + math.exp(min(exponent, 60.0)))

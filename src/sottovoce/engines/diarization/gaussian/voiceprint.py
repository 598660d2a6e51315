"""A voice in half a kilobyte: how its spectrum and pitch are spread, and how alike two such are. No recording is needed."""

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
"""Name and version of the prints; another way of computing them must have another."""

_VERSION = 1
_PAIRS = COEFFICIENTS * (COEFFICIENTS + 1) // 2
_LAYOUT = struct.Struct(f"<B2f{COEFFICIENTS}f{_PAIRS}f")  # version, frames, pitch, means, covariances
_LARGEST = 1e4  # of any number in a print but the frames: cepstra are some tens
_MOST_FRAMES = 1e9

_TYPICAL = 100.0  # frames that a print is thought to have of the covariance of both, which steadies short ones
_PITCH_VARIES = 0.24  # of one person's median log pitch, from talk to talk
_PITCH_COUNTS = 0.5  # at most
# Distance at which two prints of many frames are undecided, what few frames add to it, and how fast it is decided away
# from there: docs/speakers.md.
_UNDECIDED = 1.2
_SCATTER = 200.0
_STEEPNESS = 4.0
_TRUSTED = 200.0  # frames of which a print is half as trustworthy as it can get


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicePrint:
    """*frames* it was made of; *mean* [d] and *covariance* [d, d] of the cepstra; *pitch*: median log Hz, or None."""

    frames: float
    mean: "Array"
    covariance: "Array"
    pitch: float | None

    def packed(self) -> bytes:
        """As bytes; equal prints give equal ones."""
        import numpy as np

        pitch = math.nan if self.pitch is None else self.pitch
        upper = self.covariance[np.triu_indices(COEFFICIENTS)]
        return _LAYOUT.pack(_VERSION, self.frames, pitch, *self.mean.tolist(), *upper.tolist())


def printed(parts: "Sequence[Halves]", pitch: "Halves") -> VoicePrint:
    """Of one voice's frames, [n, d] a part, n >= 1 in all, and their log pitches (NaN: unvoiced)."""
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
    """What `VoicePrint.packed` wrote. Raises ValueError for anything that it cannot have written."""
    import numpy as np

    if len(data) != _LAYOUT.size or data[0] != _VERSION:
        raise ValueError("this is no voice print of this form")
    _, frames, pitch, *rest = _LAYOUT.unpack(data)
    values = np.array(rest)
    if not (np.isfinite(values).all() and np.abs(values).max() < _LARGEST and 1.0 <= frames <= _MOST_FRAMES):
        raise ValueError("a voice print with impossible values")
    if not (math.isnan(pitch) or abs(pitch) < _LARGEST):
        raise ValueError("a voice print with an impossible pitch")
    covariance = np.zeros((COEFFICIENTS, COEFFICIENTS))
    covariance[np.triu_indices(COEFFICIENTS)] = values[COEFFICIENTS:]
    covariance += np.triu(covariance, 1).T
    if np.linalg.eigvalsh(covariance)[0] <= 0.0:
        raise ValueError("a voice print whose covariance is none")
    return VoicePrint(
        frames=frames,
        mean=values[:COEFFICIENTS],
        covariance=covariance,
        pitch=None if math.isnan(pitch) else pitch,
    )


def distance(one: VoicePrint, other: VoicePrint) -> float:
    """How far two voices are apart, >= 0, the same both ways; nothing but rounding for a print and itself.

    The log of how much more room both take up together than each alone, and a little for the difference of pitch.
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
    """How likely both are one person, 0..1; 0.5 where it cannot be told, and near it where a print is of a few seconds."""
    least = min(one.frames, other.frames)
    undecided = _UNDECIDED + _SCATTER / max(least, _SCATTER / 2)
    exponent = _STEEPNESS * least / (least + _TRUSTED) * (distance(one, other) - undecided)
    return 1.0 / (1.0 + math.exp(min(exponent, 60.0)))

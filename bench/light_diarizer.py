"""The baseline of the builtin diarizer: clusters windows of two seconds by the adaptation of a mixture to each window.

Cepstra and their differences, a mixture trained on the recording, its adapted means and the pitch per window, Ward's
clustering, and a number of speakers read off the heights (research `engines.md` §3, "light", T = 1.8). Numpy alone.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sottovoce.engines.protocols import (
    Capabilities,
    DiarizationHints,
    Diarized,
    Skill,
    Speech,
    SpeechSource,
    Turn,
    Voice,
)
from sottovoce.transcript.model import RATE

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_WINDOW, _HOP = 200, 50  # frames of 10 ms
_STANDS_OUT = 1.8  # times the height of an ordinary merge
_MOST = 8  # speakers
_RELEVANCE = 8.0
_COEFFICIENTS = 19
_DIMENSIONS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Frames *first* … *last* (exclusive) of stretch *stretch*."""

    stretch: int
    first: int
    last: int


class LightDiarizer:
    """A `Diarizer` without prints."""

    @property
    def capabilities(self) -> Capabilities:
        """Speakers, and no prints."""
        return Capabilities(
            engine="light", model="windows", languages=frozenset(), skills=frozenset({Skill.DIARIZATION})
        )

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """The turns of the speakers; *hints* are ignored."""
        del hints
        stretches = [stretch for stretch in listen() if len(stretch.audio) >= RATE // 40]
        if not stretches:
            return Diarized()
        features = _standardised([_features(stretch.audio) for stretch in stretches])
        windows = _windows([len(each) for each in features])
        if sum(len(each) for each in features) < 150 or len(windows) < 2:
            labels: Labels = np.zeros(len(windows), np.intp)
        else:
            points = _points(features, stretches, windows)
            merges, heights = ward(points)
            labels = cut(merges, _speakers(heights))
        turns = [turn for at, stretch in enumerate(stretches) for turn in _turns(at, stretch, windows, labels)]
        return Diarized(turns=tuple(turns), voices=tuple(Voice(voiceprint=b"") for _ in range(int(labels.max()) + 1)))

    def similarity(self, one: bytes, other: bytes) -> float:
        """Always raises ValueError: this method has no prints."""
        del one, other
        raise ValueError("the light method has no prints")


# ── features ──


def _features(audio: NDArray[np.float32]) -> Array:
    """19 cepstra and their differences, [n, 38]."""
    sound = np.append(audio[0], audio[1:] - 0.97 * audio[:-1]).astype(np.float64)
    cut_up = np.lib.stride_tricks.sliding_window_view(sound, 400)[::160]
    power = np.abs(np.fft.rfft(cut_up * np.hamming(400), 512)) ** 2
    logs = np.log(power @ _bands().T + 1e-10)
    order, band = np.arange(1, _COEFFICIENTS + 1), np.arange(26)[:, None]
    cepstra = logs @ (np.sqrt(2 / 26) * np.cos(np.pi * order * (band + 0.5) / 26))
    return np.hstack([cepstra, np.vstack([np.zeros((1, _COEFFICIENTS)), np.diff(cepstra, axis=0)])])


def _bands() -> Array:
    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(mel(60), mel(7600), 28) / 2595) - 1)
    bins = np.floor(513 * edges / RATE).astype(int)
    bands = np.zeros((26, 257))
    for at in range(26):
        low, middle, high = bins[at : at + 3]
        bands[at, low : middle + 1] = np.linspace(0, 1, middle - low + 1)
        bands[at, middle : high + 1] = np.linspace(1, 0, high - middle + 1)
    return bands


def _standardised(features: list[Array]) -> list[Array]:
    every = np.concatenate(features)
    mean, deviation = every.mean(axis=0), every.std(axis=0) + 1e-6
    return [(each - mean) / deviation for each in features]


def _windows(lengths: list[int]) -> list[_Window]:
    found = []
    for stretch, length in enumerate(lengths):
        first = 0
        while True:
            found.append(_Window(stretch=stretch, first=first, last=min(first + _WINDOW, length)))
            if first + _WINDOW >= length:
                break
            first += _HOP
    return found


def _pitch(audio: NDArray[np.float32]) -> float:
    """Median log pitch of a window, NaN where there is too little."""
    found = []
    for at in range(0, len(audio) - 640, 320):
        part = audio[at : at + 640] * np.hanning(640)
        if (part**2).sum() < 1e-3:
            continue
        alike = np.fft.irfft(np.abs(np.fft.rfft(part, 2048)) ** 2)[:640]
        alike /= alike[0] + 1e-9
        lag = 40 + int(np.argmax(alike[40:260]))
        if alike[lag] > 0.35:
            found.append(float(np.log(RATE / lag)))
    return float(np.median(found)) if len(found) > 3 else float("nan")


def _points(features: list[Array], stretches: list[Speech], windows: list[_Window]) -> Array:
    """The point of each window: the adapted means of the mixture, reduced to few dimensions, and the pitch."""
    every = np.concatenate(features)
    mixture = _mixture(every[:: max(1, len(every) // 6000)], 32 if len(every) > 3000 else 16)
    weights, means, variances = mixture
    moved = []
    for each in windows:
        frames = features[each.stretch][each.first : max(each.last, each.first + 5)]
        shares = _shares(frames, mixture)[0]
        count = shares.sum(axis=0)[:, None]
        adapted = count / (count + _RELEVANCE) * ((shares.T @ frames) / (count + 1e-6) - means)
        moved.append((adapted * np.sqrt(weights)[:, None] / np.sqrt(variances)).ravel())
    vectors = np.array(moved)
    left, sizes, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    kept = min(_DIMENSIONS, len(sizes))
    points = left[:, :kept] * sizes[:kept]
    points /= np.linalg.norm(points, axis=1).mean() + 1e-12
    return np.hstack([points, 0.5 * _heights_of_voice(stretches, windows)[:, None] / 0.25])


def _heights_of_voice(stretches: list[Speech], windows: list[_Window]) -> Array:
    pitch = np.array([_pitch(stretches[each.stretch].audio[each.first * 160 : each.last * 160]) for each in windows])
    known = pitch[np.isfinite(pitch)]
    pitch = np.where(np.isfinite(pitch), pitch, np.median(known) if len(known) else 0.0)
    found: Array = pitch - pitch.mean()
    return found


# ── the mixture ──

_Mixture = tuple[Array, Array, Array]


def _mixture(frames: Array, components: int) -> _Mixture:
    """Weights, means and variances after k-means and at most 30 rounds."""
    chance = np.random.default_rng(0)
    centres = frames[[int(chance.integers(len(frames)))]]
    while len(centres) < components:  # k-means++
        nearest = _squared(frames, centres).min(axis=1)
        share = nearest / nearest.sum() if nearest.sum() else np.full(len(frames), 1 / len(frames))
        centres = np.vstack([centres, frames[chance.choice(len(frames), p=share)]])
    for _ in range(20):
        near = np.eye(components)[_squared(frames, centres).argmin(axis=1)]
        centres = (near.T @ frames) / np.maximum(near.sum(axis=0), 1)[:, None]
    shares = np.eye(components)[_squared(frames, centres).argmin(axis=1)]
    last = -np.inf
    mixture = _maximised(frames, shares)
    for _ in range(30):
        shares, score = _shares(frames, mixture)
        mixture = _maximised(frames, shares)
        if score - last < 1e-3:
            break
        last = score
    return mixture


def _squared(frames: Array, centres: Array) -> Array:
    found: Array = np.maximum((frames**2).sum(axis=1)[:, None] - 2 * frames @ centres.T + (centres**2).sum(axis=1), 0.0)
    return found


def _maximised(frames: Array, shares: Array) -> _Mixture:
    held = shares.sum(axis=0) + 1e-9
    means = (shares.T @ frames) / held[:, None]
    variances = np.maximum((shares.T @ frames**2) / held[:, None] - means**2, 0.0) + 1e-3
    return held / held.sum(), means, variances


def _shares(frames: Array, mixture: _Mixture) -> tuple[Array, float]:
    """Each component's share of each frame, and the mean log likelihood."""
    weights, means, variances = mixture
    constant = np.log(weights) - 0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(axis=1)
    scores = constant + frames @ (means / variances).T - 0.5 * frames**2 @ (1 / variances).T
    highest = scores.max(axis=1, keepdims=True)
    shares = np.exp(scores - highest)
    sums = shares.sum(axis=1, keepdims=True)
    return shares / sums, float((highest + np.log(sums)).mean())


# ── clusters ──


def ward(points: Array) -> tuple[list[tuple[int, int]], list[float]]:
    """Merges of Ward's linkage, each (kept, gone) by first member, and their heights."""
    squared = _squared(points, points)
    np.fill_diagonal(squared, np.inf)
    sizes = np.ones(len(points))
    merges: list[tuple[int, int]] = []
    heights: list[float] = []
    for _ in range(len(points) - 1):
        one, other = sorted(divmod(int(np.argmin(squared)), len(points)))
        height = squared[one, other]
        both = sizes[one] + sizes[other]
        joined = (
            ((sizes[one] + sizes) * squared[one] + (sizes[other] + sizes) * squared[other] - sizes * height)
            / (both + sizes)
            if np.isfinite(height)
            else squared[one]
        )
        squared[one], squared[:, one] = joined, joined
        squared[one, one] = np.inf
        squared[other], squared[:, other] = np.inf, np.inf
        sizes[one] = both
        merges.append((one, other))
        heights.append(float(np.sqrt(height)))
    return merges, heights


def cut(merges: list[tuple[int, int]], speakers: int) -> Labels:
    """The labels when *speakers* clusters are left."""
    labels = np.arange(len(merges) + 1)
    for kept, gone in merges[: len(merges) + 1 - speakers]:
        labels[labels == gone] = kept
    return np.unique(labels, return_inverse=True)[1]


def _speakers(heights: list[float]) -> int:
    """The number of speakers: splits count while the merge is higher than `_STANDS_OUT` times the ninth to the fourteenth."""
    falling = heights[::-1]
    ordinary = falling[min(_MOST, len(falling) - 1) : min(_MOST + 6, len(falling))]
    usual = float(np.mean(ordinary if len(falling) > _MOST else [np.median(falling)]))
    found = 1
    while found < _MOST and found <= len(falling) and falling[found - 1] > _STANDS_OUT * usual:
        found += 1
    return found


def _turns(at: int, stretch: Speech, windows: list[_Window], labels: Labels) -> list[Turn]:
    """Give every 10 ms the label of the window whose middle is nearest."""
    length = len(stretch.audio) // 160
    votes = np.zeros((length, int(labels.max()) + 1))
    for window, label in zip(windows, labels.tolist(), strict=True):
        last = min(window.last, length)
        if window.stretch != at or last <= window.first:
            continue
        half = max(1.0, (last - window.first) / 2)
        away = np.abs(np.arange(window.first, last) - (window.first + last) / 2)
        votes[window.first : last, label] += 1 - 0.5 * away / half
    path = votes.argmax(axis=1)
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), length]
    return [
        Turn(start=stretch.start + first * 160, end=stretch.start + last * 160, voice=int(path[first]))
        for first, last in pairwise(edges)
        if last > first
    ]

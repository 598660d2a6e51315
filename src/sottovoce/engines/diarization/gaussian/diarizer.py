"""A deterministic speaker diarizer that needs numpy alone, without a trained model (docs/speakers.md).

Speech is cut where the voice may change, the segments are clustered into voices, and Viterbi decoding assigns every
frame to a voice. Memory: 40 bytes per 10 ms of speech; the audio is not kept.
In order: the constants; `GaussianDiarizer`; `Recording`, which finds the voices; labels to turns and voice prints.
"""

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.gaussian import voiceprint
from sottovoce.engines.diarization.gaussian.clustering import cluster_in_blocks, neighbour_gains
from sottovoce.engines.diarization.gaussian.features import COEFFICIENTS, FRAME, frames
from sottovoce.engines.diarization.gaussian.likelihood import Prior, SufficientStats, sufficient_stats
from sottovoce.engines.diarization.gaussian.viterbi import log_likelihoods, viterbi
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
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Halves = NDArray[np.float16]
    Labels = NDArray[np.intp]

CAPABILITIES = Capabilities(
    engine="builtin",
    model="voices",
    languages=frozenset(),
    skills=frozenset({Skill.DIARIZATION, Skill.LIVE_DIARIZATION}),
    voiceprints=voiceprint.FORM,
)
"""The capabilities, the same on every machine."""

# The unit of time is the frame of 10 ms, that of scores the nat. The values were tuned on the recordings of
# docs/speakers.md ("Measured"), which lists what each does when it is a quarter smaller or larger.

_ENOUGH = 150  # frames: less than 1.5 s of speech count as one voice
_PIECE = 50  # frames: 0.5 s; the first borders lie between pieces, Viterbi decoding moves them afterwards
_LONGEST = 3_000  # frames cut at once: the time grows with the square
_SAMPLED = 3_000  # frames of each cluster that enter its log likelihood ratio

# Nats by which one mixture for two clusters may fit worse than one for each (`likelihood.merge_log_likelihood_ratio`)
# while they still count as one voice. It grows with the recording up to `_CERTAIN` frames (80 s), because one person's
# speech becomes more varied with its length.
_DOUBT = 375.0
_CERTAIN = 8_000
_LEAST = 0.33  # smallest share of it, for short recordings
_RANGE = 5.0  # factor at sensitivity 0, divisor at sensitivity 1

# A recording of more than `_WHOLE` frames (200 s) is clustered in parts of about `_PART` (80 s) first, with this share
# of the doubt: a voice that says little in a part must survive it, and the last round merges what is one voice.
_WHOLE = 20_000
_PART = 8_000
_PART_DOUBT = 0.65

_STEP = 5  # frames per Viterbi step: 50 ms
_FIT = 0.25  # weight of a frame's log likelihood in Viterbi decoding: successive frames are correlated
_CHANGE = 25.0  # nats: cost of a change of voice
_CHANGE_LOATH = 75.0  # nats: the same with `prefer_current`
_MIDDLE: Samples = 120  # from a frame's start to the midpoint between its centre and the previous frame's
_SHORTEST = 300  # frames: 3 s, the least speech of a voice in a recording of 15 s or more
_SHARE = 0.2  # the least share of the speech in shorter recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Features of one stretch of speech: *cepstra* float16[n, d], *pitch* float16[n] in log Hz; *start* … *end* in the media."""

    start: Samples
    end: Samples
    cepstra: "Halves"
    pitch: "Halves"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """Frames *first* … *last* (exclusive) of stretch number *stretch*, taken to be one voice."""

    stretch: int
    first: int
    last: int


class GaussianDiarizer:
    """A `Diarizer` without state: creating one loads nothing, and one instance may serve many recordings."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities: diarization in any language."""
        return CAPABILITIES

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """Return turns and voices, voices in order of appearance. Calls *listen* once; does not detect overlapping speech."""
        heard = [_heard(stretch) for stretch in listen() if len(stretch.audio)]
        if not heard:
            return Diarized()
        return _diarized(heard, Recording(heard).labels(hints))

    def similarity(self, one: bytes, other: bytes) -> float:
        """Return the likelihood that two prints are of one person, 0..1. Raises ValueError for bytes that are no print."""
        return voiceprint.similarity(voiceprint.unpacked(one), voiceprint.unpacked(other))


def _heard(stretch: Speech) -> Heard:
    import numpy as np

    found = frames(stretch.audio)
    return Heard(
        start=stretch.start,
        end=stretch.end,
        cepstra=found.cepstra.astype(np.float16),
        pitch=found.pitch.astype(np.float16),
    )


class Recording:
    """The features of one recording, with their prior and whitening transform.

    *sampled*: frames of each cluster that enter its log likelihood ratio. *shortest*: frames, the least speech of a voice.
    """

    def __init__(self, heard: "Sequence[Heard]", *, sampled: int = _SAMPLED, shortest: int = _SHORTEST) -> None:
        import numpy as np

        self._heard = heard
        self._sampled, self._shortest = sampled, shortest
        self._frames = sum(len(each.cepstra) for each in heard)
        mean = np.sum([each.cepstra.sum(axis=0, dtype=np.float64) for each in heard], axis=0) / self._frames
        squares = np.zeros((COEFFICIENTS, COEFFICIENTS))
        for each in heard:
            away = each.cepstra.astype(np.float64) - mean
            squares += away.T @ away
        covariance = squares / self._frames + 1e-3 * np.eye(COEFFICIENTS)
        self._prior = Prior(mean, covariance)
        values, vectors = np.linalg.eigh(covariance)
        self._white = vectors / np.sqrt(values)

    def labels(self, hints: DiarizationHints) -> "list[Labels]":
        """Return the voice of each frame of each stretch: 0, 1, … by first appearance."""
        import numpy as np

        if self._frames < _ENOUGH:
            return [np.zeros(len(each.cepstra), np.intp) for each in self._heard]
        doubt = _DOUBT * min(1.0, max(_LEAST, self._frames / _CERTAIN)) * _RANGE ** (1.0 - 2.0 * hints.sensitivity)
        change = change_cost(hints)
        voices = self._begun(doubt)
        if len(voices) > 1:
            voices = self._joined(_voices(self._fitted(voices, change)), doubt)
            voices = self._long_enough(voices)
        return self._fitted(voices, change)

    def _begun(self, doubt: float) -> "list[list[_Segment]]":
        """Return the voices; of a long recording, cluster each part first and then the clusters of all parts.

        Clustered at once, an hour of one voice forms clusters of similar sounds, which differ more than two voices do.
        A cluster of a part contains a variety of sounds.
        """
        if self._frames <= _WHOLE:
            return self._joined([[segment] for segment in self._segments()], doubt)
        count = round(self._frames / _PART)
        parts: list[list[list[_Segment]]] = [[] for _ in range(count)]
        before = 0
        for segment in self._segments():
            length = segment.last - segment.first
            parts[(2 * before + length) * count // (2 * self._frames)].append([segment])
            before += length
        voices = [voice for part in parts if part for voice in self._joined(part, _PART_DOUBT * doubt)]
        return self._joined(voices, doubt)

    def _segments(self) -> "Iterator[_Segment]":
        """Cut every stretch where the voice may change."""
        import numpy as np

        for number, each in enumerate(self._heard):
            for begin in range(0, len(each.cepstra), _LONGEST):
                part = each.cepstra[begin : begin + _LONGEST].astype(np.float64)
                pieces = np.array_split(part, max(1, round(len(part) / _PIECE)))
                edges = begin + np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
                for first, last in neighbour_gains(sufficient_stats(pieces), self._prior):
                    yield _Segment(stretch=number, first=int(edges[first]), last=int(edges[last]))

    def _joined(self, groups: "list[list[_Segment]]", doubt: float) -> "list[list[_Segment]]":
        """Return *groups* of segments with those of one voice merged."""
        tallies = [self._tally(group) for group in groups]
        whole = SufficientStats(
            count=_stacked([each.count for each in tallies]),
            total=_stacked([each.total for each in tallies]),
            squares=_stacked([each.squares for each in tallies]),
        )

        def sample(which: "Sequence[int]") -> "Array":
            return self._sample([segment for at in which for segment in groups[at]])

        labels = cluster_in_blocks(whole, self._prior, sample, doubt=doubt)
        joined: list[list[_Segment]] = [[] for _ in range(int(labels.max()) + 1)]
        for label, group in zip(labels.tolist(), groups, strict=True):
            joined[label] += group
        return joined

    def _tally(self, segments: "Sequence[_Segment]") -> SufficientStats:
        """Return the statistics of all *segments* together; one at a time, because a voice may have hours of them."""
        return reduce(SufficientStats.__add__, (sufficient_stats([self._cepstra([each])]) for each in segments))

    def _cepstra(self, segments: "Sequence[_Segment]", every: int = 1) -> "Array":
        import numpy as np

        parts = [self._heard[each.stretch].cepstra[each.first : each.last : every] for each in segments]
        return np.concatenate(parts).astype(np.float64)

    def _sample(self, segments: "Sequence[_Segment]") -> "Array":
        """Return at most `_sampled` whitened frames of *segments*, evenly spread, [n, d]."""
        import numpy as np

        every = max(1, sum(each.last - each.first for each in segments) // (4 * self._sampled))
        cepstra = self._cepstra(segments, every)
        at = np.linspace(0, len(cepstra) - 1, min(len(cepstra), self._sampled)).astype(np.intp)
        white: Array = (cepstra[at] - self._prior.mean) @ self._white
        return white

    def _long_enough(self, voices: "list[list[_Segment]]") -> "list[list[_Segment]]":
        """Return *voices* without the shortest ones, which are a cough, a laugh or overlapping speech; at least one."""
        lengths = [sum(each.last - each.first for each in voice) for voice in voices]
        least = min(self._shortest, _SHARE * self._frames)
        kept = [voice for voice, length in zip(voices, lengths, strict=True) if length >= least]
        return kept or [voices[lengths.index(max(lengths))]]

    def _fitted(self, voices: "list[list[_Segment]]", change: float) -> "list[Labels]":
        """Assign each frame of each stretch to one of *voices* by Viterbi decoding; labels by first appearance."""
        import numpy as np

        if len(voices) == 1:
            return [np.zeros(len(each.cepstra), np.intp) for each in self._heard]
        models = self._models(voices)
        return _numbered([models.labels(each.cepstra, change) for each in self._heard])

    def models(self, paths: "Sequence[Labels]") -> "VoiceModels":
        """Return the Gaussian of each voice of *paths*, which `labels` returned."""
        return self._models(_voices(paths))

    def _models(self, voices: "Sequence[Sequence[_Segment]]") -> "VoiceModels":
        tallies = [self._tally(voice) for voice in voices]
        sounds = [self._prior.voices(each) for each in tallies]
        means, covariances = (_stacked([sound[at] for sound in sounds]) for at in (0, 1))
        return VoiceModels(means=means, covariances=covariances)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceModels:
    """The Gaussians of k voices: *means* [k, d], *covariances* [k, d, d]."""

    means: "Array"
    covariances: "Array"

    def labels(self, cepstra: "Halves", change: float) -> "Labels":
        """Return the voice of each frame of *cepstra*, n >= 1, by Viterbi decoding; *change*: cost of a change, in nats."""
        import numpy as np

        scores = _FIT * log_likelihoods(cepstra.astype(np.float64), self.means, self.covariances)
        steps = np.add.reduceat(scores, np.arange(0, len(scores), _STEP), axis=0)
        return np.repeat(viterbi(steps, change), _STEP)[: len(scores)]

    def nearest(self, voice: int, others: "Sequence[int]") -> int:
        """Return which of *others* is most like *voice*: the least divergence (Jensen-Shannon, of one Gaussian each)."""
        import numpy as np

        def away(other: int) -> float:
            apart = self.means[voice] - self.means[other]
            one, two = self.covariances[voice], self.covariances[other]
            joint, *alone = (
                np.linalg.slogdet(each)[1] for each in (0.5 * (one + two) + 0.25 * np.outer(apart, apart), one, two)
            )
            return float(joint - 0.5 * sum(alone))

        return min(others, key=away)


def change_cost(hints: DiarizationHints) -> float:
    """Return the cost of a change of voice in Viterbi decoding, in nats."""
    return _CHANGE_LOATH if hints.prefer_current else _CHANGE


def _stacked(arrays: "Sequence[Array]") -> "Array":
    import numpy as np

    return np.concatenate(arrays)


def _numbered(paths: "list[Labels]") -> "list[Labels]":
    """Return *paths* with their labels renumbered from 0 by first appearance."""
    import numpy as np

    order: dict[int, int] = {}
    for path in paths:
        found, first = np.unique(path, return_index=True)
        for label in found[np.argsort(first)].tolist():
            order.setdefault(label, len(order))
    table = np.zeros(max(order) + 1, np.intp)
    table[list(order)] = list(order.values())
    return [table[path] for path in paths]


def _runs(path: "Labels") -> "Iterator[tuple[int, int, int]]":
    """Yield (first frame, one past the last, label) of each run of one label."""
    import numpy as np

    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    for first, last in pairwise(edges):
        yield first, last, int(path[first])


def _voices(paths: "Sequence[Labels]") -> "list[list[_Segment]]":
    """Return the segments of each label; every label from 0 on has some."""
    voices: list[list[_Segment]] = [[] for _ in range(1 + max(int(path.max()) for path in paths))]
    for number, path in enumerate(paths):
        for first, last, label in _runs(path):
            voices[label].append(_Segment(stretch=number, first=first, last=last))
    return voices


def _diarized(heard: "Sequence[Heard]", paths: "Sequence[Labels]") -> Diarized:
    turns: list[Turn] = []
    for each, path in zip(heard, paths, strict=True):
        for first, last, label in _runs(path):
            start = each.start + first * FRAME + _MIDDLE if first else each.start
            end = each.start + last * FRAME + _MIDDLE if last < len(path) else each.end
            if turns and turns[-1].voice == label and turns[-1].end == start:
                start = turns.pop().start
            turns.append(Turn(start=start, end=end, voice=label))
    return Diarized(turns=tuple(turns), voices=tuple(_voice(heard, voice) for voice in _voices(paths)))


def _voice(heard: "Sequence[Heard]", segments: "Sequence[_Segment]") -> Voice:
    """Return the voice print and pitch of one voice from all its *segments*."""
    import numpy as np

    parts = [heard[each.stretch].cepstra[each.first : each.last] for each in segments]
    pitch = np.concatenate([heard[each.stretch].pitch[each.first : each.last] for each in segments])
    made = voiceprint.printed(parts, pitch)
    return Voice(voiceprint=made.packed(), pitch=None if made.pitch is None else math.exp(made.pitch))

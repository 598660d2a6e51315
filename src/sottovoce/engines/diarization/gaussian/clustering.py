"""Agglomerative clustering of segments into voices: merge the best pair first, then choose where to stop.

Gains and weights are log marginal likelihoods and log likelihood ratios, in nats.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.gaussian.likelihood import Prior, SufficientStats, merge_log_likelihood_ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.intp]

MOST_VOICES = 60
"""Largest number of voices in a recording."""

# Independent frames: 30 s of speech. A longer cluster is scaled down to it; otherwise the evidence of small differences
# within one voice (mood, content) grows with the recording until it outweighs everything else.
_HEARD = 600.0
_GAIN = 50.0  # nats: largest weight of a merge, so that an obviously right merge cannot outweigh a wrong one


Sample = Callable[[Sequence[int]], "Array"]
"""Returns whitened frames [n, d], a few thousand at most, spread evenly over the segments with these numbers."""


def neighbour_gains(tally: SufficientStats, prior: Prior) -> list[tuple[int, int]]:
    """Merge consecutive pieces while the marginal likelihood rises; return segments (first piece, one past the last).

    *tally* has the statistics of each piece. A border between segments is where the voice may change.
    """
    parts = [tally[at : at + 1] for at in range(len(tally))]
    spans = [(at, at + 1) for at in range(len(tally))]
    alone: list[float] = prior.evidence(tally).tolist()

    def gain(at: int) -> float:
        return float(prior.evidence(parts[at] + parts[at + 1])[0]) - alone[at] - alone[at + 1]

    gains = [gain(at) for at in range(len(parts) - 1)]
    while gains and max(gains) > 0.0:
        at = gains.index(max(gains))
        parts[at] = parts[at] + parts.pop(at + 1)
        spans[at] = (spans[at][0], spans.pop(at + 1)[1])
        alone.pop(at + 1)
        alone[at] = float(prior.evidence(parts[at])[0])
        gains.pop(at)
        for side in (at - 1, at):
            if 0 <= side < len(gains):
                gains[side] = gain(side)
    return spans


class AgglomerativeClustering:
    """Merge k segments step by step into one cluster; `labels` returns the clusters of the best step.

    *tally* has the statistics of each segment. Every step merges the two clusters whose marginal likelihood rises most
    or falls least. A merge that raises it weighs `_GAIN`; any other weighs its `merge_log_likelihood_ratio` plus *doubt*
    (nats), at most `_GAIN`. The best step is the one with the highest sum of weights so far. At most *most* clusters
    are left. Time and memory grow with the square of k.
    """

    def __init__(
        self, tally: SufficientStats, prior: Prior, sample: Sample, *, doubt: float, most: int = MOST_VOICES
    ) -> None:
        self._prior, self._sample, self._doubt, self._most = prior, sample, doubt, most
        self._tally = SufficientStats(count=tally.count.copy(), total=tally.total.copy(), squares=tally.squares.copy())
        self._capped = tally.capped(_HEARD)
        self._members = [[at] for at in range(len(tally))]
        self._steps: list[tuple[int, int]] = []

    def labels(self) -> "Labels":
        """Return the cluster of each segment, [k]: 0, 1, … in arbitrary order."""
        import numpy as np

        weights = self._all_steps()
        sums = np.concatenate([[0.0], np.cumsum(weights)])
        steps = len(sums) - 1 - int(np.argmax(sums[::-1]))
        labels = np.arange(len(self._members))
        for kept, gone in self._steps[:steps]:
            labels[labels == gone] = kept
        return np.unique(labels, return_inverse=True)[1]

    def _all_steps(self) -> list[float]:
        """Merge down to one cluster; return the weight of each step in nats, k - 1 of them."""
        import numpy as np

        weights: list[float] = []
        alone = self._prior.evidence(self._capped)
        gains = self._gains(alone)
        best, partner = gains.max(axis=1), gains.argmax(axis=1)
        left = np.ones(len(alone), bool)
        for standing in range(len(alone), 1, -1):
            kept = int(np.argmax(np.where(left, best, -np.inf)))
            gone = int(partner[kept])
            weights.append(self._weight(kept, gone, float(best[kept]), standing))
            self._join(kept, gone)
            left[gone] = False
            alone[kept] = self._prior.evidence(self._capped[kept : kept + 1])[0]
            gains[gone, :] = gains[:, gone] = -np.inf
            others = np.flatnonzero(left)
            others = others[others != kept]
            if not len(others):
                break
            fresh = self._prior.evidence(self._capped[kept : kept + 1] + self._capped[others])
            gains[kept, others] = gains[others, kept] = fresh - alone[kept] - alone[others]
            stale = np.append(others[(partner[others] == kept) | (partner[others] == gone)], kept)
            best[stale], partner[stale] = gains[stale].max(axis=1), gains[stale].argmax(axis=1)
            better = others[gains[others, kept] > best[others]]
            best[better], partner[better] = gains[better, kept], kept
        return weights

    def _gains(self, alone: "Array") -> "Array":
        """Return the gain in log marginal likelihood of merging each pair, [k, k]; -inf on the diagonal."""
        import numpy as np

        gains = np.full((len(alone), len(alone)), -np.inf)
        for at in range(len(alone) - 1):
            joint = self._prior.evidence(self._capped[at : at + 1] + self._capped[at + 1 :])
            gains[at, at + 1 :] = gains[at + 1 :, at] = joint - alone[at] - alone[at + 1 :]
        return gains

    def _weight(self, kept: int, gone: int, gain: float, standing: int) -> float:
        if gain > 0.0 or standing > self._most:
            return _GAIN
        one, other = (self._sample(self._members[each]) for each in (kept, gone))
        return min(_GAIN, merge_log_likelihood_ratio(one, other) + self._doubt)

    def _join(self, kept: int, gone: int) -> None:
        self._steps.append((kept, gone))
        self._members[kept] = self._members[kept] + self._members[gone]
        whole, at = self._tally, slice(kept, kept + 1)
        for values in (whole.count, whole.total, whole.squares):
            values[kept] += values[gone]
        short = whole[at].capped(_HEARD)
        self._capped.count[at], self._capped.total[at], self._capped.squares[at] = (
            short.count,
            short.total,
            short.squares,
        )


def cluster_in_blocks(
    tally: SufficientStats, prior: Prior, sample: Sample, *, doubt: float, block: int = 400, most: int = MOST_VOICES
) -> "Labels":
    """Return labels [k] for any number of segments: cluster *block* consecutive ones at a time, then all blocks' clusters.

    A block leaves at most *block* / 10 clusters, so time grows linearly with the number of segments.
    """
    import numpy as np

    k = len(tally)
    if k <= block:
        return AgglomerativeClustering(tally, prior, sample, doubt=doubt, most=most).labels()
    labels = np.zeros(k, np.intp)
    found = 0
    for part in np.array_split(np.arange(k), -(-k // block)):
        own = AgglomerativeClustering(
            tally[part], prior, _shifted(sample, int(part[0])), doubt=doubt, most=block // 10
        ).labels()
        labels[part] = own + found
        found += int(own.max()) + 1
    members = [np.flatnonzero(labels == each).tolist() for each in range(found)]
    whole = SufficientStats(
        count=np.array([tally.count[each].sum() for each in members]),
        total=np.array([tally.total[each].sum(axis=0) for each in members]),
        squares=np.array([tally.squares[each].sum(axis=0) for each in members]),
    )

    def of_clusters(clusters: Sequence[int]) -> "Array":
        return sample([each for cluster in clusters for each in members[cluster]])

    return cluster_in_blocks(whole, prior, of_clusters, doubt=doubt, block=block, most=most)[labels]


def _shifted(sample: Sample, by: int) -> Sample:
    return lambda segments: sample([each + by for each in segments])

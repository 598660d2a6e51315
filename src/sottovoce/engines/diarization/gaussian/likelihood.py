"""Likelihoods of clusters of frames: is a cluster one voice, are two clusters the same voice?

In order: the constants; `SufficientStats`, which add up when clusters are merged; `Prior`, the marginal likelihood of a
cluster as one Gaussian voice; the log likelihood ratio of Gaussian mixtures, which decides on a merge.
Log likelihoods are in nats. All arrays are float64, which determinants of sums of squares need. docs/speakers.md lists
what each constant does when it is a quarter smaller or larger.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_WORTH = 0.2  # independent frames per frame: successive frames are correlated
# Strength of the prior in independent frames: of the recording's covariance, and of its mean.
_FIRMNESS = 20.0
_VAGUENESS = 0.02

_COMPONENTS = 8  # of a mixture: with fewer, one voice looks like two; with more, two look like one (docs/speakers.md)
_LEAST = 20  # frames per component at least
_ROUNDS = 12  # of expectation maximisation
_EXACT_FROM = 6  # argument from which Stirling's series is exact enough
_LEAST_SPREAD = 0.1  # variance floor of a component, as a share of the variance of all frames


@dataclass(frozen=True, slots=True, kw_only=True)
class SufficientStats:
    """Sufficient statistics of k clusters, in independent frames.

    *count* [k]: number of frames; *total* [k, d]: their sum; *squares* [k, d, d]: the sum of their outer products.
    """

    count: "Array"
    total: "Array"
    squares: "Array"

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, which: "slice | NDArray[np.intp]") -> "SufficientStats":
        return SufficientStats(count=self.count[which], total=self.total[which], squares=self.squares[which])

    def __add__(self, other: "SufficientStats") -> "SufficientStats":
        """Merge cluster by cluster; statistics of a single cluster are added to each of the others."""
        return SufficientStats(
            count=self.count + other.count, total=self.total + other.total, squares=self.squares + other.squares
        )

    def capped(self, most: float) -> "SufficientStats":
        """Return the same clusters, each scaled down to at most *most* independent frames."""
        import numpy as np

        share = most / np.maximum(self.count, most)
        return SufficientStats(
            count=self.count * share,
            total=self.total * share[:, None],
            squares=self.squares * share[:, None, None],
        )


def sufficient_stats(clusters: "list[Array]") -> SufficientStats:
    """Return the statistics of *clusters*, each of frames [n, d]."""
    import numpy as np

    return SufficientStats(
        count=np.array([_WORTH * len(each) for each in clusters]),
        total=np.array([_WORTH * each.sum(axis=0) for each in clusters]),
        squares=np.array([_WORTH * each.T @ each for each in clusters]),
    )


class Prior:
    """The normal-inverse-Wishart prior of every voice, centred on the whole recording.

    *mean* [d] and *covariance* [d, d] (positive definite) are those of the recording.
    """

    def __init__(self, mean: "Array", covariance: "Array") -> None:
        import numpy as np

        self.mean, self.covariance = mean, covariance
        self._d = len(mean)
        self._degrees = _FIRMNESS + self._d + 1
        self._scatter = covariance * _FIRMNESS + _VAGUENESS * np.outer(mean, mean)
        own = np.linalg.slogdet(covariance * _FIRMNESS)[1]
        self._constant = 0.5 * self._degrees * own - float(_log_gammas(np.array([0.5 * self._degrees]), self._d)[0])

    def evidence(self, stats: SufficientStats) -> "Array":
        """Return the log marginal likelihood [k], in nats, of each cluster as frames of one voice."""
        import numpy as np

        count, degrees = stats.count, self._degrees + stats.count
        volume = np.linalg.slogdet(self._posterior(stats)[1])[1]
        found: Array = (
            self._constant
            - 0.5 * count * self._d * np.log(np.pi)
            + _log_gammas(0.5 * degrees, self._d)
            - 0.5 * degrees * volume
            + 0.5 * self._d * np.log(_VAGUENESS / (_VAGUENESS + count))
        )
        return found

    def voices(self, stats: SufficientStats) -> "tuple[Array, Array]":
        """Return the posterior mean [k, d] and covariance [k, d, d] of each cluster's voice."""
        mean, scatter = self._posterior(stats)
        return mean, scatter / (_FIRMNESS + stats.count)[:, None, None]

    def _posterior(self, stats: SufficientStats) -> "tuple[Array, Array]":
        """Return the posterior mean [k, d] and scatter matrix [k, d, d] of each cluster."""
        weight = (_VAGUENESS + stats.count)[:, None]
        mean = (_VAGUENESS * self.mean + stats.total) / weight
        scatter = self._scatter + stats.squares - weight[:, :, None] * mean[:, :, None] * mean[:, None, :]
        return mean, scatter


def _log_gammas(x: "Array", d: int) -> "Array":
    """Return the log of the d-variate gamma function of *x* [k], without its constant power of pi.

    Every x must be > (d - 1) / 2.
    """
    import numpy as np

    at = x[:, None] - 0.5 * np.arange(d)
    shift = np.zeros_like(at)
    for _ in range(_EXACT_FROM):
        small = at < _EXACT_FROM
        shift -= np.where(small, np.log(np.where(small, at, 1.0)), 0.0)
        at = np.where(small, at + 1.0, at)
    series = (at - 0.5) * np.log(at) - at + 1.0 / (12.0 * at) - 1.0 / (360.0 * at**3)
    found: Array = (shift + series + 0.5 * np.log(2.0 * np.pi)).sum(axis=1)
    return found


# ── one voice or two ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mixture:
    """*weights* [m], *means* [m, d], *variances* [m, d]; *fit*: log likelihood (nats) of its training frames."""

    weights: "Array"
    means: "Array"
    variances: "Array"
    fit: float = 0.0


def merge_log_likelihood_ratio(one: "Array", other: "Array") -> float:
    """Return the log likelihood ratio, in nats, of one mixture for both clusters against one mixture for each.

    *one* [n, d] and *other* [m, d] are whitened frames (the recording's covariance is the unit matrix). The joint mixture
    has as many components as the two separate ones together, so the parameters are equal in number and no penalty is
    needed (Ajmera and Wooters, 2003). A more negative ratio is stronger evidence of two voices.
    """
    import numpy as np

    most = min(len(one), len(other)) // _LEAST
    components = min(_COMPONENTS, 1 << (max(most, 1).bit_length() - 1))
    first, second = (_trained(each, _split(each, components)) for each in (one, other))
    share = len(one) / (len(one) + len(other))
    both = _Mixture(
        weights=np.concatenate([first.weights * share, second.weights * (1.0 - share)]),
        means=np.concatenate([first.means, second.means]),
        variances=np.concatenate([first.variances, second.variances]),
    )
    return _trained(np.concatenate([one, other]), both).fit - first.fit - second.fit


def _split(frames: "Array", components: int) -> _Mixture:
    """Return an initial mixture: split at the median along the direction of largest variance, repeatedly.

    *components* is a power of two.
    """
    import numpy as np

    parts = [frames]
    while len(parts) < components:
        halves = []
        for part in parts:
            centred = part - part.mean(axis=0)
            along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
            order = np.argsort(along, kind="stable")
            halves += [part[order[: len(order) // 2]], part[order[len(order) // 2 :]]]
        parts = halves
    floor = _LEAST_SPREAD * _spread(frames)
    return _Mixture(
        weights=np.array([len(part) for part in parts]) / len(frames),
        means=np.array([part.mean(axis=0) for part in parts]),
        variances=np.array([part.var(axis=0) + floor for part in parts]),
    )


def _spread(frames: "Array") -> "Array":
    """Return the variance of each dimension, [d], plus a small constant so that none is 0."""
    found: Array = frames.var(axis=0) + 1e-3
    return found


def _trained(frames: "Array", mixture: _Mixture) -> _Mixture:
    """Return *mixture* after `_ROUNDS` rounds of expectation maximisation on *frames*."""
    import numpy as np

    squares, floor = frames**2, _LEAST_SPREAD * _spread(frames)
    weights, means, variances, fit = mixture.weights, mixture.means, mixture.variances, 0.0
    for _ in range(_ROUNDS):
        constant = np.log(weights) - 0.5 * (np.log(2.0 * np.pi * variances) + means**2 / variances).sum(axis=1)
        scores = constant + frames @ (means / variances).T - 0.5 * squares @ (1.0 / variances).T
        highest = scores.max(axis=1, keepdims=True)
        shares = np.exp(scores - highest)
        sums = shares.sum(axis=1, keepdims=True)
        fit = float((highest + np.log(sums)).sum())
        shares /= sums
        held = shares.sum(axis=0) + 1e-3
        means = shares.T @ frames / held[:, None]
        variances = np.maximum(shares.T @ squares / held[:, None] - means**2, floor)
        weights = held / held.sum()
    return _Mixture(weights=weights, means=means, variances=variances, fit=fit)

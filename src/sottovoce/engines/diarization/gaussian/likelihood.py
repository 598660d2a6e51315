"""How well sounds go together as one voice: Gaussians with a prior, and mixtures that find out whether two are better.

Everything is about clusters of frames. What is known of a cluster for the first question is its `Tally`: so two clusters
are joined by adding. All in float64: determinants of sums of squares need it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Frames that follow each other are alike: so many independent ones is each worth.
_WORTH = 0.2
# How firmly it is believed beforehand that a voice has the recording's covariance, and how vaguely its mean (both in
# independent frames).
_FIRMNESS = 20.0
_VAGUENESS = 0.02

_COMPONENTS = 8  # of a mixture: with fewer, one voice looks like two; with more, two look like one (docs/speakers.md)
_LEAST = 20  # frames that a component needs
_ROUNDS = 12
_EXACT_FROM = 6  # Stirling's series is
_LEAST_SPREAD = 0.1  # of a component, of the variance of all


@dataclass(frozen=True, slots=True, kw_only=True)
class SufficientStats:
    """Of k clusters: independent frames *count* [k], their *total* [k, d], their *squares* [k, d, d]."""

    count: "Array"
    total: "Array"
    squares: "Array"

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, which: "slice | NDArray[np.intp]") -> "SufficientStats":
        return SufficientStats(count=self.count[which], total=self.total[which], squares=self.squares[which])

    def __add__(self, other: "SufficientStats") -> "SufficientStats":
        """Each with each; one of a single cluster is added to all of the other."""
        return SufficientStats(
            count=self.count + other.count, total=self.total + other.total, squares=self.squares + other.squares
        )

    def capped(self, most: float) -> "SufficientStats":
        """The same clusters, those of more than *most* independent frames scaled down to so many."""
        import numpy as np

        share = most / np.maximum(self.count, most)
        return SufficientStats(
            count=self.count * share,
            total=self.total * share[:, None],
            squares=self.squares * share[:, None, None],
        )


def sufficient_stats(clusters: "list[Array]") -> SufficientStats:
    """Of frames [n, d] a cluster."""
    import numpy as np

    return SufficientStats(
        count=np.array([_WORTH * len(each) for each in clusters]),
        total=np.array([_WORTH * each.sum(axis=0) for each in clusters]),
        squares=np.array([_WORTH * each.T @ each for each in clusters]),
    )


class Prior:
    """What is believed of every voice before it is heard: a normal with an inverse Wishart, about the whole recording.

    *mean* [d] and *covariance* [d, d] (positive definite) are the recording's.
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
        """Log probability [k] of the frames of each cluster if they are one voice's."""
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
        """The mean [k, d] and covariance [k, d, d] to expect of each cluster's voice."""
        mean, scatter = self._posterior(stats)
        return mean, scatter / (_FIRMNESS + stats.count)[:, None, None]

    def _posterior(self, stats: SufficientStats) -> "tuple[Array, Array]":
        weight = (_VAGUENESS + stats.count)[:, None]
        mean = (_VAGUENESS * self.mean + stats.total) / weight
        scatter = self._scatter + stats.squares - weight[:, :, None] * mean[:, :, None] * mean[:, None, :]
        return mean, scatter


def _log_gammas(x: "Array", d: int) -> "Array":
    """Log of the d-variate gamma function of [k], without its constant power of pi; every x > (d - 1) / 2."""
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
    """*weights* [m], *means* [m, d], *variances* [m, d]; *fit*: log likelihood of the frames it was trained on."""

    weights: "Array"
    means: "Array"
    variances: "Array"
    fit: float = 0.0


def merge_log_likelihood_ratio(one: "Array", other: "Array") -> float:
    """How much better frames [n, d] and [m, d] fit one mixture than one each that has half as many components.

    Both sides have as many parameters, so that no penalty is needed (Ajmera and Wooters, 2003). The more negative, the
    more certainly they are two voices. The frames must be white (covariance of the recording: unit).
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
    """Halves at the median along the widest direction, halved again."""
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
    found: Array = frames.var(axis=0) + 1e-3
    return found


def _trained(frames: "Array", mixture: _Mixture) -> _Mixture:
    """*mixture* after some rounds of expectation and maximisation."""
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

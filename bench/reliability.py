"""Measures the calibration of confidence, and fits a confidence to evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BINS = 10
"""Number of bins of equal width for confidence; the last one includes its upper end."""

_RIDGE = 0.01  # keeps weights finite when the evidence separates right and wrong words completely
_STEPS = 50
_BLOCK = 30  # least words for one point of a line
_POINTS = 12  # most points of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One recognised word: its confidence 0..1, and whether it is right."""

    confidence: float
    right: bool


# ── how good a confidence is ──


def table(words: Sequence[Judged], bins: int = BINS) -> list[dict[str, Any]]:
    """For each bin that has words: its bounds, their number, mean confidence, and the share that is right."""
    rows = []
    for number in range(bins):
        held = [word for word in words if min(int(word.confidence * bins), bins - 1) == number]
        if held:
            rows.append(
                {
                    "from": round(number / bins, 3),
                    "to": round((number + 1) / bins, 3),
                    "words": len(held),
                    "confidence": sum(word.confidence for word in held) / len(held),
                    "right": sum(word.right for word in held) / len(held),
                }
            )
    return rows


def expected_error(words: Sequence[Judged], bins: int = BINS) -> float | None:
    """Expected calibration error: |confidence - share right| of each bin, weighted by its words; None without any."""
    gaps = (row["words"] * abs(row["confidence"] - row["right"]) for row in table(words, bins))
    return sum(gaps) / len(words) if words else None


def area(words: Sequence[Judged]) -> float | None:
    """Area under the ROC curve: the share of pairs in which the right word has more confidence than the wrong one; ties count half.

    None where all words are right, or none is.
    """
    ordered = sorted(words, key=lambda word: word.confidence)
    right = sum(word.right for word in ordered)
    wrong = len(ordered) - right
    if not right or not wrong:
        return None
    ranks, at = 0.0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end].confidence == ordered[at].confidence:
            end += 1
        ranks += (at + 1 + end) / 2 * sum(word.right for word in ordered[at:end])  # ties share the mean of their ranks
        at = end
    return (ranks - right * (right + 1) / 2) / (right * wrong)


def summary(words: Sequence[Judged]) -> dict[str, Any]:
    """All calibration figures, for the report."""
    share = sum(word.right for word in words) / len(words) if words else None
    ece, auc = expected_error(words), area(words)
    return {
        "words": len(words),
        "right": share,
        "mean_confidence": sum(word.confidence for word in words) / len(words) if words else None,
        "ece": ece,
        "bins": BINS,
        "auc": auc,
        "table": table(words),
    }


# ── a confidence from evidence ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Log odds of being right: *constant* plus a weight for each piece of evidence."""

    constant: float
    weights: tuple[float, ...]

    def __call__(self, evidence: Sequence[float]) -> float:
        """The confidence, 0..1."""
        odds = self.constant + sum(weight * value for weight, value in zip(self.weights, evidence, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds))))

    @property
    def monotone(self) -> bool:
        """True if more evidence never lowers the confidence."""
        return all(weight >= 0 for weight in self.weights)


def logistic(evidence: Sequence[Sequence[float]], right: Sequence[bool]) -> Logistic:
    """The likeliest weights for *evidence* (one row of equal length a word), by Newton's method with a slight ridge.

    Errors: ValueError without both right and wrong words.
    """
    import numpy as np

    truth = np.asarray(right, dtype=np.float64)
    if not 0 < truth.sum() < len(truth):
        raise ValueError("a fit needs words that are right and words that are wrong")
    rows = np.column_stack([np.ones(len(truth)), np.asarray(evidence, dtype=np.float64)])
    ridge = np.diag([0.0, *([_RIDGE] * (rows.shape[1] - 1))])
    weights = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        sure = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (truth - sure) - ridge @ weights
        curve = (rows.T * (sure * (1 - sure))) @ rows + ridge + 1e-9 * np.eye(rows.shape[1])
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return Logistic(constant=float(weights[0]), weights=tuple(float(weight) for weight in weights[1:]))


def line(words: Sequence[Judged]) -> tuple[tuple[float, float], ...]:
    """Few points (confidence, share right) for a line that never falls: pools of at least `_BLOCK` words, adjacent
    violators made one (isotonic regression on the pools).

    Errors: ValueError for fewer words than one pool.
    """
    if len(words) < _BLOCK:
        raise ValueError(f"a line needs {_BLOCK} words at least")
    size = max(_BLOCK, math.ceil(len(words) / _POINTS))
    pools: list[list[Judged]] = []
    for word in sorted(words, key=lambda word: word.confidence):
        full = not pools or (len(pools[-1]) >= size and pools[-1][-1].confidence != word.confidence)
        if full:
            pools.append([])
        pools[-1].append(word)
    if len(pools) > 1 and len(pools[-1]) < _BLOCK:
        last = pools.pop()
        pools[-1] += last
    points: list[tuple[float, float, int]] = []
    for pool in pools:
        points.append(_mean([(word.confidence, float(word.right), 1) for word in pool]))
        while len(points) > 1 and points[-2][1] >= points[-1][1]:
            points[-2:] = [_mean(points[-2:])]
    return tuple((x, y) for x, y, _ in points)


def _mean(points: Sequence[tuple[float, float, int]]) -> tuple[float, float, int]:
    """The middle of weighted *points*, and their weight."""
    weight = sum(each for _, _, each in points)
    return sum(x * n for x, _, n in points) / weight, sum(y * n for _, y, n in points) / weight, weight

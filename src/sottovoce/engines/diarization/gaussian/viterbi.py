"""Log likelihoods of frames under Gaussian voices, and the Viterbi path through them with a cost per speaker change."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.intp]


def log_likelihoods(frames: "Array", means: "Array", covariances: "Array") -> "Array":
    """Return log densities [n, k], in nats, of *frames* [n, d] under k Gaussians, without the constant term.

    *means* [k, d], *covariances* [k, d, d].
    """
    import numpy as np

    found = np.empty((len(frames), len(means)))
    for at, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        away = frames - mean
        spread = np.linalg.slogdet(covariance)[1]
        found[:, at] = -0.5 * ((away @ np.linalg.inv(covariance)) * away).sum(axis=1) - 0.5 * spread
    return found


def viterbi(scores: "Array", change: float) -> "Labels":
    """Return the labels [n] with the highest sum of *scores* [n, k], minus *change* (nats) for each change of label."""
    import numpy as np

    n, k = scores.shape
    came = np.zeros((n, k), np.intp)
    stay = np.arange(k)
    total = scores[0].copy()
    for at in range(1, n):
        leader = int(total.argmax())
        leave = total[leader] - change
        came[at] = np.where(total >= leave, stay, leader)
        total = np.maximum(total, leave) + scores[at]
    path = np.zeros(n, np.intp)
    path[-1] = total.argmax()
    for at in range(n - 1, 0, -1):
        path[at - 1] = came[at, path[at]]
    return path

"""Agglomerative clustering of embeddings by average cosine distance, with bounded memory.

The mean distance between two clusters of unit vectors follows from their sums alone, so clustering clusters compares the
same distances as clustering all vectors at once. Many windows are therefore clustered in blocks first.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

BLOCK = 2_000
"""Most items of which all pairs are compared: 16 MB of distances."""

_KEPT = BLOCK // 8
"""Most clusters that a block leaves for the next round, so that each round has about an eighth of the items before."""


def clusters(embeddings: "NDArray[np.floating]", limit: float, most: int) -> "Labels":
    """Return a label 0 … k-1 for each of *embeddings* (float[n, d], unit vectors); labels by first appearance, k <= *most*.

    Two clusters are merged while the mean cosine distance between their members is at most *limit*, or while there are
    more than *most*. Time grows linearly with n from `BLOCK` on.
    """
    import numpy as np

    labels = np.arange(len(embeddings))
    sums: NDArray[np.floating] = embeddings
    counts = np.ones(len(embeddings), np.float32)
    while len(counts) > BLOCK:
        sums, counts, found = _round(sums, counts, limit)
        labels = found[labels]
    return _by_appearance(_agglomerated(sums.astype(np.float32), counts, limit, most)[labels])


def _round(
    sums: "NDArray[np.floating]", counts: "Floats", limit: float
) -> "tuple[NDArray[np.floating], Floats, Labels]":
    """Cluster each block by itself; return sums and counts of the clusters that are left, and the cluster of each item."""
    import numpy as np

    added, counted, labels = [], [], []
    before = 0
    for at in range(0, len(counts), BLOCK):
        block, sizes = sums[at : at + BLOCK].astype(np.float32), counts[at : at + BLOCK]
        found = _agglomerated(block, sizes, limit, _KEPT)
        which = np.eye(found.max() + 1, dtype=np.float32)[found].T
        added.append(which @ block)
        counted.append(which @ sizes)
        labels.append(found + before)
        before += len(which)
    return np.concatenate(added), np.concatenate(counted), np.concatenate(labels)


def _agglomerated(sums: "Floats", counts: "Floats", limit: float, most: int) -> "Labels":
    """Return the labels of items that consist of *counts* vectors each, with these *sums*."""
    import numpy as np

    parents = list(range(len(counts)))
    left = len(counts)
    for height, one, other in sorted(_merges(sums, counts)):
        if height > limit and left <= most:
            break
        parents[_root(parents, other)] = _root(parents, one)
        left -= 1
    roots = np.array([_root(parents, each) for each in range(len(parents))], np.int64)
    return np.unique(roots, return_inverse=True)[1]


def _merges(sums: "Floats", counts: "Floats") -> Iterator[tuple[float, int, int]]:
    """Yield every merge down to one cluster: its distance, and a member of each side. Not in order of distance.

    Nearest-neighbour chains (Murtagh 1983): mutual nearest neighbours are merged as they are found, which gives the same
    tree as always merging the nearest pair of all, in n² steps.
    """
    import numpy as np

    counts = counts.copy()
    distances = 1.0 - (sums @ sums.T) / np.outer(counts, counts)
    np.fill_diagonal(distances, np.inf)
    alive = np.ones(len(counts), bool)
    chain: list[int] = []
    for _ in range(len(counts) - 1):
        if not chain:
            chain.append(int(alive.argmax()))
        one, other = _neighbours(distances, chain)
        yield float(distances[one, other]), one, other
        share = counts[one] / (counts[one] + counts[other])
        merged = share * distances[one] + (1.0 - share) * distances[other]
        merged[one] = np.inf
        distances[one] = distances[:, one] = merged
        distances[other] = distances[:, other] = np.inf
        counts[one] += counts[other]
        alive[other] = False


def _neighbours(distances: "Floats", chain: list[int]) -> tuple[int, int]:
    """Extend *chain* until its last two are each other's nearest neighbours; remove these two and return them."""
    while True:
        last = chain[-1]
        nearest = int(distances[last].argmin())
        if len(chain) > 1 and distances[last, nearest] >= distances[last, chain[-2]]:
            return chain.pop(), chain.pop()
        chain.append(nearest)


def _root(parents: list[int], each: int) -> int:
    while parents[each] != each:
        parents[each] = parents[parents[each]]
        each = parents[each]
    return each


def _by_appearance(labels: "Labels") -> "Labels":
    import numpy as np

    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]

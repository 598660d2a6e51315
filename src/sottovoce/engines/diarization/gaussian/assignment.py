"""The best one-to-one assignment of clusters to voices."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def assignment(gains: "Array") -> list[tuple[int, int]]:
    """Pairs (row, column), each used once, whose *gains* [n, m] sum up highest (shortest augmenting paths)."""
    import numpy as np

    rows, columns = gains.shape
    if rows > columns:
        return sorted((row, column) for column, row in assignment(gains.T))
    of_row, of_column = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for row in range(rows):
        distance, before = np.full(columns, np.inf), np.full(columns, -1)
        done = np.zeros(columns, bool)
        at, last, reached = row, -1, 0.0
        while True:
            step = reached - gains[at] - of_row[at] - of_column
            better = ~done & (step < distance)
            distance[better], before[better] = step[better], last
            nearest = int(np.where(done, np.inf, distance).argmin())
            done[nearest], reached, last = True, float(distance[nearest]), nearest
            if owner[nearest] < 0:
                break
            at = int(owner[nearest])
        of_row[row] += reached
        for column in np.flatnonzero(done):
            if owner[column] >= 0:
                of_row[owner[column]] += reached - distance[column]
            of_column[column] -= reached - distance[column]
        while last >= 0:
            previous = int(before[last])
            owner[last] = row if previous < 0 else owner[previous]
            last = previous
    return [(int(owner[column]), column) for column in range(columns) if owner[column] >= 0]

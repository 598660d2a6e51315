"""Labelled overlapping windows to turns: the windows over each cell of 0.05 s vote, Viterbi decoding smooths the votes."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.ge2e.windows import Heard
from sottovoce.engines.protocols import Turn
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

CELL: Samples = RATE // 20
"""The resolution of turns: 0.05 s."""

_EDGE = 0.75  # by which a window's vote is smaller at its ends than the 1.0 of its middle


def turns(heard: Heard, voices: "Labels", reluctance: float) -> tuple[Turn, ...]:
    """Return the turns of windows labelled *voices* int64[n]; they cover the stretches without gap or overlap.

    *reluctance*: the cost of each change of voice, in votes of one cell.
    """
    return tuple(_turns(heard, voices, reluctance))


def _turns(heard: Heard, voices: "Labels", reluctance: float) -> Iterator[Turn]:
    import numpy as np

    edges = np.searchsorted(heard.stretch, np.arange(len(heard.spans) + 1))
    for number, (start, end) in enumerate(heard.spans.tolist()):
        mine = slice(edges[number], edges[number + 1])
        who, own = np.unique(voices[mine], return_inverse=True)
        if len(who) == 1:
            yield Turn(start=start, end=end, voice=int(who[0]))
            continue
        votes = _votes(heard.bounds[mine], own, len(who), start, end)
        at = start
        for best, cells in groupby(_path(votes, reluctance)):
            stop = min(at + sum(1 for _ in cells) * CELL, end)
            yield Turn(start=at, end=stop, voice=int(who[best]))
            at = stop


def _votes(bounds: "Labels", own: "Labels", count: int, start: Samples, end: Samples) -> "Floats":
    """Return the share of each voice in the votes of the windows over each cell, float32[cells, count]."""
    import numpy as np

    cells = -(-(end - start) // CELL)
    votes = np.zeros((cells, count), np.float32)
    middles = start + (np.arange(cells) + 0.5) * CELL
    for (first, last), voice in zip(bounds.tolist(), own.tolist(), strict=True):
        over = slice((first - start) // CELL, -(-(last - start) // CELL))
        off = np.abs(middles[over] - (first + last) / 2) / ((last - first) / 2)
        votes[over, voice] += 1.0 - _EDGE * np.minimum(off, 1.0)
    votes /= votes.sum(axis=1, keepdims=True)
    return votes


def _path(votes: "Floats", reluctance: float) -> list[int]:
    """Return the voice of each cell: the Viterbi path with the most votes, minus *reluctance* for every change."""
    import numpy as np

    stay = np.arange(votes.shape[1])
    score = votes[0]
    came: list[Labels] = []
    for cell in votes[1:]:
        best = int(score.argmax())
        keeps = score >= score[best] - reluctance
        came.append(np.where(keeps, stay, best))
        score = np.where(keeps, score, score[best] - reluctance) + cell
    path = [int(score.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1]

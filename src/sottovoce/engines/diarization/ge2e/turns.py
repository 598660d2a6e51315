"""From overlapping windows that each have a voice to turns: every twentieth of a second is voted on."""

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

_EDGE = 0.75  # how much less a window's vote counts at its ends than in its middle


def turns(heard: Heard, voices: "Labels", reluctance: float) -> tuple[Turn, ...]:
    """Who speaks when, of windows with *voices* int64[n]: the stretches are covered without gap or overlap.

    *reluctance*: by how many cells' votes one voice must win over another before it takes over, and again to give back.
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
    """For each cell the share of each voice in what the windows over it say, float32[cells, count]."""
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
    """The voice of each cell: the way with the most votes, of which every change costs *reluctance* (Viterbi)."""
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

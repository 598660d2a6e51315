"""Viterbi forced alignment of known letters with the outputs of a CTC model.

The letters come in runs, a word or a part of one. Around every run is a gap state that absorbs other speech at a small
price per frame, so that it does not displace the neighbouring runs. The path may skip a run at a price per letter, so that
words that are not spoken need no frames. Inside a run the topology is plain CTC: a blank is allowed between two letters
and required between two equal ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.intp]

STRAY = 1.0
"""Nepers: price of a frame with speech that is not in the text, relative to its most probable letter."""
PASSED = 6.0
"""Nepers: price of skipping a letter. A spoken letter costs far less, a letter that is not spoken costs more."""
SPLIT = 2.0
"""Nepers: price of a frame with a word delimiter inside a run."""
MAX_CELLS = 1 << 27
"""Cells of the trellis, one byte each. 90 s of the fastest speech in frames of 20 ms take a fifth of it."""

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A run in frames *first* … *last* (exclusive).

    *below*: nepers (0 or more) by which it lies below the most probable outputs, per frame of a letter.
    """

    first: int
    last: int
    below: float


def find(posteriors: "Floats", runs: Sequence[Sequence[int]], blank: int, delimiter: int | None) -> list[Found | None]:
    """Return the frames of each of *runs* (one or more outputs each); None for a run that is skipped.

    *posteriors*: natural log probabilities, float32[T, V]. All are None when there are more letters than frames, or when
    the trellis would exceed `MAX_CELLS`. Time and memory grow with T times the number of letters.
    """
    import numpy as np

    count = sum(map(len, runs))
    if not 0 < count <= len(posteriors) or (2 * count + 5 * len(runs)) * len(posteriors) > MAX_CELLS:
        return [None] * len(runs)
    states = _states(runs, blank, posteriors.shape[1])
    emissions = _emissions(posteriors, blank, delimiter)
    path = _best(emissions, states)
    inside = states.inside[path]
    frames, at = np.flatnonzero(inside), path[inside]
    whose = states.run[at]
    below = posteriors[frames].max(axis=1) - emissions[frames, states.column[at]]
    sums = np.bincount(whose, weights=below, minlength=len(runs))
    letters = np.bincount(whose, weights=states.letter[at], minlength=len(runs))
    edges = np.searchsorted(whose, np.arange(len(runs) + 1))
    return [
        Found(first=int(frames[first]), last=int(frames[last - 1]) + 1, below=float(total / count)) if count else None
        for (first, last), total, count in zip(pairwise(edges), sums, letters, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _States:
    """All S states in the order of the text: a gap, the letters of a run with blanks between, a gap, … a gap.

    *column*: the column of `_emissions` that a state uses. *run*: the run that it belongs to; of a gap, the run after it.
    *inside*: True unless it is a gap; *letter*: True for a letter. *leap*: 0 where a path may come from two states before,
    else -inf. *gaps*: the indices of the gaps, one more than there are runs. *price*: nepers for skipping all runs before
    each gap.
    """

    column: "Ints"
    run: "Ints"
    inside: "NDArray[np.bool_]"
    letter: "NDArray[np.bool_]"
    leap: "Doubles"
    gaps: "Ints"
    price: "Doubles"


def _states(runs: Sequence[Sequence[int]], blank: int, width: int) -> _States:
    """Return the states of *runs* for posteriors of *width* outputs."""
    import numpy as np

    gap, inner = width, width + 1  # the two columns that `_emissions` adds
    column: list[int] = []
    run: list[int] = []
    gaps: list[int] = []
    for number, ids in enumerate(runs):
        gaps.append(len(column))
        column.append(gap)
        column += [each for letter in ids for each in (letter, inner)][:-1]
        run += [number] * (2 * len(ids))
    gaps.append(len(column))
    column.append(gap)
    run.append(len(runs))
    columns = np.array(column, np.intp)
    letter = (columns < width) & (columns != blank)
    leap = np.full(len(columns), _NEVER)
    leap[2:][letter[2:] & letter[:-2] & (columns[2:] != columns[:-2])] = 0.0
    return _States(
        column=columns,
        run=np.array(run, np.intp),
        inside=columns != gap,
        letter=letter,
        leap=leap,
        gaps=np.array(gaps, np.intp),
        price=np.cumsum([0.0, *(PASSED * len(ids) for ids in runs)]),
    )


def _emissions(posteriors: "Floats", blank: int, delimiter: int | None) -> "Floats":
    """Return *posteriors* with two more columns, the scores of a gap and of the place between two letters: [T, V + 2]."""
    import numpy as np

    others = posteriors.copy()
    others[:, blank] = _NEVER
    between = posteriors[:, blank] if delimiter is None else np.maximum(posteriors[:, blank], posteriors[:, delimiter])
    gap = np.maximum(between, others.max(axis=1) - STRAY)
    inner = np.maximum(posteriors[:, blank], between - SPLIT)
    return np.column_stack([posteriors, gap, inner])


def _best(emissions: "Floats", states: _States) -> "Ints":
    """Return the state of each frame on the most probable path, intp[T].

    The trellis stores the predecessor of each state in each frame: 0, 1 or 2 states before; and of a gap, the gap from
    which it was reached by skipping runs within the frame.
    """
    import numpy as np

    frames, count = len(emissions), len(states.column)
    steps = np.zeros((frames, count), np.int8)
    passed = np.zeros((frames + 1, len(states.gaps)), np.int32)
    score = np.full(count, _NEVER)
    score[0] = 0.0
    _pass_over(score, passed[0], states)
    for frame in range(frames):
        best, came = score.copy(), steps[frame]
        np.maximum(best[1:], score[:-1], out=best[1:])
        came[1:] = best[1:] > score[1:]
        leaping = score[:-2] + states.leap[2:]
        came[2:][leaping > best[2:]] = 2
        np.maximum(best[2:], leaping, out=best[2:])
        best += emissions[frame, states.column]
        score = best
        _pass_over(score, passed[frame + 1], states)
    return _traced(score, steps, passed, states)


def _pass_over(score: "Doubles", came: "NDArray[np.int32]", states: _States) -> None:
    """Let every gap be reached from earlier gaps: update *score* [S], and store the gap it came from in *came* [gaps]."""
    import numpy as np

    level = score[states.gaps] + states.price
    highest = np.maximum.accumulate(level)
    # the gap at which the running maximum was reached
    came[:] = np.maximum.accumulate(np.where(level >= highest, np.arange(len(level)), 0))
    score[states.gaps] = highest - states.price


def _traced(score: "Doubles", steps: "NDArray[np.int8]", passed: "NDArray[np.int32]", states: _States) -> "Ints":
    """Trace the path back from its end: the last gap or, if all later runs are skipped, the last letter of any run."""
    import numpy as np

    path = np.empty(len(steps), np.intp)
    gap_of = np.full(len(score), -1, np.intp)
    gap_of[states.gaps] = np.arange(len(states.gaps))
    ends = states.gaps[1:] - 1
    closing = score[ends] - (states.price[-1] - states.price[1:])
    last = int(np.argmax(closing))
    at = int(ends[last]) if closing[last] > score[-1] else len(score) - 1
    for frame in range(len(steps) - 1, -1, -1):
        if gap_of[at] >= 0:
            at = int(states.gaps[passed[frame + 1, gap_of[at]]])
        path[frame] = at
        at -= int(steps[frame, at])
    return path

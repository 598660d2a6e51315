"""Anchors between a text and its recognised words: a weighted longest common subsequence, and its trusted runs.

Time is quadratic, memory is not: of the n rows of the table only every √n-th is kept, and the rows between are computed
again on the way back. Two hours of speech take seconds.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Row = NDArray[np.int32]

RUN = 3
"""Words in a row, in the text and as recognised, that make a trusted run. Measured with the text's own language model:
over 94 of 100 words of a right text are in such runs, at most 6 of a wrong one (another sonnet)."""

NEAR = 12
"""Largest distance in words between two runs, in the text and as recognised, for single matches between them to count."""

_MATCH = 2  # points of a matching word
_AFTER = 1  # additional points if the word before matches too, so that runs win over scattered words


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A match: index *text* in the text's words, index *heard* in the recognised words."""

    text: int
    heard: int


def runs(pairs: Sequence[Pair], least: int) -> Iterator[list[Pair]]:
    """Yield the runs of *pairs* (rising in both sequences) without a gap in either, of at least *least* pairs."""
    run: list[Pair] = []
    for pair in pairs:
        if run and (pair.text != run[-1].text + 1 or pair.heard != run[-1].heard + 1):
            if len(run) >= least:
                yield run
            run = []
        run.append(pair)
    if len(run) >= least and run:
        yield run


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Trusted pairs, rising in both sequences; *alone*: the number of them that are in runs."""

    pairs: tuple[Pair, ...]
    alone: int


def trusted_runs(text: Sequence[str], heard: Sequence[str], alive: Callable[[], None] = lambda: None) -> Anchors:
    """Return the pairs in runs of `RUN` (or of all words of a shorter *text*), and scattered ones between two near runs.

    *alive* is called regularly, so that the watchdog sees progress.
    """
    pairs = common(text, heard, alive)
    solid = list(runs(pairs, max(1, min(RUN, len(text)))))
    trusted = [pair for run in solid for pair in run]
    between = _scattered(pairs, solid)
    return Anchors(pairs=tuple(sorted([*trusted, *between], key=lambda pair: pair.text)), alone=len(trusted))


def _scattered(pairs: Sequence[Pair], solid: Sequence[Sequence[Pair]]) -> Iterator[Pair]:
    """Yield those of *pairs* that lie between two runs of *solid* at most `NEAR` words apart."""
    waiting = iter(pairs)
    for one, two in pairwise(solid):
        last, first = one[-1], two[0]
        near = first.text - last.text <= NEAR and first.heard - last.heard <= NEAR
        for pair in waiting:
            if pair.text >= first.text:
                break
            if near and pair.text > last.text:
                yield pair


def common(text: Sequence[str], heard: Sequence[str], alive: Callable[[], None] = lambda: None) -> list[Pair]:
    """Return the common subsequence with the most points: `_MATCH` per word, `_AFTER` more if its predecessor matches too."""
    import numpy as np

    if not text or not heard:
        return []
    numbers = {word: number for number, word in enumerate(dict.fromkeys(text))}
    columns = np.array([numbers[word] for word in text], np.int32)
    rows = np.array([numbers.get(word, -1) for word in heard], np.int32)
    stride = max(1, math.isqrt(len(rows)))
    kept: list[Row] = []
    last: Row = np.zeros(len(columns) + 1, np.int32)
    for at in range(len(rows)):
        if at % stride == 0:
            kept.append(last)
            alive()
        last = _next(last, rows, columns, at)
    return _back(kept, rows, columns, stride, alive)


def _points(rows: "Row", columns: "Row", at: int) -> "Row":
    """Return the points for pairing row *at* with each column; -1 where the words differ."""
    import numpy as np

    same = columns == rows[at]
    points = np.where(same, _MATCH, -1).astype(np.int32)
    if at and rows[at - 1] >= 0:
        points[1:][same[1:] & (columns[:-1] == rows[at - 1])] += _AFTER
    return points


def _worth(rows: "Row", columns: "Row", at: int, column: int) -> int:
    """Return the points for pairing row *at* with *column*; 0 where the words differ."""
    if rows[at] != columns[column]:
        return 0
    return _MATCH + (_AFTER if at and column and rows[at - 1] == columns[column - 1] else 0)


def _next(before: "Row", rows: "Row", columns: "Row", at: int) -> "Row":
    """Return the table's row after *before*: the best points up to row *at* and each column."""
    import numpy as np

    if rows[at] < 0:
        return before
    row = before.copy()
    np.maximum(row[1:], before[:-1] + _points(rows, columns, at), out=row[1:])
    np.maximum.accumulate(row, out=row)
    return row


def _back(kept: "list[Row]", rows: "Row", columns: "Row", stride: int, alive: Callable[[], None]) -> list[Pair]:
    """Trace the pairs back from the last cell: along a run while it costs no points, else by the first column of each score."""
    found: list[Pair] = []
    run = False
    column = len(columns)
    for block in range(len(kept) - 1, -1, -1):
        alive()
        first = block * stride
        table = [kept[block]]
        for at in range(first, min(first + stride, len(rows))):
            table.append(_next(table[-1], rows, columns, at))
        at = first + len(table) - 2
        while at >= first and column:
            row, above = table[at - first + 1], table[at - first]
            worth = _worth(rows, columns, at, column - 1) if run else 0
            run = worth > 0 and bool(row[column] == above[column - 1] + worth)
            if not run and row[column] == row[column - 1]:
                column = int((row[: column + 1] == row[column]).argmax())  # the first column with this score
                continue
            if not run and row[column] == above[column]:
                at -= 1
                continue
            found.append(Pair(text=column - 1, heard=at))
            at, column, run = at - 1, column - 1, True
    return found[::-1]

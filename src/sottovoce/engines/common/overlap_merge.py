"""Merges the words of two overlapping windows into one sequence, where continuous speech was cut in two.

Both windows contain the words around the cut. The same word has about the same time in both, so the two sequences are
aligned, and the result switches from one to the other at the common word nearest to the cut. If they have no common word,
time alone decides, and words that only one of them has are kept.
"""

from collections.abc import Sequence

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.model import RATE, Samples

TOLERANCE: Samples = RATE // 2
"""Largest distance (0.5 s) between the times of one word in both windows.

Whisper's times are accurate to about 0.2 s, less so at the edge of a window.
"""

EDGE: Samples = RATE // 5
"""Within this distance (0.2 s) of the edge of a window's audio, a word may be cut off or wrong."""


def merge(
    left: Sequence[HypothesisWord], right: Sequence[HypothesisWord], cut: Samples, *, before: Samples, after: Samples
) -> list[HypothesisWord]:
    """The words of both windows, in order, each once.

    The audio of *left* ends *after* samples behind the *cut*; that of *right* begins *before* samples ahead of it. All
    times are media times in samples at 16 kHz, rising within *left* and *right*.
    """
    first = next((n for n, word in enumerate(left) if word.middle >= cut - before - TOLERANCE), len(left))
    last = next((n for n in range(len(right), 0, -1) if right[n - 1].middle <= cut + after + TOLERANCE), 0)
    pairs = _pairs(left[first:], right[:last])
    if not pairs:
        return _by_time(left, right, cut, Span(start=cut - before, end=cut + after))
    ours, theirs = min(pairs, key=lambda pair: _distance(left[first + pair[0]], right[pair[1]], cut))
    mine, other = left[first + ours], right[theirs]
    # A window is most reliable far from the edge of its audio, so the side of the cut decides.
    common = mine if mine.middle + other.middle <= 2 * cut else other
    return [*left[: first + ours], common, *right[theirs + 1 :]]


def _distance(mine: HypothesisWord, other: HypothesisWord, cut: Samples) -> Samples:
    return abs(mine.middle + other.middle - 2 * cut)


def _pairs(left: Sequence[HypothesisWord], right: Sequence[HypothesisWord]) -> list[tuple[int, int]]:
    """Indices of the words that both sides have, in order: the alignment with the most common words, closest in time."""
    scores = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best = max(scores[i + 1][j], scores[i][j + 1])
            alike = _likeness(left[i], right[j])
            scores[i][j] = max(best, scores[i + 1][j + 1] + alike) if alike else best
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        alike = _likeness(left[i], right[j])
        if alike and scores[i][j] == scores[i + 1][j + 1] + alike:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif scores[i][j] == scores[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(mine: HypothesisWord, other: HypothesisWord) -> float:
    """0 for different words, or words further apart than `TOLERANCE`; else 1 (same time) down to 0.5 (`TOLERANCE` apart)."""
    apart = abs(mine.middle - other.middle)
    if apart > TOLERANCE or (comparison_key(mine.text) or mine.text) != (comparison_key(other.text) or other.text):
        return 0.0
    return 1.0 - apart / (2 * TOLERANCE)


def _by_time(
    left: Sequence[HypothesisWord], right: Sequence[HypothesisWord], cut: Samples, both: Span
) -> list[HypothesisWord]:
    """Words of *left* before the cut, of *right* after it, and words that fill a gap between them.

    *both*: the span of audio, in samples, that both windows contain.
    """
    kept = [word for word in left if word.middle < cut]
    same = [word for word in kept if word.end > cut]  # words across the cut, which right may spell differently
    kept += [
        word
        for word in right
        if word.middle >= cut and not any(_covers(word, other) and _covers(other, word) for other in same)
    ]
    early = [word for word in right if word.middle < cut and word.start >= both.start + EDGE]
    late = [word for word in left if word.middle >= cut and word.end <= both.end - EDGE]
    for word in (*early, *late):
        if not any(_covers(other, word) for other in kept):
            kept.append(word)
    return sorted(kept, key=lambda word: word.middle)


def _covers(one: HypothesisWord, other: HypothesisWord) -> bool:
    """True if the middle of *other* lies in *one*."""
    return one.start <= other.middle < max(one.end, one.start + 1)

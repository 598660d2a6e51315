"""Chapters by TextTiling over sentence vectors: a chapter begins where the sentences before and after differ most.

The title is the phrase that distinguishes the chapter from the rest, the summary its most central sentences as spoken.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sottovoce.intelligence.backends.builtin import salience
from sottovoce.intelligence.backends.builtin.summary import chosen
from sottovoce.intelligence.chapters import Chapter
from sottovoce.intelligence.protocols import Sentence, SentenceVectors
from sottovoce.transcript.languages import pack

if TYPE_CHECKING:
    from sottovoce.intelligence.protocols import Floats

WINDOW = 10
"""Sentences on each side of a possible border that are compared."""
LEAST = 6
"""Sentences of the shortest chapter."""
DEPTH = 1.0
"""A border is deeper than the mean depth by this many standard deviations."""
FLOOR = 0.2
"""The least depth of a border, so that a talk about one thing stays one chapter; depths are differences of cosines."""
MOST = 100
"""Chapters of one transcript."""
SUMMARY = 2
"""Sentences of the summary of a chapter."""
UNTITLED = "…"
"""The title of a chapter without a word that carries meaning."""


class TiledChapters:
    """A `ChaptersBackend` over *vectors*."""

    def __init__(self, vectors: SentenceVectors) -> None:
        self._vectors = vectors
        self.languages = vectors.languages

    def divide(self, sentences: Sequence[Sentence], alive: Callable[[], None]) -> Sequence[Chapter]:
        """Return the chapters of *sentences*."""
        rows = self._vectors.vectors([sentence.text for sentence in sentences], alive)
        counts = [max(1, sentence.words) for sentence in sentences]
        firsts = [0, *borders(rows, counts)]
        elsewhere = Counter(term for sentence in sentences for term in salience.terms(sentence.text))
        ends = [*firsts[1:], len(sentences)]
        return [
            _chapter(first, sentences[first:end], elsewhere, alive) for first, end in zip(firsts, ends, strict=True)
        ]


def borders(rows: "Floats", words: Sequence[int]) -> list[int]:
    """Return the numbers of the sentences that begin a new part. *rows*: float32[n, d]; *words* of each sentence.

    TextTiling (Hearst 1997): the depth of a gap is how far the likeness of both sides falls below the peaks around it.
    """
    import numpy as np

    count = len(rows)
    if count < 2 * LEAST:
        return []
    weighted = rows * np.minimum(np.asarray(words, np.float32), 30)[:, None]  # a longer sentence says more
    sums = np.concatenate([np.zeros((1, rows.shape[1]), np.float32), weighted.cumsum(axis=0)])
    likeness = np.ones(count, np.float32)
    for at in range(1, count):
        before = sums[at] - sums[max(0, at - WINDOW)]
        after = sums[min(count, at + WINDOW)] - sums[at]
        lengths = float(np.linalg.norm(before) * np.linalg.norm(after))
        likeness[at] = float(before @ after) / lengths if lengths else 1.0
    depths = np.array([0.0, *(_depth(likeness, at) for at in range(1, count))])
    least = max(FLOOR, float(depths[1:].mean() + DEPTH * depths[1:].std()))
    found: list[int] = []
    for at in np.argsort(-depths, kind="stable"):
        if depths[at] < least or len(found) >= MOST - 1:
            break
        if all(abs(at - other) >= LEAST for other in (0, count, *found)):
            found.append(int(at))
    return sorted(found)


def _depth(likeness: "Floats", at: int) -> float:
    left = right = at
    while left > 1 and likeness[left - 1] >= likeness[left]:
        left -= 1
    while right < len(likeness) - 1 and likeness[right + 1] >= likeness[right]:
        right += 1
    return float(likeness[left] + likeness[right] - 2 * likeness[at])


def _chapter(first: int, sentences: Sequence[Sentence], elsewhere: Counter[str], alive: Callable[[], None]) -> Chapter:
    best = sorted(chosen(sentences, SUMMARY, alive))
    summary = pack(sentences[0].language).delimiter.join(sentences[number].text for number in best)
    title = salience.phrase((sentence.text for sentence in sentences), elsewhere)
    title = title or " ".join(sentences[best[0]].text.split()[:6]).rstrip(".,;:!?") or UNTITLED
    return Chapter(first=first, title=title[:1].upper() + title[1:], summary=summary)

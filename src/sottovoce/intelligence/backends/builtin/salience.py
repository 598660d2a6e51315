"""The words that carry a text, and the sentences that stand for it: counts of words, without a model.

A sentence is central if it shares rare words with many others (LexRank: the weights of a random walk over the similarity of
sentences by tf-idf). Languages without blanks between words are counted by pairs of characters.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sottovoce.intelligence.backends.builtin.stop_words import STOP_WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without blanks between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
DAMPING, STEPS = 0.85, 30
"""Of the random walk."""
MOST = 3000
"""Sentences that are compared with each other at once; more are ranked in parts. 3,000 need 36 MB."""


def terms(text: str) -> list[str]:
    """Return the words of *text* that carry meaning, in lower case and singular; without blanks, its pairs of characters."""
    lowered = text.lower().replace("’", "'")
    if _UNSPACED.search(lowered):
        letters = re.sub(r"\W", "", lowered)
        return [letters[at : at + 2] for at in range(len(letters) - 1)] or [letters]
    return [_stem(word) for word in _WORD.findall(lowered) if word not in STOP_WORDS and len(word) > 1]


def _stem(word: str) -> str:
    """Return *word* without the commonest English endings, so that singular and plural count as one."""
    for ending, least, instead in (("'s", 2, ""), ("ies", 2, "y"), ("xes", 2, "x"), ("ches", 2, "ch"), ("s", 3, "")):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return word


def weights(texts: Sequence[str]) -> "Floats":
    """Return a row of length 1 for each of *texts*: its tf-idf over the terms of all; zeros for a text without terms."""
    import numpy as np

    counted = [Counter(terms(text)) for text in texts]
    spread = Counter(term for each in counted for term in each)
    # terms of one sentence only link nothing
    index = {term: number for number, term in enumerate(term for term, count in spread.items() if count > 1)}
    table = np.zeros((len(texts), max(1, len(index))), np.float32)
    for row, each in zip(table, counted, strict=True):
        for term, count in each.items():
            if (column := index.get(term)) is not None:
                row[column] = (1 + np.log(count)) * np.log(1 + len(texts) / spread[term])
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    result: Floats = table / np.maximum(lengths, 1e-9)
    return result


def centrality(texts: Sequence[str], alive: Callable[[], None]) -> "Floats":
    """Return how central each of *texts* is, float32[n], largest 1."""
    import numpy as np

    ranks = np.zeros(len(texts), np.float32)
    for begin in range(0, len(texts), MOST):
        alive()
        part = weights(texts[begin : begin + MOST])
        near = part @ part.T
        np.fill_diagonal(near, 0)
        out = near.sum(axis=1, keepdims=True)
        step = near / np.maximum(out, 1e-9)
        rank = np.full(len(part), 1 / len(part), np.float32)
        for _ in range(STEPS):
            rank = (1 - DAMPING) / len(part) + DAMPING * (rank @ step)
        ranks[begin : begin + MOST] = rank * len(part)
    result: Floats = ranks / max(float(ranks.max(initial=0)), 1e-9)
    return result


def phrase(texts: Iterable[str], elsewhere: Counter[str]) -> str:
    """Return the phrase that distinguishes *texts* from the whole, of whose terms *elsewhere* has the counts; "" without one.

    A phrase is one word, or two or three that stand together at least twice.
    """
    runs: Counter[tuple[str, ...]] = Counter()
    shown: dict[tuple[str, ...], Counter[str]] = {}
    for text in texts:
        for size in (1, 2, 3):
            for words in _runs(text, size):
                key = tuple(_stem(word.lower()) for word in words)
                runs[key] += 1
                shown.setdefault(key, Counter())[" ".join(words)] += 1
    total = sum(elsewhere.values()) or 1
    inside = sum(count for key, count in runs.items() if len(key) == 1) or 1

    def worth(key: tuple[str, ...]) -> float:
        count = runs[key]
        if len(key) > 1 and count == 1:
            return 0.0
        share = min((runs[key] / inside) / (elsewhere[term] / total + 0.5 / total) for term in key)
        return float(count * share**0.5 * len(key) ** 0.7)

    best = max(sorted(runs), key=worth, default=())
    return shown[best].most_common(1)[0][0] if best else ""


def _runs(text: str, size: int) -> Iterable[tuple[str, ...]]:
    """Yield each run of *size* words that carry meaning and stand together in *text*."""
    for part in re.split(r"[.,;:!?]", text):
        words = _WORD.findall(part)
        for at in range(len(words) - size + 1):
            run = tuple(words[at : at + size])
            if all(len(word) > 2 and word.lower().replace("’", "'") not in STOP_WORDS for word in run):  # noqa: PLR2004
                yield run

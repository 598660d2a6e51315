"""An extractive summary: the most central sentences of the transcript, as they were spoken. It writes nothing new.

Each chosen sentence lowers the worth of those that resemble it, so that the summary does not say one thing twice.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from sottovoce.intelligence.backends.builtin import salience
from sottovoce.intelligence.protocols import Sentence
from sottovoce.intelligence.summary import Wish
from sottovoce.transcript.languages import PACKS
from sottovoce.transcript.model import UNKNOWN_SPEAKER

LEAST_WORDS = 6
"""A shorter sentence is chosen only if there are too few others."""
MOST_WORDS = 45
"""A longer one is seldom a summary of anything."""
ALIKE = 0.6
"""How much a chosen sentence takes from the worth of one that is the same."""
SHARE = 0.15
"""A voice with at least this share of the words is quoted in a conversation."""


class ExtractiveSummary:
    """A `SummaryBackend`."""

    languages = frozenset(PACKS)

    def summarize(self, sentences: Sequence[Sentence], wish: Wish, alive: Callable[[], None]) -> Sequence[str]:
        """Return at most `wish.most` of *sentences* in their order; with `wish.voices`, each behind the label of its voice."""
        numbers = chosen(sentences, wish.most, alive, voices=wish.voices)
        return [_quoted(sentences[number]) if wish.voices else sentences[number].text for number in sorted(numbers)]


def _voice(sentence: Sentence) -> str:
    label = sentence.speaker if sentence.speaker not in {None, UNKNOWN_SPEAKER} else sentence.channel
    return label or ""


def _quoted(sentence: Sentence) -> str:
    label = _voice(sentence)
    return f"{label}: {sentence.text}" if label else sentence.text


def chosen(sentences: Sequence[Sentence], most: int, alive: Callable[[], None], *, voices: bool = False) -> list[int]:
    """Return the indices of the *most* sentences that stand for *sentences*, best first; *voices*: see `Wish`."""
    import numpy as np

    texts = [sentence.text for sentence in sentences]
    worth = salience.centrality(texts, alive)
    rows = salience.weights(texts)
    for number, sentence in enumerate(sentences):
        spaced = sentence.words > 1 or " " in sentence.text
        if spaced and not LEAST_WORDS <= sentence.words <= MOST_WORDS:
            worth[number] *= 0.2
        if sentence.text.endswith(("?", "？", "؟")):
            worth[number] *= 0.5
    left = worth.copy()
    found: list[int] = []
    while len(found) < min(most, len(sentences)):
        missing = _missing(sentences, found) if voices else set()
        allowed = np.array([not missing or _voice(each) in missing for each in sentences])
        best = int(np.where(allowed, left, -np.inf).argmax())
        found.append(best)
        left -= ALIKE * np.maximum(left, 0) * (rows @ rows[best])
        left[best] = -np.inf
    return found


def _missing(sentences: Sequence[Sentence], found: Sequence[int]) -> set[str]:
    """Return the voices with a good part of the words that have no sentence in *found* yet."""
    spoken: Counter[str] = Counter()
    for sentence in sentences:
        spoken[_voice(sentence)] += max(1, sentence.words)
    quoted = {_voice(sentences[number]) for number in found}
    return {voice for voice, words in spoken.items() if words >= SHARE * spoken.total() and voice not in quoted}

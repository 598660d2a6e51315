"""From partial to final: how many of the open words of a hypothesis never change again. Pure.

A word is final when its end lies so far behind the newest audio that the caller's `max_delay` would pass before the next
decode, or, with a short `max_delay`, when two decodes in a row agree on it.
"""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from sottovoce.engines.protocols import LiveWord
from sottovoce.pipeline.live.policy import EDGE, ENTITY, LivePolicy
from sottovoce.transcript.model import RATE, Samples

_MARKS = ".,!?;:…。，、？！।؟،"
_DIGIT = re.compile(r"\d")
_NUMBERS = frozenset(
    (
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
        "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty",
        "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "point", "half", "double", "triple",
        "dollar", "dollars", "euro", "euros", "pound", "pounds", "percent",
    )
)  # fmt: skip


def plain(text: str) -> str:
    """Return *text* in the form in which two hypotheses are compared: without case and marks."""
    return text.strip(_MARKS + "\"'”’»)( ").casefold()


def unmarked(text: str) -> str:
    """Return *text* without the marks at its end."""
    return text.rstrip(_MARKS) or text


def marks_of(text: str) -> str:
    """Return the marks at the end of *text*; empty for a text of marks alone."""
    bare = text.rstrip(_MARKS)
    return text[len(bare) :] if bare else ""


Whole = Callable[[Sequence[LiveWord], int, Samples], int]


class FinalsPolicy:
    """Decides for one channel, decode after decode; remembers the previous hypothesis.

    *whole*: returns how many of the first words, a number of them, and the newest time, may be final without dividing an entity.
    """

    def __init__(self, policy: LivePolicy, whole: Whole | None = None) -> None:
        self._policy = policy
        self._whole = whole
        self._previous: tuple[str, ...] = ()

    def ready(self, words: Sequence[LiveWord], newest: Samples, budget: Samples) -> int:
        """Return how many of the open *words* (times of the channel) are final, and remember the others.

        *newest*: end of the newest audio in the window. *budget*: audio that passes until a decision can be made again.
        """
        policy = self._policy
        count = self.due(words, newest + min(budget, policy.max_delay - EDGE))
        if policy.agreement:
            agreed = takewhile(
                lambda pair: pair[0] == pair[1], zip(map(_plain_text, words), self._previous, strict=False)
            )
            count = max(count, sum(1 for _ in agreed))
        while count and words[count - 1].end > newest - EDGE:
            count -= 1
        count = self._complete(words, count, newest)
        count = self._whole(words, count, newest) if self._whole else count
        self._previous = tuple(_plain_text(word) for word in words[count:])
        return count

    def due(self, words: Sequence[LiveWord], newest: Samples) -> int:
        """Return how many of *words* have waited for `max_delay` when the newest audio ends at *newest*."""
        return sum(1 for _ in takewhile(lambda word: word.end <= newest - self._policy.max_delay, words))

    def restart(self) -> None:
        """Forget the previous hypothesis: the window has changed."""
        self._previous = ()

    def _complete(self, words: Sequence[LiveWord], count: int, newest: Samples) -> int:
        """Return *count* without a number at its end that may go on, which waits for at most `ENTITY` longer."""
        if not self._policy.flexible:
            return count
        while count and is_number(words[count - 1].text) and _may_go_on(words, count):
            if newest - words[count - 1].end >= self._policy.max_delay + ENTITY - RATE // 2:
                return count
            count -= 1
        return count


def is_number(text: str) -> bool:
    """Return True if *text* is a number, or a word that belongs to one."""
    return bool(_DIGIT.search(text)) or (all(part in _NUMBERS for part in plain(text).split("-")) and bool(plain(text)))


def _may_go_on(words: Sequence[LiveWord], count: int) -> bool:
    """True if the number that ends before *count* is not followed by a word that ends it."""
    return count == len(words) or is_number(words[count].text)


def _plain_text(word: LiveWord) -> str:
    return plain(word.text)

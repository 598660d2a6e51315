"""The loop after the last word: in short windows Whisper says its text over and over until it is stopped.

The rounds are told from words that were said again by the time that they would take.
"""

from collections.abc import Sequence

from sottovoce.engines.common.hypothesis_word import comparison_key
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

_LONGEST_PERIOD = 60  # pieces of text in a round
_ROUNDS = 2  # whole ones, from which on a text loops

# how long a word takes at a quick pace
_WORD = 0.10
_LETTER = 0.045
_DIGIT = 0.22
_SIGN = 0.15  # of a script that writes syllables or words


def seconds(text: str, pack: LanguagePack) -> float:
    """As long as the piece *text* takes when it is said quickly; 0 for marks."""
    letters = comparison_key(text)
    if not letters:
        return 0.0
    digits = sum(char.isdigit() for char in letters)
    each = _LETTER if pack.delimiter else _SIGN
    return (_WORD if pack.delimiter else 0.0) + digits * _DIGIT + (len(letters) - digits) * each


def end(words: Sequence[str], speech: Samples, pack: LanguagePack) -> int:
    """How many of *words* (pieces of text, marks among them) were said in *speech* samples of speech.

    All of them, if they do not end in a loop or there is speech enough for it; else as many rounds as there is speech for.
    """
    keys = [comparison_key(word) or word.strip() for word in words]
    lasts = [seconds(word, pack) for word in words]
    room = speech / RATE
    if sum(lasts) <= room:
        return len(words)
    for period in range(1, min(_LONGEST_PERIOD, len(keys) // _ROUNDS) + 1):
        start = len(keys)
        while start > period and keys[start - 1] == keys[start - 1 - period]:
            start -= 1
        start -= period
        if len(keys) - start >= _ROUNDS * period:
            return _rounds(lasts, start, period, room)
    return len(words)


def stutter(words: Sequence[str], speech: Samples, pack: LanguagePack) -> int:
    """How many of *words* stay when a last one that repeats the one before it goes, for want of speech for both."""
    spoken = [number for number, word in enumerate(words) if comparison_key(word)]
    room = speech / RATE - sum(seconds(word, pack) for word in words)
    if len(spoken) > 1 and room < 0 and comparison_key(words[spoken[-1]]) == comparison_key(words[spoken[-2]]):
        return spoken[-1]
    return len(words)


def _rounds(lasts: Sequence[float], start: int, period: int, room: float) -> int:
    """The end of the last round, of those that begin at *start*, for which there is *room*; of the first, if for none."""
    count = start + period
    while count + period <= len(lasts) and sum(lasts[: count + period]) <= room:
        count += period
    return count

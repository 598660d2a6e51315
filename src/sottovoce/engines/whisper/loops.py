"""Removes loops at the end of a text: in short windows, Whisper may repeat its text until the decode is stopped.

The time that the words would take to speak distinguishes such repetitions from spoken ones.
"""

from collections.abc import Sequence

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

_LONGEST_PERIOD = 60  # pieces of text in one repetition, at most
_ROUNDS = 2  # complete repetitions from which a text is a loop
_SPOKEN = 0.6  # least share of its time when spoken quickly that a repetition must have in the audio
_LONGEST_REPETITION = 8  # words

# Duration of a quickly spoken word, in seconds: `_WORD` plus a time per character.
_WORD = 0.10
_LETTER = 0.045
_DIGIT = 0.22
_SIGN = 0.15  # a sign of a script that writes syllables or words


def seconds(text: str, pack: LanguagePack) -> float:
    """The duration, in seconds, of the piece *text* when it is spoken quickly; 0 for marks."""
    letters = comparison_key(text)
    if not letters:
        return 0.0
    digits = sum(char.isdigit() for char in letters)
    each = _LETTER if pack.delimiter else _SIGN
    return (_WORD if pack.delimiter else 0.0) + digits * _DIGIT + (len(letters) - digits) * each


def end(words: Sequence[str], speech: Samples, pack: LanguagePack) -> int:
    """The number of *words* (pieces of text, including marks) that were spoken in *speech* samples of speech.

    All of them if they do not end in a loop or if there is enough speech; else up to the last repetition that has speech.
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
            return _end_of_rounds(lasts, start, period, room)
    return len(words)


def stutter(words: Sequence[str], speech: Samples, pack: LanguagePack) -> int:
    """The number of *words* without a last one that repeats the word before it, if *speech* (samples) is too short for both."""
    spoken = [number for number, word in enumerate(words) if comparison_key(word)]
    room = speech / RATE - sum(seconds(word, pack) for word in words)
    if len(spoken) > 1 and room < 0 and comparison_key(words[spoken[-1]]) == comparison_key(words[spoken[-2]]):
        return spoken[-1]
    return len(words)


def unspoken(words: Sequence[HypothesisWord], first: int, pack: LanguagePack) -> int:
    """The number of *words* before the first one, from *first* on, that begins a repetition with too little time to be spoken.

    Where speech ends but the audio does not, the model may repeat itself: the words have some tenths of a second together.
    """
    keys = [comparison_key(word.text) for word in words]
    for at in range(max(first, 1), len(words)):
        for period in range(1, min(_LONGEST_REPETITION, at, len(words) - at) + 1):
            again = words[at : at + period]
            if keys[at - period : at] != keys[at : at + period] or not any(keys[at : at + period]):
                continue
            time = (again[-1].end - words[at - 1].end) / RATE
            if time < _SPOKEN * sum(seconds(word.text, pack) for word in again):
                return at
    return len(words)


def _end_of_rounds(lasts: Sequence[float], start: int, period: int, room: float) -> int:
    """The end index of the last repetition, counted from *start*, that fits into *room* seconds; at least of the first one.

    *lasts*: duration of each piece in seconds; *period*: pieces per repetition.
    """
    count = start + period
    while count + period <= len(lasts) and sum(lasts[: count + period]) <= room:
        count += period
    return count

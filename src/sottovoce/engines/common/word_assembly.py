"""Joins Whisper's pieces of text into written words, and turns these into items of the transcript.

faster-whisper splits text before blanks and at every mark: `$5,000` comes as ` $5` and `,000`, `25%` as ` 25` and `%`. In
scripts without blanks, a piece is the text of one or two tokens: one letter or a few.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sottovoce.engines.common import split_punctuation
from sottovoce.engines.common.calibration import Calibration
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Item, Word

_UNITS = frozenset("%‰°€£¥₹₽₩₺₪$¢")  # they belong to the number before them, with or without a blank
_HARD_BLANK = "\u00a0"  # contract §7.4: `10 $` is one word

# Within one piece, a blank separates two words, as do a dash or dots between letters; the dots stay with the first word.
_PARTED = re.compile(r"[^\S\u00a0]+|(?<=[^\W_])(?:[—–](?!\d)|--+)(?=[^\W_])|(?<=…)(?=[^\W_])|(?<=\.\.)(?=[^\W_.])")

# In scripts without blanks, `_TRAILING` characters never begin a word and `_LEADING` ones never end one.
_TRAILING = frozenset("ーっゃゅょぁぃぅぇぉッャュョァィゥェォんン々ゝゞヽヾๆฯะาำๅ")
_LEADING = frozenset("เแโใไ")
_INSIDE = frozenset(".,:'’-/")  # between letters or digits they do not separate words


def joined(pieces: Iterable[HypothesisWord], pack: LanguagePack) -> list[HypothesisWord]:
    """*pieces* joined into words with their marks, in the same order; pieces without text are left out."""
    words: list[HypothesisWord] = []
    apart = True  # a blank precedes the piece
    for piece in pieces:
        text = "".join(char for char in piece.text if char != "\ufffd" and unicodedata.category(char) != "Cc")
        core = text.strip()
        blank = apart or text[:1].isspace()
        apart = text[-1:].isspace() if core else apart or bool(text)
        if not core:
            continue
        if words and (glue := _glue(words[-1].text, core, pack, blank=blank)) is not None:
            words[-1] = _together(words[-1], replace(piece, text=core), glue)
        else:
            words.append(replace(piece, text=core))
    return [part for word in words for part in _parted(word)]


def items(words: Sequence[HypothesisWord], pack: LanguagePack, calibration: Calibration) -> tuple[Item, ...]:
    """Words and marks of one stretch; *words* have media times. At most one mark follows a word; none precedes the first.

    A word's confidence is its probability mapped by *calibration*, 0..1.
    """
    found: list[Item] = []
    for index, word in enumerate(words):
        following = words[index + 1].text if index + 1 < len(words) else ""
        text, marks = split_punctuation.split(word.text, pack, following)
        if text:
            found.append(
                Word(
                    text=text,
                    start=word.start,
                    end=word.end,
                    confidence=calibration(word.probability),
                    language=pack.code,
                )
            )
        if marks and found and isinstance(found[-1], Word):
            final = next((mark for mark in marks if mark in pack.stops), marks[0])
            found.append(split_punctuation.mark(final, found[-1].end, pack))
    return tuple(found)


def _glue(before: str, core: str, pack: LanguagePack, *, blank: bool) -> str | None:
    """The text that joins *before* and *core* into one word; `None` if they are two words."""
    if core in _UNITS and before[-1].isdigit():
        return _HARD_BLANK if blank else ""
    if _marks_only(core):
        return None if blank and _opens(core[0]) else ""
    if blank:
        return None
    return "" if pack.delimiter or _clings(before, core) else None


def _marks_only(text: str) -> bool:
    return all(unicodedata.category(char).startswith("P") and char not in "&#@%" for char in text)


def _opens(mark: str) -> bool:
    """True if *mark*, after a blank, belongs to the word that follows."""
    return mark in "\"'¿¡" or unicodedata.category(mark) in {"Pd", "Ps", "Pi", "Pf"}


def _clings(before: str, core: str) -> bool:
    """True if *core* continues the word *before*, in a script without blanks."""
    last, first = before[-1], core[0]
    if unicodedata.category(first).startswith("M") or first in _TRAILING or last in _LEADING:
        return True
    if first.isdigit() and (last in _UNITS or (last in ".,:" and before[-2:-1].isdigit())):
        return True
    if first in _INSIDE:
        return _spaced(last) and _spaced(core[1:2])
    if last in "'’-":
        return _spaced(before[-2:-1]) and _spaced(first)
    return _spaced(last) and _spaced(first)


def _spaced(char: str) -> bool:
    """True if *char* is a digit, or a letter of a script that puts blanks between words."""
    return char.isalnum() and not any(low <= ord(char) <= high for low, high in _UNSPACED)


# Code points of scripts without blanks between words: Thai and Lao; CJK and Kana; Yi; CJK compatibility; CJK extensions.
_UNSPACED = ((0x0E00, 0x0EFF), (0x2E80, 0x9FFF), (0xA000, 0xA4CF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def _together(before: HypothesisWord, piece: HypothesisWord, glue: str) -> HypothesisWord:
    """*before* and *piece* as one word. A mark changes neither its times nor its probability.

    The probability of the word is the mean of both, weighted by their letters.
    """
    text = before.text + glue + piece.text
    ours, theirs = len(comparison_key(before.text)), len(comparison_key(piece.text))
    if not theirs:
        return replace(before, text=text)
    if not ours:
        return replace(before, text=text, end=piece.end, probability=piece.probability)
    probability = (before.probability * ours + piece.probability * theirs) / (ours + theirs)
    return replace(before, text=text, end=max(before.end, piece.end), probability=probability)


def _parted(word: HypothesisWord) -> Iterator[HypothesisWord]:
    """*word*, or the words that it holds if there are several; these share its time in proportion to their length."""
    texts = [text for text in _PARTED.split(word.text) if text]
    whole = sum(map(len, texts))
    said = 0
    length = word.end - word.start
    for text in texts:
        start = word.start + length * said // whole
        said += len(text)
        yield replace(word, text=text, start=start, end=word.start + length * said // whole)

"""The spoken forms of written words, for alignment: `$5`, `1984`, `Dr.`, `3:45pm`, `www.example.com`.

English words are read in the context of their neighbours (`english.py`); other languages get words and numbers only. The
result is used only to find the times of words: the text itself does not change. No I/O.
"""

import re
from collections.abc import Sequence

from sottovoce.transcript.languages import pack
from sottovoce.transcript.verbalization import english as spoken_english
from sottovoce.transcript.verbalization.numbers import NUMBER, foreign
from sottovoce.transcript.verbalization.variants import Way, best, joined, tidy, tokens

# Codes of the contract for mixed speech → the language of numerals and of words that are not in Latin letters.
_MIXED = {"ar_en": "ar", "cmn_en": "cmn", "cmn_en_ms_ta": "cmn", "en_ms": "en", "en_ta": "en", "tl": "en"}
_PART = re.compile(rf"({NUMBER})|([^\d]+)")
_QUOTE = re.compile('(?<=[^\\W\\d])"(?=[^\\W\\d])')  # inside a Hebrew acronym
_TURKISH = str.maketrans("Iİ", "ıi")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def spoken(words: Sequence[str], language: str) -> list[tuple[Way, ...]]:
    """The spoken forms of each written word, most probable first, at most 6 of at most 200 tokens each.

    *words* are runs of non-blanks with their punctuation; a word that is not spoken (`—`) has no spoken form. *language* is a
    code of the contract; for an unknown code only letters are read. Raises no error for any word.
    """
    if language == "en":
        return spoken_english.read(words)
    home = _MIXED.get(language)
    if home is None:
        return [_foreign(tidy(word), language) for word in words]
    english = spoken_english.read(words)
    return [
        said if _in_english(tidy(word), home) else _foreign(tidy(word), home)
        for word, said in zip(words, english, strict=True)
    ]


def _in_english(word: str, home: str) -> bool:
    """True if a word of mixed speech is read as English: it has Latin letters, or no letters and *home* is `en`."""
    if _LATIN.search(word):
        return True
    return home == "en" and not any(sign.isalpha() for sign in word)


def _foreign(word: str, language: str) -> tuple[Way, ...]:
    """Letters unchanged, and numbers if CLDR has the language; symbols and other numbers are left out."""
    parts: list[Sequence[Way]] = []
    text = _QUOTE.sub("", word.translate(_TURKISH) if language == "tr" else word)
    for number, other in _PART.findall(text):
        parts.append(foreign(number, language) if number else (tokens(other),))
    ways = joined(parts)
    if not pack(language).delimiter:
        ways = tuple(("".join(way),) if way else () for way in ways)
    return best(ways)

"""How written words are said, for finding them in audio: `$5`, `1984`, `Dr.`, `3:45pm`, `www.example.com`.

Pure text. English is read with its neighbours (`spoken_english.py`); other languages get their words and numbers. What is
returned times an alignment and nothing else: the transcript stays as it was written.
"""

import re
from collections.abc import Sequence

from sottovoce.transcript.languages import pack
from sottovoce.transcript.verbalization import english as spoken_english
from sottovoce.transcript.verbalization.numbers import NUMBER, foreign
from sottovoce.transcript.verbalization.variants import Way, best, joined, tidy, tokens

# Codes of the contract for speech in more than one language: the one whose numerals are heard when the word does not tell.
_MIXED = {"ar_en": "ar", "cmn_en": "cmn", "cmn_en_ms_ta": "cmn", "en_ms": "en", "en_ta": "en", "tl": "en"}
_PART = re.compile(rf"({NUMBER})|([^\d]+)")
_QUOTE = re.compile('(?<=[^\\W\\d])"(?=[^\\W\\d])')  # of a Hebrew acronym
_TURKISH = str.maketrans("Iİ", "ıi")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def spoken(words: Sequence[str], language: str) -> list[tuple[Way, ...]]:
    """For each written word the ways in which it is said, likeliest first, at most 6 of at most 200 tokens each.

    *words* are runs of non-blanks with their punctuation; a word that nobody says (`—`) has no way. *language* is a code
    of the contract; of an unknown one the letters are read. No word makes this fail.
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
    """Whether a word of mixed speech is English's to read: by its letters, else by the numerals at home."""
    if _LATIN.search(word):
        return True
    return home == "en" and not any(sign.isalpha() for sign in word)


def _foreign(word: str, language: str) -> tuple[Way, ...]:
    """Letters as they are, numbers where CLDR knows the language; symbols and numbers of others are left out."""
    parts: list[Sequence[Way]] = []
    text = _QUOTE.sub("", word.translate(_TURKISH) if language == "tr" else word)
    for number, other in _PART.findall(text):
        parts.append(foreign(number, language) if number else (tokens(other),))
    ways = joined(parts)
    if not pack(language).delimiter:
        ways = tuple(("".join(way),) if way else () for way in ways)
    return best(ways)

"""The type of a spoken form (`Way`), its limits, and the basic functions on spoken forms and on text."""

import unicodedata
from collections.abc import Iterable, Sequence

Way = tuple[str, ...]
"""One spoken form: lower-case tokens of letters (with their combining marks) and apostrophes."""

MAX_WAYS = 6
"""Maximum spoken forms of one word; the most probable are kept."""
MAX_TOKENS = 200
"""Maximum tokens of one spoken form."""
MAX_LENGTH = 2_000
"""Characters of one word that are read; far more than any word, web address or line of Japanese needs."""

_OPEN_PARTS = 12  # parts of a word whose alternatives are combined; later parts have only their first form
_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʹ′＇`´"), "'")
_JOINERS = dict.fromkeys(map(ord, "·־״׳"), "")  # signs inside Catalan and Hebrew words that do not separate tokens
_COMPATIBLE = (("\uff01", "\uff5e"), ("\ufb00", "\ufdff"), ("\ufe70", "\ufefc"))  # full width, ligatures, Arabic shapes


def best(ways: Iterable[Way]) -> tuple[Way, ...]:
    """*ways* in order, without duplicates and empty ones, cut to `MAX_WAYS` and `MAX_TOKENS`."""
    return tuple(way for way in dict.fromkeys(way[:MAX_TOKENS] for way in ways) if way)[:MAX_WAYS]


def joined(parts: Iterable[Sequence[Way]]) -> tuple[Way, ...]:
    """The spoken forms of *parts* in sequence, ordered by the sum of the ranks of the chosen alternatives."""
    ranked: list[tuple[int, Way]] = [(0, ())]
    rest: list[str] = []
    for number, ways in enumerate(parts):
        if not ways:
            continue
        if number < _OPEN_PARTS:
            both = [(rank + nth, way + more) for rank, way in ranked for nth, more in enumerate(ways)]
            ranked = sorted(both, key=lambda pair: pair[0])[:MAX_WAYS]
        elif len(rest) < MAX_TOKENS:
            rest += ways[0]
    return tuple(dict.fromkeys((*way, *rest)[:MAX_TOKENS] for _, way in ranked))


def digits_plain(text: str) -> str:
    """*text* with the decimal digits of all scripts converted to 0-9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def tidy(text: str) -> str:
    """The first `MAX_LENGTH` characters of *text* in NFC, with straight apostrophes, plain digits and letters, and blanks for
    all white space, without invisible characters.
    """
    text = text[:MAX_LENGTH]
    if text.isascii() and text.isprintable():
        return text
    text = "".join(_plain(sign) for sign in text)
    text = unicodedata.normalize("NFC", text).translate(_APOSTROPHES)
    return digits_plain(text)[:MAX_LENGTH]


def _plain(sign: str) -> str:
    if sign.isspace():
        return " "
    if unicodedata.category(sign).startswith("C"):  # controls, directions, soft hyphens, halves of surrogate pairs
        return ""
    if any(first <= sign <= last for first, last in _COMPATIBLE):
        return unicodedata.normalize("NFKC", sign)
    return sign


def tokens(text: str) -> Way:
    """The runs of letters in *text*, which `tidy` returned, in lower case; apostrophes are part of a run, other signs separate."""
    found: list[str] = []
    run = ""
    for sign in unicodedata.normalize("NFC", text.translate(_JOINERS).lower()) + " ":
        if sign.isalpha() or (run and (sign == "'" or unicodedata.category(sign).startswith("M"))):
            run += sign
        elif run:
            found.append(run.rstrip("'"))
            run = ""
    return tuple(found)

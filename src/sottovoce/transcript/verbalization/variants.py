"""The ways in which a piece of text is said: values and the few things one does with them. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence

Way = tuple[str, ...]
"""One way of saying something: lower-case tokens of letters (with the marks that sit on them) and apostrophes."""

MAX_WAYS = 6
"""Ways kept of one word, the likeliest."""
MAX_TOKENS = 200
"""Tokens kept of one way."""
MAX_LENGTH = 2_000
"""Characters read of one word; far more than any word, web address or line of Japanese needs."""

_OPEN_PARTS = 12  # parts of a word whose further ways are looked at; beyond, a choice more changes nothing
_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʹ′＇`´"), "'")
_JOINERS = dict.fromkeys(map(ord, "·־״׳"), "")  # inside words of Catalan and Hebrew, where they separate nothing
_COMPATIBLE = (("\uff01", "\uff5e"), ("\ufb00", "\ufdff"), ("\ufe70", "\ufefc"))  # full width, ligatures, Arabic shapes


def best(ways: Iterable[Way]) -> tuple[Way, ...]:
    """*ways* without doubles and silence, in their order, within the limits."""
    return tuple(way for way in dict.fromkeys(way[:MAX_TOKENS] for way in ways) if way)[:MAX_WAYS]


def joined(parts: Iterable[Sequence[Way]]) -> tuple[Way, ...]:
    """The ways of saying *parts* one after the other, likeliest first: those with the fewest unlikely choices."""
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
    """*text* with the decimal digits of every script as 0-9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def tidy(text: str) -> str:
    """The beginning of *text* in NFC: straight apostrophes, plain digits and letters, nothing invisible, any blank a blank."""
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
    """The runs of letters of a tidy *text*, lower-case; apostrophes stay inside a run, all else separates."""
    found: list[str] = []
    run = ""
    for sign in unicodedata.normalize("NFC", text.translate(_JOINERS).lower()) + " ":
        if sign.isalpha() or (run and (sign == "'" or unicodedata.category(sign).startswith("M"))):
            run += sign
        elif run:
            found.append(run.rstrip("'"))
            run = ""
    return tuple(found)

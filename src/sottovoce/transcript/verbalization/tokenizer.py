"""Splits written English words into the pieces that are read separately, each with its neighbours."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sottovoce.transcript.verbalization.variants import MAX_LENGTH, MAX_TOKENS, tidy

MAX_PIECES = 2 * MAX_TOKENS
"""Maximum pieces of one word: twice the tokens of a spoken form, since every second piece may be silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the word number *word*: its *core*, and the punctuation before it (*lead*) and after it (*tail*).

    *inside*: the word has several pieces. *before* and *after*: the cores of the neighbours, empty at the ends. *opens*: the
    previous piece begins a sentence.
    """

    word: int
    lead: str
    core: str
    tail: str
    inside: bool = False
    before: str = ""
    after: str = ""
    opens: bool = True

    @property
    def dotted(self) -> bool:
        """True if a full stop follows the piece directly."""
        return self.tail.startswith(".")

    @property
    def stops(self) -> bool:
        """True if a sentence may end after the piece."""
        return any(mark in self.tail for mark in ".!?")


_OPENING = frozenset('"«»‹›()[]{}¿¡*_|\\,;:!?')  # never spoken at the start of a word
_CLOSING = "\"«»‹›()[]{}*_|\\,;:!?'.-"
_SPLIT = re.compile("([-/])")
_THOUSANDS = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_ALIKE = {
    "æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "Æ": "AE", "Œ": "OE",
    "Ø": "O", "ẞ": "SS", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "“": '"', "”": '"', "„": '"', "″": '"', "⁄": "/",
    "∕": "/", "℃": "°C", "℉": "°F", "№": "No. ", "™": "", "®": "", "º": "°", "…": " ", "²": "²", "³": "³",
} | dict.fromkeys("‐‑‒–—―﹘﹣", "-")  # fmt: skip
"""Signs and letters → their English spelling, where Unicode has no or another decomposition; units keep their ² and ³."""


def clean(text: str) -> str:
    """*text* with English letters, plain quotes and hyphens, without accents, ligatures and invisible characters."""
    text = tidy(text)
    if text.isascii():
        return text
    text = _VULGAR.sub(lambda match: f" {unicodedata.normalize('NFKC', match[0])} ", text)
    text = "".join(_ALIKE.get(sign) or _bare(sign) for sign in text)
    return text[:MAX_LENGTH]


def _bare(sign: str) -> str:
    parts = unicodedata.normalize("NFKD", _ALIKE.get(sign, sign))
    return "".join(_ALIKE.get(part, part) for part in parts if not unicodedata.category(part).startswith("M"))


def pieces(words: Sequence[str], whole: Callable[[str], bool]) -> list[Piece]:
    """The pieces of all *words* in order with their neighbours; *whole* is true for a core that is not split at hyphens and
    slashes.
    """
    found = [
        piece for number, word in enumerate(words) for piece in islice(_cut(number, clean(word), whole), MAX_PIECES)
    ]
    return [
        replace(
            piece,
            before=found[at - 1].core if at else "",
            after=found[at + 1].core if at + 1 < len(found) else "",
            opens=at < 2 or found[at - 2].stops,  # noqa: PLR2004 - the last but one
        )
        for at, piece in enumerate(found)
    ]


def _cut(number: int, word: str, whole: Callable[[str], bool]) -> Iterator[Piece]:
    runs = _THOUSANDS.sub("", word).split()
    for run in runs:
        piece = _piece(number, run, inside=len(runs) > 1)
        if whole(piece.core) or not _SPLIT.search(piece.core):
            yield piece
            continue
        parts = [part for part in _SPLIT.split(piece.core) if part not in {"", "-"}]
        for part in parts:
            tail = piece.tail if part is parts[-1] else ""
            yield replace(_piece(number, part, inside=len(parts) > 1), lead=piece.lead, tail=tail)


def _piece(number: int, text: str, *, inside: bool) -> Piece:
    start = 0
    while start < len(text) and _leads(text[start], text[start + 1 : start + 3]):
        start += 1
    core = text[start:].rstrip(_CLOSING)
    if not core:  # punctuation only: a sign may be spoken
        return Piece(word=number, lead="", core=text, tail="", inside=inside)
    return Piece(word=number, lead=text[:start], core=core, tail=text[start + len(core) :], inside=inside)


def _leads(sign: str, following: str) -> bool:
    """True if *sign* at the beginning is punctuation: not the dot of .5, the minus of -5, the apostrophe of '90s."""
    if sign in {".", "-"}:
        return not following[:1].isdecimal() and not (sign == "-" and following[:1] in {".", "$", "£", "€"})
    if sign == "'":
        return not (len(following) > 1 and following.isdecimal())
    return sign in _OPENING

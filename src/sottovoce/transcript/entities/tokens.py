"""Tokens: the words of a transcript in the form that the rules compare, and a reader that notes how far a rule looked."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sottovoce.transcript.entities.literals import Piece, literal
from sottovoce.transcript.entities.locale import Locale, Numerals, Phrases, Words
from sottovoce.transcript.model import Entity, Item, Mark

T = TypeVar("T")

_LONGEST_COMPOUND = 80  # characters; the longest German number below a million has 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A part of the item number *item*: *first* and *last* of its item or not. *text* is in lower case.

    *kind*: word, mark, end, or a kind of `Piece` for text with digits or signs; *digits* and *fraction* are those of a number.
    """

    text: str
    item: int
    kind: str = "word"
    first: bool = True
    last: bool = True
    digits: str = ""
    fraction: str | None = None
    grouped: bool = False
    ends: bool = False  # a mark that ends a sentence

    @property
    def letter(self) -> str:
        """The letter, if the token is a single one, else empty."""
        return self.text if self.kind == "word" and len(self.text) == 1 and self.text.isalpha() else ""


END = Token(text="", item=-1, kind="end")
"""The token after the last one and before the first one."""


class Reader:
    """The tokens of a list of items. *reached* is the highest index that a rule has read.

    *limit*: the index of the mark that ends the sentence; the tokens after it are not read.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.reached = -1
        self.limit = len(tokens)
        self._words = [token.text if token.kind in {"word", "sign"} else "" for token in tokens]

    def at(self, index: int) -> Token:
        """The token at *index*, the mark at the end of the sentence if that is earlier, or `END` outside."""
        index = min(index, self.limit)
        if index > self.reached:  # noqa: PLR1730 - read very often
            self.reached = index
        return self.tokens[index] if 0 <= index < len(self.tokens) else END

    def word(self, index: int) -> str:
        """The text of the token at *index* if it is a word, else empty."""
        index = min(index, self.limit)
        if index > self.reached:  # noqa: PLR1730 - read very often
            self.reached = index
        return self._words[index] if 0 <= index < len(self._words) else ""

    def glance(self, index: int) -> str:
        """Like `word`, without noting it in *reached*."""
        token = self.tokens[index] if 0 <= index < self.limit else END
        return token.text if token.kind == "word" else ""

    def phrase(self, index: int, table: Phrases[T]) -> int:
        """The number of tokens from *index* that are the longest key of *table*; 0 if none."""
        for length in table.lengths.get(self.word(index), ()):
            if length == 1 or tuple(self.word(index + nth) for nth in range(length)) in table:
                return length
        return 0

    def words(self, index: int, length: int) -> Words:
        """The texts of *length* tokens from *index*."""
        return tuple(self.word(index + nth) for nth in range(length))


def normal(text: str) -> str:
    """*text* in lower case, NFC, with straight apostrophes and plain hyphens."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFC", text).replace("’", "'").replace("‑", "-").replace("‐", "-")
    return plain.lower()


def tokenize(items: Sequence[Item], locale: Locale, keep: frozenset[str] = frozenset()) -> list[Token]:
    """The tokens of *items* in order; words in *keep* (in the form of `normal`) are never part of an entity."""
    found: list[Token] = []
    for index, item in enumerate(items):
        found += _tokens(item, index, locale, keep)
    return found


def _tokens(item: Item, index: int, locale: Locale, keep: frozenset[str]) -> Iterator[Token]:
    if isinstance(item, Mark):
        yield Token(text=item.text, item=index, kind="mark", ends=item.ends_sentence)
        return
    text = normal(item.text)
    if isinstance(item, Entity) or text in keep:
        yield Token(text=text, item=index, kind="kept")
        return
    pieces = _pieces(item.text, text, locale)
    for number, piece in enumerate(pieces):
        yield Token(
            text=piece.text,
            item=index,
            kind=piece.kind,
            digits=piece.digits,
            fraction=piece.fraction,
            grouped=piece.grouped,
            first=number == 0,
            last=number + 1 == len(pieces),
        )


def _pieces(raw: str, text: str, locale: Locale) -> Sequence[Piece]:
    found = literal(raw, text, locale)
    if found:
        return found
    letters = text.strip(".")
    if len(letters) == 1 and letters.isalpha():  # PocketSphinx writes spelled letters with a dot
        return (Piece(text=letters),)
    if text.replace(".", "") in {"am", "pm"}:
        return (Piece(text=text.replace(".", "")),)
    if locale.numerals.compound and (parts := split_compound(text, locale.numerals)):
        return [Piece(text=part) for part in parts]
    parts = tuple(part for part in text.split("-") if part)
    if len(parts) > 1 and all(part.replace("'", "").isalpha() for part in parts):
        whole = [inner for part in parts for inner in _inner(part, locale)]
        return [Piece(text=part) for part in whole]
    if "'" in text and (split := _elided(text)):
        return [Piece(text=part) for part in split]
    return (Piece(text=text),)


def _inner(part: str, locale: Locale) -> Sequence[str]:
    return (locale.numerals.compound and split_compound(part, locale.numerals)) or (part,)


def _elided(text: str) -> Words:
    """`d'euros` as two words; other apostrophes belong to their word."""
    head, _, tail = text.partition("'")
    return (head + "'", tail) if head in {"d", "l", "un", "dell", "all"} and tail else ()


def split_compound(text: str, numerals: Numerals) -> Words:
    """The number words that *text* consists of, the longest first; () if it is no compound of at least two."""
    if len(text) > _LONGEST_COMPOUND or not text.isalpha():
        return ()
    vocabulary = numerals.vocabulary
    if text in vocabulary:
        return ()
    best: list[Words | None] = [()] + [None] * len(text)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - 20), end):
            before, part = best[start], text[start:end]
            if before is None or (part not in vocabulary and part not in numerals.attached):
                continue
            if best[end] is None or len(before) + 1 < len(best[end] or ()):
                best[end] = (*before, part)
    parts = best[len(text)] or ()
    if len(parts) < 2 or parts[0] in numerals.joiners | numerals.attached or parts[-1] in numerals.joiners:
        return ()
    return parts

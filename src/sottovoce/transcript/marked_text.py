"""Finds the words and the markup of a text that a caller submits for alignment.

Words are runs of non-blanks; `<…>` and `<!-- … -->` are comments, which are not spoken (contract `batch-v2.md` §10).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

_BOM = "\ufeff"
_OPEN, _CLOSE = "<!--", "-->"
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWord:
    """A word of a text: its characters *first* … *last* (exclusive)."""

    first: int
    last: int
    text: str


def begins(text: str) -> int:
    """The index of the first character of *text* behind its byte order mark."""
    return len(_BOM) if text.startswith(_BOM) else 0


def words(text: str) -> Iterator[TextWord]:
    """The words of *text* in order; markup inside a word divides it. Time linear in the length."""
    at = begins(text)
    for first, last in chain(comments(text), [(len(text), len(text))]):
        for match in _WORD.finditer(text, at, first):
            yield TextWord(first=match.start(), last=match.end(), text=match.group())
        at = last


def comments(text: str) -> Iterator[tuple[int, int]]:
    """The start and end (exclusive) of each tag and comment of *text*.

    A comment may contain `>`, a tag ends at the first one. A tag or comment without an end is text.
    """
    at = 0
    last_tag, last_comment = text.rfind(">"), text.rfind(_CLOSE)
    while 0 <= (at := text.find("<", at)) < last_tag:
        is_comment = text.startswith(_OPEN, at) and at + len(_OPEN) <= last_comment
        end = text.find(_CLOSE, at + len(_OPEN)) + len(_CLOSE) if is_comment else text.find(">", at) + 1
        yield at, end
        at = end

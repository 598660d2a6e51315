"""A text with markup, as a caller submits it for alignment: where its words are, with everything else left as it is.

Words are runs of non-blanks; `<…>` and `<!-- … -->` are comments, which nobody says (contract `batch-v2.md` §10).
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
    """A word of the text: characters *first* … *last* (exclusive) of it."""

    first: int
    last: int
    text: str


def words(text: str) -> Iterator[TextWord]:
    """The words of *text* in order; markup inside a word divides it. Takes time in proportion to the length."""
    at = 1 if text.startswith(_BOM) else 0
    for first, last in chain(comments(text), [(len(text), len(text))]):
        for match in _WORD.finditer(text, at, first):
            yield TextWord(first=match.start(), last=match.end(), text=match.group())
        at = last


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Where the markup of *text* is. A comment may hold `>`, a tag ends at the first one; what never ends is no markup."""
    at = 0
    last_tag, last_comment = text.rfind(">"), text.rfind(_CLOSE)
    while 0 <= (at := text.find("<", at)) < last_tag:
        is_comment = text.startswith(_OPEN, at) and at + len(_OPEN) <= last_comment
        end = text.find(_CLOSE, at + len(_OPEN)) + len(_CLOSE) if is_comment else text.find(">", at) + 1
        yield at, end
        at = end

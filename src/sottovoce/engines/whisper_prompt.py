"""Custom words as Whisper takes them: a line of text before the speech, as if it had been said just before.

That is all that Whisper offers: it makes the words likelier and shows how they are written. How they sound (`sounds_like`)
cannot be told to it.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from sottovoce.request import VocabEntry

BUDGET = 219
"""Tokens of custom words: with Whisper's control tokens that leaves it the 224 that it writes at most (448 in all)."""

MAX_WORDS = 6
MAX_LETTERS = 200
"""Of an entry; longer ones are left out (contract §6.2 leaves out more than six words, and words over 4,000 letters)."""

Encode = Callable[[str], Sequence[int]]


def prompt(vocab: Iterable[VocabEntry], encode: Encode, plain: int) -> str:
    """As many entries of *vocab*, in their order and whole, as fit into `BUDGET`; empty for none.

    *encode* turns text into tokens. Text that would become one of the model's control tokens, which are numbered from
    *plain* on, is made harmless or left out.
    """
    chosen: list[str] = []
    used = 0
    seen: set[str] = set()
    for entry in vocab:
        text = _harmless(entry.content)
        if not text or text in seen or len(text) > MAX_LETTERS or len(text.split()) > MAX_WORDS:
            continue
        seen.add(text)
        tokens = encode(f", {text}")
        if any(token >= plain for token in tokens) or used + len(tokens) > BUDGET:
            continue
        chosen.append(text)
        used += len(tokens)
    return ", ".join(chosen)


def _harmless(text: str) -> str:
    """*text* on one line, without what control tokens are written with, nor half characters."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return " ".join(text.replace("<|", " ").replace("|>", " ").split())

"""Custom words from a prompt.

A prompt cannot be given to the recogniser as it is: Whisper would write its words where they are not spoken (`docs/whisper.md`).
Its names become custom words, which are used only where the audio sounds like them.
"""

import re
from collections.abc import Iterable, Iterator

MAX_PROMPT = 4_000
"""Characters of a prompt that are used, from its end, as OpenAI uses the last tokens."""
MAX_WORDS = 6
"""Words of one entry (contract `batch-v2.md` §6.2)."""
MAX_ENTRIES = 200
"""Custom words of one prompt; later ones are left out."""
MAX_LETTERS = 200
"""Characters of one entry."""

_LIST = re.compile(r"[,;:\n\r\t|•]+")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")
_EDGES = " \"'“”‘’«»()[]{}<>.!?…*_-–—"
_SHORT_PHRASE = 3  # words; a longer part of a list is prose, of which only names are used


def words_of(prompt: str) -> tuple[str, ...]:
    """The custom words in *prompt*: the entries of a list in it, and the names in its sentences."""
    found = dict.fromkeys(word for word in _candidates(prompt[-MAX_PROMPT:]) if 1 < len(word) <= MAX_LETTERS)
    return tuple(found)[:MAX_ENTRIES]


def phrases(given: Iterable[str]) -> tuple[str, ...]:
    """The entries of a list of *given* words or phrases that can be custom words, each once."""
    cleaned = (" ".join("".join(char if char.isprintable() else " " for char in text).split()) for text in given)
    kept = (text for text in cleaned if text and len(text) <= MAX_LETTERS and len(text.split()) <= MAX_WORDS)
    return tuple(dict.fromkeys(kept))[:MAX_ENTRIES]


def _candidates(prompt: str) -> Iterator[str]:
    text = "".join(char if char.isprintable() or char in "\n\t" else " " for char in prompt)
    for sentence in _SENTENCE.split(text):
        parts = [part.strip(_EDGES) for part in _LIST.split(sentence)]
        listed = len(parts) > 2  # noqa: PLR2004 - a clause or two are no list
        for number, part in enumerate(parts):
            words = part.split()
            if listed and 0 < len(words) <= _SHORT_PHRASE and not (number == 0 and _prose(words)):
                yield part
            else:
                yield from _names(words, begins=number == 0)


def _prose(words: list[str]) -> bool:
    """True if no word after the first has a sign of a name, as in `Hello there, …`."""
    return len(words) > 1 and not any(map(_named, words[1:]))


def _names(words: list[str], *, begins: bool) -> Iterator[str]:
    """Runs of names in *words*; the first word of a sentence counts only if it is written unlike a sentence's beginning."""
    run: list[str] = []
    for number, word in enumerate(words):
        bare = word.strip(_EDGES)
        if _named(bare) and (number or not begins or _odd(bare)):
            run.append(bare)
        else:
            yield from _entries(run)
            run = []
    yield from _entries(run)


def _entries(run: list[str]) -> Iterator[str]:
    if run:
        yield " ".join(run[:MAX_WORDS])


def _named(word: str) -> bool:
    bare = word.strip(_EDGES)
    return len(bare) > 1 and (bare[0].isupper() or _odd(bare))


def _odd(word: str) -> bool:
    """True for a word with a digit or with a capital after its first letter: GPT, iPhone, ZyntriQix, B3."""
    return any(char.isdigit() for char in word) or any(char.isupper() for char in word[1:])

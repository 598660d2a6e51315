"""The result of an alignment: the time of each word of a text. The submitted text is stored separately and unchanged.

It is stored as compact JSON with a version, like a transcript; the output formats are made from it and the text.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.transcript.model import Samples

VERSION = 1
_MEMBERS = frozenset({"v", "l", "d", "t", "r", "f", "n", "s", "e", "b"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedWord:
    """Characters *first* … *last* (exclusive) of the text are said from *start* to *end*.

    *bridged*: the word was not found in the audio; its times only fill the gap between its neighbours.
    """

    first: int
    last: int
    start: Samples
    end: Samples
    bridged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Every word of a text in order, with non-decreasing times. *engine* is for the log."""

    language: str
    duration: Samples
    created_at: int  # epoch milliseconds, UTC
    words: tuple[AlignedWord, ...] = ()
    engine: str = ""

    @property
    def coverage(self) -> float:
        """The share of words that were found in the audio, 0..1."""
        return sum(not word.bridged for word in self.words) / len(self.words) if self.words else 0.0


def encode(alignment: Alignment) -> bytes:
    """The stored form of *alignment*, about 20 bytes per word."""
    words = alignment.words
    return json.dumps(
        {
            "v": VERSION,
            "l": alignment.language,
            "d": alignment.duration,
            "t": alignment.created_at,
            "r": alignment.engine,
            "f": [word.first for word in words],
            "n": [word.last - word.first for word in words],
            "s": [word.start for word in words],
            "e": [word.end - word.start for word in words],
            "b": [number for number, word in enumerate(words) if word.bridged],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def decode(data: bytes) -> Alignment:
    """The alignment from the output *data* of `encode`. Raises ValueError for other data; the message quotes no text."""
    try:
        raw = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(raw, dict) or raw.keys() != _MEMBERS or type(raw["v"]) is not int or raw["v"] != VERSION:
        raise ValueError(f"not an alignment in version {VERSION}")
    if not isinstance(raw["l"], str) or not isinstance(raw["r"], str):
        raise ValueError("the language or the engine is not a string")  # noqa: TRY004 - one error for all bad data
    firsts, lengths, starts, spans, bridged = (_wholes(raw[name]) for name in "fnseb")
    if not len(firsts) == len(lengths) == len(starts) == len(spans):
        raise ValueError("columns of different lengths")
    unfound = frozenset(bridged)
    if not unfound <= frozenset(range(len(firsts))):
        raise ValueError("the number of a bridged word is out of range")
    return Alignment(
        language=raw["l"],
        duration=_wholes([raw["d"]])[0],
        created_at=_wholes([raw["t"]])[0],
        engine=raw["r"],
        words=tuple(
            AlignedWord(first=first, last=first + length, start=start, end=start + span, bridged=number in unfound)
            for number, (first, length, start, span) in enumerate(zip(firsts, lengths, starts, spans, strict=True))
        ),
    )


def _wholes(values: Any) -> Sequence[int]:
    if not isinstance(values, list) or any(type(value) is not int or value < 0 for value in values):
        raise ValueError("not a list of whole numbers")
    return values

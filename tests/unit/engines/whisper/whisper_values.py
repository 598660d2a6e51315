"""Words as an engine would have heard them, and runs of speech, for tests of what Whisper's parts do with them."""

import numpy as np

from sottovoce.audio.activity import Span, Speech
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.transcript.model import RATE


def at(seconds: float) -> int:
    """*seconds* as samples."""
    return round(seconds * RATE)


def run(start: float, end: float) -> Span:
    """Speech from *start* to *end*, in seconds."""
    return Span(start=at(start), end=at(end))


def word(text: str, start: float, end: float, probability: float = 0.9) -> HypothesisWord:
    """A word from *start* to *end*, in seconds."""
    return HypothesisWord(text=text, start=at(start), end=at(end), probability=probability)


def line(text: str, start: float = 0.0, *, pace: float = 0.4, length: float = 0.3, probability: float = 0.9):
    """The words of *text*, one every *pace* seconds."""
    return [
        word(each, start + pace * number, start + pace * number + length, probability)
        for number, each in enumerate(text.split())
    ]


def written(words) -> str:
    """The text of *words*."""
    return " ".join(each.text for each in words)


def numbered(start: int, end: int, *runs: tuple[int, int]) -> Speech:
    """A stretch from sample *start* to *end* whose samples are their places (to 2**24), with *runs* of speech."""
    return Speech(
        start=start,
        audio=np.arange(start, end, dtype=np.float32),
        voiced=tuple(Span(start=first, end=last) for first, last in runs),
    )

"""Audio that a test can write and a scripted recogniser can read: each word is a run of samples of one value."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio.activity import Span
from sottovoce.engines.protocols import LiveHypothesis, LiveWord
from sottovoce.transcript.model import RATE, Attaches, Item, Mark, Samples, Word

Floats = NDArray[np.float32]

WORD: Samples = 2 * RATE // 5
"""The length of a word, 0.4 s."""
FRAME: Samples = 512
_LEVEL = 1e-4
_LOUD = 0.5


class Language:
    """The words that can be said, in the order in which they were first used."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, text: str, pause: float = 0.0) -> Floats:
        """The audio of *text*, then *pause* seconds of silence."""
        pieces = [np.zeros(0, np.float32)]
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
            level = _LOUD + (self.words.index(word) + 1) * _LEVEL
            # a short click divides equal neighbours
            pieces += [np.full(WORD - 1, level, np.float32), np.full(1, _LOUD, np.float32)]
        return np.concatenate([*pieces, np.zeros(round(pause * RATE), np.float32)])


class Vad:
    """Speech is what is loud."""

    frame = FRAME

    def __call__(self, audio: Floats) -> Floats:
        frames = np.abs(audio).reshape(-1, FRAME) >= _LOUD
        return np.asarray(frames.mean(axis=1) > 0.5, np.float32)


class Ear:
    """A `LiveStream` that reads the words of a window. *misheard*: what short decodes write in place of a word."""

    def __init__(self, language: Language, misheard: dict[str, str] | None = None) -> None:
        self.language = language
        self.misheard = misheard or {}
        self.decodes: list[tuple[float, bool]] = []  # seconds of audio, closing
        self.deaf = False  # closing decodes find nothing

    def hypothesis(self, audio: Floats, committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        self.decodes.append((len(audio) / RATE, closing))
        if self.deaf and closing:
            return LiveHypothesis()
        levels = np.round((audio - _LOUD) / _LEVEL).astype(int)
        edges = [0, *(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(levels)]
        found = []
        for start, end in pairwise(edges):
            if end - start >= WORD // 2 and levels[start] > 0:  # half a word is heard
                text = self.language.words[levels[start] - 1]
                text = text if closing else self.misheard.get(text, text)
                found.append(LiveWord(text=text, start=start, end=end, probability=0.9))
        last = committed[-1].end if committed else 0
        return LiveHypothesis(words=(*committed, *(word for word in found if (word.start + word.end) // 2 > last)))

    def whole(self, audio: Floats, voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        assert all(0 <= run.start < run.end <= len(audio) for run in voiced)
        return self.hypothesis(audio, (), closing=True).words

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        items: list[Item] = []
        for word in words:
            bare = word.text.rstrip(".,?")
            items.append(Word(text=bare, start=word.start, end=word.end, confidence=0.9, language="en"))
            if mark := word.text[len(bare) :]:
                ends = mark != ","
                items.append(
                    Mark(text=mark, at=word.end, ends_sentence=ends, attaches=Attaches.PREVIOUS, language="en")
                )
        return tuple(items)

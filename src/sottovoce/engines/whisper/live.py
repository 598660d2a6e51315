"""Live recognition with Whisper: short windows of the newest audio, decoded greedily after the words that are final already.

The forced words carry the context, so no text prompt is used (research `streaming.md` §3). The mark of the last forced word
must not be passed: after a full stop, the model ends the text, and every later word would be lost (§6, trap 0).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span
from sottovoce.engines.common import word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.protocols import Capabilities, Hints, LiveHypothesis, LiveWord
from sottovoce.engines.whisper import hallucination, style, vocabulary
from sottovoce.engines.whisper.decoder import Clip, Task
from sottovoce.engines.whisper.engine import Whisper
from sottovoce.engines.whisper.vocabulary import Vocabulary
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.entities.languages import locale
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_LONG_NUMBER = 3
"""Digits from which the new words are decoded again without digits."""
_CLOSING_BEAM = 5
"""Beam size of the last decode of an utterance, which is not repeated and decides about its words."""


class WhisperLive:
    """A `LiveRecognizer` over a loaded `Whisper`."""

    def __init__(self, whisper: Whisper) -> None:
        self._whisper = whisper

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return self._whisper.capabilities

    def open(self, hints: Hints) -> "WhisperStream":
        """Return a stream. Raises `EngineUnavailable` for a language that the model does not support."""
        codes = self._whisper.codes(hints.language)
        if not codes:
            raise EngineUnavailable(
                f"Whisper {self.capabilities.model} does not support the language {hints.language!r}"
            )
        task = Task(pack=pack(hints.language), code=codes[0])
        return WhisperStream(self._whisper, task, Vocabulary(hints.vocab), spelled=_spelled(hints))


class WhisperStream:
    """A `LiveStream`. Keeps no state between calls. *spelled*: long numbers are decoded again as words."""

    def __init__(self, whisper: Whisper, task: Task, custom: Vocabulary, *, spelled: bool) -> None:
        self._whisper = whisper
        self._decoder = whisper.decoder
        self._calibration = whisper.calibration
        self._task = task
        self._custom = custom
        self._spelled = spelled

    def hypothesis(self, audio: "Floats", committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        """Return the words of *audio*, the *committed* ones first; a wider search with *closing*."""
        beam = _CLOSING_BEAM if closing else 1
        texts = [word.text for word in committed]
        found, count = self._decoder.live(audio, self._task, texts, beam=beam)
        if not committed and (hallucination.silent(found) or self._guessed(found)):
            return LiveHypothesis(doubtful=True)
        words = [*found.words[:count], *hallucination.filter_words(replace(found, words=found.words[count:]))]
        if self._spelled and sum(map(_digits, words[count:])) >= _LONG_NUMBER:
            words = self._as_words(words, count, audio, texts, beam)
        words = self._customised(words, count, audio, texts, beam)
        return LiveHypothesis(words=tuple(_live(word) for word in _regrouped(words, count, texts)))

    def whole(self, audio: "Floats", voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        """Return the words of *audio* as batch writes them: with time stamps, and again where speech has no words."""
        words = self._whisper.passage(Clip(audio=audio, voiced=tuple(voiced)), self._task, self._custom)
        return tuple(_live(word) for word in words)

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        """Return *words* as words and marks, with calibrated confidence."""
        written = [
            HypothesisWord(text=word.text, start=word.start, end=word.end, probability=word.probability)
            for word in words
        ]
        return word_assembly.items(written, self._task.pack, self._calibration)

    def _guessed(self, found: hallucination.Hypothesis) -> bool:
        return hallucination.unintelligible(found, well_known=self._task.code in style.EXAMPLES)

    def _as_words(
        self, words: list[HypothesisWord], count: int, audio: "Floats", committed: Sequence[str], beam: int
    ) -> list[HypothesisWord]:
        """*words* from another decode that writes no digits, after the first *count*, which are final; the same if it is a guess.

        Digits are where loops begin in a short window: `123123123` for *one, two, three*. How sure the model was of the digits
        counts for the words too: their own probability is that of this spelling.
        """
        other, covered = self._decoder.live(audio, replace(self._task, digits=False), committed, beam=beam)
        found = hallucination.filter_words(replace(other, words=other.words[covered:]))
        if not found or self._guessed(replace(other, words=found)):
            return words
        numbers = [word.probability for word in words[count:] if _digits(word)]
        sure = sum(numbers) / len(numbers)
        same = {comparison_key(word.text) for word in words[count:]}
        raised = (
            word if comparison_key(word.text) in same else replace(word, probability=max(word.probability, sure))
            for word in found
        )
        return [*words[:count], *raised]

    def _customised(
        self, words: list[HypothesisWord], count: int, audio: "Floats", committed: Sequence[str], beam: int
    ) -> list[HypothesisWord]:
        """*words* with the custom words that a second decode confirms, after the first *count*, which are final."""
        matches = self._custom.candidates(words[count:]) if self._custom.entries else []
        chosen = vocabulary.wanted(matches, words[count:])
        if not chosen:
            return words
        tokenizer = self._decoder.tokenizer(self._task.code)
        tokens, _ = vocabulary.previous(chosen, self._task.code, tokenizer.encode, tokenizer.eot)
        if not tokens:
            return words
        task = replace(self._task, previous=tuple(tokens))
        other, covered = self._decoder.live(audio, task, committed, beam=beam)
        return [*words[:count], *vocabulary.adopted(words[count:], other.words[covered:], matches)]


def _spelled(hints: Hints) -> bool:
    """True if the words of numbers become digits afterwards, and no custom word has digits."""
    known = any(_digits_of(entry.content) for entry in hints.vocab)
    return locale(hints.language) is not None and not known


def _digits_of(text: str) -> int:
    return sum(sign.isdecimal() for sign in text)


def _digits(word: HypothesisWord) -> int:
    return _digits_of(word.text)


def _live(word: HypothesisWord) -> LiveWord:
    return LiveWord(text=word.text, start=word.start, end=word.end, probability=word.probability)


def _regrouped(words: list[HypothesisWord], count: int, committed: Sequence[str]) -> list[HypothesisWord]:
    """*words* with exactly one word for each of *committed* at the beginning, where the model joined or divided them."""
    if count == len(committed):
        return words
    if not count or not committed:
        return words
    first, last = words[0], words[count - 1]
    span = last.end - first.start
    size = max(sum(map(len, committed)), 1)
    placed: list[HypothesisWord] = []
    said = 0
    for text in committed:
        start = first.start + span * said // size
        said += len(text)
        placed.append(replace(last, text=text, start=start, end=first.start + span * said // size))
    return [*placed, *words[count:]]

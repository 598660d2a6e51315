"""Live recognition with Moonshine: short windows of the newest audio, decoded after the words that are final already.

The decoder takes the final words in one run; the tokens after them are written one by one. The audio gets zeros at its end, because
it may end within a word. Only the words that are not final, and the last three final ones, are placed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span
from sottovoce.engines.common import word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.moonshine import listener
from sottovoce.engines.moonshine.model import PAD, SHORTEST, Written
from sottovoce.engines.moonshine.recognizer import Moonshine, sanitized
from sottovoce.engines.protocols import Capabilities, Hints, LiveHypothesis, LiveWord
from sottovoce.engines.whisper import coverage
from sottovoce.engines.whisper.decoder import Clip
from sottovoce.transcript.model import RATE, Item, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_ANCHORS = 3
"""Final words that are placed again with the open ones: if the last one was ended too early, its rest would draw the next word."""

_EXHAUSTED: Samples = 6 * RATE // 100  # a word that begins in the last 60 ms of the audio was not spoken


class MoonshineLive:
    """A `LiveRecognizer` over a loaded `Moonshine`."""

    def __init__(self, moonshine: Moonshine) -> None:
        self._moonshine = moonshine

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return self._moonshine.capabilities

    def open(self, hints: Hints) -> "MoonshineStream":
        """Return a stream. Raises `EngineUnavailable` for a language other than English."""
        self._moonshine.require(hints.language)
        return MoonshineStream(self._moonshine)


class MoonshineStream:
    """A `LiveStream`. Keeps no state between calls."""

    def __init__(self, moonshine: Moonshine) -> None:
        self._engine = moonshine.engine
        self._calibration = moonshine.calibration

    def hypothesis(self, audio: "Floats", committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        """Return *committed* and the words of *audio* after them."""
        del closing  # every decode is of the same kind
        if len(audio) < SHORTEST:
            return LiveHypothesis(words=tuple(committed))
        model = self._engine.model
        forced = [token for word in committed for token in model.tokenizer.encode(f" {word.text}")]
        written = model.write(model.encode(sanitized(audio), pad=PAD), forced)
        final, words = self._after(committed, written)
        begin = min(committed[-1].end, len(audio)) if committed else 0
        words, _ = listener.unlooped(words, len(audio) - begin, self._engine.pack)
        if not committed and listener.guessed(words):
            return LiveHypothesis(doubtful=True)
        placed = self._placed(words, audio, committed[-_ANCHORS:])
        if not committed and placed and all(map(self._drawn_out, placed)):
            return LiveHypothesis(doubtful=True)
        return LiveHypothesis(words=(*final, *placed))

    def whole(self, audio: "Floats", voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        """Return the words of *audio* as batch writes them: decoded again where speech has no words."""
        clip = Clip(audio=sanitized(audio), voiced=tuple(voiced))
        words, _ = listener.hear(self._engine, clip)
        return tuple(map(_live, coverage.fitted(words, coverage.with_onsets(clip.voiced), self._engine.pack)))

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        """Return *words* as words and marks, with calibrated confidence."""
        written = [
            HypothesisWord(text=word.text, start=word.start, end=word.end, probability=word.probability)
            for word in words
        ]
        return word_assembly.items(written, self._engine.pack, self._calibration)

    def _after(self, committed: Sequence[LiveWord], written: Written) -> tuple[list[LiveWord], list[HypothesisWord]]:
        """*committed* with the marks that *written* sets after the last of them, and the words after those, without times."""
        words = listener.assembled(self._engine, written)
        if not committed or not words or self._begins_word(written):
            return list(committed), words
        # What stands directly after the last final word is a mark of it, or letters that would change a final word.
        first = words[0].text
        if comparison_key(first):
            return list(committed), words[1:]
        return [*committed[:-1], replace(committed[-1], text=committed[-1].text + first)], words[1:]

    def _begins_word(self, written: Written) -> bool:
        pieces = self._engine.model.tokenizer.pieces(written.tokens[:1])
        return bool(pieces) and pieces[0][0][:1].isspace()

    def _drawn_out(self, word: LiveWord) -> bool:
        """True if *word* lasts twice as long as any speaker would need: noise, for which the model has written a word."""
        return word.end - word.start > 2 * coverage.longest(word.text, self._engine.pack)

    def _placed(
        self, words: list[HypothesisWord], audio: "Floats", anchors: Sequence[LiveWord]
    ) -> tuple[LiveWord, ...]:
        """*words* with their times in *audio*, after the last final words, *anchors*; without a last one that has no audio."""
        begin = min(anchors[0].start, len(audio)) if anchors else 0
        rest = sanitized(audio)[begin:]
        texts = [*(word.text for word in anchors), *(word.text for word in words)]
        times = self._engine.placer.place(rest, texts, (Span(start=0, end=len(rest)),))[len(anchors) :]
        placed = [
            LiveWord(text=word.text, start=begin + start, end=begin + end, probability=word.probability)
            for word, (start, end) in zip(words, times, strict=True)
        ]
        while placed and placed[-1].start >= len(audio) - _EXHAUSTED:
            placed.pop()
        return tuple(placed)


def _live(word: HypothesisWord) -> LiveWord:
    return LiveWord(text=word.text, start=word.start, end=word.end, probability=word.probability)

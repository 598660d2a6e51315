"""Decodes one window of audio: tokens to words with times, and decodes again where text repeats or speech has no words.

Moonshine reports no probability of "no speech"; text that it makes up shows in the mean probability of its words and in loops. Both
are measured in docs/accuracy.md: the words of 28 recordings of speech have a mean of 0.63 or more, text for speech played backwards
mostly less than 0.6, and where it has more, the text repeats itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span
from sottovoce.engines.common import overlap_merge, word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.moonshine.model import SHORTEST, Model, Written
from sottovoce.engines.moonshine.placement import Placer
from sottovoce.engines.whisper import coverage, hallucination, loops
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import Clip
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

GUESSED = 0.6
"""Mean probability below which the words of a text count as made up."""
GUESSED_FEW = 0.45
"""The same for fewer than `_FEW` words, whose mean says little."""
HOLES = 6
"""Most holes of one window that are decoded again."""

_FEW = 4
_LEAST_SPEECH: Samples = RATE // 10  # 0.1 s; clicks are shorter
_AROUND: Samples = 3 * RATE // 2  # audio (1.5 s) on both sides of a hole that is decoded with it
_LEAST = 0.6  # least mean probability of the words that fill a hole
_SHORTEST_PART: Samples = 2 * RATE  # a window of less than two such parts is not divided
_FULL = 1 << 30  # more tokens than any decode writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What one window needs: the *model*, and what places its words in the audio."""

    model: Model
    placer: Placer
    pack: LanguagePack


def hear(engine: Engine, clip: Clip) -> tuple[list[HypothesisWord], list[Hole]]:
    """The words of *clip*, and the remaining holes: speech for which the model has no words."""
    words = _heard(engine, clip)
    tried: list[Hole] = []
    for _ in range(HOLES if words else 0):
        found = coverage.holes(words, clip.voiced, clip.length, engine.pack)
        hole = next((each for each in found if not any(_same(each, other) for other in tried)), None)
        if hole is None:
            break
        tried.append(hole)
        words = _repaired(engine, clip, words, hole)
    return words, [hole for hole in coverage.holes(words, clip.voiced, clip.length, engine.pack) if hole.told]


def _heard(engine: Engine, clip: Clip) -> list[HypothesisWord]:
    """The words of *clip*; those of its two parts if the text of the whole repeats itself."""
    found = attempt(engine, clip)
    if _repeats(found):
        parts = _halves(clip)
        if not parts:
            return []
        return [
            replace(word, start=word.start + part.start, end=word.end + part.start)
            for part in parts
            for word in _heard(engine, clip.part(part.start, part.end))
        ]
    if guessed(found.words):
        return []
    words = hallucination.filter_words(found)
    return [
        word for word in words if word.probability >= hallucination.SURE or not coverage.unvoiced(word, clip.voiced)
    ]


def attempt(engine: Engine, clip: Clip) -> Hypothesis:
    """The result of one decode of *clip*, with times from its start; `full` if it ended in a loop."""
    if clip.length < SHORTEST or clip.speech < _LEAST_SPEECH:
        return _hypothesis([], Written(), looped=False)
    written = engine.model.write(engine.model.encode(clip.audio))
    words, looped = unlooped(assembled(engine, written), clip.speech, engine.pack)
    times = engine.placer.place(clip.audio, [word.text for word in words], clip.voiced)
    placed = [replace(word, start=start, end=end) for word, (start, end) in zip(words, times, strict=True)]
    return _hypothesis(placed, written, looped=looped or not written.whole)


def _hypothesis(words: Sequence[HypothesisWord], written: Written, *, looped: bool) -> Hypothesis:
    logs = [math.log(max(each, 1e-9)) for each in (*written.probabilities, written.ending)]
    return Hypothesis(
        words=tuple(words),
        text=" ".join(word.text for word in words),
        avg_logprob=sum(logs) / len(logs),
        no_speech=0.0,
        tokens=_FULL if looped else len(written.tokens),
        limit=_FULL,
    )


def assembled(engine: Engine, written: Written) -> list[HypothesisWord]:
    """The words of *written* with their marks, without times. A word's probability is the mean of its tokens."""
    pieces: list[HypothesisWord] = []
    at = 0
    for text, count in engine.model.tokenizer.pieces(written.tokens):
        own = written.probabilities[at : at + count]
        at += count
        pieces.append(HypothesisWord(text=text, start=0, end=0, probability=sum(own) / count))
    return word_assembly.joined(pieces, engine.pack)


def unlooped(words: Sequence[HypothesisWord], speech: Samples, pack: LanguagePack) -> tuple[list[HypothesisWord], bool]:
    """*words* without the repetitions at their end for which *speech* is too short; True if there were whole rounds of them."""
    texts = [word.text for word in words]
    count = loops.end(texts, speech, pack)
    kept = loops.stutter(texts[:count], speech, pack)
    return list(words[:kept]), count < len(words)


def guessed(words: Sequence[HypothesisWord]) -> bool:
    """True if the model made up *words*, by their mean probability."""
    if not words:
        return False
    mean = sum(word.probability for word in words) / len(words)
    return mean < (GUESSED if len(words) >= _FEW else GUESSED_FEW)


def _repeats(found: Hypothesis) -> bool:
    """True if *found* ended in a loop, has one, or is as compressible as one."""
    return (
        found.full
        or bool(hallucination.loops(found.words))
        or (hallucination.compression(found.text) > hallucination.REPETITIVE)
    )


def _halves(clip: Clip) -> list[Span]:
    """The two parts of *clip* around its longest pause near the middle, or its two halves; none if it is too short."""
    if clip.length < 2 * _SHORTEST_PART:
        return []
    pauses = [
        (after.start - before.end, (before.end + after.start) // 2)
        for before, after in pairwise(clip.voiced)
        if _SHORTEST_PART <= (before.end + after.start) // 2 <= clip.length - _SHORTEST_PART
    ]
    at = max(pauses)[1] if pauses else clip.length // 2
    return [Span(start=0, end=at), Span(start=at, end=clip.length)]


def _same(hole: Hole, other: Hole) -> bool:
    return abs(hole.start - other.start) <= RATE // 2 and abs(hole.end - other.end) <= RATE // 2


def _repaired(engine: Engine, clip: Clip, words: list[HypothesisWord], hole: Hole) -> list[HypothesisWord]:
    """*words* with the words that a decode of *hole* and its surroundings finds in it; unchanged if it finds none."""
    start, end = max(hole.start - _AROUND, 0), min(hole.end + _AROUND, clip.length)
    if (start, end) == (0, clip.length):
        start, end = hole.start, hole.end
    if (start, end) == (0, clip.length):
        return words
    found = attempt(engine, clip.part(start, end))
    if _repeats(found) or guessed(found.words):
        return words
    new = [replace(word, start=word.start + start, end=word.end + start) for word in found.words]
    inside = [word for word in new if hole.start <= word.middle < hole.end]
    before, after = words[: hole.first], words[hole.last :]
    near = {comparison_key(word.text) for word in (*before[-2:], *after[:2])}
    anchored = not near or any(comparison_key(word.text) in near for word in new)
    if len(inside) <= hole.last - hole.first or not anchored or _mean(inside) < _LEAST:
        return words
    if before:
        new = overlap_merge.merge(before, new, hole.start, before=hole.start - start, after=0)
    return overlap_merge.merge(new, after, hole.end, before=0, after=end - hole.end) if after else new


def _mean(words: Sequence[HypothesisWord]) -> float:
    return sum(word.probability for word in words) / max(len(words), 1)

"""A window heard until every run of speech in it has its words, or is known to have none.

The window is decoded with time stamps, and what looks wrong is decoded once more with rising temperature, as Whisper itself
would. Then the words are held against the speech that was found in the audio (`coverage`): where words are missing, that
part is decoded again, first with some of the words around it, then alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sottovoce.audio.activity import Span
from sottovoce.engines.common import overlap_merge
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import coverage, hallucination, style
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import Clip, Decoder, Task, nothing
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.transcript.model import RATE, Samples

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""For decodes after the first one (openai/whisper, `transcribe`)."""

AROUND: Samples = 3 * RATE // 2
"""What is heard on both sides of a hole, so that the model knows where it is."""

CLOSE: Samples = 2 * RATE // 5
"""The same where a hole is heard alone."""

REPAIRS = 12
"""Holes of one window that are decoded again, at most."""

_CLEAR = 0.65  # mean probability of words that were a guess without an example before them …
_CLEAR_FEW = 0.5  # … and of so few that their mean says little
_FEW = 4
_LEAST = 0.55  # mean probability of the words that fill a hole


def attempt(
    decoder: Decoder,
    clip: Clip,
    task: Task,
    first: Hypothesis | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
) -> Hypothesis:
    """The best hypothesis for *clip*, its words cleaned of what was not said; *first*: one that is there."""
    heard = _ended(first or decoder.decode([clip], task)[0], clip, task)
    if hallucination.needs_fallback(heard):
        for temperature in temperatures:
            other = _ended(decoder.decode([clip], task, temperature=temperature)[0], clip, task)
            heard = hallucination.pick_decode(heard, other)
            if not hallucination.needs_fallback(heard):
                break
    return replace(heard, words=_said(heard, clip.voiced))


def _ended(heard: Hypothesis, clip: Clip, task: Task) -> Hypothesis:
    words = coverage.within_audio(heard.words, clip.voiced, clip.length, task.pack)
    return (
        heard if len(words) == len(heard.words) else replace(heard, words=words, text=" ".join(w.text for w in words))
    )


def _said(heard: Hypothesis, voiced: Sequence[Span]) -> tuple[HypothesisWord, ...]:
    words = hallucination.filter_words(heard)
    return tuple(
        word for word in words if word.probability >= hallucination.SURE or not coverage.unvoiced(word, voiced)
    )


def hear(
    decoder: Decoder, clip: Clip, task: Task, first: Hypothesis | None = None
) -> tuple[list[HypothesisWord], list[Hole]]:
    """The words of *clip* and the holes that stay: speech that the model has no words for."""
    heard = attempt(decoder, clip, task, first)
    guessed = _guessed(heard, task)
    if guessed or not heard.words:
        heard = _in_sentences(decoder, clip, task)
    words = list(heard.words)
    tried: list[Hole] = []
    # a part of a guess is a guess too
    for _ in range(0 if guessed and not words else REPAIRS):
        found = coverage.holes(words, clip.voiced, clip.length, task.pack)
        hole = next((each for each in found if not _known(each, tried)), None)
        if hole is None:
            break
        tried.append(hole)
        words = _repaired(decoder, clip, task, words, hole)
    left = coverage.holes(words, clip.voiced, clip.length, task.pack)
    return words, [hole for hole in left if hole.told]


def _guessed(heard: Hypothesis, task: Task) -> bool:
    """Whether the words of *heard* are a guess; languages without an example of their style are not well known."""
    return hallucination.unintelligible(heard, well_known=task.code in style.EXAMPLES)


def _in_sentences(decoder: Decoder, clip: Clip, task: Task) -> Hypothesis:
    """*clip* decoded after a text of whole sentences; without words if that is a guess too.

    Words said one by one, with long pauses, are unlikely to the model as long as it takes them for one sentence: after such a
    text their mean probability rose from 0.47 to 0.74, that of babble and of reversed speech to 0.59 at most.
    """
    example = style.EXAMPLES.get(task.code)
    if example is None:
        return nothing(task.pack)
    tokens = tuple(decoder.tokenizer(task.code).encode(" " + example))
    found = attempt(decoder, clip, replace(task, previous=tokens))
    known = {comparison_key(word) for word in example.split()}
    repeated = sum(comparison_key(word.text) in known for word in found.words)
    mean = sum(word.probability for word in found.words) / max(len(found.words), 1)
    clear = _CLEAR if len(found.words) >= _FEW else _CLEAR_FEW
    # in babble such a text starts loops, of words that grow surer with every round
    looped = hallucination.needs_fallback(found) or bool(hallucination.loops(found.words))
    return found if mean >= clear and not looped and 2 * repeated <= len(found.words) else nothing(task.pack)


def _known(hole: Hole, tried: Sequence[Hole]) -> bool:
    """Whether *hole* is one that was decoded again before, and stayed."""
    return any(abs(hole.start - other.start) <= CLOSE and abs(hole.end - other.end) <= CLOSE for other in tried)


def _repaired(
    decoder: Decoder, clip: Clip, task: Task, words: list[HypothesisWord], hole: Hole
) -> list[HypothesisWord]:
    """*words* with those that another decode finds in *hole*."""
    for part, anchored in _parts(hole, clip):
        found = attempt(decoder, clip.part(part.start, part.end), task, temperatures=())
        if not found.words or hallucination.silent(found) or _guessed(found, task):
            continue
        new = [replace(word, start=word.start + part.start, end=word.end + part.start) for word in found.words]
        if _fits(new, words, hole, anchored=anchored):
            return _merged(words, new, hole, part)
    return words


def _parts(hole: Hole, clip: Clip) -> list[tuple[Span, bool]]:
    """What of *clip* to decode again for *hole*, and whether it must have some of the words around it again.

    With what is around it, and, where more is missing, alone. The whole clip was decoded before: where these are no other
    cut, the hole is heard without anything around it, and each half of it.
    """
    whole = Span(start=0, end=clip.length)
    parts = [(_within(hole.start - AROUND, hole.end + AROUND, whole), True)]
    if hole.missed >= coverage.TOLD:
        parts.append((_within(hole.start - CLOSE, hole.end + CLOSE, whole), False))
        if parts[-1][0] == whole:
            parts.append((Span(start=hole.start, end=hole.end), False))
            halves = _halves(hole, clip.voiced)
            parts += [(_within(start - CLOSE, end + CLOSE, whole), False) for start, end in halves]
    return [(part, anchored) for part, anchored in parts if part != whole]


def _within(start: Samples, end: Samples, whole: Span) -> Span:
    return Span(start=max(start, whole.start), end=min(end, whole.end))


def _halves(hole: Hole, voiced: Sequence[Span]) -> list[tuple[Samples, Samples]]:
    """*hole* on both sides of the longest pause in it, or of its middle where it has none."""
    runs = [run for run in voiced if run.start < hole.end and run.end > hole.start]
    if len(runs) < 2:  # noqa: PLR2004 - one run has no pause
        middle = (hole.start + hole.end) // 2
        return [(hole.start, middle), (middle, hole.end)]
    before, after = max(pairwise(runs), key=lambda pair: pair[1].start - pair[0].end)
    return [(hole.start, before.end), (after.start, hole.end)]


def _fits(new: Sequence[HypothesisWord], words: Sequence[HypothesisWord], hole: Hole, *, anchored: bool) -> bool:
    """Whether *new* has more words in *hole* than *words* have, likely ones; *anchored*: and some of those around it."""
    inside = [word for word in new if hole.start <= word.middle < hole.end]
    if len(inside) <= hole.last - hole.first or sum(word.probability for word in inside) < _LEAST * len(inside):
        return False
    near = [*words[: hole.first][-2:], *words[hole.last :][:2]]
    return (
        not anchored
        or not near
        or any(
            comparison_key(one.text) == comparison_key(other.text)
            and abs(one.middle - other.middle) <= overlap_merge.TOLERANCE
            for one in new
            for other in near
        )
    )


def _merged(words: list[HypothesisWord], new: list[HypothesisWord], hole: Hole, known: Span) -> list[HypothesisWord]:
    """*words* with *new*, which was heard in *known*, in the place of those that were drawn out over *hole*."""
    before, after = words[: hole.first], words[hole.last :]
    if before:
        new = overlap_merge.merge(before, new, hole.start, before=hole.start - known.start, after=0)
    return overlap_merge.merge(new, after, hole.end, before=0, after=known.end - hole.end) if after else new

"""Decodes a window until every run of speech in it has words, or repeated decodes find none.

The window is decoded with time stamps; a suspicious result is decoded again at rising temperatures, as in Whisper itself.
Then the words are compared with the detected speech (`coverage`): a part without words is decoded again, first with its
surroundings, then alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sottovoce.audio.activity import Span
from sottovoce.engines.common import overlap_merge
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import coverage, hallucination, style
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import Clip, Decoder, Task, nothing
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.languages import CLEAR
from sottovoce.transcript.model import RATE, Samples

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Sampling temperatures of the decodes after the first one, in order (openai/whisper, `transcribe`)."""

AROUND: Samples = 3 * RATE // 2
"""Audio (1.5 s) on both sides of a hole that is decoded with it, so that words around the hole anchor the result."""

CLOSE: Samples = 2 * RATE // 5
"""Audio (0.4 s) on both sides of a hole that is decoded alone; also the tolerance when holes are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many more decodes one window may need."""

    holes: int
    """Most holes that are decoded again."""
    parts: int
    """Most parts of the audio that are decoded again for one hole."""
    temperatures: tuple[float, ...]
    """Temperatures of the decodes after a suspicious one."""


THOROUGH = Effort(holes=12, parts=5, temperatures=TEMPERATURES)
"""Until no decode finds more words."""

PROMPT = Effort(holes=2, parts=1, temperatures=(0.2, 0.6))
"""For the end of a turn, which a person waits for: nine seconds of speech took six decodes with `THOROUGH`, which heard the same
words."""

_KNOWS = 0.1  # probability that a model which identifies languages gives the best one; one trained for its text alone may not
_LIKELY = 0.5  # probability of the language of a window, from which it is taken for speech in that language
_CLEAR = 0.65  # least mean probability of a decode after an example text, if the first decode was a guess
_CLEAR_FEW = 0.5  # the same for fewer than `_FEW` words, whose mean says little
_FEW = 4  # words
_MANY = 6  # words, from which on their variety says something
_VARIETY = 0.5  # least share of different words; English sentences of 6 to 80 words have 0.65 to 1
_LEAST = 0.55  # least mean probability of the words that fill a hole


def attempt(
    decoder: Decoder,
    clip: Clip,
    task: Task,
    first: Hypothesis | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
) -> Hypothesis:
    """The best hypothesis for *clip*, without invented words. *first*: the result of the first decode, if already done."""
    hypothesis = _limited_to_audio(first or decoder.decode([clip], task)[0], clip, task)
    if hallucination.needs_fallback(hypothesis):
        for temperature in temperatures:
            other = _limited_to_audio(decoder.decode([clip], task, temperature=temperature)[0], clip, task)
            hypothesis = hallucination.pick_decode(hypothesis, other)
            if not hallucination.needs_fallback(hypothesis):
                break
    return replace(hypothesis, words=_spoken_words(hypothesis, clip.voiced))


def _limited_to_audio(hypothesis: Hypothesis, clip: Clip, task: Task) -> Hypothesis:
    words = coverage.within_audio(hypothesis.words, clip.voiced, clip.length, task.pack)
    return (
        hypothesis
        if len(words) == len(hypothesis.words)
        else replace(hypothesis, words=words, text=" ".join(w.text for w in words))
    )


def _spoken_words(hypothesis: Hypothesis, voiced: Sequence[Span]) -> tuple[HypothesisWord, ...]:
    words = hallucination.filter_words(hypothesis)
    return tuple(
        word for word in words if word.probability >= hallucination.SURE or not coverage.unvoiced(word, voiced)
    )


def hear(
    decoder: Decoder, clip: Clip, task: Task, first: Hypothesis | None = None, effort: Effort = THOROUGH
) -> tuple[list[HypothesisWord], list[Hole]]:
    """The words of *clip*, and the remaining holes: speech for which the model has no words."""
    hypothesis = attempt(decoder, clip, task, first, effort.temperatures)
    guessed = _guessed(hypothesis, task)
    if guessed or not hypothesis.words:
        hypothesis = _in_sentences(decoder, clip, task)
    elif hallucination.doubtful(hypothesis) and _meaningless(decoder, clip, task, hypothesis):
        guessed, hypothesis = True, nothing(task.pack)
    words = list(hypothesis.words)
    tried: list[Hole] = []
    # The parts of a guess are not decoded again: they would be guesses too.
    for _ in range(0 if guessed else effort.holes):
        found = coverage.holes(words, clip.voiced, clip.length, task.pack)
        hole = next((each for each in found if not _already_tried(each, tried)), None)
        if hole is None:
            break
        tried.append(hole)
        words = _repaired(decoder, clip, task, words, hole, most=effort.parts)
    left = coverage.holes(words, clip.voiced, clip.length, task.pack)
    return words, [hole for hole in left if hole.told]


def _guessed(hypothesis: Hypothesis, task: Task) -> bool:
    """True if the words of *hypothesis* are a guess. Languages without a style example count as not well known to Whisper."""
    return hallucination.unintelligible(hypothesis, well_known=task.code in style.EXAMPLES)


def _meaningless(decoder: Decoder, clip: Clip, task: Task, hypothesis: Hypothesis) -> bool:
    """True if *clip* sounds like no language, and a decode after an example text does not have the words of *hypothesis*.

    Both are needed. Speech in white noise or babble as loud as the voice keeps the probability of its language over 0.8, but
    two decodes may differ; clips of a second or two may have 0.01, but two decodes agree. Never with an English-only model.
    """
    scores = decoder.languages(clip)
    if scores.get(task.code, 0.0) >= _LIKELY or not _KNOWS <= max(scores.values(), default=0.0) < CLEAR:
        return False
    after = _after_example(decoder, task)
    return after is not None and not hallucination.confirms(attempt(decoder, clip, after, temperatures=()), hypothesis)


def _after_example(decoder: Decoder, task: Task) -> Task | None:
    """*task* after a text of short sentences in its language; None if there is no such text."""
    example = style.EXAMPLES.get(task.code)
    if example is None:
        return None
    return replace(task, previous=tuple(decoder.tokenizer(task.code).encode(" " + example)))


def _in_sentences(decoder: Decoder, clip: Clip, task: Task) -> Hypothesis:
    """*clip* decoded after a text of short sentences; empty if the result is a guess too.

    Single words with long pauses have a low probability while the model takes them for one sentence. After such a text,
    their mean probability rose from 0.47 to 0.74; that of babble and reversed speech rose to 0.59 at most.
    """
    after = _after_example(decoder, task)
    if after is None:
        return nothing(task.pack)
    found = attempt(decoder, clip, after)
    known = {comparison_key(word) for word in style.EXAMPLES[task.code].split()}
    repeated = sum(comparison_key(word.text) in known for word in found.words)
    mean = sum(word.probability for word in found.words) / max(len(found.words), 1)
    clear = _CLEAR if len(found.words) >= _FEW else _CLEAR_FEW
    # With babble, such a text starts loops, in which the probability of words grows with each repetition.
    looped = hallucination.needs_fallback(found) or bool(hallucination.loops(found.words)) or _monotonous(found)
    return found if mean >= clear and not looped and 2 * repeated <= len(found.words) else nothing(task.pack)


def _monotonous(heard: Hypothesis) -> bool:
    """True if *heard* has many words and few different ones: a loop that varies, such as *8.8, 8.8, 10.8, 10.8, 10.4*."""
    different = {comparison_key(word.text) or word.text for word in heard.words}
    return len(heard.words) >= _MANY and len(different) < _VARIETY * len(heard.words)


def _already_tried(hole: Hole, tried: Sequence[Hole]) -> bool:
    """True if *hole* was decoded again before (within `CLOSE`) and remained."""
    return any(abs(hole.start - other.start) <= CLOSE and abs(hole.end - other.end) <= CLOSE for other in tried)


def _repaired(
    decoder: Decoder, clip: Clip, task: Task, words: list[HypothesisWord], hole: Hole, *, most: int
) -> list[HypothesisWord]:
    """*words* with the words that another decode finds in *hole*; unchanged if it finds none. At most *most* decodes."""
    for part, anchored in _parts(hole, clip)[:most]:
        found = attempt(decoder, clip.part(part.start, part.end), task, temperatures=())
        if not found.words or hallucination.silent(found) or _guessed(found, task):
            continue
        new = [replace(word, start=word.start + part.start, end=word.end + part.start) for word in found.words]
        if _fits(new, words, hole, anchored=anchored):
            return _merge_repair(words, new, hole, part)
    return words


def _parts(hole: Hole, clip: Clip) -> list[tuple[Span, bool]]:
    """The parts of *clip* to decode again for *hole*; the flag requires words around the hole in the result.

    First the hole with its surroundings, then, if at least `coverage.TOLD` samples are missing, the hole alone. A part that
    equals the whole clip is left out, since that was decoded before; if the second part does, the exact hole and each half
    of it are decoded instead.
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
    """The two parts of *hole* around its longest pause, or its two halves if it has no pause."""
    runs = [run for run in voiced if run.start < hole.end and run.end > hole.start]
    if len(runs) < 2:  # noqa: PLR2004 - one run has no pause
        middle = (hole.start + hole.end) // 2
        return [(hole.start, middle), (middle, hole.end)]
    before, after = max(pairwise(runs), key=lambda pair: pair[1].start - pair[0].end)
    return [(hole.start, before.end), (after.start, hole.end)]


def _fits(new: Sequence[HypothesisWord], words: Sequence[HypothesisWord], hole: Hole, *, anchored: bool) -> bool:
    """True if *new* has more words in *hole* than *words*, with a mean probability of at least `_LEAST`.

    With *anchored*, *new* must also contain one of the two words before or after the hole at about the same time.
    """
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


def _merge_repair(
    words: list[HypothesisWord], new: list[HypothesisWord], hole: Hole, known: Span
) -> list[HypothesisWord]:
    """*words* in which *new*, decoded from the span *known* of audio, replaces the words in *hole*."""
    before, after = words[: hole.first], words[hole.last :]
    if before:
        new = overlap_merge.merge(before, new, hole.start, before=hole.start - known.start, after=0)
    return overlap_merge.merge(new, after, hole.end, before=0, after=known.end - hole.end) if after else new

"""A window heard until every run of speech in it has its words, or is known to have none.

The window is decoded with time stamps, and what looks wrong is decoded once more with rising temperature, as Whisper itself
would. Then the words are held against the speech that was found in the audio (`coverage`): where words are missing, that
part is decoded again, first with some of the words around it, then alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from sottovoce.audio.activity import Span
from sottovoce.engines import hallucination, seams
from sottovoce.engines.hallucination import Hypothesis
from sottovoce.engines.heard import Heard, spelled
from sottovoce.engines.whisper import coverage, style
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import Clip, Decoder, Task, nothing
from sottovoce.transcript.model import RATE, Samples

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""For decodes after the first one (openai/whisper, `transcribe`)."""

AROUND: Samples = 3 * RATE // 2
"""What is heard on both sides of a hole, so that the model knows where it is."""

CLOSE: Samples = 2 * RATE // 5
"""The same where a hole is heard alone."""

REPAIRS = 12
"""Decodes that one window may take to fill its holes."""

_CLEAR = 0.65  # mean probability of words that were a guess without an example before them
_LEAST = 0.55  # mean probability of the words that fill a hole


def attempt(decoder: Decoder, clip: Clip, task: Task, first: Hypothesis | None = None) -> Hypothesis:
    """The best hypothesis for *clip*, its words cleaned of what was not said; *first*: one that is there."""
    heard = _ended(first or decoder.decode([clip], task)[0], clip, task)
    if hallucination.doubtful(heard):
        for temperature in TEMPERATURES:
            other = _ended(decoder.decode([clip], task, temperature=temperature)[0], clip, task)
            heard = hallucination.better(heard, other)
            if not hallucination.doubtful(heard):
                break
    return replace(heard, words=_said(heard, clip.voiced))


def _ended(heard: Hypothesis, clip: Clip, task: Task) -> Hypothesis:
    words = coverage.within_audio(heard.words, clip.voiced, clip.length, task.pack)
    return (
        heard if len(words) == len(heard.words) else replace(heard, words=words, text=" ".join(w.text for w in words))
    )


def _said(heard: Hypothesis, voiced: Sequence[Span]) -> tuple[Heard, ...]:
    words = hallucination.cleaned(heard)
    return tuple(
        word for word in words if word.probability >= hallucination.SURE or not coverage.unvoiced(word, voiced)
    )


def hear(decoder: Decoder, clip: Clip, task: Task, first: Hypothesis | None = None) -> tuple[list[Heard], list[Hole]]:
    """The words of *clip* and the holes that stay: speech that the model has no words for."""
    heard = attempt(decoder, clip, task, first)
    if not heard.words or _guessed(heard, task):
        heard = _in_sentences(decoder, clip, task)
    words = list(heard.words)
    tried: list[Hole] = []
    for _ in range(REPAIRS if words else 0):
        found = coverage.holes(words, clip.voiced, clip.length, task.pack)
        hole = next((each for each in found if not _known(each, tried)), None)
        if hole is None:
            break
        tried.append(hole)
        words = _repaired(decoder, clip, task, words, hole)
    left = coverage.holes(words, clip.voiced, clip.length, task.pack)
    return words, [hole for hole in left if hole.missed >= coverage.TOLD]


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
    known = {spelled(word) for word in example.split()}
    repeated = sum(spelled(word.text) in known for word in found.words)
    mean = sum(word.probability for word in found.words) / max(len(found.words), 1)
    return found if mean >= _CLEAR and 2 * repeated <= len(found.words) else nothing(task.pack)


def _known(hole: Hole, tried: Sequence[Hole]) -> bool:
    """Whether *hole* is what another attempt has left."""
    return any(
        hole.start >= other.start - CLOSE and hole.end <= other.end + CLOSE and 2 * hole.missed > other.missed
        for other in tried
    )


def _repaired(decoder: Decoder, clip: Clip, task: Task, words: list[Heard], hole: Hole) -> list[Heard]:
    """*words* with those that another decode finds in *hole*: with what is around it, then, where much is missing, alone."""
    for around in (AROUND, CLOSE) if hole.missed >= coverage.TOLD else (AROUND,):
        begin, end = max(hole.start - around, 0), min(hole.end + around, clip.length)
        found = attempt(decoder, clip.part(begin, end), task)
        if not found.words or hallucination.silent(found) or _guessed(found, task):
            continue
        new = [replace(word, start=word.start + begin, end=word.end + begin) for word in found.words]
        if _fits(new, words, hole, anchored=around == AROUND):
            return _merged(words, new, hole, Span(start=begin, end=end))
    return words


def _fits(new: Sequence[Heard], words: Sequence[Heard], hole: Hole, *, anchored: bool) -> bool:
    """Whether *new* has more words in *hole* than *words* have, likely ones; *anchored*: and some of those around it."""
    inside = [word for word in new if hole.start <= word.middle < hole.end]
    if len(inside) <= hole.last - hole.first or sum(word.probability for word in inside) < _LEAST * len(inside):
        return False
    near = [*words[: hole.first][-2:], *words[hole.last :][:2]]
    return (
        not anchored
        or not near
        or any(
            spelled(one.text) == spelled(other.text) and abs(one.middle - other.middle) <= seams.TOLERANCE
            for one in new
            for other in near
        )
    )


def _merged(words: list[Heard], new: list[Heard], hole: Hole, known: Span) -> list[Heard]:
    """*words* with *new*, which was heard in *known*, in the place of those that were drawn out over *hole*."""
    before, after = words[: hole.first], words[hole.last :]
    if before:
        new = seams.merge(before, new, hole.start, before=hole.start - known.start, after=0)
    return seams.merge(new, after, hole.end, before=0, after=known.end - hole.end) if after else new

"""Does every run of speech have its words? Pure functions over words and runs of speech, all in samples of one window.

Whisper ends a decode early, skips a passage, or goes on after the audio has ended. Neither its scores nor its
probabilities show it; the length of the words does: of 671 words of real speech, one in a hundred lasted for more than
0.3 s and 0.08 s a letter of speech (Whisper base, `../shared/audio`). Where a word takes more, other words are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import loops
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

MISSED: Samples = RATE // 2
"""Speech without words, from this length on, is decoded again."""

TOLD: Samples = RATE
"""Speech that stays without words is told in the job's log from this length on."""

_BASE: Samples = 3 * RATE // 10
_LETTER: Samples = 8 * RATE // 100
_DIGIT: Samples = 3 * RATE // 10
_SIGN: Samples = 45 * RATE // 100  # of a script that writes syllables or words
_INSTANT: Samples = 2 * RATE // 100  # one step of the model's time
_EDGE: Samples = 6 * RATE // 100
_SURE = 0.8
_SHARE = 0.6  # of the time that two words take when they are said quickly
_NEAR: Samples = RATE // 5  # of a word to the nearest speech


def longest(text: str, pack: LanguagePack) -> Samples:
    """As much speech as the word *text* takes at most."""
    letters = comparison_key(text)
    digits = sum(char.isdigit() for char in letters)
    each = _LETTER if pack.delimiter else _SIGN
    return _BASE + digits * _DIGIT + (len(letters) - digits) * each


def spoken(voiced: Sequence[Span], start: Samples, end: Samples) -> Samples:
    """How much of *start … end* is speech."""
    return sum(max(0, min(run.end, end) - max(run.start, start)) for run in voiced)


# ── speech without words ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Speech without words from *start* to *end*, *missed* samples of it; words *first* to before *last* are drawn out over it.

    *most* of them are missed at one place, in one word or between two: words that are all said slowly add up to little there.
    """

    start: Samples
    end: Samples
    missed: Samples
    first: int
    last: int
    most: Samples = 0

    @property
    def told(self) -> bool:
        """Whether it is worth a line in the job's log."""
        return self.most >= TOLD


def holes(words: Sequence[HypothesisWord], voiced: Sequence[Span], end: Samples, pack: LanguagePack) -> list[Hole]:
    """Where in the audio, which ends at *end*, words are missing; in order."""
    found: list[Hole] = []
    open_: Hole | None = None
    for cell in _cells(words, end):
        word = words[cell.first] if cell.last > cell.first else None
        room = spoken(voiced, cell.start, cell.end) - (longest(word.text, pack) if word else 0)
        if room > 0:
            open_ = _grown(open_, replace(cell, missed=room, most=room))
            continue
        if open_ is not None and (word is not None or cell.end - cell.start > _NEAR):
            found.append(open_)
            open_ = None
    if open_ is not None:
        found.append(open_)
    return [_closer(hole, words, voiced) for hole in found if hole.missed >= MISSED and 2 * hole.most >= MISSED]


def _closer(hole: Hole, words: Sequence[HypothesisWord], voiced: Sequence[Span]) -> Hole:
    """*hole* from the first to the last speech in it; the *words* that are drawn out over it stay inside."""
    runs = [run for run in voiced if run.start < hole.end and run.end > hole.start]
    if not runs:
        return hole
    drawn = words[hole.first : hole.last]
    start = min(max(runs[0].start, hole.start), *(word.start for word in drawn), hole.end)
    end = max(min(runs[-1].end, hole.end), *(word.end for word in drawn), hole.start)
    return replace(hole, start=max(start, hole.start), end=min(end, hole.end))


def _cells(words: Sequence[HypothesisWord], end: Samples) -> list[Hole]:
    """The whole audio, cut into words and what lies between them."""
    cells: list[Hole] = []
    at = 0
    for number, word in enumerate(words):
        if word.start > at:
            cells.append(Hole(start=at, end=word.start, missed=0, first=number, last=number))
        cells.append(
            Hole(start=min(max(word.start, at), word.end), end=word.end, missed=0, first=number, last=number + 1)
        )
        at = max(at, word.end)
    if end > at:
        cells.append(Hole(start=at, end=end, missed=0, first=len(words), last=len(words)))
    return cells


def _grown(hole: Hole | None, cell: Hole) -> Hole:
    if hole is None:
        return cell
    return Hole(
        start=hole.start,
        end=cell.end,
        missed=hole.missed + cell.missed,
        first=hole.first,
        last=cell.last,
        most=max(hole.most, cell.most),
    )


# ── words without speech ──


def within_audio(
    words: Sequence[HypothesisWord], voiced: Sequence[Span], end: Samples, pack: LanguagePack
) -> tuple[HypothesisWord, ...]:
    """*words* without those that the model wrote after the audio had ended, at *end*.

    Such words begin at its very end, or have no length, two in a row. A last word that the model is sure of stays if the
    word before it was drawn out over speech enough for both.
    """
    count = next((number for number in range(len(words)) if _exhausted(words, number, end)), len(words))
    if 0 < count == len(words) - 1 and words[count].probability >= _SURE:
        before, word = words[count - 1 :]
        speech = spoken(voiced, before.start, before.end)
        both, own = ([loops.seconds(each.text, pack) * RATE for each in group] for group in ((before, word), (word,)))
        if speech >= _SHARE * sum(both):
            stop = max((run.end for run in voiced if run.start < before.end), default=before.end)
            cut = max(min(before.end, stop) - round(own[0]), before.start)
            return (*words[: count - 1], replace(before, end=cut), replace(word, start=cut, end=min(before.end, stop)))
    return tuple(words[:count])


def _exhausted(words: Sequence[HypothesisWord], number: int, end: Samples) -> bool:
    if words[number].start >= end - _EDGE:
        return True
    pair = words[number : number + 2]
    return len(pair) == 2 and all(word.end - word.start <= _INSTANT for word in pair)  # noqa: PLR2004


def fitted(words: Sequence[HypothesisWord], voiced: Sequence[Span], pack: LanguagePack) -> list[HypothesisWord]:
    """*words* with times that lie in speech as far as they can, none longer than a word lasts; in order."""
    found: list[HypothesisWord] = []
    floor = 0
    for word in words:
        start, end = _trimmed(word, voiced, longest(word.text, pack))
        start = max(start, floor)
        floor = max(end, min(start + _INSTANT, max(end, word.end)))
        found.append(replace(word, start=min(start, floor), end=floor))
    return found


def _trimmed(word: HypothesisWord, voiced: Sequence[Span], most: Samples) -> tuple[Samples, Samples]:
    """Start and end of *word* in the run of speech that has most of it; unchanged where there is none."""
    runs = [Span(start=max(run.start, word.start), end=min(run.end, word.end)) for run in voiced]
    runs = [run for run in runs if run.end > run.start]
    if not runs:
        return word.start, min(word.end, word.start + most)
    # attention comes late rather than early: of equal runs the later one
    best = max(runs, key=lambda run: (min(run.end - run.start, most), run.start))
    return max(best.start, best.end - most), best.end


def unvoiced(word: HypothesisWord, voiced: Sequence[Span]) -> bool:
    """Whether there is no speech in *word*, nor near it."""
    return not spoken(voiced, word.start - _NEAR, word.end + _NEAR)

"""Compares words with runs of speech to find speech without words, and words without speech.

Pure functions; all times are in samples at 16 kHz from the start of one window. Whisper may end a decode early, skip a
passage, or continue after the end of the audio. Its scores and probabilities do not show this, but the duration of the
words does: of 671 words of real speech, one in a hundred covered more than 0.3 s plus 0.08 s per letter of speech (Whisper
base, `../shared/audio`). Where a word covers more, other words are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import loops
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

MISSED: Samples = RATE // 2
"""Speech without words of at least this length (0.5 s) is decoded again."""

TOLD: Samples = RATE
"""Speech that remains without words is reported in the job's log from this length (1 s) on."""

ONSET: Samples = 3 * RATE // 64
"""Delay (0.047 s, one and a half frames) with which the detector notices the beginning of speech.

The median over 68 words after a pause of 0.25 s, whose starts are known by forced alignment.
"""

# Longest duration of a word: `_BASE` plus a time per character, from the measurement above.
_BASE: Samples = 3 * RATE // 10  # 0.3 s
_LETTER: Samples = 8 * RATE // 100  # 0.08 s
_DIGIT: Samples = 3 * RATE // 10  # 0.3 s
_SIGN: Samples = 45 * RATE // 100  # 0.45 s, a sign of a script that writes syllables or words
_INSTANT: Samples = 2 * RATE // 100  # 0.02 s, one step of the model's time
_EDGE: Samples = 6 * RATE // 100  # 0.06 s; a word that begins this close to the end of the audio was not spoken
_SURE = 0.8  # probability from which a last word is kept if there is speech for it
_SHARE = 0.6  # share of the time for quickly spoken words (`loops.seconds`) that must be speech
_NEAR: Samples = RATE // 5  # 0.2 s, the largest distance between a word and speech


def longest(text: str, pack: LanguagePack) -> Samples:
    """The longest duration of the word *text*, in samples of speech."""
    letters = comparison_key(text)
    digits = sum(char.isdigit() for char in letters)
    each = _LETTER if pack.delimiter else _SIGN
    return _BASE + digits * _DIGIT + (len(letters) - digits) * each


def spoken(voiced: Sequence[Span], start: Samples, end: Samples) -> Samples:
    """Samples of speech between *start* and *end*."""
    return sum(max(0, min(run.end, end) - max(run.start, start)) for run in voiced)


# ── speech without words ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A span *start* … *end* in which *missed* samples of speech have no words; words[first:last] lie in it, stretched out.

    *most*: the largest part of *missed* in one word or gap. Words that are all spoken slowly have a small *most*.
    """

    start: Samples
    end: Samples
    missed: Samples
    first: int
    last: int
    most: Samples = 0

    @property
    def told(self) -> bool:
        """True if the hole is long enough to be reported in the job's log."""
        return self.most >= TOLD


def holes(words: Sequence[HypothesisWord], voiced: Sequence[Span], end: Samples, pack: LanguagePack) -> list[Hole]:
    """The spans in which words are missing, in order; the audio ends at *end*."""
    found: list[Hole] = []
    open_: Hole | None = None
    for cell in _cells(words, end):
        word = words[cell.first] if cell.last > cell.first else None
        room = spoken(voiced, cell.start, cell.end) - (longest(word.text, pack) if word else 0)
        if room > 0:
            open_ = _extended(open_, replace(cell, missed=room, most=room))
            continue
        if open_ is not None and (word is not None or cell.end - cell.start > _NEAR):
            found.append(open_)
            open_ = None
    if open_ is not None:
        found.append(open_)
    return [_reduced(hole, words, voiced) for hole in found if hole.missed >= MISSED and 2 * hole.most >= MISSED]


def _reduced(hole: Hole, words: Sequence[HypothesisWord], voiced: Sequence[Span]) -> Hole:
    """*hole* reduced to the speech in it, from first to last; its own *words* remain inside."""
    runs = [run for run in voiced if run.start < hole.end and run.end > hole.start]
    if not runs:
        return hole
    drawn = words[hole.first : hole.last]
    start = min(max(runs[0].start, hole.start), *(word.start for word in drawn), hole.end)
    end = max(min(runs[-1].end, hole.end), *(word.end for word in drawn), hole.start)
    return replace(hole, start=max(start, hole.start), end=min(end, hole.end))


def _cells(words: Sequence[HypothesisWord], end: Samples) -> list[Hole]:
    """The whole audio, divided into words and the gaps between them, each as a `Hole` with *missed* 0."""
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


def _extended(hole: Hole | None, cell: Hole) -> Hole:
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
    """*words* without those that the model wrote after the *end* of the audio.

    Such words begin at the very end of the audio, or two in a row have no duration. A single such word of high probability
    is kept if the word before it covers enough speech for both.
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


def with_onsets(voiced: Sequence[Span]) -> tuple[Span, ...]:
    """*voiced* with every run begun `ONSET` earlier, but not before the end of the run before it."""
    edges = [0, *(run.end for run in voiced)]
    return tuple(
        Span(start=max(run.start - ONSET, min(edge, run.start)), end=run.end)
        for edge, run in zip(edges, voiced, strict=False)
    )


def fitted(words: Sequence[HypothesisWord], voiced: Sequence[Span], pack: LanguagePack) -> list[HypothesisWord]:
    """*words* in order, their times moved into speech where possible, and none longer than `longest`."""
    found: list[HypothesisWord] = []
    floor = 0
    for word in words:
        start, end = _trimmed(word, voiced, pack)
        start = max(start, floor)
        floor = max(end, min(start + _INSTANT, max(end, word.end)))
        found.append(replace(word, start=min(start, floor), end=floor))
    return found


def _trimmed(word: HypothesisWord, voiced: Sequence[Span], pack: LanguagePack) -> tuple[Samples, Samples]:
    """Start and end of *word* in the run of speech that overlaps it most, at most `longest` apart.

    Without speech, the start does not change, except just before a run: there a weak first word is spoken quickly, at the
    end of its time, which the model draws out into the silence before it.
    """
    most = longest(word.text, pack)
    runs = [Span(start=max(run.start, word.start), end=min(run.end, word.end)) for run in voiced]
    runs = [run for run in runs if run.end > run.start]
    if not runs:
        if _before_run(word, voiced):
            return max(word.start, word.end - round(loops.seconds(word.text, pack) * RATE)), word.end
        return word.start, min(word.end, word.start + most)
    # Times from attention tend to be late, so of equal runs the later one is chosen.
    best = max(runs, key=lambda run: (min(run.end - run.start, most), run.start))
    return max(best.start, best.end - most), best.end


def _before_run(word: HypothesisWord, voiced: Sequence[Span]) -> bool:
    """True if a run of speech begins within `_NEAR` of the end of *word*, which has none, and the run before ended earlier."""
    after = min((run.start - word.end for run in voiced if run.start >= word.end), default=_NEAR + 1)
    before = min((word.start - run.end for run in voiced if run.end <= word.start), default=_NEAR + 1)
    return after <= _NEAR and after < before


def unvoiced(word: HypothesisWord, voiced: Sequence[Span]) -> bool:
    """True if there is no speech in *word* or within 0.2 s of it."""
    return not spoken(voiced, word.start - _NEAR, word.end + _NEAR)

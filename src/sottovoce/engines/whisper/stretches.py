"""The words of stretches of speech from those of their windows: where speech was cut, the words of both sides are merged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sottovoce.audio.activity import Span
from sottovoce.engines.common import overlap_merge
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.whisper import style
from sottovoce.engines.whisper.windows import Window
from sottovoce.transcript.model import RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWords:
    """A window, the words in it with media times, and *notes* for the job's log."""

    window: Window
    words: tuple[HypothesisWord, ...]
    notes: tuple[str, ...]


def by_stretch(decoded: Iterable[WindowWords]) -> Iterator[tuple[Span, list[HypothesisWord], tuple[str, ...]]]:
    """Every stretch with its words and notes, in order; where speech was cut, the words of both windows are merged."""
    words: list[HypothesisWord] = []
    notes: list[str] = []
    held: WindowWords | None = None  # the previous window; the next one may still add words to its stretch
    before: HypothesisWord | None = None  # the last word of the stretch yielded before
    for each in decoded:
        if held is not None:
            merged = _merge_cut(words, held.window, each) if each.window.joins else [*words, *each.words]
            words = merged
            if held.window.ends:
                count = _count_of_stretch(words, held, each)
                done = _within(style.opened(words[:count], before), held.window.stretch)
                yield held.window.stretch, done, tuple(notes)
                before, words, notes = done[-1] if done else before, words[count:], []
        else:
            words = list(each.words)
        notes += each.notes
        held = each
    if held is not None:
        yield held.window.stretch, _within(style.opened(words, before), held.window.stretch), tuple(notes)


def _merge_cut(words: list[HypothesisWord], left: Window, right: WindowWords) -> list[HypothesisWord]:
    cut = right.window.own.start
    after = left.start + left.length - cut
    return overlap_merge.merge(words, list(right.words), cut, before=cut - right.window.start, after=after)


def _count_of_stretch(words: Sequence[HypothesisWord], held: WindowWords, following: WindowWords) -> int:
    """The number of *words* that belong to the stretch that ends with *held*."""
    if not following.window.joins:
        return len(words) - len(following.words)
    return next((n for n, word in enumerate(words) if word.middle >= held.window.stretch.end), len(words))


def _within(words: Iterable[HypothesisWord], span: Span) -> list[HypothesisWord]:
    """*words* inside *span*, without overlap, each at least 20 ms long where *span* has room."""
    found: list[HypothesisWord] = []
    floor = span.start
    for word in words:
        start = min(max(word.start, floor), span.end)
        floor = min(max(word.end, start + RATE // 50), span.end)
        found.append(replace(word, start=start, end=floor))
    return found

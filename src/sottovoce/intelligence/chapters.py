"""Chapters of a transcript: they cover the whole file without a gap, each with a title and a summary (contract §7.8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from sottovoce.intelligence.protocols import Scene, Sentence, Stage
from sottovoce.transcript.model import seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter that begins with the sentence number *first* and ends before the next chapter."""

    first: int
    title: str
    summary: str


class ChaptersBackend(Protocol):
    """Sentences to chapters."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it supports."""
        ...

    def divide(self, sentences: Sequence[Sentence], alive: Callable[[], None]) -> Sequence[Chapter]:
        """Return the chapters by rising *first*; the first one begins with sentence 0."""
        ...


def _run(scene: Scene, backend: ChaptersBackend) -> object:
    if not scene.sentences:
        return []
    chapters = backend.divide(scene.sentences, scene.alive)
    firsts = [chapter.first for chapter in chapters]
    rises = all(one < other for one, other in pairwise([*firsts, len(scene.sentences)]))
    if firsts[:1] != [0] or not rises or not all(chapter.title.strip() and chapter.summary for chapter in chapters):
        raise ValueError(f"chapters at the sentences {firsts[:20]} of {len(scene.sentences)}, or one without a title")
    # chapter borders: the start of a chapter's first sentence; channels may overlap, so they must not fall
    starts = [0]
    for first in firsts[1:]:
        starts.append(min(max(starts[-1], scene.sentences[first].start), scene.transcript.duration))
    ends = [*starts[1:], scene.transcript.duration]
    return [
        {"title": each.title, "summary": each.summary, "start_time": seconds(start), "end_time": seconds(end)}
        for each, start, end in zip(chapters, starts, ends, strict=True)
    ]


STAGE = Stage(
    name="chapters",
    feature="auto_chapters",
    asked=lambda request: request.auto_chapters,
    run=_run,
    unsupported="Auto chapters not supported for {language}.",
    failed="Auto Chapters failed.",
)

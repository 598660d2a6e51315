"""Assigns the speakers of a diarizer's turns to the items of one channel, corrects them by sentence, and numbers them.

There are two stages. First each word gets the speaker that covers most of its time. The boundaries of turns are rarely
exact, so the second stage gives a few words of another speaker inside a sentence to the speaker of the rest (contract
`batch-v2.md` §7.4). `Reluctance` contains the thresholds of both. Time and memory are linear in the number of items and
turns; only the labels of items change.

In order: thresholds; `assign`, `by_sentence`, `numbered` and `spoken_by`; assignment by time; correction by sentence; labels
of marks.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sottovoce.transcript.model import (
    UNKNOWN_SPEAKER,
    Attaches,
    Entity,
    Item,
    Mark,
    Samples,
    SpeakerLabel,
    Word,
    samples,
)

REACH: Samples = samples(0.5)
"""A word that overlaps no turn gets the speaker of the nearest turn within this distance, in samples."""

LONGEST_WORD: Samples = samples(10)
"""Maximum duration of a word, in samples: of a longer one, only this much is compared with the turns."""

LONGEST_SENTENCE = 100
"""Words; a longer sequence without an end is not corrected, since it is no sentence (punctuation may be off)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A turn: *label* speaks from *start* to *end*. *label* is the name that the diarizer gave."""

    start: Samples
    end: Samples
    label: SpeakerLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reluctance:
    """The thresholds for a change of speaker.

    A word gets another speaker than the current one only if that speaker covers more than *margin* times as much of it. In
    a sentence of which one speaker says most (by words and by time), another speaker is a minority with less than
    1/*minority* of both. The runs of words of a minority get the majority's speaker, except runs with a pause of at least
    *pause* next to them, of at least *words* words, or of at least *time*. *pause* and *time* are in samples.
    """

    margin: int
    minority: int
    pause: Samples
    words: int
    time: Samples


ORDINARY = Reluctance(margin=1, minority=3, pause=samples(0.5), words=5, time=samples(2))
PREFER_CURRENT = Reluctance(margin=2, minority=2, pause=samples(1), words=8, time=samples(3))
"""The thresholds with `prefer_current_speaker` (contract §6.2)."""


def assign(items: Iterable[Item], turns: Iterable[Spoken], *, prefer_current: bool = False) -> tuple[Item, ...]:
    """*items* of one channel, in the same order, each with the label of a turn or `UNKNOWN_SPEAKER`.

    Turns of different speakers may overlap. An entity and its parts have the same label; a mark has that of its word.
    """
    line = tuple(items)
    rule = PREFER_CURRENT if prefer_current else ORDINARY
    labels = _by_sentence(line, _by_time(line, turns, rule), rule)
    return tuple(spoken_by(item, label) for item, label in zip(line, _with_marks(line, labels), strict=True))


def by_sentence(
    line: Sequence[Item], labels: Sequence[SpeakerLabel], *, prefer_current: bool = False
) -> list[SpeakerLabel]:
    """*labels*, one for each item of *line*, corrected by sentence as in `assign`; those of marks are not looked at."""
    return _by_sentence(line, labels, PREFER_CURRENT if prefer_current else ORDINARY)


def numbered(
    items: Iterable[Item], named: Collection[SpeakerLabel] = ()
) -> tuple[tuple[Item, ...], dict[SpeakerLabel, SpeakerLabel]]:
    """*items* with the speakers labelled S1, S2, … by first word (contract §7.4), except *named* ones, which keep their labels.

    The second value is the new label of each speaker by its old one, in the order of first words, without speakers that have
    no word.
    """
    line = tuple(items)
    labels: dict[SpeakerLabel, SpeakerLabel] = {}
    count = 0
    for item in line:
        voice = item.speaker
        if isinstance(item, Mark) or voice is None or voice == UNKNOWN_SPEAKER or voice in labels:
            continue
        count += voice not in named
        labels[voice] = voice if voice in named else f"S{count}"
    return tuple(_renamed(item, labels) for item in line), labels


def spoken_by(item: Item, label: SpeakerLabel) -> Item:
    """*item*, with the parts of an entity, with the speaker *label*."""
    if not isinstance(item, Entity):
        return item if item.speaker == label else replace(item, speaker=label)
    spoken = tuple(replace(each, speaker=label) for each in item.spoken)
    written = tuple(replace(each, speaker=label) for each in item.written)
    return replace(item, speaker=label, spoken=spoken, written=written)


def _renamed(item: Item, labels: dict[SpeakerLabel, SpeakerLabel]) -> Item:
    return item if item.speaker is None else spoken_by(item, labels.get(item.speaker, UNKNOWN_SPEAKER))


# ── first stage: by time ──


def _by_time(line: Sequence[Item], turns: Iterable[Spoken], rule: Reluctance) -> list[SpeakerLabel]:
    """A label for each item; the labels of marks are placeholders."""
    nearby = _NearbyTurns(turns)
    labels: list[SpeakerLabel] = []
    current: SpeakerLabel = UNKNOWN_SPEAKER  # the last known speaker
    for item in line:
        if isinstance(item, Mark):
            labels.append(UNKNOWN_SPEAKER)
            continue
        label = _holder(nearby.claims(item), current, rule.margin)
        labels.append(label)
        current = current if label == UNKNOWN_SPEAKER else label
    return labels


def _holder(claims: dict[SpeakerLabel, Samples], current: SpeakerLabel, margin: int) -> SpeakerLabel:
    """The speaker of a word with *claims*: of equal ones the current speaker, then the one whose turn began first."""
    if not claims:
        return UNKNOWN_SPEAKER
    best = max(claims, key=claims.__getitem__)
    return current if claims[best] <= margin * claims.get(current, -1) else best


class _NearbyTurns:
    """Finds the turns near a word. Words must come by ascending start, so that each turn is added and removed once."""

    def __init__(self, turns: Iterable[Spoken]) -> None:
        self._coming = iter(_merged_turns(turns))
        self._next = next(self._coming, None)
        self._near: list[Spoken] = []

    def claims(self, word: Word | Entity) -> dict[SpeakerLabel, Samples]:
        """The samples of *word* that each speaker covers; if none does, the closeness of each, higher for nearer turns."""
        start, end = word.start, min(word.end, word.start + LONGEST_WORD)
        while self._next is not None and self._next.start <= end + REACH:
            self._near.append(self._next)
            self._next = next(self._coming, None)
        self._near = [turn for turn in self._near if turn.end >= start - REACH]
        held: Counter[SpeakerLabel] = Counter()
        near: dict[SpeakerLabel, Samples] = {}
        for turn in self._near:
            shared = min(end, turn.end) - max(start, turn.start)
            if shared > 0:
                held[turn.label] += shared
            elif (closeness := REACH + min(shared, 0)) >= 0:  # without overlap, `shared` is minus the gap
                near[turn.label] = max(near.get(turn.label, 0), closeness)
        return held or near


def _merged_turns(turns: Iterable[Spoken]) -> list[Spoken]:
    """*turns* by ascending start, with the overlapping turns of one speaker merged."""
    merged: list[Spoken] = []
    last: dict[SpeakerLabel, int] = {}  # index in `merged` of the last turn of a speaker
    for turn in sorted(turns, key=lambda turn: turn.start):
        if turn.end <= turn.start:
            continue
        at = last.get(turn.label)
        if at is not None and turn.start <= merged[at].end:
            merged[at] = replace(merged[at], end=max(merged[at].end, turn.end))
            continue
        last[turn.label] = len(merged)
        merged.append(turn)
    return merged


# ── second stage: by sentence ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Consecutive words of a sentence with the same speaker; *indexes* are their indexes in the line."""

    label: SpeakerLabel
    indexes: tuple[int, ...]
    start: Samples
    end: Samples


def _by_sentence(line: Sequence[Item], labels: Sequence[SpeakerLabel], rule: Reluctance) -> list[SpeakerLabel]:
    """*labels* with the runs of minorities in each sentence changed to the majority."""
    corrected = list(labels)
    for indexes in _sentences(line):
        if len(indexes) > LONGEST_SENTENCE:
            continue
        runs = _runs(line, labels, indexes)
        majority, minority = _majority_and_minorities(line, labels, indexes, rule)
        for number, run in enumerate(runs):
            if run.label in minority and _yields(run, runs[max(number - 1, 0) : number + 2], rule):
                for index in run.indexes:
                    corrected[index] = majority
    return corrected


def _sentences(line: Sequence[Item]) -> Iterator[list[int]]:
    """The indexes of the words of each sentence."""
    indexes: list[int] = []
    for index, item in enumerate(line):
        if not isinstance(item, Mark):
            indexes.append(index)
        elif item.ends_sentence and indexes:
            yield indexes
            indexes = []
    if indexes:
        yield indexes


def _runs(line: Sequence[Item], labels: Sequence[SpeakerLabel], indexes: Sequence[int]) -> list[_Run]:
    runs: list[_Run] = []
    first = 0
    for after in range(1, len(indexes) + 1):
        if after < len(indexes) and labels[indexes[after]] == labels[indexes[first]]:
            continue
        held = tuple(indexes[first:after])
        runs.append(_Run(label=labels[held[0]], indexes=held, start=line[held[0]].start, end=line[held[-1]].end))
        first = after
    return runs


def _majority_and_minorities(
    line: Sequence[Item], labels: Sequence[SpeakerLabel], indexes: Sequence[int], rule: Reluctance
) -> tuple[SpeakerLabel, set[SpeakerLabel]]:
    """The speaker of most of a sentence and the set of minorities; `UNKNOWN_SPEAKER` and no minorities without a majority."""
    words: Counter[SpeakerLabel] = Counter()
    time: Counter[SpeakerLabel] = Counter()
    for index in indexes:
        if labels[index] != UNKNOWN_SPEAKER:
            words[labels[index]] += 1
            time[labels[index]] += line[index].end - line[index].start
    most, all_words, all_time = max(words, key=words.__getitem__, default=""), words.total(), time.total()
    if words[most] * 2 <= all_words or time[most] * 2 <= all_time:
        return UNKNOWN_SPEAKER, set()
    return most, {
        label
        for label in words
        if words[label] * rule.minority < all_words and time[label] * rule.minority < all_time and label != most
    }


def _yields(run: _Run, beside: Sequence[_Run], rule: Reluctance) -> bool:
    """True if *run* is short and no pause separates it from its neighbours in the sentence; *beside*: them and *run*."""
    if len(run.indexes) >= rule.words or run.end - run.start >= rule.time:
        return False
    return all(after.start - before.end < rule.pause for before, after in pairwise(beside))


# ── marks ──


def _with_marks(line: Sequence[Item], labels: Sequence[SpeakerLabel]) -> list[SpeakerLabel]:
    """*labels* with those of marks: an opening mark gets the next word's label, another mark the previous word's, if any."""
    before = _last_word_labels(line, labels, range(len(line)))
    after = _last_word_labels(line, labels, range(len(line) - 1, -1, -1))
    marked = list(labels)
    for index, item in enumerate(line):
        if isinstance(item, Mark):
            first, second = (after, before) if item.attaches is Attaches.NEXT else (before, after)
            marked[index] = first[index] or second[index] or UNKNOWN_SPEAKER
    return marked


def _last_word_labels(
    line: Sequence[Item], labels: Sequence[SpeakerLabel], indexes: Iterable[int]
) -> dict[int, SpeakerLabel | None]:
    """For each index of *indexes*, visited in order, the label of the last word visited so far."""
    seen: dict[int, SpeakerLabel | None] = {}
    last: SpeakerLabel | None = None
    for index in indexes:
        if not isinstance(line[index], Mark):
            last = labels[index]
        seen[index] = last
    return seen

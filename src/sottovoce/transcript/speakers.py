"""Whose words they are: a diarizer's turns laid over the items of one line, corrected by sentence, numbered.

Two stages. First each word goes to the voice that holds most of its time. A turn's edge is seldom exact, so then, inside
each sentence, a few words of another voice go back to the voice that says the rest (contract `batch-v2.md` §7.4). What
both do is read from one table, `Reluctance`. Time and memory are linear in the items and turns; no item is moved,
changed but for its label, or lost.
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
"""A word that no turn touches goes to the nearest one, if it is no farther away."""

LONGEST_WORD: Samples = samples(10)
"""Nobody says a longer word: of one that claims to be, only so much is laid under the turns."""

LONGEST_SENTENCE = 100
"""Words; what has more without an end is no sentence (marks may be switched off) and is not corrected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """From *start* to *end* speaks *label*, in the words of whoever told the voices apart."""

    start: Samples
    end: Samples
    label: SpeakerLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reluctance:
    """What it takes to believe in a change of speakers.

    A word leaves the current speaker for one who holds more than *margin* times as much of it. In a sentence most of
    which (words and time) one voice says, another is in the minority with less than one in *minority* of both; its runs
    of words are given to the first, but for those with a pause of *pause* or more beside them, those of *words* or more,
    and those that last *time* or more.
    """

    margin: int
    minority: int
    pause: Samples
    words: int
    time: Samples


ORDINARY = Reluctance(margin=1, minority=3, pause=samples(0.5), words=5, time=samples(2))
PREFER_CURRENT = Reluctance(margin=2, minority=2, pause=samples(1), words=8, time=samples(3))
"""The same with `prefer_current_speaker` (contract §6.2)."""


def assign(items: Iterable[Item], turns: Iterable[Spoken], *, prefer_current: bool = False) -> tuple[Item, ...]:
    """*items* of one line, in the same order, with the label of a turn or `UNKNOWN_SPEAKER` on each.

    Turns of different voices may overlap. An entity has one label, and so have its parts; a mark has its word's.
    """
    line = tuple(items)
    rule = PREFER_CURRENT if prefer_current else ORDINARY
    labels = _by_sentence(line, _by_time(line, turns, rule), rule)
    return tuple(spoken_by(item, label) for item, label in zip(line, _with_marks(line, labels), strict=True))


def numbered(
    items: Iterable[Item], named: Collection[SpeakerLabel] = ()
) -> tuple[tuple[Item, ...], dict[SpeakerLabel, SpeakerLabel]]:
    """*items* with the voices called S1, S2, … by first word (contract §7.4), but for *named* ones, who keep their names.

    Also the new label of each voice by its old one, in the order of first words. A voice without a word has none.
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
    """*item*, and what an entity is made of, with *label*."""
    if not isinstance(item, Entity):
        return item if item.speaker == label else replace(item, speaker=label)
    spoken = tuple(replace(each, speaker=label) for each in item.spoken)
    written = tuple(replace(each, speaker=label) for each in item.written)
    return replace(item, speaker=label, spoken=spoken, written=written)


def _renamed(item: Item, labels: dict[SpeakerLabel, SpeakerLabel]) -> Item:
    return item if item.speaker is None else spoken_by(item, labels.get(item.speaker, UNKNOWN_SPEAKER))


# ── first: by time ──


def _by_time(line: Sequence[Item], turns: Iterable[Spoken], rule: Reluctance) -> list[SpeakerLabel]:
    """A label for each item; those of marks mean nothing."""
    around = _Around(turns)
    labels: list[SpeakerLabel] = []
    current: SpeakerLabel = UNKNOWN_SPEAKER  # the last voice that was known
    for item in line:
        if isinstance(item, Mark):
            labels.append(UNKNOWN_SPEAKER)
            continue
        label = _holder(around.claims(item), current, rule.margin)
        labels.append(label)
        current = current if label == UNKNOWN_SPEAKER else label
    return labels


def _holder(claims: dict[SpeakerLabel, Samples], current: SpeakerLabel, margin: int) -> SpeakerLabel:
    """Whose word it is: of equal claims the current speaker's counts most, then that of the turn which began first."""
    if not claims:
        return UNKNOWN_SPEAKER
    best = max(claims, key=claims.__getitem__)
    return current if claims[best] <= margin * claims.get(current, -1) else best


class _Around:
    """The turns near a word, for words by rising start: each turn comes once and goes once."""

    def __init__(self, turns: Iterable[Spoken]) -> None:
        self._coming = iter(_joined(turns))
        self._next = next(self._coming, None)
        self._near: list[Spoken] = []

    def claims(self, word: Word | Entity) -> dict[SpeakerLabel, Samples]:
        """How much of *word* each voice holds; where nobody does, how near each is, the more the nearer."""
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
            elif (closeness := REACH + min(shared, 0)) >= 0:  # not shared: the gap between, negative
                near[turn.label] = max(near.get(turn.label, 0), closeness)
        return held or near


def _joined(turns: Iterable[Spoken]) -> list[Spoken]:
    """*turns* by rising start, those of one voice without overlap."""
    joined: list[Spoken] = []
    last: dict[SpeakerLabel, int] = {}  # where in joined the last turn of a voice stands
    for turn in sorted(turns, key=lambda turn: turn.start):
        if turn.end <= turn.start:
            continue
        at = last.get(turn.label)
        if at is not None and turn.start <= joined[at].end:
            joined[at] = replace(joined[at], end=max(joined[at].end, turn.end))
            continue
        last[turn.label] = len(joined)
        joined.append(turn)
    return joined


# ── then: by sentence ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Words of a sentence, one after the other, that one voice says; *places* in the line."""

    label: SpeakerLabel
    places: tuple[int, ...]
    start: Samples
    end: Samples


def _by_sentence(line: Sequence[Item], labels: Sequence[SpeakerLabel], rule: Reluctance) -> list[SpeakerLabel]:
    """*labels* with the small minorities of each sentence given to its majority."""
    corrected = list(labels)
    for places in _sentences(line):
        if len(places) > LONGEST_SENTENCE:
            continue
        runs = _runs(line, labels, places)
        majority, minority = _parties(line, labels, places, rule)
        for number, run in enumerate(runs):
            if run.label in minority and _yields(run, runs[max(number - 1, 0) : number + 2], rule):
                for place in run.places:
                    corrected[place] = majority
    return corrected


def _sentences(line: Sequence[Item]) -> Iterator[list[int]]:
    """The places of the words of each sentence."""
    places: list[int] = []
    for place, item in enumerate(line):
        if not isinstance(item, Mark):
            places.append(place)
        elif item.ends_sentence and places:
            yield places
            places = []
    if places:
        yield places


def _runs(line: Sequence[Item], labels: Sequence[SpeakerLabel], places: Sequence[int]) -> list[_Run]:
    runs: list[_Run] = []
    first = 0
    for after in range(1, len(places) + 1):
        if after < len(places) and labels[places[after]] == labels[places[first]]:
            continue
        held = tuple(places[first:after])
        runs.append(_Run(label=labels[held[0]], places=held, start=line[held[0]].start, end=line[held[-1]].end))
        first = after
    return runs


def _parties(
    line: Sequence[Item], labels: Sequence[SpeakerLabel], places: Sequence[int], rule: Reluctance
) -> tuple[SpeakerLabel, set[SpeakerLabel]]:
    """Who says most of a sentence, and who so little that it may be a mistake; nobody where nobody says most of it."""
    words: Counter[SpeakerLabel] = Counter()
    time: Counter[SpeakerLabel] = Counter()
    for place in places:
        if labels[place] != UNKNOWN_SPEAKER:
            words[labels[place]] += 1
            time[labels[place]] += line[place].end - line[place].start
    most, all_words, all_time = max(words, key=words.__getitem__, default=""), words.total(), time.total()
    if words[most] * 2 <= all_words or time[most] * 2 <= all_time:
        return UNKNOWN_SPEAKER, set()
    return most, {
        label
        for label in words
        if words[label] * rule.minority < all_words and time[label] * rule.minority < all_time and label != most
    }


def _yields(run: _Run, beside: Sequence[_Run], rule: Reluctance) -> bool:
    """Whether *run* is short and has no pause *beside* it, that is between it and its neighbours in the sentence."""
    if len(run.places) >= rule.words or run.end - run.start >= rule.time:
        return False
    return all(after.start - before.end < rule.pause for before, after in pairwise(beside))


# ── marks ──


def _with_marks(line: Sequence[Item], labels: Sequence[SpeakerLabel]) -> list[SpeakerLabel]:
    """*labels* with those of marks: an opening mark has the next word's, any other the last word's, if there is one."""
    before = _words_on(line, labels, range(len(line)))
    after = _words_on(line, labels, range(len(line) - 1, -1, -1))
    marked = list(labels)
    for place, item in enumerate(line):
        if isinstance(item, Mark):
            first, second = (after, before) if item.attaches is Attaches.NEXT else (before, after)
            marked[place] = first[place] or second[place] or UNKNOWN_SPEAKER
    return marked


def _words_on(
    line: Sequence[Item], labels: Sequence[SpeakerLabel], places: Iterable[int]
) -> dict[int, SpeakerLabel | None]:
    """For each of *places*, gone through in order, the label of the last word met."""
    met: dict[int, SpeakerLabel | None] = {}
    last: SpeakerLabel | None = None
    for place in places:
        if not isinstance(line[place], Mark):
            last = labels[place]
        met[place] = last
    return met

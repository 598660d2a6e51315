"""Functions on the time line of items: units of a word with its marks, merging of channels, clamping into the audio.

All keep every item, and take time linear in the number of items.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sottovoce.transcript.model import RATE, Attaches, ChannelLabel, Entity, Item, Mark, Samples, Word

Unit = tuple[Item, ...]
"""A word or entity with the marks that attach to it; marks alone if there is no word."""


def units(items: Iterable[Item]) -> Iterator[Unit]:
    """*items* in order, divided before each word or entity; an opening mark (`attaches` next) is first in its unit."""
    unit: list[Item] = []
    opened = False  # the last item is a mark that attaches to the next item
    for item in items:
        follows = isinstance(item, Mark) and item.attaches is not Attaches.NEXT
        if unit and not follows and not opened:
            yield tuple(unit)
            unit = []
        unit.append(item)
        opened = isinstance(item, Mark) and item.attaches in {Attaches.NEXT, Attaches.BOTH}
    if unit:
        yield tuple(unit)


def labelled(item: Item, channel: ChannelLabel) -> Item:
    """*item*, with the parts of an entity, on *channel*."""
    if not isinstance(item, Entity):
        return replace(item, channel=channel)
    spoken = tuple(replace(each, channel=channel) for each in item.spoken)
    written = tuple(replace(each, channel=channel) for each in item.written)
    return replace(item, channel=channel, spoken=spoken, written=written)


def merge_channels(by_channel: Mapping[ChannelLabel, Sequence[Item]]) -> tuple[Item, ...]:
    """The items of all channels by ascending start, then descending end (contract §7.4), then in the order of *by_channel*.

    Each item gets the label of its channel. The order within a channel does not change, and marks stay with their word even
    if a word of another channel starts before the mark.
    """
    lines = [
        [tuple(labelled(item, channel) for item in unit) for unit in units(items)]
        for channel, items in by_channel.items()
    ]
    merged = heapq.merge(*lines, key=lambda unit: (unit[0].start, -max(item.end for item in unit)))
    return tuple(item for unit in merged for item in unit)


SENTENCE_PAUSE: Samples = RATE
"""Silence (1 s) of a channel that ends a sentence without a mark."""

LONGEST_SENTENCE: Samples = 20 * RATE
"""Longest sentence (20 s) in `by_sentence`, so that unpunctuated speech does not move the words of others far away."""


def by_sentence(items: Iterable[Item]) -> tuple[Item, ...]:
    """*items* of several channels, sentence by sentence: words of two channels do not alternate within a sentence.

    Sentences are in the order of their first words. Items of one channel keep their order.
    """
    given = tuple(items)
    if len({item.channel for item in given if not isinstance(item, Mark)}) < 2:  # noqa: PLR2004
        return given
    open_: dict[ChannelLabel | None, list[Unit]] = {}
    found: list[list[Unit]] = []
    for unit in units(given):
        channel = unit[0].channel
        sentence = open_.get(channel)
        if sentence is None or _closed(sentence, unit):
            sentence = open_[channel] = []
            found.append(sentence)  # the first word decides the place
        sentence.append(unit)
    return tuple(item for sentence in found for unit in sentence for item in unit)


def _closed(sentence: Sequence[Unit], unit: Unit) -> bool:
    """True if *unit* begins a new sentence after *sentence*."""
    last = sentence[-1]
    ended = any(isinstance(item, Mark) and item.ends_sentence for item in last)
    silence = unit[0].start - max(item.end for item in last)
    return ended or silence >= SENTENCE_PAUSE or unit[-1].end - sentence[0][0].start > LONGEST_SENTENCE


def clamp(items: Iterable[Item], duration: Samples) -> tuple[Item, ...]:
    """*items* of one channel, in the same order, with the least changes that make their times valid.

    Afterwards `0 <= start <= end <= duration`, starts do not decrease, a mark is at the end of the word before it, and the
    parts of an entity lie inside it.
    """
    duration = max(0, duration)
    clamped: list[Item] = []
    floor = 0  # the minimum start of the following items
    word_end: Samples | None = None  # the end of the last word
    for item in items:
        if isinstance(item, Mark):
            alone = word_end is None or item.attaches is Attaches.NEXT
            floor = max(floor, _within(item.at, floor, duration) if alone or word_end is None else word_end)
            clamped.append(item if floor == item.at else replace(item, at=floor))
        else:
            start = _within(item.start, floor, duration)
            word_end = _within(item.end, start, duration)
            clamped.append(_moved(item, start, word_end))
            floor = start
    return tuple(clamped)


def shift(items: Iterable[Item], by: Samples) -> tuple[Item, ...]:
    """*items* and the parts of entities, later by *by* samples (earlier if negative)."""
    return tuple(_shifted(item, by) for item in items)


def _within(at: Samples, low: Samples, high: Samples) -> Samples:
    return min(max(at, low), high)


def _moved(item: Word | Entity, start: Samples, end: Samples) -> Word | Entity:
    if isinstance(item, Word):
        return item if (item.start, item.end) == (start, end) else replace(item, start=start, end=end)
    spoken = tuple(_fitted(each, start, end) for each in item.spoken)
    written = tuple(_fitted_word(each, start, end) for each in item.written)
    return replace(item, start=start, end=end, spoken=spoken, written=written)


def _fitted(part: Word | Mark, low: Samples, high: Samples) -> Word | Mark:
    if isinstance(part, Mark):
        return replace(part, at=_within(part.at, low, high))
    return _fitted_word(part, low, high)


def _fitted_word(word: Word, low: Samples, high: Samples) -> Word:
    start = _within(word.start, low, high)
    return replace(word, start=start, end=_within(word.end, start, high))


def _shifted(item: Item, by: Samples) -> Item:
    if isinstance(item, Mark):
        return replace(item, at=item.at + by)
    if isinstance(item, Word):
        return replace(item, start=item.start + by, end=item.end + by)
    spoken = tuple(
        replace(each, at=each.at + by)
        if isinstance(each, Mark)
        else replace(each, start=each.start + by, end=each.end + by)
        for each in item.spoken
    )
    written = tuple(replace(each, start=each.start + by, end=each.end + by) for each in item.written)
    return replace(item, start=item.start + by, end=item.end + by, spoken=spoken, written=written)

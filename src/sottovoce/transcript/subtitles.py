"""From items to subtitle cues: what is shown together, where its lines break, and how long it stays (contract §8.2).

Words are never lost, reordered or shown twice; cues never overlap, also where two channels talk at once. The time taken
is linear in the number of items.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Attaches, ChannelLabel, Item, Mark, Samples, SpeakerLabel, samples
from sottovoce.transcript.timeline import units

GAP: Samples = 2 * RATE
"""Silence that begins a new cue (contract §8.2, inferred)."""

READING_SPEED = 17
"""Characters a second that a reader is given where the silence behind allows (research/peers.md §5.7: 17 to 20)."""

READING_SPEEDS = {"ja": 4, "ko": 12, "cmn": 9, "yue": 9}
"""The same for languages whose characters say more (research/peers.md §5.7)."""

SHORTEST: Samples = samples(0.833)
"""A cue stays at least so long where the next one allows (research/peers.md §5.7)."""

LONGEST: Samples = 7 * RATE
"""A cue takes in no word that would make it longer, and is not extended beyond (research/peers.md §5.7)."""

FRAME: Samples = samples(1 / 24)
"""One frame of film: what a cue gets at the very least where others begin at the same time."""

PAUSE: Samples = 2 * FRAME
"""An extended cue keeps this distance from the next (research/peers.md §5.7)."""

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_EFFORT = 100_000  # steps to balance one cue; beyond, its lines are filled greedily


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """*lines* (at least one, none empty) shown from *start* to *end*, of one speaker on one channel."""

    start: Samples
    end: Samples
    lines: tuple[str, ...]
    channel: ChannelLabel | None = None
    speaker: SpeakerLabel | None = None


_Voice = tuple[ChannelLabel | None, SpeakerLabel | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """What no line break divides: a word with its marks. *marked* = a mark closes it, *ends* = it ends a sentence."""

    text: str
    start: Samples
    end: Samples
    voice: _Voice
    marked: bool
    ends: bool


def cues(items: Iterable[Item], pack: LanguagePack, limits: SubtitleLimits, *, end: Samples) -> tuple[Cue, ...]:
    """The cues of *items*, all inside 0 … *end* (the length of the audio).

    A cue is filled word by word and closed when the next word does not fit in its last line, after a sentence, at a
    change of speaker or channel, at a gap of `GAP`, and before it would last longer than `LONGEST`. A word with its
    marks that is longer than a line has a line of its own; where the language has no delimiter it is broken instead.
    A cue stays beyond its last word, until `PAUSE` before the next, if that helps to read it.
    """
    width, rows = max(1, limits.max_line_length), max(1, limits.max_lines)
    groups = list(_groups(_tokens(items, pack, width), pack.delimiter, width, rows))
    texts = [_lines(group, pack.delimiter, width) for group in groups]
    speed = READING_SPEEDS.get(pack.code, READING_SPEED)
    times = _times(groups, [-(-sum(map(len, lines)) * RATE // speed) for lines in texts], max(0, end))
    return tuple(
        Cue(start=start, end=stop, lines=lines, channel=group[0].voice[0], speaker=group[0].voice[1])
        for group, lines, (start, stop) in zip(groups, texts, times, strict=True)
    )


def _tokens(items: Iterable[Item], pack: LanguagePack, width: int) -> Iterator[_Token]:
    for unit in units(items):
        for part, voice in _inseparable(unit):
            token = _token(part, voice)
            if not token.text:
                continue
            if pack.delimiter or len(token.text) <= width:
                yield token
            else:
                yield from _pieces(token, pack, width)


def _reaches_on(item: Item) -> bool:
    return isinstance(item, Mark) and item.attaches in {Attaches.NEXT, Attaches.BOTH}


def _inseparable(unit: Sequence[Item]) -> Iterator[tuple[Sequence[Item], _Voice | None]]:
    """*unit* and whose it is, cut before a mark that stands alone, and where a mark joins words of two voices."""
    begin, voice = 0, _voice(unit[0])
    for index, item in enumerate(unit):
        own = _voice(item)
        alone = isinstance(item, Mark) and item.attaches is Attaches.NONE and not _reaches_on(unit[index - 1])
        if index > begin and (alone or not (own is None or voice is None or own == voice)):
            yield unit[begin:index], voice
            begin, voice = index, own or voice
        else:
            voice = voice or own
    yield unit[begin:], voice


def _voice(item: Item) -> _Voice | None:
    """Whose *item* is; None for a mark without labels, which is its neighbour's."""
    own = (item.channel, item.speaker)
    return None if isinstance(item, Mark) and own == (None, None) else own


def _token(unit: Sequence[Item], voice: _Voice | None) -> _Token:
    words = [item for item in unit if not isinstance(item, Mark)] or unit
    return _Token(
        text="".join(_BREAKS.sub(" ", item.text) for item in unit).strip(),
        start=min(item.start for item in words),
        end=max(item.end for item in words),
        voice=voice or (None, None),
        marked=isinstance(unit[-1], Mark),
        ends=any(isinstance(item, Mark) and item.ends_sentence for item in unit),
    )


def _pieces(token: _Token, pack: LanguagePack, width: int) -> Iterator[_Token]:
    """*token* cut into lines between characters, its time shared out by length."""
    text, total, begin = token.text, len(token.text), 0
    while begin < total:
        stop = _cut(text, begin, min(begin + width, total), pack)
        start = token.start + (token.end - token.start) * begin // total
        until = token.start + (token.end - token.start) * stop // total
        last = stop == total
        piece = replace(token, text=text[begin:stop].strip(), start=start, end=until)
        if piece.text:
            yield piece if last else replace(piece, marked=False, ends=False)
        begin = stop


def _cut(text: str, begin: int, stop: int, pack: LanguagePack) -> int:
    """The last place up to *stop* where *text* may be cut, else *stop*."""
    for place in range(stop, max(begin, stop - 16), -1):
        if place == len(text) or _parts(text[place - 1], text[place], pack):
            return place
    return stop


_JOINER = "\u200d"
_LEADING_VOWELS = "เแโใไ"  # Thai: written before the consonant that they follow


def _parts(before: str, after: str, pack: LanguagePack) -> bool:
    """Whether a line may end between two characters: not inside what is seen as one, nor before a mark."""
    if after in pack.marks or before == _JOINER or before in _LEADING_VOWELS:
        return False
    skin_tone = "\U0001f3fb" <= after <= "\U0001f3ff"
    return not (after == _JOINER or skin_tone or unicodedata.category(after).startswith("M"))


def _groups(tokens: Iterable[_Token], delimiter: str, width: int, rows: int) -> Iterator[list[_Token]]:
    """The tokens of each cue."""
    group: list[_Token] = []
    row, column, until = 0, 0, 0
    for token in tokens:
        added = column + len(delimiter) + len(token.text)
        row, column = (row, added) if added <= width else (row + 1, len(token.text))
        if group and (row >= rows or _parted(group, token, until)):
            yield group
            group = []
        if not group:
            row, column, until = 0, len(token.text), token.end
        group.append(token)
        until = max(until, token.end)
    if group:
        yield group


def _parted(group: Sequence[_Token], token: _Token, until: Samples) -> bool:
    """Whether *token* belongs to another cue than *group*, which lasts until *until*, although there is room."""
    last = group[-1]
    return (
        last.ends
        or last.voice != token.voice
        or token.start - until >= GAP
        or max(token.end, until) - group[0].start > LONGEST
    )


def _lines(group: Sequence[_Token], delimiter: str, width: int) -> tuple[str, ...]:
    """*group* in as few lines as hold it, of even length, broken behind marks where that costs little."""
    starts = _greedy(group, delimiter, width)
    rows, words = len(starts), len(group)
    if 1 < rows < words and rows * words * words <= _EFFORT:
        starts = _balanced(group, delimiter, width, rows)
    ends = [*starts[1:], words]
    return tuple(
        delimiter.join(token.text for token in group[begin:stop]) for begin, stop in zip(starts, ends, strict=True)
    )


def _greedy(group: Sequence[_Token], delimiter: str, width: int) -> list[int]:
    starts, column = [0], len(group[0].text)
    for index, token in enumerate(group[1:], start=1):
        column += len(delimiter) + len(token.text)
        if column > width:
            starts.append(index)
            column = len(token.text)
    return starts


def _balanced(group: Sequence[_Token], delimiter: str, width: int, rows: int) -> list[int]:
    """Where each of *rows* lines begins, at the least sum of squared lengths; a break inside a phrase costs extra."""
    words = len(group)
    reach = [0]  # characters up to each token, with a delimiter behind each
    for token in group:
        reach.append(reach[-1] + len(token.text) + len(delimiter))
    unmarked = width * width // 8  # worth an imbalance of half a line
    best: list[tuple[int, tuple[int, ...]] | None] = [(0, ())] + [None] * words
    for _ in range(rows):
        longer: list[tuple[int, tuple[int, ...]] | None] = [None] * (words + 1)
        for begin, known in enumerate(best):
            if known is None:
                continue
            for stop in range(begin + 1, words + 1):
                length = reach[stop] - reach[begin] - len(delimiter)
                if length > width and stop - begin > 1:
                    break
                extra = 0 if stop == words or group[stop - 1].marked else unmarked
                cost = known[0] + length * length + extra
                other = longer[stop]
                if other is None or cost < other[0]:
                    longer[stop] = (cost, (*known[1], begin))
        best = longer
    found = best[words]
    return list(found[1]) if found else _greedy(group, delimiter, width)


def _times(
    groups: Sequence[Sequence[_Token]], reading: Sequence[Samples], end: Samples
) -> list[tuple[Samples, Samples]]:
    """Start and end of each cue; *reading* is the time that each takes to read."""
    starts = _starts([group[0].start for group in groups], end)
    times = []
    for index, (group, start) in enumerate(zip(groups, starts, strict=True)):
        following = starts[index + 1] if index + 1 < len(starts) else None
        spoken = max(token.end for token in group)
        wanted = start + min(max(SHORTEST, reading[index]), LONGEST)
        bound = end if following is None else following - PAUSE
        stop = max(spoken, min(wanted, bound), start + FRAME)
        times.append((start, min(stop, end if following is None else following)))
    return times


def _starts(wanted: Sequence[Samples], end: Samples) -> list[Samples]:
    """*wanted* moved just so that every cue has a frame: later where several begin at once, earlier at the very end."""
    starts: list[Samples] = []
    floor = 0
    for at in wanted:
        starts.append(max(at, floor))
        floor = starts[-1] + FRAME
    frame = min(FRAME, end // max(1, len(starts)))
    ceiling = end - frame
    for index in range(len(starts) - 1, -1, -1):
        if starts[index] <= ceiling:
            break
        starts[index] = ceiling
        ceiling -= frame
    return starts

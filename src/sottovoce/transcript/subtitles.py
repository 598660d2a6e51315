"""Makes subtitle cues from items: groups the words, breaks the lines and sets the times (contract §8.2).

Every word is in exactly one cue, in the order of the items. Cues do not overlap, even if two channels speak at once. Time
linear in the number of items.

In order: limits; tokens (a word with its marks); groups of tokens, one per cue; lines; times.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Attaches, ChannelLabel, Item, Mark, Samples, SpeakerLabel, samples
from sottovoce.transcript.timeline import units

GAP: Samples = 2 * RATE
"""Minimum silence, in samples, that starts a new cue (contract §8.2, inferred)."""

READING_SPEED = 17
"""Characters per second of reading; a cue is extended to it if silence follows (research/peers.md §5.7: 17 to 20)."""

READING_SPEEDS = {"ja": 4, "ko": 12, "cmn": 9, "yue": 9}
"""Reading speeds of languages whose characters carry more information (research/peers.md §5.7)."""

SHORTEST: Samples = samples(0.833)
"""Minimum duration of a cue, in samples, unless the next cue starts earlier (research/peers.md §5.7)."""

LONGEST: Samples = 7 * RATE
"""Maximum duration of a cue, in samples, except for a single longer word (research/peers.md §5.7)."""

FRAME: Samples = samples(1 / 24)
"""One frame of film, in samples: the minimum duration of cues whose words start at the same time."""

PAUSE: Samples = 2 * FRAME
"""Gap, in samples, between an extended cue and the next (research/peers.md §5.7)."""

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_MAX_BALANCE_STEPS = 100_000  # steps to balance the lines of one cue; if it needs more, the lines are filled greedily


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
    """A word with its marks, which no line break divides. *marked*: a mark is at its end; *ends*: it ends a sentence."""

    text: str
    start: Samples
    end: Samples
    voice: _Voice
    marked: bool
    ends: bool


def cues(items: Iterable[Item], pack: LanguagePack, limits: SubtitleLimits, *, end: Samples) -> tuple[Cue, ...]:
    """The cues of *items*, all inside 0 … *end* (the length of the audio).

    A cue ends when the next word does not fit in its last line, after a sentence, at a change of speaker or channel, at a
    silence of `GAP`, and before its duration exceeds `LONGEST`. A word with its marks that is longer than a line gets its
    own line; in a language without a delimiter it is split instead. A cue is extended beyond its last word, at most until
    `PAUSE` before the next cue, up to the time needed for reading.
    """
    width, rows = max(1, limits.max_line_length), max(1, limits.max_lines)
    groups = list(_groups(_tokens(as_words(items), pack, width), pack.delimiter, width, rows))
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


def _attaches_to_next(item: Item) -> bool:
    return isinstance(item, Mark) and item.attaches in {Attaches.NEXT, Attaches.BOTH}


def _inseparable(unit: Sequence[Item]) -> Iterator[tuple[Sequence[Item], _Voice | None]]:
    """The parts of *unit* with their voices, split before a separate mark and where a mark joins words of two voices."""
    begin, voice = 0, _voice(unit[0])
    for index, item in enumerate(unit):
        own = _voice(item)
        alone = isinstance(item, Mark) and item.attaches is Attaches.NONE and not _attaches_to_next(unit[index - 1])
        if index > begin and (alone or not (own is None or voice is None or own == voice)):
            yield unit[begin:index], voice
            begin, voice = index, own or voice
        else:
            voice = voice or own
    yield unit[begin:], voice


def _voice(item: Item) -> _Voice | None:
    """The channel and speaker of *item*; None for a mark without labels, which takes those of its neighbour."""
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
    """*token* cut into lines between characters, with its time divided in proportion to their lengths."""
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
    """The last index up to *stop* at which *text* may be split, or *stop* if there is none within 16 characters."""
    for index in range(stop, max(begin, stop - 16), -1):
        if index == len(text) or _divisible(text[index - 1], text[index], pack):
            return index
    return stop


_JOINER = "\u200d"
_LEADING_VOWELS = "เแโใไ"  # Thai: written before the consonant that they follow


def _divisible(before: str, after: str, pack: LanguagePack) -> bool:
    """True if a line may end between two characters: not inside a grapheme, and not before a punctuation mark."""
    if after in pack.marks or before == _JOINER or before in _LEADING_VOWELS:
        return False
    skin_tone = "\U0001f3fb" <= after <= "\U0001f3ff"
    return not (after == _JOINER or skin_tone or unicodedata.category(after).startswith("M"))


def _groups(tokens: Iterable[_Token], delimiter: str, width: int, rows: int) -> Iterator[list[_Token]]:
    """The tokens of each cue, by the rules of `cues`."""
    group: list[_Token] = []
    row, column, until = 0, 0, 0
    for token in tokens:
        added = column + len(delimiter) + len(token.text)
        row, column = (row, added) if added <= width else (row + 1, len(token.text))
        if group and (row >= rows or _starts_new_cue(group, token, until)):
            yield group
            group = []
        if not group:
            row, column, until = 0, len(token.text), token.end
        group.append(token)
        until = max(until, token.end)
    if group:
        yield group


def _starts_new_cue(group: Sequence[_Token], token: _Token, until: Samples) -> bool:
    """True if *token* starts a new cue after *group*, which lasts until *until*, even if the text fits."""
    last = group[-1]
    return (
        last.ends
        or last.voice != token.voice
        or token.start - until >= GAP
        or max(token.end, until) - group[0].start > LONGEST
    )


def _lines(group: Sequence[_Token], delimiter: str, width: int) -> tuple[str, ...]:
    """*group* in the minimum number of lines, of similar length, broken after marks if that costs little balance."""
    starts = _greedy(group, delimiter, width)
    rows, words = len(starts), len(group)
    if 1 < rows < words and rows * words * words <= _MAX_BALANCE_STEPS:
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
    """The first token of each of *rows* lines, with the least sum of squared lengths; a break without a mark costs extra."""
    words = len(group)
    reach = [0]  # characters up to each token, with a delimiter after each
    for token in group:
        reach.append(reach[-1] + len(token.text) + len(delimiter))
    unmarked = width * width // 8  # worth an imbalance of half a line
    best: list[tuple[int, tuple[int, ...]] | None] = [(0, ())] + [None] * words
    for _ in range(rows):
        longer: list[tuple[int, tuple[int, ...]] | None] = [None] * (words + 1)
        for begin, shorter in enumerate(best):
            if shorter is None:
                continue
            for stop in range(begin + 1, words + 1):
                length = reach[stop] - reach[begin] - len(delimiter)
                if length > width and stop - begin > 1:
                    break
                extra = 0 if stop == words or group[stop - 1].marked else unmarked
                cost = shorter[0] + length * length + extra
                other = longer[stop]
                if other is None or cost < other[0]:
                    longer[stop] = (cost, (*shorter[1], begin))
        best = longer
    found = best[words]
    return list(found[1]) if found else _greedy(group, delimiter, width)


def _times(
    groups: Sequence[Sequence[_Token]], reading: Sequence[Samples], end: Samples
) -> list[tuple[Samples, Samples]]:
    """Start and end of each cue; *reading* is the time in samples to read each."""
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
    """*wanted* with the least changes that give every cue one frame: later where several start at once, earlier at *end*."""
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

"""Makes subtitle cues from items: groups the words, breaks the lines and sets the times (contract §8.2).

Every word is in exactly one cue, in the order of the items. Cues do not overlap, even if two channels speak at once. Time
linear in the number of items.

In order: limits; tokens (a word with its marks); groups of tokens, one per cue; lines; times.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Attaches, ChannelLabel, Item, Mark, Samples, SpeakerLabel, samples
from sottovoce.transcript.timeline import by_sentence, units

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
"""Gap, in samples, between two cues (research/peers.md §5.7)."""

NEAR: Samples = RATE // 2
"""A cue that would end less than this (0.5 s) before the next one ends `PAUSE` before it, so that the text does not flicker."""

HURRY = 1.5
"""Factor of the reading speed at which a cue can just be read; another cue does not take its time below that."""

LATE: Samples = 3 * RATE
"""Latest start of a cue (3 s) after its first word, where people speak at the same time."""

EARLY: Samples = RATE
"""Earliest start of a cue (1 s) before its first word, where people speak at the same time."""

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_MAX_TOKENS = 60  # tokens of a cue on average; with more, the cues of a passage are filled greedily
_CLAUSE_ENDS = tuple(",;:.!?…，、；：。！？،؛؟।")
_BREATH: Samples = RATE // 4  # a pause of 0.25 s inside a sentence is a good place for a break
_SMALL_WORD = 3  # characters
_FEW = 0.25  # share of a cue under which it has too little text
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


def cues(
    items: Iterable[Item],
    pack: LanguagePack,
    limits: SubtitleLimits,
    *,
    end: Samples,
    exact: bool = False,
    labelled: bool = False,
) -> tuple[Cue, ...]:
    """The cues of *items*, all inside 0 … *end* (the length of the audio).

    A cue ends after a sentence, at a change of speaker or channel and at a silence of `GAP`; two short sentences of one voice
    may share a cue. A longer sentence is divided where its lines are full, at clauses and pauses if possible, and before the
    duration exceeds `LONGEST`. A word with its marks that is longer than a line gets its own line; in a language without a
    delimiter it is split instead. Sentences of channels that speak at once follow each other.

    A cue is extended beyond its last word to the time needed for reading, and to `PAUSE` before the next cue if that is
    `NEAR`. It always gets the time for hurried reading if it can: then the next cue starts later than its first word.
    With *exact* every cue starts with its first word. With *labelled* the speaker, else the channel, is before the words where
    it changes (`Anna: Good morning.`), within the limits of the lines.
    """
    width, rows = max(1, limits.max_line_length), max(1, limits.max_lines)
    tokens = _tokens(as_words(by_sentence(items)), pack, width)
    groups = _groups(_labelled(tokens, pack) if labelled else tokens, pack.delimiter, width, rows)
    texts = [_lines(group, pack.delimiter, width) for group in groups]
    times = _times(groups, texts, READING_SPEEDS.get(pack.code, READING_SPEED), max(0, end), exact=exact)
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


def _labelled(tokens: Iterable[_Token], pack: LanguagePack) -> Iterator[_Token]:
    """*tokens*, and before each change of voice its label as tokens of no duration, one for each word of the label."""
    voice: _Voice = (None, None)
    for token in tokens:
        label = " ".join((token.voice[1] or token.voice[0] or "").split())
        if label and token.voice != voice:
            for part in f"{label}:".split(" ") if pack.delimiter else [f"{label}:"]:
                yield replace(token, text=part, end=token.start, marked=False, ends=False)
        voice = token.voice
        yield token


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
        marked=isinstance(unit[-1], Mark) or unit[-1].text.rstrip()[-1:] in _CLAUSE_ENDS,
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


# ── groups of tokens, one per cue ──


def _groups(tokens: Iterable[_Token], delimiter: str, width: int, rows: int) -> list[list[_Token]]:
    """The tokens of each cue, by the rules of `cues`."""
    found: list[list[_Token]] = []
    for passage in _passages(tokens):
        filled = list(_filled(passage, delimiter, width, rows))
        few = len(passage) <= _MAX_TOKENS * len(filled)
        found += _divided(passage, delimiter, width, rows) if len(filled) > 1 and few else filled
    return _joined(found, delimiter, width, rows)


def _passages(tokens: Iterable[_Token]) -> Iterator[list[_Token]]:
    """Runs of tokens without a boundary at which a cue ends in any case: a sentence end, another voice, a silence."""
    passage: list[_Token] = []
    until = 0
    for token in tokens:
        last = passage[-1] if passage else None
        if last and (last.ends or last.voice != token.voice or token.start - until >= GAP):
            yield passage
            passage, until = [], 0
        passage.append(token)
        until = max(until, token.end)
    if passage:
        yield passage


def _filled(passage: Sequence[_Token], delimiter: str, width: int, rows: int) -> Iterator[list[_Token]]:
    """Cues with as many tokens as fit."""
    begin = 0
    while begin < len(passage):
        stop = _furthest(passage, begin, delimiter, width, rows)
        yield list(passage[begin:stop])
        begin = stop


def _furthest(passage: Sequence[_Token], begin: int, delimiter: str, width: int, rows: int) -> int:
    """The index after the last token that fits into a cue which begins with token *begin*."""
    row, column, until = 0, len(passage[begin].text), passage[begin].end
    for index in range(begin + 1, len(passage)):
        token = passage[index]
        added = column + len(delimiter) + len(token.text)
        row, column = (row, added) if added <= width else (row + 1, len(token.text))
        until = max(until, token.end)
        if row >= rows or until - passage[begin].start > LONGEST:
            return index
    return len(passage)


def _divided(passage: Sequence[_Token], delimiter: str, width: int, rows: int) -> list[list[_Token]]:
    """*passage* in cues that end at clauses and pauses, without cues of a word or two: the division of least cost."""
    words = len(passage)
    best: list[tuple[float, int]] = [(0.0, 0)] + [
        (float("inf"), 0)
    ] * words  # cost up to each token, and the cue before
    for begin in range(words):
        characters = 0
        for stop in range(begin + 1, _furthest(passage, begin, delimiter, width, rows) + 1):
            characters += len(passage[stop - 1].text) + len(delimiter)
            cost = best[begin][0] + _cost(passage, begin, stop, characters / (width * rows))
            if cost < best[stop][0]:
                best[stop] = (cost, begin)
    edges = [words]
    while edges[-1]:
        edges.append(best[edges[-1]][1])
    edges.reverse()
    return [list(passage[begin:stop]) for begin, stop in pairwise(edges)]


def _cost(passage: Sequence[_Token], begin: int, stop: int, full: float) -> float:
    """The cost of a cue with the tokens *begin* to *stop* that is *full* (0..1); weights from the golden transcripts."""
    cost = 1.0 + 0.3 * max(1.0 - full, 0.0) ** 2
    cost += 0.8 * max(1.0 - full / _FEW, 0.0)
    if (passage[stop - 1].end if stop == len(passage) else passage[stop].start) - passage[begin].start < SHORTEST:
        cost += 0.8
    return cost if stop == len(passage) else cost + _break_cost(passage[stop - 1], passage[stop])


def _break_cost(before: _Token, after: _Token) -> float:
    """The cost, 0..1, of a break between two tokens: least after a mark, most before the last word of a clause."""
    if before.marked:
        return 0.0
    cost = 0.3 if after.start - before.end >= _BREATH else 0.6
    if len(before.text) <= _SMALL_WORD:  # in most languages such words belong to the next one: a, of, de, für
        cost += 0.2
    return cost + 0.2 if after.marked else cost


def _joined(groups: Sequence[list[_Token]], delimiter: str, width: int, rows: int) -> list[list[_Token]]:
    """*groups*, in which a cue that would be too short is joined with a neighbour of the same voice, if both fit."""
    found: list[list[_Token]] = []
    for index, group in enumerate(groups):
        if found and (_too_short(found, group) or _too_short([group], *groups[index + 1 : index + 2])):
            both = [*found[-1], *group]
            near = group[0].start - max(token.end for token in found[-1]) < GAP // 2
            same = found[-1][0].voice == group[0].voice
            if same and near and _furthest(both, 0, delimiter, width, rows) == len(both):
                found[-1] = both
                continue
        found.append(group)
    return found


def _too_short(before: Sequence[Sequence[_Token]], after: Sequence[_Token] = ()) -> bool:
    """True if the last cue of *before* has no room for `SHORTEST` until *after* begins."""
    return bool(after) and after[0].start - PAUSE - before[-1][0].start < SHORTEST


# ── lines ──


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
    unmarked = width * width / 4  # a bad break is worth an imbalance of most of a line
    best: list[tuple[float, tuple[int, ...]] | None] = [(0.0, ())] + [None] * words
    for _ in range(rows):
        longer: list[tuple[float, tuple[int, ...]] | None] = [None] * (words + 1)
        for begin, shorter in enumerate(best):
            if shorter is None:
                continue
            for stop in range(begin + 1, words + 1):
                length = reach[stop] - reach[begin] - len(delimiter)
                if length > width and stop - begin > 1:
                    break
                extra = _line_cost(group, stop) if stop < words else 0.0
                cost = shorter[0] + length * length + extra * unmarked
                other = longer[stop]
                if other is None or cost < other[0]:
                    longer[stop] = (cost, (*shorter[1], begin))
        best = longer
    found = best[words]
    return list(found[1]) if found else _greedy(group, delimiter, width)


def _line_cost(group: Sequence[_Token], stop: int) -> float:
    """The cost of a line break before token *stop*, 0..1; two sentences of one cue have a line each."""
    before = group[stop - 1]
    return -1.0 if before.ends else _break_cost(before, group[stop])


# ── times ──


def _times(
    groups: Sequence[Sequence[_Token]], texts: Sequence[tuple[str, ...]], speed: int, end: Samples, *, exact: bool
) -> list[tuple[Samples, Samples]]:
    """Start and end of each cue; *speed* is that of reading, in characters per second."""
    sizes = [sum(map(len, lines)) for lines in texts]
    starts = [group[0].start for group in groups]
    if not exact:
        starts = _starts(starts, _needed(groups, sizes, speed), _hurried(sizes, speed), end)
    times = []
    for index, (group, start) in enumerate(zip(groups, starts, strict=True)):
        following = starts[index + 1] if index + 1 < len(starts) else None
        spoken = max(token.end for token in group)
        wanted = max(spoken, start + min(max(SHORTEST, -(-sizes[index] * RATE // speed)), LONGEST))
        stop = max(min(wanted, end if following is None else following), start)
        if following is not None and following - stop < NEAR and following - PAUSE - start >= FRAME:
            chained = following - PAUSE
            # a cue of one long word lasts as long as the word; others do not last longer than `LONGEST`
            stop = chained if chained <= max(start + LONGEST, spoken) else stop
        times.append((start, max(stop, min(start + FRAME, end if following is None else following))))
    return times


def _needed(groups: Sequence[Sequence[_Token]], sizes: Sequence[int], speed: int) -> list[Samples]:
    """The time that each cue must have before the next starts: `SHORTEST`, or that of hurried reading if both are spoken
    at the same time, because then the next one would end it early.
    """
    needed = []
    hurried = _hurried(sizes, speed)
    for index, group in enumerate(groups):
        following = groups[index + 1] if index + 1 < len(groups) else None
        overlap = following is not None and following[0].start < max(token.end for token in group) - PAUSE
        needed.append(hurried[index] if overlap else SHORTEST + PAUSE)
    return needed


def _hurried(sizes: Sequence[int], speed: int) -> list[Samples]:
    """The time of each cue, and the pause after it, in which it can just be read; *sizes* in characters."""
    return [max(SHORTEST, min(round(size * RATE / (speed * HURRY)), LONGEST)) + PAUSE for size in sizes]


def _starts(
    wanted: Sequence[Samples], needed: Sequence[Samples], hurried: Sequence[Samples], end: Samples
) -> list[Samples]:
    """*wanted* with the least changes that give every cue its time, or one frame where there is no room for more.

    A cue may start up to `EARLY` before its first word, and `LATE` after it, if people speak at the same time. One that
    starts late because of the cue before it gets the time *hurried*: its own words no longer give it enough.
    """
    latest = [at + LATE for at in wanted]
    for index in range(len(wanted) - 2, -1, -1):
        latest[index] = min(latest[index], latest[index + 1] - needed[index])
    starts: list[Samples] = []
    floor = 0
    for at, last, need, least in zip(wanted, latest, needed, hurried, strict=True):
        start = max(min(at, max(last, at - EARLY)), floor)
        if start > at + LATE:  # there is no room: the cue before gets less than it needs
            start = max(at + LATE, starts[-1] + FRAME if starts else 0)
        starts.append(start)
        floor = start + (max(need, least) if start > at else need)
    return _fitted(starts, end)


def _fitted(wanted: Sequence[Samples], end: Samples) -> list[Samples]:
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

"""An aligned text in its two forms (contract `batch-v2.md` §10, `legacy-v1.md` §2.8): the text as submitted, with times put in."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Samples, Word, seconds
from sottovoce.transcript.subtitles import cues
from sottovoce.wire.formats import srt

WORD_START_AND_END = "word_start_and_end"
ONE_PER_LINE = "one_per_line"
_END_OF_LINE = re.compile("\r\n|\r|\n")


def word_start_and_end(text: str, alignment: Alignment) -> str:
    """Each word as `<time=S>word<time=E>`, seconds with two decimals; all between the words untouched."""
    return "".join(_tagged(text, alignment))


def _tagged(text: str, alignment: Alignment) -> Iterator[str]:
    at = 0
    for word in alignment.words:
        yield text[at : word.first]
        yield f"<time={_decimals(word.start)}>{text[word.first : word.last]}<time={_decimals(word.end)}>"
        at = word.last
    yield text[at:]


def _decimals(at: Samples) -> str:
    return f"{seconds(at):.2f}"


def one_per_line(text: str, alignment: Alignment) -> str:
    """Each line with `[HH:MM:SS.d]` of its first word and a tab before it; a line without words as it is (§10, inferred)."""
    return "".join(
        (f"[{_clock(words[0])}]\t" if words else "") + text[first:last]
        for first, last, words in _lines(text, alignment)
    )


def as_json(text: str, alignment: Alignment) -> str:
    """Every word with its times in seconds; `bridged` ones were not found. A form of our own, for programs."""
    words = [
        {"word": text[word.first : word.last], "start_time": seconds(word.start), "end_time": seconds(word.end)}
        | ({"bridged": True} if word.bridged else {})
        for word in alignment.words
    ]
    return json.dumps({"duration": seconds(alignment.duration), "words": words}, ensure_ascii=False, indent=1)


def as_srt(text: str, alignment: Alignment) -> str:
    """Subtitles within the usual limits, in which every line begins a cue of its own; markup is left out. A form of our own."""
    items = [  # a line is a speaker of its own: a change of speakers begins a cue, and no cue reaches into the next
        Word(text=text[word.first : word.last], start=word.start, end=word.end, speaker=str(number))
        for number, (_, _, words) in enumerate(_lines(text, alignment))
        for word in words
    ]
    return srt.layout(cues(items, pack(alignment.language), SubtitleLimits(), end=alignment.duration))


def _lines(text: str, alignment: Alignment) -> Iterator[tuple[int, int, list[AlignedWord]]]:
    """Where each line begins and ends, and its words; markup may stretch a word's line no further."""
    words = iter(alignment.words)
    word = next(words, None)
    for first, last in pairwise(_line_starts(text)):
        held: list[AlignedWord] = []
        while word is not None and word.first < last:
            held.append(word)
            word = next(words, None)
        yield first, last, held


def _line_starts(text: str) -> Iterator[int]:
    """Where lines begin, and the end of the text; the ends of lines are those of text files: LF, CRLF, CR."""
    yield 0
    for match in _END_OF_LINE.finditer(text):
        if match.end() < len(text):
            yield match.end()
    yield len(text)


def _clock(word: AlignedWord) -> str:
    """The other form's seconds cut off after one decimal, as in the documented pairs (contract §10, inferred)."""
    tenths = round(seconds(word.start) * 100) // 10
    return f"{tenths // 36_000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


TAGS: Mapping[str, Callable[[str, Alignment], str]] = {
    WORD_START_AND_END: word_start_and_end,
    ONE_PER_LINE: one_per_line,
}
"""Every value of `tags`; the first is the default."""

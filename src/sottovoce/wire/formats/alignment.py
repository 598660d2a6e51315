"""An aligned text in the output formats: the submitted text with times inserted (contract `batch-v2.md` §10, `legacy-v1.md`
§2.8), JSON, and SRT subtitles.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from sottovoce.request import SubtitleLimits
from sottovoce.transcript import marked_text
from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Samples, Word, seconds
from sottovoce.transcript.subtitles import cues
from sottovoce.wire.formats import srt

WORD_START_AND_END = "word_start_and_end"
ONE_PER_LINE = "one_per_line"
_END_OF_LINE = re.compile("\r\n|\r|\n")


def word_start_and_end(text: str, alignment: Alignment) -> str:
    """*text* with each word as `<time=S>word<time=E>`, seconds with two decimals; the text between words is unchanged."""
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
    """*text* with `[HH:MM:SS.d]` of the first word and a tab before each line that has words (§10, inferred).

    A byte order mark stays at the beginning: behind the first tag it would be a character of the text.
    """
    begin = marked_text.begins(text)
    return text[:begin] + "".join(
        (f"[{_clock(words[0])}]\t" if words else "") + text[max(first, begin) : last]
        for first, last, words in _lines(text, alignment)
    )


def as_json(text: str, alignment: Alignment) -> str:
    """JSON of every word with its times in seconds; a `bridged` word was not found in the audio. Not in the contract."""
    words = [
        {"word": text[word.first : word.last], "start_time": seconds(word.start), "end_time": seconds(word.end)}
        | ({"bridged": True} if word.bridged else {})
        for word in alignment.words
    ]
    return json.dumps({"duration": seconds(alignment.duration), "words": words}, ensure_ascii=False, indent=1)


def as_srt(text: str, alignment: Alignment) -> str:
    """Subtitles with the default limits, in which every line starts a cue, without markup. Not in the contract."""
    items = [  # each line gets its own speaker: a change of speaker starts a cue, so no cue spans two lines
        Word(text=text[word.first : word.last], start=word.start, end=word.end, speaker=str(number))
        for number, (_, _, words) in enumerate(_lines(text, alignment))
        for word in words
    ]
    return srt.layout(cues(items, pack(alignment.language), SubtitleLimits(), end=alignment.duration, exact=True))


def _lines(text: str, alignment: Alignment) -> Iterator[tuple[int, int, list[AlignedWord]]]:
    """The start, end and words of each line of *text*. A word belongs to the line in which it starts."""
    words = iter(alignment.words)
    word = next(words, None)
    for first, last in pairwise(_line_starts(text)):
        held: list[AlignedWord] = []
        while word is not None and word.first < last:
            held.append(word)
            word = next(words, None)
        yield first, last, held


def _line_starts(text: str) -> Iterator[int]:
    """The start of each line, then the end of *text*. A line ends with LF, CRLF or CR, as in text files."""
    yield 0
    for match in _END_OF_LINE.finditer(text):
        if match.end() < len(text):
            yield match.end()
    yield len(text)


def _clock(word: AlignedWord) -> str:
    """The start of *word*, rounded to hundredths as in the other format and then truncated to tenths.

    The documented pairs of the two formats differ in this way (contract §10, inferred).
    """
    tenths = round(seconds(word.start) * 100) // 10
    return f"{tenths // 36_000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


TAGS: Mapping[str, Callable[[str, Alignment], str]] = {
    WORD_START_AND_END: word_start_and_end,
    ONE_PER_LINE: one_per_line,
}
"""Every value of `tags`; the first is the default."""

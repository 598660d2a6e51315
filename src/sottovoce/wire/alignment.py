"""An aligned text in its two forms (contract `batch-v2.md` §10, `legacy-v1.md` §2.8): the text as submitted, with times put in."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.model import RATE, Samples

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
    return f"{at / RATE:.2f}"


def one_per_line(text: str, alignment: Alignment) -> str:
    """Each line with `[HH:MM:SS.d]` of its first word and a tab before it; a line without words as it is (§10, inferred)."""
    words = iter(alignment.words)
    word = next(words, None)
    out: list[str] = []
    for first, last in pairwise(_line_starts(text)):
        while word is not None and word.last <= first:
            word = next(words, None)
        if word is not None and word.first < last:
            out.append(f"[{_clock(word)}]\t")
        out.append(text[first:last])
    return "".join(out)


def _line_starts(text: str) -> Iterator[int]:
    """Where lines begin, and the end of the text; the ends of lines are those of text files: LF, CRLF, CR."""
    yield 0
    for match in _END_OF_LINE.finditer(text):
        if match.end() < len(text):
            yield match.end()
    yield len(text)


def _clock(word: AlignedWord) -> str:
    """The other form's seconds cut off after one decimal, as in the documented pairs (contract §10, inferred)."""
    tenths = round(word.start * 100 / RATE) // 10
    return f"{tenths // 36_000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


TAGS: Mapping[str, Callable[[str, Alignment], str]] = {
    WORD_START_AND_END: word_start_and_end,
    ONE_PER_LINE: one_per_line,
}
"""Every value of `tags`; the first is the default."""

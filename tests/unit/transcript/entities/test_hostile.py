"""Input that is made to cost much: the rules read each word a bounded number of times, whatever the words are."""

import random
from itertools import pairwise

import pytest

from sottovoce.transcript.entities.languages import LANGUAGES, locale
from sottovoce.transcript.entities.scan import find
from sottovoce.transcript.entities.tokens import Reader, Token
from tests.unit.transcript.transcript_values import said

LINES = {
    "en": (
        "twenty", "nine hundred", "million", "thousand", "one million", "quintillion", "and", "a", "b", "point five", "double",
        "double five", "a dot", "dot five", "a dot b at", "x dot", "to", "plus", "minus", "half past", "first", "twenty first",
        "hundredth", "five dash", "one dot two", "555", "5 5", "000", "$5", "5-6", "percent to", "july", "twenty to", "extension",
    ),
    "de": ("zwanzig", "und", "ein und", "tausend", "fünf hundert", "komma", "ersten", "halb", "bis", "siebenhunderttausend", "uhr"),
    "fr": ("vingt", "quatre vingt", "et", "cent", "mille", "virgule deux", "premier", "heures", "20", "000"),
    "es": ("veinte", "y", "mil", "treinta y", "coma dos", "ciento", "millones de", "a la una", "cuarto para", "punto"),
    "pt": ("vinte", "e", "mil", "um do", "vírgula dois", "cem", "às", "meia", "ponto"),
    "it": ("venti", "mila", "cento", "e", "alle", "virgola due", "ventunesimo", "punto"),
    "nl": ("twintig", "honderd", "duizend", "en", "half", "komma twee", "eerste", "punt"),
}  # fmt: skip
"""Words that are repeated, by language."""
SHORT, LONG = 80, 320


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tokens that rules have read, in one element."""
    count = [0]
    at, word = Reader.at, Reader.word

    def counted_at(reader: Reader, index: int) -> Token:
        count[0] += 1
        return at(reader, index)

    def counted_word(reader: Reader, index: int) -> str:
        count[0] += 1
        return word(reader, index)

    monkeypatch.setattr(Reader, "at", counted_at)
    monkeypatch.setattr(Reader, "word", counted_word)
    return count


def cost(text: str, code: str, reads: list[int]) -> int:
    """Reads of *text*, and a check that the spans are inside it and in order."""
    tables = locale(code)
    assert tables is not None
    items = said(text)
    reads[0] = 0
    spans = find(items, tables).spans
    assert all(0 <= span.first < span.last <= len(items) for span in spans)
    assert all(one.last <= other.first for one, other in pairwise(spans))
    return reads[0]


@pytest.mark.parametrize("code", sorted(LINES))
def test_repeated_words_are_read_in_linear_time(code: str, reads: list[int]) -> None:
    for words in LINES[code]:
        size = len(words.split())
        short = cost(" ".join([words] * (SHORT // size)), code, reads)
        long = cost(" ".join([words] * (LONG // size)), code, reads)
        assert long <= short * LONG / SHORT * 1.3 + 500, words


def test_all_languages_with_tables_are_tried() -> None:
    assert set(LINES) == LANGUAGES


@pytest.mark.parametrize("code", sorted(LINES))
def test_mixed_languages_are_read_in_linear_time(code: str, reads: list[int]) -> None:
    dice = random.Random(8)
    every = [word for words in LINES.values() for line in words for word in line.split()]
    line = [dice.choice(every) for _ in range(LONG)]
    assert cost(" ".join(line), code, reads) < 200 * LONG


def test_ten_thousand_number_words() -> None:
    tables = locale("en")
    assert tables is not None
    for words in ("nine hundred ninety nine thousand", "one hundred million"):
        items = said(" ".join([words] * (10_000 // len(words.split()))))
        found = find(items, tables)
        assert all(len(span.text) < 100 for span in found.spans), words


def test_long_words() -> None:
    for word in (
        "9" * 5000,
        "1," * 2000 + "000",
        "fünf" * 500,
        "a-" * 2000 + "b",
        "5" + "." * 3000,
        "$" * 300,
        "x@" * 500,
    ):
        for code in LINES:
            tables = locale(code)
            assert tables is not None
            assert len(find(said(f"{word} twenty"), tables).spans) <= 2

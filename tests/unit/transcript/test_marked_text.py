"""Where the words of a submitted text are, and that everything else is left alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transcript import marked_text

BOM = "\ufeff"

pieces = st.sampled_from(
    ["word", "<", ">", "<!--", "-->", "-", "!", "--", " ", "\n", "\r\n", "\t", "a<b", "<b>", "é", BOM, "\u00a0", "語"]
)
marked = st.one_of(st.lists(pieces, max_size=30).map("".join), st.text(max_size=30))


def words(text: str) -> list[str]:
    return [word.text for word in marked_text.words(text)]


def markup(text: str) -> list[str]:
    return [text[first:last] for first, last in marked_text.comments(text)]


def left(text: str) -> str:
    """What is neither in a word nor in markup, when nothing is in both."""
    words = ((word.first, word.last) for word in marked_text.words(text))
    at = 1 if text.startswith(BOM) else 0
    parts = []
    for first, last in sorted([*marked_text.comments(text), *words]):
        assert at <= first < last
        parts.append(text[at:first])
        at = last
    return "".join([*parts, text[at:]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \r\n\t\u00a0\u3000 ", []),
        ("Hello world how are you?", ["Hello", "world", "how", "are", "you?"]),
        ("Good <b> day <!-- x > y --> all.", ["Good", "day", "all."]),
        ("one\r\ntwo\rthree\nfour\u2028five", ["one", "two", "three", "four", "five"]),
        (f"{BOM}First word", ["First", "word"]),
        (BOM, []),
        (f"{BOM}<p>First", ["First"]),
        (f"not{BOM}first", [f"not{BOM}first"]),
        ("<p><i></i>\n<!-- nothing --></p>", []),
        ("<p>in<i>side</i></p>", ["in", "side"]),
        ("so<!-- a comment -->called", ["so", "called"]),
        ("— – ...", ["—", "–", "..."]),
        ("你好 世界", ["你好", "世界"]),
        ("a\x00b c", ["a\x00b", "c"]),
    ],
)
def test_words_are_runs_of_non_blanks_outside_markup(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <b> c", ["<b>"]),
        ("<a <b> c>", ["<a <b>"]),  # a tag ends at the first `>`
        ("<!-- x > y --> z", ["<!-- x > y -->"]),
        ("<!-- <b> x </b> --> z", ["<!-- <b> x </b> -->"]),
        ("<!-- over\ntwo lines --> z", ["<!-- over\ntwo lines -->"]),
        ("<over\ntwo lines> z", ["<over\ntwo lines>"]),
        ("<!---->x", ["<!---->"]),
        ("<!--> x --> y", ["<!--> x -->"]),  # the two dashes of the opening close nothing
        ("<!-- a --> b --> c", ["<!-- a -->"]),
        ("<!- x > y", ["<!- x >"]),
        ("<>x", ["<>"]),
        ("<1><2>", ["<1>", "<2>"]),
        ("3 < 4 and 5 > 2", ["< 4 and 5 >"]),
    ],
)
def test_markup_is_what_the_contract_says(text: str, expected: list[str]) -> None:
    assert markup(text) == expected


@pytest.mark.parametrize(
    "text", ["a < b", "less <", "<", "<<<<", "x > y", "> <", "I <3 you", "--> <!-", "<!--", "a<b c"]
)
def test_what_never_ends_is_no_markup(text: str) -> None:
    assert markup(text) == []
    assert words(text) == text.split()


def test_a_comment_that_never_ends_is_at_most_a_tag() -> None:
    assert markup("<!-- a > b") == ["<!-- a >"]
    assert markup("<!-- a --> <!-- b > c") == ["<!-- a -->", "<!-- b >"]
    assert words("<!-- a b") == ["<!--", "a", "b"]


def test_places_are_those_of_the_text_as_it_was_submitted() -> None:
    text = f"{BOM}Good\r\n<b>día</b> 👋"
    assert [(word.first, word.last) for word in marked_text.words(text)] == [(1, 5), (10, 13), (18, 19)]


@given(marked)
def test_words_and_what_lies_between_them_are_the_text(text: str) -> None:
    at = 0
    parts = []
    for word in marked_text.words(text):
        assert at <= word.first < word.last <= len(text)
        assert text[word.first : word.last] == word.text
        assert not any(sign.isspace() for sign in word.text)
        parts += [text[at : word.first], word.text]
        at = word.last
    assert "".join([*parts, text[at:]]) == text


@given(marked)
def test_words_never_overlap_markup_and_nothing_but_blanks_is_left(text: str) -> None:
    assert left(text).strip() == ""


@given(marked)
def test_markup_is_closed_and_in_order(text: str) -> None:
    at = 0
    for first, last in marked_text.comments(text):
        assert at <= first < last
        span = text[first:last]
        assert span.startswith("<")
        assert span.endswith(">")
        assert span.find(">") == len(span) - 1 or (span.startswith("<!--") and span.find("-->", 4) == len(span) - 3)
        at = last


@pytest.mark.parametrize(
    ("unit", "tail"),
    [("<", ""), ("<", ">"), ("<!--", ""), ("<!--", ">"), ("<!--", "-->"), ("<!-- ", " -->"), ("a<", ""), ("-->", "<"),
     ("< <!-- > ", ""), ("<!---->", ""), ("x", ""), (" ", "")],
)  # fmt: skip
def test_a_hostile_megabyte_is_read_to_its_end(unit: str, tail: str) -> None:
    """Anything but time in proportion to the length would take hours here, and the time-out of the suite."""
    assert left(unit * (2**20 // len(unit)) + tail).strip() == ""


def test_a_megabyte_of_noise_is_read_to_its_end() -> None:
    random.seed(5)
    text = "".join(random.choices("ab <>!-\n", k=2**20))
    assert left(text).strip() == ""
    assert sum(last - first for first, last in marked_text.comments(text)) > 2**18

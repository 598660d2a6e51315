"""Aligned texts in both forms, byte for byte: what is documented, and what it means for texts of every kind.

`tests/golden_alignments` has a folder for each example: the text, its alignment as we store it, both forms. `seed` and
`comments` are the documented ones.
"""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.transcript import alignment as codec
from sottovoce.transcript import marked_text
from sottovoce.transcript.alignment import AlignedWord, Alignment
from sottovoce.transcript.model import RATE, samples
from sottovoce.wire.formats.alignment import ONE_PER_LINE, TAGS, WORD_START_AND_END, one_per_line, word_start_and_end

GOLDEN = Path(__file__).resolve().parents[3] / "golden_alignments"
WORD_TAG = re.compile(r"<time=\d+\.\d\d>")
LINE_TAG = re.compile(r"\[\d\d+:[0-5]\d:[0-5]\d\.\d\]\t")
HOUR = 3_600 * RATE


def aligned(text: str, *starts: float, length: float = 0.1) -> Alignment:
    """*text* with its words at *starts* in seconds, in samples that are not whole hundredths; by default 0.5 s apart."""
    words = list(marked_text.words(text))
    times = [samples(start) for start in starts] or [samples(0.5 * number) for number in range(len(words))]
    return at_samples(text, times, samples(length))


def at_samples(text: str, starts: list[int], length: int = 1_600) -> Alignment:
    words = tuple(
        AlignedWord(first=word.first, last=word.last, start=start, end=start + length)
        for word, start in zip(marked_text.words(text), starts, strict=True)
    )
    return Alignment(language="en", duration=starts[-1] + length if starts else 0, created_at=0, words=words)


# what holds none of our own tags; a text with a stranger's tags has them still, and nobody could tell them from ours
plain = st.lists(
    st.sampled_from(
        ["Hello", "wörld", "語", "👋", " ", "  ", "\t", "\n", "\r\n", "\r", "\n\n", "<b>", "<!-- x > y -->", "<!-- x\n -->",
         "<", ">", ".", "\u2028", "\x85", "\v", "\x1c", "\u00a0"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@st.composite
def texts_with_times(draw: st.DrawFn) -> tuple[str, Alignment]:
    text = draw(plain)
    count = sum(1 for _ in marked_text.words(text))
    steps = draw(st.lists(st.integers(0, 3 * RATE), min_size=count, max_size=count))
    start = draw(st.sampled_from([0, HOUR - RATE, 99 * HOUR]))
    return text, at_samples(text, [start := start + step for step in steps])


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
@pytest.mark.parametrize("tags", TAGS)
def test_golden(folder: Path, tags: str) -> None:
    text = (folder / "text.txt").read_bytes().decode()
    alignment = codec.decode((folder / "alignment.json").read_bytes())
    assert TAGS[tags](text, alignment).encode() == (folder / f"{tags}.txt").read_bytes()


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_goldens_are_of_words_as_we_find_them(folder: Path) -> None:
    text = (folder / "text.txt").read_bytes().decode()
    stored = (folder / "alignment.json").read_bytes()
    alignment = codec.decode(stored)
    found = [(word.first, word.last) for word in marked_text.words(text)]
    assert found == [(word.first, word.last) for word in alignment.words]
    assert codec.encode(alignment) == stored


def test_the_first_form_is_the_default() -> None:
    assert list(TAGS) == [WORD_START_AND_END, ONE_PER_LINE] == ["word_start_and_end", "one_per_line"]


def test_nothing_to_align_leaves_the_text_alone() -> None:
    for text in ("", "\n", "<p>\r\n</p>", " \t "):
        assert [render(text, aligned(text)) for render in TAGS.values()] == [text, text]


# ── word_start_and_end ──


def test_blanks_and_markup_between_words_are_untouched() -> None:
    text = "\ufeff <p>One\t two\r\n\r\n<!-- x > y -->three</p>\r"
    assert word_start_and_end(text, aligned(text)) == (
        "\ufeff <p><time=0.00>One<time=0.10>\t <time=0.50>two<time=0.60>\r\n\r\n<!-- x > y --><time=1.00>three<time=1.10></p>\r"
    )


@pytest.mark.parametrize(
    ("at", "shown"),
    [(0, "0.00"), (79, "0.00"), (81, "0.01"), (1_999, "0.12"), (2_001, "0.13"), (15_999, "1.00"), (100 * HOUR, "360000.00")],
)  # fmt: skip
def test_seconds_have_two_decimals_nearest(at: int, shown: str) -> None:
    assert word_start_and_end("a", at_samples("a", [at], 0)) == f"<time={shown}>a<time={shown}>"


@given(texts_with_times())
def test_without_the_tags_of_words_it_is_the_text(case: tuple[str, Alignment]) -> None:
    text, alignment = case
    tagged = word_start_and_end(text, alignment)
    assert WORD_TAG.sub("", tagged) == text
    assert len(WORD_TAG.findall(tagged)) == 2 * len(alignment.words)


# ── one_per_line ──


def test_ends_of_lines_stay_what_they_are() -> None:
    text = "one\r\ntwo\rthree\nfour five\r\n"
    assert one_per_line(text, aligned(text)) == (
        "[00:00:00.0]\tone\r\n[00:00:00.5]\ttwo\r[00:00:01.0]\tthree\n[00:00:01.5]\tfour five\r\n"
    )


def test_only_the_ends_of_text_files_end_lines() -> None:
    text = "one\u2028two\x85three\vfour\x1cfive\ffive"
    assert one_per_line(text, aligned(text)) == f"[00:00:00.0]\t{text}"


def test_lines_without_words_are_untouched() -> None:
    text = "\n  \n<p>\none\n<!-- a\n comment -->\r\n\r\ntwo\n\n"
    assert one_per_line(text, aligned(text)) == (
        "\n  \n<p>\n[00:00:00.0]\tone\n<!-- a\n comment -->\r\n\r\n[00:00:00.5]\ttwo\n\n"
    )


def test_the_tag_stands_before_markup_and_blanks_of_the_line() -> None:
    text = "  <p> one </p>\n\t<!-- a\n-->two"
    assert one_per_line(text, aligned(text)) == "[00:00:00.0]\t  <p> one </p>\n\t<!-- a\n[00:00:00.5]\t-->two"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, "00:00:00.0"),
        (samples(0.12), "00:00:00.1"),  # both pairs of the contract
        (samples(0.41), "00:00:00.4"),
        (samples(0.19), "00:00:00.1"),
        (samples(59.99), "00:00:59.9"),
        (samples(60.0), "00:01:00.0"),
        (samples(3_599.99), "00:59:59.9"),
        (HOUR, "01:00:00.0"),
        (99 * HOUR + samples(3_599.99), "99:59:59.9"),
        (100 * HOUR, "100:00:00.0"),
        (1_234 * HOUR + samples(61.25), "1234:01:01.2"),
    ],
)
def test_tenths_are_cut_off(at: int, shown: str) -> None:
    assert one_per_line("a b", at_samples("a b", [at, at])) == f"[{shown}]\ta b"


@given(st.integers(0, 200 * HOUR))
@example(samples(0.095))
@example(samples(0.295))
@example(samples(1.995))
def test_both_forms_tell_the_same_time(at: int) -> None:
    alignment = at_samples("a", [at])
    seconds = word_start_and_end("a", alignment).removeprefix("<time=").partition(">")[0]
    hours, minutes, rest = one_per_line("a", alignment).removeprefix("[").partition("]")[0].split(":")
    whole, _, tenth = rest.partition(".")
    assert f"{int(hours) * 3600 + int(minutes) * 60 + int(whole)}.{tenth}" == seconds[:-1]


@given(texts_with_times())
def test_without_the_tags_of_lines_it_is_the_text(case: tuple[str, Alignment]) -> None:
    text, alignment = case
    tagged = one_per_line(text, alignment)
    assert LINE_TAG.sub("", tagged) == text
    lines = re.split("\r\n|\r|\n", tagged)
    assert len(lines) == len(re.split("\r\n|\r|\n", text))
    assert all(len(LINE_TAG.findall(line)) <= 1 for line in lines)
    assert [bool(LINE_TAG.match(line)) for line in lines] == _lines_with_words(text, alignment)


def _lines_with_words(text: str, alignment: Alignment) -> list[bool]:
    """For each line whether a word begins in it, counted the slow way."""
    with_words = {len(re.split("\r\n|\r|\n", text[: word.first])) - 1 for word in alignment.words}
    return [number in with_words for number in range(len(re.split("\r\n|\r|\n", text)))]


def test_a_long_text_does_not_take_the_square_of_its_lines() -> None:
    text = "a word\n" * 20_000
    assert one_per_line(text, aligned(text)).count("]\ta word\n") == 20_000


def test_a_byte_order_mark_stays_at_the_beginning() -> None:
    text = "\ufeffAnd so\r\nask not\r\n"
    found = aligned(text)
    assert word_start_and_end(text, found).startswith("\ufeff<time=0.00>And<time=0.10> ")
    assert one_per_line(text, found) == "\ufeff[00:00:00.0]\tAnd so\r\n[00:00:01.0]\task not\r\n"

"""The longest common course of two sequences, held to a search through all of them; and what of it is trusted."""

import random
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.pipeline import anchors
from sottovoce.pipeline.anchors import NEAR, RUN, Pair

few_words = st.lists(st.sampled_from("abcd"), max_size=7)
some_words = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def points(text: Sequence[str], heard: Sequence[str], pairs: Sequence[Pair]) -> int:
    """Two for each pair, one more where the words before are the same too."""
    assert all(text[pair.text] == heard[pair.heard] for pair in pairs)
    assert all(one.text < two.text and one.heard < two.heard for one, two in pairwise(pairs))
    after = [pair for pair in pairs if pair.text and pair.heard and text[pair.text - 1] == heard[pair.heard - 1]]
    return 2 * len(pairs) + len(after)


def courses(text: Sequence[str], heard: Sequence[str], at: int = 0, start: int = 0) -> Iterator[list[Pair]]:
    """Every common course there is."""
    yield []
    for one in range(at, len(text)):
        for two in range(start, len(heard)):
            if text[one] == heard[two]:
                for rest in courses(text, heard, one + 1, two + 1):
                    yield [Pair(text=one, heard=two), *rest]


def table(text: Sequence[str], heard: Sequence[str]) -> int:
    """The most points, by the plain table."""
    best = [[0] * (len(text) + 1) for _ in range(len(heard) + 1)]
    for row, other in enumerate(heard, start=1):
        for column, word in enumerate(text, start=1):
            best[row][column] = max(best[row - 1][column], best[row][column - 1])
            if word == other:
                after = row > 1 < column and text[column - 2] == heard[row - 2]
                best[row][column] = max(best[row][column], best[row - 1][column - 1] + 2 + after)
    return best[-1][-1]


def numbers(found: Sequence[Pair]) -> list[tuple[int, int]]:
    return [(pair.text, pair.heard) for pair in found]


# ── the common course ──


@given(few_words, few_words)
def test_no_common_course_has_more_points(text: list[str], heard: list[str]) -> None:
    found = anchors.common(text, heard)
    assert points(text, heard, found) == max(points(text, heard, course) for course in courses(text, heard))


@given(some_words, some_words)
def test_longer_ones_have_no_fewer_than_the_plain_table(text: list[str], heard: list[str]) -> None:
    assert points(text, heard, anchors.common(text, heard)) == table(text, heard)


@given(some_words)
def test_all_of_a_text_is_found_in_itself(text: list[str]) -> None:
    assert numbers(anchors.common(text, text)) == [(number, number) for number in range(len(text))]


def test_words_in_a_row_win_over_scattered_ones() -> None:
    text = ["x", "the", "red", "house", "y"]
    heard = ["the", "a", "red", "b", "house", "the", "red", "house"]
    assert numbers(anchors.common(text, heard)) == [(1, 5), (2, 6), (3, 7)]


def test_words_that_are_not_in_the_text_are_passed_over() -> None:
    assert numbers(anchors.common(["a", "b"], ["?", "a", "?", "?", "b", "?"])) == [(0, 1), (1, 4)]
    assert anchors.common(["a"], ["b"]) == []
    assert anchors.common([], ["b"]) == []
    assert anchors.common(["a"], []) == []


def test_two_long_sequences_need_no_table_and_no_patience() -> None:
    """A whole table of 5,000 × 5,000 takes 100 MB."""
    random.seed(11)
    text = [f"w{random.randrange(800)}" for _ in range(5_000)]
    kept = [number for number in range(5_000) if random.random() < 0.8]
    heard = [text[number] if random.random() < 0.95 else "other" for number in kept]
    heard += ["other"] * (5_000 - len(heard))
    calls = 0

    def alive() -> None:
        nonlocal calls
        calls += 1

    tracemalloc.start()
    try:
        found = anchors.common(text, heard, alive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20
    assert calls > 100
    right = sum(kept[pair.heard] == pair.text for pair in found if pair.heard < len(kept))
    assert right > 0.94 * len(kept) * 0.95
    assert points(text, heard, found) >= 2 * right


# ── runs ──


def pairs(*found: tuple[int, int]) -> list[Pair]:
    return [Pair(text=text, heard=heard) for text, heard in found]


@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_gap_on_either_side_ends_a_run(least: int) -> None:
    course = pairs((0, 0), (1, 1), (2, 2), (3, 4), (5, 5), (6, 6))
    expected = [[(0, 0), (1, 1), (2, 2)], [(3, 4)], [(5, 5), (6, 6)]]
    assert [numbers(run) for run in anchors.runs(course, least)] == [run for run in expected if len(run) >= least]


def test_nothing_has_no_runs() -> None:
    assert list(anchors.runs([], 1)) == list(anchors.runs([], 0)) == []


@given(some_words, some_words, st.integers(1, 5))
def test_runs_are_the_long_parts_of_a_course(text: list[str], heard: list[str], least: int) -> None:
    course = anchors.common(text, heard)
    found = list(anchors.runs(course, least))
    assert all(len(run) >= least for run in found)
    assert all((two.text, two.heard) == (one.text + 1, one.heard + 1) for run in found for one, two in pairwise(run))
    assert [pair for run in anchors.runs(course, 1) for pair in run] == course
    assert [run for run in anchors.runs(course, 1) if len(run) >= least] == found


# ── what is sure ──


def words(first: int, count: int) -> list[str]:
    return [f"w{number}" for number in range(first, first + count)]


def test_a_run_makes_itself_sure_and_a_single_word_does_not() -> None:
    text = words(0, 40)
    heard = ["?", *words(5, RUN), "?", *words(30, RUN - 1), "?"]
    found = anchors.trusted_runs(text, heard)
    assert numbers(found.pairs) == [(5 + number, 1 + number) for number in range(RUN)]
    assert found.alone == RUN


def test_a_single_word_between_near_runs_counts() -> None:
    text = words(0, 20)
    heard = [*words(0, RUN), "?", "w6", "?", *words(10, RUN)]
    found = anchors.trusted_runs(text, heard)
    assert (6, 4) in numbers(found.pairs)
    assert found.alone == 2 * RUN
    assert len(found.pairs) == found.alone + 1


@pytest.mark.parametrize("side", ["text", "heard"])
@pytest.mark.parametrize(("apart", "counts"), [(NEAR, True), (NEAR + 1, False)])
def test_near_is_near_on_both_sides(side: str, apart: int, counts: bool) -> None:
    gap = apart - 1  # words between the two runs
    other = [f"o{number}" for number in range(gap)]
    unheard = [*words(0, RUN), *(["single", *other[1:]] if side == "text" else ["single"]), *words(100, RUN)]
    spoken = [*words(0, RUN), *(["single", *["?"] * (gap - 1)] if side == "heard" else ["single"]), *words(100, RUN)]
    if side == "heard":
        unheard.insert(RUN, "x")  # else the single word continues the run
    else:
        spoken.insert(RUN, "?")
    assert ("single" in [unheard[pair.text] for pair in anchors.trusted_runs(unheard, spoken).pairs]) is counts


def test_single_words_before_the_first_run_and_behind_the_last_do_not_count() -> None:
    text = ["a", "x", *words(0, RUN), "y", "b"]
    heard = ["a", *words(0, RUN), "b"]
    assert [text[pair.text] for pair in anchors.trusted_runs(text, heard).pairs] == words(0, RUN)


def test_a_text_shorter_than_a_run_is_sure_when_all_of_it_was_heard() -> None:
    assert numbers(anchors.trusted_runs(["a", "b"], ["?", "a", "b", "?"]).pairs) == [(0, 1), (1, 2)]
    assert anchors.trusted_runs(["a", "b"], ["a", "?", "b"]).pairs == ()
    assert numbers(anchors.trusted_runs(["a"], ["?", "a"]).pairs) == [(0, 1)]
    assert anchors.trusted_runs([], ["a"]).pairs == ()


@given(some_words, some_words)
def test_what_is_sure_rises_and_is_part_of_the_common_course(text: list[str], heard: list[str]) -> None:
    found = anchors.trusted_runs(text, heard)
    assert set(found.pairs) <= set(anchors.common(text, heard))
    assert all(one.text < two.text and one.heard < two.heard for one, two in pairwise(found.pairs))
    assert found.alone <= len(found.pairs)

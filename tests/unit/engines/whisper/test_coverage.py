"""Speech without words is found wherever it is; words without speech go; times come to lie in speech."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper.coverage import (
    MISSED,
    ONSET,
    fitted,
    holes,
    longest,
    spoken,
    unvoiced,
    with_onsets,
    within_audio,
)
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE
from tests.examples import examples
from tests.unit.engines.whisper.whisper_values import at, line, run, word, written

EN, ZH = pack("en"), pack("cmn")
ALL = (run(0, 10),)


def found(words, voiced=ALL, end=10.0, language=EN):
    """Holes in seconds, and the words that are drawn out over them."""
    return [
        (hole.start / RATE, hole.end / RATE, hole.first, hole.last) for hole in holes(words, voiced, at(end), language)
    ]


# ── holes ──


def test_speech_that_has_all_its_words_has_no_hole():
    words = line("all of these words follow one upon another in time", pace=0.5, length=0.45)
    assert found(words, (run(0, 5),), end=5) == []
    assert found([], ()) == []
    assert found([], (), end=0) == []


def test_without_words_all_of_the_speech_is_one_hole():
    (hole,) = holes([], (run(1, 3), run(4, 9)), at(10), EN)
    assert hole.missed == at(7)
    assert (hole.first, hole.last) == (0, 0)


@pytest.mark.parametrize(
    ("words", "hole"),
    [
        (line("seven eight nine ten", 8, pace=0.5), (0, 8, 0, 0)),
        (line("one two three", pace=0.5) + line("eight nine ten", 8.5, pace=0.5), (1.3, 8.5, 3, 3)),
        (line("one two three four", pace=0.5), (1.8, 10, 4, 4)),
    ],
    ids=["begin", "middle", "end"],
)
def test_a_hole_is_found_at(words, hole):
    assert [tuple(pytest.approx(each) for each in one) for one in found(words)] == [hole]


def test_a_short_rest_is_no_hole():
    words = line("one two three four", pace=0.5, length=0.4)
    assert at(0.5) == MISSED
    assert found(words, (run(0, 2.3),)) == []
    assert found(words, (run(0, 2.4),)) == [(1.9, 2.4, 4, 4)]


def test_a_pause_needs_no_words():
    words = line("one two three", 0.1) + line("eight nine ten", 8)
    assert found(words, (run(0, 1.3), run(7.9, 9.2))) == []


def test_a_word_that_is_drawn_out_hides_others():
    words = [word("one", 0, 0.5), word("two", 0.5, 6), word("ten", 6, 6.5)]
    (hole,) = holes(words, (run(0, 6.5),), at(6.5), EN)
    assert (hole.start, hole.end, hole.first, hole.last) == (at(0.5), at(6), 1, 2)
    assert hole.missed == at(5.5) - longest("two", EN)


def test_a_word_drawn_out_over_a_pause_hides_nothing():
    words = [word("one", 0, 0.5), word("two", 0.5, 6), word("ten", 6, 6.5)]
    assert found(words, (run(0, 1), run(5.9, 6.5)), end=6.5) == []


def test_what_is_missing_before_and_in_a_drawn_out_word_is_one_hole():
    words = [word("one", 0, 0.5), word("two", 2, 6), word("ten", 6, 6.5)]
    assert found(words, (run(0, 6.5),), end=6.5) == [(0.5, 6, 1, 2)]


def test_long_words_numbers_and_scripts_take_the_time_that_they_need():
    assert longest("I", EN) < longest("internationally", EN)
    assert longest("1,250,000", EN) == longest("1250000", EN) > at(2)
    assert longest("...", EN) == longest("", EN)
    assert longest("会议", ZH) > longest("if", EN)
    assert found([word("1914", 0, 1.7)], (run(0, 1.7),), end=1.7) == []
    assert found([word("it", 0, 1.7)], (run(0, 1.7),), end=1.7) == [(0, 1.7, 0, 1)]


def test_two_holes_are_told_apart_by_a_word():
    words = [word("middle", 4.8, 5.3)]
    assert found(words) == [(0, 4.8, 0, 0), (5.3, 10, 1, 1)]


def test_speech_is_counted_once():
    assert spoken((run(0, 1), run(2, 4)), at(0.5), at(3)) == at(1.5)
    assert spoken((), 0, at(3)) == 0
    assert spoken(ALL, at(3), at(3)) == 0


# ── words after the end of the audio ──


def kept(words, voiced=ALL, end=10.0):
    return written(within_audio(words, voiced, at(end), EN))


def test_words_inside_the_audio_stay():
    words = line("all of this was said in ten seconds", 0, pace=1.2)
    assert list(within_audio(words, ALL, at(10), EN)) == words
    assert within_audio((), ALL, at(10), EN) == ()


def test_words_at_the_very_end_were_never_said():
    assert kept([*line("this was said", 8), word("and", 9.96, 10), word("this", 10, 10), word("not", 10, 10)]) == (
        "this was said"
    )


def test_two_words_without_length_show_that_the_audio_was_at_its_end():
    tail = [word("not", 5, 5), word("said", 5, 5.02), word("at", 5.1, 5.4), word("all", 5.5, 6)]
    assert kept([*line("this was said", 2), *tail]) == "this was said"


def test_one_word_without_length_shows_nothing():
    words = [word("I", 1, 1), word("was", 1, 1.3), word("a", 1.3, 1.3), word("child", 1.3, 1.8)]
    assert kept(words) == "I was a child"


def test_a_sure_last_word_comes_back_where_there_is_speech_for_it():
    words = [*line("we met", 8), word("last", 8.8, 10), word("year", 10, 10)]
    result = within_audio(words, ALL, at(10), EN)
    assert written(result) == "we met last year"
    last, year = result[-2:]
    assert at(8.8) < last.end == year.start < year.end == at(10)


@pytest.mark.parametrize(
    ("tail", "voiced"),
    [
        ([word("last", 8.8, 10), word("year", 10, 10, 0.7)], ALL),
        ([word("last", 9.7, 10), word("year", 10, 10)], ALL),
        ([word("last", 8.8, 10), word("year", 10, 10)], (run(0, 9.1),)),
        ([word("last", 8.8, 10), word("year", 10, 10), word("too", 10, 10)], ALL),
    ],
    ids=["unsure", "no time", "no speech", "more than one"],
)
def test_a_last_word_goes_where_it_is(tail, voiced):
    assert kept([*line("we met", 8), *tail], voiced) == "we met last"


def test_the_only_word_may_lie_at_the_end():
    assert kept([word("you", 10, 10)]) == ""


# ── words where nobody speaks ──


def test_a_word_far_from_speech_is_unvoiced():
    voiced = (run(1, 2), run(5, 6))
    assert unvoiced(word("w", 3, 4), voiced)
    assert unvoiced(word("w", 0, 0.7), voiced)
    assert not unvoiced(word("w", 2.1, 4), voiced)
    assert not unvoiced(word("w", 3, 4.9), voiced)
    assert not unvoiced(word("w", 1.4, 1.5), voiced)
    assert unvoiced(word("w", 1.4, 1.5), ())


# ── times ──


def test_runs_begin_before_the_detector_notices_them_but_not_in_another_run():
    voiced = (run(0.01, 1), run(1.01, 2), run(3, 4))
    first, second, third = with_onsets(voiced)
    assert (first.start, second.start, third.start) == (0, at(1), at(3) - ONSET)
    assert [each.end for each in (first, second, third)] == [each.end for each in voiced]
    assert with_onsets(()) == ()


def test_a_word_in_speech_keeps_its_times():
    words = line("these words lie well in their places")
    assert fitted(words, ALL, EN) == words


def test_a_word_comes_to_the_run_of_speech_that_has_most_of_it():
    (first,) = fitted([word("hello", 0, 3)], (run(0, 0.1), run(2.5, 3.2)), EN)
    assert (first.start, first.end) == (at(2.5), at(3))
    (second,) = fitted([word("hello", 0, 3)], (run(0.2, 0.7), run(2.9, 3.2)), EN)
    assert (second.start, second.end) == (at(0.2), at(0.7))


def test_of_equal_runs_the_later_one_has_the_word():
    (only,) = fitted([word("hello", 0, 3)], (run(0, 0.5), run(2.5, 3)), EN)
    assert only.start == at(2.5)


def test_a_word_that_is_drawn_out_keeps_its_end():
    (only,) = fitted([word("two", 1, 6)], ALL, EN)
    assert (only.start, only.end) == (at(6) - longest("two", EN), at(6))


def test_a_word_without_speech_keeps_its_start_and_is_not_longer_than_a_word():
    (only,) = fitted([word("two", 1, 6)], (), EN)
    assert (only.start, only.end) == (at(1), at(1) + longest("two", EN))


def test_a_weak_first_word_is_spoken_just_before_the_speech_that_was_found():
    words = [word("the", 0.1, 0.45), word("horizon", 0.45, 1)]
    first, second = fitted(words, (run(0.48, 1.5),), EN)
    assert (first.start, first.end) == (pytest.approx(at(0.45 - 0.235), abs=1), at(0.45))
    assert second.start == at(0.48)
    (last,) = fitted([word("the", 1.6, 2)], (run(0.48, 1.5), run(2.15, 3)), EN)  # nearer to the run before it
    assert last.start == at(1.6)


LENGTHS = st.lists(st.tuples(st.integers(0, RATE), st.integers(0, 3 * RATE)), max_size=20)


def in_order(lengths, texts):
    """Gaps and lengths as words in order."""
    words, place = [], 0
    for number, (gap, length) in enumerate(lengths):
        start = place + gap
        place = start + length
        words.append(HypothesisWord(text=texts[number % len(texts)], start=start, end=place, probability=0.9))
    return words


def as_runs(lengths):
    spans, place = [], 0
    for gap, length in lengths:
        start = place + gap + 1
        place = start + length + 1
        spans.append(Span(start=start, end=place))
    return tuple(spans)


TEXTS = st.lists(st.sampled_from(["a", "word", "internationally", "1,914", "...", "会议室"]), min_size=1, max_size=5)


@settings(max_examples=examples(200))
@given(LENGTHS, LENGTHS, TEXTS)
def test_fitted_words_are_the_same_words_in_order_and_in_their_old_times(lengths, runs, texts):
    words = in_order(lengths, texts)
    result = fitted(words, as_runs(runs), EN)
    assert [each.text for each in result] == [each.text for each in words]
    assert all(each.start <= each.end for each in result)
    assert all(one.end <= other.start for one, other in pairwise(result))
    for new, old in zip(result, words, strict=True):
        assert old.start <= new.start <= new.end <= old.end


@settings(max_examples=examples(200))
@given(LENGTHS, LENGTHS, TEXTS)
def test_fitted_words_lie_in_one_run_of_speech_if_they_touched_any(lengths, runs, texts):
    words, voiced = in_order(lengths, texts), as_runs(runs)
    for new, old in zip(fitted(words, voiced, EN), words, strict=True):
        if spoken(voiced, old.start, old.end):
            assert new.end - new.start - spoken(voiced, new.start, new.end) <= RATE // 50  # one step of the model
            assert new.end - new.start <= longest(new.text, EN)


@settings(max_examples=examples(200))
@given(LENGTHS, LENGTHS, TEXTS)
def test_holes_are_in_order_and_hold_the_speech_that_they_miss(lengths, runs, texts):
    words, voiced = in_order(lengths, texts), as_runs(runs)
    end = max([RATE, *(each.end for each in (*words, *voiced))])
    missing = holes(words, voiced, end, EN)
    for hole in missing:
        assert 0 <= hole.start < hole.end <= end
        assert MISSED <= hole.missed <= spoken(voiced, hole.start, hole.end)
        assert 0 <= hole.first <= hole.last <= len(words)
        assert all(hole.start <= each.start and each.end <= hole.end for each in words[hole.first : hole.last])
    assert all(one.end <= other.start and one.last <= other.first for one, other in pairwise(missing))


@settings(max_examples=examples(200))
@given(LENGTHS, TEXTS, st.integers(0, 20 * RATE))
def test_words_within_the_audio_begin_before_its_end(lengths, texts, end):
    words = in_order(lengths, texts)
    result = within_audio(words, (Span(start=0, end=end),), end, EN)
    assert [each.text for each in result] == [each.text for each in words[: len(result)]]
    assert all(each.start < end or not comparison_key(each.text) for each in result)  # marks take no time
    assert all(one.end <= other.start for one, other in pairwise(result))

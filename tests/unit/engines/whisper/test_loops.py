"""Rounds of a loop at the end of a text, told from words that were said again by the time that there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.whisper import loops
from sottovoce.transcript.languages import pack
from tests.unit.engines.whisper.whisper_values import at, line, word

EN, ZH = pack("en"), pack("cmn")


def ended(text, seconds, language=EN):
    words = text.split()
    return " ".join(words[: loops.end(words, at(seconds), language)])


def stuttered(text, seconds):
    words = text.split()
    return " ".join(words[: loops.stutter(words, at(seconds), EN)])


def test_long_words_and_digits_take_longer_and_marks_nothing():
    assert loops.seconds("...", EN) == 0
    assert 0.1 < loops.seconds("I", EN) < loops.seconds("eye", EN) < loops.seconds("eyebrow", EN) < 0.5
    assert loops.seconds("1234", EN) > 0.8
    assert loops.seconds("会议室", ZH) == pytest.approx(3 * loops.seconds("会", ZH))


@pytest.mark.parametrize(
    ("text", "seconds", "stays"),
    [
        ("Thank you. Thank you. Thank you. Thank you.", 0.5, "Thank you."),
        ("Thank you. Thank you. Thank you. Thank you.", 1.3, "Thank you. Thank you."),
        ("It is five. It is five. It is five. It is", 0.9, "It is five."),
        ("no no no no no no no no", 0.3, "no"),
        ("and so it goes and so it goes", 0.9, "and so it goes"),
        ("before we go we go we go we go we go", 1.3, "before we go we go"),
    ],
)
def test_a_loop_is_cut_to_the_rounds_that_there_is_speech_for(text, seconds, stays):
    assert ended(text, seconds) == stays


@pytest.mark.parametrize(
    "text", ["no no no no", "Thank you. Thank you. Thank you.", "five five five one two five five"]
)
def test_what_was_said_again_in_its_time_stays(text):
    assert ended(text, 3) == text


@pytest.mark.parametrize("text", ["", "word", "far more words than there is time for", "... ! ?"])
def test_a_text_without_a_loop_stays_whatever_the_time(text):
    assert ended(text, 0) == text


def test_a_loop_in_the_middle_is_no_matter_of_the_end():
    text = "you know you know you know you know and then it ended"
    assert ended(text, 0.2) == text


def test_case_and_marks_do_not_hide_a_loop():
    assert ended("Yes, sir. yes sir! YES, sir.", 0.4) == "Yes, sir."


def test_scripts_without_blanks_loop_too():
    words = list("谢谢观看" * 5)
    assert loops.end(words, at(0.7), ZH) == 4
    assert loops.end(words, at(4), ZH) == len(words)


def test_a_last_word_said_twice_needs_speech_for_both():
    assert stuttered("we went home home", 0.5) == "we went home"
    assert stuttered("we went home home", 2.0) == "we went home home"
    assert stuttered("we went home .", 0.1) == "we went home ."
    assert stuttered("home", 0.0) == "home"
    assert stuttered("we went home , home", 0.5) == "we went home ,"


TEXTS = st.lists(st.sampled_from(["no", "No,", "yes", "well", ".", "17", "a"]), max_size=40)


@given(TEXTS, st.floats(0, 10))
def test_only_words_at_the_end_go_and_never_all_of_them(words, seconds):
    count = loops.end(words, at(seconds), EN)
    assert 0 <= count <= len(words)
    assert count or not words
    assert loops.end(words[:count], at(seconds), EN) <= count
    last = loops.stutter(words, at(seconds), EN)
    assert last <= len(words)
    assert last or not words


@given(TEXTS, st.floats(0, 10), st.floats(0, 10))
def test_more_speech_never_leaves_fewer_words(words, one, other):
    less, more = sorted((one, other))
    assert loops.end(words, at(less), EN) <= loops.end(words, at(more), EN)


def test_a_repetition_without_time_goes_and_what_follows_it():
    one, two = word("two", 1.0, 1.58), word("one", 1.58, 1.60)
    assert loops.unspoken([one, two, word("two", 1.60, 1.82)], 0, EN) == 3  # nothing is said again at once
    said = [word("one", 0.0, 0.5), word("one,", 0.5, 0.54), word("one", 0.54, 0.54)]
    assert loops.unspoken(said, 0, EN) == 1
    said = [word("two", 0.6, 1.34), word("one", 1.34, 1.60), word("Two", 1.60, 1.64), word("one", 1.64, 1.66)]
    assert loops.unspoken(said, 0, EN) == 2


def test_what_is_said_again_in_its_time_is_spoken():
    words = line("one two three one two three no no no")
    assert loops.unspoken(words, 0, EN) == len(words)


def test_final_words_are_never_unspoken():
    said = [word("no", 0.0, 0.1), word("no", 0.1, 0.1), word("no", 0.1, 0.1)]
    assert [loops.unspoken(said, first, EN) for first in (0, 1, 2, 3)] == [1, 1, 2, 3]


def test_marks_alone_are_no_repetition():
    said = [word("…", 0.0, 0.1), word("…", 0.1, 0.1)]
    assert loops.unspoken(said, 0, EN) == 2

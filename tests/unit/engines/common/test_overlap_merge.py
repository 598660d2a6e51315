"""Two hearings of the words around a cut become one line: nothing lost, nothing twice."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.common.overlap_merge import merge
from sottovoce.transcript.model import RATE
from tests.examples import examples

CUT = 100 * RATE
OVERLAP = RATE


def word(text, start, end, probability=0.9):
    """Times in seconds from the cut."""
    return HypothesisWord(
        text=text, start=CUT + round(start * RATE), end=CUT + round(end * RATE), probability=probability
    )


def joined(left, right, before=OVERLAP, after=OVERLAP):
    return [each.text for each in merge(left, right, CUT, before=before, after=after)]


def test_words_that_both_heard_come_once():
    left = [word("never", -1.6, -1.2), word("say", -0.9, -0.6), word("never", -0.4, 0.1), word("again", 0.2, 0.7)]
    right = [word("say", -0.88, -0.6), word("never", -0.41, 0.12), word("again", 0.21, 0.7), word("he", 1.0, 1.1)]
    assert joined(left, right) == ["never", "say", "never", "again", "he"]


def test_the_common_word_is_taken_from_the_side_that_heard_more_around_it():
    early = merge([word("so", -0.5, -0.3, 0.8)], [word("so", -0.6, -0.3, 0.2)], CUT, before=OVERLAP, after=OVERLAP)
    late = merge([word("so", 0.3, 0.5, 0.8)], [word("so", 0.3, 0.6, 0.2)], CUT, before=OVERLAP, after=OVERLAP)
    assert [each.probability for each in early + late] == [0.8, 0.2]


def test_marks_and_capitals_do_not_make_two_words_of_one():
    assert joined([word("end.", -0.4, -0.1)], [word("End", -0.4, -0.1), word("of", 0.3, 0.5)]) == ["end.", "of"]


def test_halves_of_words_at_the_edges_are_left_out():
    left = [word("hello", -1.2, -0.8), word("there", -0.7, -0.1), word("how", 0.1, 0.3), word("to", 0.9, 1.0)]
    right = [word("lo", -1.0, -0.8), word("there", -0.7, -0.1), word("how", 0.1, 0.3), word("tomorrow", 0.9, 1.5)]
    assert joined(left, right) == ["hello", "there", "how", "tomorrow"]


def test_without_a_common_word_time_decides():
    left = [word("colour", -0.5, -0.1), word("is", 0.1, 0.3), word("gra", 0.8, 1.0)]
    right = [word("our", -1.0, -0.9), word("color", -0.5, -0.1), word("'s", 0.1, 0.3), word("grey", 0.8, 1.4)]
    assert joined(left, right) == ["colour", "'s", "grey"]


@pytest.mark.parametrize("jitter", [-0.06, 0.0, 0.06])
def test_a_word_on_the_cut_that_both_wrote_differently_comes_once(jitter):
    left = [word("say", -0.8, -0.4), word("twenty", -0.2 + jitter, 0.2 + jitter)]
    right = [word("20", -0.2 - jitter, 0.2 - jitter), word("ducks", 1.2, 1.5)]
    assert joined(left, right) in (["say", "twenty", "ducks"], ["say", "20", "ducks"])


def test_what_only_one_side_heard_is_kept():
    assert joined([word("yes", -0.6, -0.2)], [word("no", 0.2, 0.5)]) == ["yes", "no"]
    assert joined([word("yes", 0.2, 0.5)], []) == ["yes"]
    assert joined([], [word("no", -0.5, -0.2)]) == ["no"]
    assert joined([], []) == []


def test_repeated_words_are_counted():
    times = [-0.9, -0.55, -0.2, 0.15, 0.5]
    left = [word("no", at, at + 0.25) for at in times]
    right = [word("no", at + 0.03, at + 0.27) for at in times] + [word("way", 1.1, 1.4)]
    assert joined(left, right) == ["no"] * 5 + ["way"]


def test_far_away_words_are_not_touched():
    left = [word("a", -20, -19.5), word("b", -19.5, -19)]
    right = [word("a", 18, 18.5), word("b", 19, 19.5)]
    assert merge(left, right, CUT, before=OVERLAP, after=OVERLAP) == left + right


def test_scripts_without_blanks_are_compared_with_their_vowel_signs():
    assert comparison_key("का।") == "का" != comparison_key("क")
    assert comparison_key("“Don’t,") == "dont"
    assert comparison_key("…") == ""


SPEECH = st.lists(
    st.tuples(
        st.sampled_from(["the", "of", "and", "to", "a", "so", "no", "yes", "well", "then", "room", "night"]),
        st.integers(120, 600),  # ms a word lasts
        st.integers(0, 400),  # ms of pause behind it
    ),
    min_size=4,
    max_size=30,
)


@settings(deadline=None, max_examples=examples(300))
@given(SPEECH, st.data())
def test_any_speech_cut_anywhere_is_whole_again(speech, data):
    """Both sides hear whole words alike but for up to 40 ms; a word on their edge is half heard, or not at all."""
    words, at = [], 0
    for text, length, pause in speech:
        words.append((text, at, at + length))
        at += length + pause
    cut = data.draw(st.integers(0, at), label="cut")
    jitter = st.integers(-40, 40)

    def hearing(begin, end):
        heard = []
        for text, start, stop in words:
            if stop <= begin or start >= end:
                continue
            if start < begin or stop > end:
                if data.draw(st.booleans(), label="half a word"):
                    heard.append((f"half-{text}", max(start, begin), min(stop, end)))
                continue
            heard.append((text, start + data.draw(jitter), stop + data.draw(jitter)))
        return [word(text, (start - cut) / 1000, (stop - cut) / 1000) for text, start, stop in heard]

    left, right = hearing(0, cut + 1000), hearing(cut - 1000, at)
    assert joined(left, right) == [text for text, *_ in words]


@settings(deadline=None, max_examples=examples(300))
@given(SPEECH, st.data())
def test_speech_that_both_sides_spell_in_their_own_way_is_whole_too(speech, data):
    """No common word to hold on to: two spellings of one word come once, as long as the times agree to 20 ms."""
    words, at = [], 0
    for number, (_, length, pause) in enumerate(speech):
        words.append((number, at, at + length))
        at += length + pause
    cut = data.draw(st.integers(0, at), label="cut")
    jitter = st.integers(-20, 20)

    def hearing(begin, end, spelling):
        heard = [(n, start, stop) for n, start, stop in words if start >= begin and stop <= end]
        times = [(n, start + data.draw(jitter), stop + data.draw(jitter)) for n, start, stop in heard]
        return [word(f"{spelling}{n}", (start - cut) / 1000, (stop - cut) / 1000) for n, start, stop in times]

    merged = joined(hearing(0, cut + 1000, "a"), hearing(cut - 1000, at, "b"))
    assert [int(text[1:]) for text in merged] == [number for number, *_ in words]


@given(SPEECH, SPEECH, st.integers(0, RATE), st.integers(0, RATE))
@example([("a", 120, 0)] * 4, [("a", 120, 0)] * 4, 0, 0)
def test_times_rise_and_every_word_is_one_of_the_given(left, right, before, after):
    def line(speech, at):
        heard = []
        for text, length, pause in speech:
            heard.append(word(text, at, at + length / 1000))
            at += (length + pause) / 1000
        return heard

    ours, theirs = line(left, -3.0), line(right, -before / RATE)
    merged = merge(ours, theirs, CUT, before=before, after=after)
    assert all(each in ours or each in theirs for each in merged)
    assert all(each in merged for each in ours if each.end < CUT - before - RATE)
    assert all(each in merged for each in theirs if each.start > CUT + after + RATE)

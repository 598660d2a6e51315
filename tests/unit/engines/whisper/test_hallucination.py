"""Guards on made-up hypotheses: what nobody said goes, what somebody said stays, however odd it is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.whisper.hallucination import (
    FULL,
    SURE,
    Hypothesis,
    compression,
    filter_words,
    hurried,
    loops,
    needs_fallback,
    pick_decode,
    silent,
    unintelligible,
    unlooped,
    without_stock,
)
from sottovoce.transcript.model import RATE


def line(text, probability=0.9, pace=0.3, start=0.0, length=0.25):
    """A hypothesis of the words of *text*, one every *pace* seconds; a probability for all, or one each."""
    words = text.split()
    given_ = probability if isinstance(probability, list) else [probability] * len(words)
    return tuple(
        HypothesisWord(
            text=f" {word}",
            start=round((start + pace * n) * RATE),
            end=round((start + pace * n + length) * RATE),
            probability=given_[n],
        )
        for n, word in enumerate(words)
    )


def heard(words, avg_logprob=-0.3, no_speech=0.05, tokens=40):
    return Hypothesis(words=tuple(words), text=text(words), avg_logprob=avg_logprob, no_speech=no_speech, tokens=tokens)


def text(words):
    return "".join(word.text for word in words).strip()


def kept(hypothesis):
    return text(filter_words(hypothesis))


# ── silence ──


def test_silence_needs_both_signs():
    words = line("Nobody said any of this", 0.3)
    assert silent(heard(words, -1.2, 0.7))
    assert not silent(heard(words, -0.9, 0.99))
    assert not silent(heard(words, -3.0, 0.6))
    assert kept(heard(words, -1.2, 0.7)) == ""
    assert kept(heard(words, -0.9, 0.7)) == text(words)


def test_in_silence_only_sure_words_stay():
    assert kept(heard(line("mumble Hello mumble", [0.2, 0.8, 0.3]), -1.4, 0.9)) == "Hello"


# ── a second decode ──


def test_a_plain_sentence_is_not_doubtful():
    assert not needs_fallback(heard(line("The quick brown fox jumps over the lazy dog.")))
    assert not needs_fallback(heard(()))


def test_text_that_repeats_itself_or_is_unlikely_or_too_fast_is():
    assert needs_fallback(heard(line("so I went to the store and " * 12)))
    assert needs_fallback(heard(line("hm hm"), -1.1))
    assert needs_fallback(heard(line("one two three four five six", 0.4, pace=0.02, length=0.02)))
    assert not needs_fallback(
        heard(line("What is this noise?", 0.2), -1.1, 0.8)
    )  # silence: a second decode invents as well


def test_the_second_decode_wins_where_it_passes_and_else_the_likelier():
    looping = heard(line("la di da " * 30), -0.2)
    fair = heard(line("It is a song."), -0.6)
    poor = heard(line("Eat his long."), -1.5)
    assert pick_decode(looping, fair) is fair
    assert pick_decode(looping, poor) is poor
    assert pick_decode(heard(line("Eat a song."), -1.2), poor).avg_logprob == -1.2
    assert pick_decode(looping, heard(line("la di da " * 29), -0.3)) is looping
    assert pick_decode(fair, heard(())) is fair


# ── loops ──


@pytest.mark.parametrize(
    "said",
    [
        "no no no",
        "No, no, no, no, no!",
        "very very very good",
        "bye bye",
        "Bye bye bye bye. Bye!",
        "five five five one two one two five five five",
        "double five five five five zero zero zero",
        "ha ha ha ha ha ha",
        "knock knock knock who's there",
        "I I I I think that that is is right",
        "location location location",
        "left right left right left right",
        "Thank you. Thank you very much. Thank you.",
        "row row row your boat gently down the stream merrily merrily merrily merrily life is but a dream",
        "はい はい はい はい",
    ],
)
@pytest.mark.parametrize("probability", [0.95, 0.55, 0.3])
def test_what_people_repeat_stays(said, probability):
    hypothesis = heard(line(said, probability))
    assert loops(hypothesis.words) == []
    assert kept(hypothesis) == said


def test_a_chorus_in_time_stays():
    words = line("la " * 20, 0.8, pace=0.5)
    assert loops(words)
    assert unlooped(words) == words


@pytest.mark.parametrize("phrase", ["okay", "thank you", "I'm going to go to the", "Oh, my God. I can't believe it."])
@pytest.mark.parametrize("sign", ["unsure", "squeezed", "too fast", "endless"])
def test_a_loop_that_nobody_said_is_cut_to_one_round(phrase, sign):
    rounds = 120 // len(phrase.split())
    options = {
        "unsure": {"probability": 0.3},
        "squeezed": {"pace": 0.1, "length": 0.0},
        "too fast": {"pace": 0.05, "length": 0.05},
        "endless": {"probability": 0.99},
    }
    loop = f"{phrase} " * rounds + phrase.split()[0]  # broken off in the middle
    words = line(f"so he said {loop}", **options[sign])
    hypothesis = heard(words, tokens=FULL if sign == "endless" else 150)
    assert text(unlooped(words, full=hypothesis.full)) == f"so he said {phrase}"


def test_words_behind_a_loop_stay():
    words = line("well " + "you know " * 15 + "it works", 0.4)
    assert text(unlooped(words)) == "well you know it works"


def test_two_loops_are_both_cut():
    words = line("a b c d " * 12 + "and then " + "x y z " * 14, 0.2)
    assert text(unlooped(words)) == "a b c d and then x y z"


def test_scripts_without_blanks_loop_too():
    assert text(unlooped(line("ご 視 聴 " * 20, 0.3))) == "ご 視 聴"


def test_compression_is_whispers():
    assert compression("") == 0.0
    assert compression("hello") < 1
    assert compression("ha " * 100) > 2.4
    assert compression("\ud800") > 0  # half a character is no error


# ── speed ──


def test_a_heap_of_unsure_words_in_no_time_goes():
    words = line("This was said.", 0.9) + line("and all of this never was", 0.4, pace=0.02, length=0.02, start=2.0)
    assert kept(heard(words)) == "This was said."


def test_sure_words_stay_however_fast():
    words = line("this and that was sure of itself", SURE, pace=0.02, length=0.02)
    assert hurried(words) == frozenset()


def test_a_few_words_without_length_are_no_sign():
    assert not hurried(line("I am a fast one", 0.3, pace=0.09, length=0.0)[:4])
    assert not hurried(line("we are talking as fast as an auctioneer would", 0.3, pace=0.1, length=0.1))


# ── stock phrases ──


@pytest.mark.parametrize(
    "phrase",
    [
        "Thanks for watching!",
        "Thank you for watching.",
        "Subtitles by the Amara.org community",
        "Untertitel der Amara.org-Community",
        "Sous-titrage ST' 501",
        "Продолжение следует...",
        "ご視聴ありがとうございました。",
        "字幕由Amara.org社区提供",
        "시청해 주셔서 감사합니다.",
    ],
)
def test_what_subtitles_end_with_goes_where_little_speaks_for_it(phrase):
    assert kept(heard(line(phrase, 0.4))) == ""
    assert kept(heard(line(phrase, 0.65), no_speech=0.7)) == ""
    assert kept(heard(line(phrase, 0.65))) == phrase
    assert kept(heard(line(phrase, 0.9), no_speech=0.9)) == phrase
    assert kept(heard(line("That is all.", 0.9) + line(phrase, 0.3, start=3))) == "That is all."


def test_within_a_sentence_it_stays():
    assert (
        kept(heard(line("We say thanks for watching the children.", 0.3))) == "We say thanks for watching the children."
    )
    assert kept(heard(line("Please subscribe to the paper.", 0.3))) == "Please subscribe to the paper."


@pytest.mark.parametrize("phrase", ["Thank you.", "you", "Bye.", "Bye-bye."])
def test_a_courtesy_goes_only_alone_and_against_all_evidence(phrase):
    assert kept(heard(line(phrase, 0.5), no_speech=0.7)) == ""
    assert kept(heard(line(phrase, 0.2), no_speech=0.5)) == phrase
    assert kept(heard(line(phrase, 0.8), no_speech=0.9)) == phrase
    both = line("Come in.", 0.5) + line(phrase, 0.3, start=2)
    assert text(without_stock(both, no_speech=0.8)) == text(both)


# ── guessed text ──


def test_a_text_that_the_model_only_guessed_is_unintelligible():
    said = "He told me of the end of it"
    assert unintelligible(heard(line(said, 0.45)))
    assert unintelligible(heard(line(said, 0.53), avg_logprob=-0.9))
    assert not unintelligible(heard(line(said, 0.53), avg_logprob=-0.8))
    assert not unintelligible(heard(line(said, 0.6), avg_logprob=-0.9))


@pytest.mark.parametrize("said", ["Yes.", "Oh no.", "I think so."])
def test_a_few_words_say_little_about_themselves(said):
    assert not unintelligible(heard(line(said, 0.4), avg_logprob=-2.0))
    assert unintelligible(heard(line(said, 0.3), avg_logprob=-0.2))


def test_in_languages_that_the_model_knows_little_right_words_are_unsure_too():
    said = "He told me of the end of it"
    assert not unintelligible(heard(line(said, 0.4), avg_logprob=-1.0), well_known=False)
    assert unintelligible(heard(line(said, 0.3)), well_known=False)


def test_no_text_is_not_a_guess():
    assert not unintelligible(heard(()))


# ── a decode that was ended ──


def test_a_decode_is_full_at_the_limit_that_it_had():
    words = line("la " * 40, 0.9)
    short = Hypothesis(words=words, text=text(words), avg_logprob=-0.2, no_speech=0.0, tokens=43, limit=43)
    assert short.full
    assert kept(short) == "la"
    assert not replace(short, limit=44).full
    assert kept(replace(short, limit=44)) == text(words)
    assert not heard(words, tokens=FULL - 1).full
    assert heard(words, tokens=FULL).full


# ── whatever comes ──

WORDS = st.lists(
    st.tuples(
        st.sampled_from(["no", "Thank", "you.", "thanks", "for", "watching!", "五", "la", "…", "five", "room"]),
        st.integers(0, 30 * RATE),
        st.integers(0, RATE),
        st.floats(0, 1),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(WORDS, st.floats(-5, 0), st.floats(0, 1), st.integers(0, FULL))
def test_guards_only_take_words_away_and_never_sure_ones_outside_loops(words, avg_logprob, no_speech, tokens):
    made = tuple(
        HypothesisWord(text=f" {each}", start=start, end=start + length, probability=probability)
        for each, start, length, probability in sorted(words, key=lambda each: each[1])
    )
    hypothesis = heard(made, avg_logprob, no_speech, tokens)
    result = filter_words(hypothesis)
    remaining = iter(made)
    assert all(any(word is other for other in remaining) for word in result)
    if not loops(made) and all(word.probability >= SURE for word in made):
        assert result == made

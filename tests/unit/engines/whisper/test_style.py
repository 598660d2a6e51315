"""Capitals and marks come from a second writing of the same words, or from pauses; words never do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.hypothesis_word import comparison_key
from sottovoce.engines.whisper.languages import LANGUAGES, whisper_codes
from sottovoce.engines.whisper.style import EXAMPLES, SENTENCE, by_pauses, opened, plain, styled
from sottovoce.transcript.languages import pack
from tests.examples import examples
from tests.unit.engines.whisper.whisper_values import at, line, word, written

EN, DE, ZH, HE = pack("en"), pack("de"), pack("cmn"), pack("he")
SAID = "so we went to the house and nobody was there"


def signs(text: str):
    """Words of one letter each with the marks behind them, as in scripts without blanks."""
    apart = "".join(char if char in "，。？！" else f" {char}" for char in text)
    return line(apart, pace=0.2, length=0.2)


# ── which passages need it ──


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        (SAID, True),
        (SAID + ".", True),
        ("So we went to the house and Nobody was there", True),
        ("So we went to the house and nobody was there.", False),
        ("so we went to the house and Anna was there, too", False),
        ("so we went to the house", False),
        ("2 3 4 5 6 7 8 9 10 11", True),
        ("2 3 4 5 6 7 8 9 10, 11", False),
        ("", False),
    ],
)
def test_a_long_passage_needs_a_capital_and_a_mark(text, needed):
    assert plain(line(text), EN) is needed


def test_in_scripts_without_capitals_marks_are_enough():
    assert plain(signs("我们今天要讨论的是这个项目的进展"), ZH)
    assert not plain(signs("我们今天要讨论的，是这个项目的进展"), ZH)
    assert not plain(signs("我们今天要讨论"), ZH)
    assert plain(line("אנחנו הולכים היום אל הבית של האנשים האלה שם"), HE)
    assert not plain(line("אנחנו הולכים היום אל הבית של האנשים האלה, שם"), HE)


# ── what a second writing gives ──


def test_capitals_and_marks_are_taken_over():
    words = line(SAID)
    result = styled(words, line("So, we went to the House. And nobody was there!"))
    assert result is not None
    assert written(result) == "So, we went to the House. And nobody was there!"
    assert [(each.start, each.end, each.probability) for each in result] == [
        (each.start, each.end, each.probability) for each in words
    ]


def test_words_stay_whatever_the_second_writing_has_for_them():
    result = styled(line(SAID), line("So we went into this house. And no body was here."))
    assert result is not None
    assert [comparison_key(each.text) for each in result] == SAID.split()
    assert result[0].text == "So"


def test_marks_within_a_word_and_those_that_are_there_stay_alone():
    words = line("it's a well-known thing, that costs 3.50 they said")
    result = styled(words, line("It's a well, known thing. That costs 3,50, they said."))
    assert result is not None
    assert written(result) == "It's a well-known thing, That costs 3.50, they said."


def test_words_that_are_cut_otherwise_are_no_hindrance():
    result = styled(line("every one said good bye to all of them"), line("Everyone said goodbye, to all of them."))
    assert result is not None
    assert written(result) == "Every one said good bye, to all of them."


@pytest.mark.parametrize(
    "other",
    [
        "Good morning, everyone. Shall we begin? Yes, I think so.",
        "Thank you.",
        "So we went.",
        "... !",
        "",
    ],
)
def test_another_passage_gives_nothing(other):
    assert styled(line(SAID), line(other)) is None


def test_nothing_gets_no_style():
    assert styled([], line(SAID)) is None
    assert by_pauses([], EN) == []
    assert opened([], None) == []


def test_chinese_gets_its_marks():
    result = styled(signs("我们今天讨论这个项目的进展好吗"), signs("我们今天讨论这个项目的进展，好吗？"))
    assert result is not None
    assert "".join(each.text for each in result) == "我们今天讨论这个项目的进展，好吗？"


def test_letters_that_change_their_length_with_their_case_are_no_trouble():
    words = line("straße ﬁnden wir in istanbul und i̇zmir immer noch")
    result = styled(words, line("STRASSE FINDEN WIR IN İstanbul. UND İZMIR IMMER NOCH"))
    assert result is None or [comparison_key(each.text) for each in result] == [
        comparison_key(each.text) for each in words
    ]


# ── pauses ──


def test_a_long_pause_ends_a_sentence():
    words = [*line("so we went home"), *line("nobody was there", 1.5 + SENTENCE / at(1)), *line("at all", 5)]
    assert written(by_pauses(words, EN)) == "So we went home. Nobody was there. At all."


def test_a_short_pause_ends_nothing():
    assert written(by_pauses([*line("so we went"), *line("home", 1.7)], EN)) == "So we went home."


def test_marks_that_are_there_are_not_doubled():
    words = [*line("so, we went?"), *line("nobody; there,", 4)]
    assert written(by_pauses(words, EN)) == "So, we went? Nobody; there,"


def test_a_word_with_a_capital_inside_keeps_its_form():
    assert written(by_pauses(line("iPhone users called eBay"), EN)) == "iPhone users called eBay."


def test_each_script_has_its_own_full_stop():
    assert written(by_pauses(signs("好的"), ZH)) == "好 的。"
    assert written(by_pauses(line("नमस्ते आप कैसे हैं"), pack("hi"))).endswith("।")


# ── between stretches ──


@pytest.mark.parametrize(
    ("before", "text", "written_"),
    [
        ("there.", "and then", "And then"),
        ("there?", "and then", "And then"),
        ("there,", "and then", "and then"),
        ("there", "and then", "and then"),
        ("there.", "iPhone users", "iPhone users"),
        ("there.", "2 of them", "2 of them"),
        (None, "and then", "And then"),
    ],
)
def test_a_stretch_begins_with_a_capital_after_a_full_stop(before, text, written_):
    assert written(opened(line(text), word(before, 0, 1) if before else None)) == written_


# ── the examples ──


def test_examples_are_for_languages_that_are_served_and_show_marks_and_capitals():
    served = {each for code in LANGUAGES for each in whisper_codes(code)}
    assert set(EXAMPLES) <= served
    for code, example in EXAMPLES.items():
        language = next(each for each in LANGUAGES if whisper_codes(each)[:1] == (code,))
        words = line(example) if pack(language).delimiter else signs(example)
        assert not plain(words, pack(language))


TEXT = st.lists(
    st.sampled_from(
        [
            *SAID.split(),
            *[
                "Good",
                "morning,",
                "everyone.",
                "Shall",
                "we",
                "begin?",
                "Yes,",
                "I",
                "think",
                "so.",
                "Straße",
                "İzmir",
                "3.50",
                "…",
            ],
        ]
    ),
    max_size=25,
).map(" ".join)


@settings(max_examples=examples(300))
@given(TEXT, TEXT)
def test_no_word_of_another_text_gets_in(text, other):
    words = line(text)
    result = styled(words, line(other))
    if result is None:
        return
    assert [comparison_key(each.text) for each in result] == [comparison_key(each.text) for each in words]
    assert [(each.start, each.end) for each in result] == [(each.start, each.end) for each in words]


@settings(max_examples=examples(300))
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_letter_of_any_text_gets_in(text, other):
    words = line(text)
    result = styled(words, line(other))
    if result is not None:
        assert [comparison_key(each.text) for each in result] == [comparison_key(each.text) for each in words]


@settings(max_examples=examples(200))
@given(st.text(max_size=60))
def test_pauses_change_nothing_but_capitals_and_marks(text):
    words = line(text)
    result = by_pauses(words, EN)
    assert [(each.start, each.end) for each in result] == [(each.start, each.end) for each in words]
    for new, old in zip(result, words, strict=True):
        assert comparison_key(new.text) == comparison_key(old.text)

"""What of a prompt becomes a custom word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.wire.openai_audio import vocabulary
from sottovoce.wire.openai_audio.vocabulary import phrases, words_of


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", ()),
        (
            "ZyntriQix, Digique Plus, CynapseFive, VortiQore V8",
            ("ZyntriQix", "Digique Plus", "CynapseFive", "VortiQore V8"),
        ),
        ("gnocchi, ricotta, parmigiano", ("gnocchi", "ricotta", "parmigiano")),
        ("The transcript is about OpenAI which makes technology like DALL·E and GPT-3.", ("OpenAI", "DALL·E", "GPT-3")),
        ("Yesterday Ada Lovelace met Charles Babbage in London.", ("Ada Lovelace", "Charles Babbage", "London")),
        ("Hello, welcome to my lecture.", ()),
        ("The speaker hesitates and uses simple words.", ()),
        ("Names:\nMüller\nOkonkwo\nNguyễn", ("Names", "Müller", "Okonkwo", "Nguyễn")),
    ],
)
def test_names_and_lists_are_custom_words_and_prose_is_not(prompt: str, words: tuple[str, ...]) -> None:
    assert words_of(prompt) == words


def test_the_end_of_a_long_prompt_counts() -> None:
    assert words_of("Anfang " + "x " * vocabulary.MAX_PROMPT + "heard by ZyntriQix") == ("ZyntriQix",)


@given(st.text(max_size=300))
def test_any_prompt_gives_words_within_the_limits(prompt: str) -> None:
    found = words_of(prompt)
    assert len(found) <= vocabulary.MAX_ENTRIES
    for word in found:
        assert 0 < len(word) <= vocabulary.MAX_LETTERS
        assert word.isprintable()


def test_phrases_are_cleaned() -> None:
    assert phrases([" a\tb ", "", "a b", "one two three four five six seven", "x" * 300]) == ("a b",)

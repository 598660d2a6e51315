"""Custom words as a line of text for the model: as many as fit, and never a control token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.whisper_prompt import BUDGET, prompt
from sottovoce.request import VocabEntry
from tests.tiny_whisper import build


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(build(tmp_path_factory.mktemp("tiny")) / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def plain(encode):
    (token,) = encode("<|endoftext|>")
    return token


def entries(*contents):
    return [VocabEntry(content=content) for content in contents]


def test_entries_stand_in_their_order_once_each(encode, plain):
    assert prompt(entries("Gnocchi", "Anna  Berlin", "Gnocchi", "CEO"), encode, plain) == "Gnocchi, Anna Berlin, CEO"
    assert prompt([], encode, plain) == ""


def test_a_thousand_entries_are_cut_at_the_budget_between_entries(encode, plain):
    text = prompt(entries(*(f"word{n}" for n in range(1_000))), encode, plain)
    assert 0 < len(encode(f" {text}")) <= BUDGET
    assert text.split(", ") == [f"word{n}" for n in range(len(text.split(", ")))]


def test_a_long_entry_does_not_keep_out_the_next(encode, plain):
    long = "x" * 201
    assert prompt(entries(long, "one two three four five six seven", "fits"), encode, plain) == "fits"
    assert prompt(entries(*["y" * 200] * 1, "z" * 100, "fits"), encode, plain) == f"{'y' * 200}, fits"


@pytest.mark.parametrize("token", ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|0.00|>", "<|nospeech|>"])
def test_a_control_token_in_a_custom_word_is_only_text(encode, plain, token):
    name = token.strip("<|>")
    for hostile in (token, f"a{token}b", token * 2, f"<|{token}|>", f"<{token}", token[:-1] + " |>"):
        text = prompt(entries(hostile, "Anna"), encode, plain)
        assert text.endswith("Anna")
        assert all(number < plain for number in encode(f" {text}"))
    assert prompt(entries(token), encode, plain) == name


def test_what_is_no_text_is_left_out(encode, plain):
    assert prompt(entries("", " ", "\ud800", "\x00", "<||>", "ok\nnow"), encode, plain) == "ok now"


@given(st.lists(st.text(max_size=300), max_size=30))
def test_no_text_is_too_odd(encode, plain, contents):
    text = prompt(entries(*contents), encode, plain)
    tokens = encode(f" {text}")
    assert len(tokens) <= BUDGET + 1
    assert all(number < plain for number in tokens)
    assert "\n" not in text

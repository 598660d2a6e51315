"""Splitting `Hello,` into a word and its marks, as every language pack has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.common.split_punctuation import mark, split
from sottovoce.transcript.languages import PACKS, pack

EN = pack("en")


@pytest.mark.parametrize(
    ("text", "word", "marks"),
    [
        ("Hello", "Hello", ()),
        ("Hello,", "Hello", (",",)),
        (" Hello. ", "Hello", (".",)),
        ("Really?!", "Really", ("?", "!")),
        ("Well...", "Well", (".",)),
        ("Well…", "Well", (".",)),
        ("...and", "and", ()),
        ("…and", "and", ()),
        ("now;", "now", (",",)),
        ("Note:", "Note", (",",)),
        ('"Hello,"', "Hello", (",",)),
        ("“Hello”.", "Hello", (".",)),
        ("(see", "see", ()),
        ("above).", "above", (".",)),
        ("'quoted'", "quoted", ()),
        ("‘quoted’", "quoted", ()),
        ("‘quoted’.", "quoted", (".",)),
        ("‘over", "over", ()),
        ("dogs'", "dogs'", ()),
        ("dogs'.", "dogs'", (".",)),
        ("'em", "'em", ()),
        ("don't", "don't", ()),
        ("state-of-the-art", "state-of-the-art", ()),
        ("3.5", "3.5", ()),
        ("10,000.", "10,000", (".",)),
        ("10:30,", "10:30", (",",)),
        ("$20.", "$20", (".",)),
        ("20%", "20%", ()),
        (".5", ".5", ()),
        (".net", ".net", ()),
        ("-5", "-5", ()),
        ("C++.", "C++", (".",)),
        ("&", "&", ()),
        (".", "", (".",)),
        (",", "", (",",)),
        ("-", "", ()),
        ("—", "", ()),
        ('"', "", ()),
        ("...", "", (".",)),
        ("", "", ()),
    ],
)
def test_a_run_is_a_word_and_the_marks_behind_it(text, word, marks):
    assert split(text, EN) == (word, marks)


@pytest.mark.parametrize(
    ("text", "language", "word", "marks"),
    [
        ("τώρα;", "el", "τώρα", ("?",)),
        ("¿Dónde", "es", "Dónde", ()),
        ("¡Hola!", "es", "Hola", ("!",)),
        ("«Bonjour»,", "fr", "Bonjour", (",",)),
        ("„Hallo“.", "de", "Hallo", (".",)),
        ("你好，", "cmn", "你好", ("，",)),
        ("你好,", "cmn", "你好", ("，",)),
        ("你好、", "cmn", "你好", ("、",)),
        ("元気?", "ja", "元気", ("。",)),
        ("はい,", "ja", "はい", ("、",)),
        ("नमस्ते.", "hi", "नमस्ते", ("।",)),
        ("مرحبا،", "ar", "مرحبا", (",",)),
        ("لماذا؟", "ar", "لماذا", ("?",)),
    ],
)
def test_marks_are_those_of_the_language_pack(text, language, word, marks):
    assert split(text, pack(language)) == (word, marks)


@pytest.mark.parametrize(
    ("text", "following", "language", "word", "marks"),
    [
        ("Mr.", "Smith", "en", "Mr.", ()),
        ("Mr.", "", "en", "Mr", (".",)),
        ("a.m.", "and", "en", "a.m.", ()),
        ("a.m.,", "and", "en", "a.m.", (",",)),
        ("U.S.", "troops", "en", "U.S.", ()),
        ("U.S.", "They", "en", "U.S", (".",)),
        ("U.S.", "", "en", "U.S", (".",)),
        ("3.", "Mai", "de", "3.", ()),
        ("3.", "", "de", "3", (".",)),
        ("1945.", "Danach", "de", "1945", (".",)),
        ("3.", "Then", "en", "3", (".",)),
        ("No.", "Thanks", "en", "No", (".",)),
    ],
)
def test_a_dot_that_is_no_full_stop_stays_with_its_word(text, following, language, word, marks):
    assert split(text, pack(language), following) == (word, marks)


@given(st.text(max_size=12), st.sampled_from(sorted(PACKS)), st.text(max_size=4))
def test_whatever_comes_only_marks_of_the_pack_come_out(text, code, following):
    word, marks = split(text, pack(code), following)
    assert set(marks) <= set(pack(code).marks)
    assert word in text
    assert sum(map(str.isalnum, word)) == sum(map(str.isalnum, text))


def test_a_mark_stands_where_the_word_ends():
    stop, comma = mark(".", 99, EN, 0.5), mark(",", 99, EN)
    assert (stop.start, stop.end, stop.confidence, stop.language) == (99, 99, 0.5, "en")
    assert (stop.ends_sentence, comma.ends_sentence, comma.confidence) == (True, False, None)

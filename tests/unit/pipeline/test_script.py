"""Mandarin is written in the characters that the caller wants, word by word, with times untouched."""

import pytest

from sottovoce.pipeline.script import written
from sottovoce.transcript.model import Mark, Word


def words(*texts):
    return tuple(Word(text=text, start=n, end=n + 1) for n, text in enumerate(texts))


def texts(items):
    return [item.text for item in items]


def test_simplified_is_the_default_and_traditional_is_by_words():
    assert texts(written(words("頭", "髮", "發", "展"), "cmn", None)) == ["头", "发", "发", "展"]
    assert texts(written(words("头", "发", "发", "展"), "cmn", "cmn-Hant")) == ["頭", "髮", "發", "展"]
    assert texts(written(words("头发", "Berlin"), "cmn_en", "cmn-Hans")) == ["头发", "Berlin"]


def test_an_english_locale_of_a_bilingual_pack_leaves_mandarin_simplified():
    assert texts(written(words("發展"), "cmn_en", "en-US")) == ["发展"]


@pytest.mark.parametrize("language", ["en", "ja", "yue"])
def test_other_languages_stay_as_they_are(language):
    assert texts(written(words("發展", "頭"), language, "cmn-Hans")) == ["發展", "頭"]


def test_marks_and_times_stay():
    items = (*words("發"), Mark(text="。", at=1), *words("展"))
    found = written(items, "cmn", None)
    assert texts(found) == ["发", "。", "展"]
    assert [(item.start, item.end) for item in found] == [(item.start, item.end) for item in items]

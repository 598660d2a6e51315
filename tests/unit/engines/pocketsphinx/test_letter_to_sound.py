"""Letter-to-sound rules: near enough for a recogniser, for any string."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.pocketsphinx.letter_to_sound import MAX_LETTERS, pronounce
from sottovoce.engines.pocketsphinx.recognizer import dictionary_path

PHONES = frozenset(
    re.findall(
        r"\w+", "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    )
)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@pytest.fixture(scope="module")
def dictionary():
    words: dict[str, list[list[str]]] = {}
    for line in dictionary_path().read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        words.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(phones)
    return words


def test_error_rate_on_the_dictionary(dictionary):
    """Of 1,500 words that no rule was looked at for: names and abbreviations are among them."""
    words = random.Random(20).sample([w for w in sorted(dictionary) if re.fullmatch("[a-z]{3,}", w)], 1_500)
    wrong = total = right = 0
    for word in words:
        errors, length = min((distance(pronounce(word), phones), len(phones)) for phones in dictionary[word])
        wrong, total, right = wrong + errors, total + length, right + (errors == 0)
    assert wrong / total < 0.17
    assert right / len(words) > 0.40


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("cake", "K EY K"),
        ("city", "S IH T IY"),
        ("phone", "F OW N"),
        ("knight", "N AY T"),
        ("nation", "N EY SH AH N"),
        ("queen", "K W IY N"),
        ("judge", "JH AH JH"),
        ("thing", "TH IH NG"),
        ("boxes", "B AA K S IH Z"),
        ("jumped", "JH AH M P T"),
        ("wanted", "W AA N T IH D"),
        ("table", "T EY B AH L"),
        ("music", "M Y UW Z IH K"),
        ("yellow", "Y EH L OW"),
        ("Speechmatics", "S P IY CH M AE T IH K S"),
    ],
)
def test_common_patterns(word, sounds):
    assert " ".join(pronounce(word)) == sounds


@given(st.text(max_size=200))
def test_any_text_gives_sounds_of_the_model(text):
    sounds = pronounce(text)
    assert set(sounds) <= PHONES
    assert len(sounds) <= 3 * MAX_LETTERS
    assert pronounce(text.upper() if text.isascii() else text) == sounds

"""faster-whisper's pieces of text become words and marks; the pieces here are cut as its tokenizer cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.common.calibration import IDENTITY, Calibration
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.common.word_assembly import items, joined
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import PACKS, pack
from sottovoce.transcript.model import Mark, Word


def pieces(*texts, probability=0.9):
    return [
        HypothesisWord(text=text, start=n * 100, end=n * 100 + 80, probability=probability)
        for n, text in enumerate(texts)
    ]


def words(language, *texts):
    return [word.text for word in joined(pieces(*texts), pack(language))]


def written(language, *texts):
    return items(joined(pieces(*texts), pack(language)), pack(language), IDENTITY)


def contents(language, *texts):
    return [item.text for item in written(language, *texts)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((" Hello", ",", " world", "."), ["Hello", ",", "world", "."]),
        ((" Hello,", " world."), ["Hello", ",", "world", "."]),
        ((" $5", ",000", "."), ["$5,000", "."]),
        ((" 25", "%", ","), ["25%", ","]),
        ((" 3", ".5", " times"), ["3.5", "times"]),
        ((" £", "20"), ["£20"]),
        ((" don", "'t"), ["don't"]),
        ((" well", "-", "known"), ["well-known"]),
        ((" U", ".S", "."), ["U.S", "."]),
        ((" Mr", ".", " Smith"), ["Mr.", "Smith"]),
        ((" at", " 10", ":30", "?"), ["at", "10:30", "?"]),
        ((" yes—no",), ["yes", "no"]),
        ((" wait...what", "?"), ["wait", ".", "what", "?"]),
        ((" pages", " 10–20"), ["pages", "10–20"]),
        ((' "Hello', ',"', " she", " said"), ["Hello", ",", "she", "said"]),
        ((" (", "really", ")"), ["really"]),
        ((" —", " so"), ["so"]),
        ((" R", "&B"), ["R&B"]),
        ((" you", " &", " me"), ["you", "&", "me"]),
        ((" ♪", " la", " ♪"), ["la"]),
        ((' "Stop!"', ","), ["Stop", "!"]),
        ((" what", "?!"), ["what", "?"]),
        ((" so", ",."), ["so", "."]),
        ((" e", "-mail"), ["e-mail"]),
        (("First", " word"), ["First", "word"]),
        ((" a\ufffd", "\ufffd", " b\x00c"), ["a", "bc"]),
        ((" ", "one", " ", "two"), ["one", "two"]),
        ((",", " one"), ["one"]),
        ((), []),
    ],
)
def test_english(texts, expected):
    assert contents("en", *texts) == expected


@pytest.mark.parametrize(
    ("language", "texts", "expected"),
    [
        ("fr", (" 10", " €", " ?"), ["10\u00a0€", "?"]),
        ("fr", (" «", " oui", " »", "."), ["oui", "."]),
        ("es", (" ¿", "Cómo", " estás", "?"), ["Cómo", "estás", "?"]),
        ("de", (" Am", " 3", ".", " Mai"), ["Am", "3.", "Mai"]),
        ("cmn", ("今天", "天", "气", "，", "很好", "。"), ["今天", "天", "气", "，", "很好", "。"]),
        ("cmn", ("我", "有", "20", "25", "年", "的", " i", "Phone"), ["我", "有", "2025", "年", "的", "iPhone"]),
        ("cmn", ("3", ".5", "元", ",", "好"), ["3.5", "元", "，", "好"]),
        ("cmn", ("$", "5", ",000"), ["$5,000"]),
        ("cmn", ("好,", "你"), ["好", "，", "你"]),
        ("yue", ("唔", "該", "！"), ["唔", "該", "！"]),
        ("ja", ("デ", "ータ", "です", "か", "？"), ["データ", "です", "か", "。"]),
        ("ja", ("ちょ", "っと", "、", "New", " York"), ["ちょっと", "、", "New", "York"]),
        ("th", ("เ", "ด", "็ก", "กิน", "ข", "้าว"), ["เด็ก", "กิน", "ข้าว"]),
        ("hi", (" नमस्ते", "।", " आप", "?"), ["नमस्ते", "।", "आप", "?"]),
        ("ar", (" مرحبا", "،", " كيف", "؟"), ["مرحبا", ",", "كيف", "?"]),
        ("el", (" Τι", " κάνεις", ";"), ["Τι", "κάνεις", "?"]),
        ("ko", (" 안녕", "하세요", "."), ["안녕하세요", "."]),
        ("cmn_en", ("我们", "去", " the", " office", "吧", "。"), ["我们去", "the", "office吧", "."]),
    ],
)
def test_other_languages(language, texts, expected):
    assert contents(language, *texts) == expected


def test_items_say_what_they_are():
    hello, comma, world, stop = written("en", " Hello", ",", " world", ".")
    assert isinstance(hello, Word)
    assert (hello.start, hello.end, hello.confidence, hello.language) == (0, 80, 0.9, "en")
    assert (comma.at, comma.ends_sentence, comma.language) == (80, False, "en")
    assert (world.start, stop.at, stop.ends_sentence) == (200, 280, True)
    assert join((hello, comma, world, stop), pack("en")) == "Hello, world."
    (word, end) = written("cmn_en", "你好", "。")
    assert (word.language, end.text, end.ends_sentence) == ("cmn_en", ".", True)


def test_a_mark_adds_neither_time_nor_doubt():
    (word,) = joined(
        [
            HypothesisWord(text=" so", start=0, end=100, probability=0.9),
            HypothesisWord(text=",", start=100, end=900, probability=0.1),
        ],
        pack("en"),
    )
    assert (word.text, word.end, word.probability) == ("so,", 100, 0.9)


def test_pieces_of_a_number_share_time_and_doubt():
    (word,) = joined(
        [
            HypothesisWord(text=" $5", start=0, end=100, probability=0.9),
            HypothesisWord(text=",000", start=100, end=400, probability=0.5),
        ],
        pack("en"),
    )
    assert (word.start, word.end, word.probability) == (0, 400, pytest.approx((0.9 + 3 * 0.5) / 4))


def test_two_words_in_one_piece_share_its_time():
    first, second = joined([HypothesisWord(text=" aye—never", start=1_000, end=1_800, probability=0.8)], pack("en"))
    assert (first.text, first.start, first.end) == ("aye", 1_000, 1_300)
    assert (second.text, second.start, second.end) == ("never", 1_300, 1_800)


def test_confidence_is_calibrated():
    (word,) = items(joined(pieces(" so"), pack("en")), pack("en"), Calibration(((0.0, 0.2), (1.0, 0.7))))
    assert word.confidence == pytest.approx(0.65)


def test_a_mark_alone_stands_behind_the_word_before_it():
    heard = [
        HypothesisWord(text=text, start=n, end=n + 1, probability=0.5)
        for n, text in enumerate(["…", "so", "—", "!", "?"])
    ]
    assert [item.text for item in items(heard, pack("en"), IDENTITY)] == ["so", "!"]


TEXT = st.text(st.sampled_from(" abc19.,!?'\"-—…%$&()«»¿।。、，字かカーกเ็า\u0301\ufffd\n😀♪"), max_size=6)


@given(st.lists(TEXT, max_size=20), st.sampled_from(sorted(PACKS)))
def test_whatever_the_pieces_items_have_text_and_known_marks(texts, language):
    known = pack(language)
    found = written(language, *texts)
    assert all(item.text.strip() for item in found)
    assert all(item.text in known.marks for item in found if isinstance(item, Mark))
    assert not found or isinstance(found[0], Word)
    assert not any(isinstance(one, Mark) and isinstance(other, Mark) for one, other in pairwise(found))
    assert not any(isinstance(item, Word) and " " in item.text for item in found)
    letters = [char for text in texts for char in text if char.isalnum()]
    assert [char for item in found for char in item.text if char.isalnum()] == letters
    assert [item.start for item in found] == sorted(item.start for item in found)

"""The language model of a text: probabilities that add up, and a file that PocketSphinx takes."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.audio.media import decode
from sottovoce.engines.pocketsphinx import text_language_model
from sottovoce.engines.pocketsphinx.recognizer import pcm

SPEECH = Path(__file__).resolve().parents[3] / "fixtures" / "audio" / "speech.flac"
START, END = "<s>", "</s>"

texts = st.lists(st.sampled_from([f"_{number}" for number in range(6)]), min_size=1, max_size=40)


class Model:
    """An ARPA file as its readers take it."""

    def __init__(self, words: list[str]) -> None:
        lines = "\n".join(text_language_model.arpa(words)).split("\n")
        one, two, end = (lines.index(mark) for mark in ("\\1-grams:", "\\2-grams:", "\\end\\"))
        assert lines[0] == "\\data\\"
        self.counts = [int(line.partition("=")[2]) for line in lines[1:3]]
        self.singles: dict[str, float] = {}
        self.backoffs: dict[str, float] = {}
        for line in filter(None, lines[one + 1 : two]):
            odds, word, backoff = line.split(" ")
            self.singles[word], self.backoffs[word] = 10 ** float(odds), 10 ** float(backoff)
        self.pairs: dict[tuple[str, str], float] = {}
        for line in filter(None, lines[two + 1 : end]):
            odds, word, after = line.split(" ")
            self.pairs[word, after] = 10 ** float(odds)

    def after(self, history: str) -> dict[str, float]:
        """How likely each word and the end are after *history*."""
        return {
            word: self.pairs.get((history, word), self.backoffs[history] * odds)
            for word, odds in self.singles.items()
            if word != START
        }


@given(texts)
def test_probabilities_of_each_history_sum_to_about_one(words: list[str]) -> None:
    """The start of a sentence has its share too, though nothing is ever followed by it."""
    model = Model(words)
    share = 1 / (len(words) + 2)
    for history in {*words, START}:
        seen = sum(odds for (word, _), odds in model.pairs.items() if word == history)
        total = sum(model.after(history).values())
        assert 1 - max(share, 1 - seen) - 0.001 <= total <= 1.001 + (share if len(words) == 1 else 0)


def test_in_a_text_of_some_length_they_sum_to_one() -> None:
    words = [f"_{number * number % 97}" for number in range(500)]
    model = Model(words)
    for history in {*words, START}:
        assert sum(model.after(history).values()) == pytest.approx(1, abs=0.005)


@given(texts)
def test_the_header_counts_what_follows(words: list[str]) -> None:
    model = Model(words)
    assert model.counts == [len(model.singles), len(model.pairs)]
    assert set(model.singles) == {*words, START, END}


@given(texts)
def test_what_follows_in_the_text_is_likelier_than_alone(words: list[str]) -> None:
    model = Model(words)
    for word, after in pairwise(words):
        assert model.pairs[word, after] > 0
        assert all(0 < odds <= 1.001 for odds in model.after(word).values())
    if len(words) == len(set(words)) > 1:
        assert all(model.pairs[pair] == pytest.approx(0.5, abs=0.001) for pair in pairwise(words))


@given(texts)
def test_more_of_a_word_makes_it_likelier(words: list[str]) -> None:
    model, counts = Model(words), Counter(words)
    ranked = sorted(counts, key=lambda word: counts[word])
    assert [model.singles[word] for word in ranked] == sorted(model.singles[word] for word in ranked)
    assert sum(odds for word, odds in model.singles.items() if word != START) <= 1.001


def test_a_model_is_ascii_lines_of_finite_numbers() -> None:
    for line in text_language_model.arpa(["_0", "_1", "_0", "_1", "_1"]):
        assert line.isascii()
        for field in line.split(" "):
            assert not any(sign in field for sign in ("nan", "inf"))
    assert all(math.isfinite(odds) for odds in Model(["_0"]).backoffs.values())


SOUNDS = {"_0": "N AH TH IH NG", "_1": "DH AE T", "_2": "Y UW", "_3": "S EY", "_4": "W IH L", "_5": "L IY V",
          "_6": "DH IH S", "_7": "R UW M"}  # fmt: skip


@pytest.mark.parametrize("words", [["_0"], ["_0", "_1"], ["_7", "_7"], ["_6", "_7"] * 25, list(SOUNDS)], ids=len)
def test_pocketsphinx_hears_with_it(tmp_path: Path, words: list[str]) -> None:
    from pocketsphinx import Config, Decoder

    model, dictionary = tmp_path / "text.arpa", tmp_path / "text.dict"
    model.write_text("".join(f"{line}\n" for line in text_language_model.arpa(words)), encoding="ascii")
    dictionary.write_text("".join(f"{word} {phones}\n" for word, phones in SOUNDS.items()), encoding="ascii")
    decoder = Decoder(Config(loglevel="FATAL", lm=str(model), dict=str(dictionary)))
    decoder.start_utt()
    decoder.process_raw(pcm(np.concatenate([block[0] for block in decode(SPEECH)])), no_search=False, full_utt=True)
    decoder.end_utt()
    heard = [segment.word for segment in decoder.seg() or () if not segment.word.startswith(("<", "[", "+"))]
    assert set(heard) == set(words)
    if words == list(SOUNDS):
        assert heard == words


def test_a_text_of_two_words_may_be_said_in_either_order() -> None:
    model = Model(["_0", "_1"])
    assert 0 < model.after("_1")["_0"] < model.after("_0")["_1"]

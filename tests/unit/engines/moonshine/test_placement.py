"""Known words get times by forced alignment: against those that the synthesiser tells, and where the audio has other words."""

from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from sottovoce.audio.activity import Span
from sottovoce.audio.media import decode
from sottovoce.engines.moonshine import placement
from sottovoce.engines.moonshine.placement import Placer, filled
from sottovoce.transcript.model import RATE

ROOT = Path(__file__).parents[4]
AUDIO = ROOT / "tests" / "fixtures" / "audio"
MEDIAN, MOST = 0.1, 0.25
"""Seconds by which starts of words may be off: the median of a recording, and 9 of 10 words."""


def known(name):
    """The audio, its words, and their starts in seconds."""
    path = {"demo": ROOT / "samples" / "demo.wav", "numbers": AUDIO / "numbers.flac"}[name]
    audio = np.concatenate([block[0] for block in decode(path)])
    rows = [line.split("\t") for line in (AUDIO / f"{name}.words.tsv").read_text(encoding="utf-8").splitlines()]
    return audio, [word for word, _ in rows], [float(start) for _, start in rows]


@pytest.fixture(scope="module")
def placer():
    return Placer()


def whole(audio):
    return (Span(start=0, end=len(audio)),)


@pytest.mark.parametrize("name", ["demo", "numbers"])
def test_words_begin_where_the_synthesiser_says(placer, name):
    audio, words, starts = known(name)
    placed = placer.place(audio, words, whole(audio))
    off = sorted(abs(start / RATE - truth) for (start, _), truth in zip(placed, starts, strict=True))
    assert median(off) <= MEDIAN
    assert off[len(off) * 9 // 10] <= MOST


def test_times_are_in_order_inside_the_audio_and_the_same_again(placer):
    audio, words, _ = known("numbers")
    placed = placer.place(audio, words, whole(audio))
    assert all(0 <= start < end <= len(audio) for start, end in placed)
    assert all(before[1] <= after[0] for before, after in pairwise(placed))
    assert placer.place(audio, words, whole(audio)) == placed


def test_a_number_that_is_said_in_another_way_does_not_move_the_other_words(placer):
    audio, words, starts = known("demo")
    wrong = [*words[:3], "123,456,789,123", *words[3:]]
    placed = placer.place(audio, wrong, whole(audio))
    others = [*placed[:3], *placed[4:]]
    assert median(abs(start / RATE - truth) for (start, _), truth in zip(others, starts, strict=True)) <= MEDIAN


def test_words_that_are_not_said_share_the_speech(placer):
    rng = np.random.default_rng(1)
    audio = (0.1 * rng.normal(0, 1, RATE // 2)).astype(np.float32)
    words = ["incomprehensibilities", "internationalisation", "characteristically", "counterrevolutionaries"]
    placed = placer.place(audio, words, (Span(start=1_000, end=7_000),))
    assert [start for start, _ in placed] == sorted(start for start, _ in placed)
    assert all(0 <= start <= end <= len(audio) for start, end in placed)


@pytest.mark.parametrize("words", [[], ["—"], ["—", "..."]])
def test_what_is_not_spoken_needs_no_sound(placer, words):
    audio = np.zeros(RATE, np.float32)
    assert len(placer.place(audio, words, whole(audio))) == len(words)


@pytest.mark.parametrize("word", ["<s>", "</s>", "[NOISE]", "_0", "a(2)", "ß", "\x00", "x" * 5_000, "++breath++ the"])
def test_hostile_words_do_no_harm(placer, word):
    audio, words, _ = known("demo")
    short = audio[: 3 * RATE]
    assert len(placer.place(short, [*words[:3], word], whole(short))) == 4


def test_the_dictionary_does_not_grow_for_ever(placer, monkeypatch):
    monkeypatch.setattr(placement, "MOST_ADDED", 3)
    audio = np.zeros(RATE, np.float32)
    for number in range(12):
        placer.place(audio, [f"qqz{number}x"], whole(audio))
    assert len(placer._names) <= 4


def test_words_without_times_share_the_speech_between_their_neighbours():
    speech = (Span(start=0, end=100), Span(start=300, end=500))
    found = [(0, 100), None, None, (480, 500)]
    assert filled(found, [3, 1, 3, 2], speech, 900) == [(0, 100), (300, 345), (345, 480), (480, 500)]
    assert filled([None, (400, 500)], [2, 2], speech, 900) == [(0, 400), (400, 500)]
    assert filled([(0, 100), None], [2, 2], speech[:1], 900) == [(0, 100), (100, 900)]
    assert filled([], [], speech, 900) == []


def test_a_word_that_the_end_of_the_audio_cuts_off_does_not_move_the_others(placer):
    audio, words, starts = known("demo")
    off: list[float] = []
    for number, word in enumerate(words):
        if number < 3 or len(word) < 6:
            continue
        begin, end = round(starts[number - 3] * RATE), round((starts[number] + 0.06) * RATE)
        placed = placer.place(
            audio[begin:end], [*words[number - 3 : number + 1], "afterwards"], whole(audio[begin:end])
        )
        found = [begin / RATE + start / RATE for start, _ in placed]
        off += [abs(one - other) for one, other in zip(found[:3], starts[number - 3 : number], strict=True)]
    assert len(off) > 15
    assert max(off) <= MOST

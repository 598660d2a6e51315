"""The sounds that hold no words are what they are called, and follow from their seed."""

import numpy as np
import pytest

from bench.recognition import audio, invented, sounds
from bench.recognition.invented import Answer
from sottovoce.transcript.model import RATE

CLIPS = {
    f"clip {number}": (0.3 * np.sin(np.arange(RATE * 2) / (5 + number))).astype(np.float32) for number in range(10)
}


@pytest.fixture(scope="module")
def made():
    return {item.name: item for item in sounds.items(CLIPS, 1)}


def decibels(sound):
    return 20 * np.log10(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def test_the_same_seed_makes_the_same_sounds(made):
    again = {item.name: item for item in sounds.items(CLIPS, 1)}
    other = {item.name: item for item in sounds.items(CLIPS, 2)}
    assert made.keys() == again.keys() == other.keys()
    assert all(np.array_equal(made[name].audio, again[name].audio) for name in made)
    assert not np.array_equal(made["dither"].audio, other["dither"].audio)
    assert not np.array_equal(made["babble 1"].audio, made["babble 2"].audio)


def test_every_sound_is_finite_and_within_full_scale(made):
    assert all(item.audio.dtype == np.float32 and len(item.audio) for item in made.values())
    assert all(np.isfinite(item.audio).all() and np.abs(item.audio).max() <= 1.0 for item in made.values())


def test_noise_has_its_level_and_its_colour(made):
    for colour, slope in (("white", 0), ("pink", 1), ("brown", 2)):
        for level in (-20, -40, -60):
            assert decibels(made[f"{colour} noise {level} dBFS"].audio) == pytest.approx(level, abs=0.1)
        power = np.abs(np.fft.rfft(made[f"{colour} noise -20 dBFS"].audio)) ** 2
        frequency = np.fft.rfftfreq(20 * RATE, 1 / RATE)
        low, high = (power[(frequency > at) & (frequency < at * 1.5)].mean() for at in (200, 3_200))
        assert 10 * np.log10(low / high) == pytest.approx(slope * 12, abs=1.5)  # four octaves, 3 dB each


def test_silence_is_zeros_and_dither_one_step_at_most(made):
    assert not made["silence"].audio.any()
    assert 0 < np.abs(made["dither"].audio).max() <= 1 / 32_768


def test_short_sounds_are_as_short_as_they_say(made):
    assert [len(made[f"noise {length} ms"].audio) for length in (10, 500)] == [160, 8_000]
    assert len(made["speech 200 ms"].audio) == 3_200


def test_speech_is_turned_round_and_mixed(made):
    assert np.array_equal(made["reversed clip 3"].audio[::-1], CLIPS["clip 3"])
    mixed = made["babble 1"].audio
    assert len(mixed) == 20 * RATE
    assert decibels(mixed) == pytest.approx(-26 + 10 * np.log10(sounds.VOICES), abs=1.5)


def test_a_clip_comes_after_silence():
    chance = np.random.default_rng(1)
    zeros = sounds.after_silence(CLIPS["clip 0"], 0.5, None, chance)
    noisy = sounds.after_silence(CLIPS["clip 0"], 0.5, -60, chance)
    assert not zeros[: 30 * RATE].any()
    assert decibels(noisy[: 30 * RATE]) == pytest.approx(-60, abs=0.2)
    assert np.array_equal(zeros[30 * RATE :], CLIPS["clip 0"])


def test_silence_cannot_be_made_louder():
    assert not audio.at_level(np.zeros(10, dtype=np.float32), -20).any()
    assert not len(audio.at_level(np.zeros(0, dtype=np.float32), -20))


def test_words_are_summed_by_group():
    told = invented.report(
        [
            Answer(item="hum", group=sounds.SILENT, words=0, text=""),
            Answer(item="music", group=sounds.SILENT, words=2, text="thank you"),
            Answer(item="reversed a", group=sounds.REVERSED, words=3, text="so on so"),
            Answer(item="reversed b", group=sounds.REVERSED, words=0, text="", failure="it died"),
        ]
    )
    assert told["groups"] == {
        sounds.SILENT: {"items": 2, "items_with_words": 1, "words": 2},
        sounds.REVERSED: {"items": 2, "items_with_words": 1, "words": 3},
    }
    assert told["items"] == {
        "music": {"words": 2, "text": "thank you"},
        "reversed a": {"words": 3, "text": "so on so"},
    }
    assert told["failed"] == {"reversed b": "it died"}

"""Pieces of a recording are the samples of the whole, in whatever order they are asked for."""

import random
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.errors import MediaUnreadable
from sottovoce.pipeline.media_reader import SeekableAudio
from sottovoce.transcript.model import RATE

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "audio"


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Half a minute in which no two places are alike."""
    path = tmp_path_factory.mktemp("clips") / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(3).integers(-20_000, 20_000, 30 * RATE + 123, np.int16).tobytes())
    return path


def whole(path: Path):
    return np.concatenate([block[0] for block in media.decode(path)])


def holds(clip, samples, start: int, end: int) -> bool:
    return clip.start == start and np.array_equal(clip.audio, samples[start:end])


@pytest.mark.parametrize("seed", range(8))
def test_rising_pieces_are_the_samples_of_the_whole(noise, seed):
    random.seed(seed)
    samples, clips = whole(noise), SeekableAudio(noise)
    starts = sorted(random.randrange(len(samples)) for _ in range(30))
    for start in starts:
        end = start + random.choice([0, 1, 100, RATE - 1, RATE, RATE + 1, 7 * RATE])
        assert holds(clips.take(start, end), samples, start, end)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_in_any_order_are_too(noise, seed):
    random.seed(seed)
    samples, clips = whole(noise), SeekableAudio(noise)
    for _ in range(15):
        start, end = sorted(random.choices(range(len(samples)), k=2))
        assert holds(clips.take(start, end), samples, start, end)


def test_going_back_and_asking_twice(noise):
    samples, clips = whole(noise), SeekableAudio(noise)
    for start, end in ((5, 9), (5, 9), (20, 25), (19, 25), (0, 30), (2, 3), (2, 2), (0, 1)):
        assert holds(clips.take(start * RATE + 7, end * RATE), samples, start * RATE + 7, end * RATE)


def test_only_going_back_behind_the_last_piece_decodes_again(noise, monkeypatch):
    opened = []

    def decode(path, *, split, start, track):
        opened.append(start)
        return media.Decoder(path, split=split, start=start, track=track)

    monkeypatch.setattr("sottovoce.pipeline.media_reader.media.decode", decode)
    clips = SeekableAudio(noise)
    for start, end in ((3, 4), (3, 9), (8, 9), (20, 21), (20, 20), (20, 29)):
        clips.take(start * RATE, end * RATE)
    assert opened == [3 * RATE]
    clips.take(2 * RATE, 4 * RATE)
    assert opened == [3 * RATE, 2 * RATE]


def test_beyond_the_end_there_is_less_and_then_nothing(noise):
    samples, clips = whole(noise), SeekableAudio(noise)
    assert holds(clips.take(29 * RATE, 40 * RATE), samples, 29 * RATE, len(samples))
    beyond = clips.take(50 * RATE, 60 * RATE)
    assert (beyond.start, len(beyond.audio), beyond.audio.dtype) == (50 * RATE, 0, np.float32)
    assert holds(clips.take(28 * RATE, 29 * RATE), samples, 28 * RATE, 29 * RATE)
    assert len(SeekableAudio(noise).take(50 * RATE, 60 * RATE).audio) == 0


def test_a_piece_before_the_beginning_begins_there(noise):
    samples = whole(noise)
    assert holds(SeekableAudio(noise).take(-RATE, RATE), samples, 0, RATE)
    assert len(SeekableAudio(noise).take(RATE, 0).audio) == 0


def test_channels_are_mixed_and_any_rate_will_do():
    path = FIXTURES / "stereo_44k.wav"
    samples, clips = whole(path), SeekableAudio(path)
    for start in (0, 777, RATE // 2, RATE):
        assert holds(clips.take(start, start + RATE // 3), samples, start, start + RATE // 3)


def test_no_more_is_held_than_the_piece(tmp_path):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * RATE * 300))
    clips = SeekableAudio(path)
    clips.take(0, RATE)
    tracemalloc.start()
    try:
        clips.take(290 * RATE, 291 * RATE)  # what is skipped is 18 MB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20


def test_what_is_no_recording_is_said():
    with pytest.raises(MediaUnreadable):
        SeekableAudio(FIXTURES / "not_media.wav").take(0, RATE)

"""The speech judge gives the same answers in one call and in many, and tells speech from silence."""

from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio.media import decode
from sottovoce.engines import silero
from sottovoce.engines.silero import SileroJudge
from sottovoce.errors import EngineUnavailable

DEMO = Path(__file__).parents[3] / "samples" / "demo.wav"


@pytest.fixture(scope="module")
def audio():
    whole = np.concatenate([block[0] for block in decode(DEMO)])
    return whole[: len(whole) // 512 * 512]


@pytest.mark.parametrize("frames", [1, 2, 7, 100])
def test_many_small_calls_are_one_large_one(audio, frames):
    at_once = SileroJudge()(audio)
    judge = SileroJudge()
    parts = [judge(audio[at : at + frames * 512]) for at in range(0, len(audio), frames * 512)]
    assert at_once.dtype == np.float32
    assert at_once.shape == (len(audio) // 512,)
    assert np.allclose(np.concatenate(parts), at_once, atol=1e-5)


def test_longer_than_one_run(audio, monkeypatch):
    whole = SileroJudge()(audio)
    monkeypatch.setattr(silero, "_AT_ONCE", 16)
    assert np.allclose(SileroJudge()(audio), whole, atol=1e-5)


def test_speech_is_likely_and_silence_is_not(audio):
    probabilities = SileroJudge()(audio)
    assert (probabilities[:10] < 0.3).all()  # 0.4 s of it
    assert np.median(probabilities) > 0.9
    assert SileroJudge()(np.zeros(512 * 50, np.float32)).max() < 0.3


def test_judges_do_not_share_their_state(audio):
    first, second = SileroJudge(), SileroJudge()
    expected = SileroJudge()(audio[: 512 * 40])
    second(audio)
    assert np.allclose(first(audio[: 512 * 40]), expected, atol=1e-5)


def test_odd_lengths():
    assert SileroJudge()(np.zeros(0, np.float32)).shape == (0,)
    with pytest.raises(ValueError, match="512"):
        SileroJudge()(np.zeros(100, np.float32))


def test_a_missing_model_says_so(monkeypatch):
    monkeypatch.setattr(silero, "find_spec", lambda _: None)
    with pytest.raises(EngineUnavailable, match="Silero"):
        silero.model_path()

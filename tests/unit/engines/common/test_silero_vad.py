"""The speech judge gives the same answers in one call and in many, and tells speech from silence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.activity import ActivityPolicy, segments
from sottovoce.audio.media import decode
from sottovoce.engines.common import silero_vad
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE
from tests.examples import examples

DEMO = Path(__file__).parents[4] / "samples" / "demo.wav"


@pytest.fixture(scope="module")
def audio():
    whole = np.concatenate([block[0] for block in decode(DEMO)])
    return whole[: len(whole) // 512 * 512]


@pytest.mark.parametrize("frames", [1, 2, 7, 100])
def test_many_small_calls_are_one_large_one(audio, frames):
    at_once = SileroVad()(audio)
    make_vad = SileroVad()
    parts = [make_vad(audio[at : at + frames * 512]) for at in range(0, len(audio), frames * 512)]
    assert at_once.dtype == np.float32
    assert at_once.shape == (len(audio) // 512,)
    assert np.allclose(np.concatenate(parts), at_once, atol=1e-5)


def test_longer_than_one_run(audio, monkeypatch):
    whole = SileroVad()(audio)
    monkeypatch.setattr(silero_vad, "_AT_ONCE", 16)
    assert np.allclose(SileroVad()(audio), whole, atol=1e-5)


def test_speech_is_likely_and_silence_is_not(audio):
    probabilities = SileroVad()(audio)
    assert (probabilities[:10] < 0.3).all()  # 0.4 s of it
    assert np.median(probabilities) > 0.9
    assert SileroVad()(np.zeros(512 * 50, np.float32)).max() < 0.3


# ── the state is set back after quiet ──


def quiet(seconds, level, seed=3):
    noise = (
        np.random.default_rng(seed).normal(0, level, int(seconds * RATE)) if level else np.zeros(int(seconds * RATE))
    )
    return noise.astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 0.001, 0.01])
def test_speech_after_two_minutes_of_quiet_is_found_as_it_is_alone(audio, level):
    lead = quiet(120, level)
    assert len(lead) % 512 == 0
    alone = spans(audio)
    after = [(start - len(lead), end - len(lead)) for start, end in spans(lead, audio)]
    assert len(after) == len(alone) == 4
    for found, expected in zip(after, alone, strict=True):
        assert found == pytest.approx(expected, abs=3 * 512)


def test_speech_between_silences_is_found_again_and_again(audio):
    parts = [audio, quiet(40, 0), audio, quiet(70, 0.001), audio]
    assert len(spans(*parts)) == 12


def test_after_quiet_the_model_is_as_it_was_at_first(audio):
    lead = np.zeros(157 * 512, np.float32)
    assert np.allclose(SileroVad()(np.concatenate([lead, audio]))[157:], SileroVad()(audio), atol=1e-5)


def test_without_so_much_quiet_nothing_is_set_back(audio, monkeypatch):
    pause = np.zeros(100 * 512, np.float32)
    both = np.concatenate([audio, pause, audio])
    found = SileroVad()(both)
    monkeypatch.setattr(silero_vad, "FORGET", 10**9)
    assert np.array_equal(SileroVad()(both), found)


@settings(max_examples=examples(15))
@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 90), max_size=20),
    st.sampled_from([7, 20, 157]),
    st.sampled_from([5, 16, 157]),
)
def test_calls_of_any_length_are_one_call_across_quiet(audio, pause, lengths, forget, at_once):
    whole = np.concatenate([audio[: 512 * 40], np.zeros(512 * pause, np.float32), audio[512 * 20 : 512 * 60]])
    borders = [border * 512 for border in np.cumsum(lengths) if border * 512 < len(whole)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(silero_vad, "FORGET", forget)
        expected = SileroVad()(whole)
        patch.setattr(silero_vad, "_AT_ONCE", at_once)
        make_vad = SileroVad()
        found = np.concatenate([make_vad(part) for part in np.split(whole, borders)])
    assert np.allclose(found, expected, atol=1e-5)


def spans(*parts):
    """Where speech is in *parts*, one after the other."""
    return [(each.start, each.end) for each in segments(parts, SileroVad(), ActivityPolicy())]


def test_judges_do_not_share_their_state(audio):
    first, second = SileroVad(), SileroVad()
    expected = SileroVad()(audio[: 512 * 40])
    second(audio)
    assert np.allclose(first(audio[: 512 * 40]), expected, atol=1e-5)


def test_odd_lengths():
    assert SileroVad()(np.zeros(0, np.float32)).shape == (0,)
    with pytest.raises(ValueError, match="512"):
        SileroVad()(np.zeros(100, np.float32))


def test_a_missing_model_says_so(monkeypatch):
    monkeypatch.setattr(silero_vad, "find_spec", lambda _: None)
    with pytest.raises(EngineUnavailable, match="Silero"):
        silero_vad.model_path()

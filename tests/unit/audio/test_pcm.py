"""Raw bytes become the same samples however they are cut, at every rate."""

from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.pcm import Encoding, PcmDecoder, Resampler, samples_of
from sottovoce.errors import Kind, Refused
from sottovoce.request import MAX_RATE, MIN_RATE
from sottovoce.transcript.model import RATE
from tests.examples import examples

RATES = [8_000, 11_025, 12_000, 16_000, 22_050, 44_100, 48_000, 44_099]


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).uniform(-0.8, 0.8, n).astype(np.float32)


def whole(decoder: PcmDecoder, pieces) -> np.ndarray:
    return np.concatenate([*(decoder.push(piece) for piece in pieces), decoder.flush()])


def test_signed_16_bit():
    data = np.array([0, 1, -1, 32_767, -32_768], "<i2").tobytes()
    assert samples_of(data, Encoding.PCM_S16LE).tolist() == [0, 1 / 32_768, -1 / 32_768, 32_767 / 32_768, -1]


def test_float_is_made_ordinary():
    data = np.array([0.25, np.nan, np.inf, -np.inf, -3, 1e-9], "<f4").tobytes()
    assert samples_of(data, Encoding.PCM_F32LE).tolist() == pytest.approx([0.25, 0, 1, -1, -1, 1e-9])


def test_mulaw_is_what_the_codec_library_says():
    codes = bytes(range(256))
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    (frame,) = decoder.decode(av.Packet(codes))
    assert samples_of(codes, Encoding.MULAW).tolist() == (frame.to_ndarray()[0] / 32_768).tolist()


@pytest.mark.parametrize("rate", RATES)
def test_length_follows_the_rate(rate):
    lane = Resampler(rate)
    audio = noise(rate + 7)[None]
    got = lane.push(audio).shape[1] + lane.flush().shape[1]
    assert abs(got - (rate + 7) * RATE / rate) < 2


@settings(deadline=None, max_examples=examples(60))
@given(
    rate=st.sampled_from(RATES),
    encoding=st.sampled_from(list(Encoding)),
    n=st.integers(0, 4_000),
    cuts=st.lists(st.integers(0, 16_000), max_size=30),
)
def test_cutting_the_bytes_changes_nothing(rate, encoding, n, cuts):
    audio = noise(n)
    data = {
        Encoding.PCM_S16LE: (audio * 32_767).astype("<i2").tobytes(),
        Encoding.PCM_F32LE: audio.astype("<f4").tobytes(),
        Encoding.MULAW: (audio * 127).astype(np.int8).tobytes(),
    }[encoding]
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(at)]
    cut = whole(PcmDecoder(encoding, rate), pieces)
    uncut = whole(PcmDecoder(encoding, rate), [data])
    assert cut.dtype == np.float32
    assert cut.shape == uncut.shape
    assert np.allclose(cut, uncut, atol=2e-5)


@settings(deadline=None, max_examples=examples(20))
@given(rate=st.sampled_from(RATES), cuts=st.lists(st.integers(0, 9_000), max_size=20))
def test_channels_do_not_mix(rate, cuts):
    audio = np.stack([noise(9_000), np.zeros(9_000, np.float32), -noise(9_000)])
    both = Resampler(rate, 3)
    at = [0, *sorted(cuts), 9_000]
    out = np.concatenate([*(both.push(audio[:, a:b]) for a, b in pairwise(at)), both.flush()], axis=1)
    alone = Resampler(rate)
    expected = np.concatenate([alone.push(audio[:1]), alone.flush()], axis=1)
    assert np.allclose(out[0], expected[0], atol=2e-5)
    assert not out[1].any()
    assert np.allclose(out[0], -out[2], atol=2e-5)


def test_half_a_sample_waits_and_is_dropped_at_the_end():
    decoder = PcmDecoder(Encoding.PCM_S16LE, RATE)
    assert len(decoder.push(b"\x00")) == 0
    assert decoder.push(b"\x40\x00").tolist() == [0.5]
    assert len(decoder.flush()) == 0


@pytest.mark.parametrize("rate", [-1, 0, MIN_RATE - 1, MAX_RATE + 1, 2**40])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(Refused) as refusal:
        PcmDecoder(Encoding.PCM_S16LE, rate)
    assert (refusal.value.kind, refusal.value.at) == (Kind.INVALID_CONFIG, "audio_format.sample_rate")
    with pytest.raises(ValueError, match="resample"):
        Resampler(rate)

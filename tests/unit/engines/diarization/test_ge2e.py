"""The voice encoder: its spectra and network against known values, and voices told apart by a made-up one."""

import itertools
import math
import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sottovoce.audio.activity import Speech
from sottovoce.engines.diarization.ge2e import clustering, mel, voiceprint
from sottovoce.engines.diarization.ge2e.clustering import clusters
from sottovoce.engines.diarization.ge2e.diarizer import Ge2eDiarizer, offer
from sottovoce.engines.diarization.ge2e.mel import mel_bank, mel_spectrum
from sottovoce.engines.diarization.ge2e.network import LAYERS, SIZE, VoiceNet
from sottovoce.engines.diarization.ge2e.turns import CELL, turns
from sottovoce.engines.diarization.ge2e.windows import Heard, hear
from sottovoce.engines.diarization.pitch import median_pitch
from sottovoce.engines.models.catalogue import OWN_GRADE, VOICE_ENCODER
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import DiarizationHints, Diarized, Skill, Turn
from sottovoce.errors import EngineUnavailable
from tests.tiny_voice_encoder import hears_bands, random_weights, write

RATE = 16_000
DEFAULT = DiarizationHints()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "bands", hears_bands())


@pytest.fixture(scope="module")
def diarizer(folder) -> Ge2eDiarizer:
    return Ge2eDiarizer(folder)


def noise(seconds: float, low: float, high: float, *, seed: int = 0, level: float = 0.1):
    """A voice for the encoder that hears bands."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=round(seconds * RATE)))
    at = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum[(at < low) | (at > high)] = 0
    audio = np.fft.irfft(spectrum, round(seconds * RATE))
    return (level * audio / audio.std()).astype(np.float32)


def low(seconds: float, **more):
    return noise(seconds, 100, 700, **more)


def high(seconds: float, **more):
    return noise(seconds, 2000, 5000, **more)


def said(*stretches, gap: float = 1.0) -> list[Speech]:
    """Stretches of speech with silence between them."""
    starts = itertools.accumulate((len(each) + round(gap * RATE) for each in stretches), initial=RATE)
    return [Speech(start=start, audio=audio) for start, audio in zip(starts, stretches, strict=False)]


# ── spectra ──


def test_the_bands_are_slaney_s_by_hand():
    bank = mel_bank()
    # 41 steps up to 15 + 27 ln 8 / ln 6.4 mels, of 200/3 Hz each below 1 kHz
    step = (15 + 27 * math.log(8) / math.log(6.4)) / 41 * 200 / 3
    assert bank.shape == (40, 201)
    assert bank[0, 1] == pytest.approx(40 / step * (2 / (2 * step)), rel=1e-5)
    assert bank[0, 2] == pytest.approx((2 * step - 80) / step * (2 / (2 * step)), rel=1e-5)
    assert not bank[0, 4:].any()
    assert bank[:, 0].tolist() == [0.0] * 40
    assert bank[-1, 200] == pytest.approx(0.0, abs=1e-9)
    assert (bank[20:].sum(axis=1) * 40).tolist() == pytest.approx([1.0] * 20, abs=0.05)  # areas, as far as 40 Hz tell


def test_a_tone_s_power_is_where_and_what_it_should_be():
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
    found = mel_spectrum(tone)
    assert found.shape == (101, 40)
    # amplitude a under Hann's window of 400: a / 2 * 200 at its frequency, half of that at its two neighbours
    expected = mel_bank()[:, 24:27] @ np.array([25.0**2, 50.0**2, 25.0**2])
    assert found[50].tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


def test_frames_beyond_the_ends_are_silent_and_length_is_no_matter():
    assert mel_spectrum(np.zeros(0, np.float32)).shape == (1, 40)
    assert mel_spectrum(np.zeros(1, np.float32)).shape == (1, 40)
    assert mel_spectrum(np.zeros(160, np.float32)).shape == (2, 40)
    long = noise(40, 100, 7000)
    whole = mel_spectrum(long)  # more than one transform
    assert np.array_equal(whole[3100:3200], mel_spectrum(long)[3100:3200])
    part = mel_spectrum(long[3000 * 160 : 3300 * 160])
    assert np.allclose(part[2:-2], whole[3002:3299], rtol=1e-4, atol=1e-6)
    assert mel.mel_bank() is mel.mel_bank()


# ── network ──


def reference(weights, mels):
    """The same network, of onnxruntime's own LSTM."""
    order = [0, 3, 1, 2]  # PyTorch: in, forget, cell, out; ONNX: in, out, forget, cell
    initial: dict[str, np.ndarray] = {}
    nodes, before = [], "mels"
    for layer in range(LAYERS):

        def gates(name, layer=layer):
            tensor = weights[f"lstm.{name}_l{layer}"]
            return tensor.reshape(4, SIZE, *tensor.shape[1:])[order].reshape(1, *tensor.shape)

        initial |= {f"w{layer}": gates("weight_ih"), f"r{layer}": gates("weight_hh")}
        initial[f"b{layer}"] = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
        inputs = [before, f"w{layer}", f"r{layer}", f"b{layer}"]
        nodes.append(helper.make_node("LSTM", inputs, [f"y{layer}", f"h{layer}", f"c{layer}"], hidden_size=SIZE))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "one"], [f"s{layer}"]))
        before = f"s{layer}"
    initial |= {"one": np.array([1], np.int64), "zero": np.array([0], np.int64)}
    initial |= {"weight": weights["linear.weight"], "bias": weights["linear.bias"]}
    nodes += [
        helper.make_node("Squeeze", [f"h{LAYERS - 1}", "zero"], ["last"]),
        helper.make_node("Gemm", ["last", "weight", "bias"], ["linear"], transB=1),
        helper.make_node("Relu", ["linear"], ["cut"]),
        helper.make_node("LpNormalization", ["cut"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "voice",
        [helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["frames", "n", 40])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", SIZE])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in initial.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"mels": np.ascontiguousarray(mels.transpose(1, 0, 2))})[0]


@pytest.mark.parametrize("form", ["zip", "row"])
def test_the_network_answers_as_onnxruntime_s_lstm(tmp_path, form):
    weights = random_weights()
    net = VoiceNet(write(tmp_path, weights, form=form, name="pretrained.pt") / "pretrained.pt")
    mels = np.random.default_rng(1).exponential(0.5, (66, 6, 40)).astype(np.float32)  # more than one run
    found = net.embed(mels)
    assert found.shape == (66, SIZE)
    assert np.allclose(found, reference(weights, mels), atol=1e-5)
    assert np.array_equal(found, net.embed(mels))


def test_embeddings_have_length_1_even_of_nothing(tmp_path):
    weights = random_weights()
    weights["linear.bias"][:] = -1e6
    net = VoiceNet(write(tmp_path, weights) / "encoder.pt")
    assert np.linalg.norm(net.embed(np.ones((2, 5, 40), np.float32)), axis=1).tolist() == pytest.approx([1, 1])
    assert net.embed(np.zeros((0, 160, 40), np.float32)).shape == (0, SIZE)


# ── clusters ──


def group(count: int, each: int, *, spread: float = 0.3, seed: int = 0):
    rng = np.random.default_rng(seed)
    middles = np.eye(32)[:count]
    found = np.repeat(middles, each, axis=0) + spread * rng.normal(size=(count * each, 32)) / math.sqrt(32)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_as_many_clusters_are_found_as_there_are(count):
    labels = clusters(group(count, 20), 0.4, 100)
    assert labels.tolist() == np.repeat(np.arange(count), 20).tolist()


def test_clusters_of_many_blocks_are_those_of_one(monkeypatch):
    embeddings = group(5, 60)[np.random.default_rng(3).permutation(300)]
    whole = clusters(embeddings, 0.4, 100)
    monkeypatch.setattr(clustering, "BLOCK", 40)
    monkeypatch.setattr(clustering, "_KEPT", 5)
    assert clusters(embeddings, 0.4, 100).tolist() == whole.tolist()
    assert whole.max() == 4


def test_what_is_alike_to_nothing_still_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(clustering, "BLOCK", 40)
    monkeypatch.setattr(clustering, "_KEPT", 5)
    assert clusters(np.eye(300, dtype=np.float16), 0.1, 8).max() == 7
    assert clusters(np.eye(30, dtype=np.float16), 0.1, 8).max() == 7
    assert clusters(np.eye(30, dtype=np.float16), 0.1, 100).max() == 29


def test_the_mean_distance_decides():
    """By hand: 0 and 1 are 0.2 apart; 2 is 0.5 and 0.7 from them, 0.6 in the mean."""
    angles = np.arccos([1.0, 0.8])
    one, other = np.array([1.0, 0.0]), np.array([math.cos(angles[1]), math.sin(angles[1])])
    third = np.array([0.5, -math.sqrt(0.75)])
    mean = ((1 - one @ third) + (1 - other @ third)) / 2
    three = np.stack([one, other, third])
    assert clusters(three, 0.19, 9).tolist() == [0, 1, 2]
    assert clusters(three, 0.21, 9).tolist() == [0, 0, 1]
    assert clusters(three, mean - 0.01, 9).tolist() == [0, 0, 1]
    assert clusters(three, mean + 0.01, 9).tolist() == [0, 0, 0]
    assert clusters(three, 0.0, 2).tolist() == [0, 0, 1]
    assert clusters(three[:1], 0.5, 9).tolist() == [0]


# ── windows and turns ──


class Deaf:
    """A network that hears nothing."""

    def embed(self, mels):
        assert mels.shape[1:] == (160, 40)
        return np.full((len(mels), 4), 0.5, np.float32)


def test_windows_cover_each_stretch_and_share_it_out():
    speech = said(low(1.0), low(1.6), low(3.13), low(0.005), np.zeros(0, np.float32))
    heard = hear(Deaf(), speech)
    assert heard.spans.tolist() == [[each.start, each.end] for each in speech[:4]]
    assert np.bincount(heard.stretch).tolist() == [1, 1, 5, 1]
    for number, (start, end) in enumerate(heard.spans.tolist()):
        mine = heard.bounds[heard.stretch == number]
        assert (mine[0, 0], mine[-1, 1]) == (start, end)
        assert heard.shares[heard.stretch == number].sum() == end - start
    assert (np.diff(heard.bounds[2:7, 0])[:-1] == 6_400).all()
    assert len(hear(Deaf(), [])) == 0


def windows(*voices: int, start: int = 0) -> tuple[Heard, np.ndarray]:
    """One stretch in windows of which each has its voice."""
    bounds = np.array([[start + 6_400 * at, start + 6_400 * at + 25_600] for at in range(len(voices))])
    heard = Heard(
        spans=np.array([[start, bounds[-1, 1]]]),
        bounds=bounds,
        stretch=np.zeros(len(voices), np.int64),
        embeddings=np.zeros((len(voices), 1), np.float16),
        pitch=np.zeros(len(voices), np.float32),
    )
    return heard, np.array(voices)


def test_a_change_lies_between_the_windows_that_it_is_between():
    found = turns(*windows(0, 0, 0, 0, 2, 2, 2, 2, start=800), 1.0)
    middle = 800 + (6_400 * 3 + 6_400 * 4 + 25_600) // 2
    assert [turn.voice for turn in found] == [0, 2]
    assert abs(found[0].end - middle) <= CELL
    assert (found[0].start, found[0].end, found[1].end) == (800, found[1].start, 800 + 6_400 * 7 + 25_600)


def test_who_is_reluctant_overhears_a_slip():
    slip = windows(0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    assert [turn.voice for turn in turns(*slip, 1.0)] == [0, 1, 0]
    assert [turn.voice for turn in turns(*slip, 10.0)] == [0]


# ── prints ──


def vector(*largest: int) -> np.ndarray:
    found = np.full(SIZE, 0.01, np.float32)
    found[list(largest)] = 1.0
    return found


def test_a_print_keeps_the_voice_and_how_long_it_was_heard():
    data = voiceprint.written(vector(3), 5 * RATE)
    found = voiceprint.read(data)
    assert len(data) == 517
    assert found.seconds == 5.0
    assert np.allclose(found.vector, vector(3) / np.linalg.norm(vector(3)), atol=1e-3)


def test_likeness_goes_from_one_voice_to_another(diarizer):
    own, near, far = (voiceprint.written(vector(*each), 60 * RATE) for each in ((1, 2), (1, 3), (4, 5)))
    assert diarizer.similarity(own, own) > 0.98
    assert diarizer.similarity(own, near) < 0.05
    assert diarizer.similarity(own, far) < 0.001
    assert diarizer.similarity(own, near) == diarizer.similarity(near, own)


def test_less_speech_makes_the_same_distance_less_of_a_difference(diarizer):
    long = [voiceprint.written(vector(1, 2, 3, at), 60 * RATE) for at in (4, 5)]
    short = [voiceprint.written(vector(1, 2, 3, at), 2 * RATE) for at in (4, 5)]
    assert diarizer.similarity(*short) > diarizer.similarity(*long) + 0.1


GOOD = voiceprint.written(vector(1), RATE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        b"\2" + GOOD[1:],
        GOOD[:1] + struct.pack("<f", 0.0) + GOOD[5:],
        GOOD[:1] + struct.pack("<f", -1.0) + GOOD[5:],
        GOOD[:1] + struct.pack("<f", math.inf) + GOOD[5:],
        GOOD[:1] + struct.pack("<f", math.nan) + GOOD[5:],
        GOOD[:5] + bytes(512),
        GOOD[:5] + np.full(SIZE, np.nan, "<f2").tobytes(),
        GOOD[:5] + np.full(SIZE, np.inf, "<f2").tobytes(),
        GOOD[:5] + np.full(SIZE, 60_000, "<f2").tobytes(),
    ],
)
def test_what_is_no_print_is_refused(diarizer, data):
    with pytest.raises(ValueError, match="no voice print"):
        diarizer.similarity(GOOD, data)
    with pytest.raises(ValueError, match="no voice print"):
        diarizer.similarity(data, GOOD)


# ── pitch ──


def hum(hertz: float, seconds: float = 1.0):
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.05 * sum(np.sin(2 * np.pi * hertz * part * at) / part for part in range(1, 9))).astype(np.float32)


@pytest.mark.parametrize("hertz", [65, 90, 140, 210, 300, 380])
def test_pitch_is_heard_to_one_percent(hertz):
    assert median_pitch(hum(hertz)) == pytest.approx(hertz, rel=0.01)


def test_the_median_goes_to_the_longer_sound():
    audio = np.concatenate([hum(100, 2.0), np.zeros(RATE, np.float32), hum(250, 1.0)])
    assert median_pitch(audio) == pytest.approx(100, rel=0.012)


@pytest.mark.parametrize(
    "audio", [np.zeros(RATE), np.zeros(0), np.zeros(1), hum(100, 0.1), np.full(RATE, 0.5), noise(1, 50, 8000)]
)
def test_what_has_no_voice_has_no_pitch(audio):
    assert median_pitch(audio.astype(np.float32)) is None


# ── the diarizer ──


def test_two_voices_are_told_apart_within_and_across_stretches(diarizer):
    talk = np.concatenate([low(4.0), high(5.0, seed=1)])
    speech = said(talk, low(3.0, seed=2), high(2.5, seed=3), low(0.4, seed=4))
    found = diarizer.diarize(lambda: iter(speech), DEFAULT)
    assert [turn.voice for turn in found.turns] == [0, 1, 0, 1, 0]
    assert abs(found.turns[0].end - (speech[0].start + 4 * RATE)) < RATE // 4
    assert found.turns[1].end == speech[0].end
    assert [(turn.start, turn.end) for turn in found.turns[2:]] == [(each.start, each.end) for each in speech[1:]]
    one, other = (each.voiceprint for each in found.voices)
    assert diarizer.similarity(one, one) > 0.9
    assert diarizer.similarity(one, other) < 0.1


def test_the_same_speech_gives_the_same_answer(diarizer):
    speech = said(np.concatenate([low(4.0), high(3.0)]), high(2.0, seed=5))
    assert diarizer.diarize(lambda: iter(speech), DEFAULT) == diarizer.diarize(lambda: iter(speech), DEFAULT)


def test_loudness_is_no_voice(diarizer):
    speech = said(low(3.0, level=0.3), low(3.0, level=0.003, seed=1))
    assert len(diarizer.diarize(lambda: iter(speech), DEFAULT).voices) == 1


def test_a_slip_is_no_speaker_but_a_short_recording_has_one(diarizer):
    speech = said(low(5.0), high(1.3))
    assert [turn.voice for turn in diarizer.diarize(lambda: iter(speech), DEFAULT).turns] == [0, 0]
    assert len(diarizer.diarize(lambda: iter(said(high(0.5))), DEFAULT).voices) == 1


def test_sensitivity_moves_how_many_voices_are_found(diarizer):
    speech = said(*(noise(3.0, 100 + 120 * at, 500 + 120 * at, seed=at) for at in range(6)))
    counts = [
        len(diarizer.diarize(lambda: iter(speech), DiarizationHints(sensitivity=each)).voices)
        for each in (0.0, 0.5, 1.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_who_prefers_the_current_speaker_hears_fewer_changes(diarizer):
    talk = np.concatenate([low(4.0), high(1.2), low(4.0), high(4.0)])
    ready, reluctant = (
        diarizer.diarize(lambda: iter(said(talk)), DiarizationHints(prefer_current=each)).turns
        for each in (False, True)
    )
    assert len(ready) == 4
    assert len(reluctant) == 2


@pytest.mark.parametrize("speech", [[], [Speech(start=0, audio=np.zeros(0, np.float32))]])
def test_no_speech_has_no_turns(diarizer, speech):
    assert diarizer.diarize(lambda: iter(speech), DEFAULT) == Diarized()


@pytest.mark.parametrize("audio", [np.ones(1), np.zeros(3 * RATE), np.full(RATE, np.nan), np.full(2 * RATE, 1e30)])
def test_any_audio_is_somebody(diarizer, audio):
    found = diarizer.diarize(lambda: iter([Speech(start=7, audio=audio.astype(np.float32))]), DEFAULT)
    assert found.turns == (Turn(start=7, end=7 + len(audio), voice=0),)
    assert diarizer.similarity(found.voices[0].voiceprint, found.voices[0].voiceprint) > 0.9
    assert found.voices[0].pitch is None


def test_a_voice_has_its_pitch(diarizer):
    found = diarizer.diarize(lambda: iter(said(hum(120, 3.0))), DEFAULT)
    assert found.voices[0].pitch == pytest.approx(120, rel=0.02)


def test_speech_is_listened_to_once_and_let_go(diarizer):
    alive = 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            if self.base is None:
                alive -= 1

    def listen():
        nonlocal alive
        for number in range(6):
            alive += 1
            assert alive <= 2
            audio = low(2.0, seed=number)
            counted = Counted(audio.shape, audio.dtype)
            counted[:] = audio
            stretch = Speech(start=number * 3 * RATE, audio=counted)
            del audio, counted
            yield stretch

    assert len(diarizer.diarize(listen, DEFAULT).turns) == 6


# ── the folder ──


def test_a_model_on_the_shelf_is_offered_for_what_it_can(folder):
    model = next(each for each in ModelStore(folder.parent).present() if each.name == "bands")
    found = offer(model)
    assert model.engine == found.engine == VOICE_ENCODER
    assert (found.model, found.languages, found.skills) == ("bands", frozenset(), {Skill.DIARIZATION})
    assert (found.voiceprints, found.grade, found.device) == ("ge2e-256-1", OWN_GRADE, "cpu")
    assert Ge2eDiarizer(folder, found).capabilities is found
    assert Ge2eDiarizer(folder).capabilities.voiceprints == found.voiceprints


def test_files_that_are_none_are_refused_without_a_path(tmp_path):
    with pytest.raises(EngineUnavailable, match=r"lacks encoder\.pt or pretrained\.pt") as refused:
        Ge2eDiarizer(tmp_path)
    assert str(tmp_path) not in str(refused.value)
    (tmp_path / "encoder.pt").write_bytes(b"rubbish")
    with pytest.raises(EngineUnavailable, match=r"encoder\.pt of .* is no voice encoder") as refused:
        Ge2eDiarizer(tmp_path)
    assert str(tmp_path) not in str(refused.value)
    weights = random_weights()
    weights["linear.weight"] = weights["linear.weight"][:128]
    with pytest.raises(EngineUnavailable, match=r"linear\.weight of 256x256"):
        Ge2eDiarizer(write(tmp_path, weights))

"""Without speech there are no words; what is said after it is found; what makes no sense is left out and told."""

import numpy as np
import pytest

from bench.recognition import sounds
from sottovoce.transcript.model import RATE
from tests.recognition.material import DEMO, errors, heard, load, write

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def demo_audio():
    return load(DEMO)


def quiet(seconds, level=0.0):
    noise = np.random.default_rng(5).normal(0, 1, round(seconds * RATE))
    return (level * noise).astype(np.float32)


def test_three_minutes_of_silence_have_no_words(service, tmp_path):
    said = service(write(tmp_path / "silence.wav", quiet(180)))
    assert said.text == ""


@pytest.mark.parametrize("level", [0.0005, 0.01, 0.1])
def test_white_noise_has_no_words(base, tiny, level):
    audio = quiet(30, level)
    assert heard(base, audio).text == ""
    assert heard(tiny, audio).text == ""


@pytest.mark.parametrize("model", ["base", "tiny"])
def test_hum_chords_drums_and_clicks_have_no_words(request, demo_audio, model):
    engine = request.getfixturevalue(model)
    silent = [each for each in sounds.items({"demo": demo_audio}, seed=3) if each.group == sounds.SILENT]
    assert {"hum 50 Hz", "chords", "drums", "clicks", "breath"} <= {each.name for each in silent}
    assert {each.name: text for each in silent if (text := heard(engine, each.audio).text)} == {}


@pytest.mark.parametrize("model", ["base", "tiny"])
@pytest.mark.parametrize("level", [0.0, 0.002])
def test_speech_after_three_minutes_of_quiet_is_found(request, demo_audio, demo_text, model, level):
    engine = request.getfixturevalue(model)
    said = heard(engine, np.concatenate([quiet(180, level), demo_audio]))
    assert errors(demo_text, said) <= 2, said.text
    assert said.notes == ()


@pytest.mark.parametrize("model", ["base", "tiny"])
def test_speech_played_backwards_is_not_guessed_at(request, demo_audio, model):
    said = heard(request.getfixturevalue(model), demo_audio[8 * RATE :: -1].copy())
    assert len(said.tokens()) <= 2
    assert any(note.startswith("no words in") for note in said.notes)


def test_fragments_of_speech_have_no_invented_sentences(tiny, demo_audio):
    for milliseconds in (10, 50, 200, 500):
        cut = demo_audio[2 * RATE : 2 * RATE + RATE * milliseconds // 1_000]
        assert len(heard(tiny, cut).tokens()) <= 3

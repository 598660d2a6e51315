"""Moonshine with real weights: files and sessions, sounds without speech, and decodes that begin with known tokens."""

from itertools import pairwise

import numpy as np
import pytest

from bench.recognition import sounds
from sottovoce.engines import registry
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Hints, LiveWord, Skill
from sottovoce.errors import EngineUnavailable
from sottovoce.pipeline.live import events
from sottovoce.request import OperatingPoint
from sottovoce.transcript.model import RATE, Word
from tests.recognition.material import DEMO, converse, errors, final_text, heard, load, spoken

pytestmark = pytest.mark.weights

KEY = EngineKey(engine="moonshine", model="moonshine-tiny-en")


@pytest.fixture(scope="module")
def config(real_moonshine):
    return EngineConfig(models=real_moonshine)


@pytest.fixture(scope="module")
def moonshine(config):
    return registry.load(Skill.TRANSCRIPTION, KEY, config)


@pytest.fixture(scope="module")
def live(config):
    return registry.load(Skill.LIVE, KEY, config)


@pytest.fixture(scope="module")
def demo_audio():
    return load(DEMO)


# ── files ──


def test_the_demo_is_right_but_for_two_words(moonshine, demo_audio, demo_text):
    said = heard(moonshine, demo_audio)
    assert errors(demo_text, said) <= 2, said.text
    assert said.text[0].isupper()
    assert said.text.endswith(".")
    assert not said.notes


def test_the_words_of_a_file_are_in_order_and_have_confidences(moonshine, demo_audio):
    from sottovoce.audio import activity

    speech = activity.segments([demo_audio], SileroVad(), moonshine.activity)
    found = [item for each in moonshine.recognize(speech, Hints(language="en")) for item in each.items]
    words = [item for item in found if isinstance(item, Word)]
    assert all(word.start < word.end for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(word.confidence is not None and 0.0 <= word.confidence <= 1.0 for word in words)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ("misc/jfk.flac", 0),
        ("moonshine/beckett.wav", 0),
        ("moonshine/two_cities_16k.wav", 4),
        ("speechmatics/audio_01_16kHz.wav", 6),
    ],
)
def test_no_more_words_are_wrong_than_were(moonshine, rows, file, wrong):
    said = heard(moonshine, load(rows[file].path))
    assert errors(spoken(rows[file]), said) <= wrong + 2, said.text


def test_another_language_is_refused(moonshine, live):
    with pytest.raises(EngineUnavailable, match="does not support the language 'de'"):
        next(iter(moonshine.recognize([], Hints(language="de"))))
    with pytest.raises(EngineUnavailable):
        live.open(Hints(language="fr"))


# ── sounds without speech ──


def test_what_is_no_speech_has_no_words(moonshine, demo_audio):
    silent = [each for each in sounds.items({"demo": demo_audio}, seed=3) if each.group == sounds.SILENT]
    assert {each.name: text for each in silent if (text := heard(moonshine, each.audio).text)} == {}


def test_speech_played_backwards_is_not_guessed_at(moonshine, demo_audio):
    said = heard(moonshine, demo_audio[::-1].copy())
    assert len(said.tokens()) <= 3, said.text


def test_a_loop_of_the_model_is_not_a_transcript(moonshine, demo_audio):
    voices = [demo_audio, demo_audio[::-1], np.roll(demo_audio, 5 * RATE)]
    babble = sounds.babble(voices, np.random.default_rng(2), 12.0)
    said = heard(moonshine, babble).tokens()
    assert len(set(said)) >= len(said) / 2


# ── decodes ──


def test_the_model_goes_on_after_the_tokens_that_it_is_given(moonshine, demo_audio):
    model = moonshine.engine.model
    encoded = model.encode(demo_audio[: 6 * RATE])
    alone = model.write(encoded)
    assert alone.whole
    assert len(alone.tokens) == len(alone.probabilities) > 10
    half = len(alone.tokens) // 2
    assert model.write(encoded, alone.tokens[:half]).tokens == alone.tokens[half:]


def test_a_text_has_an_end(moonshine, demo_audio):
    """Without zeros after a cut, a decode may go on for ever; it is stopped."""
    model = moonshine.engine.model
    encoded = model.encode(demo_audio[: RATE // 2])
    looping = model.write(encoded, model.tokenizer.encode(" the end of the end of the end of the") * 3)
    assert len(looping.tokens) <= 8


def test_the_tokens_of_a_text_are_those_that_the_model_writes(moonshine, demo_audio):
    model = moonshine.engine.model
    written = model.write(model.encode(demo_audio[: 8 * RATE])).tokens
    tokenizer = model.tokenizer
    assert tokenizer.encode(" " + tokenizer.text(written)) == list(written)


# ── sessions ──


@pytest.mark.parametrize("max_delay", [0.7, 2.0])
def test_a_session_has_the_words_of_the_file(live, demo_audio, demo_text, max_delay):
    from tests.recognition.material import Said

    told = converse(live, np.concatenate([demo_audio, np.zeros(RATE, np.float32)]), max_delay=max_delay)
    said = Said(text=final_text(told), notes=())
    assert errors(demo_text, said) <= 3, said.text
    finals = [event for event in told if isinstance(event, events.Final)]
    assert all(before.end <= after.end for before, after in pairwise(finals))


def test_final_words_come_back_unchanged_and_new_ones_lie_after_them(live, demo_audio):
    stream = live.open(Hints(language="en"))
    first = stream.hypothesis(demo_audio[: 3 * RATE], (), closing=False).words
    final = first[: max(len(first) - 2, 1)]
    again = stream.hypothesis(demo_audio[: 4 * RATE], final, closing=False).words
    assert [word.start for word in again[: len(final)]] == [word.start for word in final]
    assert [word.text.rstrip(".,") for word in again[: len(final)]] == [word.text.rstrip(".,") for word in final]
    assert len(again) > len(final)
    assert all(word.start >= final[-1].end for word in again[len(final) :])


def test_letters_that_would_change_a_final_word_are_left_out(live, demo_audio):
    stream = live.open(Hints(language="en"))
    (first, *_) = stream.hypothesis(demo_audio[: 2 * RATE], (), closing=False).words
    cut = LiveWord(text=first.text[:2], start=first.start, end=first.end, probability=1.0)
    again = stream.hypothesis(demo_audio[: 2 * RATE], [cut], closing=False).words
    assert again[0].text.rstrip(".,") == cut.text


def test_noise_is_doubtful_and_too_little_audio_has_no_words(live):
    stream = live.open(Hints(language="en"))
    noise = (0.05 * np.random.default_rng(4).normal(0, 1, 3 * RATE)).astype(np.float32)
    found = stream.hypothesis(noise, (), closing=False)
    assert found.doubtful or not found.words
    assert stream.hypothesis(noise[:100], (), closing=True).words == ()


def test_a_segment_is_decoded_as_a_file(live, moonshine, demo_audio):
    stream = live.open(Hints(language="en"))
    from sottovoce.audio.activity import Span

    words = stream.whole(demo_audio[: 6 * RATE], (Span(start=RATE // 2, end=6 * RATE),))
    assert len(words) >= 8
    assert stream.items(words)


# ── choice ──


def test_moonshine_is_used_when_a_setting_names_it(real_moonshine):
    offers = registry.offered(
        EngineConfig(models=real_moonshine, pinned={OperatingPoint.STANDARD: "moonshine-tiny-en"})
    )
    for skill in (Skill.TRANSCRIPTION, Skill.LIVE):
        assert registry.choose("en", OperatingPoint.STANDARD, offers, skill).model == "moonshine-tiny-en"

"""Quiet speech is raised, usual levels and steady noise are not."""

import numpy as np
import pytest

from sottovoce.audio.activity import ActivityPolicy, Span, Speech, segments
from sottovoce.audio.media import decode
from sottovoce.audio.normalisation import LEVEL, VOICED, RunningGain, raised
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.transcript.model import RATE
from tests.media_files import tones
from tests.recognition.material import DEMO

FRAME = 512


def noise(seconds, level, seed=1):
    return (np.random.default_rng(seed).normal(0, 1, round(seconds * RATE)) * 10 ** (level / 20)).astype(np.float32)


def gains(audio):
    return RunningGain().gains(audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME))


def speechlike(level):
    return np.tile(tones(RATE), 6) * np.float32(10 ** (level / 20)) + noise(7.2, level - 50)


@pytest.mark.parametrize("level", [-20, -40, -60])
def test_quiet_audio_reaches_the_level(level):
    audio = speechlike(level)
    found = gains(audio)
    frames = audio[: len(found) * FRAME].reshape(-1, FRAME) * found[:, None]
    loud = np.percentile(10 * np.log10(np.mean(frames[40:] ** 2, axis=1) + 1e-12), 95)
    assert loud == pytest.approx(max(LEVEL, level - 12), abs=4) or found.max() == pytest.approx(100)


def test_audio_of_a_usual_level_is_left_alone():
    assert gains(speechlike(0))[20:].max() < 1.5


@pytest.mark.parametrize("level", [-20, -58, -80])
def test_steady_noise_and_silence_have_no_gain(level):
    assert gains(noise(40, level))[40:].max() == 1
    assert gains(np.zeros(40 * RATE, np.float32)).max() == 1
    assert len(RunningGain().gains(np.zeros((0, FRAME), np.float32))) == 0


def test_a_loud_sound_lowers_the_gain_at_once():
    audio = np.concatenate([speechlike(-50), speechlike(0)])
    found = gains(audio)
    at = round(7.2 * RATE) // FRAME
    frames = audio[: len(found) * FRAME].reshape(-1, FRAME) * found[:, None]
    assert found[at - 12 : at].max() > 30
    assert found[at + 3] < 3
    assert np.abs(frames[at + 2 :]).max() <= 1


def test_digital_silence_changes_nothing():
    audio = speechlike(-40)
    after = gains(np.concatenate([np.zeros(FRAME * 77, np.float32), audio]))[77:]
    assert np.array_equal(after, gains(audio))


def whole():
    return np.concatenate([block[0] for block in decode(DEMO)])


@pytest.mark.parametrize("level", [-40, -50, -60])
def test_quiet_speech_is_found_as_loud_speech_is(level):
    audio = whole()
    loud = list(segments([audio], SileroVad(), ActivityPolicy()))
    quiet = list(segments([audio * np.float32(10 ** (level / 20))], SileroVad(), ActivityPolicy()))
    assert sum(len(s.audio) for s in quiet) == pytest.approx(sum(len(s.audio) for s in loud), rel=0.08)


@pytest.mark.parametrize("level", [-70, -58, -40, -20])
def test_noise_is_not_speech_at_any_level(level):
    assert list(segments([noise(45, level)], SileroVad(), ActivityPolicy())) == []


# ── for the recogniser ──


def stretch(audio, *runs):
    return Speech(start=1_000, audio=audio.astype(np.float32), voiced=tuple(Span(start=a, end=b) for a, b in runs))


def test_a_quiet_stretch_is_raised_by_its_voiced_runs():
    voice = np.concatenate([np.zeros(8_000), 0.001 * np.sin(np.arange(16_000) / 5), np.zeros(8_000)])
    (found,) = raised([stretch(voice, (9_000, 25_000))])
    assert 10 * np.log10(np.mean(found.audio[8_000:24_000] ** 2)) == pytest.approx(VOICED, abs=0.1)
    assert (found.start, found.voiced) == (1_000, (Span(start=9_000, end=25_000),))
    clicked = voice.copy()
    clicked[100] = 0.5
    (found,) = raised([stretch(clicked, (9_000, 25_000))])
    assert np.abs(found.audio).max() == pytest.approx(0.9)


def test_other_stretches_are_not_changed():
    loud = stretch(0.1 * np.sin(np.arange(16_000) / 5))
    silent = stretch(np.zeros(16_000))
    empty = stretch(np.zeros(0))
    assert [a is b for a, b in zip(raised([loud, silent, empty]), [loud, silent, empty], strict=True)] == [True] * 3

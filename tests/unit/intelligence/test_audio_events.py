"""Audio events: the rules of contract §7.9, and what the spectrum can tell."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.intelligence import audio_events
from sottovoce.intelligence.audio_events import AudioEvent, merged, silences
from sottovoce.intelligence.backends.builtin.music import MusicDetector, held
from sottovoce.transcript.model import RATE
from tests.unit.intelligence.talk import items, scene, transcript

FIXTURES = Path(__file__).parents[2] / "fixtures" / "audio"


def event(start: float, end: float, kind: str = "music", confidence: float = 0.8) -> AudioEvent:
    return AudioEvent(type=kind, start=round(start * RATE), end=round(end * RATE), confidence=confidence)


def test_events_of_one_type_closer_than_a_second_are_one_and_types_may_overlap():
    found = merged([event(0, 2), event(2.9, 4, confidence=0.5), event(5, 6), event(1, 9, "applause")])
    assert [(each.type, each.start / RATE, each.end / RATE) for each in found] == [
        ("music", 0, 4),
        ("applause", 1, 9),
        ("music", 5, 6),
    ]
    assert 0.5 < found[0].confidence < 0.8


def test_silence_is_a_second_without_anything():
    spans = [(RATE, 2 * RATE), (2 * RATE + 100, 3 * RATE), (5 * RATE, 6 * RATE)]
    assert silences(spans, 10 * RATE) == [(0, RATE), (3 * RATE, 5 * RATE), (6 * RATE, 10 * RATE)]


def chord(seconds: float, *notes: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * note * over * time) / over for note in notes for over in (1, 2, 3)]
    summed: np.ndarray = np.asarray(waves).sum(axis=0) * 0.05
    return summed


@pytest.fixture
def file(tmp_path):
    """Stereo: four seconds of nothing, five of music on the left, three of nothing; the right is silent."""
    left = np.concatenate([np.zeros(4 * RATE), chord(5, 220, 277, 330), np.zeros(3 * RATE)])
    path = tmp_path / "music.wav"
    with wave.open(str(path), "wb") as opened:
        opened.setnchannels(2)
        opened.setsampwidth(2)
        opened.setframerate(RATE)
        opened.writeframes((np.stack([left, 0 * left], 1) * 32767).astype("<i2").tobytes())
    return path


def value_of(file, talk, **asked):
    return audio_events.STAGE.run(replace(scene(talk, **asked), path=file), MusicDetector())


def test_music_is_found_and_summed_with_speech_and_silence(file):
    talk = replace(transcript(items("one two", start=RATE)), duration=12 * RATE)
    value = value_of(file, talk, audio_events=())
    (found,) = value["events"]
    assert found["type"] == "music"
    assert (found["start_time"], found["end_time"]) == (4, 9)
    assert 0.5 < found["confidence"] <= 1
    assert "channel" not in found
    assert value["summary"] == {
        "overall": {
            "music": {"count": 1, "total_duration": 5.0},
            "silence": {"count": 3, "total_duration": 1 + 2.5 + 3},
            "speech": {"count": 2, "total_duration": 0.5},
        }
    }


def test_channels_have_events_and_sums_of_their_own(file):
    talk = replace(transcript(items("one", start=RATE, channel="L"), channels=("L", "R")), duration=12 * RATE)
    value = value_of(file, talk, audio_events=("music",))
    assert [each["channel"] for each in value["events"]] == ["L"]
    assert value["summary"]["channels"]["L"]["music"] == {"count": 1, "total_duration": 5.0}
    assert value["summary"]["channels"]["R"]["music"] == {"count": 0, "total_duration": 0.0}
    assert value["summary"]["channels"]["R"]["silence"] == {"count": 1, "total_duration": 12.0}


def test_what_was_not_asked_for_is_not_reported(file):
    value = value_of(file, replace(transcript(), duration=12 * RATE), audio_events=("applause",))
    assert value["events"] == []
    assert sorted(value["summary"]["overall"]) == ["silence", "speech"]


@pytest.mark.parametrize("name", ["conversation_2.flac", "conversation_3.flac", "numbers.flac", "demo.wav"])
def test_speech_is_no_music(name):
    path = FIXTURES / name
    if not path.exists():
        path = FIXTURES.parents[2] / "samples" / name
    assert list(MusicDetector().tag(block[0] for block in media.decode(path))) == []


def test_noise_and_silence_are_no_music():
    noise = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert held(noise) < 0.1
    assert held(np.zeros(RATE, np.float32)) == held(np.zeros(10, np.float32)) == 0
    assert held(chord(1, 220, 330).astype(np.float32)) > 0.7

"""Taggers of audio events: their folders, windows and labels, through the real runtime with a model made here."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sottovoce.bootstrap import plan
from sottovoce.engines import registry
from sottovoce.engines.audioset.registration import checked
from sottovoce.engines.audioset.tagger import AudiosetTagger, resampled
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence import audio_events
from sottovoce.intelligence.audio_events import AudioEvent
from sottovoce.intelligence.stages import StageName
from sottovoce.settings import load
from sottovoce.transcript.model import RATE
from tests.tiny_tagger import LABELS, build
from tests.unit.intelligence.talk import items, scene, transcript


def level(seconds: float, mean: float) -> np.ndarray:
    return np.full(round(seconds * RATE), mean, np.float32)


def blocks(*parts: np.ndarray) -> list[np.ndarray]:
    audio = np.concatenate(parts)
    return [audio[at : at + RATE] for at in range(0, len(audio), RATE)]


def found(tagger: AudiosetTagger, *parts: np.ndarray) -> list[tuple[str, float, float]]:
    return [(each.type, each.start / RATE, each.end / RATE) for each in tagger.tag(blocks(*parts))]


SAID = (level(2, 0.0), level(3, 0.1), level(1, 0.0), level(2, -0.1), level(0.5, 0.1))
"""Nothing; music and loud; nothing; laughter and loud; half a second of music."""


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("logits", [False, True])
def test_windows_with_one_event_are_one(tmp_path: Path, rank: int, logits: bool) -> None:
    """The last window is filled up with zeros, so that half a second of music is half as certain."""
    tagger = AudiosetTagger(build(tmp_path / "model", rank=rank, logits=logits))
    assert tagger.types == {"applause", "laughter", "music"}
    assert sorted(found(tagger, *SAID)) == [
        ("applause", 2.0, 5.0),
        ("applause", 6.0, 8.0),
        ("laughter", 6.0, 8.0),
        ("music", 2.0, 5.0),
    ]
    assert [each.start for each in tagger.tag(blocks(*SAID))] == sorted(
        each.start for each in tagger.tag(blocks(*SAID))
    )
    assert all(0.4 <= each.confidence <= 1 for each in tagger.tag(blocks(*SAID)))
    assert list(tagger.tag([])) == []


def test_a_model_with_a_window_and_a_rate_of_its_own(tmp_path: Path) -> None:
    """Two seconds at 32 kHz; the threshold is the folder's."""
    folder = build(tmp_path / "m", length=4 * RATE, settings={"sample_rate": 2 * RATE, "threshold": 0.9})
    tagger = AudiosetTagger(folder)
    assert found(tagger, level(2, 0.0), level(4, 0.2), level(1, 0.08)) == [("applause", 2.0, 6.0), ("music", 2.0, 6.0)]


def test_audio_is_resampled_by_its_spectrum() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / (2 * RATE))
    assert np.abs(resampled(tone, 2 * RATE) - expected).max() < 1e-3
    assert resampled(tone, RATE) is tone


def test_the_stage_merges_sums_and_reports_what_was_asked_for(tmp_path: Path) -> None:
    """§7.9: gaps below a second are one event, types may overlap, silence is a second without anything."""
    path = tmp_path / "a.wav"
    audio = np.concatenate([level(3, 0.1), level(2, 0.0), level(2, -0.1), level(3, 0.0)])
    with wave.open(str(path), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(RATE)
        opened.writeframes((audio * 32767).astype("<i2").tobytes())
    config = EngineConfig(models=tmp_path / "none", tagger=build(tmp_path / "model"))
    choice = registry.choose_stage(StageName.AUDIO_EVENTS, "en", registry.offered(config))
    assert choice is not None
    identified = registry.choose_stage(StageName.AUDIO_EVENTS, "auto", registry.offered(config))
    assert identified is not None
    assert identified.key == choice.key, "the language does not matter"
    assert choice.key == EngineKey(engine="audioset", model="model")
    assert choice.capabilities.event_types == {"applause", "laughter", "music"}
    backend = registry.load(StageName.AUDIO_EVENTS, choice.key, config)
    talk = replace(transcript(items("hello", start=7 * RATE)), duration=10 * RATE)
    value = audio_events.STAGE.run(replace(scene(talk, audio_events=("music", "laughter")), path=path), backend)
    assert [(each["type"], each["start_time"], each["end_time"]) for each in value["events"]] == [
        ("music", 0.0, 3.0),
        ("laughter", 5.0, 7.0),
    ]
    assert value["summary"]["overall"] == {
        "laughter": {"count": 1, "total_duration": 2.0},
        "music": {"count": 1, "total_duration": 3.0},
        "silence": {"count": 2, "total_duration": 2 + 2.75},
        "speech": {"count": 1, "total_duration": 0.25},
    }


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "lacks model.onnx"),
        (lambda folder: (folder / "class_labels_indices.csv").unlink(), "one CSV file"),
        (lambda folder: (folder / "b.csv").write_text("x"), "one CSV file"),
        (lambda folder: (folder / "class_labels_indices.csv").write_text("a,b\n1,2\n"), "display_name"),
        (lambda folder: (folder / "class_labels_indices.csv").write_text("display_name\nRain\n"), "none of its labels"),
        (lambda folder: (folder / "tagger.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (folder / "tagger.json").write_text("{"), "Expecting"),
        (lambda folder: (folder / "tagger.json").write_text('{"sample_rate": 8000}'), "sample_rate"),
        (lambda folder: (folder / "tagger.json").write_text('{"threshold": 2}'), "threshold"),
    ],
)
def test_a_folder_that_is_no_tagger_is_refused_at_the_start(tmp_path: Path, spoil, why: str) -> None:
    folder = build(tmp_path / "model")
    assert checked(folder) == folder.absolute()
    spoil(folder)
    with pytest.raises(ValueError, match=why):
        checked(folder)
    with pytest.raises(ValueError, match="SOTTOVOCE_AUDIO_TAGGER"):
        plan(load(data_dir=tmp_path / "data", audio_tagger=folder))
    config = EngineConfig(models=tmp_path, tagger=folder)
    offers = registry.offered(config)
    assert all(entry.engine != "audioset" for entry in offers), "a folder that is spoilt later is no offer"


def test_a_model_that_takes_no_samples_or_fits_no_labels_cannot_be_loaded(tmp_path: Path) -> None:
    for name, made, why in (
        ("spectrum", build(tmp_path / "a", rank=3), "does not take samples"),
        ("labels", build(tmp_path / "b", labels=LABELS[:-1]), "no output with 4 values"),
        ("long", build(tmp_path / "c", length=61 * RATE), "no window"),
    ):
        with pytest.raises(EngineUnavailable, match=why):
            registry.load(
                StageName.AUDIO_EVENTS,
                EngineKey(engine="audioset", model=name),
                EngineConfig(models=tmp_path, tagger=made),
            )


def test_the_events_are_of_the_protocol(tmp_path: Path) -> None:
    assert all(isinstance(each, AudioEvent) for each in AudiosetTagger(build(tmp_path / "m")).tag(blocks(*SAID)))

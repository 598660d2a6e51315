"""Every measurement of the benchmark runs through, with a Whisper of random weights beside faster-whisper."""

import json
from pathlib import Path

import pytest

from bench import accuracy
from bench.recognition import invented, sounds, throughput
from tests import tiny_whisper

FIXTURES = Path(__file__).parents[2] / "fixtures" / "audio"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A manifest of one short file, and a folder with the model."""
    folder = tmp_path_factory.mktemp("bench")
    tiny_whisper.build(folder / "models" / "random")
    (folder / "speech.flac").symlink_to(FIXTURES / "speech.flac")
    lines = ["file\tseconds\tlanguage\treference", "speech.flac\t3\ten\tNothing that they say will leave their room."]
    (folder / "manifest.tsv").write_text("\n".join(lines), encoding="utf-8")
    engine = ["--engine", "whisper", "--model", "random", "--models-dir", str(folder / "models"), "--device", "cpu"]
    return ["--manifest", str(folder / "manifest.tsv"), *engine]


def measured(arguments, capsys):
    assert accuracy.main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["cores"] > 0
    assert told["baseline_method"] == "bare"
    return told


def test_long_recordings(arguments, tmp_path, capsys):
    told = measured([*arguments, "--long", "0.1", "0.2", "--work", str(tmp_path / "work")], capsys)["long"]
    assert list(told["minutes"]) == ["0.1", "0.2"]
    assert (tmp_path / "work" / "long-0.2min-seed1.wav").stat().st_size > 0.2 * 60 * 32_000
    found = told["minutes"]["0.2"]
    assert found["words"] == 8 * found["clips"]
    for way in ("service", "baseline"):
        assert "failed" not in found[way]
        assert found[way]["words"] == found[way]["clips_one_by_one"]["words"] == found["words"]
        assert found[way]["memory"]["peak_mb"] > 50
        assert found[way]["cpu_s"] > 0


def test_sounds_without_words(arguments, capsys, monkeypatch):
    monkeypatch.setattr(sounds, "_SOUNDS", {name: sounds._SOUNDS[name] for name in ("silence", "breath")})
    monkeypatch.setattr(sounds, "_SHORT_MS", (50, 200))
    monkeypatch.setattr(invented, "_SILENCE", 0.1)
    told = measured([*arguments, "--nonspeech"], capsys)["nonspeech"]
    for way in ("service", "baseline"):
        groups = told[way]["groups"]
        assert [groups[name]["items"] for name in (sounds.SILENT, sounds.BABBLE, sounds.REVERSED)] == [8, 3, 1]
        assert not told[way]["failed"]
        assert told["after_silence"]["after zeros"][way]["words"] == 8


def test_custom_words(arguments, capsys):
    told = measured([*arguments, "--custom-words", "5", "--helpful", "speech.flac=Nothing"], capsys)["custom_words"]
    assert told["counts"] == [0, 5]
    for way in ("service", "baseline"):
        assert told[way]["irrelevant"]["0"]["difference_points"] == 0
        assert not told[way]["irrelevant"]["5"]["failed"]
        assert set(told[way]["helpful"]["speech.flac: Nothing"]) == {"without", "alone", "among 5"}
    assert set(told["service"]["without_words"]) == {"0", "5"}


def test_a_helpful_word_needs_its_file(arguments, capsys):
    assert accuracy.main([*arguments, "--custom-words", "--helpful", "speech.flac"]) == 2
    assert "FILE=WORD" in capsys.readouterr().err


def test_throughput(arguments, capsys, monkeypatch):
    monkeypatch.setattr(throughput, "FILES", ((2.0, 2), (1.0, 1)))
    options = ["--throughput", "--slots", "2", "--rounds", "2", "--lone-minutes", "0.1"]
    told = measured([*arguments, *options], capsys)["throughput"]
    assert (told["slots"], told["2 s"]["files"], told["2 s"]["audio_s"]) == (2, 4, 8.0)
    for way in ("service", "baseline"):
        assert len(told["2 s"][way]["wall_s"]) == 2
        assert told["memory"][way]["peak_mb"] >= told["memory"][way]["rest_mb"] > 50
        assert told["lone"][way]["audio_per_wall_s"] > 0
    assert told["lone"]["all_slots_over_one"] > 0

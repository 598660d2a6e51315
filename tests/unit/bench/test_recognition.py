"""The parts of the benchmark of recognition that need no engine."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from bench import bare, manifest, scoring
from bench.manifest import Row
from bench.recognition import audio, concatenation, memory, options, scores, times
from bench.recognition.scores import Token
from bench.scoring import Tally
from sottovoce.transcript.model import RATE

# ── words ──


def test_it_does_not_matter_how_an_engine_cuts_a_figure_into_words():
    apart = ["paid", "$20", "million", "in", "1,813", "or", "so"]
    whole = ["paid", "$20 million", "in", "1,813 or", "so"]
    said = ["paid", "twenty", "million", "dollars", "in", "one", "thousand", "eight", "hundred", "thirteen", "or", "so"]
    assert [token for token, _ in scoring.placed(apart, "en")] == said
    assert [token for token, _ in scoring.placed(whole, "en")] == said
    assert [number for _, number in scoring.placed(apart, "en")] == [0, 1, 1, 1, 3, *[4] * 5, 5, 6]
    assert scoring.placed(["20", "euros"], "fr") == [("20", 0), ("euros", 1)]


def test_pieces_of_a_word_are_put_together_again():
    pieces = [(" 1", 0.8, 1.0), (",813", 0.6, 1.2), (" well", 0.9, 2.0), ("-known.", 0.7, 2.2)]
    assert [(word.text, word.confidence, word.start) for word in bare.joined(pieces, "en")] == [
        ("1,813", pytest.approx(0.7), 1.0),
        ("well-known.", pytest.approx(0.8), 2.0),
    ]
    assert [word.text for word in bare.joined([("砸", 0.5, 0.0), ("自己", 0.5, 0.2)], "cmn")] == ["砸", "自己"]


def test_runs_of_missing_words_and_pairs_of_equal_ones_are_told():
    compared = scoring.compare(["a", "b", "c", "d", "e", "f"], ["a", "e", "f"])
    assert compared.matched == ((0, 0), (4, 1), (5, 2))
    assert compared.missing == ((1, 4),)


# ── starts of words ──


def test_starts_are_compared_where_the_word_is_the_same(tmp_path):
    path = tmp_path / "times.json"
    words = [{"word": word, "start_time": at} for word, at in (("One", 0.5), ("Two-three", 1.0), ("4", 2))]
    path.write_text(json.dumps({"a.wav": {"words": words}, "b.wav": [["yes", 0.1, 0.4]], "c.wav": 1}), encoding="utf-8")
    known = times.read([path], {"a.wav": "en", "b.wav": "en"})
    assert [(token.text, token.start) for token in known["a.wav"]] == [
        ("one", 0.5),
        ("two", 1.0),
        ("three", None),
        ("four", 2.0),
    ]
    heard = [
        bare.Spoken(text=text, start=at) for text, at in (("one,", 0.4), ("two", 1.3), ("three", 1.5), ("five", 2))
    ]
    found = times.errors(known["a.wav"], scores.tokens(heard, "en"))
    assert found == pytest.approx([0.1, 0.3])
    assert times.summary(found) == {"words": 2, "median_s": pytest.approx(0.1), "p90_s": pytest.approx(0.3)}
    assert times.summary([])["median_s"] is None
    with pytest.raises(manifest.Wrong, match=r"times.json holds no word times"):
        times.read([path], {"c.wav": "en"})


# ── what is asked for ──


def test_files_can_be_chosen_and_held_out(tmp_path):
    names = ("a.wav", "b.wav", "c.wav")
    for name in names:
        (tmp_path / name).touch()
    path = tmp_path / "manifest.tsv"
    lines = ["file\tseconds\tlanguage\treference", *(f"{name}\t1\ten\tyes" for name in names)]
    path.write_text("\n".join(lines), encoding="utf-8")
    kept = tmp_path / "held-out.txt"
    kept.write_text("c*\n", encoding="utf-8")
    wanted = options.arguments(["--manifest", str(path), "--files", "[bc].wav", "--held-out", f"@{kept}"], "")
    rows, skipped = options.rows(wanted)
    assert [each.name for each in rows] == ["b.wav"]
    assert skipped == {"not asked for": 1, "held out": 1}
    with pytest.raises(manifest.Wrong, match="nothing to score"):
        options.in_languages(rows, frozenset({"de"}), skipped)


def test_models_lie_where_the_service_has_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_MODELS_DIR", str(tmp_path / "here"))
    assert options.models_folder(None) == tmp_path / "here"
    assert options.models_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("SOTTOVOCE_MODELS_DIR")
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(tmp_path))
    assert options.models_folder(None) == tmp_path / "models"


# ── long recordings ──


def clip(name, reference):
    return Row(name=name, path=Path(name), seconds=1.0, language="en", reference=tuple(reference.split()))


ROWS = [clip("a", "one two three four"), clip("b", "five six"), clip("c", "seven eight nine")]
LENGTHS = {"a": 3 * RATE, "b": RATE, "c": 2 * RATE}


def test_a_long_recording_follows_from_its_seed():
    placed = concatenation.layout(ROWS, LENGTHS, 2, 7)
    assert placed == concatenation.layout(ROWS, LENGTHS, 2, 7)
    assert placed != concatenation.layout(ROWS, LENGTHS, 2, 8)
    assert placed[0].start == 0
    for before, after in itertools.pairwise(placed):
        assert after.start == before.start + before.length + before.pause
    assert placed[-1].start < 2 * 60 * RATE <= placed[-1].start + placed[-1].length + placed[-1].pause
    for turn in range(0, len(placed) - 3, 3):
        assert sorted(each.row.name for each in placed[turn : turn + 3]) == ["a", "b", "c"]


def test_pauses_are_of_every_length_and_half_of_them_are_zeros():
    placed = concatenation.layout(ROWS, LENGTHS, 60, 1)
    pauses = [each.pause for each in placed]
    assert 0 <= min(pauses) < RATE // 10
    assert 4.9 * RATE < max(pauses) <= 5 * RATE
    assert sum(pauses) / len(pauses) == pytest.approx(2.5 * RATE, rel=0.1)
    assert sum(each.noisy for each in placed) / len(placed) == pytest.approx(0.5, abs=0.06)


def test_the_audio_is_clip_pause_clip(tmp_path):
    clips = {name: np.full(length, 0.5, dtype=np.float32) for name, length in LENGTHS.items()}
    placed = concatenation.layout(ROWS, LENGTHS, 1, 3)
    path = tmp_path / "long.wav"
    length = audio.write(path, concatenation.pieces(placed, clips, 3))
    heard = audio.load(path)
    assert length == len(heard) == placed[-1].start + placed[-1].length + placed[-1].pause
    assert {each.noisy for each in placed} == {True, False}
    for each in placed:
        after = each.start + each.length
        pause = heard[after : after + each.pause]
        assert np.allclose(heard[each.start : after], 0.5, atol=1e-4)
        if each.noisy and each.pause > RATE:
            assert 20 * np.log10(np.sqrt(np.mean(pause**2))) == pytest.approx(-70, abs=0.5)
        if not each.noisy:
            assert not pause.any()


def test_clips_count_as_often_as_they_occur():
    placed = concatenation.layout(ROWS, LENGTHS, 0.2, 1)
    alone = {"a": Tally(hits=4), "b": Tally(hits=1, deletions=1), "c": Tally(hits=3)}
    times_b = sum(each.row.name == "b" for each in placed)
    assert concatenation.weighted(placed, alone).deletions == times_b > 0
    assert concatenation.weighted(placed, alone).words == len(concatenation.reference(placed))


def test_lost_words_are_told_by_clip_and_place():
    at = [
        concatenation.Placed(row=row, start=n * 10 * RATE, length=RATE, pause=0, noisy=False)
        for n, row in enumerate(ROWS)
    ]
    heard = ["one", "five", "six", "nine"]
    missing = scoring.compare(concatenation.reference(at), heard).missing
    assert concatenation.lost_runs(at, missing) == [
        {"words": 3, "at_s": 0.0, "clips": ["a"], "whole_clips": 0, "text": "two three four"}
    ]
    (run,) = concatenation.lost_runs(at, [(2, 6)])
    assert (run["words"], run["clips"], run["whole_clips"]) == (4, ["a", "b"], 1)
    assert concatenation.lost_runs(at, [(4, 6)]) == []


def test_known_starts_move_with_their_clip():
    at = [
        concatenation.Placed(row=row, start=n * 10 * RATE, length=RATE, pause=0, noisy=False)
        for n, row in enumerate(ROWS)
    ]
    known = concatenation.known_starts(at, {"b": [Token(text="five", start=0.25), Token(text="six")]})
    assert [(token.text, token.start) for token in known if token.start is not None] == [("five", 10.25)]
    assert [token.text for token in known] == list(concatenation.reference(at))


def test_memory_is_told_at_moments():
    told = memory.summary([(second / 10, 10**6 * (100 + second)) for second in range(101)])
    assert told["at"] == {"10%": 110, "25%": 125, "50%": 150, "75%": 175, "90%": 190, "100%": 200}
    assert (told["peak_mb"], told["growth_mb"]) == (200, 75)
    assert memory.summary([])["peak_mb"] is None

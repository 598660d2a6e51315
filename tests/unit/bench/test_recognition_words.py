"""Custom words of the benchmark, what they do to a text, and figures of throughput."""

from pathlib import Path

import numpy as np
import pytest

from bench import bare, scoring
from bench.manifest import Row, Wrong
from bench.recognition import audio, custom_words, fleets, irrelevant, options, scores, throughput
from bench.recognition.fleets import Lap
from sottovoce.transcript.model import RATE

# ── the words ──


def test_a_thousand_words_follow_from_their_seed_and_are_all_different():
    words = irrelevant.words(1_000, 1, set())
    assert words == irrelevant.words(1_000, 1, set())
    assert words != irrelevant.words(1_000, 2, set())
    assert len({word.casefold() for word in words}) > 990
    assert words[:50] == irrelevant.words(50, 1, set())
    assert set(irrelevant.RARE) < set(words)
    assert 15 < sum(word in irrelevant.RARE for word in words[:50]) < 35
    assert all(word[0].isupper() and scoring.tokens(word, "en") for word in words)


def test_no_custom_word_is_said():
    words = irrelevant.words(1_000, 1, set())
    said = {token for word in words[:300] for token in scoring.tokens(word, "en")}
    others = irrelevant.words(500, 1, said)
    assert not said & {token for word in others for token in scoring.tokens(word, "en")}


def test_words_leak_when_they_are_heard_and_neither_said_nor_heard_before():
    heard = ["so", "kowalapur", "met", "nguyen", "in", "san", "bernardino", "and", "nguyen", "nguyen", "san"]
    vocab = ["Kowalapur", "Nguyen", "San Bernardino", "San", "Zbigniew"]
    assert irrelevant.leaked(vocab, heard, []) == [
        "Kowalapur",
        *["Nguyen"] * 3,
        "San Bernardino",
        *["San"] * 2,
    ]
    assert irrelevant.leaked(vocab, heard, [["kowalapur"], ["in", "san", "bernardino"]]) == ["Nguyen"] * 3
    assert irrelevant.leaked(vocab, [], []) == []


def test_style_is_capitals_and_marks():
    told = irrelevant.style('He said "No." Then, — he LEFT, 5 minutes later.')
    assert told == pytest.approx(
        {"capitalised": 4 / 9, "full_stops_per_100_words": 200 / 9, "commas_per_100_words": 200 / 9}
    )
    assert irrelevant.style("") == {"capitalised": 0, "full_stops_per_100_words": 0, "commas_per_100_words": 0}
    assert irrelevant.changes({"a": 1.0}, {"a": 3.0}) == {"a": 2.0}


# ── what they do ──


def scored(name, reference, text):
    row = Row(name=name, path=Path(name), seconds=2.0, language="en", reference=tuple(reference.split()))
    words = tuple(bare.Spoken(text=word) for word in text.split())
    return scores.score(row, bare.Run(words=words, cpu=1.0, wall=1.0, peak=1, text=text))


def test_harm_is_told_against_the_same_files_without_custom_words():
    plain = [scored("a.wav", "and so we go", "And so, we go."), scored("b.wav", "i know kim", "I know Tim.")]
    after = [scored("a.wav", "and so we go", "Kowalapur, we go"), scored("b.wav", "i know kim", "I know Tim")]
    told = custom_words.harm(after, plain, ["Kowalapur", "Tim", "Kim"])
    assert told["difference_points"] == pytest.approx(100 * 2 / 7)
    assert told["leaks"] == {"a.wav": ["Kowalapur"]}  # Tim was heard before, Kim is said
    assert told["leaked_words"] == 1
    assert told["style"]["full_stops_per_100_words"] == 0
    assert told["style_change"]["full_stops_per_100_words"] == pytest.approx(-200 / 7)
    assert told["cpu_per_audio_s"] == 0.5
    assert custom_words.harm(plain, plain, [])["difference_points"] == 0


def test_a_helpful_word_lies_in_the_middle_of_the_others():
    vocab = [str(number) for number in range(100)]
    mixed = custom_words.among(["right"], vocab, 50)
    assert len(mixed) == 50
    assert mixed.index("right") == 24
    assert custom_words.among(["right"], vocab, 1) == ["right"]


@pytest.mark.parametrize(
    ("word", "text", "how"),
    [
        ("ComfyUI", "your ComfyUI folder", "as written"),
        ("ComfyUI", "your comfyui, folder", "other case"),
        ("ComfyUI", "your confu i folder", "missing"),
        ("San Bernardino", "in san bernardino.", "other case"),
    ],
)
def test_a_word_is_found_as_written_or_in_another_case(word, text, how):
    assert custom_words.how_found(word, text) == how


def test_numbers_of_custom_words_have_a_default():
    assert options.arguments(["--custom-words"], "").custom_words == [50, 1000]
    assert options.arguments(["--custom-words", "10"], "").custom_words == [10]
    assert options.arguments([], "").custom_words is None


# ── throughput ──


def test_files_are_cut_from_one_stream_that_follows_from_its_seed(tmp_path):
    clips = [np.full(RATE * length, length / 10, dtype=np.float32) for length in (1, 2, 3)]
    cut = {seed: throughput._cut(throughput._stream(clips, seed), 2.5, 4, tmp_path / f"seed-{seed}") for seed in (1, 2)}
    again = throughput._cut(throughput._stream(clips, 1), 2.5, 4, tmp_path / "again")
    assert [path.read_bytes() for path in cut[1]] == [path.read_bytes() for path in again]
    assert [path.read_bytes() for path in cut[1]] != [path.read_bytes() for path in cut[2]]
    assert [len(audio.load(path)) for path in again] == [2.5 * RATE] * 4


def test_throughput_is_that_of_the_median_lap():
    laps = {
        "service": [Lap(wall=wall, cpu=2.0) for wall in (5.0, 4.0, 9.0)],
        "baseline": [Lap(wall=10.0, cpu=3.0)] * 3,
    }
    told = throughput.compared(laps, 100)
    assert told["service"] == {"wall_s": [5.0, 4.0, 9.0], "cpu_s": 2.0, "audio_per_wall_s": 20}
    assert told["ratio"] == 2
    assert "ratio" not in throughput.compared({"service": laps["service"]}, 100)


def test_workers_share_the_files_and_a_failed_file_is_named():
    done: list[Path] = []
    paths = [Path(f"{number}.wav") for number in range(20)]
    fleets._spread([done.append] * 3, paths, ())
    assert sorted(done) == sorted(paths)

    def fail(path):
        raise ValueError("no audio")

    with pytest.raises(Wrong, match=r"0.wav cannot be transcribed: no audio"):
        fleets._spread([fail], paths, (ValueError,))

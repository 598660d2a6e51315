"""The judge of engines is judged: what it compares, how it counts, what it says of confidence, and one real run."""

import json
import math
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import accuracy, bare, machine, manifest, reliability, scoring
from bench.manifest import Row
from bench.recognition import fitting, scores
from bench.reliability import Judged
from bench.scoring import Tally
from sottovoce.engines.common import calibration
from tests import tiny_onnx_asr, tiny_whisper

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "audio"


# ── what is compared ──


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<s> ten of Clubs </s>", "ten of clubs"),
        ("Feed’st thy light’s flame, ’This fair child of mine’", "feed'st thy light's flame this fair child of mine"),
        ("self-substantial | fuel… (and) “so” on", "self substantial fuel and so on"),
        ("don't ‘quote’ rock 'n' roll", "don't quote rock n roll"),
        ("CAFÉ cafe\N{COMBINING ACUTE ACCENT}", "café café"),
        ("in 1813, 1905 and 1900", "in eighteen thirteen nineteen oh five and nineteen hundred"),
        (
            "2,024 of 2024 in 1,813",
            "two thousand twenty four of two thousand twenty four in one thousand eight hundred thirteen",
        ),
        ("0 7 12 40 99 100 1000000", "zero seven twelve forty ninety nine one hundred one million"),
        ("1st 2nd 3rd 5th 12th 20th 21st", "first second third fifth twelfth twentieth twenty first"),
        ("3.50 at 10:30", "three point five zero at ten thirty"),
        ("$20, £3 million & 5%", "twenty dollars three million pounds and five percent"),
        (
            "007 and 1234567890123",
            "zero zero seven and one two three four five six seven eight nine zero one two three",
        ),
        ("Mr. and Mrs. Dr Who", "mister and missus doctor who"),
        ("mp3 4k COVID-19 U.S.", "mp3 4k covid nineteen u s"),
        ("", ""),
        ("… !", ""),
    ],
)
def test_english_is_made_comparable(text, expected):
    assert " ".join(scoring.tokens(text, "en")) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("L’eau, «20» %", "fr", ["l'eau", "20"]),
        ("Straße & Übermaß", "de", ["straße", "übermaß"]),
        ("हिन्दी में।", "hi", ["हिन्दी", "में"]),
        ("砸自己 的脚。", "cmn", ["砸", "自", "己", "的", "脚"]),
    ],
)
def test_other_languages_keep_their_figures_and_marks_of_letters(text, language, expected):
    assert scoring.tokens(text, language) == expected


@given(st.text(max_size=60), st.sampled_from(["en", "de", "cmn", "ar"]))
def test_what_was_made_comparable_stays_as_it_is(text, language):
    once = scoring.tokens(text, language)
    assert scoring.tokens(" ".join(once), language) == once
    assert all(token and not any(char.isspace() for char in token) for token in once)


# ── errors ──


def words(text):
    return text.split()


def test_errors_are_counted_and_right_words_found():
    compared = scoring.compare(words("ever tried ever failed no matter"), words("ever tied as ever failed matter"))
    assert compared.tally == Tally(hits=4, substitutions=1, deletions=1, insertions=1)
    assert compared.right == (True, False, False, True, True, True)
    assert compared.tally.wer == pytest.approx(3 / 6)
    reference, heard, marks = compared.listing.splitlines()
    assert [word for word in reference.split() if set(word) != {"*"}] == words("REF: ever tried ever failed no matter")
    assert heard.startswith("HYP:")
    assert sorted(marks.split()) == ["D", "I", "S"]


def test_nothing_heard_is_all_missing_and_nothing_wrong_has_no_listing():
    assert scoring.compare(["a", "b"], []).tally == Tally(deletions=2)
    assert scoring.compare(["a", "b"], ["a", "b"]).listing == ""
    assert Tally().wer is None


def test_long_files_weigh_more_than_short_ones():
    summed = scoring.total([Tally(hits=90, substitutions=10), Tally(deletions=10)])
    assert (summed.words, summed.errors, summed.wer) == (110, 20, pytest.approx(20 / 110))


# ── confidence ──


def judged(*pairs):
    return [Judged(confidence=confidence, right=bool(right)) for confidence, right in pairs]


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_words():
    said = judged((0.95, 1), (0.95, 1), (1.0, 0), (0.25, 0), (0.25, 1))
    assert [(row["from"], row["to"], row["words"]) for row in reliability.table(said)] == [(0.2, 0.3, 2), (0.9, 1.0, 3)]
    assert reliability.expected_error(said) == pytest.approx(2 / 5 * 0.25 + 3 / 5 * (2.9 / 3 - 2 / 3))
    assert reliability.expected_error(said, bins=1) == pytest.approx(3.4 / 5 - 3 / 5)
    assert reliability.expected_error([]) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans()), max_size=12))
def test_the_area_is_the_share_of_pairs_in_the_right_order(pairs):
    said = judged(*pairs)
    right = [word.confidence for word in said if word.right]
    wrong = [word.confidence for word in said if not word.right]
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in right for b in wrong]
    expected = sum(won) / len(won) if won else None
    assert reliability.area(said) == (pytest.approx(expected) if won else None)


def test_a_fit_finds_the_weights_that_made_the_data():
    evidence = [(x / 10, float(y)) for x in range(-30, 31) for y in (0, 1) for _ in range(40)]
    right = []
    for number, (x, y) in enumerate(evidence):
        share = 1 / (1 + math.exp(-(-0.5 + 0.8 * x + 1.5 * y)))
        right.append(number % 40 + 0.5 < share * 40)
    fit = reliability.logistic(evidence, right)
    assert fit.constant == pytest.approx(-0.5, abs=0.05)
    assert fit.weights == pytest.approx((0.8, 1.5), abs=0.05)
    assert fit.monotone
    said = [Judged(confidence=fit(known), right=yes) for known, yes in zip(evidence, right, strict=True)]
    error = reliability.expected_error(said)
    assert error is not None
    assert error < 0.02


def test_a_fit_of_what_can_be_told_apart_without_a_mistake_is_finite():
    fit = reliability.logistic([(float(n),) for n in range(20)], [n > 9 for n in range(20)])
    assert 0 < fit.weights[0] < 100
    assert fit((0.0,)) < 0.5 < fit((19.0,))


def test_a_fit_says_when_more_evidence_would_mean_less():
    assert not reliability.logistic([(0.0,), (0.0,), (1.0,), (1.0,)], [True, True, True, False]).monotone


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_nothing_can_be_fitted_to_one_outcome(right):
    with pytest.raises(ValueError, match="right and words that are wrong"):
        reliability.logistic([(0.1,), (0.9,)], right)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=30, max_size=400))
def test_a_line_has_few_points_and_never_falls(pairs):
    points = reliability.line(judged(*pairs))
    assert 1 <= len(points) <= 13
    known = calibration.Calibration(points)
    values = [known(x / 100) for x in range(101)]
    assert values == sorted(values)
    assert all(0 <= value <= 1 for value in values)


def test_a_line_through_too_few_words_is_refused():
    with pytest.raises(ValueError, match="30 words"):
        reliability.line(judged(*[(0.5, True)] * 29))


# ── manifests and reports ──


def table(
    folder: Path, *lines: tuple[str, ...], columns=("file", "seconds", "speakers", "language", "reference")
) -> Path:
    path = folder / "manifest.tsv"
    path.write_text("\n".join("\t".join(line) for line in (columns, *lines)) + "\n", encoding="utf-8")
    return path


def test_rows_that_cannot_be_scored_are_left_out_and_counted(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.wav").touch()
    path = table(
        tmp_path,
        ("set/a.wav", "1.5", "1", "en", 'He said "Hello".'),
        ("set/a.wav", "1.5", "1", "en", ""),
        ("set/a.wav", "1.5", "1", "en", "…"),
        ("set/a.wav", "nan", "1", "en", "yes"),
        ("set/a.wav", "", "1", "en", "yes"),
        ("set/a.wav", "1.5", "1", "de", "ja"),
        ("set/a.wav", "1.5", "1", "xx", "?"),
        ("set/b.wav", "1.5", "1", "en", "yes"),
        ("short",),
    )
    rows, skipped = manifest.read(path, ["en"])
    assert rows == [
        Row(
            name="set/a.wav", path=tmp_path / "set/a.wav", seconds=1.5, language="en", reference=("he", "said", "hello")
        )
    ]
    assert rows[0].source == "set"
    assert skipped == {"no reference": 2, "no duration": 2, "another language": 3, "no such file": 1}


def test_a_table_without_its_columns_is_refused(tmp_path):
    with pytest.raises(manifest.Wrong, match="'reference'"):
        manifest.read(table(tmp_path, columns=("file", "seconds", "language")), ["en"])


def row(name="set/a.wav", reference="one two three four", seconds=2.0):
    return Row(name=name, path=Path(name), seconds=seconds, language="en", reference=tuple(reference.split()))


def run(*said, cpu=1.0):
    words = tuple(bare.Spoken(text=text, confidence=sure) for text, sure in said)
    return bare.Run(words=words, cpu=cpu, wall=2 * cpu, peak=10**8)


def test_every_token_of_a_word_has_the_confidence_of_the_word():
    score = scores.score(row(), run(("One", 0.9), ("Two-Three,", 0.4), ("five", None), ("…", 0.1)))
    assert score.comparison.tally == Tally(hits=3, substitutions=1)
    assert [(word.confidence, word.right) for word in score.words] == [(0.9, True), (0.4, True), (0.4, True)]
    assert score.unsure == 1


def test_a_report_sums_by_set_and_names_what_failed():
    found = [
        scores.score(row("a/1.wav"), run(("one", 0.9), ("two", 0.8), cpu=1.0)),
        scores.score(row("a/2.wav", "yes", 1.0), run(("yes", 0.7), cpu=0.5)),
        scores.score(row("b/1.wav", "no", 1.0), run(cpu=0.0), "the file is empty"),
    ]
    told = machine.rounded(scores.report(found))
    assert told["total"] == {"words": 6, "wer": 0.5, "substitutions": 0, "deletions": 3, "insertions": 0}
    assert {name: (held["files"], held["wer"]) for name, held in told["sets"].items()} == {"a": (2, 0.4), "b": (1, 1.0)}
    assert told["files"]["a/2.wav"]["wer"] == 0.0
    assert told["failed"] == {"b/1.wav": "the file is empty"}
    assert (told["audio_s"], told["cpu_per_audio_s"], told["wall_per_audio_s"], told["peak_mb"]) == (
        4.0,
        0.375,
        0.75,
        100.0,
    )
    assert (told["confidence"]["words"], told["confidence"]["right"], told["confidence"]["ece"]) == (3, 1.0, 0.2)


@pytest.mark.parametrize(("errors", "worse"), [(9, False), (10, False), (11, False), (12, True)])
def test_the_service_is_worse_beyond_the_tolerance_only(errors, worse):
    ours, theirs = Tally(hits=100 - errors, deletions=errors), Tally(hits=90, deletions=10)
    told = scores.verdict([ours] * 20, [theirs] * 20, 0.015)
    assert told["worse"] is worse
    assert told["difference"] == pytest.approx((errors - 10) / 100)
    assert told["interval_90"] == pytest.approx([told["difference"]] * 2)


def test_a_difference_that_one_file_makes_may_be_chance():
    same, bad = Tally(hits=90, deletions=10), Tally(hits=50, deletions=50)
    told = scores.verdict([bad, *[same] * 19], [same] * 20, 0.005)
    assert told["difference"] == pytest.approx(0.02)
    assert told["interval_90"][0] == 0.0
    assert not told["worse"]


def test_a_fit_is_judged_on_files_that_it_has_not_seen():
    clues = [
        fitting.Clue(row=row(f"{source}/1.wav"), evidence=(float(n % 10),), right=n // 10 < n % 10)
        for source in ("a", "b")
        for n in range(100)
    ]
    clues[100:] = [fitting.Clue(row=clue.row, evidence=clue.evidence, right=not clue.right) for clue in clues[100:]]
    found = fitting.fitted(clues, fitting._logistic, lambda one: one.source == "a")
    assert [found[side]["words"] for side in ("on_fitted", "on_held_out", "swapped", "each_set_left_out")] == [
        100,
        100,
        100,
        200,
    ]
    assert found["on_fitted"]["ece"] < 0.1
    assert min(found[side]["ece"] for side in ("on_held_out", "swapped", "each_set_left_out")) > 0.2
    assert found["on_held_out"]["auc"] < 0.5 < found["on_fitted"]["auc"]


@pytest.mark.parametrize(
    ("engine", "wanted", "method"),
    [
        ("pocketsphinx", None, "prototype"),
        ("pocketsphinx", "bare", "bare"),
        ("whisper", None, "bare"),
        ("whisper", "none", "none"),
        ("package.module:ENGINE", None, "none"),
    ],
)
def test_every_engine_has_the_baseline_that_is_meant_for_it(engine, wanted, method):
    assert bare.method_for(engine, wanted) == method


def test_a_baseline_that_an_engine_does_not_have_is_refused():
    with pytest.raises(bare.NoBaseline, match="there is: bare, bare-batched, bare-vad, none"):
        bare.method_for("whisper", "prototype")


# ── the whole ──


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sentence of the sample, and another file; of the second one the reference says more than the file."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "ours").mkdir()
    with (
        wave.open(str(ROOT / "samples" / "demo.wav")) as whole,
        wave.open(str(folder / "ours" / "demo.wav"), "wb") as part,
    ):
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(4 * whole.getframerate()))
    (folder / "other").mkdir()
    (folder / "other" / "speech.flac").symlink_to(FIXTURES / "speech.flac")
    return table(
        folder,
        ("ours/demo.wav", "4", "2", "en", "Good morning, and thank you for coming to this meeting."),
        ("other/speech.flac", "3", "1", "en", "Nothing that they say will ever leave their room."),
        ("ours/demo.wav", "nan", "2", "en", "unknown"),
    )


def test_both_ways_are_measured_and_a_service_that_is_worse_fails_the_run(corpus, tmp_path, capsys):
    out = tmp_path / "report.json"
    arguments = ["--manifest", str(corpus), "--engine", "pocketsphinx", "--errors", "--json", str(out)]
    assert accuracy.main([*arguments, "--tolerance", "-0.01"]) == 1  # it may not even be as good
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told == json.loads(out.read_text(encoding="utf-8"))
    assert told["machine"]["cores"] > 0
    assert (told["engine"]["engine"], told["engine"]["model"]) == ("pocketsphinx", "en-us")
    assert told["rows"] == {"scored": 2, "skipped": {"no duration": 1}}
    for way in ("service", "baseline"):
        assert told[way]["files"]["ours/demo.wav"]["wer"] == 0.0
        assert told[way]["total"]["wer"] == pytest.approx(3 / 19, abs=1e-4)
        assert told[way]["sets"]["other"]["wer"] == pytest.approx(3 / 9, abs=1e-4)
        assert not told[way]["failed"]
        assert told[way]["confidence"]["words"] == told[way]["total"]["words"] - 1
        assert 0 < told[way]["confidence"]["ece"] < 0.5
        assert told[way]["cpu_per_audio_s"] > 0
        assert 50 < told[way]["peak_mb"] < 2_000
    assert told["baseline"]["method"] == "prototype"
    assert (told["verdict"]["difference"], told["verdict"]["worse"]) == (0.0, True)
    assert "other/speech.flac\nREF: nothing that they say will ever leave their room" in printed.err


def test_what_an_engine_knows_of_its_words_is_turned_into_a_mapping(corpus, tmp_path, capsys):
    out = tmp_path / "confidence.json"
    arguments = ["--manifest", str(corpus), "--engine", "pocketsphinx", "--calibrate", str(out), "--fit", "ours/*"]
    assert accuracy.main(arguments) == 2
    assert "right and words that are wrong" in capsys.readouterr().err
    assert accuracy.main(arguments[:-2]) == 0
    told = json.loads(capsys.readouterr().out)["calibration"]
    assert told["fitted_on"] == ["other/speech.flac", "ours/demo.wav"]
    assert set(json.loads(out.read_text(encoding="utf-8"))) == {"constant", "weights", "monotone"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of random weights and a transducer that always says the same."""
    folder = tmp_path_factory.mktemp("models")
    tiny_whisper.build(folder / "random", tiny_whisper.Tiny(multilingual=False))
    tiny_onnx_asr.transducer(folder / "same", durations=(0, 1, 2, 3, 4))
    (folder / "same" / "sottovoce.json").write_text('{"languages": ["en"]}', encoding="utf-8")
    return folder


@pytest.mark.parametrize(("engine", "model"), [("whisper", "random"), ("onnx-asr", "same")])
def test_engines_with_models_stand_beside_their_libraries(corpus, shelf, capsys, engine, model):
    arguments = ["--manifest", str(corpus), "--engine", engine, "--model", model, "--models-dir", str(shelf)]
    accuracy.main([*arguments, "--device", "cpu"])
    told = json.loads(capsys.readouterr().out)
    assert (told["engine"]["engine"], told["engine"]["model"]) == (engine, model)
    assert told["baseline"]["method"] == "bare"
    for way in ("service", "baseline"):
        assert not told[way]["failed"]
        assert told[way]["total"]["words"] == 19
        assert told[way]["total"]["wer"] > 0.5  # neither can hear
        assert told[way]["total"]["insertions"] + told[way]["total"]["substitutions"] > 0
    assert told["service"]["confidence"]["words"] > 0


def test_the_line_of_a_model_is_written_as_its_engine_reads_it(corpus, shelf, tmp_path, capsys):
    many = [str(corpus)] * 20  # how many words a random model says depends on how it is decoded
    arguments = ["--manifest", *many, "--engine", "whisper", "--model", "random", "--models-dir", str(shelf)]
    out = tmp_path / calibration.FILE
    assert accuracy.main([*arguments, "--device", "cpu", "--calibrate", str(out)]) == 0
    assert len(calibration.load(tmp_path).points) >= 1
    assert json.loads(capsys.readouterr().out)["calibration"]["on_fitted"]["words"] > 30


def test_a_model_that_has_its_line_is_not_measured_through_it(corpus, shelf, tmp_path, capsys):
    (shelf / "same" / calibration.FILE).write_text("[[0, 0], [1, 1]]", encoding="utf-8")
    arguments = ["--manifest", str(corpus), "--engine", "onnx-asr", "--model", "same", "--models-dir", str(shelf)]
    assert accuracy.main([*arguments, "--device", "cpu", "--calibrate", str(tmp_path / "out.json")]) == 2
    assert "move it away" in capsys.readouterr().err
    (shelf / "same" / calibration.FILE).unlink()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--engine", "whisper", "--language", "de"], "nothing to score"),
        (["--engine", "nonsense"], "no engine 'nonsense'"),
        (["--engine", "pocketsphinx", "--model", "small"], "`sottovoce models pull whisper-small`"),
        (["--manifest", "nowhere.tsv"], "nowhere.tsv"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(corpus, capsys, arguments, why):
    assert accuracy.main(["--manifest", str(corpus), *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert why in printed.err
    assert len(printed.err.splitlines()) == 1

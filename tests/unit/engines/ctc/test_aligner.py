"""Alignment with a CTC model: a real network that hears letters as tones, at times that are known exactly."""

import itertools
import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.ctc import emissions, forced_alignment
from sottovoce.engines.ctc.aligner import CtcAligner
from sottovoce.engines.ctc.vocabulary import MAX_BYTES, read_vocabulary
from sottovoce.engines.protocols import Aligner, Capabilities, Skill, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE
from tests import tiny_ctc as tiny
from tests.examples import examples

EN = ("en",)
START = 50 * RATE
"""Where stretches begin in the media."""
FRAME = tiny.HOP
GERMAN = ("[PAD]", "[UNK]", "|", *"abcdefghijklmnopqrstuvwxyzäöüß")
KANA = ("<pad>", "<unk>", *"あいうえおかきくけこ")
TEXT = "hello all the good people"


def capabilities(languages=EN, **more):
    skills = frozenset({Skill.ALIGNMENT})
    return Capabilities(engine="ctc", model="tiny", languages=frozenset(languages), skills=skills, **more)


def load(folder: Path, languages=EN, *, device="cpu") -> CtcAligner:
    return CtcAligner(folder, capabilities(languages), device=device, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def aligner(folder):
    return load(folder)


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    tokenizer = {"pad_token": {"content": "[PAD]"}, "word_delimiter_token": "|"}
    return load(tiny.build(tmp_path_factory.mktemp("models") / "de", GERMAN, tokenizer=tokenizer), ["de"])


@pytest.fixture
def copy(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "tiny"))


def stretch(tape: tiny.Tape) -> Speech:
    return Speech(start=START, audio=tape.audio)


def inside(word):
    """Start and end from the beginning of the stretch."""
    return word.start - START, word.end - START


def near(word, expected, frames=2):
    """A frame by which words are widened, and less than one by which frames are coarse."""
    assert word is not None
    for found, wanted_ in zip(inside(word), expected, strict=True):
        assert abs(found - wanted_) < frames * FRAME, (inside(word), expected)


def ordered(placed, speech):
    at = speech.start
    for word in filter(None, placed):
        assert at <= word.start <= word.end <= speech.end
        assert 0.0 <= word.score <= 1.0
        at = word.end


# ── what is said, where ──


def test_words_are_placed_where_they_are_said(aligner):
    tape = tiny.Tape(6)
    times = tape.read(TEXT)
    placed = aligner.read(["Hello,", "all", "the", "good", "people!"], "en").align(stretch(tape), range(5))
    for word, expected in zip(placed, times, strict=True):
        near(word, expected)
        assert word.score > 0.9
    ordered(placed, stretch(tape))


def test_words_are_heard_without_knowing_the_text(aligner):
    tape = tiny.Tape(6)
    times = tape.read(TEXT)
    heard = aligner.read(["something", "else"], "en").recognize(stretch(tape))
    assert " ".join(word.text for word in heard) == TEXT
    for word, expected in zip(heard, times, strict=True):
        near(word, expected)


def test_a_word_that_nobody_says_has_no_place(aligner):
    tape = tiny.Tape(3)
    times = tape.read("all good")
    reading = aligner.read(["All", "—", "good"], "en")
    assert reading.spoken == [("all",), (), ("good",)]
    one, dash, other = reading.align(stretch(tape), range(3))
    near(one, times[0])
    near(other, times[1])
    assert dash is None


def test_only_the_words_asked_for_are_placed(aligner):
    tape = tiny.Tape(4)
    times = tape.read("the good")
    placed = aligner.read(TEXT.split(), "en").align(stretch(tape), range(2, 4))
    assert len(placed) == 2
    for word, expected in zip(placed, times, strict=True):
        near(word, expected)


def test_a_number_is_placed_by_all_words_that_are_said_for_it(aligner):
    reading = aligner.read(["about", "25", "people"], "en")
    (said,) = {reading.spoken[1]}
    assert len(said) > 1
    tape = tiny.Tape(9)
    times = tape.read(" ".join(["about", *said, "people"]))
    placed = reading.align(stretch(tape), range(3))
    near(placed[1], (times[1][0], times[len(said)][1]))
    near(placed[2], times[-1])


def test_half_of_what_is_said_for_a_word_makes_it_doubtful(aligner):
    reading = aligner.read(["about", "25", "people"], "en")
    tape = tiny.Tape(6)
    tape.read(f"about {reading.spoken[1][0]} people")
    about, number, people = reading.align(stretch(tape), range(3))
    assert number.score < 0.5 < min(about.score, people.score)


def test_words_that_are_not_said_are_doubtful_and_leave_their_neighbours_in_place(aligner):
    tape = tiny.Tape(6)
    times = tape.read("hello the people", pause=0.6)
    placed = aligner.read(["hello", "jump", "quickly", "the", "funny", "people"], "en").align(stretch(tape), range(6))
    for at, expected in zip((0, 3, 5), times, strict=True):
        near(placed[at], expected)
        assert placed[at].score > 0.9
    for at in (1, 2, 4):
        assert placed[at].score < 0.5
    ordered(placed, stretch(tape))


def test_a_word_that_is_not_said_lies_close_to_its_neighbour(aligner):
    tape = tiny.Tape(20)
    times = [tape.say("good", 9.0)]
    before, good, behind = aligner.read(["jump", "good", "funny"], "en").align(stretch(tape), range(3))
    near(good, times[0])
    assert before.end == good.start
    assert behind.start == good.end
    assert good.start - before.start < RATE / 2
    assert behind.end - good.end < RATE / 2


def test_a_whole_sentence_that_is_not_said_takes_no_room_from_the_others(aligner):
    tape = tiny.Tape(4)
    times = tape.read("the good", pause=0.05)
    words = ["the", *["quick", "brown", "fox", "jumps", "over", "our", "lazy", "dogs"] * 2, "good"]
    placed = aligner.read(words, "en").align(stretch(tape), range(len(words)))
    near(placed[0], times[0])
    near(placed[-1], times[1])
    assert all(word.score < 0.5 for word in placed[1:-1])
    ordered(placed, stretch(tape))


def test_what_else_is_said_drags_no_word(aligner):
    tape = tiny.Tape(12)
    times = tape.read("umm hello all so quickly jumped the people indeed")
    placed = aligner.read(["hello", "all", "the", "people"], "en").align(stretch(tape), range(4))
    for word, at in zip(placed, (1, 2, 6, 7), strict=True):
        near(word, times[at])
        assert word.score > 0.9


def test_letters_said_twice_need_a_pause_between_them(aligner):
    for word in ("ball", "bal"):
        tape = tiny.Tape(2)
        times = tape.read(word)
        reading = aligner.read(["ball", "bal"], "en")
        double, single = (reading.align(stretch(tape), range(at, at + 1))[0] for at in range(2))
        assert [heard.text for heard in reading.recognize(stretch(tape))] == [word]
        near(single, times[0]) if word == "bal" else near(double, times[0])
        assert (double.score > 0.9) is (word == "ball")


def test_a_wrong_letter_keeps_a_word_in_place(aligner):
    tape = tiny.Tape(4)
    times = tape.read("the peopls all")
    placed = aligner.read(["the", "people", "all"], "en").align(stretch(tape), range(3))
    for word, expected in zip(placed, times, strict=True):
        near(word, (expected[0], expected[1]), frames=8)
    assert placed[1].score < placed[0].score


def test_nothing_said_places_nothing(aligner):
    silence = stretch(tiny.Tape(3))
    reading = aligner.read(["good", "—", "people"], "en")
    assert reading.align(silence, range(3)) == (None, None, None)
    assert reading.recognize(silence) == ()


def test_more_letters_than_frames_places_nothing(aligner):
    tape = tiny.Tape(1)
    times = tape.read("the", at=0.1)
    words = ["the"] * 18
    reading = aligner.read(words, "en")
    assert reading.align(stretch(tape), range(18)) == (None,) * 18
    near(reading.align(stretch(tape), range(1))[0], times[0])


@pytest.mark.parametrize("count", [0, 1, 100, FRAME, 399, 400, 401])
def test_the_shortest_stretches_do_no_harm(aligner, count):
    speech = Speech(start=START, audio=np.full(count, 0.5, np.float32))
    reading = aligner.read(["a", "—", "good"], "en")
    assert reading.align(speech, range(0)) == ()
    placed = reading.align(speech, range(3))
    assert placed[1] is None
    ordered(placed, speech)
    assert all(speech.start <= word.start < word.end <= speech.end for word in reading.recognize(speech))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_audio_that_is_none_is_heard_as_something(aligner, value):
    speech = Speech(start=0, audio=np.full(RATE, value, np.float32))
    reading = aligner.read(["good"], "en")
    assert isinstance(reading.recognize(speech), tuple)
    ordered(reading.align(speech, range(1)), speech)


def test_an_empty_text_has_no_words(aligner):
    reading = aligner.read([], "en")
    assert list(reading.spoken) == []
    assert reading.align(stretch(tiny.Tape(1)), range(0)) == ()


def test_long_stretches_are_heard_in_parts_without_a_seam(aligner):
    tape = tiny.Tape(75)
    words = ["hello", "all", "good", "people"] * 18
    times = tape.read(" ".join(words), at=1.03)
    assert times[-1][0] > 60 * RATE
    reading = aligner.read(words, "en")
    placed = reading.align(stretch(tape), range(len(words)))
    for word, expected in zip(placed, times, strict=True):
        near(word, expected)
    assert [word.text for word in reading.recognize(stretch(tape))] == words


def test_the_network_hears_the_same_audio_once(aligner, monkeypatch):
    runs: list[int] = []
    whole = emissions.Emissions._run

    def counted(self, audio):
        runs.append(len(audio))
        return whole(self, audio)

    monkeypatch.setattr(emissions.Emissions, "_run", counted)
    tape = tiny.Tape(3)
    tape.read("all good")
    reading = aligner.read(["all", "good"], "en")
    first = reading.align(stretch(tape), range(2))
    reading.recognize(stretch(tape))
    assert reading.align(Speech(start=START, audio=tape.audio.copy()), range(2)) == first
    assert runs == [3 * RATE]
    tape.audio[:] = 0  # a buffer that is used again
    assert reading.recognize(stretch(tape)) == ()
    assert len(runs) == 2


@pytest.mark.parametrize("hop", [160, 200, 256, 640])
def test_the_length_of_a_frame_is_the_model_s_own(tmp_path, hop):
    tape = tiny.Tape(28)
    times = tape.read(" ".join(["good"] * 30))
    placed = load(tiny.build(tmp_path, hop=hop)).read(["good"] * 30, "en").align(stretch(tape), range(30))
    for word, expected in zip(placed, times, strict=True):
        near(word, expected, frames=2 * max(hop, FRAME) / FRAME)


def test_a_model_may_want_a_mask_and_audio_that_is_normalised(tmp_path):
    folder = tiny.build(tmp_path, mask=True, features={"do_normalize": True})
    tape = tiny.Tape(4)
    times = tape.read("the good people")
    tape.audio *= 0.02
    placed = load(folder).read(["the", "good", "people"], "en").align(stretch(tape), range(3))
    for word, expected in zip(placed, times, strict=True):
        near(word, expected, frames=3)


# ── letters ──


def test_an_aligner_is_one_with_what_it_was_described_with(aligner):
    checked: Aligner = aligner
    assert checked.capabilities == capabilities()


def test_a_language_that_the_model_does_not_have_is_refused(aligner):
    with pytest.raises(EngineUnavailable, match="'de'"):
        aligner.read(["gut"], "de")


def test_other_alphabets_are_as_good(german):
    tape = tiny.Tape(6, GERMAN)
    times = tape.read("schöne große grüße")
    reading = german.read(["Schöne", "große", "Grüße!"], "de")
    assert reading.spoken == [("schöne",), ("große",), ("grüße",)]
    for word, expected in zip(reading.align(stretch(tape), range(3)), times, strict=True):
        near(word, expected)
    assert [word.text for word in reading.recognize(stretch(tape))] == ["schöne", "große", "grüße"]


def test_letters_that_the_vocabulary_lacks_lose_their_accents_or_are_left_out(german):
    reading = german.read(["Café", "naïve", "Ελλάδα", "aΩb", "d'accord", "ﬁn"], "de")
    assert reading.spoken == [("cafe",), ("naive",), (), ("ab",), ("daccord",), ("fin",)]


def test_the_way_that_the_vocabulary_covers_is_taken(german, monkeypatch):
    ways = [(("ωα",), ("xΩ", "b"), ("bé", "c"), ("d",)), (("ω",), ("aω",), ("b", "ω")), ((),), ()]
    monkeypatch.setattr("sottovoce.engines.ctc.aligner.spoken", lambda *_: ways)
    assert german.read(["w"] * 4, "de").spoken == [("be", "c"), ("a",), (), ()]


def test_without_a_sign_between_words_every_letter_is_one(tmp_path):
    aligner = load(tiny.build(tmp_path, KANA), ["ja"])
    tape = tiny.Tape(3, KANA)
    tape.say("あかい", 0.5)
    end = tape.say("きく", 1.5)
    reading = aligner.read(["あかい", "きく"], "ja")
    assert reading.spoken == [("あ", "か", "い"), ("き", "く")]
    assert [word.text for word in reading.recognize(stretch(tape))] == list("あかいきく")
    near(reading.align(stretch(tape), range(2))[1], end)


def test_marks_may_be_letters_of_their_own(tmp_path):
    tokens = ("<pad>", "|", *"ae", "\u0301")
    reading = load(tiny.build(tmp_path, tokens), ["fr"]).read(["é"], "fr")
    assert reading.spoken == [("e\u0301",)]
    tape = tiny.Tape(2, tokens)
    times = tape.say("e\u0301", 0.5)
    assert [word.text for word in reading.recognize(stretch(tape))] == ["e\u0301"]
    near(reading.align(stretch(tape), range(1))[0], times)


@given(text=st.text(max_size=30))
def test_every_token_is_spelled_in_the_letters_there_are(folder, text):
    vocabulary = read_vocabulary(folder)
    spelling = vocabulary.spelled(text)
    assert all(vocabulary.texts[number] == letter for number, letter in zip(spelling.ids, spelling.text, strict=True))
    assert len(spelling.ids) <= 20 * max(1, len(unicodedata.normalize("NFKD", text.lower())))


# ── files that are not what they should be ──


def refused(folder: Path, why: str, *, device="cpu") -> None:
    with pytest.raises(EngineUnavailable, match=why) as caught:
        load(folder, device=device)
    assert caught.value.at is None
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "not a table"),
        ("{}", "not a table"),
        ("7", "not a table"),
        ("{", "not valid JSON"),
        ("[" * 200_000, "not valid JSON"),
        ('{"<pad>": 0, "a": 1, "a": 2}', "not valid JSON: an object has the same name twice"),
        ('{"<pad>": 0, "a": 1, "b": 1}', "same number to more than one"),
        ('{"<pad>": 0, "a": -1}', "not an integer from 0 to 99999"),
        ('{"<pad>": 0, "a": 99999999999999999999}', "not an integer from 0 to 99999"),
        ('{"<pad>": 0, "a": 1.5}', "not an integer from 0 to 99999"),
        ('{"<pad>": 0, "a": true}', "not an integer from 0 to 99999"),
        ('{"<pad>": 0, "a": null}', "not an integer from 0 to 99999"),
        ('{"eng": {"<pad>": 0, "a": 1}}', "not an integer from 0 to 99999"),
        ('{"<pad>": 0, "a": 32}', "of different models"),
        ('{"<pad>": 0, "a": 5000}', "of different models"),
        ('{"a": 0, "b": 1}', "the blank token is not named"),
        ('{"<pad>": 0, "|": 1, "<unk>": 2, "\\u0000": 3, "\\ud800": 4}', "has no letters"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(copy, content, why):
    (copy / "vocab.json").write_text(content)
    refused(copy, why)


def test_a_vocabulary_of_a_million_entries_is_refused(copy):
    for count, why in ((100_001, "not a table of 1 to 100000"), (1_000_000, "too large")):
        (copy / "vocab.json").write_text("{" + ",".join(f'"{number:x}":{number}' for number in range(count)) + "}")
        refused(copy, why)
    assert (copy / "vocab.json").stat().st_size > MAX_BYTES


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("preprocessor_config.json", {"sampling_rate": 8000}, "8000 Hz"),
        ("preprocessor_config.json", {"sampling_rate": "x" * 1000}, "Hz, but only"),
        ("preprocessor_config.json", [], "not a JSON object"),
        ("tokenizer_config.json", "pad", "not a JSON object"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(copy, file, content, why):
    (copy / file).write_text(json.dumps(content))
    refused(copy, why)


def test_the_blank_is_found_in_the_configuration_too(tmp_path):
    folder = tiny.build(tmp_path, ("_", "<pad>", "a", "b"))
    (folder / "vocab.json").write_text('{"_": 1, "a": 2, "b": 3}')
    (folder / "config.json").write_text('{"pad_token_id": 1}')
    (folder / "tokenizer_config.json").write_text('{"pad_token": 7}')
    assert read_vocabulary(folder).blank == 1
    for number in ("true", "-1", "1e9", '"1"', "1000000"):
        (folder / "config.json").write_text(f'{{"pad_token_id": {number}}}')
        with pytest.raises(ValueError, match="the blank token is not named"):
            read_vocabulary(folder)


def test_a_model_works_without_its_configurations(copy):
    for file in ("tokenizer_config.json", "config.json", "preprocessor_config.json"):
        (copy / file).unlink()
    vocabulary = read_vocabulary(copy)
    assert (vocabulary.blank, vocabulary.delimiter, vocabulary.normalizes) == (0, 4, True)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x09" * 500])
def test_a_broken_network_is_refused(copy, content):
    (copy / "model.onnx").write_bytes(content)
    refused(copy, "tiny cannot be loaded .*models verify tiny")


def test_a_cut_network_is_refused(copy):
    graph = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(graph[: len(graph) // 2])
    refused(copy, "cannot be loaded")


@pytest.mark.parametrize("file", ["model.onnx", "vocab.json"])
def test_a_missing_file_is_refused(copy, file):
    (copy / file).unlink()
    refused(copy, "cannot be loaded")


@pytest.mark.parametrize("outputs", [8, 768])
def test_a_network_of_another_vocabulary_is_refused(tmp_path, outputs):
    refused(tiny.build(tmp_path, outputs=outputs), f"{outputs} outputs, but its vocabulary has 32 tokens")


def test_a_network_whose_frames_fit_no_second_is_refused(tmp_path):
    refused(tiny.build(tmp_path, hop=700), "of no fixed length")


def test_a_network_without_frames_is_refused(tmp_path):
    refused(tiny.build(tmp_path, flat=True), "logits of frames")


def test_a_network_that_wants_features_is_refused(copy):
    from tests import tiny_onnx_asr

    tiny_onnx_asr.transducer(copy / "other")
    shutil.copy(copy / "other" / "encoder-model.onnx", copy / "model.onnx")
    refused(copy, r"does not take input_values .* alone")


def test_a_device_that_is_not_there_is_refused(folder):
    refused(folder, "not on 'tpu'", device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        refused(folder, "no CUDA support", device="cuda:0")


def test_the_small_network_is_taken_on_a_cpu(copy):
    tiny.build(copy, file="model_quantized.onnx")
    (copy / "model.onnx").write_bytes(b"broken")
    assert load(copy).capabilities.model == "tiny"


# ── the trellis by itself ──


def posteriors(rows) -> np.ndarray:
    logits = np.array(rows, np.float64)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def price_of(labels, runs, scores, blank, delimiter) -> float | None:
    """What a labelling of frames costs by the rules as they are written down; None if they forbid it.

    A label is ("gap", number), ("letter", run, place) or ("inner", run, place), the last behind that letter.
    """
    total = 0.0
    for frame, label in enumerate(labels):
        row = scores[frame]
        between = row[blank] if delimiter is None else max(row[blank], row[delimiter])
        if label[0] == "gap":
            others = max(value for output, value in enumerate(row) if output != blank)
            total += max(between, others - forced_alignment.STRAY)
        elif label[0] == "inner":
            total += max(row[blank], between - forced_alignment.SPLIT)
        else:
            total += row[runs[label[1]][label[2]]]
    steps = [label for label, _ in itertools.groupby(labels)]
    here = {label[1] for label in steps if label[0] != "gap"}
    for run in here:
        own = [label for label in steps if label[0] != "gap" and label[1] == run]
        letters = [label[2] for label in own if label[0] == "letter"]
        at = [steps.index(label) for label in own]
        if letters != list(range(len(runs[run]))) or at != list(range(at[0], at[0] + len(at))):
            return None
        if own[0][0] == "inner" or own[-1][0] == "inner":
            return None
    order = [label[1] if label[0] == "gap" else label[1] + 0.5 for label in steps]
    if order != sorted(order):
        return None
    for one, other in itertools.pairwise(steps):
        if one[0] == other[0] == "letter" and runs[one[1]][one[2]] == runs[other[1]][other[2]]:
            return None
        if one[0] == "letter" and other[0] == "letter" and one[1] != other[1] and other[1] != one[1] + 1:
            return None
    return total - sum(forced_alignment.PASSED * len(ids) for run, ids in enumerate(runs) if run not in here)


@given(
    rows=st.lists(st.lists(st.integers(-12, 3), min_size=4, max_size=4), min_size=3, max_size=4),
    runs=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=2), min_size=1, max_size=2),
    delimiter=st.sampled_from([None, 3]),
)
@settings(max_examples=examples(25), deadline=None)
def test_the_path_is_the_best_of_all(rows, runs, delimiter):
    scores = posteriors(rows)
    if sum(map(len, runs)) > len(rows):
        assert forced_alignment.find(scores, runs, 0, delimiter) == [None] * len(runs)
        return
    labels: list[tuple[object, ...]] = [("gap", number) for number in range(len(runs) + 1)]
    for run, ids in enumerate(runs):
        labels += [("letter", run, align) for align in range(len(ids))]
        labels += [("inner", run, align) for align in range(len(ids) - 1)]
    every = itertools.product(labels, repeat=len(rows))
    best = max(price for way in every if (price := price_of(way, runs, scores, 0, delimiter)) is not None)
    states = forced_alignment._states(runs, 0, 4)
    path = forced_alignment._best(forced_alignment._emissions(scores, 0, delimiter), states)
    way: list[tuple[object, ...]] = []
    for state, run in zip(path.tolist(), states.run[path].tolist(), strict=True):
        kind = "letter" if states.letter[state] else "inner" if states.inside[state] else "gap"
        align = (state - int(states.gaps[run]) - 1) // 2
        way.append((kind, run) if kind == "gap" else (kind, run, align))
    assert price_of(way, runs, scores, 0, delimiter) == pytest.approx(best, abs=1e-4)


def test_too_large_a_trellis_is_not_made(monkeypatch):
    scores = posteriors(np.zeros((50, 4)))
    assert any(forced_alignment.find(scores, [[1, 2]] * 10, 0, None))
    monkeypatch.setattr(forced_alignment, "MAX_CELLS", 50 * (2 * 20 + 5 * 10) - 1)
    assert not any(forced_alignment.find(scores, [[1, 2]] * 10, 0, None))

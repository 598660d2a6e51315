"""The Whisper adapter around a tiny random model: shapes, order and times, never what the words are."""

import gc
import itertools
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio.activity import Span, Speech
from sottovoce.engines.common import silero_vad
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.protocols import Capabilities, ChoosesActivity, Hints, LanguageIdentifier, Parallel
from sottovoce.engines.whisper import coverage, hallucination, listener, style, vocabulary
from sottovoce.engines.whisper.decoder import Decoder
from sottovoce.engines.whisper.engine import COMPARED, IDENTIFIED, TOP, Whisper
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.languages import CLEAR, LANGUAGES, UNKNOWN, whisper_codes
from sottovoce.engines.whisper.windows import ACTIVITY
from sottovoce.errors import EngineUnavailable
from sottovoce.request import VocabEntry
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Mark, Word
from tests.tiny_whisper import Tiny, build
from tests.unit.engines.whisper.whisper_values import line

CAPABILITIES = Capabilities(
    engine="whisper",
    model="tiny-made-up",
    languages=LANGUAGES,
    punctuates=True,
    custom_vocab=True,
    word_confidence=True,
    identifies_language=True,
)


def load(folder, *, device="cpu", compute_type="float32", batch=4, beam=2, workers=1) -> Whisper:
    return Whisper(
        folder,
        CAPABILITIES,
        device=device,
        compute_type=compute_type,
        threads=1,
        batch=batch,
        beam=beam,
        workers=workers,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(folder) -> Whisper:
    return load(folder)


def noise(start, seconds, seed=0):
    """A stretch that sounds like nothing in particular; *start* in seconds."""
    samples = round(seconds * RATE)
    random = np.random.default_rng(seed)
    audio = random.normal(0, 0.1, samples) * np.sin(np.arange(samples) / (20 + seed))
    return Speech(start=round(start * RATE), audio=audio.astype(np.float32))


@pytest.fixture
def unguarded(monkeypatch):
    """Every word of the first decode stays, and nothing is decoded twice: a random model's words mean nothing."""
    monkeypatch.setattr(hallucination, "needs_fallback", lambda _heard: False)
    monkeypatch.setattr(hallucination, "filter_words", lambda heard: heard.words)
    monkeypatch.setattr(hallucination, "unintelligible", lambda *_, **__: False)
    monkeypatch.setattr(hallucination, "doubtful", lambda _heard: False)
    monkeypatch.setattr(coverage, "within_audio", lambda words, *_: tuple(words))
    monkeypatch.setattr(coverage, "unvoiced", lambda *_: False)
    monkeypatch.setattr(coverage, "holes", lambda *_: [])
    monkeypatch.setattr(style, "plain", lambda *_: False)


def hear(engine, speech, *vocab, language="en"):
    return list(engine.recognize(iter(speech), Hints(language=language, vocab=vocab)))


def check(heard, speech, language="en"):
    """One result a stretch, in order; its items in order, inside it, and of their kind."""
    assert [(each.start, each.end) for each in heard] == [(each.start, each.end) for each in speech]
    for result in heard:
        at = result.start
        for item in result.items:
            assert at <= item.start <= item.end <= result.end
            at = item.end
            assert item.language == language
            assert isinstance(item, Word | Mark)
            if isinstance(item, Word):
                assert item.text.strip()
                assert 0.0 <= item.confidence <= 1.0
                assert type(item.confidence) is float
            else:
                assert item.text in pack(language).marks


def words(heard):
    return [item.text for result in heard for item in result.items if isinstance(item, Word)]


# ── recognising ──


def test_every_stretch_gets_its_words(engine, unguarded):
    speech = [noise(0.5, 4, 1), noise(5, 2.5, 2), noise(8, 0.3, 3), noise(30, 12, 4), noise(400, 8, 5)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert len(words(heard)) > 20
    assert any(isinstance(item, Mark) for result in heard for item in result.items)
    assert not any(result.notes for result in heard)


def test_with_its_guards_results_are_in_order_and_inside_their_stretches(engine):
    speech = [noise(0.5, 4, 1), noise(5, 2.5, 2), noise(8, 0.3, 3), noise(30, 12, 4), noise(400, 8, 5)]
    check(hear(engine, speech), speech)


def test_speech_without_a_pause_is_heard_across_its_cuts(engine, unguarded):
    speech = [noise(at, 20, at) for at in (10, 30, 50)] + [noise(70, 7, 3)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert all(result.items for result in heard)


def test_what_is_heard_does_not_depend_on_how_many_windows_are_heard_at_once(folder, engine, unguarded):
    speech = [noise(at, 9, at) for at in range(0, 80, 10)]
    parallel = load(folder, workers=3)
    parallel.allow(lambda: 3)
    assert hear(parallel, speech) == hear(engine, speech)
    assert words(hear(engine, speech)) != []


def test_so_many_windows_are_heard_at_once_as_are_allowed(folder, monkeypatch):
    engine = load(folder, workers=3)
    lock, now, most = threading.Lock(), [0], [0]
    meet = threading.Barrier(2, timeout=30)

    def heard(*_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        meet.wait()
        with lock:
            now[0] -= 1
        return [], []

    monkeypatch.setattr(listener, "hear", heard)
    engine.allow(lambda: 2)
    speech = [noise(at, 1, 1) for at in range(0, 40, 5)]
    check(hear(engine, speech), speech)
    assert most == [2]


def test_a_batch_gives_the_words_of_its_windows_one_by_one(folder, unguarded):
    """The way of a GPU: every window is filled up to what the model hears at once, and several are decoded together."""
    engine = load(folder)
    engine.decoder = Decoder(engine._model, beam=2, full_window=True)
    speech = [noise(at, 4 + at % 7, at) for at in range(0, 80, 20)]
    alone = hear(engine, speech)
    engine._batch = 3
    together = hear(engine, speech)
    check(together, speech)
    assert words(together) == words(alone) != []


def test_what_is_heard_does_not_depend_on_the_place_in_the_media(engine, unguarded):
    early, late = noise(3, 14, 9), noise(35_003, 14, 9)
    (one,), (other,) = hear(engine, [early]), hear(engine, [late])
    by = late.start - early.start
    assert [(item.text, item.start + by) for item in one.items] == [(item.text, item.start) for item in other.items]
    assert words([one])


def test_what_is_heard_does_not_depend_on_what_was_heard_before(engine):
    first, second = noise(3, 6, 9), noise(20, 8, 4)
    hear(engine, [first])
    (_, after), (alone,) = hear(engine, [first, second]), hear(engine, [second])
    assert after == alone


@pytest.mark.parametrize("language", ["ar", "cmn", "cmn_en_ms_ta", "de", "en_ta", "hi", "ja", "no", "th", "tl", "yue"])
def test_a_language_is_recognised_under_its_own_code(engine, unguarded, language):
    speech = [noise(2, 5, 6)]
    heard = hear(engine, speech, language=language)
    check(heard, speech, language)
    assert words(heard)


@pytest.mark.parametrize("language", ["eo", "ga", "auto", "zz", ""])
def test_other_languages_are_never_guessed_at(engine, language):
    with pytest.raises(EngineUnavailable, match="does not support"):
        hear(engine, [noise(0, 2)], language=language)


@pytest.mark.parametrize("samples", [0, 1, 160, 1_599, 1_600, 4_000])
@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
def test_next_to_nothing_is_no_error(engine, samples, value):
    speech = [Speech(start=7, audio=np.full(samples, value, np.float32))]
    check(hear(engine, speech), speech)


def test_no_speech_is_nothing(engine):
    assert hear(engine, []) == []
    assert engine.identify([]) == ()


def test_a_stretch_longer_than_the_model_hears_at_once_is_one_result(engine, unguarded):
    speech = [noise(3, 70), noise(80, 2)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert words(heard[:1])


@pytest.mark.parametrize("workers", [1, 2])
def test_it_reads_a_few_windows_ahead_and_nothing_before_it_is_asked(folder, workers):
    engine = load(folder, workers=workers)
    engine.allow(lambda: 2)
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield noise(number * 15, 3, number % 3)

    heard = engine.recognize(endless(), Hints(language="en"))
    assert read == []
    next(heard)
    # a window is known with the stretch after it, a stretch is complete with the window after it
    assert len(read) <= 3 if workers == 1 else len(read) <= 2 * 8 + 3


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_does_not_grow_with_the_media(folder, unguarded, workers):
    engine = load(folder, beam=1, workers=workers)
    engine.allow(lambda: 2)
    audio = noise(0, 24, 1).audio

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stretches():
        for number in range(18):
            yield Speech(start=number * 25 * RATE, audio=audio.copy())  # 1.5 MB each

    heard = engine.recognize(stretches(), Hints(language="en"))
    for _ in range(6):
        next(heard)
    before = resident()
    assert sum(1 for _ in heard) == 12
    assert resident() - before < 9_000_000


# ── guards ──


def test_a_model_that_never_ends_is_ended(tmp_path):
    engine = load(build(tmp_path, Tiny(length=0)), beam=1)
    speech = [noise(1, 10, 1), noise(12, 20, 2)]
    check(hear(engine, speech), speech)


def test_speech_that_stays_without_words_is_told_with_its_place_and_nothing_of_it(engine, monkeypatch):
    monkeypatch.setattr(hallucination, "unintelligible", lambda *_, **__: True)
    speech = [noise(1, 10, 1), noise(20, 5, 2)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert words(heard) == []
    assert [result.notes for result in heard] == [
        ("no words in 10.0 s of speech between 1.0 and 11.0 s",),
        ("no words in 5.0 s of speech between 20.0 and 25.0 s",),
    ]


def test_only_runs_of_speech_need_words(engine, monkeypatch):
    monkeypatch.setattr(hallucination, "unintelligible", lambda *_, **__: True)
    quiet = replace(noise(1, 10, 1), voiced=(Span(start=3 * RATE, end=round(3.3 * RATE)),))
    assert [result.notes for result in hear(engine, [quiet])] == [()]


# ── custom words ──


def test_a_thousand_custom_words_and_hostile_ones_are_no_error(engine, unguarded):
    speech = [noise(0, 6, 1)]
    vocab = [VocabEntry(content=f"word{n}", sounds_like=("wurd", "room", "hello")) for n in range(1_000)]
    check(hear(engine, speech, *vocab), speech)
    hostile = (
        "<|endoftext|>",
        "<|nospeech|>",
        "<|0.00|>",
        "\ud800",
        "",
        "x" * 5_000,
        "a b c d e f g",
        "\x00",
        "<|en|>",
    )
    check(hear(engine, speech, *(VocabEntry(content=text) for text in hostile)), speech)


def test_a_custom_word_that_sounds_like_one_that_was_heard_is_asked_for(engine, unguarded, monkeypatch):
    decode, asked = engine.decoder.decode, []

    def watched(clips, task, **options):
        asked.append(task.previous)
        return decode(clips, task, **options)

    monkeypatch.setattr(engine.decoder, "decode", watched)
    monkeypatch.setattr(
        listener, "hear", lambda *_: ([HypothesisWord(text="Helo", start=0, end=RATE, probability=0.9)], [])
    )
    speech = [noise(0, 6, 1)]
    hear(engine, speech, VocabEntry(content="Gnocchi"))
    assert asked == []
    hear(engine, speech, VocabEntry(content="Hello"), VocabEntry(content="Gnocchi"))
    (tokens,) = asked
    text = engine.decoder.tokenizer("en").decode(list(tokens))
    assert "Hello" in text
    assert "Gnocchi" not in text


def test_custom_words_that_cannot_be_used_are_told_once(engine, unguarded):
    vocab = (
        VocabEntry(content="one two three four five six seven"),
        VocabEntry(content="..."),
        VocabEntry(content="ok"),
    )
    first, second = hear(engine, [noise(0, 6, 1), noise(10, 6, 2)], *vocab)
    assert [note.split(":")[0] for note in first.notes] == ["2 custom words are not used"]
    assert second.notes == ()


# ── capitals and marks ──


@pytest.fixture
def lower_case(engine, monkeypatch):
    """A window that comes without a capital or a mark; what the second decode writes can be set."""
    said = line("so we went to the house and nobody was there", pace=0.5)
    second: list[str] = []

    def decode(_clips, _task, **_):
        heard = tuple(HypothesisWord(text=each, start=0, end=1, probability=0.9) for each in second)
        return [Hypothesis(words=heard, text="", avg_logprob=-0.2, no_speech=0.0, tokens=9)]

    monkeypatch.setattr(listener, "hear", lambda *_: (list(said), []))
    monkeypatch.setattr(engine.decoder, "decode", decode)
    return second


def test_a_window_without_capitals_and_marks_gets_those_of_a_second_decode(engine, lower_case):
    lower_case += [each.text for each in line("So we went to the House, and nobody was there.")]
    (result,) = hear(engine, [noise(0, 6, 1)])
    assert " ".join(words([result])) == "So we went to the House and nobody was there"
    assert [item.text for item in result.items if isinstance(item, Mark)] == [",", "."]


@pytest.mark.parametrize("second", ["", "Good morning, everyone. Shall we begin? Yes, I think so."])
def test_where_that_does_not_help_pauses_make_the_sentences(engine, lower_case, second):
    lower_case += second.split()
    (result,) = hear(engine, [noise(0, 6, 1)])
    assert " ".join(words([result])) == "So we went to the house and nobody was there"
    assert isinstance(result.items[-1], Mark)


# ── confidence ──


def test_confidence_goes_through_the_calibration_beside_the_model(tmp_path, unguarded):
    build(tmp_path)
    (tmp_path / "calibration.json").write_text("[[0, 0.25], [1, 0.5]]")
    (result,) = hear(load(tmp_path), [noise(0, 8, 2)])
    confidences = [item.confidence for item in result.items if isinstance(item, Word)]
    assert confidences
    assert all(0.25 <= each <= 0.5 for each in confidences)


def test_a_calibration_that_is_none_is_refused(tmp_path):
    build(tmp_path)
    (tmp_path / "calibration.json").write_text("[[1, 0], [0, 1]]")
    with pytest.raises(EngineUnavailable, match="calibration of Whisper tiny-made-up cannot be used") as caught:
        load(tmp_path)
    assert str(tmp_path) not in caught.value.detail


# ── languages ──


def test_capabilities_are_what_the_model_has(engine, tmp_path):
    assert engine.capabilities == CAPABILITIES
    assert isinstance(engine, LanguageIdentifier)
    assert isinstance(engine, Parallel)
    assert isinstance(engine, ChoosesActivity)
    assert engine.activity is ACTIVITY
    older = load(build(tmp_path / "older", Tiny(without=frozenset({"yue"}))))
    assert older.capabilities.languages == LANGUAGES - {"yue"}
    with pytest.raises(EngineUnavailable):
        hear(older, [noise(0, 2)], language="yue")
    english = load(build(tmp_path / "english", Tiny(multilingual=False)))
    assert english.capabilities.languages == {"en"}
    assert not english.capabilities.identifies_language
    check(hear(english, [noise(0, 5)]), [noise(0, 5)])
    with pytest.raises(EngineUnavailable, match="cannot identify languages"):
        english.identify([noise(0, 5)])
    with pytest.raises(EngineUnavailable):
        hear(english, [noise(0, 2)], language="de")


def test_a_distilled_model_with_all_languages_in_its_vocabulary_keeps_to_what_is_announced(folder):
    announced = replace(CAPABILITIES, languages=frozenset({"en"}), identifies_language=False)
    engine = Whisper(folder, announced, device="cpu", compute_type="float32", threads=1, batch=1, beam=1)
    assert engine.capabilities == announced
    with pytest.raises(EngineUnavailable, match="does not support"):
        hear(engine, [noise(0, 2)], language="de")
    with pytest.raises(EngineUnavailable, match="cannot identify languages"):
        engine.identify([noise(0, 2)])


@pytest.mark.parametrize("batch", [1, 4])
def test_a_bilingual_pack_takes_the_likelier_language_for_each_window(folder, unguarded, monkeypatch, batch):
    engine = load(folder)
    engine._batch = batch
    speech = [noise(at, 20, at) for at in (0, 30, 60, 90)]
    likely = iter([{"en": 0.6, "zh": 0.2}, {"zh": 0.9}, {"ja": 0.8, "zh": 0.1, "en": 0.05}, {"de": 0.8, "en": 0.1}])
    monkeypatch.setattr(engine.decoder, "languages", lambda _audio: next(likely))
    decode, asked = engine.decoder.decode, []

    def watched(clips, task, **options):
        asked.append((task.code, len(clips)))
        return decode(clips, task, **options)

    monkeypatch.setattr(engine.decoder, "decode", watched)
    heard = hear(engine, speech, language="cmn_en")
    assert asked == ([("en", 2), ("zh", 2)] if batch > 1 else [("en", 1), ("zh", 1), ("zh", 1), ("en", 1)])
    check(heard, speech, "cmn_en")


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({"fr": CLEAR, "en": 0.1}, True),
        ({"fr": CLEAR - 0.01, "en": 0.01}, False),
        ({"en": 0.99}, False),
        ({}, False),
    ],
)
def test_speech_of_another_language_than_asked_for_is_told(engine, unguarded, monkeypatch, scores, told):
    monkeypatch.setattr(engine.decoder, "languages", lambda _audio: scores)
    heard = hear(engine, [noise(at, 4, 1) for at in range(0, 80, 10)] + [noise(100, 1, 2)])
    note = (f"the speech sounds like fr ({CLEAR:.2f}), but en was requested",)
    assert [result.notes for result in heard] == [note if told and number < COMPARED else () for number in range(9)]
    assert all(result.items for result in heard[:8])


def test_a_short_beginning_is_not_held_against_the_language_asked_for(engine, unguarded, monkeypatch):
    monkeypatch.setattr(engine.decoder, "languages", lambda _audio: {"fr": 0.99})
    assert [result.notes for result in hear(engine, [noise(0, 2, 1)])] == [()]


def test_languages_are_identified_over_all_of_the_speech(engine):
    speech = [noise(0, 25, 1), noise(30, 20, 2), noise(50, 3, 3)]
    scores = engine.identify(speech)
    assert 1 <= len(scores) <= TOP
    assert [score.confidence for score in scores] == sorted((score.confidence for score in scores), reverse=True)
    assert sum(score.confidence for score in scores) <= 1.0 + 1e-6
    assert len({score.language for score in scores}) == len(scores)
    assert not {"zh", "nn", "jw"} & {score.language for score in scores}
    assert all(0.0 < score.confidence <= 1.0 for score in scores)
    assert engine.identify(speech[:1]) != scores


def test_codes_of_one_language_are_added_up(engine, monkeypatch):
    scores = {"nn": 0.4, "zh": 0.3, "no": 0.2, "jw": 0.1}
    monkeypatch.setattr(engine.decoder, "languages", lambda _audio: scores)
    found = engine.identify([noise(0, 25), noise(40, 25)])
    assert [(each.language, pytest.approx(each.confidence)) for each in found] == [
        ("no", 0.6),
        ("cmn", 0.3),
        ("jv", 0.1),
    ]


def test_no_more_than_two_minutes_are_listened_to(engine, monkeypatch):
    listened = []

    def spoken(audio):
        listened.append(audio.length)
        return {"en": 1.0}

    monkeypatch.setattr(engine.decoder, "languages", spoken)
    assert engine.identify([noise(at, 17) for at in range(0, 400, 20)])[0].confidence == 1.0
    assert sum(listened) == IDENTIFIED


# ── loading ──


def refusal(folder, **options):
    with pytest.raises(EngineUnavailable) as caught:
        load(folder, **options)
    assert str(folder) not in caught.value.detail
    assert caught.value.at is None
    return caught.value.detail


def test_a_folder_without_a_model_names_the_command(tmp_path):
    assert "run `sottovoce models pull tiny-made-up`" in refusal(tmp_path / "nothing")
    build(tmp_path / "half")
    (tmp_path / "half" / "tokenizer.json").unlink()
    assert "tokenizer.json is missing" in refusal(tmp_path / "half")


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "config.json", "vocabulary.json"])
def test_broken_files_are_refused(tmp_path, file):
    build(tmp_path)
    (tmp_path / file).write_bytes(b"nonsense")
    assert "cannot be loaded on cpu" in refusal(tmp_path)


@pytest.mark.parametrize("wrong", [{"feature_size": 128}, {"chunk_length": 1}, {"sampling_rate": 8_000}])
def test_features_that_do_not_fit_the_model_are_refused(tmp_path, wrong):
    build(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    assert "cannot be loaded on cpu" in refusal(tmp_path)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:0,1", "cpu:0"])
def test_a_device_that_is_none_is_refused(folder, device):
    assert "no such device" in refusal(folder, device=device)


def test_a_gpu_that_is_not_there_is_refused(folder):
    assert "no GPU 99" in refusal(folder, device="cuda:99")


def test_a_compute_type_that_is_none_is_refused(folder):
    assert "as nonsense" in refusal(folder, compute_type="nonsense")


def test_auto_is_int8_on_a_cpu(folder):
    engine = load(folder, compute_type="auto")
    assert engine._model.model.compute_type.startswith("int8")


# ── the page ──

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SAID = [
    f"set back to zeros after {silero_vad.FORGET * 512 // RATE} s",
    f"less than {ACTIVITY.min_silence // RATE} s between them",
    f"**window** of at most {ACTIVITY.max_speech // RATE} s, with {ACTIVITY.pad / RATE} s of real audio",
    f"decoded again with {listener.AROUND / RATE} s around it",
    f"compresses more than {hallucination.REPETITIVE} times, or mean log probability under {hallucination.UNLIKELY}",
    f"at temperatures {listener.TEMPERATURES[0]} to {listener.TEMPERATURES[-1]}",
    f"over {hallucination.NO_SPEECH} and mean log probability under {hallucination.UNLIKELY}",
    f"words under {hallucination.SURE} are removed",
    f"{NUMBERS[hallucination.HURRY]} words in a row",
    f"over {hallucination.MAX_WORDS_PER_SECOND:.0f} words a second",
    f"{hallucination.MAX_CHARACTERS_PER_SECOND:.0f} pieces where scripts have no blanks",
    f"words under {hallucination.WEAK} are removed",
    f"first {NUMBERS[COMPARED]} windows of a job",
    f"probability of {CLEAR} or more",
    f"The {NUMBERS[TOP]} likeliest are told",
    f"({vocabulary.CANDIDATE:.0f} of 100)",
    f"custom words, {vocabulary.MOST} at most",
    f"more than {NUMBERS[vocabulary.MAX_WORDS]} words or {vocabulary.MAX_LETTERS} letters",
    f"pauses of {style.SENTENCE / RATE} s end sentences",
]


@pytest.mark.parametrize("said", SAID)
def test_the_page_says_what_the_code_does(page, said):
    assert said in page


@pytest.fixture(scope="module")
def page():
    return (Path(__file__).parents[4] / "docs" / "whisper.md").read_text(encoding="utf-8")


def test_the_page_names_the_languages_that_are_served_otherwise_or_not_at_all(page):
    bilingual = {code for code in LANGUAGES if len(whisper_codes(code)) > 1}
    assert [code for code in sorted(UNKNOWN | bilingual) if f"`{code}`" not in page] == []
    for code in bilingual:
        (row,) = (row for row in page.splitlines() if row.startswith(f"| `{code}`"))
        assert all(f"`{each}`" in row.split("|")[2] for each in whisper_codes(code))

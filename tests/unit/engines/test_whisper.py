"""The Whisper adapter around a tiny random model: shapes, order and times, never what the words are."""

import gc
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio.activity import Speech
from sottovoce.engines import chunks, hallucination
from sottovoce.engines.hallucination import FULL, Hypothesis
from sottovoce.engines.heard import Heard, spelled
from sottovoce.engines.protocols import Capabilities, Hints, LanguageIdentifier
from sottovoce.engines.whisper.engine import TEMPERATURES, Whisper
from sottovoce.engines.whisper_languages import LANGUAGES, UNKNOWN, whisper_codes
from sottovoce.engines.whisper_prompt import BUDGET, MAX_LETTERS
from sottovoce.errors import EngineUnavailable
from sottovoce.request import VocabEntry
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Mark, Word
from tests.tiny_whisper import Tiny, build

CAPABILITIES = Capabilities(
    engine="whisper",
    model="tiny-made-up",
    languages=LANGUAGES,
    punctuates=True,
    custom_vocab=True,
    word_confidence=True,
    identifies_language=True,
)


def load(folder, *, device="cpu", compute_type="float32", batch=4, beam=2) -> Whisper:
    return Whisper(folder, CAPABILITIES, device=device, compute_type=compute_type, threads=1, batch=batch, beam=beam)


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
    """Every word stays and nothing is decoded twice: the second time is a matter of chance."""
    monkeypatch.setattr(hallucination, "doubtful", lambda _heard: False)
    monkeypatch.setattr(hallucination, "cleaned", lambda heard, _prompt="": heard.words)


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


def test_every_stretch_gets_its_words(engine):
    speech = [noise(0.5, 4, 1), noise(5, 2.5, 2), noise(8, 0.3, 3), noise(30, 12, 4), noise(400, 8, 5)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert len(words(heard)) > 20
    assert any(isinstance(item, Mark) for result in heard for item in result.items)


def test_speech_without_a_pause_is_heard_across_its_cuts(engine):
    speech = [noise(at, 20, at) for at in (10, 30, 50)] + [noise(70, 7, 3)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert all(result.items for result in heard)


def test_what_is_heard_does_not_depend_on_the_size_of_a_batch(folder, engine, unguarded):
    speech = [noise(at, 19, at) for at in range(0, 80, 20)]
    assert words(hear(load(folder, batch=1), speech)) == words(hear(engine, speech)) != []


def test_what_is_heard_does_not_depend_on_the_place_in_the_media(engine, unguarded):
    early, late = noise(3, 14, 9), noise(35_003, 14, 9)
    (one,), (other,) = hear(engine, [early]), hear(engine, [late])
    by = late.start - early.start
    assert [(item.text, item.start + by) for item in one.items] == [(item.text, item.start) for item in other.items]


@pytest.mark.parametrize("language", ["ar", "cmn", "cmn_en_ms_ta", "de", "en_ta", "hi", "ja", "no", "th", "tl", "yue"])
def test_a_language_is_recognised_under_its_own_code(engine, language):
    speech = [noise(2, 5, 6)]
    heard = hear(engine, speech, language=language)
    check(heard, speech, language)
    assert words(heard)


@pytest.mark.parametrize("language", ["eo", "ga", "auto", "zz", ""])
def test_other_languages_are_never_guessed_at(engine, language):
    with pytest.raises(EngineUnavailable, match="does not know"):
        hear(engine, [noise(0, 2)], language=language)


@pytest.mark.parametrize("samples", [0, 1, 160, 1_599, 1_600, 4_000])
@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
def test_next_to_nothing_is_no_error(engine, samples, value):
    speech = [Speech(start=7, audio=np.full(samples, value, np.float32))]
    check(hear(engine, speech), speech)


def test_no_speech_is_nothing(engine):
    assert hear(engine, []) == []
    assert engine.identify([]) == ()


def test_a_stretch_longer_than_the_model_hears_at_once_is_one_result(engine):
    speech = [noise(3, 70), noise(80, 2)]
    heard = hear(engine, speech)
    check(heard, speech)
    assert words(heard[:1])


def test_it_reads_one_batch_ahead_and_nothing_before_it_is_asked(engine):
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield noise(number * 15, 14, number % 3)

    heard = engine.recognize(endless(), Hints(language="en"))
    assert read == []
    next(heard)
    assert len(read) <= 2 * 4 + 2  # four chunks of two stretches each, and what did not fit


def test_memory_does_not_grow_with_the_media(folder):
    engine = load(folder, batch=1, beam=1)
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


# ── beside the bare engine ──

OPTIONS = {"language": "en", "beam_size": 2, "word_timestamps": True, "hotwords": None}


def test_its_tokens_are_those_of_the_bare_engine(folder, engine, unguarded, monkeypatch):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    transcribe = BatchedInferencePipeline.transcribe
    asked = []

    def watched(self, audio, **options):
        segments, info = transcribe(self, audio, **options)
        segments = list(segments)
        asked.append((options, segments))
        return segments, info

    monkeypatch.setattr(BatchedInferencePipeline, "transcribe", watched)
    speech = [noise(0, 12, 1), noise(13, 9, 2), noise(40, 20, 3), noise(60, 20, 4)]
    heard = hear(engine, speech)
    monkeypatch.setattr(BatchedInferencePipeline, "transcribe", transcribe)

    bare = BatchedInferencePipeline(WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1))
    (options, ours) = asked[0]
    assert {key: options[key] for key in OPTIONS} == OPTIONS
    packed = list(chunks.pack(speech, 30 * RATE))
    assert len(packed) == len(ours)
    for chunk, clip, mine in zip(packed, options["clip_timestamps"], ours, strict=True):
        whole = [{"start": 0, "end": len(chunk.audio) / RATE}]
        (theirs,) = bare.transcribe(chunk.audio, clip_timestamps=whole, **OPTIONS)[0]
        assert mine.tokens == theirs.tokens
        assert mine.avg_logprob == pytest.approx(theirs.avg_logprob, abs=1e-4)
        assert [w.word for w in mine.words] == [w.word for w in theirs.words]
        # all but the first two, whose times depend on how long ago faster-whisper last heard a word
        for one, other in zip(mine.words[2:], theirs.words[2:], strict=True):
            assert one.start - clip["start"] == pytest.approx(other.start, abs=0.011)
            assert one.end - clip["start"] == pytest.approx(other.end, abs=0.011)
    assert words(heard)


def test_without_guards_no_word_of_the_bare_engine_is_lost(folder, engine, unguarded):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    speech = [noise(0, 12, 1), noise(13, 9, 2), noise(40, 20, 3)]
    ours = "".join(spelled(text) for text in words(hear(engine, speech)))
    bare = BatchedInferencePipeline(WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1))
    theirs = ""
    for chunk in chunks.pack(speech, 30 * RATE):
        whole = [{"start": 0, "end": len(chunk.audio) / RATE}]
        theirs += "".join(
            spelled(each.text) for each in bare.transcribe(chunk.audio, clip_timestamps=whole, **OPTIONS)[0]
        )
    assert ours == theirs != ""


# ── guards and second decodes ──


def test_a_model_that_never_ends_is_ended(tmp_path):
    engine = load(build(tmp_path, Tiny(length=0)), beam=1)
    speech = [noise(1, 10, 1), noise(12, 20, 2)]
    check(hear(engine, speech), speech)


def hypothesis(text, avg_logprob=-0.2, tokens=30, pace=RATE // 2):
    return Hypothesis(
        words=tuple(
            Heard(text=f" {word}", start=n * pace, end=n * pace + pace // 2, probability=0.9)
            for n, word in enumerate(text.split())
        ),
        text=text,
        avg_logprob=avg_logprob,
        no_speech=0.1,
        tokens=tokens,
    )


def test_a_doubtful_chunk_is_decoded_again_and_others_are_not(engine, monkeypatch):
    made = {20: hypothesis("fine as it is"), 25: hypothesis("bad bad bad", avg_logprob=-1.5)}
    again = []

    def second(audio, code, task):
        again.append(len(audio))
        return hypothesis("better now")

    monkeypatch.setattr(engine, "_transcribed", lambda audios, *_: [made[len(a) // RATE] for a in audios])
    monkeypatch.setattr(engine, "_again", second)
    heard = hear(engine, [noise(0, 20), noise(30, 25)])
    assert words(heard) == ["fine", "as", "it", "is", "better", "now"]
    assert again == [25 * RATE]


def test_the_second_decode_of_the_real_thing_has_one_window(engine, monkeypatch):
    monkeypatch.setattr(hallucination, "doubtful", lambda _heard: True)
    monkeypatch.setattr(hallucination, "better", lambda _first, second: second)
    speech = [noise(0, 20, 1), noise(25, 20, 2)]
    check(hear(engine, speech), speech)


def test_more_text_than_one_decode_can_hold_is_heard_to_the_end(engine, monkeypatch):
    """An engine that hears a number every quarter of a second, and ends after thirty: 224 tokens, as it were."""
    calls = []

    def limited(audios, code, task):
        found = []
        for audio in audios:
            calls.append(len(audio))
            first, last = int(np.ceil(audio[0] * 1_000 - 1e-3)), int(np.floor(audio[-1] * 1_000))
            numbers = list(range(first, last + 1))
            offset = round((first / 1_000 - audio[0]) * 1_000 * RATE / 4)
            heard = [
                Heard(
                    text=f" n{n}", start=offset + k * RATE // 4, end=offset + k * RATE // 4 + RATE // 8, probability=0.9
                )
                for k, n in enumerate(numbers[:30])
            ]
            full = len(numbers) > 30
            found.append(
                Hypothesis(words=tuple(heard), text="", avg_logprob=-0.2, no_speech=0.1, tokens=FULL if full else 60)
            )
        return found

    monkeypatch.setattr(engine, "_transcribed", limited)
    # the value of a sample tells its place: 0.001 every quarter of a second
    audio = (np.arange(24 * RATE) * 4 / RATE / 1_000).astype(np.float32)
    (result,) = hear(engine, [Speech(start=5 * RATE, audio=audio)])
    assert len(calls) > 2
    assert words([result]) == [f"n{n}" for n in range(96)]
    assert all(
        item.start == pytest.approx(5 * RATE + n * RATE // 4, abs=RATE // 20) for n, item in enumerate(result.items)
    )


def test_words_before_a_silent_rest_stay(engine, monkeypatch):
    parts = iter([hypothesis("all of this was said", tokens=FULL, pace=2 * RATE), hypothesis("")])
    monkeypatch.setattr(engine, "_transcribed", lambda *_: [next(parts)])
    assert words(hear(engine, [noise(0, 25)])) == ["all", "of", "this", "was", "said"]
    assert next(parts, None) is None


# ── custom words ──


def test_a_thousand_custom_words_and_hostile_ones_are_no_error(engine):
    speech = [noise(0, 6, 1)]
    vocab = [VocabEntry(content=f"word{n}", sounds_like=("wurd",)) for n in range(1_000)]
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


def test_custom_words_reach_the_model(engine, unguarded):
    speech = [noise(0, 6, 1)]
    without = hear(engine, speech)
    assert hear(engine, speech, VocabEntry(content="Gnocchi"), VocabEntry(content="Anna")) != without
    assert hear(engine, speech, VocabEntry(content=""), VocabEntry(content="\ud800")) == without


# ── confidence ──


def test_confidence_goes_through_the_calibration_beside_the_model(tmp_path):
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
    older = load(build(tmp_path / "older", Tiny(without=frozenset({"yue"}))))
    assert older.capabilities.languages == LANGUAGES - {"yue"}
    with pytest.raises(EngineUnavailable):
        hear(older, [noise(0, 2)], language="yue")
    english = load(build(tmp_path / "english", Tiny(multilingual=False)))
    assert english.capabilities.languages == {"en"}
    assert not english.capabilities.identifies_language
    check(hear(english, [noise(0, 5)]), [noise(0, 5)])
    with pytest.raises(EngineUnavailable, match="identifies no language"):
        english.identify([noise(0, 5)])
    with pytest.raises(EngineUnavailable):
        hear(english, [noise(0, 2)], language="de")


def test_a_distilled_model_with_all_languages_in_its_vocabulary_keeps_to_what_is_announced(folder):
    announced = replace(CAPABILITIES, languages=frozenset({"en"}), identifies_language=False)
    engine = Whisper(folder, announced, device="cpu", compute_type="float32", threads=1, batch=1, beam=1)
    assert engine.capabilities == announced
    with pytest.raises(EngineUnavailable, match="does not know"):
        hear(engine, [noise(0, 2)], language="de")
    with pytest.raises(EngineUnavailable, match="identifies no language"):
        engine.identify([noise(0, 2)])


def test_a_bilingual_pack_takes_the_likelier_language_for_each_chunk(engine, monkeypatch):
    speech = [noise(at, 25, at) for at in (0, 30, 60, 90)]
    monkeypatch.setattr(hallucination, "doubtful", lambda _heard: False)
    likely = iter([{"en": 0.6, "zh": 0.2}, {"zh": 0.9}, {"ja": 0.8, "zh": 0.1, "en": 0.05}, {"de": 0.9, "en": 0.1}])
    monkeypatch.setattr(engine, "_spoken", lambda _audio: list(next(likely).items()))
    asked = []
    transcribed = engine._transcribed

    def watched(audios, code, task):
        asked.append((code, len(audios)))
        return transcribed(audios, code, task)

    monkeypatch.setattr(engine, "_transcribed", watched)
    heard = hear(engine, speech, language="cmn_en")
    assert asked == [("en", 2), ("zh", 2)]
    check(heard, speech, "cmn_en")


def test_languages_are_identified_over_all_of_the_speech(engine):
    speech = [noise(0, 25, 1), noise(30, 20, 2), noise(50, 3, 3)]
    scores = engine.identify(speech)
    assert 1 <= len(scores) <= 10
    assert [score.confidence for score in scores] == sorted((score.confidence for score in scores), reverse=True)
    assert sum(score.confidence for score in scores) <= 1.0 + 1e-6
    assert len({score.language for score in scores}) == len(scores)
    assert not {"zh", "nn", "jw"} & {score.language for score in scores}
    assert all(0.0 < score.confidence <= 1.0 for score in scores)
    assert engine.identify(speech[:1]) != scores


def test_codes_of_one_language_are_added_up(engine, monkeypatch):
    monkeypatch.setattr(engine, "_spoken", lambda _audio: [("nn", 0.4), ("zh", 0.3), ("no", 0.2), ("jw", 0.1)])
    scores = engine.identify([noise(0, 25), noise(40, 25)])
    assert [(each.language, pytest.approx(each.confidence)) for each in scores] == [
        ("no", 0.6),
        ("cmn", 0.3),
        ("jv", 0.1),
    ]


def test_no_more_than_two_minutes_are_listened_to(engine, monkeypatch):
    listened = []

    def spoken(audio):
        listened.append(len(audio))
        return [("en", 1.0)]

    monkeypatch.setattr(engine, "_spoken", spoken)
    assert engine.identify([noise(at, 17) for at in range(0, 400, 20)])[0].confidence == 1.0
    assert sum(listened) <= 125 * RATE  # and the silences between


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


def test_the_page_says_what_the_code_does():
    page = (Path(__file__).parents[3] / "docs" / "whisper.md").read_text(encoding="utf-8")
    thresholds = [
        f"over {hallucination.NO_SPEECH} and mean log probability under {hallucination.UNLIKELY}",
        f"compresses more than {hallucination.REPETITIVE} times",
        f"**{FULL} tokens**",
        f"{hallucination.SURE} or more never go",
        f"words under {hallucination.WEAK} go",
        f"over {hallucination.FASTEST:.0f} words a second",
        f"{hallucination.FASTEST_UNSPACED:.0f} pieces where scripts have no blanks",
        f"up to {hallucination.LONGEST_PERIOD} words",
        ", ".join(map(str, TEMPERATURES)),
        f"{BUDGET} tokens",
        f"{MAX_LETTERS} letters",
    ]
    assert [each for each in thresholds if each not in page] == []
    bilingual = {code for code in LANGUAGES if len(whisper_codes(code)) > 1}
    assert [code for code in sorted(UNKNOWN | bilingual) if f"`{code}`" not in page] == []
    for code in bilingual:
        (row,) = (row for row in page.splitlines() if row.startswith(f"| `{code}`"))
        assert all(f"`{each}`" in row.split("|")[2] for each in whisper_codes(code))

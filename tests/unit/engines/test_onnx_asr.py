"""Parakeet and Canary: the real library on tiny models, and words made of made-up tokens."""

import shutil
import sys
from dataclasses import replace
from typing import get_args

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_asr.loader import AsrNames, AsrTypeNames
from onnx_asr.resolver import Resolver

from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.onnx_asr.recognizer import OnnxAsr, Piece, transcribed
from sottovoce.engines.protocols import Capabilities, Hints, Recognizer, Skill, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.pipeline import batch
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.request import PunctuationOverrides, TranscriptionRequest, VocabEntry
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Mark, Word, samples
from tests import tiny_onnx_asr as tiny

CAPABILITIES = Capabilities(
    engine="onnx-asr", model="tiny-0.1", languages=frozenset({"en", "de"}), punctuates=True, word_confidence=True
)
EN = pack("en")
KINDS = {
    "rnnt": "nemo-conformer-rnnt",
    "tdt": "nemo-parakeet-tdt-0.6b-v3",
    "canary": "nemo-canary-1b-v2",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    return {
        "rnnt": tiny.transducer(home / "rnnt"),
        "tdt": tiny.transducer(home / "tdt", durations=range(5)),
        "canary": tiny.canary(home / "canary"),
    }


def load(folder, kind="nemo-conformer-tdt", *, capabilities=CAPABILITIES, device="cpu", threads=1, **more) -> OnnxAsr:
    return OnnxAsr(folder, capabilities, kind=kind, device=device, threads=threads, **more)


@pytest.fixture(scope="module")
def engines(folders):
    return {name: load(folder, KINDS[name]) for name, folder in folders.items()}


@pytest.fixture(params=["rnnt", "tdt", "canary"])
def engine(request, engines):
    return engines[request.param]


@pytest.fixture
def tdt(engines):
    return engines["tdt"]


def noise(seconds, *, seed=1, level=0.1):
    return np.random.default_rng(seed).normal(0, level, samples(seconds)).astype(np.float32)


def speech(seconds, start=0.0, **more):
    return Speech(start=samples(start), audio=noise(seconds, **more))


def hear(engine: Recognizer, stretches, language="en", **more):
    return list(engine.recognize(stretches, Hints(language=language, **more)))


def said(result, language="en"):
    return join(result.items, pack(language))


# ── the real library on tiny models ──


def test_words_and_marks_lie_inside_their_stretch_in_order(engine):
    stretches = [speech(1.0, 5.0), speech(0.3, 10.0, seed=2), speech(7.77, 12.345, seed=3)]
    heard = hear(engine, stretches)
    assert [(each.start, each.end) for each in heard] == [(each.start, each.end) for each in stretches]
    for result in heard:
        at = result.start
        assert any(isinstance(item, Word) for item in result.items)
        for item in result.items:
            assert item.language == "en"
            assert 0 < item.confidence <= 1
            assert at <= item.start <= item.end <= result.end
            if isinstance(item, Word):
                assert item.start < item.end
            else:
                assert item.at == at
            at = item.end


def test_pieces_become_words_and_marks(tdt):
    (result,) = hear(tdt, [speech(1.0)])
    assert said(result) == "Hello, world. Hello, world. Hello,"
    hello, comma, world, stop = result.items[:4]
    assert (hello.text, comma.text, world.text, stop.text) == ("Hello", ",", "world", ".")
    assert (comma.ends_sentence, stop.ends_sentence) == (False, True)
    assert tdt.capabilities == CAPABILITIES


@pytest.mark.parametrize("name", ["rnnt", "tdt"])
def test_a_word_is_where_it_was_loud(engines, name):
    audio = noise(3.0, level=1e-4)
    audio[samples(1.2) : samples(1.6)] = noise(0.4, level=0.3)
    (result,) = hear(engines[name], [Speech(start=samples(100), audio=audio)])
    assert result.items[0].text == "Hello"
    assert abs(result.items[0].start - samples(101.2)) <= samples(tiny.FRAME)
    assert all(item.end <= samples(101.6) + samples(5 * tiny.FRAME) for item in result.items)


def test_canary_writes_the_language_that_it_is_told(engines):
    assert said(hear(engines["canary"], [speech(2)], "en")[0]) == "Good morning, twenty-two!"
    assert said(hear(engines["canary"], [speech(2)], "de")[0], "de") == "Guten Morgen."


def test_canary_has_no_times_so_words_share_the_stretch_by_length(engines):
    (result,) = hear(engines["canary"], [speech(2, 7)])
    words = [item for item in result.items if isinstance(item, Word)]
    assert [word.text for word in words] == ["Good", "morning", "twenty-two"]
    cuts = [samples(7), *(word.end for word in words)]
    assert [word.start for word in words] == cuts[:-1]
    assert cuts[-1] == result.end
    shares = [round((word.end - word.start) / samples(2), 2) for word in words]
    assert shares == [0.19, 0.33, 0.48]  # 4, 7 and 10 of 21 characters


def test_scores_that_are_no_probabilities_are_not_given_as_confidence(tmp_path):
    (result,) = hear(load(tiny.canary(tmp_path, softmax=False), "nemo-conformer-aed"), [speech(1)])
    assert said(result) == "Good morning, twenty-two!"
    assert {item.confidence for item in result.items} == {None}


def test_confidence_is_calibrated_by_the_file_beside_the_model(folders, tmp_path):
    folder = shutil.copytree(folders["tdt"], tmp_path / "measured")
    (folder / "calibration.json").write_text("[[0.0, 0.1], [1.0, 0.5]]", encoding="utf-8")
    before, after = hear(load(folders["tdt"]), [speech(1)])[0], hear(load(folder), [speech(1)])[0]
    for taken, told in zip(before.items, after.items, strict=True):
        right = 0.1 + 0.4 * taken.confidence if isinstance(taken, Word) else taken.confidence
        assert told.confidence == pytest.approx(right)


def test_nothing_is_carried_from_one_stretch_to_the_next(engine):
    alone = hear(engine, [speech(1, seed=4)])
    assert hear(engine, [speech(3, seed=5), speech(1, seed=4)])[1:] == alone
    assert hear(engine, [speech(1, seed=4)]) == alone


def test_stretches_are_taken_one_at_a_time_on_a_cpu(engine):
    taken = []

    def stretches():
        for number in range(3):
            taken.append(number)
            yield speech(0.5, number, seed=number)

    heard = engine.recognize(stretches(), Hints(language="en"))
    assert taken == []
    next(heard)
    assert taken == [0]
    next(heard)
    assert taken == [0, 1]


def test_a_batch_hears_the_same_and_reads_ahead_no_further(folders):
    engine = load(folders["tdt"])
    stretches = [
        speech(1, 0, seed=1),
        speech(2.5, 2, seed=2),
        speech(0.01, 5),
        speech(0.7, 6, seed=3),
        speech(1, 8, seed=4),
    ]
    alone = hear(engine, stretches)
    engine._at_once = 3  # as on a GPU
    taken = []

    def watched():
        for each in stretches:
            taken.append(each)
            yield each

    heard = engine.recognize(watched(), Hints(language="en"))
    results = [next(heard)]
    assert len(taken) == 3
    results += heard
    assert results == alone
    assert hear(engine, [speech(0.01), speech(0.02)]) != []


@pytest.mark.parametrize("n", [0, 1, 159, 799])
def test_next_to_nothing_has_no_words(engine, n):
    empty = Speech(start=5, audio=np.full(n, 0.1, np.float32))
    result, after = hear(engine, [empty, speech(1)])
    assert (result.start, result.end, result.items) == (5, 5 + n, ())
    assert after.items


@pytest.mark.parametrize("n", [800, 801, 1_279, 1_281, 16_000])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e30, np.nan, np.inf])
def test_odd_audio_breaks_nothing(engine, n, value):
    (result,) = hear(engine, [Speech(start=0, audio=np.full(n, value, np.float32))])
    assert all(0 <= item.start <= item.end <= n for item in result.items)


def test_a_language_that_the_model_lacks_is_refused(engine):
    for language in ("fr", "auto"):
        with pytest.raises(EngineUnavailable, match=f"tiny-0.1 does not support the language '{language}'"):
            hear(engine, [speech(1)], language)


def test_custom_words_change_nothing(tdt):
    assert hear(tdt, [speech(1)], vocab=(VocabEntry(content="Hullo"),)) == hear(tdt, [speech(1)])


class Silent:
    """An observer that needs to know nothing."""

    def media(self, probe): ...

    def stage(self, name, note="", trace=""): ...

    def progress(self, done, total): ...

    def stretch(self, stretch, language): ...

    def window(self, window): ...


def test_the_pipeline_keeps_its_words_and_only_the_marks_that_the_caller_permits(tdt, demo):
    request = TranscriptionRequest(language="en", punctuation=PunctuationOverrides(permitted_marks=frozenset({"."})))
    work = batch.Work(path=demo, request=request, clock=lambda: 0)
    transcript = batch.transcribe(work, LoadedEngines({Skill.TRANSCRIPTION: tdt}), SileroVad, Silent())
    assert transcript.engine == "onnx-asr tiny-0.1"
    heard = {item.text for item in transcript.items if isinstance(item, Word)}
    assert heard == {"Hello", "world"}  # no capital of ours
    assert {item.text for item in transcript.items if isinstance(item, Mark)} == {"."}


# ── loading ──


def test_threads_go_to_the_sessions(folders):
    for name in folders:
        sessions = [
            each
            for each in vars(load(folders[name], KINDS[name], threads=2)._model.asr).values()
            if isinstance(each, onnxruntime.InferenceSession)
        ]
        assert [each.get_session_options().intra_op_num_threads for each in sessions] == [2, 2]


def test_quantized_files_are_found_by_themselves(tmp_path):
    only = tiny.transducer(tmp_path / "only", durations=range(5), suffix=".int8")
    assert said(hear(load(only), [speech(1)])[0]).startswith("Hello, world.")
    both = tiny.transducer(tmp_path / "both", durations=range(5))
    tiny.transducer(both, durations=range(5), suffix=".int8", pieces=("▁Smal", "ler", ",", "▁faster", "."))
    assert said(hear(load(both), [speech(1)])[0]).startswith("Smaller, faster.")


def test_an_operators_own_model_says_itself_what_it_is(folders):
    assert said(hear(load(folders["canary"], "nemo-my-own"), [speech(1)], "de")[0], "de") == "Guten Morgen."


def refusal(folder, kind="nemo-conformer-tdt", **more):
    """The refusal to load, which may be shown to callers: no path in it, no field blamed."""
    with pytest.raises(EngineUnavailable) as caught:
        load(folder, kind, **more)
    assert str(folder) not in str(caught.value)
    assert caught.value.at is None
    return caught.value


@pytest.mark.parametrize("file", ["encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "folder"])
def test_a_file_that_is_not_as_it_should_be_is_told(folders, tmp_path, file, damage):
    folder = tmp_path / "broken"
    shutil.copytree(folders["tdt"], folder)
    path = folder / file
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": b"\xff" * 999}[damage])
    error = refusal(folder)
    assert "tiny-0.1 cannot be loaded" in error.why
    assert "`sottovoce models verify tiny-0.1`" in error.why


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[[0, 2]]"])
def test_a_calibration_that_is_none_is_told(folders, tmp_path, content):
    folder = shutil.copytree(folders["tdt"], tmp_path / "odd")
    (folder / "calibration.json").write_bytes(content)
    assert "tiny-0.1 cannot be loaded: its calibration.json: " in refusal(folder).why


def test_a_model_of_another_architecture_is_told(folders):
    assert "cannot be loaded" in refusal(folders["canary"], "nemo-conformer-tdt").why
    assert "cannot be loaded" in refusal(folders["tdt"], "nemo-conformer-aed").why


def test_the_vocabulary_of_another_model_is_told(folders, tmp_path):
    folder = shutil.copytree(folders["tdt"], tmp_path / "other")
    (folder / "vocab.txt").write_text("".join(f"▁w{n} {n}\n" for n in range(500)) + "<blk> 500\n", encoding="utf-8")
    assert "cannot be loaded" in refusal(folder).why


@pytest.mark.parametrize("config", [None, "", "[]", "{}", '{"model_type": 1}', '{"model_type": "whisper"}'])
def test_an_unknown_kind_is_told(folders, tmp_path, config):
    folder = shutil.copytree(folders["tdt"], tmp_path / "odd")
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config, encoding="utf-8")
    assert refusal(folder, "whisper-base").why


def test_nothing_is_ever_downloaded(tmp_path, monkeypatch):
    asked = []
    for name in ("_download_config", "_download_model"):
        monkeypatch.setattr(Resolver, name, lambda *args, **_: asked.append(args))
    for kind in ("nemo-parakeet-tdt-0.6b-v2", *KINDS.values(), "istupakov/canary-180m-flash-onnx", "whisper-base"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        for folder in (tmp_path / "none", tmp_path / "empty"):
            refusal(folder, kind)
    assert asked == []
    assert not (tmp_path / "none").exists()


def test_a_missing_package_is_named_with_its_extra(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx_asr", None)
    assert "pip install 'sottovoce[onnx-asr]'" in refusal(folders["tdt"]).why


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:0,1", "CPU", "cpu:0"])
def test_an_unknown_device_is_refused(folders, device):
    assert "cpu, cuda or cuda:N" in refusal(folders["tdt"], device=device).why


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_needs_an_onnxruntime_for_gpus(folders, device):
    assert "onnxruntime-gpu" in refusal(folders["tdt"], device=device).why


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_gpu_that_silently_falls_back_to_the_cpu_is_refused(folders, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    for name, folder in folders.items():
        assert "cannot use the GPU" in refusal(folder, KINDS[name], device="cuda:0").why


def test_kinds_are_called_as_the_library_calls_them():
    assert set(KINDS.values()) <= {*get_args(AsrNames), *get_args(AsrTypeNames)}


# ── made-up tokens ──


def pieces(*each):
    """`(text, frame or None, probability)` as pieces; ▁ is a blank."""
    return [
        Piece(text=text.replace("▁", " "), at=None if frame is None else frame * 1_280, probability=probability)
        for text, frame, probability in each
    ]


def words(*each, length=32_000, language="en"):
    """`(text, first sample, end)` of the items made of *each*."""
    return [(item.text, item.start, item.end) for item in transcribed(pieces(*each), 0, length, pack(language))]


def test_a_word_ends_with_the_next_piece_or_soon():
    assert words(("▁so", 1, 1), ("▁it", 3, 1), ("▁is", 12, 1)) == [
        ("so", 1_280, 3_840),
        ("it", 3_840, 8_960),  # four frames at most
        ("is", 15_360, 20_480),
    ]


def test_a_word_ends_where_its_mark_was_found():
    assert words(("▁well", 1, 1), (",", 3, 1), ("▁so", 9, 1), (".", 9, 1)) == [
        ("well", 1_280, 3_840),
        (",", 3_840, 3_840),
        ("so", 11_520, 16_640),
        (".", 16_640, 16_640),
    ]


def test_words_of_one_frame_share_its_time():
    assert words(("▁a", 2, 1), ("▁bcd", 2, 1), ("▁e", 3, 1), length=6_000) == [
        ("a", 2_560, 2_880),
        ("bcd", 2_880, 3_840),
        ("e", 3_840, 6_000),
    ]


def test_a_piece_in_the_frame_of_the_next_word_ends_the_word_there():
    assert words(("▁one", 1, 1), ("s", 4, 1), ("▁two", 4, 1)) == [("ones", 1_280, 5_120), ("two", 5_120, 10_240)]


def test_words_found_at_the_very_end_still_last():
    assert words(("▁a", 9, 1), ("▁b", 25, 1), length=12_000) == [("a", 11_520, 11_840), ("b", 11_840, 12_000)]


def test_confidence_is_the_mean_of_the_pieces_that_are_letters():
    first, comma, second, stop = transcribed(
        pieces(("▁on", 0, 0.5), ("ce", 1, 1.0), (",", 2, 0.25), ("▁so.", 3, 0.75)), 0, 32_000, EN
    )
    assert (first.confidence, comma.confidence, second.confidence, stop.confidence) == (0.75, 0.25, 0.75, 0.75)
    (word,) = transcribed(pieces(("▁on", 0, None)), 0, 32_000, EN)
    assert word.confidence is None


def test_digits_and_symbols_are_words_with_times():
    assert words(
        ("▁", 0, 1), ("2", 1, 1), ("0", 2, 1), ("%", 3, 1), ("▁$", 6, 1), ("3", 7, 1), (".", 8, 1), ("5", 9, 1)
    ) == [
        ("20%", 0, 7_680),
        ("$3.5", 7_680, 16_640),
    ]


def test_a_mark_that_stands_alone_goes_to_the_word_before():
    items = words(("▁.", 0, 1), ("▁«", 1, 1), ("▁Quoi", 2, 1), ("▁»", 3, 1), ("▁?", 4, 1), language="fr")
    assert [text for text, _, _ in items] == ["Quoi", "?"]
    assert words(("▁—", 0, 1), ("▁,", 1, 1)) == []


def test_abbreviations_keep_their_dot_before_a_name():
    items = transcribed(pieces(("▁Mr", 0, 1), (".", 1, 1), ("▁Bell", 2, 1), (".", 3, 1)), 0, 32_000, EN)
    assert [(item.text, isinstance(item, Mark)) for item in items] == [("Mr.", False), ("Bell", False), (".", True)]


def test_without_times_words_share_all_of_the_stretch():
    assert words(("▁one", None, 1), (",", None, 1), ("▁three", None, 1), length=800) == [
        ("one", 0, 300),
        (",", 300, 300),
        ("three", 300, 800),
    ]


_TOKEN = st.sampled_from(["▁", "▁a", "b", "▁cde", "1", ",", ".", "▁.", "▁—", "'", "▁é"])


@given(
    tokens=st.lists(st.tuples(_TOKEN, st.integers(0, 30), st.floats(0, 1)), max_size=30),
    length=st.integers(800, 40_000),
    timed=st.booleans(),
)
def test_whatever_the_tokens_are_the_time_line_is_sane(tokens, length, timed):
    frames = sorted(frame for _, frame, _ in tokens)
    made = pieces(*((text, frame if timed else None, p) for (text, _, p), frame in zip(tokens, frames, strict=True)))
    items = transcribed(made, 100, 100 + length, EN)
    at = 100
    for item in items:
        assert at <= item.start <= item.end <= 100 + length
        assert isinstance(item, Word) or item.at == at
        assert isinstance(item, Mark) or item.start < item.end
        at = item.end
    letters = [char for text, _, _ in tokens for char in text if char.isalnum()]
    assert [char for item in items for char in item.text if char.isalnum()] == letters
    assert transcribed(made, 0, length, EN) == tuple(_earlier(item, 100) for item in items)


def _earlier(item, by):
    if isinstance(item, Mark):
        return replace(item, at=item.at - by)
    return replace(item, start=item.start - by, end=item.end - by)

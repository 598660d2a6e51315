"""Translation models: their folders, their pieces, and sentences through the real runtime with random weights."""

from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.marian.pieces import Pieces, text_of, unigram
from sottovoce.engines.marian.registration import directions, fault, parsed_models
from sottovoce.intelligence import translation
from sottovoce.intelligence.stages import StageName
from tests import tiny_translator
from tests.unit.intelligence.talk import scene, transcript, turns

TALK = turns(("S1", "Hello world. The sun, the room."), ("S2", "Hello hello."))


@pytest.mark.parametrize(("kind", "control", "spm"), [
    ("en-de", (), True),
    ("nllb", ("eng_Latn", "deu_Latn"), False),
    ("madlad", ("<2de>",), False),
])  # fmt: skip
def test_each_kind_of_model_translates_every_sentence(tmp_path, kind, control, spm):
    folder = tiny_translator.build(tmp_path / "model", control=control, spm=spm)
    config = EngineConfig(models=tmp_path / "none", translators=((kind, folder),))
    offers = registry.offered(config)
    choice = registry.choose_stage(StageName.TRANSLATION, "en", offers, "de")
    assert choice is not None
    assert choice.key == EngineKey(engine="ctranslate2", model=kind)
    backend = registry.load(StageName.TRANSLATION, choice.key, config)
    lived = []
    asked = replace(scene(TALK), part="de", alive=lambda: lived.append(1))
    rows = translation.STAGE.run(asked, backend)
    assert [(row["start_time"], row["speaker"]) for row in rows] == [(0.0, "S1"), (0.5, "S1"), (1.5, "S2")]
    assert any(row["content"] for row in rows)
    assert not any(token in row["content"] for row in rows for token in (*control, "▁", "</s>"))
    assert lived


def test_a_sentence_of_thousands_of_pieces_is_cut_and_does_not_fail(tmp_path):
    folder = tiny_translator.build(tmp_path / "model", spm=True)
    config = EngineConfig(models=tmp_path, translators=(("en-de", folder),))
    backend = registry.load(StageName.TRANSLATION, EngineKey(engine="ctranslate2", model="en-de"), config)
    long = scene(turns(("S1", "hello world. the sun.")))
    long = replace(long, sentences=tuple(replace(each, text=each.text * 2000) for each in long.sentences))
    assert len(backend.translate(long, "de")) == 2


def test_pieces_of_a_sentencepiece_file_are_those_of_its_library(tmp_path):
    # written as `SentencePieceProcessor.encode(text, out_type=str)` has it for these pieces
    (tmp_path / "source.spm").write_bytes(tiny_translator.sentencepiece(tiny_translator.WORDS))
    pieces = Pieces(tmp_path)
    assert pieces.encode(["hello  world.", " the sun, the room "]) == [
        ["▁hello", "▁world", "."],
        ["▁the", "▁sun", ",", "▁the", "▁room"],
    ]
    assert text_of(["▁the", "▁sun", ".", "</s>"]) == "the sun."


@pytest.mark.parametrize("data", [
    b"", b"\xff" * 20, b"\x0a\x7fshort", tiny_translator.sentencepiece(("a",), kind=2), b"\x08" + b"\x80" * 12,
])  # fmt: skip
def test_a_file_that_is_no_unigram_model_is_refused(data):
    with pytest.raises(ValueError, match="SentencePiece"):
        unigram(data)


def test_settings_name_pairs_and_complete_folders(tmp_path):
    folder = tiny_translator.build(tmp_path / "model", spm=True)
    assert parsed_models([f"en-de = {folder}"]) == (("en-de", folder),)
    assert directions("nllb")[0] >= {"en", "de", "cmn"}
    for wrong, message in (
        ([f"english={folder}"], "not a pair of languages"),
        ([f"en-xx={folder}"], "not a pair"),
        (["en-de="], "the folder is missing"),
        ([f"en-de={tmp_path}"], "ct2-transformers-converter"),
        ([f"en-de={folder}", f"en-de={folder}"], "named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            parsed_models(wrong)
    (folder / "source.spm").unlink()
    assert "lacks a tokenizer" in str(fault(folder))
    config = EngineConfig(models=Path("none"), translators=(("en-de", folder),))
    assert not registry.skilled(registry.offered(config), StageName.TRANSLATION)


def test_a_transcript_without_words_has_no_translation(tmp_path):
    empty = replace(scene(transcript([])), part="de")
    assert translation.STAGE.run(empty, object()) == []


class Runaway:
    """A model that repeats itself."""

    languages: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()

    def __init__(self, texts):
        self.texts = texts

    def translate(self, scene, target):
        return self.texts


@pytest.mark.parametrize("texts", [["a"], ["", "", ""], ["a" * 5000, "b", "c"]])
def test_an_answer_that_makes_no_sense_is_an_error(texts):
    with pytest.raises(ValueError, match=r"translations for|characters for"):
        translation.STAGE.run(replace(scene(TALK), part="de"), Runaway(texts))

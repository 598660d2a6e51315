"""CTC models on the shelf: which files of a repository are wanted, how they come, what is known of them."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sottovoce.cli import main
from sottovoce.engines.ctc.aligner import CtcAligner, offer
from sottovoce.engines.models.catalogue import CATALOGUE, engine_of, find, of_repository, quantization_of, wanted
from sottovoce.engines.models.store import ModelFault, ModelStore, Source
from sottovoce.engines.protocols import Skill
from tests import tiny_ctc as tiny
from tests.hub import Hub, Repository
from tests.unit.engines.ctc.test_aligner import EN, near, stretch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny")


def hub_files(folder: Path) -> dict[str, bytes]:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    graph = files.pop("model.onnx")
    return files | {
        "README.md": b"# wav2vec2",
        "onnx/model.onnx": graph,
        "onnx/model_fp16.onnx": b"half",
        "onnx/model_quantized.onnx": b"small" * 5_000,
        "onnx/vocab.json": b"{}",
        "other/model.onnx": b"another",
        "../onnx/model.onnx": b"outside",
    }


def test_a_repository_s_exports_are_wanted_from_their_folder(folder):
    names = set(hub_files(folder))
    small = {"vocab.json", "tokenizer_config.json", "config.json", "preprocessor_config.json"}
    assert wanted("ctc", names) == small | {"onnx/model_quantized.onnx"}
    assert wanted("ctc", names, "fp32") == small | {"onnx/model.onnx"}
    assert wanted("ctc", names | {"onnx/model.onnx_data", "model.onnx.data"}, "fp32") == small | {
        "onnx/model.onnx",
        "onnx/model.onnx_data",
    }
    assert wanted("ctc", ["vocab.json", "onnx/vocab.json", "model.onnx", "onnx/model.onnx"]) == {
        "vocab.json",
        "model.onnx",
    }


def test_what_a_ctc_model_lacks_is_said():
    with pytest.raises(ModelFault, match=r"lacks vocab\.json"):
        wanted("ctc", ["model.onnx"])
    with pytest.raises(ModelFault, match="lacks the ONNX file"):
        wanted("ctc", ["vocab.json", "deep/onnx/model.onnx"])
    with pytest.raises(ModelFault, match="it has no int8 files, only fp32"):
        wanted("ctc", ["vocab.json", "model.onnx"], "int8")
    with pytest.raises(ModelFault, match="the files of a model for ctc do not name its languages"):
        of_repository("acme/x", "mine", "ctc", "main", frozenset())


def test_a_ctc_model_is_told_from_the_others_by_its_files():
    assert engine_of(["vocab.json", "model.onnx"]) == "ctc"
    assert engine_of(["vocab.json", "model_quantized.onnx", "config.json"]) == "ctc"
    assert engine_of(["vocab.json", "model.bin", "model.onnx"]) == "whisper"
    assert engine_of(["vocab.txt", "encoder-model.onnx", "vocab.json"]) == "onnx-asr"
    assert engine_of(["vocab.json"]) is None
    assert quantization_of("ctc", ["onnx/model_quantized.onnx", "vocab.json"]) == "int8"
    assert quantization_of("ctc", ["onnx/model.onnx", "vocab.json"]) == "fp32"


def test_a_repository_s_model_comes_flat_and_aligns(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    shelf = ModelStore(tmp_path / "models")
    with Hub() as hub:
        hub.repositories["acme/align"] = Repository(hub_files(folder))
        model = of_repository("acme/align", "mine", "ctc", "main", frozenset(EN))
        source = Source(url=hub.url, pause=0.0)
        pulled = shelf.pull(model, source)
        assert pulled.fetched == pulled.size > 0
        assert shelf.pull(model, source).fetched == 0
        again = shelf.pull(model, source, quantization="fp32")
        assert 0 < again.fetched < again.size  # the small files are the same
    assert {file.name for file in shelf.path("mine").iterdir()} == {
        "manifest.json",
        "model.onnx",
        *("vocab.json", "tokenizer_config.json", "config.json", "preprocessor_config.json"),
    }
    assert shelf.verify("mine").sound
    (present,) = shelf.present()
    assert (present.engine, present.languages) == ("ctc", frozenset(EN))
    described = offer(present, "cpu")
    assert described is not None
    tape = tiny.Tape(3)
    times = tape.read("all good")
    aligner = CtcAligner(shelf.path("mine"), described, device="cpu", threads=1)
    near(aligner.read(["all", "good"], "en").align(stretch(tape), range(2))[1], times[1])


def test_the_command_line_pulls_an_operator_s_own(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub() as hub:
        hub.repositories["acme/align"] = Repository(hub_files(folder))
        named = ["--engine", "ctc", "--name", "align-de", "--language", "de"]
        flags = ["--models-url", hub.url, "--models-dir", str(tmp_path / "m"), "--data-dir", str(tmp_path / "d")]
        result = CliRunner().invoke(main, ["models", "pull", "acme/align", *named, *flags])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("align-de: ")
    assert (tmp_path / "m" / "align-de" / "model_quantized.onnx").is_file()


def test_a_folder_put_there_by_hand_must_say_its_languages(folder, tmp_path):
    shelf = ModelStore(tmp_path)
    home = Path(shutil.copytree(folder, tmp_path / "mine"))
    assert shelf.present() == ()
    assert "do not name its languages" in shelf.faults()[0][1]
    (home / "sottovoce.json").write_text('{"languages": ["en", "de"]}')
    (model,) = shelf.present()
    assert (model.engine, model.languages) == ("ctc", frozenset({"en", "de"}))
    assert not shelf.verify("mine").recorded


def test_the_catalogue_s_model_is_known_by_its_folder_and_aligns_alone(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "ctc-en")
    (model,) = ModelStore(tmp_path).present()
    assert model == CATALOGUE["ctc-en"] == find("ctc-en")
    described = offer(model, "cuda")
    assert described is not None
    assert described.skills == {Skill.ALIGNMENT}
    assert (described.engine, described.model, described.device) == ("ctc", "ctc-en", "cuda")
    assert described.languages == frozenset(EN)
    assert offer(find("whisper-tiny"), "cpu") is None

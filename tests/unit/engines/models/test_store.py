"""What lies on the shelf: which folders are models, what is said of them, and that nothing leads out of it."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from sottovoce.engines.models.catalogue import CATALOGUE
from sottovoce.engines.models.store import ModelFault, ModelStore
from sottovoce.request import OperatingPoint
from tests.tiny_whisper import Tiny, build
from tests.unknown_files import empty_the_table

MULTILINGUAL = 51_865


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the catalogue knows of files has its own tests, in `test_models_known_files.py`."""
    empty_the_table(monkeypatch)


@pytest.fixture
def shelf(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def put(folder: Path, **files: bytes | str) -> Path:
    """A folder with *files*; a double underscore stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        file = folder / name.replace("__", ".")
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def whisper(folder: Path, words: int = MULTILINGUAL) -> Path:
    vocabulary = "\n".join(f"w{number}" for number in range(words))
    return put(folder, model__bin=b"weights", config__json="{}", tokenizer__json="{}", vocabulary__txt=vocabulary)


def nemo(folder: Path, *suffixes: str, decoder: str = "decoder_joint-model") -> Path:
    put(folder, config__json='{"model_type": "nemo-conformer-tdt"}', vocab__txt="a 0\n")
    for suffix in suffixes:
        (folder / f"encoder-model{suffix}.onnx").write_bytes(b"graph")
        (folder / f"{decoder}{suffix}.onnx").write_bytes(b"graph")
    return folder


def recorded(folder: Path, **changes) -> Path:
    files = [
        {"name": file.name, "size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in sorted(folder.iterdir())
    ]
    manifest = {
        "version": 1,
        "name": folder.name,
        "engine": "whisper",
        "repository": "acme/model",
        "revision": "main",
        "commit": "a" * 40,
        "quantization": None,
        "languages": None,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


# ── present ──


def test_a_shelf_that_is_not_there_is_empty(shelf):
    assert (shelf.present(), shelf.faults(), shelf.unfinished()) == ((), (), {})


def test_the_catalogue_s_models_are_known_by_their_folder(shelf):
    whisper(shelf.path("whisper-small"))
    nemo(shelf.path("canary-1b-v2"), ".int8", decoder="decoder-model")
    assert shelf.present() == (CATALOGUE["canary-1b-v2"], CATALOGUE["whisper-small"])


def test_an_own_folder_is_a_whisper_model_of_middle_grade(shelf):
    whisper(shelf.folder / "Court-Room_2026.1")
    (model,) = shelf.present()
    assert (model.name, model.engine, model.repository, model.revision) == ("Court-Room_2026.1", "whisper", "", "")
    assert (model.languages, model.grade, model.suits) == (None, 50, OperatingPoint.STANDARD)
    assert model.size == sum(file.stat().st_size for file in shelf.path(model.name).iterdir())


@pytest.mark.parametrize(("words", "languages"), [(MULTILINGUAL - 1, frozenset({"en"})), (MULTILINGUAL, None)])
def test_a_large_vocabulary_is_of_all_languages(shelf, words, languages):
    whisper(shelf.folder / "mine", words=words)
    assert [model.languages for model in shelf.present()] == [languages]


@pytest.mark.parametrize(
    ("name", "text", "languages"),
    [
        ("vocabulary.json", json.dumps(["w"] * 1_865), frozenset({"en"})),
        ("vocabulary.json", json.dumps(["w", "", "v"]), None),
        ("vocabulary.txt", "w\nv\n", frozenset({"en"})),
        ("vocabulary.txt", "w\n\nv\n", None),
    ],
)
def test_the_empty_token_is_of_all_languages(shelf, name, text, languages):
    folder = whisper(shelf.folder / "mine", words=0)
    (folder / "vocabulary.txt").unlink()
    (folder / name).write_text(text)
    assert [model.languages for model in shelf.present()] == [languages]


@pytest.mark.parametrize("multilingual", [True, False])
def test_what_the_vocabulary_says_is_what_the_loaded_model_says(shelf, multilingual):
    import ctranslate2

    folder = build(shelf.folder / "mine", Tiny(multilingual=multilingual))
    (model,) = shelf.present()
    assert (model.languages is None) is multilingual
    assert ctranslate2.models.Whisper(str(folder), device="cpu").is_multilingual is multilingual


@pytest.mark.parametrize("text", ["7", "{", '"words"', "{}", "[" * 100_000])
def test_a_vocabulary_that_is_none_is_a_fault(shelf, text):
    folder = whisper(shelf.folder / "mine")
    (folder / "vocabulary.txt").unlink()
    (folder / "vocabulary.json").write_text(text)
    assert shelf.present() == ()
    assert shelf.faults() == (("mine", "vocabulary.json is not a list of words"),)


def test_the_operator_s_note_decides(shelf):
    note = {"languages": ["de", "cmn"], "grade": 88, "suits": "enhanced", "licence": "ours"}
    put(whisper(shelf.folder / "mine"), sottovoce__json=json.dumps(note))
    put(whisper(shelf.folder / "whisper-medium"), sottovoce__json='{"grade": 12}')
    mine, medium = shelf.present()
    assert (mine.languages, mine.grade, mine.suits) == (frozenset({"de", "cmn"}), 88, OperatingPoint.ENHANCED)
    assert mine.licence == "ours"
    assert (medium.grade, medium.suits) == (12, OperatingPoint.ENHANCED)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("{", "sottovoce.json cannot be used: Invalid JSON"),
        ("[]", "sottovoce.json cannot be used"),
        ('{"grade": 100}', "grade: Input should be less than or equal to 99"),
        ('{"grade": 0}', "grade"),
        ('{"suits": "fast"}', "suits"),
        ('{"languages": ["german"]}', "languages: Value error, german: no such language code"),
        ('{"languages": []}', "languages"),
        ('{"engine": "pocketsphinx"}', "engine"),
        ('{"colour": "red"}', "colour"),
        (" " * (1 << 21), "too large"),
    ],
)
def test_a_note_that_cannot_be_read_takes_its_model_out_and_is_told(shelf, note, reason):
    put(whisper(shelf.folder / "mine"), sottovoce__json=note)
    whisper(shelf.folder / "other")
    assert [model.name for model in shelf.present()] == ["other"]
    ((name, fault),) = shelf.faults()
    assert name == "mine"
    assert reason in fault
    assert "\n" not in fault


def test_an_own_onnx_model_must_say_its_languages(shelf):
    folder = nemo(shelf.folder / "mine", ".int8")
    assert shelf.present() == ()
    assert "do not name its languages" in shelf.faults()[0][1]
    put(folder, sottovoce__json='{"languages": ["lv"]}')
    (model,) = shelf.present()
    assert (model.engine, model.languages) == ("onnx-asr", frozenset({"lv"}))


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
def test_a_model_that_lacks_a_file_is_not_present(shelf, missing):
    folder = whisper(shelf.path("whisper-small"))
    (folder / missing).unlink()
    assert shelf.present() == ()
    if missing == "model.bin":
        assert shelf.faults() == ()  # then it is no model at all
    else:
        assert f"it lacks {missing.replace('.txt', '.json')}" in shelf.faults()[0][1]


def test_half_of_an_onnx_model_is_not_present(shelf):
    folder = nemo(shelf.path("parakeet-tdt-0.6b-v3"), ".int8")
    (folder / "decoder_joint-model.int8.onnx").rename(folder / "decoder_joint-model.onnx")
    assert shelf.present() == ()
    assert "it lacks the ONNX files" in shelf.faults()[0][1]


def test_a_recorded_file_that_is_gone_or_short_takes_the_model_out(shelf):
    folder = recorded(whisper(shelf.path("whisper-small")))
    assert [(model.name, model.revision) for model in shelf.present()] == [("whisper-small", "a" * 40)]
    (folder / "model.bin").write_bytes(b"w")
    assert shelf.faults() == (("whisper-small", "model.bin is not whole"),)
    (folder / "model.bin").unlink()
    assert shelf.faults() == (("whisper-small", "model.bin is missing"),)
    assert shelf.present() == ()


def test_files_of_another_engine_under_a_known_name_are_a_fault(shelf):
    whisper(shelf.path("canary-1b-v2"))
    assert shelf.present() == ()
    assert "rename the folder" in shelf.faults()[0][1]


def test_other_folders_and_files_are_passed_over(shelf):
    put(shelf.folder / "notes", README__md="no model")
    put(shelf.folder, stray__txt="x")
    whisper(shelf.folder / ".hidden")
    whisper(shelf.folder / ".pulling" / "whisper-small" / "new")
    assert shelf.present() == ()
    assert shelf.faults() == ()
    assert shelf.unfinished().keys() == {"whisper-small"}


def test_a_folder_whose_name_cannot_be_asked_for_is_told(shelf):
    whisper(shelf.folder / "two words")
    assert shelf.present() == ()
    assert "is not a model name" in shelf.faults()[0][1]


def test_a_linked_folder_is_a_model_and_only_the_link_is_removed(shelf, tmp_path):
    elsewhere = whisper(tmp_path / "elsewhere")
    shelf.folder.mkdir()
    shelf.path("mine").symlink_to(elsewhere)
    assert [model.name for model in shelf.present()] == ["mine"]
    assert shelf.remove("mine") == 0
    assert shelf.present() == ()
    assert (elsewhere / "model.bin").exists()


# ── names ──


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/etc", "a\\b/..", ".pulling", "a\n", "a b", "-x", "x" * 97, "a\0b", "~x", "ä"],
)
def test_no_name_leads_out_of_the_shelf(shelf, name):
    whisper(shelf.folder.parent / "x")
    for use in (shelf.path, shelf.verify, shelf.remove):
        with pytest.raises(ModelFault, match="is not a model name"):
            use(name)
    assert (shelf.folder.parent / "x" / "model.bin").exists()


# ── verify ──


def test_a_sound_model_is_sound(shelf):
    recorded(whisper(shelf.folder / "mine"))
    verdict = shelf.verify("mine")
    assert (verdict.recorded, verdict.sound, verdict.checked) == (True, True, 4)


def test_missing_changed_and_extra_files_are_named(shelf):
    folder = recorded(whisper(shelf.folder / "mine"))
    (folder / "config.json").unlink()
    (folder / "model.bin").write_bytes(b"weightz")  # as long as before
    put(folder, extra__txt="x", sottovoce__json="{}")
    put(folder / "deep", er__bin="x")
    verdict = shelf.verify("mine")
    assert not verdict.sound
    assert (verdict.missing, verdict.changed) == (("config.json",), ("model.bin",))
    assert verdict.extra == ("deep/er.bin", "extra.txt")


def test_a_model_that_was_not_pulled_cannot_be_judged(shelf):
    whisper(shelf.folder / "mine")
    verdict = shelf.verify("mine")
    assert (verdict.recorded, verdict.sound, verdict.checked) == (False, True, 0)


def test_what_is_not_here_cannot_be_verified(shelf):
    with pytest.raises(ModelFault, match="whisper-small is not in the model store"):
        shelf.verify("whisper-small")


@pytest.mark.parametrize("changes", [{"files": [{"name": "../../x", "size": 1, "sha256": "0" * 64}]}, {"version": 2}])
def test_a_manifest_that_is_not_ours_is_a_fault(shelf, changes):
    recorded(whisper(shelf.folder / "mine"), **changes)
    with pytest.raises(ModelFault, match=r"^mine: manifest\.json cannot be used: "):
        shelf.verify("mine")
    assert shelf.present() == ()


def test_a_file_that_cannot_be_read_is_told(shelf, monkeypatch):
    recorded(whisper(shelf.folder / "mine"))
    monkeypatch.setattr("sottovoce.engines.models.checking.sha256_of", _unreadable)
    with pytest.raises(ModelFault, match="mine cannot be read: Input/output error"):
        shelf.verify("mine")


def _unreadable(_: Path) -> str:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


# ── remove ──


def test_removing_frees_what_the_model_took(shelf):
    folder = whisper(shelf.folder / "mine")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert shelf.remove("mine") == size
    assert not folder.exists()
    with pytest.raises(ModelFault, match="mine is not in the model store"):
        shelf.remove("mine")


def test_what_an_interrupted_pull_left_can_be_removed(shelf):
    put(shelf.folder / ".pulling" / "whisper-small" / "new", model__bin=b"half")
    assert shelf.remove("whisper-small") == 4
    assert shelf.unfinished() == {}

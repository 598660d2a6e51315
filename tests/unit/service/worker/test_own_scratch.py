"""Workers beside each other on one machine: each has temporary files of its own, and wipes those of the dead."""

import os
from pathlib import Path

import pytest

from sottovoce.service.storage.data_folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(root=tmp_path / "data", region="eu1")
    made.prepare()
    return made


def test_the_living_keep_theirs_and_the_dead_lose_theirs(folder: DataFolder) -> None:
    first, held = folder.own_scratch("first")
    (first / "media").write_bytes(b"x")
    second, other = folder.own_scratch("second")
    assert (first / "media").exists()
    os.close(held)  # as the kernel does when the process is killed
    third, last = folder.own_scratch("third")
    assert not first.exists()
    assert second.is_dir()
    assert third.is_dir()
    os.close(other)
    os.close(last)


def test_the_same_name_can_be_taken_again_after_a_death(folder: DataFolder) -> None:
    place, held = folder.own_scratch("first")
    (place / "media").write_bytes(b"x")
    os.close(held)
    place, held = folder.own_scratch("first")
    assert list(place.iterdir()) == []
    os.close(held)


def test_a_link_in_the_scratch_folder_is_not_followed(folder: DataFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    (folder.scratch / "link").symlink_to(outside)
    os.close(folder.own_scratch("first")[1])
    assert (outside / "precious").exists()

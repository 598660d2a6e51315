import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sottovoce.service.vault import Vault, write_secret


def test_what_is_sealed_opens_and_does_not_show(tmp_path: Path) -> None:
    kept = Vault.open_file(tmp_path / "k", create=True)
    sealed = kept.seal(b"Authorization: Bearer hush")
    assert b"hush" not in sealed
    assert kept.unseal(sealed) == b"Authorization: Bearer hush"
    assert kept.seal(b"x") != kept.seal(b"x")


def test_the_key_file_is_its_owners_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "k"
    sealed = Vault.open_file(path, create=True).seal(b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault.open_file(path, create=True).unseal(sealed) == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_first_line_rotates(tmp_path: Path) -> None:
    path = tmp_path / "k"
    old = Vault.open_file(path, create=True)
    sealed = old.seal(b"x")
    path.write_bytes(Fernet.generate_key() + b"\n" + path.read_bytes())
    rotated = Vault.open_file(path, create=False)
    assert rotated.unseal(sealed) == b"x"
    with pytest.raises(ValueError, match="key"):
        old.unseal(rotated.seal(b"y"))


@pytest.mark.parametrize("junk", [b"", b"junk", b"gAAAAA" + b"A" * 100])
def test_junk_does_not_open(tmp_path: Path, junk: bytes) -> None:
    with pytest.raises(ValueError, match="sealed"):
        Vault.open_file(tmp_path / "k", create=True).unseal(junk)


def test_a_missing_or_empty_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Vault.open_file(tmp_path / "k", create=False)
    (tmp_path / "k").touch()
    with pytest.raises(ValueError, match="no key in k"):
        Vault.open_file(tmp_path / "k", create=True)


def test_a_secret_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    write_secret(path, "one")
    with pytest.raises(FileExistsError):
        write_secret(path, "two")
    assert path.read_text() == "one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


def test_a_secret_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(OSError, match="disk full"):
        write_secret(tmp_path / "s", "one")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "s", "one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600

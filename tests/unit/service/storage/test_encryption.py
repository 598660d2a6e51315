import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sottovoce.service.storage.encryption import Encryptor, new_key, read_keys, replace_keys, write_secret
from tests.log_records import warnings


def test_what_is_sealed_opens_and_does_not_show(tmp_path: Path) -> None:
    kept = Encryptor.open_file(tmp_path / "k", create=True)
    encrypted = kept.encrypt(b"Authorization: Bearer hush")
    assert b"hush" not in encrypted
    assert kept.decrypt(encrypted) == b"Authorization: Bearer hush"
    assert kept.encrypt(b"x") != kept.encrypt(b"x")


def test_the_key_file_is_its_owners_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "k"
    encrypted = Encryptor.open_file(path, create=True).encrypt(b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Encryptor.open_file(path, create=True).decrypt(encrypted) == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_first_line_rotates_and_who_runs_notices(tmp_path: Path) -> None:
    path = tmp_path / "k"
    running = Encryptor.open_file(path, create=True)
    (old,) = read_keys(path)
    encrypted = running.encrypt(b"x")
    assert running.is_newest(encrypted)
    new = new_key()
    replace_keys(path, [new, old])
    assert running.decrypt(encrypted) == b"x"
    assert not running.is_newest(encrypted)
    fresh = running.encrypt(b"y")
    assert Fernet(new).decrypt(fresh) == b"y"
    with pytest.raises(ValueError, match="key"):
        Encryptor([old]).decrypt(fresh)
    replace_keys(path, [new])
    assert running.decrypt(fresh) == b"y"
    with pytest.raises(ValueError, match="key"):
        running.decrypt(encrypted)


def test_an_edit_in_place_is_noticed_too(tmp_path: Path) -> None:
    path = tmp_path / "k"
    running = Encryptor.open_file(path, create=True)
    key = new_key()
    path.write_bytes(key + b"\n" + path.read_bytes())
    assert Fernet(key).decrypt(running.encrypt(b"x")) == b"x"


@pytest.mark.parametrize("broken", [b"", b"no key at all\n", None])
def test_a_key_file_that_breaks_leaves_the_old_keys_in_use_and_is_told_once(
    tmp_path: Path, broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "k"
    running = Encryptor.open_file(path, create=True)
    whole, encrypted = path.read_bytes(), running.encrypt(b"x")
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    for _ in range(3):
        assert running.decrypt(encrypted) == b"x"
    assert warnings(caplog) == ["key file cannot be read, its old keys stay in use"]
    assert str(tmp_path) not in repr([record.__dict__.get("file") for record in caplog.records])
    path.write_bytes(new_key() + b"\n" + whole)
    assert running.decrypt(encrypted) == b"x"
    assert not running.is_newest(encrypted)


def test_a_replaced_key_file_keeps_its_mode_and_a_link_its_target(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    Encryptor.open_file(real, create=True)
    real.chmod(0o640)
    link.symlink_to(real)
    replace_keys(link, [new_key()])
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(read_keys(real)) == 1
    assert sorted(tmp_path.iterdir()) == [link, real]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_stays_its_owners_when_root_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "k"
    Encryptor.open_file(path, create=True)
    os.chown(path, 12345, 12346)
    replace_keys(path, [new_key()])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


@pytest.mark.parametrize("junk", [b"", b"junk", b"gAAAAA" + b"A" * 100])
def test_junk_does_not_open(tmp_path: Path, junk: bytes) -> None:
    with pytest.raises(ValueError, match="encrypted with"):
        Encryptor.open_file(tmp_path / "k", create=True).decrypt(junk)


def test_a_missing_or_empty_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="k cannot be read: No such file"):
        Encryptor.open_file(tmp_path / "k", create=False)
    (tmp_path / "k").touch()
    with pytest.raises(ValueError, match="no key in k"):
        Encryptor.open_file(tmp_path / "k", create=True)


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


@pytest.mark.parametrize("size", [0, 1, 49_151, 49_152, 49_153, 65_536, 98_304, 300_001])
def test_large_values_are_those_of_fernet(size: int) -> None:
    key, text = new_key(), bytes(number % 251 for number in range(size))
    ours = Encryptor([new_key(), key])
    assert ours.decrypt(Fernet(key).encrypt(text)) == text
    assert Fernet(key).decrypt(Encryptor([key]).encrypt(text)) == text
    assert ours.decrypt(Encryptor([key]).encrypt(text)) == text


@pytest.mark.parametrize("damage", ["cut", "flipped", "longer", "not base64", "other version"])
def test_a_damaged_large_value_is_not_decrypted(damage: str) -> None:
    encryptor = Encryptor([new_key()])
    whole = encryptor.encrypt(bytes(200_000))
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:-4],
        "flipped": whole[:middle] + (b"A" if whole[middle : middle + 1] != b"A" else b"B") + whole[middle + 1 :],
        "longer": whole + b"AAAA",
        "not base64": whole[:-1],
        "other version": b"A" + whole[1:],
    }[damage]
    with pytest.raises(ValueError, match="a key that is not in the key file"):
        encryptor.decrypt(damaged)

"""A backup compares the file of keys with what it has copied: a copy that no key opens is worth less than it looks."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.service.jobs import repository
from sottovoce.service.storage import migrate
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.encryption import Encryptor, new_key
from tests.unit.service.service_values import migrated, new_job


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """The folder of a server that has accepted a job."""
    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    made = DataFolder(root=tmp_path / "data", region="eu1")
    made.prepare()
    encryptor = Encryptor.open_file(made.secrets_key, create=True)
    with (
        migrated(made.root, migrate.CONTROL),
        migrated(made.home, migrate.REGION) as database,
        database.writing() as connection,
    ):
        repository.insert(connection, new_job(config=encryptor.encrypt(b"{}")))
    return made


def backup(folder: DataFolder, name: str = "copy") -> Result:
    return CliRunner().invoke(main, ["backup", str(folder.root.parent / name), "--data-dir", str(folder.root)])


def test_a_copy_with_its_key_is_fine(folder: DataFolder) -> None:
    result = backup(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (folder.root.parent / "copy" / "secrets.key").exists()


def test_a_copy_that_no_key_opens_is_told_and_kept(folder: DataFolder) -> None:
    folder.secrets_key.write_bytes(new_key())
    result = backup(folder)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the copy is complete, but no key of ")
    assert "decrypts 1 of the 1 stored values" in result.stderr
    copied = Database(sqlite_url(folder.root.parent / "copy" / "eu1" / "region.db"))
    try:
        with copied.reading() as connection:
            assert repository.get(connection, "job0000001")
    finally:
        copied.close()
    folder.secrets_key.unlink()
    result = backup(folder, "another")
    assert (result.exit_code, "is missing, and the configs in the copy" in result.stderr) == (1, True)


def test_a_key_elsewhere_is_mentioned(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder.root.parent / "elsewhere"
    folder.secrets_key.rename(elsewhere)
    monkeypatch.setenv("SOTTOVOCE_SECRETS_KEY_FILE", str(elsewhere))
    result = backup(folder)
    assert result.exit_code == 0
    assert f"{elsewhere} is not in the copy; store it too" in result.output


def test_a_damaged_or_missing_database_is_one_line(folder: DataFolder) -> None:
    folder.region_database.write_bytes(folder.region_database.read_bytes()[:6000])
    assert backup(folder).stderr.startswith(f"Error: {folder.region_database} is damaged")
    folder.region_database.unlink()
    assert backup(folder, "again").stderr.startswith(f"Error: the region database {folder.region_database} is missing")

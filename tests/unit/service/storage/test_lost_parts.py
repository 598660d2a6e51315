"""A server whose part is lost stops with one line; with the operator's consent it starts without it, once and for all."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.jobs import repository
from sottovoce.service.plan import Plan
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage import key_check
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import DatabaseUnusable
from sottovoce.service.storage.encryption import Encryptor, KeyFileFault, new_key
from sottovoce.service.storage.lost_parts import Part, PartLost
from tests.unit.service.service_values import new_job

CONFIG = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}}).encode()


def start(folder: Path, *anew: Part, region: str = "eu1") -> None:
    """Start a server on *folder* as an operator would, and stop it."""
    data = DataFolder(root=folder, region=region)
    made = Runtime(Plan(folder=data, region_number=1, roles=frozenset(), begin_anew=frozenset(anew)))
    made.start()
    made.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has done one job."""
    folder = tmp_path_factory.mktemp("filled")
    data = DataFolder(root=folder, region="eu1")
    made = Runtime(Plan(folder=data, region_number=1, roles=frozenset()))
    made.start()
    with made.database.writing() as connection:
        repository.insert(connection, new_job(config=made.encryptor.encrypt(CONFIG)))
    made.close()
    transcript = data.blobs / "jobs" / "job0000001" / "1" / "transcript"
    transcript.parent.mkdir(parents=True)
    transcript.write_bytes(b"{}")
    (transcript.parents[1] / "input").write_bytes(b"media")
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "data"
    shutil.copytree(filled, copied)
    return copied


def jobs(folder: Path) -> int:
    with sqlite3.connect(folder / "eu1" / "region.db") as connection:
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])


def refused(folder: Path, *anew: Part) -> str:
    """What a start says, which is one line and changes no file that was there."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises((PartLost, DatabaseUnusable, KeyFileFault)) as error:
        start(folder, *anew)
    text = str(error.value)
    assert "\n" not in text
    assert all(path.read_bytes() == content for path, content in before.items() if path.name.endswith(".db"))
    return text


# ── the region database ──


def lose_file(path: Path) -> None:
    path.unlink()


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(("lose", "state"), [(lose_file, "missing"), (empty_file, "empty")])
def test_a_lost_region_database_stops_the_start_until_the_operator_begins_anew(folder: Path, lose, state: str) -> None:
    path = folder / "eu1" / "region.db"
    lose(path)
    for _ in range(2):  # the first refusal has changed nothing
        text = refused(folder)
        assert text.startswith(
            f"{path} is {state}, and {folder / 'eu1' / 'blobs'} has the files of 1 job(s): restore it"
        )
        assert "--begin-anew region-database" in text
    start(folder, Part.REGION_DATABASE)
    assert jobs(folder) == 0
    start(folder)  # the consent holds


def test_a_fresh_database_beside_transcripts_stops_the_start(folder: Path, tmp_path: Path) -> None:
    """An earlier release, or `sottovoce migrate`, has made tables in the emptied file."""
    start(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "eu1" / "region.db", folder / "eu1" / "region.db")
    assert "has had no job, and the blob store has transcripts of jobs" in refused(folder)
    start(folder, Part.REGION_DATABASE)
    start(folder)


def test_media_of_an_upload_that_was_cut_off_does_not_stop_a_start(tmp_path: Path) -> None:
    start(tmp_path)
    media = tmp_path / "eu1" / "blobs" / "jobs" / "job0000009" / "input"
    media.parent.mkdir(parents=True)
    media.write_bytes(b"half")
    start(tmp_path)


def test_a_truncated_database_is_named(folder: Path) -> None:
    path = folder / "eu1" / "region.db"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refused(folder, Part.REGION_DATABASE).startswith(f"{path} is damaged (")


def test_a_foreign_database_is_named_and_left_alone(folder: Path) -> None:
    path = folder / "eu1" / "region.db"
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title)")
    assert refused(folder).startswith(f"{path} is not a region database of Sottovoce, it has the tables songs: restore")
    shutil.copy(folder / "control.db", path)
    assert "is not a region database" in refused(folder)
    path.write_text("this is not a database, but long enough to be read as one" * 100)
    assert refused(folder).startswith(f"{path} is damaged (file is not a database): restore it")


# ── the control database ──


@pytest.mark.parametrize(("lose", "state"), [(lose_file, "missing"), (empty_file, "empty")])
def test_a_lost_control_database_stops_every_region(folder: Path, lose, state: str) -> None:
    lose(folder / "control.db")
    assert refused(folder).startswith(f"{folder / 'control.db'} is {state}, and eu1 has a region database: restore it")
    with pytest.raises(PartLost, match="eu1 has a region database"):
        start(folder, region="us1")
    start(folder, Part.CONTROL_DATABASE)
    start(folder)
    assert jobs(folder) == 1


def test_a_control_database_without_a_workspace_beside_jobs_stops_the_start(folder: Path) -> None:
    with sqlite3.connect(folder / "control.db") as connection:
        for table in ("api_keys", "projects", "users", "workspaces"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
    assert "has no workspace, and" in refused(folder)
    start(folder, Part.CONTROL_DATABASE)


# ── the file of keys ──


def test_a_lost_key_is_not_replaced(folder: Path) -> None:
    path = folder / "secrets.key"
    lost = path.read_bytes()
    path.unlink()
    assert refused(folder).startswith(
        f"{path} is missing, and stored configs are encrypted with its keys: put the file"
    )
    assert not path.exists()
    path.write_bytes(new_key())
    assert "no key of" in refused(folder)
    start(folder, Part.SECRETS_KEY)
    start(folder)  # the consent holds for this key
    path.write_bytes(new_key())
    assert "no key of" in refused(folder)
    path.write_bytes(lost)
    start(folder)


def test_a_new_key_is_made_with_consent(folder: Path) -> None:
    (folder / "secrets.key").unlink()
    start(folder, Part.SECRETS_KEY)
    assert (folder / "secrets.key").exists()
    start(folder)
    assert jobs(folder) == 1


def test_a_first_start_and_one_that_was_killed_make_a_key(tmp_path: Path) -> None:
    start(tmp_path)
    (tmp_path / "secrets.key").unlink()  # no job was accepted yet: nothing is encrypted
    start(tmp_path)
    assert (tmp_path / "secrets.key").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "no key in secrets.key"), ("short\n", "key 1 is not 32 bytes"), (None, "key 2 is not 32 bytes")],
)
def test_a_bad_key_file_is_named(folder: Path, content: str | None, told: str) -> None:
    path = folder / "secrets.key"
    path.write_text(f"{new_key().decode()}\nx\n" if content is None else content)
    text = refused(folder)
    assert text.startswith(f"the file of keys {path} cannot be used: ")
    assert told in text


def test_unreadable_values_are_counted(folder: Path) -> None:
    data = DataFolder(root=folder, region="eu1")
    made = Runtime(Plan(folder=data, region_number=1, roles=frozenset()))
    made.start()
    try:
        with made.database.writing() as connection:
            other = Encryptor([new_key()])
            repository.insert(connection, new_job("job0000002", config=other.encrypt(CONFIG)))
        with made.database.reading() as connection:
            assert key_check.opens(connection, made.encryptor, thorough=True)  # one of two opens
            assert not key_check.opens(connection, Encryptor([new_key()]))
            large = made.encryptor.encrypt(bytes(key_check.LARGE))
        with made.database.writing() as connection:
            repository.insert(connection, new_job("job0000003", config=large))
        counted = key_check.count(made.database, made.encryptor)
        assert (counted.checked, counted.closed) == (3, 1)
        lost = key_check.count(made.database, Encryptor([new_key()]))
        assert (lost.checked, lost.closed) == (3, 3)
        with made.database.writing() as connection:
            connection.execute(sa.update(t.jobs).values(config=None))
        with made.database.reading() as connection:
            assert key_check.opens(connection, Encryptor([new_key()]))  # nothing is encrypted
    finally:
        made.close()

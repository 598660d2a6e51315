"""Online backup of an embedded server: a copy of its data folder that a server can start on.

Copies the databases first, with SQLite's online backup, and then the blobs. A blob is complete before its row exists and never
changes, so every row of the copy has its blobs; only the blobs of jobs that are deleted during the backup are missing.
"""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from sottovoce.service.storage import database_file, key_check
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.encryption import Encryptor, KeyFileFault

_CURE = "put the right file back (docs/backup.md)"


def copy(folder: DataFolder, target: Path) -> int:
    """Copy *folder*'s control database, keys and region to *target*. Returns the number of blobs. Raises `FileExistsError`."""
    copied = DataFolder(root=target, region=folder.region)
    if copied.home.exists():
        raise FileExistsError(f"{target} contains a copy of region {folder.region} already; choose another folder")
    copied.prepare()
    for source, destination in (
        (folder.control_database, copied.control_database),
        (folder.region_database, copied.region_database),
    ):
        if source.exists():
            _copy_database(source, destination)
    for source, destination in ((folder.secrets_key, copied.secrets_key), (folder.api_key, copied.api_key)):
        if source.exists():
            shutil.copy2(source, destination)
    return _copy_blobs(folder.blobs, copied.blobs)


def key_fault(copied: DataFolder, key_file: Path) -> str | None:
    """Why a server with the keys in *key_file* cannot read every encrypted value of the copy *copied*; `None` if it can."""
    if not copied.region_database.exists():
        return None
    database = Database(sqlite_url(copied.region_database))
    try:
        if not key_file.exists():
            lost = database_file.has_rows(copied.region_database, "jobs")
            text = f"{key_file} is missing, and the configs in the copy are encrypted with its keys: {_CURE}"
            return text if lost else None
        found = key_check.count(database, Encryptor.open_file(key_file, create=False))
    except KeyFileFault as fault:
        return str(fault)
    finally:
        database.close()
    text = f"no key of {key_file} decrypts {found.closed} of the {found.checked} stored values: {_CURE}"
    return text if found.closed else None


def _copy_database(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _copy_blobs(source: Path, target: Path) -> int:
    count = 0
    for folder, _, names in os.walk(source):  # not rglob, which raises when a folder is deleted meanwhile
        for name in names:
            path = Path(folder, name)
            destination = target / path.relative_to(source)
            if "#" in name:  # still being written
                continue
            destination.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                shutil.copy2(path, destination)
                count += 1
    return count

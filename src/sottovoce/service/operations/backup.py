"""A copy of an embedded server's data that can be started as it is, taken while the server runs.

Databases first, by SQLite's own online backup; blobs after them. A blob is whole before its row exists and never changes, so
every row of the copy finds its bytes; a job deleted meanwhile is missing its files, as it is in the original.
"""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from sottovoce.service.storage.data_folder import DataFolder


def copy(folder: DataFolder, target: Path) -> int:
    """Copy *folder*'s control database, keys and region to *target*; how many blobs. Raises `FileExistsError`."""
    copied = DataFolder(root=target, region=folder.region)
    if copied.home.exists():
        raise FileExistsError(f"{target} holds a copy of region {folder.region} already")
    copied.prepare()
    for source, place in (
        (folder.control_database, copied.control_database),
        (folder.region_database, copied.region_database),
    ):
        if source.exists():
            _copy_database(source, place)
    for source, place in ((folder.secrets_key, copied.secrets_key), (folder.api_key, copied.api_key)):
        if source.exists():
            shutil.copy2(source, place)
    return _copy_blobs(folder.blobs, copied.blobs)


def _copy_database(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _copy_blobs(source: Path, target: Path) -> int:
    count = 0
    for folder, _, names in os.walk(source):  # not rglob: that raises for a folder that goes away below it
        for name in names:
            path = Path(folder, name)
            place = target / path.relative_to(source)
            if "#" in name:  # still being written
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                shutil.copy2(path, place)
                count += 1
    return count

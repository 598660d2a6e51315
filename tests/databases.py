"""Migrated SQLite databases, made once in each process: migrations are not what most tests are about."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from sottovoce.service.queue.backend import upgrade_tables
from sottovoce.service.storage import migrate
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, sqlite_url


@cache
def template(branch: str) -> Path:
    """A migrated database file of *branch*, with the queue's tables in a region."""
    folder = Path(mkdtemp(prefix="sottovoce-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"{branch}.db"
    database = Database(sqlite_url(path))
    try:
        migrate.upgrade(database, branch)
        if branch == migrate.REGION:
            upgrade_tables(database)
    finally:
        database.close()
    return path


def make_embedded(root: Path, *, control: bool = True, region: bool = True) -> None:
    """Put migrated databases into the data folder *root*, where a server of `eu1` would make them at its first start."""
    folder = DataFolder(root=root, region="eu1")
    folder.prepare()
    if control:
        shutil.copy(template(migrate.CONTROL), folder.control_database)
    if region:
        shutil.copy(template(migrate.REGION), folder.region_database)

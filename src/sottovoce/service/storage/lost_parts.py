"""Finds a part of a server that is lost: the file of keys, the region database or the control database (design §3).

A server does not replace a lost part by a new one, because the rest of its data would become worthless without a word. It stops,
and starts without the part only when the operator names it (`serve --begin-anew`).

In order: the parts; checks of the files, before a database is opened; checks of the rows, afterwards; the errors.
"""

import asyncio
import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sottovoce.service.storage import database_file, key_check
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, one_line
from sottovoce.service.storage.database_file import RESTORE
from sottovoce.service.storage.encryption import Encryptor

PAGE = 1000
"""Blobs that the search for files of lost jobs looks at."""
TIMEOUT = 30.0
"""Seconds that the blob store has to list them."""
_HAD_JOBS = sa.select(t.counters.c.value).where(t.counters.c.name == "v1", t.counters.c.value > 0)
"""The counter of jobs, which never falls."""
_ACCEPTED = "accepted new region database"
"""The counter that records that the operator has begun the region database anew."""
_TRANSCRIPT = re.compile(r"jobs/[^/]+/[0-9]+/transcript")


class Part(StrEnum):
    """A part that can be lost, as `--begin-anew` names it."""

    SECRETS_KEY = "secrets-key"
    REGION_DATABASE = "region-database"
    CONTROL_DATABASE = "control-database"


class PartLost(Exception):
    """A part is lost. The text is one line: which part, how this shows, and the two next steps."""

    def __init__(self, part: Part, why: str, cure: str, price: str) -> None:
        super().__init__(f"{why}: {cure}, or start once with --begin-anew {part}: {price}")
        self.part = part


# ── files, before a database is opened ──


def check_files(folder: DataFolder, *, control: bool, region: bool, key: bool, anew: Collection[Part]) -> None:
    """Raise `PartLost` if a file of *folder* is missing or empty although other files show that it had content.

    *control*, *region* and *key*: true if that part is a file in *folder*. Raises `DatabaseUnusable` for a damaged or foreign file.
    """
    if region:
        _check_region_file(folder, anew)
    if control:
        _check_control_file(folder, anew)
    if key and not folder.secrets_key.exists() and Part.SECRETS_KEY not in anew and any(_sealed_regions(folder)):
        raise _lost_key(f"{folder.secrets_key} is missing, and stored configs are encrypted with its keys")


def _check_region_file(folder: DataFolder, anew: Collection[Part]) -> None:
    path = folder.region_database
    if database_file.checked(path, "region") or Part.REGION_DATABASE in anew:
        return
    if count := sum(1 for entry in _entries(folder.blobs / "jobs") if entry.is_dir()):
        raise _lost_region(f"{path} is {_state(path)}, and {folder.blobs} has the files of {count} job(s)")


def _check_control_file(folder: DataFolder, anew: Collection[Part]) -> None:
    path = folder.control_database
    if database_file.checked(path, "control") or Part.CONTROL_DATABASE in anew:
        return
    for region in _regions(folder):
        if database_file.checked(region, "region"):
            raise _lost_control(f"{path} is {_state(path)}, and {region.parent.name} has a region database")


def _regions(folder: DataFolder) -> list[Path]:
    return sorted(folder.root.glob(f"*/{folder.region_database.name}"))


def _sealed_regions(folder: DataFolder) -> Iterator[bool]:
    """For each region of the data folder, whether it has or had encrypted values."""
    for path in _regions(folder):
        yield database_file.has_rows(path, "counters", "name = 'v1' AND value > 0") or database_file.has_rows(
            path, "deliveries"
        )


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _state(path: Path) -> str:
    return "empty" if path.exists() else "missing"


# ── rows, when the databases are open ──


def check_rows(*, control: Database | None, region: Database, blobs: Blobs, anew: Collection[Part]) -> None:
    """Raise `PartLost` if a database is new although another part shows that there was an older one. Records what *anew* accepts.

    *control* `None`: it may be new. Raises `OSError` if the blob store of a new region database cannot be read.
    """
    if not _has_row(region, _HAD_JOBS):
        accepted = _has_row(region, sa.select(t.counters.c.value).where(t.counters.c.name == _ACCEPTED))
        if Part.REGION_DATABASE in anew and not accepted:
            with region.writing() as connection:
                connection.execute(sa.insert(t.counters).values(name=_ACCEPTED, value=1))
        elif not accepted and _has_transcripts(blobs):
            raise _lost_region(f"{region.place} has had no job, and the blob store has transcripts of jobs")
    elif control and Part.CONTROL_DATABASE not in anew and not _has_row(control, sa.select(t.workspaces.c.id)):
        raise _lost_control(f"{control.place} has no workspace, and {region.place} has jobs")


def check_keys(region: Database, encryptor: Encryptor, file: Path, anew: Collection[Part]) -> bool:
    """Raise `PartLost` if no key of *file* decrypts any of the newest encrypted values. Records what *anew* accepts.

    True if values can be decrypted, or there are none; False if the operator has accepted that they cannot.
    """
    with region.reading() as connection:
        if key_check.opens(connection, encryptor, thorough=True):
            return True
        accepted = key_check.is_accepted(connection, encryptor)
    if accepted:
        return False
    if Part.SECRETS_KEY not in anew:
        raise _lost_key(f"no key of {file} decrypts the configs that {region.place} stores")
    with region.writing() as connection:
        key_check.accept(connection, encryptor)
    return False


def _has_row(database: Database, statement: sa.Select[Any]) -> bool:
    with database.reading() as connection:
        return connection.execute(statement.limit(1)).first() is not None


def _has_transcripts(blobs: Blobs) -> bool:
    """True if one of the first blobs of jobs is a transcript. An upload that was cut off leaves blobs, but no transcript."""

    async def search() -> bool:
        seen = 0
        async for key, _ in blobs.listing("jobs/"):
            if _TRANSCRIPT.fullmatch(key):
                return True
            if (seen := seen + 1) >= PAGE:
                break
        return False

    try:
        return asyncio.run(asyncio.wait_for(search(), TIMEOUT))
    except Exception as error:  # the library has its own classes, also for a panic
        raise OSError(f"the blob store cannot be read: {one_line(error)}") from error


# ── errors ──


def _lost_key(why: str) -> PartLost:
    cure = "put the file of keys back (docs/backup.md)"
    return PartLost(Part.SECRETS_KEY, why, cure, "stored configs stay unreadable, and jobs that wait are rejected")


def _lost_region(why: str) -> PartLost:
    return PartLost(Part.REGION_DATABASE, why, RESTORE, "these jobs are lost, and the next sweep removes their files")


def _lost_control(why: str) -> PartLost:
    return PartLost(Part.CONTROL_DATABASE, why, RESTORE, "all users, keys and credits are lost")

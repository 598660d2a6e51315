"""Helpers of all commands: settings, the data folder, the databases."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sottovoce.service.storage.data_folder import DataFolder
    from sottovoce.service.storage.database import Database
    from sottovoce.settings import Settings


ENGINE_HELP = (
    "Recogniser: auto, an engine that `sottovoce doctor` lists, or package.module:ENGINE (SOTTOVOCE_ENGINE; auto)."
)
"""The help of `--engine`, without the names of engines: importing them takes long."""


def settings_of(**flags: object) -> "Settings":
    """The settings, with *flags* first, after a warning about each unknown variable. Raises as `silent_settings`."""
    from sottovoce.setting_faults import unknown_variables

    loaded = silent_settings(**flags)
    for text in unknown_variables():
        click.echo(f"warning: {text}", err=True)
    return loaded


def silent_settings(**flags: object) -> "Settings":
    """The settings, with *flags* first.

    Raises `click.UsageError`, which names each invalid setting, and the file if it is in one.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from sottovoce import setting_faults, settings

    try:
        return settings.load(**flags)
    except SettingsError as error:  # its text names the field and not what is wrong
        name = next((name for name in settings.Settings.model_fields if f'"{name}"' in str(error)), "")
        text = f"{settings.PREFIX}{name.upper()} is not valid JSON: {error.__cause__}"
        raise click.UsageError(f"invalid settings: {text}") from error
    except (ValueError, OSError) as error:
        text = setting_faults.faults(error, flags) if isinstance(error, ValidationError) else str(error)
        raise click.UsageError(f"invalid settings: {text}") from error


_WRITABLE = "make it writable for the server's user, or name another folder with --data-dir"
_CURES = {
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _WRITABLE),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on its disk"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "name a folder with --data-dir"),
}


def system_fault(error: OSError) -> str:
    """*error* in one line: the file, what is wrong, and the next step if it is known."""
    if error.filename is None or error.strerror is None:
        return str(error)
    cure = _CURES.get(error.errno or 0)
    return f"{error.filename}: {error.strerror}" + (f"; {cure}" if cure else "")


data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder with databases, media and keys (SOTTOVOCE_DATA_DIR; data).",
)
region = click.option("--region", help="The region of the server (SOTTOVOCE_REGION; eu1).")


@contextmanager
def control(flags: dict[str, object]) -> "Iterator[Database]":
    """The control database that `serve` uses with the same settings. Raises `ClickException` when it does not exist."""
    settings, folder = folder_of(flags)
    if settings.control_database_url is None and not folder.control_database.exists():
        raise click.ClickException(
            f"no database in {settings.data_dir}; start `sottovoce serve` once, or give the server's --data-dir"
        )
    with opened(settings.control_database_url, folder.control_database, "control") as database:
        yield database


def folder_of(flags: dict[str, object]) -> "tuple[Settings, DataFolder]":
    """The settings, and the data folder that they name."""
    from sottovoce.service.storage.data_folder import DataFolder

    settings = settings_of(**flags)
    return settings, DataFolder(root=settings.data_dir, region=settings.region)


@contextmanager
def opened(url: str | None, file: Path, name: str) -> "Iterator[Database]":
    """The *name* database (`region` or `control`) at *url*, else the embedded one in *file*.

    Raises `ClickException` of one line when it cannot be used, also in the block.
    """
    from sottovoce.service.storage import database_file
    from sottovoce.service.storage.database import Database, DatabaseUnusable, sqlite_url, usable

    try:
        if url is None:
            database_file.require(file, name)
        database = Database(url or sqlite_url(file))
        try:
            with usable(database, name):
                yield database
        finally:
            database.close()
    except DatabaseUnusable as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def region_database(flags: dict[str, object]) -> "Iterator[Database]":
    """The region database that `serve` uses with the same settings. Raises `ClickException` when it does not exist."""
    settings, folder = folder_of(flags)
    if settings.database_url is None and not folder.region_database.exists():
        raise click.ClickException(
            f"no region {settings.region} in {settings.data_dir}; give the server's --data-dir and --region"
        )
    with opened(settings.database_url, folder.region_database, "region") as database:
        yield database

"""`migrate` and `backup`: migrates the databases, and copies the data folder."""

from pathlib import Path

import click

from sottovoce.cli.common import data_dir, region, settings_of


@click.command()
@data_dir
@region
def migrate(**flags: object) -> None:
    """Migrate both databases and the queue's tables to the schema of this release."""
    from sottovoce.service.queue.backend import upgrade_tables
    from sottovoce.service.storage import database_file
    from sottovoce.service.storage import migrate as migrations
    from sottovoce.service.storage.data_folder import DataFolder
    from sottovoce.service.storage.database import Database, DatabaseUnusable, sqlite_url, usable

    settings = settings_of(**flags)
    folder = DataFolder(root=settings.data_dir, region=settings.region)
    wanted = (
        (settings.control_database_url, folder.control_database, migrations.CONTROL),
        (settings.database_url, folder.region_database, migrations.REGION),
    )
    try:
        folder.prepare()
        for url, file, branch in wanted:
            if url is None:
                database_file.checked(file, branch)
            database = Database(url or sqlite_url(file))
            try:
                with usable(database, branch):
                    migrations.upgrade(database, branch)
                    if branch == migrations.REGION:
                        upgrade_tables(database)
                    click.echo(f"{branch}: revision {migrations.current(database, branch)[0]}")
            finally:
                database.close()
    except (DatabaseUnusable, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_dir
@region
def backup(target: Path, **flags: object) -> None:
    """Copy the data folder of an embedded server to the folder TARGET, while it runs; docs/backup.md describes the restore."""
    import sqlite3

    from sqlalchemy.exc import SQLAlchemyError

    from sottovoce.service.operations import backup as copies
    from sottovoce.service.storage import database_file
    from sottovoce.service.storage.data_folder import DataFolder
    from sottovoce.service.storage.database import DatabaseUnusable, one_line

    settings = settings_of(**flags)
    if settings.database_url is not None or settings.blob_url is not None:
        raise click.UsageError("only a data folder can be copied; use the backup tools of your database and bucket")
    folder = DataFolder(root=settings.data_dir, region=settings.region)
    key_file = settings.secrets_key_file or folder.secrets_key
    try:
        database_file.require(folder.region_database, "region")
        if settings.control_database_url is None:
            database_file.require(folder.control_database, "control")
        count = copies.copy(folder, target)
        fault = copies.key_fault(DataFolder(root=target, region=folder.region), key_file)
    except (OSError, DatabaseUnusable, sqlite3.Error, SQLAlchemyError) as error:
        raise click.ClickException(one_line(error)) from error
    click.echo(f"copied {count} files and both databases to {target}")
    if settings.secrets_key_file is not None:
        click.echo(f"{key_file} is not in the copy; store it too, in another place")
    if fault is not None:
        raise click.ClickException(f"the copy is complete, but {fault}")

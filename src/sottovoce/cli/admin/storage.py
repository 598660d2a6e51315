"""`migrate` and `backup`: migrates the databases, and copies the data folder."""

from pathlib import Path

import click

from sottovoce.cli.common import data_dir, region, settings_of


@click.command()
@data_dir
@region
def migrate(**flags: object) -> None:
    """Migrate both databases and the queue's tables to the schema of this release."""
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
                        migrations.upgrade_queue(database)
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
    from sottovoce.service.operations import backup as copies
    from sottovoce.service.storage.data_folder import DataFolder

    settings = settings_of(**flags)
    if settings.database_url is not None or settings.blob_url is not None:
        raise click.UsageError("only a data folder can be copied; use the backup tools of your database and bucket")
    try:
        count = copies.copy(DataFolder(root=settings.data_dir, region=settings.region), target)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"copied {count} files and both databases to {target}")

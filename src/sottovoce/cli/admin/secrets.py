"""`secrets`: rotates the key that encrypts stored configs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import control, data_dir, folder_of, opened, region
from sottovoce.cli.tables import as_json

if TYPE_CHECKING:
    from sottovoce.service.operations.key_rotation import Region
    from sottovoce.service.storage.database import Database


@click.group()
def secrets() -> None:
    """Rotate the key that encrypts stored configs."""


@secrets.command("rotate")
@click.option(
    "--drop-old", is_flag=True, help="The last step: keep only the newest key, if no value needs another one."
)
@as_json
@data_dir
@region
def secrets_rotate(drop_old: bool, *, machine: bool, **flags: object) -> None:
    """Add a new key to the front of the key file and encrypt every stored config with it, while servers run.

    Run the command again to continue an interrupted rotation.
    """
    from sottovoce.service.operations import key_rotation

    settings, folder = folder_of(flags)
    path = settings.secrets_key_file or folder.secrets_key
    with control(flags) as database, _regions(flags) as regions:
        try:
            change = partial(key_rotation.drop_old, pause=_pause) if drop_old else key_rotation.rotate
            count = change(path, database, regions)
        except (key_rotation.Busy, ValueError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"{path.name} cannot be changed: {error.strerror}") from error
    if machine:
        click.echo(json.dumps({**asdict(count), "only_newest": drop_old}))
        return
    click.echo(f"{count.checked} values checked, {count.changed} encrypted again")
    if count.closed:
        click.echo(
            f"{count.closed} values are encrypted with a key that is not in {path.name}; left unchanged", err=True
        )
    click.echo(
        f"{path.name} holds only the newest key"
        if drop_old
        else "when every server has the new key, run the command again with --drop-old"
    )


def _pause(seconds: float) -> None:
    """Wait *seconds* until servers stop using the old key, and print that."""
    import time

    if seconds > 0:
        click.echo(f"waiting {seconds:.0f} s until servers stop using the old key", err=True)
        time.sleep(seconds)


@contextmanager
def _regions(flags: dict[str, object]) -> "Iterator[list[Region]]":
    """The regions whose configs the key file encrypts: all in the data folder, or the one of `database_url`."""
    from sottovoce.service.operations.key_rotation import Region
    from sottovoce.service.storage.data_folder import DataFolder

    settings, folder = folder_of(flags)
    with ExitStack() as stack:

        def found(name: str, url: str | None, file: Path) -> "Region":
            database: Database = stack.enter_context(opened(url, file, "region"))
            return Region(name=name, database=database)

        if settings.database_url is not None:
            yield [found(folder.region, settings.database_url, folder.region_database)]
        else:
            files = sorted(settings.data_dir.glob(f"*/{folder.region_database.name}"))
            yield [
                found(
                    file.parent.name, None, DataFolder(root=settings.data_dir, region=file.parent.name).region_database
                )
                for file in files
            ]

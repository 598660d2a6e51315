"""`keys`: make, list and revoke API keys."""

import click

from sottovoce.cli.common import control, data_dir


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@click.argument("name")
@data_dir
def keys_create(name: str, **flags: object) -> None:
    """Make a key called NAME and print its secret, once."""
    from sottovoce.service import accounts

    secret = accounts.new_secret()
    with control(flags) as database, database.writing() as connection:
        made = accounts.create_key(
            connection, project_id=accounts.default_project(connection), name=name, secret=secret
        )
    click.echo(f"{made.id}  {secret}")


@keys.command("list")
@data_dir
def keys_list(**flags: object) -> None:
    """List every key, without secrets."""
    from sottovoce.service import accounts
    from sottovoce.wire.instants import milliseconds

    with control(flags) as database, database.reading() as connection:
        for key in accounts.list_keys(connection):
            state = f"revoked {milliseconds(key.revoked_at)}" if key.revoked_at else "active"
            click.echo(f"{key.id}  {milliseconds(key.created_at)}  {state}  {key.name}")


@keys.command("revoke")
@click.argument("key_id")
@data_dir
def keys_revoke(key_id: str, **flags: object) -> None:
    """Make the key KEY_ID (as `keys list` shows it) worthless; servers notice within two seconds."""
    from sottovoce.service import accounts

    with control(flags) as database, database.writing() as connection:
        if not accounts.revoke_key(connection, key_id):
            raise click.ClickException(f"no active key {key_id}")
    click.echo(f"revoked {key_id}")

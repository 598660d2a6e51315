"""`projects`: creates and lists projects, which separate the jobs of different keys."""

from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import entry, refusals
from sottovoce.cli.common import control, data_dir

if TYPE_CHECKING:
    import sqlalchemy as sa


@click.group()
def projects() -> None:
    """Create and list projects; keys of different projects do not see each other's jobs."""


@projects.command("create")
@click.argument("name")
@data_dir
def projects_create(name: str, **flags: object) -> None:
    """Create a project called NAME and print its id."""
    from sottovoce.service.identity import audit_log
    from sottovoce.service.identity import projects as store

    with refusals(), control(flags) as database, database.writing() as connection:
        made = store.create(connection, _workspace(connection), name)
        audit_log.record(connection, entry("project created", str(made.id)))
    click.echo(str(made.id))


@projects.command("list")
@data_dir
def projects_list(**flags: object) -> None:
    """List all projects."""
    from sottovoce.service.identity import projects as store
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        for project in store.listed(connection):
            default = "default  " if project.is_default else ""
            click.echo(f"{project.id}  {milliseconds(project.created_at)}  {default}{project.name}")


def _workspace(connection: "sa.Connection") -> int:
    """The workspace of the default project, the only one in which this command creates projects."""
    from sottovoce.service.identity import api_keys
    from sottovoce.service.identity import projects as store

    default = api_keys.default_project(connection)
    return next(project.workspace_id for project in store.listed(connection) if project.id == default)

"""`projects`: creates and lists projects, which separate the jobs of different keys."""

from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import entry, refusals
from sottovoce.cli.common import control, data_dir
from sottovoce.cli.tables import as_json, clock, printable, show, show_one

if TYPE_CHECKING:
    import sqlalchemy as sa


@click.group()
def projects() -> None:
    """Create and list projects; keys of different projects do not see each other's jobs."""


@projects.command("create")
@click.argument("name")
@as_json
@data_dir
def projects_create(name: str, *, machine: bool, **flags: object) -> None:
    """Create a project called NAME and print its id."""
    from sottovoce.service.identity import audit_log
    from sottovoce.service.identity import projects as store

    with refusals(), control(flags) as database, database.writing() as connection:
        made = store.create(connection, _workspace(connection), name)
        audit_log.record(connection, entry("project created", str(made.id), of=made.workspace_id))
    show_one({"id": made.id, "name": name}, machine=machine, lines={"project": f"{made.id} ({printable(name)})"})
    if not machine:
        click.echo(f"A key for it: sottovoce keys create NAME --project {made.id}", err=True)


@projects.command("list")
@as_json
@data_dir
def projects_list(*, machine: bool, **flags: object) -> None:
    """List all projects."""
    from sottovoce.service.identity import projects as store
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        found = store.listed(connection)
    show(
        [
            {
                "id": each.id,
                "name": each.name,
                "created_at": milliseconds(each.created_at),
                "default": each.is_default,
                "workspace": each.workspace_id,
            }
            for each in found
        ],
        machine=machine,
        headings=("PROJECT", "CREATED", "DEFAULT", "NAME"),
        cells=[
            (str(each.id), clock(each.created_at), "yes" if each.is_default else "", printable(each.name))
            for each in found
        ],
    )


def _workspace(connection: "sa.Connection") -> int:
    """The workspace of the default project, the only one in which this command creates projects."""
    from sottovoce.service.identity import api_keys
    from sottovoce.service.identity import projects as store

    default = api_keys.default_project(connection)
    return next(project.workspace_id for project in store.listed(connection) if project.id == default)

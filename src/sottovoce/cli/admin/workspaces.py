"""`workspaces`: lists workspaces, binds them to regions, and sets how long their jobs are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import entry, refusals
from sottovoce.cli.common import control, data_dir
from sottovoce.cli.tables import as_json, clock, printable, show

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sottovoce.service.identity.workspaces import Workspace


@click.group()
def workspaces() -> None:
    """List workspaces, bind them to regions, and set how long their jobs are kept. ID is as `workspaces list` shows it."""


@workspaces.command("list")
@as_json
@data_dir
def workspaces_list(*, machine: bool, **flags: object) -> None:
    """List all workspaces."""
    from sottovoce.service.identity import workspaces as store
    from sottovoce.service.storage.database import DAY_MS
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        found = store.listed(connection)
    show(
        [
            {
                "id": each.id,
                "name": each.name,
                "created_at": milliseconds(each.created_at),
                "regions": each.regions,
                "retention_days": None if each.retention_ms is None else each.retention_ms / DAY_MS,
            }
            for each in found
        ],
        machine=machine,
        headings=("WORKSPACE", "CREATED", "SERVED", "KEEPS JOBS", "NAME"),
        cells=[
            (str(each.id), clock(each.created_at), _served(each), _kept(each), printable(each.name)) for each in found
        ],
    )


@workspaces.command("bind")
@click.argument("workspace_id", metavar="ID", type=int)
@click.argument("regions")
@data_dir
def workspaces_bind(workspace_id: int, regions: str, **flags: object) -> None:
    """Bind the workspace ID to REGIONS (e.g. eu1,us1); within two seconds the other regions answer its keys with 403."""
    from sottovoce.service.identity import workspaces as store

    names = [part.strip() for part in regions.split(",") if part.strip()]
    with _changing(flags, workspace_id, "workspace bound", regions=",".join(names)) as connection:
        store.bind(connection, workspace_id, names)
    click.echo(f"workspace {workspace_id} is served in {', '.join(dict.fromkeys(names))} only")


@workspaces.command("unbind")
@click.argument("workspace_id", metavar="ID", type=int)
@data_dir
def workspaces_unbind(workspace_id: int, **flags: object) -> None:
    """Let every region serve the workspace ID."""
    from sottovoce.service.identity import workspaces as store

    with _changing(flags, workspace_id, "workspace unbound") as connection:
        store.bind(connection, workspace_id, None)
    click.echo(f"workspace {workspace_id} is served in every region")


@workspaces.command("retention")
@click.argument("workspace_id", metavar="ID", type=int)
@click.argument("days", type=float, required=False)
@click.option("--default", "default", is_flag=True, help="Use the retention of each region (SOTTOVOCE_RETENTION_DAYS).")
@data_dir
def workspaces_retention(workspace_id: int, days: float | None, default: bool, **flags: object) -> None:
    """Keep new jobs of the workspace ID for DAYS after their end; 0: until they were delivered."""
    from sottovoce.service.identity import workspaces as store

    if (days is None) is not default:
        raise click.UsageError("give either DAYS or --default")
    with _changing(flags, workspace_id, "retention set", days="default" if days is None else str(days)) as connection:
        store.keep(connection, workspace_id, days)
    period = (
        "as long as each region does" if days is None else f"{days:g} days" if days else "until they were delivered"
    )
    click.echo(f"workspace {workspace_id} keeps new jobs {period}")


@contextmanager
def _changing(
    flags: dict[str, object], workspace_id: int, action: str, **details: str | int | bool
) -> "Iterator[sa.Connection]":
    """A transaction of the control database that also records *action* in the audit log."""
    from sottovoce.service.identity import audit_log

    with refusals(), control(flags) as database, database.writing() as connection:
        yield connection
        audit_log.record(connection, entry(action, str(workspace_id), of=workspace_id, **details))


def _served(workspace: "Workspace") -> str:
    return "everywhere" if workspace.regions is None else f"in {','.join(workspace.regions)} only"


def _kept(workspace: "Workspace") -> str:
    from sottovoce.service.storage.database import DAY_MS

    if workspace.retention_ms is None:
        return "as its regions do"
    return f"{workspace.retention_ms / DAY_MS:g} days" if workspace.retention_ms else "until they were delivered"

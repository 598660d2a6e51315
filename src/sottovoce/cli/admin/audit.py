"""`audit`: shows the audit log."""

import click

from sottovoce.cli.common import control, data_dir
from sottovoce.cli.tables import as_json, clock, printable, show

MOST = 10_000


@click.command()
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@as_json
@data_dir
def audit(limit: int, *, machine: bool, **flags: object) -> None:
    """Show the audit log (who created, revoked or deleted what), newest first."""
    from sottovoce.service.identity import audit_log as log
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        found = log.latest(connection, limit)
    show(
        [
            {
                "at": milliseconds(each.at),
                "actor": each.entry.actor,
                "action": each.entry.action,
                "target": each.entry.target,
                "workspace": each.entry.workspace_id,
                "details": dict(each.entry.details),
            }
            for each in found
        ],
        machine=machine,
        headings=("AT", "BY", "ACTION", "TARGET", "DETAILS"),
        cells=[
            (
                clock(each.at),
                each.entry.actor,
                each.entry.action,
                printable(each.entry.target),
                printable(", ".join(f"{name} {value}" for name, value in each.entry.details.items())),
            )
            for each in found
        ],
    )

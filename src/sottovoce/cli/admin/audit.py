"""`audit`: shows the audit log."""

import click

from sottovoce.cli.common import control, data_dir

MOST = 10_000


@click.command()
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@data_dir
def audit(limit: int, **flags: object) -> None:
    """Show the audit log (who created, revoked or deleted what), newest first."""
    from sottovoce.service.identity import audit_log as log
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        for recorded in log.latest(connection, limit):
            entry = recorded.entry
            details = "".join(f"  {name} {value}" for name, value in entry.details.items())
            click.echo(f"{milliseconds(recorded.at)}  {entry.actor}  {entry.action}  {entry.target}{details}")

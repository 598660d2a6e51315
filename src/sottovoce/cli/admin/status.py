"""`status`: shows the queue of this region, as `/v1.0/status` reports it, and sets the flag for known issues."""

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database


@click.command()
@click.option(
    "--known-issues/--no-known-issues", default=None, help="Set or clear the flag for known issues in `/v1.0/status`."
)
@data_dir
@region
def status(known_issues: bool | None, **flags: object) -> None:
    """Show the waiting jobs, the slots and the turnaround of this region; with an option, set the flag for known issues."""
    from sottovoce.service.jobs import queue_estimate

    settings, _ = folder_of(flags)
    with region_database(flags) as database:
        if known_issues is not None:
            with database.writing() as connection:
                queue_estimate.set_known_issues(connection, known_issues)
        with database.reading() as connection:
            seen = queue_estimate.estimate(connection, round(settings.lease * 1000))
    click.echo(f"waiting: {seen.waiting} jobs, {seen.audio:.0f} s of audio, the oldest for {seen.oldest:.0f} s")
    click.echo(f"slots: {seen.slots}" + ("" if seen.eta is None else f", all done in about {seen.eta:.0f} s"))
    click.echo(f"turnaround in the last hour: {seen.turnaround:.0f} s")
    click.echo(f"known issues: {'yes' if seen.known_issues else 'no'}")

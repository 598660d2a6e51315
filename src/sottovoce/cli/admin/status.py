"""`status`: shows the queue of this region, as `/v1.0/status` reports it, and sets the flag for known issues."""

import json
from dataclasses import asdict

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database
from sottovoce.cli.tables import as_json, length


@click.command()
@click.option(
    "--known-issues/--no-known-issues", default=None, help="Set or clear the flag for known issues in `/v1.0/status`."
)
@as_json
@data_dir
@region
def status(known_issues: bool | None, *, machine: bool, **flags: object) -> None:
    """Show the waiting jobs, the slots and the turnaround of this region; with an option, set the flag for known issues."""
    from sottovoce.service.jobs import queue_estimate

    settings, _ = folder_of(flags)
    with region_database(flags) as database:
        if known_issues is not None:
            with database.writing() as connection:
                queue_estimate.set_known_issues(connection, known_issues)
        with database.reading() as connection:
            seen = queue_estimate.estimate(connection, round(settings.lease * 1000))
    if machine:
        click.echo(json.dumps({**asdict(seen), "eta": seen.eta}))
        return
    audio, oldest = length(round(seen.audio * 1000)), length(round(seen.oldest * 1000))
    click.echo(f"waiting: {seen.waiting} jobs, {audio} of audio left, the oldest for {oldest}")
    ready = "" if seen.eta is None else f", all done in about {length(round(seen.eta * 1000))}"
    click.echo(f"slots: {seen.slots}{ready}")
    click.echo(f"turnaround in the last hour: {length(round(seen.turnaround * 1000))}")
    click.echo(f"known issues: {'yes' if seen.known_issues else 'no'}")

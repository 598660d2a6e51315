"""`deliveries`: shows notifications and mails of all jobs, and sends failed ones again."""

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database


@click.group()
def deliveries() -> None:
    """Show notifications and mails of all jobs, and send failed ones again."""


@deliveries.command("list")
@click.option("--job", "job_id", help="Only deliveries of this job.")
@click.option("--state", type=click.Choice(["waiting", "delivered", "failed"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@data_dir
@region
def deliveries_list(job_id: str | None, state: str | None, limit: int, **flags: object) -> None:
    """List deliveries, newest first: id, job, kind, target, state, attempts out of the maximum, next attempt and outcome."""
    from sottovoce.service.notifications import model, repository
    from sottovoce.wire.timestamps import milliseconds

    wanted = model.State(state) if state else None
    with region_database(flags) as database, database.reading() as connection:
        for each in repository.listing(connection, job_id=job_id, state=wanted, limit=limit):
            when = f"  next {milliseconds(each.next_at)}" if each.next_at is not None and each.attempts else ""
            outcome = f"  {each.outcome}" if each.outcome else ""
            click.echo(
                f"{each.id}  job {each.job_id or '-'}  {each.kind} {each.number}  {each.place}  {each.status or '-'}"
                f"  {each.state}  {each.attempts}/{each.tries}{when}{outcome}"
            )


@deliveries.command("retry")
@click.argument("delivery_id")
@data_dir
@region
def deliveries_retry(delivery_id: str, **flags: object) -> None:
    """Send the failed delivery DELIVERY_ID again, under the same id; a running server or worker sends it."""
    from sottovoce.bootstrap import task_settings
    from sottovoce.service.notifications import repository
    from sottovoce.service.queue.backend import opened_queue
    from sottovoce.service.queue.port import TaskKind

    settings, _ = folder_of(flags)
    tries = task_settings(settings).send.tries
    with region_database(flags) as database, opened_queue(database) as queue, database.writing() as connection:
        found = repository.retry(connection, delivery_id, tries)
        if found is None:
            raise click.ClickException(f"no failed delivery {delivery_id} in this region; see `deliveries list`")
        queue.enqueue(connection, TaskKind.DELIVERY, found.id, found.attempts + 1)
    click.echo(f"{delivery_id} will be sent again to {found.place}")

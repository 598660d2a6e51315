"""`deliveries`: shows notifications and mails of all jobs, and sends failed ones again."""

from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database
from sottovoce.cli.tables import as_json, clock, printable, show

if TYPE_CHECKING:
    from sottovoce.service.notifications.model import Delivery


@click.group()
def deliveries() -> None:
    """Show notifications and mails of all jobs, and send failed ones again."""


@deliveries.command("list")
@click.option("--job", "job_id", help="Only deliveries of this job.")
@click.option("--state", type=click.Choice(["waiting", "delivered", "failed"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@data_dir
@region
def deliveries_list(job_id: str | None, state: str | None, limit: int, *, machine: bool, **flags: object) -> None:
    """List deliveries, newest first: id, job, kind, state, attempts out of the maximum, next attempt, outcome and target."""
    from sottovoce.service.notifications import model, repository

    wanted = model.State(state) if state else None
    with region_database(flags) as database, database.reading() as connection:
        found = list(repository.listing(connection, job_id=job_id, state=wanted, limit=limit))
    show(
        [_members(each) for each in found],
        machine=machine,
        headings=("DELIVERY", "JOB", "KIND", "TELLS", "STATE", "TRIES", "NEXT", "OUTCOME", "TO"),
        cells=[
            (
                each.id,
                each.job_id or "",
                f"{each.kind} {each.number}",
                each.status,
                str(each.state),
                f"{each.attempts}/{each.tries}",
                clock(each.next_at) if each.next_at is not None and each.attempts else "",
                printable(each.outcome or ""),
                printable(each.place),
            )
            for each in found
        ],
    )


def _members(each: "Delivery") -> dict[str, Any]:
    from sottovoce.wire.timestamps import milliseconds

    times = {"created_at": each.created_at, "next_at": each.next_at, "ended_at": each.ended_at}
    return {
        "id": each.id,
        "job": each.job_id,
        "kind": each.kind,
        "number": each.number,
        "status": each.status,
        "state": each.state,
        "attempts": each.attempts,
        "tries": each.tries,
        "outcome": each.outcome,
        "place": each.place,
        **{name: None if at is None else milliseconds(at) for name, at in times.items()},
    }


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

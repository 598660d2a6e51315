"""`retention`: what is kept, what is about to go, and removing it now."""

from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database

if TYPE_CHECKING:
    from sottovoce.service.retention.policy import RetentionPolicy
    from sottovoce.settings import Settings


@click.group()
def retention() -> None:
    """See what is kept and for how long, and remove what is over."""


@retention.command("report")
@data_dir
@region
def retention_report(**flags: object) -> None:
    """Say how many jobs are kept in this region, and which are about to be removed."""
    from sottovoce.service.retention import policy
    from sottovoce.wire.timestamps import milliseconds

    settings, _ = folder_of(flags)
    with region_database(flags) as database, database.reading() as connection:
        seen = policy.report(connection, _policy(settings))
    oldest = "" if seen.oldest_end is None else f", the oldest ended {milliseconds(seen.oldest_end)}"
    click.echo(f"kept: {seen.kept} jobs with {seen.kept_bytes} bytes of media{oldest}")
    click.echo(f"due now: {seen.due} jobs; within a day: {seen.due_in_a_day}; never ended: {seen.stuck}")
    click.echo(f"removed: {seen.tombstones} tombstones, {seen.uncleaned} with something left to remove")


@retention.command("run")
@data_dir
@region
def retention_run(**flags: object) -> None:
    """Remove now what is due, and what nobody owns, also beside a running server; it does the same by itself every minute."""
    import asyncio

    from sottovoce.service.jobs.deletion import JobDeletion
    from sottovoce.service.metrics import Metrics
    from sottovoce.service.queue.dbos_queue import DbosQueue
    from sottovoce.service.retention.orphan_sweeper import Sweeper
    from sottovoce.service.retention.sweep import Retention
    from sottovoce.service.storage.blobs import Blobs
    from sottovoce.service.storage.s3_multipart import MultipartUploads

    settings, folder = folder_of(flags)
    with region_database(flags) as database:
        blobs = Blobs.open(settings.blob_url or f"file://{folder.blobs.resolve()}", settings.blob_options)
        url = settings.blob_url or ""
        bucket = MultipartUploads(url, settings.blob_options) if url.startswith("s3://") else None
        queue = DbosQueue(database)
        try:
            swept = asyncio.run(
                Retention(
                    database=database,
                    blobs=blobs,
                    queue=queue,
                    deletion=JobDeletion(database, blobs, queue),
                    sweeper=Sweeper(database, blobs, bucket),
                    metrics=Metrics(),
                    policy=_policy(settings),
                ).sweep()
            )
        finally:
            queue.close()
    click.echo(f"removed {swept.expired} jobs, went on with {swept.cleaned}, forgot {swept.forgotten} tombstones")
    click.echo(f"removed {swept.orphans} orphans")


def _policy(settings: "Settings") -> "RetentionPolicy":
    from sottovoce.service.retention.policy import RetentionPolicy
    from sottovoce.service.storage.database import DAY_MS

    return RetentionPolicy(
        keep_ms=round(settings.retention_days * DAY_MS), tombstone_ms=round(settings.tombstone_days * DAY_MS)
    )

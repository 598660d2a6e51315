"""`retention`: reports which jobs are stored and due for removal, and removes due ones now."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import data_dir, folder_of, region, region_database
from sottovoce.cli.tables import as_json, clock

if TYPE_CHECKING:
    from sottovoce.service.retention.policy import RetentionPolicy
    from sottovoce.settings import Settings


@click.group()
def retention() -> None:
    """Report stored jobs and jobs due for removal, and remove due jobs now."""


@retention.command("report")
@as_json
@data_dir
@region
def retention_report(*, machine: bool, **flags: object) -> None:
    """Show the number of jobs stored in this region, due for removal, and removed."""
    from sottovoce.service.retention import policy
    from sottovoce.wire.timestamps import milliseconds

    settings, _ = folder_of(flags)
    with region_database(flags) as database, database.reading() as connection:
        found = policy.report(connection, _policy(settings))
    if machine:
        ended = None if found.oldest_end is None else milliseconds(found.oldest_end)
        click.echo(json.dumps({**asdict(found), "oldest_end": ended}))
        return
    oldest = "" if found.oldest_end is None else f", the oldest ended {clock(found.oldest_end)}"
    click.echo(f"stored: {found.kept:,} jobs with {found.kept_bytes:,} bytes of media{oldest}")
    click.echo(f"due now: {found.due:,} jobs; within a day: {found.due_in_a_day:,}; never ended: {found.stuck:,}")
    click.echo(f"removed: {found.tombstones:,} tombstones, {found.uncleaned:,} with files left to remove")


@retention.command("run")
@data_dir
@region
def retention_run(**flags: object) -> None:
    """Remove due jobs and orphaned blobs now. A running server does this every minute; the command is safe beside it."""
    import asyncio

    from sottovoce.service.jobs.deletion import JobDeletion
    from sottovoce.service.metrics import Metrics
    from sottovoce.service.queue.backend import opened_queue
    from sottovoce.service.retention.orphan_sweeper import Sweeper
    from sottovoce.service.retention.sweep import Retention
    from sottovoce.service.storage.blobs import Blobs
    from sottovoce.service.storage.s3_multipart import MultipartUploads

    settings, folder = folder_of(flags)
    with region_database(flags) as database:
        blobs = Blobs.open(settings.blob_url or f"file://{folder.blobs.resolve()}", settings.blob_options)
        url = settings.blob_url or ""
        bucket = MultipartUploads(url, settings.blob_options) if url.startswith("s3://") else None
        with opened_queue(database) as queue:
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
    click.echo(
        f"removed {swept.expired} jobs, completed {swept.cleaned} interrupted removals, "
        f"deleted {swept.forgotten} tombstones"
    )
    click.echo(f"removed {swept.orphans} orphans")


def _policy(settings: "Settings") -> "RetentionPolicy":
    from sottovoce.service.retention.policy import RetentionPolicy
    from sottovoce.service.storage.database import DAY_MS

    return RetentionPolicy(
        keep_ms=round(settings.retention_days * DAY_MS), tombstone_ms=round(settings.tombstone_days * DAY_MS)
    )

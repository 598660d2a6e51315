"""`jobs`: shows jobs of all projects, and retries rejected ones."""

import contextlib
import time
from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import refusals
from sottovoce.cli.common import control, data_dir, folder_of, region, region_database
from sottovoce.cli.tables import as_json, clock, length, printable, show

if TYPE_CHECKING:
    from sottovoce.service.jobs.model import Job

IN_TIME = 120.0
"""Seconds that `jobs retry` may take between holding credits and queueing the job; the settlement returns the credits of a job
that is not queued only much later."""


def _now() -> float:
    """Seconds of a clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@click.group()
def jobs() -> None:
    """Show jobs of all projects, and retry rejected ones."""


@jobs.command("list")
@click.option("--state", type=click.Choice(["queued", "running", "done", "rejected", "deleted", "expired"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@data_dir
@region
def jobs_list(state: str | None, limit: int, *, machine: bool, **flags: object) -> None:
    """List jobs, newest first: id, creation, state, length of the media, progress, file name and reason."""
    from sottovoce.job import State
    from sottovoce.service.jobs import repository as store
    from sottovoce.wire.timestamps import milliseconds

    with region_database(flags) as database, database.reading() as connection:
        found = store.list_all(connection, state=State(state) if state else None, limit=limit)
    show(
        [
            {
                "id": job.id,
                "created_at": milliseconds(job.created_at),
                "state": job.state,
                "duration_ms": job.duration_ms,
                "progress": job.progress,
                "data_name": job.data_name,
                "reason": job.reason,
            }
            for job in found
        ],
        machine=machine,
        headings=("JOB", "CREATED", "STATE", "LENGTH", "DONE", "REASON", "FILE"),
        cells=[
            (
                job.id,
                clock(job.created_at),
                str(job.state),
                length(job.duration_ms),
                f"{job.progress:.0%}",
                str(job.reason or ""),
                printable(job.data_name),
            )
            for job in found
        ],
    )


_HIDDEN = frozenset({"config", "request", "idempotency_digest", "errors", "whole_errors", "legacy"})


@jobs.command("show")
@click.argument("job_id")
@as_json
@data_dir
@region
def jobs_show(job_id: str, *, machine: bool, **flags: object) -> None:
    """Show the job JOB_ID: its database row without the config, and its log."""
    import json
    from dataclasses import asdict

    from sottovoce.service.jobs import repository as store
    from sottovoce.wire.v2 import job_log

    with region_database(flags) as database, database.reading() as connection:
        found = store.get(connection, job_id)
        if found is None:
            raise click.ClickException(
                f"no job {job_id} in this region; `sottovoce jobs list` shows those that there are"
            )
        lines = store.log_lines(connection, job_id)
    row = {name: value for name, value in asdict(found).items() if name not in _HIDDEN and value is not None}
    log = "".join(job_log.render(job_log.Line(**asdict(line)) for line in lines))
    if machine:
        errors = [error.message for error in found.errors]
        click.echo(json.dumps({**row, "errors": errors, "log": log.splitlines()}, ensure_ascii=False, indent=2))
        return
    for name, value in row.items():
        click.echo(f"{name:<16} {_readable(name, value)}")
    for error in found.errors:
        click.echo(f"{'error':<16} {error.message}")
    click.echo(log, nl=False)


def _readable(name: str, value: object) -> str:
    """The column *name* for people: instants and durations in words of a clock."""
    if name.endswith("_at") and isinstance(value, int):
        return clock(value)
    return length(value) if name == "duration_ms" and isinstance(value, int) else printable(str(value))


@jobs.command("retry")
@click.argument("job_id")
@data_dir
@region
def jobs_retry(job_id: str, **flags: object) -> None:
    """Put the rejected job JOB_ID back into the queue of a running server or worker. With billing it costs credits again."""
    from sottovoce.job import State
    from sottovoce.service.jobs import media_fetcher
    from sottovoce.service.jobs import repository as store
    from sottovoce.service.queue.backend import opened_queue

    with region_database(flags) as database:
        with database.reading() as connection:
            held = store.get(connection, job_id)
        if (
            held is None or held.state is not State.REJECTED
        ):  # checked before its queue entry is removed: it may be running
            raise click.ClickException(f"no rejected job {job_id} in this region")
        begun = _now()
        _hold_credits(flags, held)
        with opened_queue(database) as queue:
            queue.forget([job_id, *media_fetcher.entries(job_id, held.fetch_attempts or 0)])
            with database.writing() as connection:
                found = store.retry(connection, job_id)
                if found is None:
                    raise click.ClickException(f"job {job_id} was changed by another process; see `jobs show {job_id}`")
                if _now() - begun > IN_TIME:
                    raise click.ClickException(
                        f"the retry took more than {IN_TIME:.0f} s, so its credits may have been returned; try again"
                    )
                media_fetcher.start(connection, queue, found)
    _record_retry(flags, job_id)
    click.echo(f"{job_id} is queued again")


def _hold_credits(flags: dict[str, object], found: "Job") -> None:
    """Hold credits for *found* again, if jobs are billed. The settlement returns them if the job is not queued after all."""
    from sottovoce.job import Reason
    from sottovoce.service.billing import ledger
    from sottovoce.service.billing.credit_holds import Pricing

    settings, folder = folder_of(flags)
    pricing = Pricing(billing=settings.billing, per_minute=settings.credits_per_minute)
    size = (
        None if found.reason is Reason.FETCH else found.media_bytes
    )  # the size of media that was never fetched is unknown
    cost = pricing.cost(found.duration_ms, size)
    if not pricing.billing or cost == 0:
        return
    with refusals(), control(flags) as database, database.writing() as connection:
        ledger.hold(
            connection,
            found.workspace_id,
            region=folder.region,
            job_id=found.id,
            cost=cost,
            ended_at=found.finished_at,
        )


def _record_retry(flags: dict[str, object], job_id: str) -> None:
    """Record the retry in the audit log, if the control database is available: a region's machine may have none."""
    from sottovoce.service.identity import audit_log

    with contextlib.suppress(click.ClickException), control(flags) as database, database.writing() as connection:
        audit_log.record(connection, audit_log.Entry(actor=audit_log.OPERATOR, action="job retried", target=job_id))

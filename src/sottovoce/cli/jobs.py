"""`jobs`: look at jobs of all projects, and give rejected ones another chance."""

import contextlib

import click

from sottovoce.cli.common import control, data_dir, region, region_database


@click.group()
def jobs() -> None:
    """Look at jobs of all projects, and give rejected ones another chance."""


@jobs.command("list")
@click.option("--state", type=click.Choice(["queued", "running", "done", "rejected", "deleted", "expired"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@data_dir
@region
def jobs_list(state: str | None, limit: int, **flags: object) -> None:
    """List jobs, newest first."""
    from sottovoce.job import State
    from sottovoce.service import jobs as store
    from sottovoce.wire.instants import milliseconds

    with region_database(flags) as database, database.reading() as connection:
        for job in store.everybodys(connection, state=State(state) if state else None, limit=limit):
            why = f"  {job.reason}" if job.reason else ""
            seconds = job.duration_ms / 1000
            click.echo(
                f"{job.id}  {milliseconds(job.created_at)}  {job.state:<8}  {seconds:>9.1f} s  {job.progress:>4.0%}{why}"
            )


@jobs.command("show")
@click.argument("job_id")
@data_dir
@region
def jobs_show(job_id: str, **flags: object) -> None:
    """Show the job JOB_ID: its row without the config, and its log."""
    from dataclasses import asdict

    from sottovoce.service import jobs as store
    from sottovoce.wire import job_log

    with region_database(flags) as database, database.reading() as connection:
        found = store.get(connection, job_id)
        if found is None:
            raise click.ClickException(f"no job {job_id} in this region")
        lines = store.log_lines(connection, job_id)
    for name, value in asdict(found).items():
        if name not in {"config", "idempotency_digest", "errors", "whole_errors"} and value is not None:
            click.echo(f"{name:<16} {value}")
    for error in found.errors:
        click.echo(f"{'error':<16} {error.message}")
    click.echo(job_log.render(job_log.Line(**asdict(line)) for line in lines), nl=False)


@jobs.command("retry")
@click.argument("job_id")
@data_dir
@region
def jobs_retry(job_id: str, **flags: object) -> None:
    """Put the rejected job JOB_ID back into the queue; a running server takes it up."""
    from sottovoce.job import State
    from sottovoce.service import fetches
    from sottovoce.service import jobs as store
    from sottovoce.service.queue import DbosQueue

    with region_database(flags) as database:
        with database.reading() as connection:
            held = store.get(connection, job_id)
        if held is None or held.state is not State.REJECTED:  # before its queue entry is touched: it may be at work
            raise click.ClickException(f"no rejected job {job_id} in this region")
        queue = DbosQueue(database)
        try:
            queue.forget([job_id, *fetches.entries(job_id, held.fetch_attempts or 0)])
            with database.writing() as connection:
                found = store.retry(connection, job_id)
                if found is None:
                    raise click.ClickException(f"job {job_id} was changed by somebody else meanwhile")
                fetches.start(connection, queue, found)
        finally:
            queue.close()
    _written_down(flags, job_id)
    click.echo(f"{job_id} is queued again")


def _written_down(flags: dict[str, object], job_id: str) -> None:
    """Put the retry into the audit log, where there is one in reach: a region's machine may have no control database."""
    from sottovoce.service import audit

    with contextlib.suppress(click.ClickException), control(flags) as database, database.writing() as connection:
        audit.record(connection, audit.Entry(actor=audit.OPERATOR, action="job retried", target=job_id))

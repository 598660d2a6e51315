"""`doctor`: checks engines, models, storage and network of this machine, and prints remedies."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import ENGINE_HELP, data_dir, region, settings_of
from sottovoce.cli.local.media_doctor import examine

if TYPE_CHECKING:
    from sottovoce.service.operations.doctor import Finding, Row
    from sottovoce.service.plan import Plan
    from sottovoce.settings import Settings


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", help="Only this language (or auto).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quick", is_flag=True, help="Do not load models and do not check their SHA-256.")
@click.option("--engine", help=ENGINE_HELP)
@data_dir
@region
def doctor(files: tuple[Path, ...], *, language: str | None, as_json: bool, quick: bool, **flags: object) -> None:
    """Show the engine of each language, how to get a better one, and the state of every part of the server.

    Beside a running server, or workers, the engines are theirs; otherwise those of a server that would start here.

    With FILES: show instead what media they are and how much speech would be heard in them; the exit code is 1 for none.

    Unless --quick is given, the command checks every model file against its SHA-256 and loads the models in use.
    The exit code is 1 when a fault is found.
    """
    from sottovoce.bootstrap import plan
    from sottovoce.errors import EngineUnavailable
    from sottovoce.service.operations import doctor as checks
    from sottovoce.service.operations import running

    settings = settings_of(**flags)
    if files:
        from sottovoce.bootstrap import engines

        limit = engines(settings)[0].max_media
        examine(files, track=settings.audio_track, limit=limit, as_json=as_json)
    try:
        planned = plan(settings)
        workers = running.workers(planned)
        offers = checks.offers_of(planned, workers)
        rows = [row for row in checks.rows(planned, offers) if language is None or language in row.languages]
    except (EngineUnavailable, ValueError) as error:
        detail = error.detail if isinstance(error, EngineUnavailable) else str(error)
        raise click.ClickException(detail) from error
    if language is not None and not rows:
        raise click.UsageError(f"{language} is not a language of the API")
    findings = [
        *checks.other_engines(planned, offers),
        *checks.intelligence(planned, offers),
        *checks.machine(planned, workers),
        *checks.models(planned, read=not quick, load=not workers),
        *_rest(settings, planned),
    ]
    if as_json:
        click.echo(json.dumps({"engines": [asdict(row) for row in rows], "findings": [asdict(f) for f in findings]}))
    else:
        _show(rows, findings)
    sys.exit(1 if checks.faults(findings) else 0)


def _rest(settings: "Settings", planned: "Plan") -> "Iterator[Finding]":
    from sottovoce.service.operations import doctor as checks

    storage = list(checks.storage(planned))
    yield from storage
    running = any(finding.part == "server" and finding.text.startswith("one is running") for finding in storage)
    yield checks.port(settings.host, settings.port, running=running)
    yield checks.smtp(planned)
    yield checks.sounds()


def _show(rows: "Sequence[Row]", findings: "Sequence[Finding]") -> None:
    click.echo("Languages")
    for row in rows:
        click.echo(f"  {' '.join(row.languages)}")
        if row.standard == row.enhanced:
            click.echo(f"    {row.standard}")
        else:
            click.echo(f"    standard  {row.standard}")
            click.echo(f"    enhanced  {row.enhanced}")
        for better in row.better:
            click.echo(f"    better    {better}")
        if row.standard == "refused" and not row.better:
            click.echo("    no model of the catalogue supports them")
    click.echo("Parts")
    for finding in findings:
        click.echo(f"  {finding.level:<5}  {finding.part:<16}  {finding.text}")

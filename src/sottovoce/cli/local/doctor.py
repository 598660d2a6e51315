"""`doctor`: what works here, what does not, and what to do about it."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import data_dir, region, settings_of

if TYPE_CHECKING:
    from sottovoce.service.operations.doctor import Finding, Row
    from sottovoce.service.plan import Plan
    from sottovoce.settings import Settings


@click.command()
@click.option("--language", help="Only this language (or auto).")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--quick", is_flag=True, help="Load no model, and read none of them to the end.")
@click.option("--engine", help="Recogniser: auto, whisper, onnx-asr or pocketsphinx (SOTTOVOCE_ENGINE; auto).")
@data_dir
@region
def doctor(*, language: str | None, as_json: bool, quick: bool, **flags: object) -> None:
    """Say which engine serves which language and why no better one does, and whether every part can work.

    Every file of every model is checked against its SHA-256, and those in use are loaded, unless --quick is given.
    Ends with 1 when something is at fault.
    """
    from sottovoce.bootstrap import plan
    from sottovoce.errors import EngineUnavailable
    from sottovoce.service.operations import doctor as looks

    settings = settings_of(**flags)
    try:
        planned = plan(settings)
        rows = [row for row in looks.rows(planned) if language is None or language in row.languages]
    except (EngineUnavailable, ValueError) as error:
        detail = error.detail if isinstance(error, EngineUnavailable) else str(error)
        raise click.ClickException(detail) from error
    if language is not None and not rows:
        raise click.UsageError(f"{language} is no language of the contract")
    findings = list(_findings(settings, planned, read=not quick))
    if as_json:
        click.echo(json.dumps({"engines": [asdict(row) for row in rows], "findings": [asdict(f) for f in findings]}))
    else:
        _show(rows, findings)
    sys.exit(1 if looks.faults(findings) else 0)


def _findings(settings: "Settings", planned: "Plan", *, read: bool) -> "Iterator[Finding]":
    from sottovoce.service.operations import doctor as looks

    yield from looks.other_engines(planned)
    yield from looks.machine(planned)
    yield from looks.models(planned, read=read)
    storage = list(looks.storage(planned))
    yield from storage
    running = any(finding.part == "server" and finding.text.startswith("one is running") for finding in storage)
    yield looks.port(settings.host, settings.port, running=running)
    yield looks.smtp(planned)
    yield looks.sounds()


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
    click.echo("Parts")
    for finding in findings:
        click.echo(f"  {finding.level:<5}  {finding.part:<16}  {finding.text}")

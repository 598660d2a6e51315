"""What `serve` prints when it listens: a few labelled lines on a terminal, else the address and the key for a log."""

import sys
from typing import TYPE_CHECKING

import click

from sottovoce import __version__
from sottovoce.cli.tables import styled

if TYPE_CHECKING:
    from sottovoce.service.runtime import Runtime

MANY = 12
"""From this number of languages on, a line shows only their number."""


def welcome(runtime: "Runtime", url: str) -> None:
    """Print the server's address, and the first API key (at the first start) or its file."""
    if sys.stdout.isatty():
        _for_people(runtime, url)
    else:
        click.echo(
            f"Sottovoce {__version__} is listening on {url}  (a browser shows the portal there; API reference: {url}/docs)"
        )
        if key := _key(runtime):
            click.echo(f"API key: {key}")
    if runtime.no_room is not None:
        click.echo(runtime.no_room[:1].upper() + runtime.no_room[1:])
    sys.stdout.flush()


def _key(runtime: "Runtime") -> str:
    kept = runtime.plan.folder.api_key
    if runtime.first_key:
        return f"{runtime.first_key}  (shown this once; kept in {kept})"
    return f"in {kept}" if kept.exists() else ""


def _for_people(runtime: "Runtime", url: str) -> None:
    lines = {"URL": f"{url}  (open it in a browser, and sign in with the API key)", "API key": _key(runtime)}
    if "batch" in runtime.plan.roles:
        lines |= {"Engine": _engine(runtime), "Languages": _languages(runtime)}
    lines["Docs"] = f"{url}/docs (API), {url}/docs/README (guides)"
    lines["Data"] = str(runtime.plan.folder.root)
    click.echo(styled(f"Sottovoce {__version__} is listening on {url}", bold=True))
    for label, value in lines.items():
        if value:
            click.echo(f"  {label:<10} {value}")
    click.echo("Ctrl-C ends it. Warnings appear here; `sottovoce serve 2> log.jsonl` writes the whole log.")


def _engine(runtime: "Runtime") -> str:
    """The models that transcribe, the best first."""
    first, *others = runtime.offers.models
    if others or first != "pocketsphinx":
        return ", ".join((first, *others))
    return f"{first} (weak; `sottovoce models pull base` gets a better one)"


def _languages(runtime: "Runtime") -> str:
    codes = runtime.offers.languages
    return " ".join(codes) if len(codes) < MANY else f"{len(codes)} (`sottovoce doctor` lists them)"

"""Lists that commands print: a table with headings for people, or JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

as_json = click.option("--json", "machine", is_flag=True, help="Print JSON.")


def show(
    rows: Sequence[Mapping[str, Any]], *, machine: bool, headings: Sequence[str], cells: Sequence[Sequence[str]]
) -> None:
    """Print *rows* as a JSON list if *machine*, else *cells*, one list for each row, under *headings*."""
    if machine:
        click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    click.echo(click.style(_line(headings, widths), bold=True))  # styles are left out unless it is a terminal
    for row in cells:
        click.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def clock(at_ms: int) -> str:
    """Epoch ms as a date and time of day in UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def length(duration_ms: int) -> str:
    """A duration as hours, minutes and seconds: `0:01:05`."""
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def printable(text: str) -> str:
    """*text* of a caller in one line that a terminal shows as it is: other characters are written as `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)

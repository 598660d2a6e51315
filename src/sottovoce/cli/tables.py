"""What commands print about stored things: a table with headings or labelled lines for people, JSON for programs."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

as_json = click.option("--json", "machine", is_flag=True, help="Print JSON.")

_COLOURS = {
    **dict.fromkeys(("active", "delivered", "done"), "green"),
    **dict.fromkeys(("running", "waiting", "unverified"), "yellow"),
    **dict.fromkeys(("disabled", "failed", "rejected", "revoked"), "red"),
}
"""Colours of states, on a terminal."""


def show(
    rows: Sequence[Mapping[str, Any]], *, machine: bool, headings: Sequence[str], cells: Sequence[Sequence[str]]
) -> None:
    """Print *rows* as a JSON list if *machine*, else *cells*, one list for each row, under *headings*.

    A heading that ends in `>` is that of a column of figures, which are aligned at the right.
    """
    if machine:
        click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return
    titles = [heading.removesuffix(">") for heading in headings]
    right = [heading.endswith(">") for heading in headings]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    click.echo(styled(_line(titles, widths, right), bold=True))
    state = titles.index("STATE") if "STATE" in titles else None
    for row in cells:
        click.echo(_line(row, widths, right, state))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], state: int | None = None) -> str:
    shown = [
        cell.rjust(width) if at_right else cell.ljust(width)
        for cell, width, at_right in zip(cells, widths, right, strict=True)
    ]
    shown[-1] = shown[-1].rstrip()
    if state is not None:
        shown[state] = styled(shown[state], fg=_COLOURS.get(cells[state].partition(" ")[0]))
    return "  ".join(shown).rstrip()


def show_one(row: Mapping[str, Any], *, machine: bool, lines: Mapping[str, str]) -> None:
    """Print *row* as a JSON object if *machine*, else *lines*, values by their label."""
    if machine:
        click.echo(json.dumps(row, ensure_ascii=False))
        return
    width = max(map(len, lines))
    for label, value in lines.items():
        click.echo(f"{styled(label.ljust(width), bold=True)}  {value}")


def styled(text: str, **style: Any) -> str:
    """*text* in a style; `click.echo` leaves the style out unless it writes to a terminal. `NO_COLOR` turns styles off."""
    return text if os.environ.get("NO_COLOR") or not any(style.values()) else click.style(text, **style)


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

"""`usage`: shows finished jobs and their hours of media in all regions, by day, project or other keys."""

import csv
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from sottovoce.cli.common import control, data_dir
from sottovoce.cli.tables import as_json, printable, show

if TYPE_CHECKING:
    from sottovoce.service.billing.usage import UsageBreakdown

KEYS = ("day", "app", "language", "project", "region", "workspace")
"""The values of `service.billing.usage.GroupBy`, which is not imported to keep `--help` fast."""
NAMED = frozenset({"project", "workspace"})
"""Keys that are ids, which are shown with a name."""
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""Characters that start a formula in spreadsheets, with their full-width forms."""


class _Day(click.ParamType[int]):
    """A day as `YYYY-MM-DD`, in days since 1970-01-01."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from sottovoce.wire.v2.usage import parse_day

        try:
            return value if isinstance(value, int) else parse_day(value)
        except ValueError:
            self.fail(f"{value} is not a date; write YYYY-MM-DD", param, ctx)


@click.command()
@click.option("--since", type=_Day(), help="First day, UTC; default: the first day with a job.")
@click.option("--until", type=_Day(), help="Last day; default: yesterday. The current day is not included.")
@click.option("--by", type=click.Choice(KEYS), default="day", show_default=True)
@click.option("--workspace", type=int, help="Id of a workspace; default: all.")
@click.option(
    "--csv",
    "file",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write CSV to this file; - is standard output.",
)
@as_json
@data_dir
def usage(
    since: int | None,
    until: int | None,
    by: str,
    workspace: int | None,
    *,
    file: TextIO | None,
    machine: bool,
    **flags: object,
) -> None:
    """Show the number of finished jobs and their hours of media."""
    from sottovoce.service.billing import usage as store
    from sottovoce.wire.v2.usage import hours

    if file is not None and machine:
        raise click.UsageError("--csv and --json exclude each other")
    with control(flags) as database, database.reading() as connection:
        found = store.shares(connection, store.GroupBy(by), since=since, until=until, workspace_id=workspace)
    named = [by, "name"] if by in NAMED else [by]
    if file is not None:
        rows = ([*_key(by, share), share.count, f"{hours(share.duration_ms):.7f}"] for share in found)
        write_csv(file, [*named, "jobs", "hours"], rows)
        return
    show(
        [
            {**dict(zip(named, _key(by, share), strict=True)), "jobs": share.count, "hours": hours(share.duration_ms)}
            for share in found
        ],
        machine=machine,
        headings=(by.upper(), "JOBS>", "HOURS>", *(name.upper() for name in named[1:])),
        cells=[_cells(_key(by, share), share.count, hours(share.duration_ms)) for share in found],
    )


def _cells(key: Sequence[Any], count: int, hours: float) -> list[str]:
    first, *names = ["(none)" if part is None else printable(str(part)) for part in key]
    return [first, f"{count:,}", f"{hours:,.2f}", *names]


def _key(by: str, share: "UsageBreakdown") -> list[Any]:
    """The cells of *share*'s key: a date, an id and its name, or a word."""
    from sottovoce.wire.v2.usage import written

    if by == "day" and isinstance(share.key, int):
        return [written(share.key)]
    return [share.key, share.name or ""] if by in NAMED else [share.key]


def write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write *rows* so that a spreadsheet reads no cell as a formula: names come from callers of the server."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell

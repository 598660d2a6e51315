"""`usage`: how much was done, in all regions, for whom."""

import csv
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from sottovoce.cli.common import control, data_dir

if TYPE_CHECKING:
    from sottovoce.service.billing.usage import UsageBreakdown

KEYS = ("day", "app", "language", "project", "region", "workspace")
"""The values of `service.usage.By`, which is not imported for `--help` alone."""
NAMED = frozenset({"project", "workspace"})
"""Keys that are numbers, beside which a name stands."""
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What spreadsheets take for the beginning of a formula, also in its wide forms."""


class _Day(click.ParamType[int]):
    """A day as `YYYY-MM-DD`, in days since 1970-01-01."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from sottovoce.wire.v2.usage import parse_day

        try:
            return value if isinstance(value, int) else parse_day(value)
        except ValueError:
            self.fail(f"{value} is no day; write YYYY-MM-DD", param, ctx)


@click.command()
@click.option("--since", type=_Day(), help="First day, UTC; default: the first of all.")
@click.option("--until", type=_Day(), help="Last day; default: yesterday. The current one is never told.")
@click.option("--by", type=click.Choice(KEYS), default="day", show_default=True)
@click.option("--workspace", type=int, help="Only what this one used.")
@click.option("--csv", "file", type=click.File("w", encoding="utf-8", lazy=True), help="Write CSV to a file, or - .")
@data_dir
def usage(
    since: int | None, until: int | None, by: str, workspace: int | None, file: TextIO | None, **flags: object
) -> None:
    """Show how many jobs were done, and how many hours of media they had."""
    from sottovoce.service.billing import usage as store
    from sottovoce.wire.v2.usage import hours

    with control(flags) as database, database.reading() as connection:
        found = store.shares(connection, store.GroupBy(by), since=since, until=until, workspace_id=workspace)
    named = [by, "name"] if by in NAMED else [by]
    if file is not None:
        rows = ([*_key(by, share), share.count, f"{hours(share.duration_ms):.7f}"] for share in found)
        write_csv(file, [*named, "jobs", "hours"], rows)
        return
    for share in found:
        key, *name = _key(by, share)
        figures = f"{share.count:>9}  {hours(share.duration_ms):>12.2f} h"
        click.echo("  ".join([f"{'(none)' if key is None else key:<12}", figures, *name]))


def _key(by: str, share: "UsageBreakdown") -> list[Any]:
    """What *share* is of: a day, a number and its name, or a word."""
    from sottovoce.wire.v2.usage import written

    if by == "day" and isinstance(share.key, int):
        return [written(share.key)]
    return [share.key, share.name or ""] if by in NAMED else [share.key]


def write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write *rows* so that no spreadsheet takes a cell for a formula: names come from whoever calls the server."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell

"""Usage as `GET /v2/usage` shows it, and the parameters that go with it (contract `batch-v2.md` §5.11, §2.1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from sottovoce.errors import Kind, Refused

MAX_APP = 100
"""Characters of an application's name."""
HOUR_MS = 3_600_000
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """*count* jobs with *duration_ms* of media that have everything else in common."""

    type: str
    language: str
    operating_point: str
    count: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used from the day *since* to the day *until*, both inclusive: days since 1970-01-01, UTC."""

    since: int
    until: int
    lines: Sequence[Line]


def parse_day(text: str) -> int:
    """The day written as `YYYY-MM-DD`, in days since 1970-01-01. Raises `ValueError`."""
    if not _DAY.fullmatch(text):  # `fromisoformat` takes weeks and days without hyphens too
        raise ValueError(text)
    return date.fromisoformat(text).toordinal() - _EPOCH


def written(day: int) -> str:
    """*day* as `YYYY-MM-DD`."""
    return date.fromordinal(day + _EPOCH).isoformat()


def day(query: Mapping[str, str], name: str) -> int | None:
    """A day of the query, `None` when absent. Raises `Refused`."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_day(text)
    except ValueError as error:
        raise Refused(Kind.INVALID_QUERY, f'{name} in query must be of type date: "{text[:64]}"') from error


def application(query: Mapping[str, str]) -> str | None:
    """`sm-app`: the application that calls. Whatever is no name is ignored, as every parameter of that kind (§2.1)."""
    name = query.get("sm-app", "").strip()
    return name if 0 < len(name) <= MAX_APP and name.isprintable() else None


def hours(duration_ms: int) -> float:
    """Hours; seven decimals tell milliseconds apart."""
    return round(duration_ms / HOUR_MS, 7)


def usage_object(usage: Usage) -> dict[str, Any]:
    """UsageResponse: `summary` by type, `details` also by language and operating point. Whatever was not used has no entry."""

    def kind(line: Line) -> str:
        return line.type

    def whole(line: Line) -> tuple[str, str, str]:
        return line.type, line.language, line.operating_point

    summary = [_entry({"type": each}, lines) for each, lines in groupby(sorted(usage.lines, key=kind), kind)]
    details = []
    for (of_type, language, point), lines in groupby(sorted(usage.lines, key=whole), whole):
        # §5, inferred: clients read either name
        details.append(_entry({"type": of_type, "language": language, "model": point, "operating_point": point}, lines))
    since, until = f"{written(usage.since)}T00:00:00Z", f"{written(usage.until)}T23:59:59Z"
    return {"since": since, "until": until, "summary": summary, "details": details}


def _entry(keys: Mapping[str, str], lines: Any) -> dict[str, Any]:
    found = list(lines)
    count, duration_ms = sum(each.count for each in found), sum(each.duration_ms for each in found)
    return {"mode": "batch", **keys, "count": count, "duration_hrs": hours(duration_ms)}

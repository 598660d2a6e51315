"""The body and the query parameters of `GET /v2/usage` (contract `batch-v2.md` §5.11, §2.1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from sottovoce.errors import Kind, Refused

SPLITS = ("day", "project")
"""The values of `by`, an addition of this server: what the usage is also split by."""
MAX_DAYS = 400
"""Days of a period that is split by day."""
MAX_APP = 100
"""Characters of an application's name."""
HOUR_MS = 3_600_000
REALTIME = "realtime"
"""The type of a record of a realtime session; in responses it is the mode, and the type is transcription."""
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The sum of *count* jobs of the same type, language and operating point, with *duration_ms* of media in all."""

    type: str
    language: str
    operating_point: str
    count: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLine:
    """The part of *key*, a day or the id of a project, in the usage of one type and operating point."""

    key: int
    type: str
    operating_point: str
    count: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The usage from the day *since* to the day *until*, both inclusive, in days since 1970-01-01, UTC.

    *split*: the same usage by day or by project, whichever *by* names; `None` if it is not wanted.
    """

    since: int
    until: int
    lines: Sequence[Line]
    by: str | None = None
    split: Sequence[SplitLine] = ()


def parse_day(text: str) -> int:
    """The day *text*, `YYYY-MM-DD`, in days since 1970-01-01. Raises `ValueError`."""
    if not _DAY.fullmatch(text):  # `fromisoformat` also accepts weeks and dates without hyphens
        raise ValueError(text)
    return date.fromisoformat(text).toordinal() - _EPOCH


def written(day: int) -> str:
    """*day* as `YYYY-MM-DD`."""
    return date.fromordinal(day + _EPOCH).isoformat()


def day(query: Mapping[str, str], name: str) -> int | None:
    """The day in the parameter *name*; `None` when absent. Raises `Refused`."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_day(text)
    except ValueError as error:
        raise Refused(Kind.INVALID_QUERY, f'{name} in query must be of type date: "{text[:64]}"') from error


def split_by(query: Mapping[str, str]) -> str | None:
    """`by`: what the usage is also split by; `None` when absent. Raises `Refused`."""
    by = query.get("by")
    if by is not None and by not in SPLITS:
        raise Refused(Kind.INVALID_QUERY, f"by in query should be one of [{' '.join(SPLITS)}]")
    return by


def application(query: Mapping[str, str]) -> str | None:
    """`sm-app`, the name of the calling application; `None` if it is not a valid name, as for every such parameter (§2.1)."""
    name = query.get("sm-app", "").strip()
    return name if 0 < len(name) <= MAX_APP and name.isprintable() else None


def hours(duration_ms: int) -> float:
    """*duration_ms* in hours with seven decimals, which are enough to distinguish milliseconds."""
    return round(duration_ms / HOUR_MS, 7)


def usage_object(usage: Usage) -> dict[str, Any]:
    """`UsageResponse`: `summary` by type, `details` also by language and operating point; only entries with usage.

    With `by` also `days` or `projects`, by type and operating point: an addition of this server.
    """

    def kind(line: Line) -> str:
        return line.type

    def whole(line: Line) -> tuple[str, str, str]:
        return line.type, line.language, line.operating_point

    summary = [_entry({"type": each}, lines) for each, lines in groupby(sorted(usage.lines, key=kind), kind)]
    details = []
    for (of_type, language, point), lines in groupby(sorted(usage.lines, key=whole), whole):
        # §5, inferred: some clients read `model`, others `operating_point`
        details.append(_entry({"type": of_type, "language": language, "model": point, "operating_point": point}, lines))
    since, until = f"{written(usage.since)}T00:00:00Z", f"{written(usage.until)}T23:59:59Z"
    body = {"since": since, "until": until, "summary": summary, "details": details}
    return body if usage.by is None else {**body, f"{usage.by}s": [_part(usage.by, each) for each in usage.split]}


def _part(by: str, line: SplitLine) -> dict[str, Any]:
    """The entry of *line* in `days` or `projects`. A project has its id only: a key may not see the names of others."""
    name: dict[str, Any] = {"day": written(line.key)} if by == "day" else {"project_id": line.key}
    keys = {"type": line.type, "model": line.operating_point, "operating_point": line.operating_point}
    return {**name, **_entry(keys, [line])}


def _entry(keys: Mapping[str, str], lines: Any) -> dict[str, Any]:
    found = list(lines)
    count, duration_ms = sum(each.count for each in found), sum(each.duration_ms for each in found)
    mode = (
        {"mode": "batch", **keys} if keys["type"] != REALTIME else {**keys, "mode": REALTIME, "type": "transcription"}
    )
    return {**mode, "count": count, "duration_hrs": hours(duration_ms)}

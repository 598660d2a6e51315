"""Conversion between epoch milliseconds and the timestamps of the API: RFC 3339, UTC, `Z`."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)


@lru_cache(1024)  # clients poll the same jobs again and again
def milliseconds(at: int) -> str:
    """Epoch ms as `2026-05-31T19:59:41.742Z` (contract §4)."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def microseconds(at: int) -> str:
    """Epoch ms as `2026-05-31T19:59:41.742000Z` (contract §7.3)."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse(text: str) -> int:
    """Epoch ms of an RFC 3339 date-time, truncated to milliseconds (contract §5.2). Raises `ValueError`."""
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError(text)
    day, time, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{day}T{time}{'+00:00' if zone in 'Zz' else zone}")
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])

"""Query parameters of V2 with the contract's 422 texts (§3.3, inferred part). Unknown parameters are ignored.

Every function raises `Refused` for an invalid value.
"""

import re
from collections.abc import Mapping

from sottovoce.errors import Kind, Refused
from sottovoce.wire import timestamps

MAX_LIMIT = 100
_INT64 = 1 << 63
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_TRUE = frozenset({"true", "1", "t", "yes", "on"})
_FALSE = frozenset({"false", "0", "f", "no", "off"})


def _refused(text: str) -> Refused:
    return Refused(Kind.INVALID_QUERY, text)


def integer(query: Mapping[str, str], name: str) -> int | None:
    """A 64-bit integer; `None` when absent."""
    text = query.get(name)
    if text is None:
        return None
    if not (_INTEGER.fullmatch(text) and -_INT64 <= int(text) < _INT64):
        raise _refused(f"{name} in query must be of type int64")
    return int(text)


def boolean(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A boolean; *default* when absent."""
    text = query.get(name)
    if text is None:
        return default
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise _refused(f"{name} in query must be of type bool")
    return word in _TRUE


def instant(query: Mapping[str, str], name: str) -> int | None:
    """An RFC 3339 date-time as epoch ms, `None` when absent."""
    text = query.get(name)
    if text is None:
        return None
    try:
        # an unescaped `+` of a UTC offset is decoded as a blank
        return timestamps.parse(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text.upper() else text)
    except (ValueError, OverflowError) as error:
        raise _refused(f'{name} in query must be of type date-time: "{text[:64]}"') from error


def limit(query: Mapping[str, str]) -> int | None:
    """`limit` within 1..100, `None` when absent."""
    value = integer(query, "limit")
    if value is not None and value < 1:
        raise _refused("limit in query should be greater than or equal to 1")
    if value is not None and value > MAX_LIMIT:
        raise _refused(f"limit in query should be less than or equal to {MAX_LIMIT}")
    return value


def wait(query: Mapping[str, str], *, default: float, cap: float) -> float:
    """`wait` in seconds, clamped to 0..*cap* without an error; *default* when absent."""
    value = integer(query, "wait")
    return default if value is None else float(min(max(value, 0), cap))

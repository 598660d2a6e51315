"""The log: one JSON line per event, with the job and request that it belongs to, and with secrets redacted.

On a terminal the lines are text for people.
"""

import asyncio
import json
import logging
import math
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated, only replaced

# names of values that are secret, in URLs, headers and JSON
_NAMES = r"auth_token|access_token|token|jwt|api_?key|key_value|password|secret|signature|sig|credential|x-amz-[a-z-]+"
_HEADERS = r"(?:proxy-)?authorization|x-api-key|x-auth-token"
# what follows a name: `=` of a query, `:` of JSON or of a header, with or without quotes, or the comma of a pair
_SEPARATOR = r"(?:[\"']*\s*[:=]\s*[\"']*|[\"'],\s*b?[\"'])"
_VALUE = re.compile(  # the scheme (`Basic`) is kept
    rf"(?i)((?<![a-z0-9])(?:{_NAMES}|{_HEADERS}){_SEPARATOR}(?:(?:bearer|basic|digest|token)\s+)?)[^&\s\"',;]+"
)
_HAS_VALUE = re.compile(r"=|[A-Za-z\"']\s?:|[\"'],")
_COOKIE = re.compile(rf"(?i)(\b(?:set-)?cookie{_SEPARATOR})[^\r\n\"']+")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_SECRET = frozenset({
    "authorization", "proxy-authorization", "cookie", "set-cookie", "auth_headers", "x-api-key", "auth_token", "jwt", "token",
    "api_key", "key_value", "password", "secret",
})  # fmt: skip
"""Members whose values are always redacted."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


def redact(text: str) -> str:
    """*text* with keys and tokens (in URLs, headers and JSON) and the credentials in URLs replaced by `***`."""
    # the regular expressions are slow and most texts are names, numbers, paths and timestamps: check for a character first
    if text.isalnum():  # each of the expressions needs a mark or a blank
        return text
    marked = "=" in text or ":" in text or "," in text
    if marked and _HAS_VALUE.search(text):
        text = _VALUE.sub(r"\1***", text)
        if "ookie" in text.lower():
            text = _COOKIE.sub(r"\1***", text)
    if "earer" in text.lower():
        text = _BEARER.sub(r"\1***", text)
    if "eyJ" in text:
        text = _JWT.sub("***", text)
    return _USERINFO.sub(r"\1***@", text) if "@" in text else text


class about:  # noqa: N801 - reads as the sentence that it is
    """Add *fields* (`job`, `request`, `attempt` …) to every line logged inside the block."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


class JsonLines(logging.Formatter):
    """Formats a record as `{"at", "level", "logger", "event", …context, …extra, "error"}` on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON line of *record*, without a newline."""
        more = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        if record.exc_info:
            more["error"] = self.formatException(record.exc_info)
        return _line(record.created, record.levelno, record.name, record.getMessage(), more)


class _Lines(logging.StreamHandler[TextIO]):
    """The handler of this process: writes lines of JSON. A stream that takes no more is ignored."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []

    def write_soon(self, line: str) -> None:
        """Write *line* at the end of this turn of the event loop, with the lines of other requests; at once without a loop.

        Each write of the stream releases the interpreter's lock, and under load another thread takes it.
        """
        self.acquire()
        try:
            self._waiting.append(line)
            if len(self._waiting) in {1, _MOST_WAITING} and not self._later():
                self.flush()
        finally:
            self.release()

    def _later(self) -> bool:
        """Have `flush` called by the event loop of this thread. False without one, and when enough lines wait."""
        if len(self._waiting) >= _MOST_WAITING:
            return False
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            return False
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* behind the lines that wait."""
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        """Write the lines that wait, and flush the stream."""
        self.acquire()
        try:
            self._write_waiting()
            with suppress(OSError, ValueError):
                super().flush()
        finally:
            self.release()

    def _write_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            with suppress(OSError, ValueError):
                self.stream.write("\n".join([*lines, ""]))


_MOST_WAITING = 64
"""Lines that wait for the end of a turn of the event loop."""


_lines: _Lines | None = None  # since `set_up`
_people = False


def log_request(logger: logging.Logger, level: int, event: str, fields: Mapping[str, Any]) -> None:
    """Write the line of `logger.log(level, event, extra=fields)` without its record, which takes several times as long.

    For lines that every request has; handlers beside that of `set_up` do not get them.
    """
    if not logger.isEnabledFor(level):
        return
    if _lines is None:
        logger.log(level, event, extra=dict(fields))
    else:
        _lines.write_soon(_line(time.time(), level, logger.name, event, fields))


def _line(created: float, level: int, logger: str, event: str, more: Mapping[str, Any]) -> str:
    line = {"at": _at(created), "level": logging.getLevelName(level).lower(), "logger": logger, "event": redact(event)}
    line |= _clean_members(_context.get())
    line |= _clean_members(more)
    return _text(line) if _people else _encoded(line)


def _at(created: float) -> str:
    """*created*, in seconds since 1970, as it is written: `2026-01-02T03:04:05.678Z`."""
    milliseconds = int(created * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def _text(line: dict[str, Any]) -> str:
    """*line* for people: time of day, level, event, members; the trace of an error follows on lines of its own."""
    at, level, _, event = (str(line.pop(name)) for name in ("at", "level", "logger", "event"))
    error = str(line.pop("error", ""))
    members = ", ".join(f"{name}: {value}" for name, value in line.items())
    shown = f"{at[11:19]} {level:<7} {event}" + (f" ({members})" if members else "")
    printed = "".join(each if each.isprintable() else "?" for each in shown)
    return f"{printed}\n{error}" if error else printed


def _encoded(line: dict[str, Any]) -> str:
    try:
        text = orjson.dumps(line, default=_shown, option=_OURS)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number of more than 64 bits
        text = b"\xff"
    # ASCII only: a lone surrogate cannot be encoded, and some readers treat U+2028 as the end of a line
    return text.decode() if text.isascii() else json.dumps(line, default=_shown, separators=(",", ":"))


def _shown(value: object) -> str:
    return redact(str(value))


_OURS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
"""Objects are for `_shown`: orjson would write what is in them without redaction."""
_SHORT = 64
"""Characters of the longest name of a member that is remembered."""


def _clean_members(values: Mapping[Any, Any]) -> dict[str, Any]:
    cleaned = {}
    for key, value in values.items():
        name, secret = _name(key) if type(key) is str and len(key) <= _SHORT else _name.__wrapped__(str(key))
        # most values are short texts and numbers
        kind = type(value)
        cleaned[name] = "***" if secret else value if kind is int else redact(value) if kind is str else _clean(value)
    return cleaned


@lru_cache(512)
def _name(key: str) -> tuple[str, bool]:
    """The name of a member as it is written, and whether its value is secret."""
    return redact(key), key.lower() in _SECRET


def _clean(value: Any) -> Any:
    """*value* with every string at any depth redacted, and with NaN and infinity, which JSON lacks, as strings."""
    match value:
        case str():
            return redact(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return _clean_members(value)
        case [str(name), _] if name.lower() in _SECRET:
            return [name, "***"]
        case list() | tuple():
            return [_clean(entry) for entry in value]
        case _:
            return value


def set_up(level: str, stream: TextIO | None = None, *, people: bool = False) -> None:
    """Send every logger of this process to *stream* (stderr) as JSON lines, or for *people* as text."""
    # our lines contain none of these, and collecting them costs more than the rest (logging HOWTO, "Optimization")
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    global _lines, _people  # noqa: PLW0603 - one log in a process, like the root logger
    _people = people
    _lines = handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)  # otherwise the warnings of libraries are lines that are not JSON
    for noisy in (
        "alembic",
        "httpx",
        "httpcore2",
        "httpx2",
        "huggingface_hub",
        "faster_whisper",
        "uvicorn.error",
        "libav",
        "dbos",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))

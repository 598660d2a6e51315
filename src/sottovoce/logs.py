"""The log: one JSON line an event, with the job and request it belongs to, and without anybody's secrets."""

import json
import logging
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated, only replaced

_QUERY = re.compile(r"(?i)([?&](?:auth_token|jwt|api_key|token)=)[^&\s\"']+")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


def redact(text: str) -> str:
    """*text* without bearer keys, tokens in query strings, and credentials in URLs."""
    if "=" in text:  # each look is dear, and most texts are names, numbers and paths
        text = _QUERY.sub(r"\1***", text)
    if "earer" in text.lower():
        text = _BEARER.sub(r"\1***", text)
    return _USERINFO.sub(r"\1***@", text) if "@" in text else text


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Every line written inside carries *fields* (`job`, `request`, `attempt` …)."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "event", …context, …extra, "error"}` on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line for *record*."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "logger": record.name}
        line["event"] = record.getMessage()
        line.update(_context.get())
        line.update((name, value) for name, value in record.__dict__.items() if name not in _STANDARD)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # ASCII only: a lone surrogate cannot be written, and some readers take U+2028 for the end of a line
        return json.dumps(_clean(line), default=lambda value: redact(str(value)))


def _clean(value: Any) -> Any:
    """*value* with every text in it redacted, however deep, and without numbers that JSON does not know."""
    match value:
        case str():
            return redact(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {redact(str(key)): _clean(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_clean(entry) for entry in value]
        case _:
            return value


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send every logger of this process to *stream* (stderr) as JSON lines."""
    # nothing of these stands in our lines, and finding them out costs more than the rest (logging HOWTO, "Optimization")
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("alembic", "httpx", "faster_whisper", "uvicorn.error", "libav", "dbos"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))

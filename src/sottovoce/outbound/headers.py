"""Header lines that callers may add to a request (contract batch-v2 §6.3, §9.1: complete lines `Name: value`). Pure."""

import re
from collections.abc import Iterable

from sottovoce.outbound.ask import Header
from sottovoce.outbound.faults import OutboundRefused

MAX_LINES = 32
MAX_LINE = 8192
"""Characters of one value."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 §5.6.2: token
_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?|")

_FRAMING = frozenset({"host", "content-length", "transfer-encoding"})
"""They name the host and delimit the message: a caller who sets them can smuggle another request."""
_CONNECTION = frozenset({"connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings"})
"""Headers of one connection only (RFC 9110 §7.6.1)."""
_EXCHANGE = frozenset({"expect", "accept-encoding"})
"""They would change the message exchange, or the encoding of the response."""
_OURS = _FRAMING | _CONNECTION | _EXCHANGE
_PROXY = "proxy-"


def header_lines(lines: Iterable[str]) -> tuple[Header, ...]:
    """*lines* split into names and values. Raises OutboundRefused, whose text never repeats a value: it may be a secret."""
    found: list[Header] = []
    for line in lines:
        if len(found) == MAX_LINES:
            raise OutboundRefused(f"more than {MAX_LINES} header lines")
        name, colon, value = line.partition(":")
        if not colon:
            raise OutboundRefused("a header line must have the form `Name: value`")
        found.append(checked(name, value.strip(" \t")))
    return tuple(found)


def checked(name: str, value: str) -> Header:
    """The header unchanged. Raises OutboundRefused when it must not be sent."""
    if not _NAME.fullmatch(name):
        raise OutboundRefused("a header name that is not a token")
    if name.lower() in _OURS or name.lower().startswith(_PROXY):
        raise OutboundRefused(f"the header {name} cannot be set")
    if len(value) > MAX_LINE or not _VALUE.fullmatch(value):
        raise OutboundRefused(f"the value of the header {name} is too long or not printable ASCII")
    return name, value


def merged(*groups: Iterable[Header]) -> list[Header]:
    """All headers of *groups*; a name in a later group replaces the same name in earlier ones."""
    kept: list[Header] = []
    for group in groups:
        added = list(group)
        names = {name.lower() for name, _ in added}
        kept = [header for header in kept if header[0].lower() not in names] + added
    return kept

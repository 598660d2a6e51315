"""Which redirects are followed, and what goes with them. Pure."""

from sottovoce.outbound.ask import Method
from sottovoce.outbound.faults import OutboundRefused
from sottovoce.outbound.target import Target

_SAME_METHOD = frozenset({307, 308})
_ANY = frozenset({301, 302, 303}) | _SAME_METHOD


def followed(method: Method, status: int, location: str | None, here: Target) -> Target | None:
    """Where to go next, `None` when this answer is the one to give.

    GET follows every kind. POST and PUT follow 307 and 308 only, which say that method and body stay (RFC 9110 §15.4); the
    others would turn them into a GET that delivers nothing. Raises OutboundRefused for a place that is not allowed.
    """
    if not location or status not in (_ANY if method == "GET" else _SAME_METHOD):
        return None
    there = here.joined(_text(location))
    if method != "GET" and here.scheme == "https" and there.scheme == "http":
        raise OutboundRefused("a redirect from https to http for a request with a body")
    return there


def _text(location: str) -> str:
    """*location*, whose bytes were read as Latin-1, as UTF-8 if it is that: what browsers make of unencoded letters."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def trusted(here: Target, there: Target) -> bool:
    """Whether the caller's header lines, if *here* was trusted with them, may go on to *there*: the same host, and no weaker."""
    if here.origin == there.origin:
        return True
    upgraded = (here.scheme, here.port, there.scheme, there.port) == ("http", 80, "https", 443)
    return upgraded and here.host == there.host

"""Which redirects are followed, and which headers are sent with them. Pure."""

from sottovoce.outbound.ask import Method
from sottovoce.outbound.faults import OutboundRefused
from sottovoce.outbound.target import Target

_SAME_METHOD = frozenset({307, 308})
_ANY = frozenset({301, 302, 303}) | _SAME_METHOD


def followed(method: Method, status: int, location: str | None, here: Target) -> Target | None:
    """The target of the redirect; `None` when the response is final.

    GET follows every redirect status. POST and PUT follow 307 and 308 only, which keep method and body (RFC 9110 §15.4); the
    others turn the request into a GET without a body. Raises OutboundRefused for a *location* that is not allowed.
    """
    if not location or status not in (_ANY if method == "GET" else _SAME_METHOD):
        return None
    there = here.joined(_text(location))
    if method != "GET" and here.scheme == "https" and there.scheme == "http":
        raise OutboundRefused("a redirect from https to http for a request with a body")
    return there


def _text(location: str) -> str:
    """*location* decoded as UTF-8 if its bytes are valid UTF-8, as browsers do; else as the Latin-1 that it was read as."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def trusted(here: Target, there: Target) -> bool:
    """True if the caller's header lines, sent to *here*, may be sent to *there*: same origin, or http upgraded to https."""
    if here.origin == there.origin:
        return True
    upgraded = (here.scheme, here.port, there.scheme, there.port) == ("http", 80, "https", 443)
    return upgraded and here.host == there.host

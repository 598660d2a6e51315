r"""A strict parser for the URLs of outgoing requests. Pure.

Only unambiguous URLs are accepted. Attackers bypass checks with URLs that two parsers read differently (`\`, `@`, spaces,
numbers as hosts), so such URLs are refused instead of being repaired.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal
from urllib.parse import quote, urljoin

import idna

from sottovoce.outbound.addresses import Address
from sottovoce.outbound.faults import OutboundRefused

Scheme = Literal["http", "https"]

MAX_URL = 8192
"""Characters; signed URLs of object stores take up to about 4,000."""
MAX_PORT = 0xFFFF
_MAX_NAME = 253
"""Characters of a host name (RFC 1035 §2.3.4, without the trailing dot)."""
_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^#]*)(?:#.*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT = "%/?:@!$&'()*+,;=[]"
"""Characters that are not percent-encoded in path and query; `%` too: the caller has already encoded the URL (contract §9)."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
"""Unicode categories of control, format, surrogate and space characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed URL. *host* is lower-case ASCII without brackets; *path* is path and query as sent in the request line."""

    scheme: Scheme
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Parse *url* and drop its fragment. Raises OutboundRefused for a URL that is malformed or ambiguous."""
        _plain(url)
        match = _URL.fullmatch(url)
        if match is None:
            raise OutboundRefused("not an absolute http or https URL")
        scheme = _scheme(match["scheme"].lower())
        authority = match["authority"]
        if "@" in authority:
            raise OutboundRefused("a URL with user name or password; use a header line instead")
        host, port = _divided(authority)
        path = match["path"]
        return cls(
            scheme=scheme,
            host=host_name(host),
            port=_PORTS[scheme] if port is None else _port(port),
            path=quote(path if path.startswith("/") else f"/{path}", safe=_KEPT),
        )

    def joined(self, location: str) -> "Target":
        """*location* of a redirect resolved against this URL. Raises OutboundRefused as `parse` does."""
        _plain(location)
        if _SCHEME.match(location):
            return Target.parse(location)
        if location.startswith("//"):
            return Target.parse(f"{self.scheme}:{location}")
        return Target.parse(urljoin(f"{self.origin}{self.path}", location))

    @property
    def address(self) -> Address | None:
        """The IP address when the host is a literal address, else `None`."""
        if ":" in self.host:
            return IPv6Address(self.host)
        return IPv4Address(self.host) if self.host.rpartition(".")[2].isdigit() else None

    @property
    def authority(self) -> str:
        """Host and port for the `Host` header, without the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port; credentials are shared within one origin only."""
        return f"{self.scheme}://{self.authority}"


def _plain(url: str) -> None:
    if len(url) > MAX_URL:
        raise OutboundRefused(f"a URL of more than {MAX_URL} characters")
    if "\\" in url or any(unicodedata.category(each) in _UNSEEN for each in url):
        raise OutboundRefused("a URL with spaces, backslashes, control or invisible characters")


def _scheme(text: str) -> Scheme:
    match text:
        case "http" | "https":
            return text
        case _:
            raise OutboundRefused("only http and https URLs are allowed")


def _divided(authority: str) -> tuple[str, str | None]:
    """Host (an IPv6 address with its brackets) and the text of the port, `None` without a colon."""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise OutboundRefused("not a well-formed IPv6 address")
        return host + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= MAX_PORT:
        raise OutboundRefused("not a port from 1 to 65535")
    return int(text)


def host_name(text: str) -> str:
    """*text* normalised for comparison and look-up: ASCII, lower case, without a trailing dot.

    IDNA maps full-width digits and other dots to ASCII first, so that the checks see them. Raises OutboundRefused.
    """
    if text.startswith("["):
        return _ipv6(text)
    name = text.lower() if text.isascii() else _ascii(text)
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(each) for each in labels):
        raise OutboundRefused("not a well-formed host name")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    return name


def _ascii(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii") if len(text) <= _MAX_NAME else ""
    except idna.IDNAError as error:
        raise OutboundRefused("not a well-formed international host name") from error


def _ipv4(name: str) -> str:
    """*name* if it is four decimal numbers. Other spellings (2130706433, 0x7f.1, 0177.0.0.1, 127.1) raise OutboundRefused."""
    try:
        return str(IPv4Address(name))
    except AddressValueError as error:
        raise OutboundRefused("an IPv4 address must be written as four decimal numbers") from error


def _ipv6(text: str) -> str:
    if "%" in text:
        raise OutboundRefused("an IPv6 address with a zone")
    try:
        return str(IPv6Address(text[1:-1]))
    except AddressValueError as error:
        raise OutboundRefused("not a well-formed IPv6 address") from error

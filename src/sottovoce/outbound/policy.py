"""Which receivers this server may connect to, as the operator configures it. Pure."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sottovoce.outbound.addresses import Address, Network, Reach, judged, reach, unmapped
from sottovoce.outbound.faults import OutboundRefused
from sottovoce.outbound.target import MAX_PORT, Scheme, Target, host_name

DEFAULT_PORTS = "80,443,1024-65535"
_MAPPED = IPv6Network("::ffff:0:0/96")
_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The HTTP proxy for all requests. *authorization* is the value of `Proxy-Authorization`, empty for none."""

    scheme: Scheme
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Parse `http://user:password@host:port`, or https. Raises ValueError, whose text does not repeat *url*."""
        split = urlsplit(url)
        scheme: Scheme = "https" if split.scheme == "https" else "http"
        if split.scheme not in {"http", "https"} or not split.hostname or split.path.strip("/") or split.query:
            raise ValueError("a proxy must be given as http://host:port or https://host:port")
        port = split.port or (443 if scheme == "https" else 80)
        authorization = ""
        if split.username is not None:
            user = f"{unquote(split.username)}:{unquote(split.password or '')}"
            authorization = "Basic " + base64.b64encode(user.encode()).decode("ascii")
        return cls(scheme=scheme, host=split.hostname, port=port, authorization=authorization)


def port_ranges(text: str) -> tuple[range, ...]:
    """`80,443,1024-65535` as ranges. Raises ValueError."""
    ranges = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError("ports must be given like 80,443,1024-65535")
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not 1 <= first <= last <= MAX_PORT:
            raise ValueError("ports must be from 1 to 65535, with the lower end of a range first")
        ranges.append(range(first, last + 1))
    return tuple(ranges)


_LOOPBACK = IPv4Address("127.0.0.1")  # what names under `localhost` mean everywhere (RFC 6761 §6.3)
NOT_ALLOWED = (
    "the address is not allowed, because it is not public; the operator can allow it by SOTTOVOCE_OUTBOUND_ALLOW"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The allowed receivers. The default allows public addresses only.

    *networks* allows addresses; *hosts* allows names that resolve to private addresses; *ports* applies to every target.
    *ca_file* holds certificate authorities that are trusted besides the system's. *connections* may be open at a time.
    """

    allow_private: bool = False
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: tuple[range, ...] = port_ranges(DEFAULT_PORTS)
    proxy: Proxy | None = None
    ca_file: Path | None = None
    connections: int = 64

    @classmethod
    def parse(
        cls,
        *,
        allow_private: bool = False,
        allow: Iterable[str] = (),
        ports: str = DEFAULT_PORTS,
        proxy: str | None = None,
        ca_file: Path | None = None,
        connections: int = 64,
    ) -> "Policy":
        """The policy for these settings; *allow* mixes addresses, networks and names. Raises ValueError."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for each in allow:
            if "/" in each or ":" in each or each.replace(".", "").isdigit():
                networks.append(_allowed_network(each))
            else:
                hosts.add(_allowed_name(each))
        return cls(
            allow_private=allow_private,
            networks=tuple(networks),
            hosts=frozenset(hosts),
            ports=port_ranges(ports),
            proxy=Proxy.parse(proxy) if proxy else None,
            ca_file=ca_file,
            connections=connections,
        )

    def target(self, url: str) -> Target:
        """*url* parsed and checked, without resolving its name. Raises OutboundRefused.

        Submission calls this; `Outbound.open` repeats it and checks the resolved addresses as well.
        """
        return self.checked(Target.parse(url))

    def checked(self, target: Target) -> Target:
        """*target* unchanged. Raises OutboundRefused when its port or its literal address is not allowed."""
        if not any(target.port in each for each in self.ports):
            raise OutboundRefused(f"the port {target.port} is not allowed")
        address = _LOOPBACK if target.host == "localhost" or target.host.endswith(".localhost") else target.address
        if address is not None and not self.permits(target.host, address):
            raise OutboundRefused(NOT_ALLOWED)
        return target

    def permits(self, host: str, address: Address) -> bool:
        """True if *address*, which *host* resolves to, may be connected to."""
        kind = reach(address)
        if kind is Reach.PUBLIC:
            return True
        if kind is Reach.NOWHERE:
            return False
        candidates = {unmapped(address), judged(address)}
        listed = [each for each in self.networks if any(one in each for one in candidates)]
        if kind is Reach.METADATA:
            return any(each.prefixlen == each.max_prefixlen for each in listed)
        if kind is Reach.PRIVATE and (self.allow_private or host in self.hosts):
            return True
        return bool(listed)


def _allowed_network(text: str) -> Network:
    network = ip_network(text)
    if network.num_addresses <= _MAPPED.num_addresses and network.overlaps(_MAPPED):
        raise ValueError(f"{text}: write it as an IPv4 network")  # `permits` compares unmapped addresses only
    return network


def _allowed_name(text: str) -> str:
    try:
        return host_name(text)
    except OutboundRefused as refused:
        raise ValueError(f"{text}: not an address, network or host name") from refused

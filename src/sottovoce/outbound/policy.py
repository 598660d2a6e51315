"""Whom this server may talk to: the operator's decision. Pure but for the name of a file."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
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
    """An HTTP proxy that everything goes through. *authorization* is the value of its header, empty for none."""

    scheme: Scheme
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """`http://user:password@host:port`, or https. Raises ValueError, which does not repeat *url*."""
        split = urlsplit(url)
        scheme: Scheme = "https" if split.scheme == "https" else "http"
        if split.scheme not in {"http", "https"} or not split.hostname or split.path.strip("/") or split.query:
            raise ValueError("a proxy is given as http://host:port or https://host:port")
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
            raise ValueError("ports are given as 80,443,1024-65535")
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not 1 <= first <= last <= MAX_PORT:
            raise ValueError("ports lie between 1 and 65535, the lower one first")
        ranges.append(range(first, last + 1))
    return tuple(ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is allowed. The default reaches public addresses only.

    *networks* opens addresses, *hosts* opens names that lead to private addresses; *ports* holds for every target, allowed
    ones too. *ca_file* is trusted beside the system's authorities. *connections* is how many may be open at a time.
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
        """The policy that settings describe; *allow* mixes addresses, networks and names. Raises ValueError."""
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
        """*url* taken apart, if all that can be said without looking up its name is in its favour.

        For a look at submit; `Outbound.open` asks this again, and then about the addresses. Raises OutboundRefused.
        """
        return self.checked(Target.parse(url))

    def checked(self, target: Target) -> Target:
        """*target* itself, unless its port or its literal address is not allowed. Raises OutboundRefused."""
        if not any(target.port in each for each in self.ports):
            raise OutboundRefused(f"the port {target.port} is not allowed")
        if target.address is not None and not self.permits(target.host, target.address):
            raise OutboundRefused("the address is not allowed")
        return target

    def permits(self, host: str, address: Address) -> bool:
        """Whether *address*, found behind *host*, may be connected to."""
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
        raise ValueError(f"{text}: IPv4 addresses are listed as such")  # nothing is ever compared with another spelling
    return network


def _allowed_name(text: str) -> str:
    try:
        return host_name(text)
    except OutboundRefused as refused:
        raise ValueError(f"{text}: neither an address, nor a network, nor a host name") from refused

"""Classifies IP addresses by what they reach. Pure. The table is our own: `is_global` differs between Python releases.

Sources: the IANA special-purpose address registries for IPv4 and IPv6; RFC 6052 (NAT64), RFC 4291 (mapped addresses).
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Reach(StrEnum):
    """What an address reaches, which decides the setting that allows it."""

    PUBLIC = "public"
    PRIVATE = "private"
    """The operator's own machines: allowed by `allow_private`, an allowed name, or a listed network."""
    SPECIAL = "special"
    """Link-local, documentation, tunnels, reserved: allowed by a listed network only."""
    METADATA = "metadata"
    """Cloud metadata services, which return the machine's credentials: allowed only when this one address is listed."""
    NOWHERE = "nowhere"
    """No single receiver: unspecified (Linux connects to itself), multicast, broadcast. Never allowed."""


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in text.split())


METADATA = frozenset(
    net.network_address
    for net in _networks(
        # link-local: nearly every cloud; containers and pods on AWS; Tencent; Scaleway
        "169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.23 169.254.42.42 fe80::a9fe:a9fe "
        # AWS, its pods, Google, Scaleway, over IPv6
        "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 "
        # Alibaba (shared space), Oracle (protocol space), Azure (public space)
        "100.100.100.200 192.0.0.192 168.63.129.16"
    )
)
_NOWHERE = _networks("0.0.0.0/8 224.0.0.0/4 255.255.255.255/32 ::/128 ff00::/8")
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 127.0.0.0/8 fc00::/7 ::1/128")
_SPECIAL = _networks(
    "169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
    # Teredo and other protocols' space, documentation, 6to4
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
)
_UNICAST6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is allocated for global unicast; any other address that is not listed above is SPECIAL."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""The well-known prefix of RFC 6052."""


def unmapped(address: Address) -> Address:
    """*address*, or the IPv4 address that it maps (`::ffff:127.0.0.1`)."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def judged(address: Address) -> Address:
    """The address that is finally reached: a NAT64 gateway forwards `64:ff9b::a00:1` to 10.0.0.1."""
    address = unmapped(address)
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address


def reach(address: Address) -> Reach:
    """The class of *address*, which may be mapped, NAT64 or scoped."""
    address = judged(address)
    if isinstance(address, IPv6Address) and address.scope_id:
        address = IPv6Address(int(address))
    if address in METADATA:
        return Reach.METADATA
    for kind, networks in ((Reach.NOWHERE, _NOWHERE), (Reach.PRIVATE, _PRIVATE), (Reach.SPECIAL, _SPECIAL)):
        if any(address in each for each in networks):
            return kind
    if isinstance(address, IPv6Address) and address not in _UNICAST6:
        return Reach.SPECIAL
    return Reach.PUBLIC

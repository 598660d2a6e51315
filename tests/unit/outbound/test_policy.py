"""What the operator's rules open, and what nothing opens."""

from ipaddress import ip_address

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.outbound import OutboundRefused, Policy
from sottovoce.outbound.addresses import METADATA, Reach, reach
from sottovoce.outbound.policy import Proxy, port_ranges

REACHES = {
    Reach.PUBLIC: [
        "1.1.1.1",
        "93.184.216.34",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.15",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ],
    Reach.PRIVATE: [
        "10.0.0.0",
        "10.255.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.0",
        "100.127.255.255",
        "::1",
        "fc00::1",
        "fdff::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
    ],
    Reach.SPECIAL: [
        "169.254.1.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.1",
        "255.255.255.254",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "::2",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:db8::1",
        "2002:a00:1::",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "::ffff:169.254.1.1",
    ],
    Reach.METADATA: [*sorted(map(str, METADATA)), "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::a9fe:a9fe%lo"],
    Reach.NOWHERE: [
        "0.0.0.0",  # noqa: S104
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "::",
        "ff02::1",
        "ff0e::1",
        "::ffff:0.0.0.0",
        "64:ff9b::e000:1",
    ],
}
ALL = [(kind, each) for kind, addresses in REACHES.items() for each in addresses]


@pytest.mark.parametrize(("kind", "address"), ALL)
def test_every_kind_of_address_is_known(kind: Reach, address: str) -> None:
    assert reach(ip_address(address)) is kind


@pytest.mark.parametrize(("kind", "address"), ALL)
def test_what_the_rules_open(kind: Reach, address: str) -> None:
    def permits(policy: Policy, host: str = "hooks.example") -> bool:
        return policy.permits(host, ip_address(address))

    plain = address.partition("%")[0]
    assert permits(Policy()) == (kind is Reach.PUBLIC)
    assert permits(Policy(allow_private=True)) == (kind in {Reach.PUBLIC, Reach.PRIVATE})
    named = Policy.parse(allow=["Hooks.Example."])
    assert permits(named) == (kind in {Reach.PUBLIC, Reach.PRIVATE})
    assert permits(named, "x.hooks.example") == (kind is Reach.PUBLIC)
    if not address.startswith("::ffff:") or address.startswith("::ffff:0:"):
        assert permits(Policy.parse(allow=[plain])) == (kind is not Reach.NOWHERE)
    everything = Policy.parse(allow=["0.0.0.0/0", "::/0"], allow_private=True)
    assert permits(everything) == (kind not in {Reach.NOWHERE, Reach.METADATA})


def test_a_listed_network_opens_itself_and_nothing_beside_it() -> None:
    policy = Policy.parse(allow=["10.1.0.0/16", "fd00:1::/32", "192.168.7.7"])
    for address, allowed in {
        "10.1.2.3": True,
        "::ffff:10.1.2.3": True,
        "64:ff9b::10.1.2.3": True,
        "10.2.0.1": False,
        "fd00:1::5": True,
        "fd00:2::5": False,
        "192.168.7.7": True,
        "192.168.7.8": False,
        "127.0.0.1": False,
    }.items():
        assert policy.permits("any.example", ip_address(address)) is allowed, address


@pytest.mark.parametrize(
    "allow",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "256.1.1.1",
        "1.2.3",
        "127.1",
        "fe80::1/64",
        "a b",
        "http://x.example",
        "*.lan",
        "",
        "x..y",
    ],
)
def test_a_rule_that_cannot_be_read_is_no_rule(allow: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Policy.parse(allow=[allow])


def test_ports_are_ranges() -> None:
    assert port_ranges("80, 443,1024-65535") == (range(80, 81), range(443, 444), range(1024, 65536))
    for url, allowed in {
        "http://a.example/": True,
        "https://a.example/": True,
        "http://a.example:1024/": True,
        "http://a.example:65535/": True,
        "http://a.example:81/": False,
        "http://a.example:1023/": False,
        "https://a.example:22/": False,
    }.items():
        if allowed:
            assert Policy().target(url).host == "a.example"
        else:
            with pytest.raises(OutboundRefused, match="port"):
                Policy().target(url)
    with pytest.raises(OutboundRefused):  # ports hold for allowed hosts as well
        Policy.parse(ports="443", allow=["10.0.0.1"]).target("http://10.0.0.1/")


@pytest.mark.parametrize("text", ["", "80,", "http", "0", "65536", "90-80", "-1", "1-2-3", "80;443", "٨٠"])
def test_ports_that_cannot_be_read_are_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match="ports"):
        Policy.parse(ports=text)


def test_a_url_can_be_looked_at_without_asking_anybody() -> None:
    assert Policy().target("https://name.example/").address is None
    with pytest.raises(OutboundRefused, match="address"):
        Policy().target("http://10.0.0.1/")
    assert Policy(allow_private=True).target("http://10.0.0.1/").host == "10.0.0.1"


def test_a_refusal_is_the_callers_fault() -> None:
    with pytest.raises(Refused) as refused:
        Policy().target("ftp://a.example/")
    assert refused.value.kind is Kind.INVALID_CONFIG
    assert OutboundRefused("why", at="fetch_data.url").detail == "fetch_data.url: why"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.lan:3128", Proxy(scheme="http", host="proxy.lan", port=3128)),
        ("http://proxy.lan/", Proxy(scheme="http", host="proxy.lan", port=80)),
        ("https://proxy.lan", Proxy(scheme="https", host="proxy.lan", port=443)),
        ("http://[::1]:8080", Proxy(scheme="http", host="::1", port=8080)),
        (
            "http://Aladdin:open%20sesame@proxy.lan:1",  # the example of RFC 7617
            Proxy(scheme="http", host="proxy.lan", port=1, authorization="Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, proxy: Proxy) -> None:
    assert Policy.parse(proxy=url).proxy == proxy
    assert "QWxh" not in repr(Policy.parse(proxy=url))


@pytest.mark.parametrize(
    "url",
    [
        "proxy.lan:3128",
        "socks5://u:hunter2@proxy.lan",
        "http://",
        "http://p/hunter2",
        "http://p?hunter2",
        "http://p:99999",
    ],
)
def test_a_proxy_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"proxy|Port") as refused:
        Policy.parse(proxy=url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://localhost/hook", "http://LOCALHOST:8080/", "http://a.localhost/", "http://127.0.0.1/hook"]
)
def test_names_of_this_machine_are_refused_like_its_address(url: str) -> None:
    with pytest.raises(OutboundRefused, match="SOTTOVOCE_OUTBOUND_ALLOW"):
        Policy.parse().target(url)
    assert Policy.parse(allow_private=True).target(url)
    assert Policy.parse(allow=["127.0.0.1"]).target(url)

"""URLs made to get somewhere else: every one is refused, and the listener that they aim at hears nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from ipaddress import IPv4Address

import pytest

from sottovoce.outbound import OutboundFailed, OutboundRefused, OutboundRequest, Policy, Target
from sottovoce.outbound.client import Outbound
from tests.unit.outbound.receivers import (
    HERE,
    QUICK,
    Names,
    Receiver,
    answer,
    ask,
    canary,
    opened,
    receiving,
    run,
    says,
)

PUBLIC = "93.184.216.34"

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "evil.example": ["127.0.0.1"],
    "xn--bcher-kva.example": ["127.0.0.1"],
    "a_b.example": ["127.0.0.1"],
    "mixed.example": [PUBLIC, "127.0.0.1"],
    "mixed6.example": ["2606:2800:220:1::1", "::1"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::"],
    "teredo.example": ["2001:0:7f00:1::"],
    "compatible.example": ["::127.0.0.1"],
    "translated.example": ["::ffff:0:127.0.0.1"],
    "any.example": ["0.0.0.0"],  # noqa: S104
    "any6.example": ["::"],
    "link.example": ["169.254.1.1"],
    "link6.example": ["fe80::1%lo"],
    "metadata.example": ["169.254.169.254"],
    "azure.example": ["168.63.129.16"],
    "shared.example": ["100.64.0.1"],
    "unique.example": ["fd12:3456::1"],
    "ten.example": ["10.0.0.1"],
    "multicast.example": ["224.0.0.1"],
    "multicast6.example": ["ff02::1"],
    "broadcast.example": ["255.255.255.255"],
    "reserved.example": ["240.0.0.1"],
    "test-net.example": ["192.0.2.1"],
    "benchmark.example": ["198.18.0.1"],
    "site.example": ["fec0::1"],
    "orchid.example": ["2001:20::1"],
    "metadata.google.internal": ["169.254.169.254"],
}

ADDRESSES = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://2130706433.:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7F.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.0x1:{port}/",
    "http://127.0.0.01:{port}/",
    "http://0x:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0.0.0.1:{port}/",
    "http://4294967296:{port}/",
    "http://127.0.0.1.0:{port}/",
    "http://256.0.0.1:{port}/",
    "http://127.0.0.256:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://0x7f．１:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%2f@evil.example:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1%lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[fe80::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]:{port}/",
    "http://[::1:{port}/",
    "http://::1:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://[v1.127]:{port}/",
    "http://[::1]evil.example:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
]

HOSTS = [f"http://{name}:{{port}}/" for name in NAMES] + [
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://localhost。:{port}/",
    "http://EVIL.example.:{port}/",
    "http://evil。example:{port}/",
    "http://bücher.example:{port}/",
    "http://localhost..:{port}/",
    "http://.localhost:{port}/",
    "http://evil..example:{port}/",
    "http://-evil.example:{port}/",
    "http://evil-.example:{port}/",
    "http://*.example:{port}/",
    "http://evil.exa,mple:{port}/",
    "http://☃.example:{port}/",
    f"http://{'a' * 64}.example:{{port}}/",
    f"http://{'a.' * 127}example:{{port}}/",
    f"http://{'ü' * 300}.example:{{port}}/",
    "http://.:{port}/",
    "http://:{port}/",
    "http:///localhost:{port}/",
    "http:////localhost:{port}/",
    "http://?localhost:{port}/",
    "http://#localhost:{port}/",
]

TRICKS = [
    "http://user@localhost:{port}/",
    "http://user:hunter2@localhost:{port}/",
    "http://@localhost:{port}/",
    "http://:@localhost:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://public.example:80@127.0.0.1:{port}/",
    "http://public.example%40127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/",
    "http://public.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nHost: public.example\r\n\r\n",
    "http://127.0.0.1:{port}/ HTTP/1.1\r\nX: y",
    "http://public.example/\r\nX-Injected: 1",
    "http://public.example/\nX-Injected: 1",
    "http://public.example/\r",
    "http://public.example/\t",
    "http://public.example/ space",
    "http://public.example/\x00",
    "http://public.example/\x7f",
    "http://public.example/\x85",
    "http://public.example/\u2028",
    "http://public.example/\u00a0",
    "http://public.example/\ud800",
    "http://loc\u200balhost:{port}/",
    "http://loc\u00adalhost:{port}/",
    "http://loc\talhost:{port}/",
    "http://loc\nalhost:{port}/",
    "http://\u202elocalhost:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/ ",
    "\x01http://127.0.0.1:{port}/",
    "http ://127.0.0.1:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1: {port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://public.example:/",
    "http://public.example:0/",
    "http://public.example:65536/",
    "http://public.example:99999999999999999999/",
    "http://public.example:٨٠/",
    "http://public.example:80a/",
    "http://public.example:-1/",
    "http://public.example:22/",
    "http://public.example:25/",
    "http://public.example:1023/",
    "https://public.example:80443/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "/etc/passwd",
    "",
    "http",
    "http://",
    "https://",
    "://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "dict://127.0.0.1:{port}/info",
    "ldap://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "wss://127.0.0.1:{port}/",
    "unix:///run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/",
    "jar:http://127.0.0.1:{port}!/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "view-source:http://127.0.0.1:{port}/",
    "url:http://127.0.0.1:{port}/",
    "httpſ://127.0.0.1:{port}/",
    "ｈttp://127.0.0.1:{port}/",
    "http://public.example/" + "a" * 9000,
]

EVERYWHERE = ["0.0.0.0", "::1"]  # noqa: S104 - a canary listens on all of loopback


@pytest.fixture(scope="module")
def trap(runner: asyncio.Runner) -> Iterator[Receiver]:
    """A listener on all of loopback that nobody may reach."""
    stack = AsyncExitStack()
    yield runner.run(stack.enter_async_context(canary(EVERYWHERE)))
    runner.run(stack.aclose())


@pytest.fixture(scope="module")
def closed(runner: asyncio.Runner) -> Iterator[Outbound]:
    """A client by the default policy."""
    client = Outbound(Policy(), resolver=Names(NAMES))
    yield client
    runner.run(client.aclose())


@pytest.mark.parametrize("url", [*ADDRESSES, *HOSTS, *TRICKS], ids=ascii)
def test_a_hostile_url_is_refused_and_reaches_nothing(
    url: str, runner: asyncio.Runner, trap: Receiver, closed: Outbound
) -> None:
    with pytest.raises(OutboundRefused) as refused:
        runner.run(ask(closed, url.replace("{port}", str(trap.port))))
    assert trap.connections == 0
    assert refused.value.why
    for secret in ("169.254", "10.0.0.1", "::1", "hunter2"):
        assert secret not in refused.value.why  # what was looked up, or given in confidence, is not told


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example", "127.0.0.1.", "LocalHost."])
def test_the_canary_would_have_been_reached_had_it_been_allowed(host: str) -> None:
    async def go() -> None:
        names = Names(NAMES | {"localhost": ["127.0.0.1"]})
        async with (
            receiving(says(answer(b"secret")), EVERYWHERE) as trap,
            Outbound(Policy(allow_private=True), resolver=names) as outbound,
        ):
            assert await ask(outbound, trap.url(host=host)) == (200, b"secret")
            assert trap.connections == 1

    run(go())


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://Hooks.Example/a?b=c#d", "hooks.example", 80, "/a?b=c"),
        ("HTTPS://hooks.example", "hooks.example", 443, "/"),
        ("https://hooks.example?x=1", "hooks.example", 443, "/?x=1"),
        ("https://hooks.example#@evil.example/", "hooks.example", 443, "/"),
        ("https://hooks.example/@evil.example", "hooks.example", 443, "/@evil.example"),
        ("https://hooks.example/?u=http://evil.example/", "hooks.example", 443, "/?u=http://evil.example/"),
        ("https://hooks.example.:8443/%2e%2E/%zz", "hooks.example", 8443, "/%2e%2E/%zz"),
        ("https://bücher.example/ü?ß", "xn--bcher-kva.example", 443, "/%C3%BC?%C3%9F"),
        ('https://hooks.example/<a>"|^`{}', "hooks.example", 443, "/%3Ca%3E%22%7C%5E%60%7B%7D"),
        ("http://93.184.216.34:8080/", "93.184.216.34", 8080, "/"),
        ("http://[2606:2800:0220:1::0001]:8080/", "2606:2800:220:1::1", 8080, "/"),
        ("https://b.s3.example/k?X-Amz-Signature=a%2Fb&x=;,'()*!$", "b.s3.example", 443, None),
    ],
)
def test_an_honest_url_keeps_its_meaning(url: str, host: str, port: int, path: str | None) -> None:
    target = Target.parse(url)
    assert (target.host, target.port) == (host, port)
    assert target.path == (path or url.partition(host)[2])


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a.example/", "a.example"),
        ("http://a.example:80/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("https://a.example:443/", "a.example"),
        ("http://[2606:2800:220:1::1]:8080/", "[2606:2800:220:1::1]:8080"),
    ],
)
def test_the_host_header_names_a_port_that_is_not_the_usual_one(url: str, authority: str) -> None:
    assert Target.parse(url).authority == authority


def test_a_literal_address_is_known_as_one() -> None:
    assert Target.parse("http://93.184.216.34/").address == IPv4Address("93.184.216.34")
    assert Target.parse("http://a1.example/").address is None


def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address() -> None:
    async def go() -> None:
        names = Names({"rebind.example": [[HERE], ["127.0.0.2"]]})
        async with (
            receiving(says(answer(b"good"))) as receiver,
            canary(port=receiver.port),
            Outbound(opened(), resolver=names) as outbound,
        ):
            assert await ask(outbound, receiver.url(host="rebind.example")) == (200, b"good")
            assert names.asked == ["rebind.example"]
            assert receiver.heard[0].header("host") == f"rebind.example:{receiver.port}"
            with pytest.raises(OutboundRefused):  # the next request looks again, and finds what has changed
                await ask(outbound, receiver.url(host="rebind.example"))
            assert receiver.connections == 1

    run(go())


def test_one_bad_address_among_good_ones_spoils_the_name() -> None:
    async def go() -> None:
        names = Names({"both.example": [HERE, "127.0.0.2"]})
        async with (
            receiving(says(answer())) as receiver,
            canary(port=receiver.port),
            Outbound(opened(), resolver=names) as outbound,
        ):
            with pytest.raises(OutboundRefused):
                await ask(outbound, receiver.url(host="both.example"))
            assert receiver.connections == 0

    run(go())


@pytest.mark.parametrize("found", [[], ["nonsense"], ["127.0.0.1"] * 3 + ["x"], [f"127.0.1.{n}" for n in range(100)]])
def test_a_resolver_that_finds_nothing_or_nonsense_is_a_failure_worth_retrying(found: list[str]) -> None:
    async def go() -> None:
        async with (
            canary(["127.0.0.1"]) as trap,
            Outbound(Policy(allow_private=True), resolver=Names({"odd.example": [found]})) as outbound,
        ):
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, trap.url(host="odd.example"))
            assert (failed.value.kind, failed.value.worth_retrying) == ("name_not_found", True)

    run(go())


def test_a_name_that_takes_for_ever_is_given_up() -> None:
    async def forever(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def go() -> None:
        limits = type(QUICK)(connect=0.05)
        async with Outbound(Policy(), resolver=forever) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                async with outbound.open(OutboundRequest(url="http://slow.example/", limits=limits)):
                    pass
            assert failed.value.kind == "timeout"

    run(go())


def test_the_system_resolver_finds_this_machine() -> None:
    async def go() -> None:
        async with receiving(says(answer(b"home"))) as receiver, Outbound(Policy(allow_private=True)) as outbound:
            assert await ask(outbound, receiver.url(host="localhost")) == (200, b"home")
        async with canary(["127.0.0.1"]) as trap, Outbound(Policy()) as outbound:
            with pytest.raises(OutboundRefused):
                await ask(outbound, trap.url(host="localhost"))

    run(go())

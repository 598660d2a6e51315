"""A proxy by setting: it gets addresses that were checked here, and never the environment's say."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from sottovoce.outbound import FailureKind, OutboundFailed, OutboundRefused, Policy
from sottovoce.outbound.client import Outbound
from tests.unit.outbound.receivers import (
    HERE,
    QUICK,
    Names,
    Receiver,
    Script,
    answer,
    ask,
    canary,
    endless,
    hear,
    receiving,
    run,
    says,
)
from tests.unit.outbound.test_tls import Authority

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1::1"


def tunnels(to: Receiver) -> Script:
    """A proxy that connects to *to*, wherever it is asked to."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
            sink.write_eof()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        there, back = await asyncio.open_connection(HERE, to.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        outward = asyncio.create_task(pump(reader, back))
        try:
            await pump(there, writer)
        finally:
            outward.cancel()
            await asyncio.gather(outward, return_exceptions=True)
            back.close()

    return script


def through(proxy: Receiver, user: str = "", scheme: str = "http", **rules: Any) -> Policy:
    return Policy.parse(proxy=f"{scheme}://{user}{HERE}:{proxy.port}", **rules)


@pytest.mark.parametrize(("address", "asked"), [(PUBLIC, PUBLIC), (PUBLIC6, f"[{PUBLIC6}]")])
def test_the_proxy_is_asked_for_the_address_that_was_checked(address: str, asked: str) -> None:
    async def go() -> None:
        names = Names({"hooks.example": [[address], [HERE]]})
        async with (
            receiving(says(answer(b"far"))) as receiver,
            receiving(tunnels(receiver)) as proxy,
            Outbound(through(proxy, "user:pass%20word@"), resolver=names) as outbound,
        ):
            got = await ask(outbound, "http://hooks.example/x", lines=["Authorization: Bearer x"])
            assert got == (200, b"far")
            assert names.asked == ["hooks.example"]
            assert proxy.heard[0].line == f"CONNECT {asked}:80 HTTP/1.1"
            assert proxy.heard[0].headers == [
                ("Host", f"{asked}:80"),
                ("Proxy-Authorization", "Basic dXNlcjpwYXNzIHdvcmQ="),
            ]
            assert receiver.heard[0].header("host") == "hooks.example"
            assert receiver.heard[0].header("proxy-authorization") is None

    run(go())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tls_goes_through_to_the_receiver(tmp_path: Path, scheme: str) -> None:
    async def go() -> None:
        authority = Authority(tmp_path, "ours")
        proxy_tls = authority.serving([HERE]) if scheme == "https" else None
        async with (
            receiving(says(answer(b"far")), tls=authority.serving(["hooks.example"])) as receiver,
            receiving(tunnels(receiver), tls=proxy_tls) as proxy,
            Outbound(
                through(proxy, scheme=scheme, ca_file=authority.file), resolver=Names({"hooks.example": [PUBLIC]})
            ) as outbound,
        ):
            assert await ask(outbound, "https://hooks.example/") == (200, b"far")
            assert proxy.heard[0].line == f"CONNECT {PUBLIC}:443 HTTP/1.1"

    run(go())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://inside.example/",
        "http://mixed.example/",
        "http://localhost/",
        "http://public.example:22/",
    ],
)
def test_the_policy_holds_for_the_target_behind_a_proxy(url: str) -> None:
    async def go() -> None:
        names = Names(
            {
                "inside.example": ["10.0.0.1"],
                "mixed.example": [PUBLIC, "10.0.0.1"],
                "localhost": [HERE],
                "public.example": [PUBLIC],
            }
        )
        async with (
            canary() as trap,
            receiving(tunnels(trap)) as proxy,
            Outbound(through(proxy), resolver=names) as outbound,
        ):
            with pytest.raises(OutboundRefused):
                await ask(outbound, url.replace("{port}", str(trap.port)))
            assert proxy.connections == 0

    run(go())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await reader.read()


@pytest.mark.parametrize(
    "script",
    [
        says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        says(b"HTTP/1.1 302 Elsewhere\r\nLocation: http://127.0.0.2/\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        says(b"HTTP/1.1 200 OK\r\n"),
        says(b""),
        says(b"SSH-2.0-nonsense\r\n\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096),
    ],
    ids=range(8),
)
def test_a_proxy_that_opens_nothing_is_a_failure_worth_retrying(script: Script) -> None:
    async def go() -> None:
        async with receiving(script) as proxy, Outbound(through(proxy)) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, f"http://{PUBLIC}/")
            assert (failed.value.kind, failed.value.worth_retrying) == (FailureKind.CONNECTION, True)
            assert "proxy" in failed.value.text
            assert HERE not in failed.value.text

    run(go())


def test_a_proxy_that_says_nothing_is_left() -> None:
    async def go() -> None:
        limits = type(QUICK)(connect=0.1)
        async with receiving(silent) as proxy, Outbound(through(proxy)) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, f"http://{PUBLIC}/", limits=limits)
            assert failed.value.kind is FailureKind.TIMEOUT
            await asyncio.wait_for(proxy.gone.wait(), 10)

    run(go())


def test_a_proxy_whose_certificate_is_unknown_is_not_trusted(tmp_path: Path) -> None:
    async def go() -> None:
        authority = Authority(tmp_path, "ours")
        async with (
            receiving(says(answer()), tls=authority.serving([HERE])) as proxy,
            Outbound(through(proxy, "user:hunter2@", scheme="https")) as outbound,
        ):
            with pytest.raises(OutboundFailed):
                await ask(outbound, f"http://{PUBLIC}/")
            assert proxy.heard == []

    run(go())


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def go() -> None:
        async with canary() as trap, receiving(says(answer(b"direct"))) as receiver:
            for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
                for each in (name, name.upper()):
                    monkeypatch.setenv(each, f"http://127.0.0.2:{trap.port}")
            netrc = tmp_path / "netrc"
            netrc.write_text("machine 127.0.0.1 login somebody password hunter2\n")
            netrc.chmod(0o600)
            monkeypatch.setenv("NETRC", str(netrc))
            async with Outbound(Policy(allow_private=True)) as outbound:
                assert await ask(outbound, receiver.url()) == (200, b"direct")
            assert receiver.heard[0].header("authorization") is None

    run(go())

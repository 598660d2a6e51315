"""Redirects: off unless asked for, each target checked from the start, and nobody's secrets taken along."""

from dataclasses import replace

import pytest

from sottovoce.outbound import FailureKind, Method, OutboundFailed, OutboundRefused, OutboundRequest, Streamed, Target
from sottovoce.outbound.client import Outbound
from sottovoce.outbound.redirect import followed, trusted
from tests.unit.outbound.receivers import (
    CANARY,
    HERE,
    QUICK,
    Names,
    answer,
    ask,
    canary,
    opened,
    receiving,
    redirect,
    run,
    says,
)

FOLLOWING = replace(QUICK, redirects=3)
SECRET = "Authorization: Bearer hunter2"

ELSEWHERE = [
    "http://127.0.0.2:{port}/",
    "//127.0.0.2:{port}/",
    "HTTP://127.0.0.2:{port}/",
    "http://2130706434:{port}/",
    "http://0x7f000002:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/",
    "http://127.0.0.2.:{port}/",
    "http://canary.example:{port}/",
    "//canary.example:{port}/",
    "///127.0.0.2:{port}/",
    "http://user:hunter2@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@127.0.0.2:{port}/",
    "http:\\\\127.0.0.2:{port}/",
    "/\\127.0.0.2:{port}/",
    "\\\\127.0.0.2:{port}/",
    "http://127.0.0.2:{port}\t/",
    "\thttp://127.0.0.2:{port}/",
    "http://[127.0.0.2:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.example/latest/meta-data/",
    "http://0.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://127.0.0.1:22/",
    "http://hooks.example:22/",
    "https://hooks.example:1023/",
    "ftp://127.0.0.2:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.2:{port}/_x",
    "data:text/plain,x",
    "javascript:alert(1)",
    "http://",
    "http://a b/",
]

NAMES = {
    "canary.example": [CANARY],
    "metadata.example": ["169.254.169.254"],
    "localhost": [CANARY],
    "other.example": [HERE],
    "hooks.example": [HERE],
}


@pytest.mark.parametrize("location", ELSEWHERE, ids=ascii)
@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_to_a_forbidden_place_is_refused(location: str, status: int) -> None:
    async def go() -> None:
        async with canary() as trap, Outbound(opened(), resolver=Names(NAMES)) as outbound:
            script = says(redirect(location.replace("{port}", str(trap.port)), status))
            async with receiving(script) as receiver:
                with pytest.raises(OutboundRefused) as refused:
                    await ask(outbound, receiver.url(), limits=FOLLOWING, lines=[SECRET])
                assert len(receiver.heard) == 1
        assert "127.0.0.2" not in refused.value.why

    run(go())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_redirect_is_the_answer_unless_redirects_are_asked_for(status: int, method: Method) -> None:
    async def go() -> None:
        async with (
            canary() as trap,
            Outbound(opened()) as outbound,
            receiving(says(redirect(trap.url(host=CANARY), status))) as receiver,
        ):
            assert await ask(outbound, receiver.url(), method=method) == (status, b"")
            assert len(receiver.heard) == 1

    run(go())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_follows_every_kind_of_redirect(status: int) -> None:
    async def go() -> None:
        async with receiving(says(redirect("/next?x=1#y", status), answer(b"there"))) as receiver:
            async with Outbound(opened()) as outbound:
                assert await ask(outbound, receiver.url("/first"), limits=FOLLOWING) == (200, b"there")
            assert [each.line for each in receiver.heard] == ["GET /first HTTP/1.1", "GET /next?x=1 HTTP/1.1"]

    run(go())


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(("status", "requests"), [(301, 1), (302, 1), (303, 1), (307, 2), (308, 2)])
def test_a_body_goes_on_only_where_method_and_body_stay(method: Method, status: int, requests: int) -> None:
    async def go() -> None:
        async with receiving(says(redirect("next", status), answer(b"there"))) as receiver:
            async with Outbound(opened()) as outbound:
                got = await ask(outbound, receiver.url(), method=method, body=b"transcript", limits=FOLLOWING)
            assert got == ((200, b"there") if requests == 2 else (status, b""))
            assert [each.body for each in receiver.heard] == [b"transcript"] * requests
            assert {each.line.split()[0] for each in receiver.heard} == {method}

    run(go())


def test_a_streamed_body_begins_anew_at_each_address() -> None:
    async def go() -> None:
        starts = 0

        async def chunks():
            nonlocal starts
            starts += 1
            for _ in range(3):
                yield b"abc"

        async with receiving(says(redirect("/b", 307), redirect("/c", 308), answer())) as receiver:
            async with Outbound(opened()) as outbound:
                request = OutboundRequest(
                    method="POST", url=receiver.url(), body=Streamed(start=chunks), limits=FOLLOWING
                )
                async with outbound.open(request) as got:
                    assert got.status == 200
            assert [each.body for each in receiver.heard] == [b"abcabcabc"] * 3
            assert starts == 3

    run(go())


def test_a_circle_of_redirects_is_left() -> None:
    async def go() -> None:
        async with receiving(says(redirect("/again"))) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, receiver.url(), limits=FOLLOWING)
            assert (failed.value.kind, failed.value.worth_retrying) == (FailureKind.REDIRECTS, False)
            assert receiver.connections == 4

    run(go())


def test_the_last_redirect_that_is_allowed_is_followed() -> None:
    async def go() -> None:
        script = says(redirect("/1"), redirect("/2"), redirect("/3"), answer(b"end"))
        async with receiving(script) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url(), limits=FOLLOWING) == (200, b"end")

    run(go())


def test_credentials_stay_with_the_host_that_they_are_for() -> None:
    async def go() -> None:
        async with (
            receiving(says(answer(b"end"))) as other,
            Outbound(opened(), resolver=Names(NAMES)) as outbound,
            receiving(says(redirect(other.url(host="other.example")))) as first,
        ):
            lines = [SECRET, "X-Api-Key: hunter2", "Cookie: a=hunter2"]
            assert await ask(outbound, first.url(host="hooks.example"), limits=FOLLOWING, lines=lines) == (
                200,
                b"end",
            )
            assert {"Authorization", "X-Api-Key", "Cookie"} <= {name for name, _ in first.heard[0].headers}
            assert "hunter2" not in str(other.heard)
            assert other.heard[0].header("host") == f"other.example:{other.port}"

    run(go())


def test_credentials_do_not_come_back_once_they_were_left_behind() -> None:
    async def go() -> None:
        async with Outbound(opened(), resolver=Names(NAMES)) as outbound:
            script = says(
                redirect("/same"), redirect("//other.example:PORT/"), redirect("//hooks.example:PORT/"), answer()
            )

            async def ported(reader, writer, receiver):
                write = writer.write
                writer.write = lambda data: write(data.replace(b"PORT", str(receiver.port).encode()))
                await script(reader, writer, receiver)

            async with receiving(ported) as receiver:
                await ask(outbound, receiver.url(host="hooks.example"), limits=FOLLOWING, lines=[SECRET])
                assert [each.header("authorization") for each in receiver.heard] == ["Bearer hunter2"] * 2 + [None] * 2

    run(go())


def test_another_port_is_another_host() -> None:
    async def go() -> None:
        async with (
            receiving(says(answer())) as other,
            Outbound(opened()) as outbound,
            receiving(says(redirect(other.url()))) as first,
        ):
            await ask(outbound, first.url(), limits=FOLLOWING, lines=[SECRET])
            assert other.heard[0].header("authorization") is None

    run(go())


def test_no_cookie_is_kept() -> None:
    async def go() -> None:
        cookie = b"HTTP/1.1 302 Elsewhere\r\nLocation: /next\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
        async with receiving(says(cookie, answer())) as receiver, Outbound(opened()) as outbound:
            await ask(outbound, receiver.url(), limits=FOLLOWING)
            assert [each.header("cookie") for each in receiver.heard] == [None, None]

    run(go())


def test_a_redirect_to_the_same_name_looks_it_up_and_checks_it_again() -> None:
    async def go() -> None:
        names = Names({"rebind.example": [[HERE], [CANARY]]})
        async with (
            receiving(says(redirect("/next"))) as receiver,
            Outbound(opened(), resolver=names) as outbound,
            canary(port=receiver.port),
        ):
            with pytest.raises(OutboundRefused):
                await ask(outbound, receiver.url(host="rebind.example"), limits=FOLLOWING)
            assert names.asked == ["rebind.example"] * 2

    run(go())


@pytest.mark.parametrize("head", ["", "Location: \r\n"])
def test_a_redirect_to_nowhere_is_the_answer(head: str) -> None:
    async def go() -> None:
        odd = f"HTTP/1.1 302 Elsewhere\r\n{head}Content-Length: 0\r\n\r\n".encode()
        async with receiving(says(odd)) as receiver, Outbound(opened()) as outbound:
            assert await ask(outbound, receiver.url(), limits=FOLLOWING) == (302, b"")

    run(go())


def test_a_redirect_to_two_places_at_once_is_refused() -> None:
    async def go() -> None:
        odd = b"HTTP/1.1 302 Elsewhere\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
        async with receiving(says(odd)) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(OutboundRefused):
                await ask(outbound, receiver.url(), limits=FOLLOWING)

    run(go())


HTTPS = Target.parse("https://a.example/x")
HTTP = Target.parse("http://a.example/x")


def test_a_body_never_goes_from_https_to_http() -> None:
    with pytest.raises(OutboundRefused):
        followed("POST", 307, "http://a.example/", HTTPS)
    assert followed("POST", 307, "https://b.example/", HTTPS) == Target.parse("https://b.example/")
    assert followed("GET", 302, "http://a.example/", HTTPS) == Target.parse("http://a.example/")


@pytest.mark.parametrize(
    ("here", "there", "trust"),
    [
        (HTTPS, "https://a.example/y", True),
        (HTTPS, "https://A.Example.:443/y", True),
        (HTTP, "https://a.example/", True),
        (HTTPS, "http://a.example/", False),
        (HTTP, "https://a.example:8443/", False),
        (HTTP, "https://b.example/", False),
        (HTTPS, "https://b.example/", False),
        (HTTPS, "https://x.a.example/", False),
        (HTTPS, "https://a.example.evil.example/", False),
        (HTTPS, "https://a.example:8443/", False),
    ],
)
def test_who_may_see_the_callers_header_lines(here: Target, there: str, trust: bool) -> None:
    assert trusted(here, Target.parse(there)) is trust


def test_a_location_in_bare_utf_8_is_encoded() -> None:
    there = followed("GET", 302, "/ü".encode().decode("latin-1"), HTTPS)
    assert there
    assert there.path == "/%C3%BC"
    there = followed("GET", 302, "/\xfc", HTTPS)
    assert there
    assert there.path == "/%C3%BC"

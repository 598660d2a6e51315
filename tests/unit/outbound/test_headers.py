"""Header lines that callers may add, and those that would change the request."""

import pytest

from sottovoce.outbound import Header, OutboundRefused, OutboundRequest, header_lines
from sottovoce.outbound.client import Outbound
from sottovoce.outbound.headers import merged
from tests.unit.outbound.receivers import QUICK, answer, ask, opened, receiving, run, says

BAD = [
    "no colon",
    "",
    ":",
    ": value",
    " Name: value",
    "Name : value",
    "Na me: value",
    "Na\tme: value",
    "Näme: value",
    "Name: välue",
    "Name: va\r\nlue",
    "Name: value\r\nX-Injected: 1",
    "Name: value\r\n",
    "Name: value\n",
    "Name\r\n: value",
    "Name: value\r",
    "Name: va\x00lue",
    "Name: va\x0blue",
    "Name: va\x7flue",
    "Name: va\u2028lue",
    "Na(me: value",
    'Na"me: value',
    "Name: " + "x" * 9000,
    "N" * 200 + ": value",
    "Host: evil.example",
    "HOST: evil.example",
    "Content-Length: 0",
    "content-length:0",
    "Transfer-Encoding: chunked",
    "Connection: keep-alive",
    "Keep-Alive: timeout=5",
    "Proxy-Authorization: Basic x",
    "Proxy-Connection: keep-alive",
    "Proxy-Anything: x",
    "TE: trailers",
    "Trailer: X",
    "Upgrade: websocket",
    "HTTP2-Settings: x",
    "Expect: 100-continue",
    "Accept-Encoding: gzip",
]


@pytest.mark.parametrize("line", BAD, ids=ascii)
def test_a_header_line_that_would_change_the_request_is_refused(line: str) -> None:
    with pytest.raises(OutboundRefused) as refused:
        header_lines([line])
    assert "evil.example" not in refused.value.why
    assert "Basic" not in refused.value.why


@pytest.mark.parametrize("line", BAD, ids=ascii)
def test_nothing_is_sent_with_such_a_line(line: str) -> None:
    async def go() -> None:
        async with receiving(says(answer())) as receiver, Outbound(opened()) as outbound:
            with pytest.raises(OutboundRefused):
                await ask(outbound, receiver.url(), lines=["Authorization: Bearer x", line])
            if ":" in line:  # nor with the same as one of ours
                name, _, value = line.partition(":")
                with pytest.raises(OutboundRefused):
                    async with outbound.open(
                        OutboundRequest(url=receiver.url(), headers=[(name, value.lstrip(" "))], limits=QUICK)
                    ):
                        pass
            assert receiver.connections == 0

    run(go())


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("Authorization: Bearer a.b-c_d~e+f/g==", ("Authorization", "Bearer a.b-c_d~e+f/g==")),
        ("X-Token:abc", ("X-Token", "abc")),
        ("X-Token: \t abc \t", ("X-Token", "abc")),
        ("X-Time: 12:34:56", ("X-Time", "12:34:56")),
        ("X-Empty:", ("X-Empty", "")),
        ("X-Odd!#$%&'*+.^_`|~1: a\tb", ("X-Odd!#$%&'*+.^_`|~1", "a\tb")),
        ("Cookie: a=b; c=d", ("Cookie", "a=b; c=d")),
    ],
)
def test_an_honest_line_is_kept_as_it_is(line: str, header: Header) -> None:
    assert header_lines([line]) == (header,)


def test_there_are_not_too_many_lines() -> None:
    assert len(header_lines(["A: b"] * 32)) == 32
    with pytest.raises(OutboundRefused):
        header_lines(["A: b"] * 33)


def test_the_callers_line_takes_the_place_of_ours_of_the_same_name() -> None:
    ours = [("User-Agent", "Speechmatics-API/2.0"), ("Accept", "*/*")]
    assert merged(ours, [("user-agent", "mine"), ("X", "1"), ("X", "2")]) == [
        ("Accept", "*/*"),
        ("user-agent", "mine"),
        ("X", "1"),
        ("X", "2"),
    ]


def test_what_a_receiver_gets_to_see() -> None:
    async def go() -> None:
        async with receiving(says(answer())) as receiver, Outbound(opened()) as outbound:
            request = OutboundRequest(
                method="PUT",
                url=receiver.url("/in?id=1&status=success"),
                headers=[("Content-Type", "application/json"), ("X-Delivery", "abc")],
                auth_headers=["Authorization: Bearer x", "Content-Type: text/plain"],
                body=b"{}",
                limits=QUICK,
            )
            async with outbound.open(request) as got:
                assert got.status == 200
        (heard,) = receiver.heard
        assert heard.line == "PUT /in?id=1&status=success HTTP/1.1"
        assert heard.body == b"{}"
        assert sorted(heard.headers) == sorted(
            [
                ("Host", f"127.0.0.1:{receiver.port}"),
                ("User-Agent", "Speechmatics-API/2.0"),
                ("Accept", "*/*"),
                ("Accept-Encoding", "identity"),
                ("Connection", "close"),
                ("Content-Length", "2"),
                ("Content-Type", "text/plain"),
                ("X-Delivery", "abc"),
                ("Authorization", "Bearer x"),
            ]
        )

    run(go())


def test_a_request_does_not_show_its_secrets() -> None:
    request = OutboundRequest(
        method="POST",
        url="https://a.example/?token=hunter2",
        headers=[("X", "hunter2")],
        auth_headers=["Y: hunter2"],
        body=b"hunter2",
    )
    assert "hunter2" not in repr(request)

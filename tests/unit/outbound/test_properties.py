"""What holds for any input: URLs are read in one way or refused, packed bytes come out the same however they arrive."""

import gzip
import zlib
from contextlib import suppress

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.outbound import OutboundFailed, OutboundRefused, Policy, Target, header_lines
from sottovoce.outbound.decoder import PIECE, Inflate, decoder

PARTS = st.sampled_from(
    [
        "http://",
        "https://",
        "a.example",
        "127.0.0.1",
        "[::1]",
        "@",
        ":",
        ":80",
        "/",
        "//",
        "?",
        "#",
        ".",
        "%2e",
        "\\",
        "0x7f",
    ]
)
URLS = st.one_of(st.text(), st.builds(lambda parts: "http://" + "".join(parts), st.lists(PARTS | st.text(max_size=3))))


@given(URLS)
@example("http://a.example:080/")
@example("http://1.2.3.4.5/")
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = Policy(allow_private=True).target(url)
    except OutboundRefused:
        return
    assert Target.parse(f"{target.origin}{target.path}") == target
    assert (target.host + target.path).isascii()
    assert not set(target.path) & set(' \\"<>\r\n\t#')


@given(URLS)
def test_what_is_accepted_means_the_same_to_another_parser(url: str) -> None:
    try:
        target = Target.parse(url)
    except OutboundRefused:
        return
    other = httpx.URL(f"{target.origin}{target.path}")
    assert (other.scheme, other.raw_host.decode()) == (target.scheme, target.host)
    assert (other.port or {"http": 80, "https": 443}[other.scheme]) == target.port
    if url.isascii():
        assert httpx.URL(url).raw_host.decode().removesuffix(".") == target.host


@given(URLS)
def test_any_redirect_is_a_target_or_refused(location: str) -> None:
    here = Target.parse("https://a.example/b/c?d")
    try:
        there = here.joined(location)
    except OutboundRefused:
        return
    assert Target.parse(f"{there.origin}{there.path}") == there


@given(st.lists(st.text(), max_size=3))
def test_any_lines_are_headers_or_refused(lines: list[str]) -> None:
    try:
        found = header_lines(lines)
    except OutboundRefused:
        return
    assert all("\r" not in part and "\n" not in part and part.isascii() for header in found for part in header)


@given(st.binary(), st.integers(1, 40), st.sampled_from(["gzip", "deflate", "raw", "two"]))
def test_packed_bytes_come_out_however_they_are_cut(data: bytes, step: int, how: str) -> None:
    packed = {
        "gzip": gzip.compress(data),
        "deflate": zlib.compress(data),
        "raw": zlib.compress(data, wbits=-15),
        "two": gzip.compress(data[:3]) + gzip.compress(data[3:]),
    }[how]
    unpack = decoder("gzip" if how in {"gzip", "two"} else "deflate")
    pieces = [piece for start in range(0, len(packed), step) for piece in unpack.feed(packed[start : start + step])]
    unpack.finish()
    assert b"".join(pieces) == data


@given(st.binary(min_size=1), st.integers(1, 40), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_unpacked_or_a_failure(data: bytes, step: int, encoding: str) -> None:
    unpack = decoder(encoding)
    with suppress(OutboundFailed):
        for start in range(0, len(data), step):
            for piece in unpack.feed(data[start : start + step]):
                assert 0 < len(piece) <= PIECE
        unpack.finish()


@pytest.mark.parametrize("window", [31, None])
def test_nothing_at_all_is_an_empty_answer(window: int | None) -> None:
    unpack = Inflate(window)
    assert list(unpack.feed(b"")) == []
    unpack.finish()


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 5 * PIECE + 7])
def test_no_byte_is_lost_at_the_edges_of_pieces(size: int) -> None:
    unpack = decoder("gzip")
    assert [len(piece) for piece in unpack.feed(gzip.compress(bytes(size)))] == [
        PIECE for _ in range(size // PIECE)
    ] + [size % PIECE] * bool(size % PIECE)
    unpack.finish()

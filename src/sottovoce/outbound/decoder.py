"""Packed answers, unpacked in pieces of bounded size. Pure.

We ask for answers as they are (`Accept-Encoding: identity`); some servers pack all the same. The standard library's zlib
takes a limit for each step, which is what keeps a bomb from unpacking further than it is read.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from sottovoce.outbound.faults import FailureKind, OutboundFailed

PIECE = 64 << 10
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""zlib's window sizes, which choose the format as well."""
_FRAME = 2
_DEFLATE = 8


class Decoder(Protocol):
    """Bytes as they arrive in, bytes as they were meant out."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What *data* unpacks to, in pieces of at most `PIECE` bytes. Raises OutboundFailed."""
        ...  # pragma: no cover

    def finish(self) -> None:
        """There is no more. Raises OutboundFailed where there should have been."""
        ...  # pragma: no cover


def decoder(encoding: str) -> Decoder:
    """The decoder for a `Content-Encoding`. Raises OutboundFailed: brotli, zstd and layers of several are not unpacked."""
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip":
            return Inflate(_GZIP)
        case "deflate":
            return Inflate(None)
        case _:
            raise OutboundFailed(FailureKind.ENCODING, "the answer is packed in a way that was not asked for")


def _framed(data: bytes) -> bool:
    """Whether *data* begins with zlib's two bytes: method 8 and a check sum (RFC 1950 §2.2)."""
    return data[0] & 15 == _DEFLATE and int.from_bytes(data[:_FRAME], "big") % 31 == 0


class Plain:
    """Nothing to unpack."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """*data* itself."""
        yield data

    def finish(self) -> None:
        """Ends anywhere."""


class Inflate:
    """gzip of one or more members, or deflate with or without zlib's frame (*window* `None`: the first bytes tell)."""

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._unpack = None if window is None else zlib.decompressobj(window)
        self._waiting = b""
        self._complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """As `Decoder` says."""
        data = self._waiting + data
        self._complete = self._complete and not data
        if self._unpack is None:
            if len(data) < _FRAME:
                self._waiting = data
                return
            self._waiting = b""
            self._window = _ZLIB if _framed(data) else _RAW
            self._unpack = zlib.decompressobj(self._window)
        try:
            yield from self._pieces(self._unpack, data)
        except zlib.error as error:
            raise OutboundFailed(FailureKind.PROTOCOL, "the packed answer is damaged") from error

    def _pieces(self, unpack: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
        while True:
            if unpack.eof:
                self._complete = not data
                if not data:
                    return
                if self._window != _GZIP:
                    raise OutboundFailed(FailureKind.PROTOCOL, "the packed answer is damaged")
                unpack = self._unpack = zlib.decompressobj(_GZIP)  # the next member
            piece = unpack.decompress(data, PIECE)
            if piece:
                yield piece
            data = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
            if not data and len(piece) < PIECE and not unpack.eof:
                return

    def finish(self) -> None:
        """As `Decoder` says. Nothing at all is an empty answer."""
        if not self._complete:
            raise OutboundFailed(FailureKind.PROTOCOL, "the packed answer ended early")

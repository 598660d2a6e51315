"""Decodes compressed responses in pieces of bounded size. Pure.

The client asks for `Accept-Encoding: identity`; some servers compress anyway. The standard library's zlib takes an output
limit for each step, so that a decompression bomb is decoded only as far as it is read.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from sottovoce.outbound.faults import FailureKind, OutboundFailed

PIECE = 64 << 10
"""Bytes of one decoded piece, at most."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""zlib's `wbits`, which select the format as well as the window size."""
_FRAME = 2
"""Bytes of a zlib header (RFC 1950 §2.2)."""
_DEFLATE = 8
"""The compression method of a zlib header."""


class Decoder(Protocol):
    """Decodes a body incrementally."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded *data*, in pieces of at most `PIECE` bytes. Raises OutboundFailed."""
        ...  # pragma: no cover

    def finish(self) -> None:
        """Mark the end of the body. Raises OutboundFailed when the body is incomplete."""
        ...  # pragma: no cover


def decoder(encoding: str) -> Decoder:
    """The decoder for a `Content-Encoding`. Raises OutboundFailed: brotli, zstd and several encodings are not supported."""
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip":
            return Inflate(_GZIP)
        case "deflate":
            return Inflate(None)
        case _:
            raise OutboundFailed(FailureKind.ENCODING, "the answer has an unsupported Content-Encoding")


def _framed(data: bytes) -> bool:
    """True if *data* begins with a zlib header of two bytes: method 8 and a checksum (RFC 1950 §2.2)."""
    return data[0] & 15 == _DEFLATE and int.from_bytes(data[:_FRAME], "big") % 31 == 0


class Plain:
    """Returns the data unchanged."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """*data* itself."""
        yield data

    def finish(self) -> None:
        """Do nothing: the body may end anywhere."""


class Inflate:
    """Decodes gzip of one or more members, or deflate with or without a zlib header (*window* `None`: detected)."""

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._unpack = None if window is None else zlib.decompressobj(window)
        self._waiting = b""
        self._complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `Decoder.feed`."""
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
        """See `Decoder.finish`. A body of no bytes is complete."""
        if not self._complete:
            raise OutboundFailed(FailureKind.PROTOCOL, "the packed answer ended early")

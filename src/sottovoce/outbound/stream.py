"""Limits on the bytes of a connection: size, speed, and the errors of the network."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import httpcore2

from sottovoce.outbound.ask import Limits
from sottovoce.outbound.faults import FailureKind, OutboundFailed

PIECE = 64 << 10
"""Bytes of one read or write, at most."""
_OVERHEAD = 256 << 10
"""Bytes of framing that are always allowed; more than the one `PIECE` that may have been read ahead."""


class Pace:
    """Checks the speed in one direction after every *window* seconds of waiting."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._waited = 0.0

    def moved(self, count: int, waited: float) -> None:
        """Record *count* bytes after *waited* seconds. Raises OutboundFailed when the transfer is too slow."""
        self._bytes += count
        self._waited += waited
        if self._waited < self._limits.window:
            return
        if self._bytes < self._limits.progress:
            raise OutboundFailed(
                FailureKind.TOO_SLOW, f"fewer than {self._limits.progress} bytes in {self._limits.window:g} seconds"
            )
        self._bytes, self._waited = 0, 0.0


class TransferMonitor:
    """Counts the bytes of one connection, in the head of the response and after it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.received = Pace(limits)
        self.sent = Pace(limits)
        self.in_head = True
        """True until the head of the response is complete; the client sets it to False."""
        self.ended = False
        """True if the peer has closed its side."""
        self._bytes = 0

    def room(self) -> int:
        """The bytes that may be read next. Raises OutboundFailed when the head, with interim responses, is too large."""
        if not self.in_head:
            return PIECE
        most = self.limits.head_bytes
        if self._bytes > most:
            raise OutboundFailed(FailureKind.TOO_LARGE, f"the head of the answer is larger than {most} bytes")
        return min(PIECE, most + 1 - self._bytes)

    def framing(self, payload: int) -> None:
        """Compare the received bytes with *payload* bytes of body. Raises OutboundFailed when nearly all are framing.

        A chunk of one byte takes six bytes on the wire and far more time here; chunks of 20 bytes and more pass.
        """
        if self._bytes > payload + payload // 4 + self.limits.head_bytes + _OVERHEAD:
            raise OutboundFailed(FailureKind.TOO_LARGE, "the answer is cut into too small chunks")

    def read(self, count: int, waited: float) -> None:
        """Record *count* bytes read after *waited* seconds. The time before the first byte does not count as slow."""
        first = self._bytes == 0
        self._bytes += count
        self.ended = self.ended or not count
        if not self.ended:
            self.received.moved(count, 0.0 if first else waited)


class WatchedStream(httpcore2.AsyncNetworkStream):
    """A stream that raises network errors as `OutboundFailed`, and also when a limit of its meter is exceeded."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, meter: TransferMonitor) -> None:
        self._inner = inner
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes; empty at the end."""
        began = monotonic()
        with _failing("the connection was lost"):
            data = await self._inner.read(min(max_bytes, self._meter.room()), timeout)
        self._meter.read(len(data), monotonic() - began)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send *buffer*. A broken connection stays httpcore's WriteError, so that the response, if any, is still read."""
        for start in range(0, len(buffer), PIECE):
            piece = buffer[start : start + PIECE]
            began = monotonic()
            with _failing("the connection was lost"):
                await self._inner.write(piece, timeout)
            self._meter.sent.moved(len(piece), monotonic() - began)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Start TLS on the connection and verify the certificate for *server_hostname*."""
        with _failing("the connection was lost while TLS began"):
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return WatchedStream(inner, self._meter)

    def get_extra_info(self, info: str) -> Any:
        """See httpcore's `AsyncNetworkStream`."""
        return self._inner.get_extra_info(info)


@contextmanager
def _failing(lost: str) -> Iterator[None]:
    """Turn network errors into OutboundFailed; *lost* is the text for a broken connection."""
    try:
        yield
    except httpcore2.ConnectTimeout as error:
        raise OutboundFailed(FailureKind.TIMEOUT, "the TLS handshake took too long") from error
    except httpcore2.ReadTimeout as error:
        raise OutboundFailed(FailureKind.TIMEOUT, "the receiver sent nothing for too long") from error
    except httpcore2.WriteTimeout as error:
        raise OutboundFailed(FailureKind.TIMEOUT, "the receiver did not read the body for too long") from error
    except httpcore2.WriteError:
        raise
    except httpcore2.NetworkError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise tls_failed(error.__cause__) from error
        raise OutboundFailed(FailureKind.CONNECTION, lost) from error
    except ssl.SSLError as error:
        raise tls_failed(error) from error


def tls_failed(error: ssl.SSLError) -> OutboundFailed:
    """The failure for *error*. OpenSSL's reason contains at most the requested host name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return OutboundFailed(FailureKind.TLS, f"the certificate cannot be trusted: {error.verify_message}")
    return OutboundFailed(FailureKind.TLS, "the TLS handshake failed")

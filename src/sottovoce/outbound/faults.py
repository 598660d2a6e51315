"""The errors of outgoing requests. Every text may be shown to the caller unchanged."""

from enum import StrEnum

from sottovoce.errors import Kind, Refused


class FailureKind(StrEnum):
    """The kind of a failure, for the retry plan and the metrics."""

    NAME = "name_not_found"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    PROTOCOL = "protocol"
    ENCODING = "encoding"
    TOO_LARGE = "too_large"
    REDIRECTS = "redirects"
    BUSY = "busy"
    CLOSED = "closed"


_FINAL = frozenset({FailureKind.TLS, FailureKind.ENCODING, FailureKind.TOO_LARGE, FailureKind.REDIRECTS})
"""Failures that repeat until the receiver is changed, so a retry is useless."""


class OutboundRefused(Refused):
    """The policy forbids the URL, a header line, or an address that the host name resolves to; a retry is useless.

    It is a `Refused`, so that a URL checked at submission is reported like any other wrong field of the config. *why* contains
    only what the caller sent; the resolved address is logged only.
    """

    def __init__(self, why: str, *, at: str | None = None) -> None:
        super().__init__(Kind.INVALID_CONFIG, why, at=at)


class OutboundFailed(Exception):
    """The request was tried and failed. *text* contains no address, no path, and nothing from the receiver."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    @property
    def worth_retrying(self) -> bool:
        """True if the same request may succeed later."""
        return self.kind not in _FINAL

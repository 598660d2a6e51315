"""Why a request did not go out, or came to nothing. Every text may be shown to the caller as it is."""

from enum import StrEnum

from sottovoce.errors import Kind, Refused


class FailureKind(StrEnum):
    """What went wrong on the way, as far as a retry plan or a metric cares."""

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
"""Answers that the same receiver gives again until somebody changes it."""


class OutboundRefused(Refused):
    """The policy forbids it, now and later: the URL, a header line, or the address behind the name.

    A kind of `Refused`, so that a URL checked at submit is answered like any other wrong field of the config. *why* tells
    nothing but what the caller said; the address behind a name stands in the log only.
    """

    def __init__(self, why: str, *, at: str | None = None) -> None:
        super().__init__(Kind.INVALID_CONFIG, why, at=at)


class OutboundFailed(Exception):
    """It was tried and failed. *text* names no address, no path, and nothing that the receiver said."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    @property
    def worth_retrying(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind not in _FINAL

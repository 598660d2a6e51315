"""What can go wrong, and whose fault it is.

`Refused` is the caller's fault and is told to the caller in the contract's words (`wire/v2/errors.py` maps each kind to a
status and a body). `EngineUnavailable` and `MediaUnreadable` are kinds of it that arise far from the edge. Every other
exception is ours: the caller hears "Internal Server Error", the log hears everything.
"""

from enum import StrEnum


class Kind(StrEnum):
    """Every way in which a request can be refused; the docs list them and a test holds the two together."""

    # the request itself
    BAD_REQUEST = "bad_request"
    MALFORMED = "malformed"
    INVALID_CONFIG = "invalid_config"
    INVALID_QUERY = "invalid_query"
    MISSING_DATA_FILE = "missing_data_file"
    MISSING_TEXT_FILE = "missing_text_file"
    MISSING_CALLBACK = "missing_callback"
    NO_LANGUAGE = "no_language"
    INVALID_AUDIO = "invalid_audio"
    INVALID_TEXT = "invalid_text"
    LANGUAGE = "language"
    TOO_LARGE = "too_large"
    LENGTH_REQUIRED = "length_required"
    REQUEST_TIMEOUT = "request_timeout"
    # who asks
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    # what is asked for
    PAGE_NOT_FOUND = "page_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    JOB_NOT_FOUND = "job_not_found"
    JOB_EXPIRED = "job_expired"
    FILE_EXPIRED = "file_expired"
    JOB_IN_PROGRESS = "job_in_progress"
    JOB_REJECTED = "job_rejected"
    JOB_LOCKED = "job_locked"
    NOT_READY = "not_ready"
    NOT_TRANSCRIPTION = "not_transcription"
    NOT_ALIGNMENT = "not_alignment"
    FORMAT_NOT_SUPPORTED = "format_not_supported"
    LOG_NOT_AVAILABLE = "log_not_available"
    PRODUCT_NOT_AVAILABLE = "product_not_available"
    EAR_NOT_AVAILABLE = "ear_not_available"
    NOT_IMPLEMENTED = "not_implemented"
    # how much is asked for
    RATE_LIMITED = "rate_limited"
    TOO_MANY_JOBS = "too_many_jobs"
    STORAGE_FULL = "storage_full"
    INSUFFICIENT_CREDIT = "insufficient_credit"
    UNAVAILABLE = "unavailable"


class Refused(Exception):
    """The caller asked for something that we must not or cannot do.

    *at* names the field, parameter or part (`transcription_config.language`); *why* completes a sentence for the caller.
    Neither may hold a path, a stack, a secret or another tenant's data: both are sent as they are.
    """

    def __init__(self, kind: Kind, why: str = "", *, at: str | None = None) -> None:
        super().__init__(f"{kind}: {at + ': ' if at else ''}{why}")
        self.kind = kind
        self.why = why
        self.at = at

    @property
    def detail(self) -> str:
        """One line for the caller: field first, then the reason."""
        return f"{self.at}: {self.why}" if self.at else self.why


class MethodNotAllowed(Refused):
    """The address knows other methods: *allowed*, as the `Allow` header lists them."""

    def __init__(self, allowed: str) -> None:
        super().__init__(Kind.METHOD_NOT_ALLOWED, "this address knows no such method")
        self.allowed = allowed


class MediaUnreadable(Refused):
    """The bytes hold no audio that can be decoded."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.INVALID_AUDIO, why)


class LanguageRejected(Refused):
    """The language of the speech could not be identified, or is not one that the request or the server takes."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.LANGUAGE, why)


class EngineUnavailable(Refused):
    """No engine here can do this; *why* names the command that would change it."""

    def __init__(self, why: str, *, at: str | None = "transcription_config.language") -> None:
        super().__init__(Kind.INVALID_CONFIG, why, at=at)

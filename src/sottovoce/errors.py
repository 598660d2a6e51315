"""The errors that a request can end with.

`Refused` is an error of the caller; the API returns it in the words of the contract (`wire/v2/errors.py` maps each kind to
a status and a body). `EngineUnavailable` and `MediaUnreadable` are subclasses for errors that engines and decoders raise.
Every other exception is an error of the service: the caller gets "Internal Server Error", and the log gets the traceback.
"""

from enum import StrEnum


class Kind(StrEnum):
    """Every reason for refusing a request; `docs/errors.md` lists them, and a test compares the two."""

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
    # authentication and permission
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    # the requested resource or product
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
    MODEL_NOT_FOUND = "model_not_found"
    NOT_IMPLEMENTED = "not_implemented"
    # limits and capacity
    RATE_LIMITED = "rate_limited"
    TOO_MANY_JOBS = "too_many_jobs"
    TOO_MANY_SESSIONS = "too_many_sessions"
    STORAGE_FULL = "storage_full"
    INSUFFICIENT_CREDIT = "insufficient_credit"
    UNAVAILABLE = "unavailable"


class Refused(Exception):
    """The service refuses a request because of *kind*.

    *at* names the field, parameter or part (`transcription_config.language`); *why* is the rest of the sentence about it.
    The caller receives both unchanged, so neither may contain a path, a traceback, a secret or data of another tenant.
    """

    def __init__(self, kind: Kind, why: str = "", *, at: str | None = None) -> None:
        super().__init__(f"{kind}: {at + ': ' if at else ''}{why}")
        self.kind = kind
        self.why = why
        self.at = at

    def __reduce__(self) -> tuple[object, ...]:
        """For another process: only this class itself is raised there."""
        return _refused, (self.kind, self.why, self.at)

    @property
    def detail(self) -> str:
        """The message for the caller, on one line: the field, then the reason."""
        return f"{self.at}: {self.why}" if self.at else self.why


def _refused(kind: Kind, why: str, at: str | None) -> Refused:
    return Refused(kind, why, at=at)


class MethodNotAllowed(Refused):
    """The address accepts only other methods; *allowed* is the value of the `Allow` header."""

    def __init__(self, allowed: str) -> None:
        super().__init__(Kind.METHOD_NOT_ALLOWED, "this address does not accept this method")
        self.allowed = allowed


class Busy(Refused):
    """The server has no room at the moment; *after*: seconds after which the caller may try again."""

    def __init__(self, why: str, after: int) -> None:
        super().__init__(Kind.UNAVAILABLE, why)
        self.after = after


class MediaUnreadable(Refused):
    """The media contains no audio that can be decoded."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.INVALID_AUDIO, why)


class LanguageRejected(Refused):
    """The language of the speech cannot be identified, or the request or the server does not accept it."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.LANGUAGE, why)


class EngineFailed(Exception):
    """An engine crashed at this job, which is not the caller's fault. *told* is what the caller reads, without details."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


class EngineUnavailable(Refused):
    """No installed engine can do this; *why* names the command that installs one."""

    def __init__(self, why: str, *, at: str | None = "transcription_config.language") -> None:
        super().__init__(Kind.INVALID_CONFIG, why, at=at)

"""Errors and warnings of a realtime session, and the close code of each error (contract `realtime.md` §8, §9)."""

from enum import StrEnum

from sottovoce.errors import Kind, Refused


class ErrorType(StrEnum):
    """The `type` of an `Error` (§9)."""

    INVALID_MESSAGE = "invalid_message"
    INVALID_MODEL = "invalid_model"
    INVALID_LANGUAGE = "invalid_language"
    INVALID_CONFIG = "invalid_config"
    INVALID_AUDIO_TYPE = "invalid_audio_type"
    INVALID_OUTPUT_FORMAT = "invalid_output_format"
    NOT_AUTHORISED = "not_authorised"
    NOT_ALLOWED = "not_allowed"
    JOB_ERROR = "job_error"
    PROTOCOL_ERROR = "protocol_error"
    QUOTA_EXCEEDED = "quota_exceeded"
    TIMELIMIT_EXCEEDED = "timelimit_exceeded"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_TIMEOUT = "session_timeout"
    UNKNOWN_ERROR = "unknown_error"
    START_RECOGNITION_TIMEOUT = "start_recognition_timeout"  # of the Agent protocol only (`agent-stt.md` §7)


class WarningType(StrEnum):
    """The `type` of a `Warning` (§8)."""

    DURATION_LIMIT_EXCEEDED = "duration_limit_exceeded"
    UNSUPPORTED_TRANSLATION_PAIR = "unsupported_translation_pair"
    EMPTY_TRANSLATION_TARGET_LIST = "empty_translation_target_list"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_TIMEOUT = "session_timeout"
    ADD_AUDIO_AFTER_EOS = "add_audio_after_eos"
    SPEAKER_ID = "speaker_id"
    VALIDATION_WARNING = "validation_warning"


# §9; its footnote: the table of the contract has nine codes, the other types get the nearest one
CLOSE: dict[ErrorType, tuple[int, str]] = {
    ErrorType.INVALID_MESSAGE: (1003, "protocol_error"),
    ErrorType.PROTOCOL_ERROR: (1003, "protocol_error"),
    ErrorType.INVALID_CONFIG: (1003, "protocol_error"),
    ErrorType.INVALID_AUDIO_TYPE: (1003, "protocol_error"),
    ErrorType.INVALID_OUTPUT_FORMAT: (1003, "protocol_error"),
    ErrorType.IDLE_TIMEOUT: (1008, "policy_violation"),
    ErrorType.SESSION_TIMEOUT: (1008, "policy_violation"),
    ErrorType.START_RECOGNITION_TIMEOUT: (1008, "policy_violation"),
    ErrorType.UNKNOWN_ERROR: (1011, "internal_error"),
    ErrorType.NOT_AUTHORISED: (4001, "not_authorised"),
    ErrorType.NOT_ALLOWED: (4003, "not_allowed"),
    ErrorType.INVALID_MODEL: (4004, "invalid_model"),
    ErrorType.INVALID_LANGUAGE: (4004, "invalid_model"),
    ErrorType.QUOTA_EXCEEDED: (4005, "quota_exceeded"),
    ErrorType.TIMELIMIT_EXCEEDED: (4006, "timelimit_exceeded"),
    ErrorType.JOB_ERROR: (4013, "job_error"),
}
"""The close code and its reason for every type of error."""

NORMAL = (1000, "")
"""The close code after `EndOfTranscript` (§3)."""


class SessionRefused(Refused):
    """The session ends with an `Error` of *type*, whose `reason` is `detail`."""

    def __init__(self, error: ErrorType, why: str, *, at: str | None = None) -> None:
        super().__init__(_KINDS.get(error, Kind.BAD_REQUEST), why, at=at)
        self.error = error


_KINDS = {
    ErrorType.INVALID_CONFIG: Kind.INVALID_CONFIG,
    ErrorType.INVALID_MODEL: Kind.INVALID_CONFIG,
    ErrorType.INVALID_LANGUAGE: Kind.INVALID_CONFIG,
    ErrorType.INVALID_AUDIO_TYPE: Kind.INVALID_CONFIG,
    ErrorType.NOT_ALLOWED: Kind.FORBIDDEN,
    ErrorType.QUOTA_EXCEEDED: Kind.TOO_MANY_SESSIONS,
    ErrorType.JOB_ERROR: Kind.UNAVAILABLE,
}
_TC = "transcription_config"
_MODEL = frozenset({f"{_TC}.model", f"{_TC}.operating_point", f"{_TC}.domain"})
_TYPES = {
    Kind.FORBIDDEN: ErrorType.NOT_ALLOWED,
    Kind.UNAVAILABLE: ErrorType.JOB_ERROR,
    Kind.TOO_MANY_SESSIONS: ErrorType.QUOTA_EXCEEDED,
}


def session_refused(refused: Refused, *, text: bool = True) -> SessionRefused:
    """The error of the session for *refused*, by kind and member.

    *text*: the value of the member is a string: a name that is not available (§14), not a value of the wrong type.
    """
    if isinstance(refused, SessionRefused):
        return refused
    return SessionRefused(_type(refused, text=text), refused.why, at=refused.at)


def _type(refused: Refused, *, text: bool) -> ErrorType:
    at = refused.at or ""
    if refused.kind is not Kind.INVALID_CONFIG:
        return _TYPES.get(refused.kind, ErrorType.INVALID_CONFIG)
    if at == "audio_format" or at.startswith("audio_format."):
        return ErrorType.INVALID_AUDIO_TYPE
    if text and at == f"{_TC}.language":
        return ErrorType.INVALID_LANGUAGE
    return ErrorType.INVALID_MODEL if text and at in _MODEL else ErrorType.INVALID_CONFIG

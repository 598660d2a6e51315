"""The errors of OpenAI's API: `{"error": {message, type, param, code}}` for every fault on its paths."""

import re
from typing import Any

from sottovoce.errors import Kind, Refused

_OURS = re.compile(r"/v1/(audio|models)(/.*)?")

INVALID = "invalid_request_error"
SERVER = "server_error"

OPENAI: dict[Kind, tuple[int, str, str | None]] = {
    Kind.BAD_REQUEST: (400, INVALID, None),
    Kind.MALFORMED: (400, INVALID, None),
    Kind.INVALID_CONFIG: (400, INVALID, "invalid_value"),
    Kind.INVALID_QUERY: (400, INVALID, "invalid_value"),
    Kind.MISSING_DATA_FILE: (400, INVALID, "missing_required_parameter"),
    Kind.MISSING_TEXT_FILE: (400, INVALID, "missing_required_parameter"),
    Kind.MISSING_CALLBACK: (400, INVALID, "missing_required_parameter"),
    Kind.NO_LANGUAGE: (400, INVALID, "missing_required_parameter"),
    Kind.INVALID_AUDIO: (400, INVALID, "audio_unreadable"),
    Kind.INVALID_TEXT: (400, INVALID, "invalid_value"),
    Kind.LANGUAGE: (400, INVALID, "unsupported_language"),
    Kind.TOO_LARGE: (413, INVALID, "file_too_large"),
    Kind.LENGTH_REQUIRED: (411, INVALID, None),
    Kind.REQUEST_TIMEOUT: (408, INVALID, "request_timeout"),
    Kind.UNAUTHENTICATED: (401, INVALID, "invalid_api_key"),
    Kind.FORBIDDEN: (403, INVALID, "permission_denied"),
    Kind.PAGE_NOT_FOUND: (404, INVALID, "unknown_url"),
    Kind.METHOD_NOT_ALLOWED: (405, INVALID, "method_not_supported"),
    Kind.JOB_NOT_FOUND: (404, INVALID, "job_not_found"),
    Kind.JOB_EXPIRED: (410, INVALID, "job_deleted"),
    Kind.FILE_EXPIRED: (410, INVALID, "job_deleted"),
    Kind.JOB_IN_PROGRESS: (503, SERVER, None),
    Kind.JOB_REJECTED: (500, SERVER, "job_failed"),
    Kind.JOB_LOCKED: (503, SERVER, None),
    Kind.NOT_READY: (503, SERVER, None),
    Kind.NOT_TRANSCRIPTION: (400, INVALID, None),
    Kind.NOT_ALIGNMENT: (400, INVALID, None),
    Kind.FORMAT_NOT_SUPPORTED: (400, INVALID, "unsupported_value"),
    Kind.LOG_NOT_AVAILABLE: (404, INVALID, None),
    Kind.PRODUCT_NOT_AVAILABLE: (400, INVALID, "unsupported_value"),
    Kind.EAR_NOT_AVAILABLE: (400, INVALID, "unsupported_value"),
    Kind.MODEL_NOT_FOUND: (404, INVALID, "model_not_found"),
    Kind.NOT_IMPLEMENTED: (501, SERVER, None),
    Kind.RATE_LIMITED: (429, "requests", "rate_limit_exceeded"),
    Kind.TOO_MANY_JOBS: (429, "requests", "rate_limit_exceeded"),
    Kind.TOO_MANY_SESSIONS: (429, "requests", "rate_limit_exceeded"),
    Kind.INSUFFICIENT_CREDIT: (429, "insufficient_quota", "insufficient_quota"),
    Kind.STORAGE_FULL: (507, SERVER, "storage_full"),
    Kind.UNAVAILABLE: (503, SERVER, "service_unavailable"),
}
"""Status, `type` and `code` of every kind."""

_MESSAGES = {
    Kind.UNAUTHENTICATED: "Send the API key of this server as `Authorization: Bearer <key>`",
    Kind.PAGE_NOT_FOUND: "This server has no such address; it has /v1/audio/transcriptions, /v1/audio/translations, /v1/models",
    Kind.MISSING_DATA_FILE: "Send the media in a part named file",
    Kind.INVALID_AUDIO: "The media has no audio that can be decoded",
    Kind.RATE_LIMITED: "Too many requests; wait for the seconds of Retry-After",
    Kind.TOO_MANY_JOBS: "Too many jobs wait or run; wait for the seconds of Retry-After",
    Kind.JOB_EXPIRED: "The job was deleted while it ran",
    Kind.FILE_EXPIRED: "The job was deleted while it ran",
}
"""Messages for errors without a reason of their own."""

_PARAMS = {
    "data_file": "file",
    "language_identification_config.expected_languages": "languages",
    "language_identification_config.default_language": "language",
}
"""Where the service names a member of a V2 request: the parameter that it was made from."""

INTERNAL = (500, "The server had an error; report the Request-Id header to the operator", SERVER)


def speaks(path: str) -> bool:
    """True if *path* belongs to OpenAI's API, whose errors have this form."""
    return _OURS.fullmatch(path) is not None


def openai_error(refused: Refused) -> tuple[int, dict[str, Any]]:
    """Status and JSON body for *refused*."""
    status, kind, code = OPENAI[refused.kind]
    message = refused.why or _MESSAGES.get(refused.kind) or str(refused.kind).replace("_", " ")
    param = _param(refused.at)
    shown = f"{param}: {message}" if param and not message.startswith("The ") else message
    return status, body(shown, kind, param=param, code=code)


def internal_error() -> tuple[int, dict[str, Any]]:
    """Status and JSON body for an error of the service."""
    status, message, kind = INTERNAL
    return status, body(message, kind)


def body(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error object; all four members are always present, as clients expect."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _param(at: str | None) -> str | None:
    if at is None:
        return None
    if at.startswith("transcription_config.additional_vocab"):
        return "prompt"
    return _PARAMS.get(at, at.removeprefix("transcription_config."))

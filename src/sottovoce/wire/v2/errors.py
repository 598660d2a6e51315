"""The V2 status and body for each kind of error (contract `batch-v2.md` §3).

The JavaScript client throws an untyped error for any `error` that is not in the published list, so every kind has an `error`
of that list, except those in `OUTSIDE_THE_LIST`, which the contract shows elsewhere.
"""

from typing import Any

from sottovoce.errors import Kind, Refused

PUBLISHED = frozenset({
    "Bad Request", "File Expired", "Forbidden", "Resource Locked", "Format Not Supported", "Internal Server Error", "Job error",
    "Job Expired", "Job In Progress", "Job is not of type alignment", "Job is not of type transcription", "Job not found",
    "Job rejected", "Job rejected due to invalid audio", "Job rejected due to invalid text", "Malformed request",
    "Missing callback", "Missing data_file", "Missing text_file", "No language selected", "Not Implemented",
    "Permission Denied", "Requested product not available", "Transcription not ready", "Log file not available",
    "Unprocessable Entity", "Max concurrent running jobs exceeded", "Requested Early Access Release not available",
})  # fmt: skip
"""The published values of `error` (contract §3.2)."""

CONFIG_INVALID = "Job config JSON is invalid"

V2: dict[Kind, tuple[int, str]] = {
    Kind.BAD_REQUEST: (400, "Bad Request"),
    Kind.MALFORMED: (400, "Malformed request"),
    Kind.INVALID_CONFIG: (400, "Job rejected"),
    Kind.INVALID_QUERY: (422, ""),  # `error` is the message itself (§3.3, GET /jobs)
    Kind.MISSING_DATA_FILE: (400, "Missing data_file"),
    Kind.MISSING_TEXT_FILE: (400, "Missing text_file"),
    Kind.MISSING_CALLBACK: (400, "Missing callback"),
    Kind.NO_LANGUAGE: (400, "No language selected"),
    Kind.INVALID_AUDIO: (400, "Job rejected due to invalid audio"),
    Kind.LANGUAGE: (400, "Job rejected"),
    Kind.INVALID_TEXT: (400, "Job rejected due to invalid text"),
    Kind.TOO_LARGE: (413, "Job rejected"),
    Kind.LENGTH_REQUIRED: (411, "Bad Request"),
    Kind.REQUEST_TIMEOUT: (408, "Bad Request"),
    Kind.UNAUTHENTICATED: (401, "Permission Denied"),
    Kind.FORBIDDEN: (403, "Forbidden"),
    Kind.PAGE_NOT_FOUND: (404, "Page Not Found"),
    Kind.METHOD_NOT_ALLOWED: (405, "Bad Request"),
    Kind.JOB_NOT_FOUND: (404, "Job not found"),
    Kind.JOB_EXPIRED: (410, "Job Expired"),
    Kind.FILE_EXPIRED: (410, "File Expired"),
    Kind.JOB_IN_PROGRESS: (404, "Job In Progress"),
    Kind.JOB_REJECTED: (404, "Job rejected"),
    Kind.JOB_LOCKED: (423, "Resource Locked"),
    Kind.NOT_READY: (404, "Transcription not ready"),
    Kind.NOT_TRANSCRIPTION: (404, "Job is not of type transcription"),
    Kind.NOT_ALIGNMENT: (404, "Job is not of type alignment"),
    Kind.FORMAT_NOT_SUPPORTED: (404, "Format Not Supported"),
    Kind.LOG_NOT_AVAILABLE: (404, "Log file not available"),
    Kind.PRODUCT_NOT_AVAILABLE: (400, "Requested product not available"),
    Kind.EAR_NOT_AVAILABLE: (410, "Requested Early Access Release not available"),
    Kind.MODEL_NOT_FOUND: (400, "Requested product not available"),
    Kind.NOT_IMPLEMENTED: (501, "Not Implemented"),
    Kind.RATE_LIMITED: (429, "Rate Limited"),
    Kind.TOO_MANY_JOBS: (429, "Max concurrent running jobs exceeded"),
    Kind.TOO_MANY_SESSIONS: (429, "Job error"),
    Kind.STORAGE_FULL: (507, "Job error"),
    Kind.INSUFFICIENT_CREDIT: (403, "Forbidden"),
    Kind.UNAVAILABLE: (503, "Job error"),
}
"""Status and `error` of every kind."""

OUTSIDE_THE_LIST = frozenset({Kind.PAGE_NOT_FOUND, Kind.RATE_LIMITED, Kind.INVALID_QUERY})
"""Kinds whose `error` the contract shows although its list does not contain it."""

_DETAILS = {
    Kind.FILE_EXPIRED: "File deleted from the storage",
    Kind.LOG_NOT_AVAILABLE: "Could not read log file",
}

INTERNAL: tuple[int, dict[str, Any]] = (500, {"code": 500, "error": "Internal Server Error"})
"""The answer to every error of the service."""


def v2_error(refused: Refused) -> tuple[int, dict[str, Any]]:
    """Status and JSON body for *refused*."""
    status, word = V2[refused.kind]
    detail = refused.detail or _DETAILS.get(refused.kind, "")
    if refused.kind is Kind.INVALID_QUERY:
        return status, {"code": status, "error": detail or "Unprocessable Entity"}
    if refused.kind is Kind.INVALID_CONFIG:
        detail = f"{CONFIG_INVALID}. Error: {detail}" if detail else CONFIG_INVALID
    body: dict[str, Any] = {"code": status, "error": word}
    if detail:
        body["detail"] = detail
    return status, body

"""The V1 answer to each kind of error (contract `legacy-v1.md` §4): 4xx are JSON of exactly two members, 5xx are HTML."""

import re
from http import HTTPStatus

from sottovoce.errors import Kind, Refused

_OURS = re.compile(r"/v1\.0(/.*)?|/v1/(user|status)(/.*)?")
_REJECTED = "Job was rejected on submission"

V1: dict[Kind, tuple[int, str]] = {
    # kinds that the contract names
    Kind.MALFORMED: (400, "Malformed request"),
    Kind.MISSING_DATA_FILE: (400, "Missing data_file"),
    Kind.NO_LANGUAGE: (400, "No language selected"),
    Kind.MISSING_CALLBACK: (400, "Missing callback"),
    Kind.PRODUCT_NOT_AVAILABLE: (400, "Requested product not available"),
    Kind.UNAUTHENTICATED: (401, "Invalid User Id or Token"),
    Kind.INVALID_AUDIO: (403, "Job rejected due to invalid audio"),
    Kind.INSUFFICIENT_CREDIT: (403, "Insufficient Credit"),
    Kind.PAGE_NOT_FOUND: (404, "Page Not Found"),
    Kind.JOB_NOT_FOUND: (404, "Job not found"),
    Kind.INVALID_TEXT: (404, "Text could not be aligned to audio"),
    Kind.JOB_REJECTED: (404, _REJECTED),
    Kind.NOT_ALIGNMENT: (404, "Job is not of type alignment"),
    Kind.JOB_IN_PROGRESS: (404, "Job In Progress"),
    Kind.FORMAT_NOT_SUPPORTED: (404, "Output format Not Supported"),
    Kind.RATE_LIMITED: (429, "Too Many requests"),
    # other kinds, with the nearest text of the contract
    Kind.BAD_REQUEST: (400, "Malformed request"),
    Kind.INVALID_QUERY: (422, "Malformed request"),
    Kind.INVALID_CONFIG: (400, "Requested product not available"),
    Kind.LANGUAGE: (400, "Requested product not available"),
    Kind.MISSING_TEXT_FILE: (400, "Malformed request"),
    Kind.NOT_TRANSCRIPTION: (404, "Job not found"),
    Kind.JOB_EXPIRED: (404, "Job not found"),
    Kind.FILE_EXPIRED: (404, "Job not found"),
    Kind.NOT_READY: (404, "Job In Progress"),
    Kind.LOG_NOT_AVAILABLE: (404, "Page Not Found"),
    Kind.EAR_NOT_AVAILABLE: (400, "Requested product not available"),
    Kind.MODEL_NOT_FOUND: (400, "Requested product not available"),
    Kind.FORBIDDEN: (401, "Invalid User Id or Token"),
    Kind.TOO_MANY_JOBS: (429, "Too Many requests"),
    Kind.TOO_MANY_SESSIONS: (429, "Too Many requests"),
    Kind.JOB_LOCKED: (423, "Job In Progress"),
    Kind.METHOD_NOT_ALLOWED: (405, "Method Not Allowed"),
    Kind.REQUEST_TIMEOUT: (408, "Request Timeout"),
    Kind.LENGTH_REQUIRED: (411, "Length Required"),
    Kind.TOO_LARGE: (413, "File Too Large"),
    # errors of the service, as an HTML page
    Kind.NOT_IMPLEMENTED: (500, ""),
    Kind.STORAGE_FULL: (503, ""),
    Kind.UNAVAILABLE: (503, ""),
}
"""Status and `error` text of every kind."""

PHRASES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"}
"""The contract's names of errors of the service (§4.2)."""


def v1_error(refused: Refused) -> tuple[int, dict[str, object] | str]:
    """Status and body for *refused*: a JSON object, or HTML text from status 500 on."""
    status, text = V1[refused.kind]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, html(status)
    return status, {"code": status, "error": text}


def html(status: int) -> str:
    """The HTML page for *status*, a key of `PHRASES` (contract §4.2, body inferred)."""
    line = f"{status} {PHRASES[status]}"
    return f"<html><head><title>{line}</title></head><body><h1>{line}</h1></body></html>\n"


def speaks(path: str) -> bool:
    """True if *path* belongs to V1, whose errors have the form above; the management API is below `/v1` too."""
    return _OURS.fullmatch(path) is not None

"""Responses in the shapes of the contract: compact JSON with the media type that the client accepts, and errors."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sottovoce.errors import Busy, MethodNotAllowed, Refused
from sottovoce.service.limits.rate_limits import RateLimited
from sottovoce.service.storage.trouble import temporary
from sottovoce.wire.openai_audio import errors as openai_errors
from sottovoce.wire.openai_audio.errors import openai_error
from sottovoce.wire.v1 import errors as v1_errors
from sottovoce.wire.v1.errors import v1_error
from sottovoce.wire.v2.errors import INTERNAL, v2_error

_log = logging.getLogger(__name__)

JSON = "application/json"
VENDOR_JSON = "application/vnd.speechmatics.v2+json"
AFTER = 5
"""Seconds after which a caller may try again after temporary trouble."""
TEXT = "text/plain; charset=utf-8"
HTML = "text/html"
PIECE = 1 << 18
"""Bytes of a streamed list that are sent at once."""


def json_type(request: Request) -> str:
    """The vendor media type when `Accept` names it, else plain JSON: clients parse no other type (contract §2.2)."""
    return VENDOR_JSON if "application/vnd.speechmatics.v2" in request.headers.get("accept", "") else JSON


def json(request: Request, body: Any, status: int = 200) -> Response:
    """A response with *body* as compact JSON."""
    return Response(orjson.dumps(body), status, media_type=json_type(request))


async def jobs(request: Request, listed: AsyncIterator[bytes], media_type: str, *, streamed: bool) -> Response:
    """The list of the job objects in *listed*, which come joined by commas.

    *streamed*: sent as they come, in bounded memory, instead of with a `Content-Length`.
    """
    if streamed:
        nothing = request.method == "HEAD"  # the server drops the body; do not make one
        return StreamingResponse(_enclosed(listed) if not nothing else iter(()), media_type=media_type)
    return Response(b"".join([piece async for piece in _enclosed(listed)]), media_type=media_type)


async def _enclosed(listed: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    before = b'{"jobs":['
    async for objects in listed:
        yield before
        for first in range(0, len(objects), PIECE):  # so that a client that reads slowly is waited for early
            yield objects[first : first + PIECE]
        before = b","
    yield b"]}" if before == b"," else before + b"]}"


def text(body: str, status: int = 200) -> Response:
    """A response with *body* as UTF-8 text."""
    return Response(body.encode("utf-8", "replace"), status, headers={"content-type": TEXT})


def refusal(refused: Refused) -> Response:
    """The error response of V2 for *refused*; always plain JSON."""
    status, body = v2_error(refused)
    return Response(orjson.dumps(body), status, headers=_headers(refused, status), media_type=JSON)


def internal_error() -> Response:
    """The error response of V2 for an error of the service."""
    status, body = INTERNAL
    return Response(orjson.dumps(body), status, media_type=JSON)


def legacy_refusal(refused: Refused) -> Response:
    """The error response of V1 for *refused*: JSON of two members, or HTML for a server error."""
    status, body = v1_error(refused)
    headers = _headers(refused, status)
    if isinstance(body, str):
        return Response(body, status, headers=headers, media_type=HTML)
    return Response(orjson.dumps(body), status, headers=headers, media_type=JSON)


def openai_refusal(refused: Refused) -> Response:
    """The error response of OpenAI's API for *refused*."""
    status, body = openai_error(refused)
    return Response(orjson.dumps(body), status, headers=_headers(refused, status), media_type=JSON)


def refusal_of(path: str, refused: Refused) -> Response:
    """The error response for *refused* in the form of the API that *path* belongs to."""
    if openai_errors.speaks(path):
        return openai_refusal(refused)
    return legacy_refusal(refused) if v1_errors.speaks(path) else refusal(refused)


def internal_error_of(path: str) -> Response:
    """The error response for an error of the service in the form of the API that *path* belongs to."""
    if openai_errors.speaks(path):
        status, body = openai_errors.internal_error()
        return Response(orjson.dumps(body), status, media_type=JSON)
    status, body = INTERNAL
    if v1_errors.speaks(path):
        return Response(v1_errors.html(status), status, media_type=HTML)
    return Response(orjson.dumps(body), status, media_type=JSON)


def translated(error: Exception) -> Refused | None:
    """The refusal that every API answers *error* with: itself, or 503 for temporary trouble; `None` for a bug.

    This is the one place that decides it; each API has its own form of the response.
    """
    if isinstance(error, Refused):
        return error
    why = temporary(error)
    if why is None:
        return None
    _log.warning("temporarily unavailable", extra={"why": f"{type(error).__name__}: {error}"[:500], "told": why})
    return Busy(why, after=AFTER)


def _headers(refused: Refused, status: int) -> dict[str, str]:
    after = refused.after if isinstance(refused, RateLimited | Busy) else 1
    headers = {"retry-after": str(after)}
    if status not in {429, 503}:
        headers = {}
    if status == 401:  # noqa: PLR2004 - RFC 9110 §15.5.2 requires the header
        headers["www-authenticate"] = "Bearer"
    if isinstance(refused, MethodNotAllowed):  # §15.5.6
        headers["allow"] = refused.allowed
    return headers

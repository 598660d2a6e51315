"""Responses in the shapes of the contract: compact JSON with the media type that the client accepts, and errors."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Busy, MethodNotAllowed, Refused
from sottovoce.service.limits.rate_limits import RateLimited
from sottovoce.wire.v1.errors import v1_error
from sottovoce.wire.v2.errors import INTERNAL, v2_error

JSON = "application/json"
VENDOR_JSON = "application/vnd.speechmatics.v2+json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html"


def json_type(request: Request) -> str:
    """The vendor media type when `Accept` names it, else plain JSON: clients parse no other type (contract §2.2)."""
    return VENDOR_JSON if "application/vnd.speechmatics.v2" in request.headers.get("accept", "") else JSON


def json(request: Request, body: Any, status: int = 200) -> Response:
    """A response with *body* as compact JSON."""
    return Response(orjson.dumps(body), status, media_type=json_type(request))


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


def _headers(refused: Refused, status: int) -> dict[str, str]:
    headers = {"retry-after": str(refused.after if isinstance(refused, RateLimited | Busy) else 1)}
    if status not in {429, 503}:
        headers = {}
    if status == 401:  # noqa: PLR2004 - RFC 9110 §15.5.2 requires the header
        headers["www-authenticate"] = "Bearer"
    if isinstance(refused, MethodNotAllowed):  # §15.5.6
        headers["allow"] = refused.allowed
    return headers

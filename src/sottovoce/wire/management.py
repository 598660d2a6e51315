"""The management API: requests and bodies of keys and projects, and its errors (contract `batch-v2.md` §13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from sottovoce.errors import Kind, Refused
from sottovoce.wire import timestamps
from sottovoce.wire.v2.errors import v2_error

MAX_BODY = 64 << 10  # bytes
TYPES = ("rt", "batch", "tts")
"""The values of `type` of a key; the former value `flow` is in `NOT_HERE` (§13.2)."""
NOT_HERE = frozenset({"tts", "flow"})
"""Types of keys for products that this service does not have."""
_INT64 = 1 << 63

_WORDS: Mapping[Kind, tuple[int, str]] = {
    Kind.MALFORMED: (400, "Bad Request"),
    Kind.INVALID_QUERY: (422, "Unprocessable Entity"),
    Kind.TOO_LARGE: (413, "Bad Request"),
    Kind.PAGE_NOT_FOUND: (404, "Not Found"),
    Kind.PRODUCT_NOT_AVAILABLE: (403, "Forbidden"),
}
"""Status and `error` of the kinds whose answer differs from V2's; the API description does not list error words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A request of `POST /api-keys`. *ttl* in seconds, `None`: a permanent key. *project_id* `None`: the caller's project."""

    type: str
    project_id: int | None
    name: str
    client_ref: str | None
    ttl: int | None


def key_request(query: Mapping[str, str], body: bytes) -> KeyRequest:
    """The parsed request for a key; `region` is ignored (§13.2: deprecated). Raises `Refused`."""
    kind = query.get("type", "batch")
    if kind not in {*TYPES, *NOT_HERE}:
        raise _invalid(f"type in query should be one of [{' '.join(TYPES)}]")
    members = _members(body)
    return KeyRequest(
        type=kind,
        project_id=_integer(members, "project_id"),
        name=_text(members, "name") or "",
        client_ref=_client_ref(members),
        ttl=_integer(members, "ttl"),
    )


def _client_ref(members: Mapping[str, Any]) -> str | None:
    """`client_ref`. Raises `Refused` for an empty one: it would give a key for all data instead of one customer's."""
    text = _text(members, "client_ref")
    if text is not None and not text.strip():
        raise _invalid("client_ref in body should be at least 1 chars long")
    return text


def project_request(body: bytes) -> tuple[str, str | None]:
    """Name and description of a project; `contract_id` is checked and ignored. Raises `Refused`."""
    members = _members(body)
    name = _text(members, "name")
    if name is None:
        raise _invalid("name in body is required")
    _integer(members, "contract_id")
    return name, _text(members, "description")


def _invalid(text: str) -> Refused:
    return Refused(Kind.INVALID_QUERY, text)


def _members(body: bytes) -> dict[str, Any]:
    """The members of the JSON object in *body*; none for an empty body, since a body is optional (§13.2)."""
    if not body.strip():
        return {}
    try:
        found = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(Kind.MALFORMED, "the body is not valid JSON") from error
    if not isinstance(found, dict):
        raise _invalid("body in body must be of type object")
    return found


def _integer(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    if value is not None and (type(value) is not int or not -_INT64 <= value < _INT64):
        raise _invalid(f"{name} in body must be of type int64")
    return value


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"{name} in body must be of type string")
    return value


def key_object(
    *, key_id: str, name: str, created_at: int, client_ref: str | None, manages: bool | None = None
) -> dict[str, Any]:
    """A key in a list, without its value; with *manages* also that member, an addition of this server."""
    body: dict[str, Any] = {"apikey_id": key_id, "name": name, "created_at": timestamps.milliseconds(created_at)}
    if manages is not None:
        body["manages"] = manages
    return body if client_ref is None else {**body, "client_ref": client_ref}


def new_key_object(value: str, key_id: str | None) -> dict[str, Any]:
    """The answer to `POST /api-keys`, the only one that contains the value. A temporary key has no id (§13.3)."""
    return {"apikey_id": key_id, "key_value": value}


def project_object(
    *, project_id: int, name: str, description: str | None, is_default: bool, created_at: int
) -> dict[str, Any]:
    """A project that exists, so `is_active` is always true."""
    body: dict[str, Any] = {
        "project_id": project_id,
        "is_default": is_default,
        "is_active": True,
        "name": name,
        "created_at": timestamps.milliseconds(created_at),
    }
    return body if description is None else {**body, "description": description}


def management_error(refused: Refused) -> tuple[int, dict[str, Any]]:
    """Status and JSON body for *refused*. A 422 also has `message`, which the JavaScript client reads (§13.3)."""
    if refused.kind not in _WORDS:
        return v2_error(refused)
    status, word = _WORDS[refused.kind]
    body: dict[str, Any] = {"code": status, "error": word}
    if refused.detail:
        body["detail"] = refused.detail
    if refused.kind is Kind.INVALID_QUERY:
        body["message"] = refused.detail
    return status, body

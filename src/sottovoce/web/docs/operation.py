"""The description of one API operation, and its OpenAPI operation object."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.web.docs import schemas

_LEGACY_WORDS = {
    401: "No key, or the key of another user: `Invalid User Id or Token`.",
    429: "`Too Many requests`; wait for the seconds of `Retry-After`.",
    500: "A server error, as HTML; report the `Request-Id` header to the operator.",
    503: "Temporarily unavailable, as HTML; try again.",
}
"""The common errors as V1 words them."""
_OPENAI_WORDS = {
    401: "No key, or an unknown key; `code` is `invalid_api_key`.",
    429: "Too many requests (wait for the seconds of `Retry-After`), or, where jobs are billed, too few credits.",
    500: "A server error; report the `Request-Id` header to the operator.",
    503: "Temporarily unavailable; try again after the seconds of `Retry-After`.",
}
"""The common errors as OpenAI's API words them."""
_WORDS = {"legacy": _LEGACY_WORDS, "openai": _OPENAI_WORDS}
_ERRORS = {"openai": "OpenAiErrorResponse"}
"""The schema of errors, where it is not `ErrorResponse`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One API operation. *query*, *form* and *body* hold name, type and meaning; *errors* holds status and condition.

    Types of *form*: `json` (a JobConfig), `file`, `media` (a required file), `text`, `optional` (a text), `list` (of texts).
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    returns: str
    """The body of the success response; the description of that response in OpenAPI."""
    status: int = 200
    media_types: tuple[str, ...] = ("application/json", "application/vnd.speechmatics.v2+json")
    query: tuple[tuple[str, str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str, str], ...] = ()
    body: tuple[tuple[str, str, str], ...] = ()
    errors: tuple[tuple[int, str], ...] = ()
    tag: str = "batch"
    stranger: int = 401
    """Status without a key and with an unknown key; 0 if the operation needs none."""

    @property
    def base(self) -> str:
        """The prefix of its path."""
        return {
            "management": "/v1",
            "discovery": "/v1",
            "openai": "/v1",
            "legacy": "/v1.0",
            "account": "",
            "operator": "/v1",
        }.get(self.tag, "/v2")

    @property
    def all_errors(self) -> tuple[tuple[int, str], ...]:
        """The operation's own errors and the common ones, by status."""
        common = (
            *(((401, "No key, or an unknown key: `Permission Denied`."),) if self.stranger == 401 else ()),  # noqa: PLR2004
            (429, "Too many requests; wait for the seconds of `Retry-After`."),
            (500, "A server error: `Internal Server Error`; report the `Request-Id` header to the operator."),
            (503, "Temporarily unavailable; try again."),
        )
        words = _WORDS.get(self.tag, {})
        common = tuple((code, words.get(code, when)) for code, when in common)
        return tuple(sorted((*self.errors, *common)))

    def openapi(self) -> dict[str, Any]:
        """The operation object of the OpenAPI document."""
        body: dict[str, Any] = {
            "operationId": self.id,
            "summary": self.summary,
            "description": self.description,
            "tags": [self.tag],
            "security": [{"bearer": []}] if self.stranger else [],
            "parameters": [*map(_query_parameter, self.query), *map(_header_parameter, self.headers)],
            "responses": {
                str(self.status): {"description": self.returns, "content": self._content()},
                **{str(code): self._error_response(when) for code, when in self.all_errors},
            },
        }
        for name in re.findall(r"{(\w+)}", self.path):
            body["parameters"].insert(0, {"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
        if self.form:
            body["requestBody"] = _multipart(self.form)
        if self.body:
            body["requestBody"] = _json_body(self.body)
        return body

    def _error_response(self, when: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{_ERRORS.get(self.tag, 'ErrorResponse')}"}
        return {"description": when, "content": {"application/json": {"schema": schema}}}

    def _content(self) -> dict[str, Any]:
        return {kind: {"schema": _schema_of(kind, self.id)} for kind in self.media_types}


def _schema_of(media_type: str, operation_id: str) -> dict[str, Any]:
    if media_type.endswith("json"):
        return schemas.answer(operation_id)
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _query_parameter(entry: tuple[str, str, str]) -> dict[str, Any]:
    name, kind, meaning = entry
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": kind}}


def _header_parameter(entry: tuple[str, str]) -> dict[str, Any]:
    name, meaning = entry
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string"}}


def _multipart(parts: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    properties = {name: _part(kind, meaning) for name, kind, meaning in parts}
    schema = {
        "type": "object",
        "required": [name for name, kind, _ in parts if kind not in {"file", "optional", "list"}],
        "properties": properties,
    }
    encoding = {name: {"contentType": "application/json"} for name, kind, _ in parts if kind == "json"}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "encoding": encoding}}}


def _part(kind: str, meaning: str) -> dict[str, Any]:
    if kind == "json":
        return {"$ref": "#/components/schemas/JobConfig", "description": meaning}
    if kind == "list":
        return {"type": "array", "items": {"type": "string"}, "description": meaning}
    return {"type": "string", "description": meaning, **({"format": "binary"} if kind in {"file", "media"} else {})}


def _json_body(members: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    properties = {name: {"type": kind, "description": meaning} for name, kind, meaning in members}
    return {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}

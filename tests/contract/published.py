"""The published description (swagger 2) as JSON Schemas, closed: a member that no definition lists is a fault."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import jsonschema

from tests.contract import deviations

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def _formats() -> Any:
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time")(lambda value: not isinstance(value, str) or bool(_RFC3339.fullmatch(value)))
    return formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: answers by status (`None`: no schema), and what it produces."""

    answers: Mapping[int, Mapping[str, Any] | None]
    produces: tuple[str, ...]


class Published:
    """One part of `rest.json`."""

    def __init__(self, path: Path, part: str) -> None:
        self._part = json.loads(path.read_text(encoding="utf-8"))[part]

    @cached_property
    def _definitions(self) -> dict[str, Any]:
        found = {name: _closed(definition) for name, definition in self._part["definitions"].items()}
        for definition, member in deviations.MEMBERS:
            found[definition]["properties"].setdefault(member, {})
        for definition, member in deviations.UNNESTED:
            if definition in found:
                found[definition] = found[definition]["properties"][member]
        found["ErrorResponse"]["properties"]["error"]["enum"] += list(deviations.WORDS)
        return found

    def operation(self, method: str, path: str) -> Operation:
        """The operation of *method* at *path*, with `{jobid}` as the description writes it."""
        found = self._part["paths"][path][method.lower()]
        answers = {int(status): answer.get("schema") for status, answer in found["responses"].items()}
        return Operation(answers=answers, produces=tuple(found.get("produces") or self._part["produces"]))

    def check(self, body: Any, schema: Mapping[str, Any]) -> None:
        """Raise `jsonschema.ValidationError` unless *body* is as *schema* of this part has it."""
        whole = {"definitions": self._definitions, "allOf": [schema]}
        jsonschema.Draft4Validator(whole, format_checker=_formats()).validate(body)

    def verify(self, answer: httpx.Response, path: str) -> None:
        """*answer* to a request for *path* is one that the description or `deviations` has."""
        operation = self.operation(answer.request.method, path)
        assert answer.status_code in {*operation.answers, *deviations.STATUSES}, answer.text
        kind = answer.headers["content-type"]
        schema = operation.answers.get(answer.status_code)
        if answer.status_code >= 400:
            self.error(answer)
        elif kind.endswith("json"):
            assert kind in operation.produces
            self.check(answer.json(), schema or {"not": {}})
        else:
            assert kind in {*operation.produces, *deviations.MEDIA_TYPES}
            assert (schema or {}).get("type") == "file" or "text/plain" in operation.produces

    def error(self, answer: httpx.Response) -> None:
        """*answer* is an error as the description or `deviations` has it."""
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        if answer.status_code in deviations.SENTENCES:
            assert list(body) == ["code", "error"]
        else:
            self.check(body, {"$ref": "#/definitions/ErrorResponse"})
        assert body["code"] == answer.status_code


def _closed(schema: Any) -> Any:
    """*schema* with every object of named properties closed."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(member) for name, member in schema.items()}
    if isinstance(closed.get("properties"), dict) and schema.get("type", "object") == "object":
        closed.setdefault("additionalProperties", False)
    return closed

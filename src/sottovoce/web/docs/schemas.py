"""The schemas of `/openapi.json`: JobConfig and all JSON answers, made from their models."""

import re
from typing import Any

from pydantic import BaseModel, TypeAdapter

from sottovoce.web.docs.addition_answers import ADDITION_ANSWERS
from sottovoce.web.docs.answers import ANSWERS, ErrorResponse
from sottovoce.web.docs.openai_answers import OPENAI_ANSWERS, OpenAiErrorResponse
from sottovoce.web.workspace.answers import WORKSPACE_ANSWERS
from sottovoce.wire.v2.config_schema import JobConfig

_ANSWERS = {**ANSWERS, **ADDITION_ANSWERS, **OPENAI_ANSWERS, **WORKSPACE_ANSWERS}
_REF = "#/components/schemas/{model}"
_SECTION = re.compile(r" \(contract [^)]*\)")  # sections that only developers of the server can look up


def components() -> dict[str, Any]:
    """The schemas by name."""
    kinds = (JobConfig, *_ANSWERS.values(), ErrorResponse, OpenAiErrorResponse)
    adapters: list[TypeAdapter[Any]] = [TypeAdapter(kind) for kind in kinds]
    # all in one pass: one for each answer takes ten times as long
    _, made = TypeAdapter.json_schemas(
        [(number, "validation", adapter) for number, adapter in enumerate(adapters)], by_alias=True, ref_template=_REF
    )
    return {name: _plain(schema) for name, schema in sorted(made["$defs"].items())}


def answer(operation_id: str) -> dict[str, Any]:
    """The schema of the JSON answer of an operation, as a reference; empty for one without."""
    kind = _ANSWERS.get(operation_id)
    if kind is None:
        return {}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {"$ref": _REF.format(model=kind.__name__)}
    schema = TypeAdapter(kind).json_schema(by_alias=True, ref_template=_REF)
    schema.pop("$defs", None)
    return schema


def _plain(schema: Any) -> Any:
    """*schema* as clients need it: optional members are absent instead of null, and unknown members are allowed."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = schema.get("additionalProperties") is False
    body = {name: value for name, value in schema.items() if not (closed and name == "additionalProperties")}
    if isinstance(text := body.get("description"), str):
        body["description"] = _SECTION.sub("", text)
    if body.get("default", body) is None:
        del body["default"]
        kinds = [each for each in body.pop("anyOf", []) if each.get("type") != "null"]
        body = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **body} if kinds else body
    if isinstance(body.get("properties"), dict):
        body["properties"] = {name: _plain(value) for name, value in body["properties"].items()}
        return {name: value if name == "properties" else _plain(value) for name, value in body.items()}
    return {name: value if name == "examples" else _plain(value) for name, value in body.items()}

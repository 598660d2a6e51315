"""The schemas of `/openapi.json`: JobConfig and all JSON answers, made from their models.

Descriptions, defaults and examples of JobConfig come from `job_options.py`.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from sottovoce.web.docs.addition_answers import ADDITION_ANSWERS
from sottovoce.web.docs.answers import ANSWERS, ErrorResponse
from sottovoce.web.docs.job_options import BY_PATH, Option
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
    found = made["$defs"]
    _describe(found["JobConfig"], found, "")
    return {name: _plain(schema) for name, schema in sorted(found.items())}


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


def _describe(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> None:
    """Put the texts of `job_options.py` into *schema* and the schemas that it refers to."""
    for name, member in schema["properties"].items():
        option = BY_PATH.get(f"{prefix}{name}") or BY_PATH[f"{prefix}{name}[]"]
        _add(member, option)
        for reference in _references(member):
            part = definitions[reference]
            if not part.get("described"):
                part["described"] = True  # several members may share a model: the first one describes it
                _describe(part, definitions, f"{option.path}.")


def _add(member: dict[str, Any], option: Option) -> None:
    engines = f" Engines: {option.engines}." if option.engines else ""
    default = f" Default: {option.default}." if option.default else ""
    member["description"] = f"{option.meaning}{default}{engines}"
    member["examples"] = [option.example]


def _references(schema: Any) -> Iterator[str]:
    """The names of the definitions that *schema* itself refers to."""
    if isinstance(schema, dict):
        if isinstance(found := schema.get("$ref"), str):
            yield found.rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _plain(schema: Any) -> Any:
    """*schema* as clients need it: optional members are absent instead of null, and unknown members are allowed."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = {"described"} | ({"additionalProperties"} if schema.get("additionalProperties") is False else set())
    body = {name: value for name, value in schema.items() if name not in left_out}
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

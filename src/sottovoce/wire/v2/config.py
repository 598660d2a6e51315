"""Parses the `config` part of `POST /v2/jobs` to a `Request`; raises `Refused` that names the invalid field (contract §6).

The input is untrusted: size, depth and values are checked before objects are built from them. An error message never
repeats a URL, a header or a speaker identifier, and at most a few characters of other values.

In order: `parse_job_config`; checks of all values. The models are in `config_schema.py`, the texts of errors in `config_errors.py`,
the mapping to the request in `config_mapping.py`.
"""

import math
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from sottovoce.errors import Refused
from sottovoce.request import Request
from sottovoce.wire.v2 import config_schema as models
from sottovoce.wire.v2.config_errors import Path, dotted, invalid, json_type, refused_by
from sottovoce.wire.v2.config_mapping import to_request

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Bytes of the whole config part; our choice: enough for the contract's longest vocabulary of ordinary words."""
MAX_DEPTH = 64
"""Nesting depth of objects and lists; our choice (only `tracking.details` may be deeply nested)."""
MAX_VALUES = 150_000
"""Names and values of the whole config; our choice: the contract's longest vocabulary has 104,000. Empty lists in 4 MB are a
million objects of 60 bytes each, in every later read of the config."""
_BOM = b"\xef\xbb\xbf"


def parse_job_config(raw: bytes) -> Request:
    """The request in *raw* (UTF-8 JSON, with or without a byte order mark).

    Raises `Refused(Kind.INVALID_CONFIG)`; `at` is the dotted path of the field (`notification_config[0].url`), `None`
    if the text as a whole is invalid. A later stage checks if a language, domain or translation pair is available.
    """
    tree = json_object(raw, max_bytes=MAX_CONFIG_BYTES)
    try:
        config = models.JobConfig.model_validate(tree)
    except ValidationError as failure:
        error = failure.errors(include_url=False)[0]
    else:
        return to_request(config)
    raise refused_by(error)  # outside the handler: the chained exception would carry the caller's secrets into our log


def json_object(raw: bytes, *, max_bytes: int) -> dict[str, Any]:
    """The JSON object in *raw*, within the limits on bytes, depth and number of values. Raises `Refused`."""
    if len(raw) > max_bytes:
        raise invalid(f"must be at most {max_bytes:,} bytes of JSON, got {len(raw):,}")
    text = raw.removeprefix(_BOM)
    if not text.strip():
        raise invalid("must be a JSON object, got nothing")
    try:
        tree = from_json(text, allow_inf_nan=False, cache_strings="none")
    except ValueError as failure:  # the message contains a position, not the text
        raise invalid(f"is not valid JSON: {str(failure)[:100]}") from None
    if not isinstance(tree, dict):
        raise invalid(f"must be a JSON object, got {json_type(tree)}")
    _check_values(tree)
    return tree


def _check_values(tree: dict[str, Any]) -> None:
    level: list[Any] = [tree]  # level by level and without paths, so that a megabyte of brackets does not take seconds
    count = 0
    for _ in range(MAX_DEPTH):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return
        level = [child for container in containers for child in _children(container)]
        count += len(level)
        if count > MAX_VALUES:
            raise invalid(f"must not hold more than {MAX_VALUES:,} names and values")
        if any(map(_value_problem, level)):
            raise _value_refusal(tree)
    if any(isinstance(value, dict | list) for value in level):
        raise invalid(f"must not be nested more than {MAX_DEPTH} levels deep")


def _children(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return (*container.keys(), *container.values()) if isinstance(container, dict) else container


def _value_problem(value: object) -> str:
    if isinstance(value, str):
        return "must not hold the NUL character" if "\0" in value else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "must be a finite number"
    # our JSON encoder writes integers of at most 64 bits
    return "is too large a number" if isinstance(value, int) and not -(2**63) <= value < 2**64 else ""


def _value_refusal(tree: dict[str, Any]) -> Refused:
    pending: list[tuple[Path, Any]] = [((), tree)]
    while pending:
        path, container = pending.pop()
        for name, child in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(name, str) and _value_problem(name):
                return invalid("must not have a member whose name holds the NUL character", dotted(path))
            if why := _value_problem(child):
                return invalid(why, dotted((*path, name)))
            if isinstance(child, dict | list):
                pending.append(((*path, name), child))
    raise LookupError("the invalid value of the config was not found again")

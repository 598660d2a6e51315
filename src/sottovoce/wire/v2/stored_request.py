"""The stored form of a parsed request: compressed JSON with a version, written when a job is accepted.

Defaults are written too, so that a release that changes a default changes no job that was accepted before. A change of `Request`
that the decoder below does not read increases `VERSION` and keeps the decoder of the older version.
"""

import zlib
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from sottovoce.request import AlignmentRequest, Request, TranscriptionRequest

VERSION = 1
"""The version that `dump` writes, and the newest one that `load` reads."""
_KINDS: dict[str, TypeAdapter[Any]] = {
    "transcription": TypeAdapter(TranscriptionRequest),
    "alignment": TypeAdapter(AlignmentRequest),
}


def dump(request: Request) -> bytes:
    """The stored form of *request*, before encryption."""
    kind = "alignment" if isinstance(request, AlignmentRequest) else "transcription"
    values = _KINDS[kind].dump_python(request, mode="json")
    return zlib.compress(to_json({"v": VERSION, "kind": kind, "request": values}))


def load(stored: bytes) -> Request:
    """The request from the bytes that `dump` returned. Raises `ValueError`, also for a newer version; it quotes no value."""
    try:
        tree = from_json(zlib.decompress(stored))
    except zlib.error:
        raise ValueError("not a stored request") from None
    version = tree.get("v") if isinstance(tree, dict) else None
    if not isinstance(version, int):
        raise ValueError("not a stored request")  # noqa: TRY004 - one error for all bad data
    if version > VERSION:
        raise ValueError(f"stored by a newer release (version {version}); this one reads up to version {VERSION}")
    adapter = _KINDS.get(str(tree.get("kind")))
    if adapter is None:
        raise ValueError("not a stored request")
    try:
        request: Request = adapter.validate_python(tree.get("request"))
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise ValueError(f"the member {place} of the stored request is not valid") from None
    return request

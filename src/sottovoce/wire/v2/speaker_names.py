"""The JSON form of speaker names: the body of `PUT /v2/jobs/{id}/speaker-names`, its answer, and the stored form."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import orjson
import pydantic_core

from sottovoce.errors import Kind, Refused
from sottovoce.transcript.speaker_names import Labels, SpeakerNames

MAX_BODY = 1 << 18
"""Bytes of a body: 200 names in any script, escaped or not, with their labels."""
MAX_NAME = 100
"""Characters of a name."""
_MEMBERS = ("speakers", "channels")
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that a name must not have: they could end a line of a text file."""


def parse(body: bytes, known: Labels) -> SpeakerNames:
    """The names in *body*, for a transcript with the labels *known*. An empty name removes the label. Raises `Refused`."""
    try:
        value = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(Kind.MALFORMED, "the body is not valid JSON") from error
    if not isinstance(value, dict) or not value.keys() <= set(_MEMBERS):
        raise Refused(Kind.BAD_REQUEST, "the body must be an object with the members speakers and channels only")
    return SpeakerNames(
        speakers=_names(value.get("speakers", {}), known.speakers, at="speakers"),
        channels=_names(value.get("channels", {}), known.channels, at="channels"),
    )


def _names(value: Any, known: Sequence[str], *, at: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Refused(Kind.BAD_REQUEST, "must be an object of labels and names", at=at)
    if not value.keys() <= set(known):
        listed = ", ".join(known) or "none"
        raise Refused(Kind.BAD_REQUEST, f"has a label that the transcript does not have; its {at} are: {listed}", at=at)
    named = {label: _name(name, at) for label, name in value.items()}
    return {label: name for label, name in named.items() if name}


def _name(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise Refused(Kind.BAD_REQUEST, "each name must be a string", at=at)
    name = value.strip()
    if len(name) > MAX_NAME or any(unicodedata.category(letter) in _FORBIDDEN for letter in name):
        raise Refused(Kind.BAD_REQUEST, f"each name must be one line of at most {MAX_NAME} characters", at=at)
    return name


def names_object(names: SpeakerNames) -> dict[str, Any]:
    """The answer to `GET` and `PUT`."""
    return {"speakers": dict(names.speakers), "channels": dict(names.channels)}


def dump(names: SpeakerNames) -> bytes:
    """The stored form."""
    return orjson.dumps(names_object(names))


def load(data: bytes) -> SpeakerNames:
    """The names from the output *data* of `dump`. Raises `ValueError`."""
    value = orjson.loads(data)
    return SpeakerNames(speakers=value["speakers"], channels=value["channels"])

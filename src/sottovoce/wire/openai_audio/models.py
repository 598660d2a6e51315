"""The names of models that callers may send: OpenAI's own, the operating points, and the models of this server.

A name of OpenAI stands for an operating point, because its model is not here. `GET /v1/models` lists what is accepted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sottovoce.errors import Kind, Refused
from sottovoce.request import OperatingPoint

DIARIZE = "gpt-4o-transcribe-diarize"
"""The model of OpenAI that names speakers."""

ALIASES: Mapping[str, OperatingPoint] = {
    "whisper-1": OperatingPoint.ENHANCED,
    "gpt-transcribe": OperatingPoint.ENHANCED,
    "gpt-4o-transcribe": OperatingPoint.ENHANCED,
    "gpt-4o-mini-transcribe": OperatingPoint.STANDARD,
    "gpt-4o-mini-transcribe-2025-12-15": OperatingPoint.STANDARD,
    DIARIZE: OperatingPoint.ENHANCED,
    "enhanced": OperatingPoint.ENHANCED,
    "standard": OperatingPoint.STANDARD,
}
"""The operating point of each name: `enhanced` is the most accurate model installed, `standard` a faster one."""

OWNER = "sottovoce"
MAX_NAME = 200
"""Characters of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """The model of a request: an operating point, or with *name* one model of this server."""

    operating_point: OperatingPoint = OperatingPoint.ENHANCED
    name: str | None = None


def chosen(name: str, installed: Iterable[str]) -> ChosenModel:
    """The model that *name* stands for, where *installed* are this server's own. Raises `Refused(MODEL_NOT_FOUND)`."""
    if name in ALIASES:
        return ChosenModel(operating_point=ALIASES[name])
    if name in set(installed):
        return ChosenModel(name=name)
    raise not_found(name)


def listed(installed: Iterable[str], *, diarizes: bool) -> list[str]:
    """The names that are accepted: OpenAI's, the operating points, and *installed*, this server's own, each once."""
    aliases = [name for name in ALIASES if diarizes or name != DIARIZE]
    return list(dict.fromkeys([*aliases, *sorted(installed)]))


def model_object(name: str) -> dict[str, Any]:
    """The model object of *name*. `created` is 0: the time at which a model was made is not known."""
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def not_found(name: str) -> Refused:
    """The error for a model that is not here."""
    shown = "".join(char for char in name[:MAX_NAME] if char.isprintable())
    return Refused(
        Kind.MODEL_NOT_FOUND,
        f"The model {shown!r} does not exist on this server; GET /v1/models lists those that do",
        at="model",
    )

"""What the documentation says of a member of a config. The texts stand where the member is declared (`v2/config_schema.py`)."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Field

_WRAPPERS = {Annotated, Union, types.UnionType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What a member does on this server, with an *example*.

    *default*: what applies without it (empty: nothing). *engines*: those that honour it (empty: all, or it concerns none).
    *parts*: options of members of its object, by name, where another text than that of the object's model fits.
    """

    meaning: str
    example: Any
    default: str = ""
    engines: str = ""
    parts: Mapping[str, "Option"] = field(default_factory=dict)

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add the texts to *schema*, the JSON Schema of the member."""
        engines = f" Engines: {self.engines}." if self.engines else ""
        default = f" Default: {self.default}." if self.default else ""
        schema["description"] = f"{self.meaning}{default}{engines}"
        schema["examples"] = [self.example]


def required(meaning: str, *, example: Any, **more: Any) -> Any:
    """Return the field of a required member. *meaning*, *example*, *more*: its `Option`."""
    return Field(json_schema_extra=Option(meaning=meaning, example=example, **more))


def optional(meaning: str, *, example: Any, value: Any = None, **more: Any) -> Any:
    """Return the field of a member that has *value* if it is not given. *meaning*, *example*, *more*: its `Option`."""
    return Field(default=value, json_schema_extra=Option(meaning=meaning, example=example, **more))


def options(model: type[BaseModel], prefix: str = "", parts: Mapping[str, Option] = {}) -> Iterator[tuple[str, Option]]:
    """Yield each member of *model*, and of the objects in it, by its dotted path, with `[]` for the elements of a list.

    *prefix* precedes the paths; *parts* have precedence. Raises TypeError for a member without an option.
    """
    for attribute, declared in model.model_fields.items():
        name = declared.alias or attribute
        option = parts.get(name, declared.json_schema_extra)
        if not isinstance(option, Option):
            raise TypeError(f"{model.__name__}.{attribute} is declared without `required` or `optional`")
        path = f"{prefix}{name}{'[]' if _is_list(declared.annotation) else ''}"
        yield path, option
        for inner in models_in(declared.annotation):
            yield from options(inner, f"{path}.", option.parts)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that *annotation* contains."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    if get_origin(annotation) in {*_WRAPPERS, list, tuple}:
        for inner in get_args(annotation):
            yield from models_in(inner)


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in _WRAPPERS:
        return any(map(_is_list, get_args(annotation)))
    return get_origin(annotation) is list

"""Members of a config that no model has, and other unknown names, for the job's log: `diarisation` → `diarization`.

Unknown members are legal (contract §6), so a misspelt one is accepted and would have no effect without a word about it.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

from sottovoce.request import Request
from sottovoce.wire.config_options import models_in
from sottovoce.wire.v2.config import parse_job_config
from sottovoce.wire.v2.config_schema import JobConfig

MAX_TOLD = 10
"""Unknown members that are told; a config may have thousands."""
_LONGEST = 60  # characters of a name


def parse_and_tell(config: bytes) -> tuple[Request, tuple[str, ...]]:
    """The request in *config*, and a sentence for each unknown member. Raises `Refused` as `parse_job_config`."""
    return parse_job_config(config), tuple(unknown_members(config))


def unknown_members(config: bytes) -> list[str]:
    """One sentence for each member of *config* (a valid config) that has no effect, at most `MAX_TOLD`."""
    tree = from_json(config.removeprefix(b"\xef\xbb\xbf"), cache_strings="none")
    found = _unknown(tree, JobConfig, "")
    return [_told("config member", path, near) for path, near in islice(found, MAX_TOLD)]


def unknown_names(names: Iterable[str], known: Collection[str], what: str) -> list[str]:
    """One sentence for each of *names* that is not *known*, at most `MAX_TOLD`. *what*: what they are names of."""
    strange = (name[:_LONGEST] for name in names if name not in known)
    return [_told(what, name, _nearest(name, known)) for name in islice(strange, MAX_TOLD)]


def _told(what: str, path: str, near: str) -> str:
    hint = f"; the nearest known name is {near!r}" if near else ""
    return f"the {what} {path!r} is unknown and has no effect{hint}"


def _nearest(name: str, known: Collection[str]) -> str:
    """The nearest of *known*, or empty if none is near."""
    return next(iter(difflib.get_close_matches(name[:_LONGEST], known, n=1)), "")


def _unknown(tree: Any, model: type[BaseModel], at: str) -> Iterator[tuple[str, str]]:
    """Path and nearest known name of the unknown members of *tree*."""
    if not isinstance(tree, dict):
        return
    fields = model.model_fields
    names = {field.alias or name: field.annotation for name, field in fields.items()}
    for name, value in tree.items():
        if name not in names:
            yield at + name[:_LONGEST], _nearest(name, names)
            continue
        for inner in models_in(names[name]):
            for child in value if isinstance(value, list) else (value,):
                yield from _unknown(child, inner, f"{at}{name}.")

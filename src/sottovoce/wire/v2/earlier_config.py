"""Parses the config of a job that an earlier release accepted and stored without its parsed request.

Today's checks may be stricter. A member that they refuse is left out, so that the rest of the config keeps its effect: the job
was accepted, and a later release must still run it, show it and send its notifications.
"""

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from sottovoce.errors import Refused
from sottovoce.request import Request
from sottovoce.wire.v2 import config_schema as models
from sottovoce.wire.v2.config_errors import Path
from sottovoce.wire.v2.config_mapping import to_request

MOST = 100
"""Members that may be left out."""
_BOM = b"\xef\xbb\xbf"
_PART = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]")


def parse_earlier_config(raw: bytes) -> Request:
    """The request in *raw*, without the members that today's checks refuse. Raises `ValueError` when nothing usable is left."""
    tree = from_json(raw.removeprefix(_BOM), allow_inf_nan=False)
    for _ in range(MOST):
        try:
            return to_request(models.JobConfig.model_validate(tree))
        except ValidationError as failure:
            path = failure.errors(include_url=False, include_input=False)[0]["loc"]
        except Refused as refused:
            path = _parts(refused.at or "")
        if not _leave_out(tree, path):
            break
    # outside the handlers: a chained exception would carry the caller's secrets into the log
    raise ValueError("the stored config has no part that can be used")


def _parts(dotted: str) -> Path:
    return tuple(int(index) if index else name for name, index in _PART.findall(dotted))


def _leave_out(tree: Any, path: Path) -> bool:
    """Remove the member at *path*, or the last one on the way to it that exists. False if that is the whole config."""
    owner: Any = None
    last: Any = None
    here = tree
    for part in path:
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if not inside or (isinstance(here, list) and int(part) >= len(here)):
            break
        owner, last, here = here, part, here[part]
    if owner is None:
        return False
    del owner[last]
    return True

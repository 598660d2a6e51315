"""What is said about wrong settings: invalid values, and variables of the environment that are no settings."""

import difflib
import os
from collections.abc import Collection, Mapping

from pydantic import ValidationError

from sottovoce.settings import PREFIX, TESTS, Settings, toml_file


def faults(error: ValidationError, flags: Mapping[str, object]) -> str:
    """The invalid settings of *error* in one line; those of the TOML file name it. *flags* as for `load`."""
    given = {name: value for name, value in flags.items() if value is not None}
    path, content = toml_file(given)
    found = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else ""
        elsewhere = name in given or f"{PREFIX}{name.upper()}" in os.environ
        place = f" (in {path})" if name in content and not elsewhere else ""
        text = fault["msg"]
        if fault["type"] == "extra_forbidden":
            text = f"is not a setting{_nearest(name, Settings.model_fields)}"
        found.append(": ".join(filter(None, [".".join(map(str, fault["loc"])) + place, text])))
    return "; ".join(found)


def unknown_variables() -> list[str]:
    """A line for each variable `SOTTOVOCE_…` of the environment that is not a setting, with the nearest name of one."""
    known = {*(name.upper() for name in Settings.model_fields), "CONFIG"}
    found = []
    for name in sorted(os.environ):
        own = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and not name.startswith(TESTS) and own not in known:
            found.append(f"{name} is not a setting{_nearest(own, known, PREFIX)}; it has no effect")
    return found


def _nearest(name: str, known: Collection[str], prefix: str = "") -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {prefix}{found[0]}?)" if found else ""

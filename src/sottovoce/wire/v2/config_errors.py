"""The details of refused configs: which member, what is wrong with it, and what it is."""

import re

from pydantic_core import ErrorDetails

from sottovoce.errors import Kind, Refused

_SHOWN = 40  # characters of a value that an error message repeats
_MAX_PATH = 200  # characters of the path of a field in an error message
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
# Values below these members are not repeated in error messages, which end up in logs and tickets.
_SECRET = frozenset({"fetch_data", "fetch_text", "notification_config", "speaker_identifiers"})

_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a member that is allowed here",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must be at most {max_length:,} characters long",
    "too_long": "must hold at most {max_length:,} entries, got {actual_length:,}",
}
_WITHOUT_VALUE = frozenset(
    {"refused_with_value", "missing", "extra_forbidden", "string_too_short", "too_short", "string_too_long", "too_long"}
)
_CONTAINER_WANTED = frozenset({"model_type", "dict_type", "list_type"})

Path = tuple[str | int, ...]


def invalid(why: str, at: str | None = None) -> Refused:
    """The refusal of a config: *why*, and the dotted path *at* of the member."""
    return Refused(Kind.INVALID_CONFIG, why, at=at)


# --- checks of every value, in every part of a config ----------------------------------------------------------------


def refused_by(error: ErrorDetails) -> Refused:
    """The refusal for an error that Pydantic found."""
    return invalid(_sentence(error), dotted(error["loc"]))


def dotted(path: Path) -> str | None:
    """*path* as `a.b[3].c`; a member name that is not a plain word is the caller's own text and shown as `?`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part if _KEY.fullmatch(part) else '?'}" for part in path)
    dotted = "".join(parts).removeprefix(".")
    return (dotted if len(dotted) <= _MAX_PATH else dotted[:_MAX_PATH] + "…") or None


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    ours = kind in {"refused", "refused_with_value"}
    sentence = error["msg"] if ours else _SENTENCES.get(kind, "is not valid").format(**error.get("ctx", {}))
    got = "" if kind in _WITHOUT_VALUE else _shown_input(error)
    return f"{sentence}, got {got}" if got else sentence


def _shown_input(error: ErrorDetails) -> str:
    value, ours = error["input"], error["type"] == "refused"
    if error["type"] in _CONTAINER_WANTED:
        return json_type(value)
    if isinstance(value, dict | list) or _SECRET.intersection(error["loc"]) or "://" in str(value):
        return "" if ours else json_type(value)
    return shown(value)


def json_type(value: object) -> str:
    """The JSON type of *value*, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def shown(value: object) -> str:
    """A scalar *value* for an error message: at most `_SHOWN` printable characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[: _SHOWN + 1])[1:-1] if isinstance(value, str) else repr(value)
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f'"{short}"' if isinstance(value, str) else short


# --- from the models to the request ----------------------------------------------------------------------------------

"""The languages whose entities are found; all others have none, and their words stay as the engine returns them."""

from collections.abc import Callable
from functools import lru_cache

from sottovoce.transcript.entities.languages import dutch, english, french, german, italian, portuguese, spanish
from sottovoce.transcript.entities.locale import Locale

_TABLES: dict[str, Callable[[], Locale]] = {
    "en": english.tables,
    "de": german.tables,
    "fr": french.tables,
    "es": spanish.tables,
    "pt": portuguese.tables,
    "it": italian.tables,
    "nl": dutch.tables,
}

LANGUAGES = frozenset(_TABLES)
"""Codes of the languages that have tables."""


@lru_cache(maxsize=len(_TABLES))
def locale(code: str) -> Locale | None:
    """The tables of *code*, a language of the contract; `None` if it has none."""
    made = _TABLES.get(code)
    return made() if made else None

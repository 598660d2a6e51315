"""Conversion of Mandarin to simplified or, by `output_locale`, traditional characters (contract §6.2).

Whisper writes either, as in its training data. OpenCC converts whole words, because one simplified character may stand
for several traditional ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sottovoce.transcript.model import Item, Word

SIMPLIFIED, TRADITIONAL = LOCALES = ("cmn-Hans", "cmn-Hant")
"""Locales of this stage; the first is the contract's default."""

LANGUAGES = frozenset({"cmn", "cmn_en", "cmn_en_ms_ta"})
"""Language packs that include Mandarin."""

_CONVERSIONS = {SIMPLIFIED: "t2s", TRADITIONAL: "s2t"}


def written(items: Sequence[Item], language: str, locale: str | None) -> tuple[Item, ...]:
    """Convert *items* of the pack *language* to the characters of *locale*, one of `LOCALES`; None is the first of them.

    Items of languages without Mandarin are returned unchanged.
    """
    if language not in LANGUAGES:
        return tuple(items)
    converter = _converter(_CONVERSIONS.get(locale or SIMPLIFIED, _CONVERSIONS[SIMPLIFIED]))
    words = [item for item in items if isinstance(item, Word)]
    texts = iter(_converted([word.text for word in words], converter))
    return tuple(replace(item, text=next(texts)) if isinstance(item, Word) else item for item in items)


@lru_cache(maxsize=2)
def _converter(name: str) -> Any:
    import opencc

    return opencc.OpenCC(name)


def _converted(texts: list[str], converter: Any) -> list[str]:
    """Convert *texts* together, because a Chinese word may be split across several of them; one by one if the length changes."""
    whole: str = converter.convert("".join(texts))
    if len(whole) != sum(map(len, texts)):
        return [converter.convert(text) for text in texts]
    found: list[str] = []
    at = 0
    for text in texts:
        found.append(whole[at : at + len(text)])
        at += len(text)
    return found

"""The contract's language codes and Whisper's, both ways.

Whisper knows a hundred languages by codes of its own (`zh`, `jw`, `nn` …); the contract's packs are partly bilingual. A
bilingual pack is served by choosing for each half minute of speech the likelier of its languages: what is said in the
other one inside that half minute is written as well as the model can.
"""

from collections.abc import Mapping

from sottovoce.transcript.languages import PACKS

UNKNOWN = frozenset({"eo", "ia", "ga", "ug"})
"""Packs that no Whisper model was trained on: Esperanto, Interlingua, Irish, Uyghur."""

_OTHERWISE: Mapping[str, tuple[str, ...]] = {
    "cmn": ("zh",),
    "ar_en": ("ar", "en"),
    "cmn_en": ("zh", "en"),
    "cmn_en_ms_ta": ("en", "zh", "ms", "ta"),
    "en_ms": ("en", "ms"),
    "en_ta": ("en", "ta"),
    "tl": ("tl", "en"),  # the contract's Tagalog is a bilingual pack (§15)
}

_CODES: Mapping[str, tuple[str, ...]] = {code: _OTHERWISE.get(code, (code,)) for code in PACKS if code not in UNKNOWN}

LANGUAGES = frozenset(_CODES)
"""The contract's codes that a multilingual model can serve."""

YOUNG = frozenset({"yue"})
"""Those of them that came with large-v3: a model's vocabulary shows whether it has them."""

ENGLISH = frozenset({"en"})
"""The contract's codes that an English-only model can serve."""

_HOME: Mapping[str, str] = {"zh": "cmn", "nn": "no", "jw": "jv", "iw": "he"}


def whisper_codes(language: str) -> tuple[str, ...]:
    """Whisper's codes for the contract's *language*, the likelier of several first; empty where it has none."""
    return _CODES.get(language, ())


def contract_code(code: str) -> str:
    """The contract's code for Whisper's *code*; Whisper's own, or ISO 639's, where the contract has none."""
    return _HOME.get(code, code)

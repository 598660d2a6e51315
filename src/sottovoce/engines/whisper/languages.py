"""Conversion between the contract's language codes and Whisper's.

Whisper has its own codes for a hundred languages (`zh`, `jw`, `nn` …); some of the contract's packs are bilingual. For a
bilingual pack, each window (up to half a minute) of speech is decoded in the likelier of its languages; speech in the other
language inside that window is transcribed as well as the model can.
"""

from collections.abc import Mapping

from sottovoce.engines.models.catalogue import Model
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
    "tl": ("tl", "en"),  # the contract's Tagalog pack is bilingual (§15)
}

_CODES: Mapping[str, tuple[str, ...]] = {code: _OTHERWISE.get(code, (code,)) for code in PACKS if code not in UNKNOWN}

LANGUAGES = frozenset(_CODES)
"""The contract's codes that a multilingual model can transcribe."""

YOUNG = frozenset({"yue"})
"""Those of `LANGUAGES` that were added with large-v3; a model has them if they are in its vocabulary."""

ENGLISH = frozenset({"en"})
"""The contract's codes that an English-only model can transcribe."""

CLEAR = 0.9
"""Probability 0..1 of a language from which the model is taken to be sure of it."""

_HOME: Mapping[str, str] = {"zh": "cmn", "nn": "no", "jw": "jv", "iw": "he"}


def languages_of(model: Model) -> frozenset[str]:
    """The contract's codes that the Whisper model *model* can transcribe, known before it is loaded.

    Cantonese was added to Whisper with large-v3. An operator's own multilingual model is assumed to support it.
    """
    if model.languages is not None:
        return model.languages
    has_young = not model.repository or "large-v3" in model.name
    return LANGUAGES if has_young else LANGUAGES - YOUNG


def whisper_codes(language: str) -> tuple[str, ...]:
    """Whisper's codes for the contract's *language*, the likelier of several first; empty if it has none."""
    return _CODES.get(language, ())


def contract_code(code: str) -> str:
    """The contract's code for Whisper's *code*; *code* itself, or its ISO 639 code, if the contract has none."""
    return _HOME.get(code, code)

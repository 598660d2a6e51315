"""Language packs: the properties of each language that do not depend on the engine (contract §7.3, §7.4, §15)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagePack:
    """The properties of a language. *delimiter* joins words; *marks* are its punctuation marks; *stops* are the marks that end
    a sentence, the plain full stop first.
    """

    code: str
    description: str
    delimiter: str = " "
    rtl: bool = False
    marks: tuple[str, ...] = (".", ",", "!", "?")
    stops: tuple[str, ...] = (".", "!", "?")
    itn: bool = False

    @property
    def direction(self) -> str:
        """`display.direction` of the API."""
        return "rtl" if self.rtl else "ltr"

    @property
    def writing_direction(self) -> str:
        """`language_pack_info.writing_direction` of the API."""
        return "right-to-left" if self.rtl else "left-to-right"


# contract §7.4: the marks of Chinese, Japanese and Hindi differ from the common four
_HAN: dict[str, Any] = {"marks": ("。", "，", "？", "！", "、"), "stops": ("。", "？", "！"), "delimiter": ""}
_JA: dict[str, Any] = {"marks": ("。", "、"), "stops": ("。",), "delimiter": ""}
_HI: dict[str, Any] = {"marks": ("।", "?", ",", "!"), "stops": ("।", "?", "!")}

_NAMES = {
    "ar": "Arabic", "ar_en": "Arabic and English bilingual", "ba": "Bashkir", "eu": "Basque", "be": "Belarusian", "bn": "Bengali",
    "bg": "Bulgarian", "yue": "Cantonese", "ca": "Catalan", "hr": "Croatian", "cs": "Czech", "da": "Danish", "nl": "Dutch",
    "en": "English", "eo": "Esperanto", "et": "Estonian", "fi": "Finnish", "fr": "French", "gl": "Galician", "de": "German",
    "el": "Greek", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "ia": "Interlingua", "ga": "Irish",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "lv": "Latvian", "lt": "Lithuanian", "ms": "Malay",
    "en_ms": "English and Malay bilingual", "mt": "Maltese", "cmn": "Mandarin", "cmn_en": "Mandarin and English bilingual",
    "cmn_en_ms_ta": "English, Malay, Mandarin and Tamil multilingual", "mr": "Marathi", "mn": "Mongolian", "no": "Norwegian",
    "fa": "Persian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "es": "Spanish", "sw": "Swahili", "sv": "Swedish", "tl": "Tagalog and English bilingual", "ta": "Tamil",
    "en_ta": "English and Tamil bilingual", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "ug": "Uyghur",
    "vi": "Vietnamese", "cy": "Welsh",
}  # fmt: skip
_SPECIAL: dict[str, dict[str, Any]] = {
    "cmn": _HAN, "yue": _HAN, "ja": _JA, "hi": _HI, "mr": _HI, "th": {"delimiter": ""},
    "ar": {"rtl": True}, "fa": {"rtl": True}, "he": {"rtl": True}, "ur": {"rtl": True}, "ug": {"rtl": True},
}  # fmt: skip

_ITN = frozenset({"en", "de", "fr", "es", "pt", "it", "nl"})
"""Languages with tables of entities (`entities/languages/`); the words of the others stay as the engine returns them."""

PACKS: dict[str, LanguagePack] = {
    code: LanguagePack(code=code, description=name, itn=code in _ITN, **_SPECIAL.get(code, {}))
    for code, name in _NAMES.items()
}
"""The packs of the languages in the contract's table, by code."""

AUTO = "auto"
"""The value of `language` that requests identification from the audio."""


def pack(code: str) -> LanguagePack:
    """The pack of *code*; a new pack with the default properties for an unknown code, which a custom engine may use."""
    return PACKS.get(code) or LanguagePack(code=code, description=code)

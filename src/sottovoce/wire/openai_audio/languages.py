"""Languages as callers of OpenAI's API name them (`fr`, `fr-CA`, `french`), and as its answers do (`french`)."""

from sottovoce.transcript.languages import PACKS, pack

_ISO = {"zh": "cmn", "nb": "no", "nn": "no", "iw": "he", "fil": "tl"}
"""ISO 639 codes that differ from the contract's."""
_NAMES = {"chinese": "cmn", "norwegian": "no", "tagalog": "tl", "mandarin": "cmn", "castilian": "es", "flemish": "nl"}
_BY_NAME = {found.description.lower(): code for code, found in PACKS.items()} | _NAMES
_ANSWERED = {"cmn": "chinese", "tl": "tagalog"}


def contract_language(given: str) -> str:
    """The contract's code for *given*: a code with or without a region, or an English name; else *given* in lower case."""
    text = given.strip().lower()
    if text in _BY_NAME:
        return _BY_NAME[text]
    if text in PACKS:
        return text
    main = text.replace("_", "-").partition("-")[0]
    return _ISO.get(main, main if main in PACKS else text)


def english_name(code: str) -> str:
    """The name of the language *code* as `verbose_json` has it: in English, in lower case."""
    return _ANSWERED.get(code) or pack(code).description.lower()

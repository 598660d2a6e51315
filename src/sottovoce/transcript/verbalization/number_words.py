"""The words of numbers in the languages of Unicode's CLDR, from its rules by `unicode-rbnf`, with corrections."""

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from sottovoce.transcript.verbalization.variants import Way, tidy, tokens

if TYPE_CHECKING:
    from unicode_rbnf import RbnfEngine

MAX_DIGITS = 15
"""A longer run of digits is read digit by digit: the Chinese rules end at 10^16, and floats are exact up to 2^53."""

Kind = Literal["cardinal", "ordinal", "year"]

_NAMES = {"cmn": "zh"}
"""Language codes of the contract → of CLDR, where they differ."""
_RULES: dict[tuple[str, Kind], str] = {
    ("en", "cardinal"): "spellout-cardinal-verbose",  # with `and`
    ("en", "ordinal"): "spellout-ordinal-verbose",
    ("ko", "cardinal"): "spellout-cardinal-sinokorean",
}
_COMMON_RULES: dict[Kind, str] = {"cardinal": "spellout-numbering", "year": "spellout-numbering-year"}

_CORRECTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "fa": (  # a thousand without its one, as in years
        ("spellout-cardinal", "1000", "هزار[ و →→];"),
        ("spellout-cardinal", "2000", "←← هزار[ و →→];"),
    ),
    "ga": (  # thousands after tens; a remainder of zero is not spoken
        ("is", "10", "→%%is→;"),
        ("thousand", "11", "→%%thousand→;"),
        ("million", "11", "→%%million→;"),
        ("trillion", "11", "→%%trillion→;"),
    ),
    "lt": (  # hundreds of thousands: a remainder of zero is not spoken
        ("spellout-thousands", "100", "šimtas →%%spellout-thousands→;"),
        ("spellout-thousands", "200", "←%spellout-cardinal-masculine← šimtai →%%spellout-thousands→;"),
    ),
    "sl": (  # ones before tens; CLDR uses the word for 2000 also for 3000 and 4000, and so for larger units
        ("spellout-cardinal-masculine", "20", "[→→in]dvajset;"),
        ("spellout-cardinal-masculine", "30", "[→→in]←←deset;"),
        ("spellout-cardinal-masculine", "3000", "←← tisoč[ →→];"),
        ("spellout-cardinal-masculine", "3000000", "←← milijoni[ →→];"),
        ("spellout-cardinal-masculine", "3000000000", "←← milijarde[ →→];"),
        ("spellout-cardinal-masculine", "3000000000000", "←← bilijoni[ →→];"),
    ),
}
"""Corrected rules by language: rule set, lowest value, and rule in the notation of CLDR."""

_SPELLING = {
    "be": (("i", "і"),),  # a Latin letter
    "cmn": (("〇", "零"),),  # Unicode classifies the first as a number, not a letter
    "el": (("χίλιά", "χιλιά"),),
    "ja": (("〇", "零"),),
    "ro": (("ş", "ș"), ("ţ", "ț")),
}


@lru_cache(maxsize=16)
def _engine(language: str) -> "RbnfEngine | None":
    """The rules of *language*; None if CLDR has none."""
    from unicode_rbnf import RbnfEngine

    name = _NAMES.get(language, language)
    if name not in RbnfEngine.get_supported_languages():  # the library uses the name as a file name
        return None
    engine = RbnfEngine.for_language(name)
    for rules, value, text in _CORRECTIONS.get(language, ()):
        engine.add_rule(value, text, rules)
    return engine


@lru_cache(maxsize=16_384)
def named(number: int, language: str, kind: Kind = "cardinal") -> Way:
    """The words of *number*, of at most `MAX_DIGITS` digits; () if the language has no rules for *kind*.

    Only English has ordinals.
    """
    from unicode_rbnf.engine import RbnfError

    engine = _engine(language)
    rules = _RULES.get((language, kind)) or _COMMON_RULES.get(kind)
    if engine is None or rules is None:
        return ()
    try:
        return _words(engine.format_number(number, ruleset_names=[rules]).text, language)
    except RbnfError:
        return ()


@lru_cache(maxsize=64)
def point(language: str) -> Way:
    """The words of the decimal separator, such as `komma`; () if they are unknown.

    Some rule sets read the fractional part as tenths or hundredths. The words of 7.4 show a rule set that does not.
    """
    from unicode_rbnf.engine import RbnfError

    engine = _engine(language)
    if engine is None:
        return ()
    try:
        whole, rest, both = (engine.format_number(number).text_by_ruleset for number in (7, 4, Decimal("7.4")))
    except RbnfError:
        return ()
    for rules, text in both.items():
        middle = text.removeprefix(whole.get(rules, text)).removesuffix(rest.get(rules, text))
        if middle and text == whole[rules] + middle + rest[rules] and (said := _words(middle, language)):
            return said
    return ()


def _words(text: str, language: str) -> Way:
    for wrong, right in _SPELLING.get(language, ()):
        text = text.replace(wrong, right)
    return tokens(tidy(text))

"""How numbers are written in digits: separators, signs, ordinal suffixes."""

from sottovoce.transcript.entities.locale import Locale
from sottovoce.transcript.entities.values import Amount

NBSP = "\u00a0"
"""The blank inside `20 000` and `10 €`, which must not break a line."""
_TEENS = range(11, 14)


def grouped(value: int, locale: Locale) -> str:
    """*value* with separators of thousands: `20,000`, `20.000`, `20 000`; four digits are grouped only by a comma."""
    digits = str(value)
    if len(digits) <= 3 or (len(digits) == 4 and locale.group != ","):
        return digits
    return f"{value:,}".replace(",", locale.group)


def number(amount: Amount, locale: Locale) -> str:
    """*amount* without its scale word."""
    whole = grouped(amount.whole, locale) if amount.spoken_zero else ""
    rest = "" if amount.fraction is None else locale.decimal + amount.fraction
    return ("-" if amount.negative else "") + whole + rest


def parts(amount: Amount, locale: Locale, before: str = "", after: str = "") -> tuple[str, ...]:
    """The words of *amount*: *before* its digits (after a minus), and *after* the last word."""
    digits = number(amount, locale)
    if before:
        digits = "-" + before + digits[1:] if amount.negative else before + digits
    words = (digits,) if amount.scale is None else (digits, amount.scale)
    return (*words[:-1], words[-1] + after)


def ordinal(value: int, last_word: str, locale: Locale) -> str:
    """*value* as an ordinal number; its suffix follows *last_word*, as it was spoken, in languages with genders."""
    if locale.ordinal_style == "english":
        ending = "th" if value % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
        return grouped(value, locale) + ending
    for ending, suffix in locale.ordinal_suffix.items():
        if ending and last_word.endswith(ending):
            return grouped(value, locale) + suffix
    return grouped(value, locale) + locale.ordinal_suffix.get("", "")

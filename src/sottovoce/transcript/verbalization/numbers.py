"""The spoken forms of a run of digits; `number_words.py` has the words of numbers.

In order: English numbers; Roman numerals; numbers of other languages.
"""

import re
from typing import Literal

from sottovoce.transcript.verbalization.number_words import MAX_DIGITS, named, point
from sottovoce.transcript.verbalization.variants import MAX_TOKENS, Way, best, joined

_SHORT, _PAIR, _YEAR, _PLACE = 1, 2, 4, 3  # numbers of digits with a special reading
_PHONE = 7  # minimum digits without commas of a telephone or account number

Reading = Literal["cardinal", "year", "digits"]

# The readings of years, most probable first, in languages that do not read them as cardinals. Other year rules of CLDR are
# not used: Russian years are in the genitive, Chinese and Japanese years lack their zeros.
_YEARS: dict[str, tuple[Reading, ...]] = {
    "cmn": ("digits", "cardinal"), "yue": ("digits", "cardinal"), "da": ("year", "cardinal"), "de": ("year", "cardinal"),
    "nl": ("year", "cardinal"), "no": ("year", "cardinal"), "sv": ("year", "cardinal"), "et": ("cardinal", "year"),
    "fr": ("cardinal", "year"),
}  # fmt: skip
_DOTTED = {"cmn", "cy", "ga", "he", "hi", "ja", "ko", "ms", "mt", "sw", "ta", "th", "yue"}
"""Languages with a decimal point, 3.14; the others have a decimal comma, 3,14."""

NUMBER = r"\d+(?:[.,' ]\d+)*"
"""A number in any language: digits with single separators between them."""
_GROUPED = re.compile(
    r"\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*|\d{1,2}(?:,\d{2})+,\d{3}"
)  # 1.000.000, and 1,00,000 as in India


def digitwise(digits: str) -> tuple[Way, ...]:
    """English spoken forms digit by digit, with `zero` or `oh`."""
    way = tuple(named(int(digit), "en")[0] for digit in digits)
    return best((way, tuple("oh" if name == "zero" else name for name in way)))


def cardinals(number: int) -> tuple[Way, ...]:
    """English cardinals: without `and`, with `and`, and with `a hundred` for `one hundred`."""
    full = named(number, "en")
    short = tuple(name for name in full if name != "and")
    ways = [short, full]
    if len(short) > 1 and short[0] == "one":
        ways.append(("a", *full[1:]))
    return best(ways)


def ordinals(number: int) -> tuple[Way, ...]:
    """English ordinals: `hundred first`, `hundred and first`."""
    full = named(number, "en", "ordinal")
    return best((tuple(name for name in full if name != "and"), full))


def pairs(digits: str) -> tuple[Way, ...]:
    """English, the last two digits separately: `nineteen eighty four`, `nine oh five`, `twenty five hundred`."""
    high, low = int(digits[:-2]), int(digits[-2:])
    if not high or (not low and high % 10 == 0):
        return ()
    head = named(high, "en")
    if not low:
        return ((*head, "hundred"),)
    if low < 10:  # noqa: PLR2004 - a lone digit needs its zero
        return ((*head, "oh", *named(low, "en")), (*head, *named(low, "en")))
    return ((*head, *named(low, "en")),)


def english(digits: str) -> tuple[Way, ...]:
    """The English spoken forms of digits without separators: as a number, a year, pairs, or digit by digit."""
    if len(digits) > MAX_DIGITS or (digits[0] == "0" and len(digits) > 1):
        short = cardinals(int(digits)) if len(digits) == _PAIR and digits != "00" else ()
        return best((*digitwise(digits), *short))
    number = int(digits)
    whole = cardinals(number)
    if len(digits) == _SHORT:
        return best((*whole, *digitwise(digits)))
    if len(digits) == _PLACE:
        return best((*whole, *pairs(digits), *digitwise(digits)))
    if len(digits) == _YEAR:
        ways = (*pairs(digits), *whole) if _is_year(number) else (*whole[:2], *pairs(digits))
        return best((*ways, *digitwise(digits)))
    if len(digits) >= _PHONE and not digits.endswith("000"):
        return best((*digitwise(digits), *whole))
    return best((*whole, *digitwise(digits)))


def _is_year(number: int) -> bool:
    """True if reading in pairs is more probable: not for 1066, 2005 and 3200."""
    return 1_100 <= number < 2_000 or 2_010 <= number < 2_100  # noqa: PLR2004 - centuries


def english_decimal(whole: str, rest: str) -> tuple[Way, ...]:
    """English decimals: `three point one four`, `three point fourteen`, `point five`."""
    tails = [("point", *way) for way in digitwise(rest)]
    if len(rest) == _PAIR and rest[0] != "0":
        tails.insert(1, ("point", *named(int(rest), "en")))
    if not whole:
        return best((*tails, *(("zero", *way) for way in tails)))
    heads = english(whole)[:2] if len(whole) < _YEAR else _whole(whole)
    extra = tails[:1] if not int(whole) else []
    return best((*joined((heads, tails))[:4], *extra))


def _whole(digits: str) -> tuple[Way, ...]:
    return cardinals(int(digits)) if len(digits) <= MAX_DIGITS else digitwise(digits)


def grouped(text: str) -> tuple[Way, ...]:
    """The English spoken forms of a number with thousands separators, `1,234,567`, which is always an amount."""
    return _whole(text.replace(",", ""))


_PLURALS = {"six": "sixes", "zero": "zeroes"}


def plural(way: Way) -> Way:
    """The English plural of *way*: `nineteen eighties`, `sixes`, `hundreds`."""
    *head, last = way
    if last.endswith("y"):
        return (*head, last[:-1] + "ies")
    return (*head, _PLURALS.get(last, last + "s"))


_ROMAN = re.compile(r"(X{0,3}|XL|L)(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def roman(text: str) -> int | None:
    """The value 1 … 59 of a Roman numeral in capitals, else None; larger ones are usually words or letters (CD, DC, MIX)."""
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-one if one < two else one for one, two in zip(values, [*values[1:], 0], strict=True))


def foreign(text: str, language: str) -> tuple[Way, ...]:
    """The spoken forms of a number that matches `NUMBER` in another language than English; () for an unknown language."""
    whole, _, rest = _parted(text, language).partition("|")
    runs = re.findall(r"\d+", whole)
    if rest:
        head = _runs(runs, language, "cardinal")
        tails = (_one_by_one(rest, language), _run(rest, language, "cardinal"))
        return best((*head, *point(language), *tail) for tail in tails if head)
    marked = whole != text  # a number with thousands separators is not a year
    readings: tuple[Reading, ...] = ("cardinal",) if marked else _YEARS.get(language, ("cardinal",))
    digits = "".join(runs)
    ways = [_runs(runs, language, reading) for reading in readings]
    return best((*ways, *([_one_by_one(digits, language)] if len(digits) >= _PLACE else [])))


def _parted(text: str, language: str) -> str:
    """*text* without thousands separators and with a bar for the decimal separator."""
    sign, group = (".", ",") if language in _DOTTED else (",", ".")
    if (match := _GROUPED.fullmatch(text)) and match[1] != sign:
        return re.sub(r"\D", "", text)
    whole, mark, rest = text.rpartition(sign)
    if not mark:
        whole, mark, rest = text.rpartition(group)
    if mark and rest.isdecimal() and (whole.isdecimal() or _GROUPED.fullmatch(whole)):
        return re.sub(r"\D", "", whole) + "|" + rest
    return text


def _runs(runs: list[str], language: str, reading: Reading) -> Way:
    return tuple(token for run in runs for token in _run(run, language, reading))


def _run(digits: str, language: str, reading: Reading) -> Way:
    """One run of digits as a number, or in the *reading* of years if it may be a year."""
    if len(digits) > MAX_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return _one_by_one(digits, language)
    number = int(digits)
    if reading == "cardinal" or len(digits) != _YEAR or not 1_100 <= number < 2_100:  # noqa: PLR2004 - centuries
        return named(number, language)
    return _one_by_one(digits, language) if reading == "digits" else named(number, language, "year")


def _one_by_one(digits: str, language: str) -> Way:
    return tuple(token for digit in digits[:MAX_TOKENS] for token in named(int(digit), language))

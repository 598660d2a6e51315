"""Numbers as they are said: the words come from `spoken_words.py`, here are the ways of reading a run of digits. Pure."""

import re
from typing import Literal

from sottovoce.transcript.verbalization.number_words import MAX_DIGITS, named, point
from sottovoce.transcript.verbalization.variants import MAX_TOKENS, Way, best, joined

_SHORT, _PAIR, _YEAR, _PLACE = 1, 2, 4, 3  # lengths of runs that are read in a way of their own
_PHONE = 7  # digits without commas from which they are no amount but a telephone's or an account's

Reading = Literal["cardinal", "year", "digits"]

# How years are read, likeliest first, where that is not as any number. CLDR has those of Russian in the genitive, those of
# Chinese and Japanese without their zeros.
_YEARS: dict[str, tuple[Reading, ...]] = {
    "cmn": ("digits", "cardinal"), "yue": ("digits", "cardinal"), "da": ("year", "cardinal"), "de": ("year", "cardinal"),
    "nl": ("year", "cardinal"), "no": ("year", "cardinal"), "sv": ("year", "cardinal"), "et": ("cardinal", "year"),
    "fr": ("cardinal", "year"),
}  # fmt: skip
_DOTTED = {"cmn", "cy", "ga", "he", "hi", "ja", "ko", "ms", "mt", "sw", "ta", "th", "yue"}
"""Languages that write 3.14; the others write 3,14."""

NUMBER = r"\d+(?:[.,' ]\d+)*"
"""A number of any language: digits and single marks between them."""
_GROUPED = re.compile(r"\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*|\d{1,2}(?:,\d{2})+,\d{3}")  # 1.000.000, 1,00,000 of India


def digitwise(digits: str) -> tuple[Way, ...]:
    """English, digit by digit: `zero` or `oh`."""
    way = tuple(named(int(digit), "en")[0] for digit in digits)
    return best((way, tuple("oh" if name == "zero" else name for name in way)))


def cardinals(number: int) -> tuple[Way, ...]:
    """English: without `and`, with it, and `a hundred` for `one hundred`."""
    full = named(number, "en")
    short = tuple(name for name in full if name != "and")
    ways = [short, full]
    if len(short) > 1 and short[0] == "one":
        ways.append(("a", *full[1:]))
    return best(ways)


def ordinals(number: int) -> tuple[Way, ...]:
    """English: `hundred first`, `hundred and first`."""
    full = named(number, "en", "ordinal")
    return best((tuple(name for name in full if name != "and"), full))


def pairs(digits: str) -> tuple[Way, ...]:
    """English, the last two digits apart: `nineteen eighty four`, `nine oh five`, `twenty five hundred`."""
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
    """The ways of reading a bare run of digits in English: a number, a year, pairs, one by one."""
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
    """Whether pairs are the likelier reading: not for 1066, 2005 and 3200."""
    return 1_100 <= number < 2_000 or 2_010 <= number < 2_100  # noqa: PLR2004 - centuries


def english_decimal(whole: str, rest: str) -> tuple[Way, ...]:
    """English: `three point one four`, `three point fourteen`, `point five`."""
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
    """English: a number whose commas say that it is an amount, `1,234,567`."""
    return _whole(text.replace(",", ""))


_PLURALS = {"six": "sixes", "zero": "zeroes"}


def plural(way: Way) -> Way:
    """English: `nineteen eighties`, `sixes`, `hundreds`."""
    *head, last = way
    if last.endswith("y"):
        return (*head, last[:-1] + "ies")
    return (*head, _PLURALS.get(last, last + "s"))


_ROMAN = re.compile(r"(X{0,3}|XL|L)(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def roman(text: str) -> int | None:
    """1 … 59 from capitals; larger ones are words or letters (CD, DC, MIX) far more often."""
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-one if one < two else one for one, two in zip(values, [*values[1:], 0], strict=True))


def foreign(text: str, language: str) -> tuple[Way, ...]:
    """The ways of reading a number of the shape `NUMBER` in a language that is not English; () when nothing is known."""
    whole, _, rest = _parted(text, language).partition("|")
    runs = re.findall(r"\d+", whole)
    if rest:
        head = _runs(runs, language, "cardinal")
        tails = (_one_by_one(rest, language), _run(rest, language, "cardinal"))
        return best((*head, *point(language), *tail) for tail in tails if head)
    marked = whole != text  # with marks of thousands it is no year
    readings: tuple[Reading, ...] = ("cardinal",) if marked else _YEARS.get(language, ("cardinal",))
    digits = "".join(runs)
    ways = [_runs(runs, language, reading) for reading in readings]
    return best((*ways, *([_one_by_one(digits, language)] if len(digits) >= _PLACE else [])))


def _parted(text: str, language: str) -> str:
    """*text* without the marks of thousands and with a bar for the decimal sign."""
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
    """One run of digits as a number, or in the *reading* of years where it may be one."""
    if len(digits) > MAX_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return _one_by_one(digits, language)
    number = int(digits)
    if reading == "cardinal" or len(digits) != _YEAR or not 1_100 <= number < 2_100:  # noqa: PLR2004 - centuries
        return named(number, language)
    return _one_by_one(digits, language) if reading == "digits" else named(number, language, "year")


def _one_by_one(digits: str, language: str) -> Way:
    return tuple(token for digit in digits[:MAX_TOKENS] for token in named(int(digit), language))

"""Rules for dates: a day and a month with or without a year, a month and a year, years, decades."""

from sottovoce.transcript.entities import numbers, writing
from sottovoce.transcript.entities.locale import Locale, words
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import DATE, Match

_LAST_DAY, _MONTHS = 31, 12
_PAIR, _CENTURY_FIRST, _CENTURY_LAST = 10, 13, 20  # `eleven fifty` and `twelve thirty` are more often times
_YEARS = range(1100, 2100)
_IN = words("in since by until till from year during around circa before after of and to")
_AMBIGUOUS_MONTHS = frozenset({"may", "march", "mars", "mai", "sec"})


def date(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A date that begins with its month or its day."""
    token = reader.at(at)
    if token.kind == "date":
        return Match(end=at + 1, entity_class=DATE, parts=(token.text,))
    if token.text in locale.months:
        return _from_month(reader, at, locale)
    return _from_day(reader, at, locale)


def _from_month(reader: Reader, at: int, locale: Locale) -> Match | None:
    name = reader.at(at).text
    written = locale.months[name]
    joined = reader.word(at + 1) in locale.year_joiners
    with_year = year(reader, at + (2 if joined else 1), locale)
    day = _day(reader, at + 1, locale, ordinals=True) if locale.code == "en" else None
    if (
        day and reader.at(at + 1).kind == "number"
    ):  # an engine writes `July 25` for what is nearly always said as an ordinal
        day = writing.ordinal(int(day[0]), "", locale), day[1]
    if day and (with_year is None or with_year[1] <= day[1]):
        text, end = day
        parts: tuple[str, ...] = (written, text)
        if found := _year_after(reader, end, locale):
            comma = "," if text.isdecimal() else ""
            return Match(end=found[1], entity_class=DATE, parts=(written, text + comma, found[0]))
        follows = reader.word(end)
        if text.isdecimal() and name in _AMBIGUOUS_MONTHS:
            return None
        if text.isdecimal() and ((follows,) in locale.currencies or follows in locale.numerals.vocabulary):
            return None
        return Match(end=end, entity_class=DATE, parts=parts)
    found = with_year
    if found is None:
        return None
    return Match(
        end=found[1], entity_class=DATE, parts=(written, *((reader.word(at + 1),) if joined else ()), found[0])
    )


def _from_day(reader: Reader, at: int, locale: Locale) -> Match | None:
    day = _day(reader, at, locale, ordinals=locale.ordinal_days)
    if day is None:
        return None
    text, end = day
    if numbered := _numbered_month(reader, text, end, locale):
        return numbered
    joined = reader.word(end) in locale.day_joiners
    month = reader.at(end + 1 if joined else end).text
    if month not in locale.months:
        return None
    if locale.code == "en" and month in {"may", "march"} and text.isdecimal():
        return None
    parts = (text, *((reader.word(end),) if joined else ()), locale.months[month])
    end += 2 if joined else 1
    start = end + 1 if reader.word(end) in locale.year_joiners else end
    if found := _year_after(reader, start, locale):
        joiner = (reader.word(end),) if start > end else ()
        return Match(end=found[1], entity_class=DATE, parts=(*parts, *joiner, found[0]))
    return Match(end=end, entity_class=DATE, parts=parts)


def _numbered_month(reader: Reader, day: str, end: int, locale: Locale) -> Match | None:
    """`dez do oito de dois mil` → 10/08/2000."""
    if not day.isdecimal() or reader.word(end) not in locale.number_joiners:
        return None
    month = numbers.small(reader, end + 1, locale.numerals)
    if month is None or not 0 < month[0] <= _MONTHS:
        return None
    shown, end = f"{int(day):02d}/{month[0]:02d}", month[1]
    if reader.word(end) in locale.year_joiners and (found := year(reader, end + 1, locale)):
        return Match(end=found[1], entity_class=DATE, parts=(f"{shown}/{found[0]}",))
    return Match(end=end, entity_class=DATE, parts=(shown,))


def _day(reader: Reader, at: int, locale: Locale, *, ordinals: bool) -> tuple[str, int] | None:
    """The day at *at* as it is written, and the token after it."""
    word = reader.word(at)
    if word in locale.first_day:
        return locale.first_day[word], at + 1
    if ordinals and (found := numbers.ordinal(reader, at, locale)) and 0 < found[0] <= _LAST_DAY:
        return writing.ordinal(found[0], reader.word(found[1] - 1), locale), found[1]
    token = reader.at(at)
    if token.kind == "number" and token.fraction is None and 0 < int(token.digits or 0) <= _LAST_DAY:
        return str(int(token.digits)), at + 1
    count = numbers.small(reader, at, locale.numerals)
    if count and 0 < count[0] <= _LAST_DAY:
        return str(count[0]), count[1]
    return None


def _year_after(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    """A year after a day and a month, possibly after a comma."""
    comma = reader.at(at)
    start = at + 1 if comma.kind == "mark" and comma.text == "," else at
    return year(reader, start, locale)


def year(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    """A year beside a month: in pairs, as a number, or in four digits."""
    token = reader.at(at)
    if token.kind == "number" and len(token.digits) == 4 and token.fraction is None:
        rest = _day(reader, at + 2, locale, ordinals=False) if _is_thousand_and(reader, at, locale) else None
        return (str(int(token.digits) + int(rest[0])), rest[1]) if rest else (token.digits, at + 1)
    if found := _paired(reader, at, locale, first=1):
        return found
    count = numbers.cardinal(reader, at, locale.numerals)
    if count and count.integral and 1000 <= count.whole < 2100:
        return str(count.whole), count.end
    return None


def _is_thousand_and(reader: Reader, at: int, locale: Locale) -> bool:
    """True for `2000 and`, as an engine writes two thousand and twelve when it hears a part of it first."""
    return locale.paired_years and reader.at(at).digits == "2000" and reader.word(at + 1) in locale.numerals.joiners


def _paired(reader: Reader, at: int, locale: Locale, first: int = _CENTURY_FIRST) -> tuple[str, int] | None:
    """`nineteen eighty four`, `nineteen oh five`, in languages that say years so."""
    if not locale.paired_years:
        return None
    high = numbers.small(reader, at, locale.numerals)
    if not high or not max(first, _PAIR) <= high[0] <= _CENTURY_LAST:
        return None
    century, end = high
    if reader.word(end) in locale.year_joiner_zero:
        low = numbers.small(reader, end + 1, locale.numerals)
        return (f"{century}{low[0]:02d}", low[1]) if low and 0 < low[0] < _PAIR else None
    if reader.word(end) in locale.numerals.hundred:
        end += 1
    low = numbers.small(reader, end, locale.numerals)
    if low and low[0] >= _PAIR and not _goes_on(reader, low[1], locale):
        return f"{century}{low[0]}", low[1]
    return None


def _goes_on(reader: Reader, at: int, locale: Locale) -> bool:
    word = reader.word(at)
    numerals = locale.numerals
    return word in numerals.hundred or word in numerals.thousand or word in numerals.scales or word in locale.point


def lone_year(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A year on its own, an era, or a decade."""
    token = reader.at(at)
    if token.kind == "decade":
        return Match(end=at + 1, entity_class=DATE, parts=(f"{token.digits}s",))
    if era := _era(reader, at, locale):
        return era
    if token.kind == "number":
        plain = len(token.digits) == 4 and not token.grouped and token.fraction is None
        if plain and int(token.digits) in _YEARS and not _goes_on(reader, at + 1, locale):
            return Match(end=at + 1, entity_class=DATE, parts=(token.digits,))
        return None
    if decade := _decade(reader, at, locale):
        return decade
    if found := _paired(reader, at, locale):
        return Match(end=found[1], entity_class=DATE, parts=(found[0],))
    return _counted_year(reader, at, locale)


def _counted_year(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A year that is said as a number: `two thousand twelve`."""
    count = numbers.cardinal(reader, at, locale.numerals)
    if count is None or not count.integral or not 1000 <= count.whole < 2100:
        return None
    if _goes_on(reader, count.end, locale):
        return None
    if (locale.code == "en" and count.whole >= 2001) or (
        locale.code != "en" and count.whole > 1000 and reader.word(at - 1) in _before_years(locale)
    ):
        return Match(end=count.end, entity_class=DATE, parts=(str(count.whole),))
    if locale.code == "en" and count.whole in _YEARS and count.whole % 100 == 0 and reader.word(at - 1) in _IN:
        return Match(end=count.end, entity_class=DATE, parts=(str(count.whole),))
    return None


def _before_years(locale: Locale) -> frozenset[str]:
    return locale.year_joiners | frozenset(
        {"in", "en", "em", "nel", "im", "jahr", "año", "ano", "anno", "jaar", "sinds", "seit"}
    )


def _era(reader: Reader, at: int, locale: Locale) -> Match | None:
    """`seven fifty b c` → 750 BC."""
    if not locale.eras:
        return None
    high = numbers.small(reader, at, locale.numerals)
    found: tuple[int, int] | None = None
    if high:
        low = numbers.small(reader, high[1], locale.numerals)
        found = (high[0] * 100 + low[0], low[1]) if low and low[0] >= _PAIR else high
    count = numbers.cardinal(reader, at, locale.numerals)
    if count and count.integral and (found is None or count.end >= found[1]):
        found = count.whole, count.end
    if found is None:
        return None
    length = reader.phrase(found[1], locale.eras)
    if not length or not found[0]:
        return None
    return Match(
        end=found[1] + length,
        entity_class=DATE,
        parts=(str(found[0]), locale.eras[reader.words(found[1], length)]),
    )


def _decade(reader: Reader, at: int, locale: Locale) -> Match | None:
    high = numbers.small(reader, at, locale.numerals)
    if not high or not _CENTURY_FIRST <= high[0] <= _CENTURY_LAST or reader.word(high[1]) not in locale.decades:
        return None
    century = high[0] * 100 + locale.decades[reader.word(high[1])]
    return Match(end=high[1] + 1, entity_class=DATE, parts=(f"{century}s",))

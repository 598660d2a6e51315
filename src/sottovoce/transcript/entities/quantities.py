"""Rules for numbers and what is counted: ranges, percentages, money, measurements, fractions, ordinals, plain numbers.

In order: what follows a number; ranges; fractions; ordinals; plain numbers.
"""

from dataclasses import dataclass, replace

from sottovoce.transcript.entities import numbers, writing
from sottovoce.transcript.entities.literals import SIGNS
from sottovoce.transcript.entities.locale import Currency, Locale, words
from sottovoce.transcript.entities.tokens import Reader, Token
from sottovoce.transcript.entities.values import (
    ALPHANUM,
    CARDINAL,
    DECIMAL,
    FRACTION,
    MEASUREMENT,
    MONEY,
    ORDINAL,
    PERCENTAGE,
    SPAN,
    Amount,
    Match,
)

_CENTS = 100
_WEIGHS = words("weigh weighs weighed weighing lose lost losing gain gained gaining")
_HEAVY = words("of heavier lighter overweight")  # `twenty pounds of flour`
_RICH = 10**6  # so many pounds of something are money
_AMBIGUOUS = {"won": 1000, "mark": 1000, "real": 2}  # words that are rarely currencies after smaller numbers
_FEET = words("foot feet")
_COUNTED = words("people men women children of more other new years of")  # after a number that counts
_SERIAL_CUES = words("code zip postcode pin flight room number account order reference id serial box extension")
_YEAR_DIGITS = 4
_COLLOQUIAL = words("foot mile inch yard pound stone ton second meter metre")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """What follows a number up to the token *end*: the text *before* the digits, *after* them, or as a *word* of its own."""

    end: int
    entity_class: str
    before: str = ""
    after: str = ""
    word: str = ""


def quantity(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A number with a unit, a currency or a percent sign, or a range of such numbers."""
    coin = _leading_sign(reader, at)
    amount = numbers.amount(reader, at + 1 if coin else at, locale)
    if amount is None:
        return None
    if minor := _minor_alone(reader, amount, locale):
        return minor
    amount = _paired(reader, at, amount, locale)
    low = _unit(reader, amount, locale) if not coin else None
    if ranged := _range(reader, amount, coin, low, locale):
        return ranged
    if coin:
        cents = reader.word(amount.end) in locale.minors and len(amount.fraction or "") == len("50")
        return _money(amount.end + cents, amount, _currency(coin, locale), locale)
    if minor := _with_minor(reader, amount, locale):
        return minor
    if low and amount.integral and (length := reader.phrase(low.end, locale.half)):  # `dos metros y medio`
        amount = replace(amount, fraction="50" if low.entity_class == MONEY else "5")
        low = replace(low, end=low.end + length)
    return _written(amount, low, locale) if low else None


def _paired(reader: Reader, at: int, amount: Amount, locale: Locale) -> Amount:
    """`one fifty five dollars` → 155, if a currency or unit follows."""
    if not locale.paired_years or amount.end != at + 1 or not amount.integral or not 0 < amount.whole < 10:
        return amount
    low = numbers.small(reader, at + 1, locale.numerals)
    if low is None or low[0] < 10:
        return amount
    whole = Amount(whole=amount.whole * 100 + low[0], end=low[1])
    return whole if _unit(reader, whole, locale) and reader.at(low[1]).text != "pounds" else amount


def _leading_sign(reader: Reader, at: int) -> str:
    token = reader.at(at)
    return token.text if token.kind == "sign" and token.text in SIGNS else ""


def _currency(sign: str, locale: Locale) -> Currency:
    """The currency of *sign*, which an engine wrote, with the blank that the language puts beside it."""
    spaced = locale.currencies.get((sign,))
    return spaced if spaced and spaced.sign.strip() == sign else Currency(sign=sign)


def _written(amount: Amount, unit: _Unit, locale: Locale) -> Match:
    parts = writing.parts(amount, locale, unit.before, unit.after)
    return Match(end=unit.end, entity_class=unit.entity_class, parts=(*parts, unit.word) if unit.word else parts)


def _money(end: int, amount: Amount, currency: Currency, locale: Locale) -> Match:
    return _written(amount, _coin(end, amount, currency, locale), locale)


def _coin(end: int, amount: Amount, currency: Currency, locale: Locale) -> _Unit:
    sign = currency.sign
    if sign[-1:].isalpha() and sign.islower():  # yuan
        return _Unit(end=end, entity_class=MONEY, word=sign)
    if locale.sign_first or sign in locale.signs_first:
        return _Unit(end=end, entity_class=MONEY, before=sign)
    if amount.scale:
        return _Unit(end=end, entity_class=MONEY, word=sign)
    return _Unit(end=end, entity_class=MONEY, after=writing.NBSP + sign)


def _unit(reader: Reader, amount: Amount, locale: Locale) -> _Unit | None:
    end = amount.end
    if length := reader.phrase(end, locale.percent):
        after = locale.percent[reader.words(end, length)]
        return _Unit(end=end + length, entity_class=PERCENTAGE, after=after)
    joined = reader.word(end) in locale.money_of and amount.scale is not None
    start = end + 1 if joined else end
    length = reader.phrase(start, locale.currencies)
    if joined and length and locale.keeps_money_of:
        of, name = reader.word(end), " ".join(reader.words(start, length))
        return _Unit(end=start + length, entity_class=MONEY, word=of + name if of.endswith("'") else f"{of} {name}")
    token = reader.at(start)
    if token.kind == "sign" and token.text in SIGNS:
        return _coin(start + 1, amount, _currency(token.text, locale), locale)
    if length and _is_money(reader, amount, start, locale):
        return _coin(start + length, amount, locale.currencies[reader.words(start, length)], locale)
    minor = reader.word(end)
    if minor in locale.minors and amount.integral:
        sign = locale.minors[minor]
        return _Unit(end=end + 1, entity_class=MONEY, after=sign)
    return _measure(reader, amount, locale)


def _is_money(reader: Reader, amount: Amount, at: int, locale: Locale) -> bool:
    word = reader.word(at)
    if amount.value < _AMBIGUOUS.get(word, 0):
        return False
    if locale.code == "en" and word in {"pound", "pounds"}:
        heavy = reader.word(at + 1) in _HEAVY and amount.factor < _RICH
        return not heavy and not any(reader.word(before) in _WEIGHS for before in range(amount.end - 8, amount.end))
    return True


def _with_minor(reader: Reader, amount: Amount, locale: Locale) -> Match | None:
    """`two dollars (and) fifty (cents)`."""
    length = reader.phrase(amount.end, locale.currencies)
    if not length or not amount.integral or amount.negative:
        return None
    currency = locale.currencies[reader.words(amount.end, length)]
    at = amount.end + length
    joined = reader.word(at) in locale.money_joiners
    start = at + 1 if joined else at
    found = numbers.small(reader, start, locale.numerals)
    if found is None and reader.at(start).kind == "number" and len(reader.at(start).digits) <= 2:
        found = int(reader.at(start).digits), start + 1
    if found is None or not 0 < found[0] < _CENTS:
        return None
    cents, end = found
    if reader.word(end) in locale.minors:
        end += 1
    elif _continues(reader, end, locale) or not _is_cents(reader, end, cents, locale, joined=joined):
        return None
    return _money(end, replace(amount, fraction=f"{cents:02d}", end=end), currency, locale)


def _is_cents(reader: Reader, end: int, cents: int, locale: Locale, *, joined: bool) -> bool:
    """True if a number after an amount of money, up to *end*, is its cents although no word says so."""
    if locale.code == "en":
        return not joined and cents >= 10
    return cents >= 10 or (not joined and reader.at(end).kind in {"end", "mark"})


def _minor_alone(reader: Reader, amount: Amount, locale: Locale) -> Match | None:
    """`vingt centimes` → 0,20 €, in languages that do not write the number of cents."""
    sign = locale.minors_of.get(reader.word(amount.end))
    if sign is None or not amount.integral or amount.whole >= _CENTS:
        return None
    part = replace(amount, whole=0, fraction=f"{amount.whole:02d}")
    return _money(amount.end + 1, part, Currency(sign=sign), locale)


def _continues(reader: Reader, at: int, locale: Locale) -> bool:
    """True if the number before *at* belongs to something else: `ten dollars twenty people`."""
    token, numerals = reader.at(at), locale.numerals
    if token.kind in {"end", "mark"}:
        return False
    word = token.text
    return (
        word in numerals.hundred
        or word in numerals.thousand
        or word in numerals.scales
        or word in numerals.vocabulary
        or bool(reader.phrase(at, locale.percent) or reader.phrase(at, locale.units))
        or bool(reader.phrase(at, locale.currencies))
        or (word.endswith("s") and len(word) > 3)
    )


# ── measurements ──


def _measure(reader: Reader, amount: Amount, locale: Locale) -> _Unit | None:
    at, power = amount.end, ""
    if reader.word(at) in locale.squares and not reader.phrase(at, locale.units):
        power, at = locale.squares[reader.word(at)], at + 1
    symbol, end = _symbol(reader, at, locale)
    if not symbol:
        return _rate(reader, amount, locale)
    if amount.whole == 1 and amount.integral and not amount.digits and reader.word(at) in _COLLOQUIAL:
        return None
    if not power and reader.word(end) in locale.squares:
        power, end = locale.squares[reader.word(end)], end + 1
    if reader.word(at) in _FEET and _inches_alone(reader, end, locale):
        return None
    symbol += power
    if reader.word(end) in locale.per_words:
        below, after = _below(reader, end + 1, locale)
        if below:
            symbol, end = {"mi/h": "mph", "L/km": "L/km"}.get(f"{symbol}/{below}", f"{symbol}/{below}"), after
    if symbol[:1] == "°":
        return _Unit(end=end, entity_class=MEASUREMENT, after=symbol if symbol == "°" else " " + symbol)
    return _Unit(end=end, entity_class=MEASUREMENT, word=symbol)


def _inches_alone(reader: Reader, at: int, locale: Locale) -> bool:
    """True for the five of `six foot five`, which stays in words."""
    found = numbers.small(reader, at, locale.numerals)
    return found is not None and found[0] < 12 and not reader.phrase(found[1], locale.units)


def _symbol(reader: Reader, at: int, locale: Locale) -> tuple[str, int]:
    """The symbol of the unit at *at*, with a prefix that is a word of its own (`kilo watt hours`)."""
    token = reader.at(at)
    written = token.text in _WRITTEN_UNITS and token.kind == "word" and reader.at(at - 1).kind == "number"
    if written or (token.kind == "sign" and token.text not in SIGNS):
        return _LITERAL_UNITS.get(token.text, token.text), at + 1
    prefix = locale.prefixes.get(reader.word(at))
    if prefix:
        length = reader.phrase(at + 1, locale.units)
        symbol = locale.units[reader.words(at + 1, length)] if length else ""
        if symbol and symbol[:1] not in "°k":
            return prefix + symbol, at + 1 + length
    length = reader.phrase(at, locale.units)
    return (locale.units[reader.words(at, length)], at + length) if length else ("", at)


_WRITTEN_UNITS = words(
    "km m cm mm kg g mg mph km/h kph kwh gb mb tb ghz mhz khz ft lb lbs °c °f m² km² m³ kw ml cl dl oz gal hp ha m/s mw gw wh "
    "mwh gwh kbps mbps gbps rpm psi fps hz"
)
_LITERAL_UNITS = {
    "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB", "hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "w": "W", "kw": "kW",
    "mw": "MW", "gw": "GW", "kwh": "kWh", "v": "V", "l": "L", "°c": "°C", "°f": "°F", "db": "dB", "lbs": "lb",
    "wh": "Wh", "mwh": "MWh", "gwh": "GWh",
    "kbps": "kbps", "mbps": "Mbps", "gbps": "Gbps", "ml": "mL", "cl": "cL", "dl": "dL",
}  # fmt: skip


def _below(reader: Reader, at: int, locale: Locale) -> tuple[str, int]:
    """The symbol after `per`."""
    power = locale.squares.get(reader.word(at), "")
    start = at + 1 if power else at
    word = reader.word(start)
    if word in locale.per and not power:
        return locale.per[word], start + 1
    length = reader.phrase(start, locale.units)
    if not length:
        return "", at
    end = start + length
    if not power and reader.word(end) in locale.squares:
        power, end = locale.squares[reader.word(end)], end + 1
    return locale.units[reader.words(start, length)] + power, end


def _rate(reader: Reader, amount: Amount, locale: Locale) -> _Unit | None:
    """`forty per square meter`: a number without a unit of its own."""
    if reader.word(amount.end) not in locale.per_words:
        return None
    below, after = _below(reader, amount.end + 1, locale)
    if below[-1:] not in {*locale.squares.values()}:
        return None
    return _Unit(end=after, entity_class=MEASUREMENT, word=f"/{below}") if below else None


# ── ranges ──


def _range(reader: Reader, low: Amount, coin: str, unit: _Unit | None, locale: Locale) -> Match | None:
    """`one hundred to two hundred million pounds`: each end has a number, the second the unit (contract §7.4)."""
    between = unit.end if unit else low.end
    if reader.word(between) not in locale.range_words or low.negative:
        return None
    word = reader.word(between)
    other = _leading_sign(reader, between + 1)
    high = numbers.amount(reader, between + (2 if other else 1), locale)
    if high is None or high.negative:
        return None
    last = _unit(reader, high, locale) if not other else None
    if other:
        last = _coin(high.end, high, _currency(other, locale), locale)
    if unit is not None and (last is None or last.entity_class != unit.entity_class):
        return None
    first = _Unit(end=low.end, entity_class=MONEY, before=coin) if coin else unit or _Unit(end=0, entity_class=SPAN)
    if last is None and (_stays_words(low, locale) or _stays_words(high, locale)):
        if _stays_words(low, locale) and _stays_words(high, locale):
            return None
        if low.digits or high.digits:
            return None
    head = _written(low, first, locale).parts
    tail = _written(high, last or _Unit(end=high.end, entity_class=SPAN), locale)
    return Match(end=max(tail.end, high.end), entity_class=SPAN, parts=(*head, word, *tail.parts))


def _stays_words(amount: Amount, locale: Locale) -> bool:
    return amount.integral and not amount.negative and amount.whole <= locale.stay_words


def written_range(reader: Reader, at: int, locale: Locale) -> Match | None:
    """`10-20%` in digits stays as it is."""
    del locale
    token = reader.at(at)
    coin = _leading_sign(reader, at)
    if coin:
        token = reader.at(at + 1)
    if token.kind != "range":
        return None
    end = at + (2 if coin else 1)
    after = reader.at(end)
    sign = after.text if after.kind == "sign" and not after.first else ""
    return Match(end=end + bool(sign), entity_class=SPAN, parts=(coin + token.text + sign,))


# ── fractions, ordinals, plain numbers ──


def fraction(reader: Reader, at: int, locale: Locale) -> Match | None:
    """`three sixteenths`, `two and three quarters`; a lone half, third or quarter stays a word."""
    token, after = reader.at(at), reader.at(at + 1)
    if written := _written_fraction(token):
        return Match(end=at + 1, entity_class=FRACTION, parts=(written,))
    if token.kind == "number" and token.fraction is None and (written := _written_fraction(after)):
        return Match(end=at + 2, entity_class=FRACTION, parts=(token.text, written))
    negative = reader.word(at) in locale.minus
    whole = numbers.cardinal(reader, at + negative, locale.numerals)
    if whole is None or not whole.integral:
        return None
    sign = "-" if negative else ""
    if simple := _parts_of(reader, whole, locale):
        named = numbers.ordinal(reader, at, locale)
        if named and named[1] >= simple[1] and (whole.whole > 1 or simple[3] < _CENTS):  # dix-septième
            return None
        return _fraction(reader, simple[1], (sign + simple[0],), locale)
    start = whole.end + 1 if reader.word(whole.end) in locale.numerals.joiners else whole.end
    if locale.code == "en" and start == whole.end:
        return None
    numerator = numbers.cardinal(reader, start, locale.numerals)
    if numerator is None:
        return None
    mixed = _parts_of(reader, numerator, locale, small_too=True)
    if not mixed or mixed[2] >= mixed[3]:
        return None
    return _fraction(reader, mixed[1], (sign + writing.grouped(whole.whole, locale), mixed[0]), locale)


def _written_fraction(token: Token) -> str:
    """3/16, if the token is such a fraction, else empty."""
    proper = token.kind == "fraction" and token.fraction and int(token.digits) < int(token.fraction)
    return f"{token.digits}/{token.fraction}" if proper else ""


def _fraction(reader: Reader, end: int, parts: tuple[str, ...], locale: Locale) -> Match:
    """A fraction with the unit after it, if there is one."""
    unit = _measure(reader, Amount(whole=2, end=end), locale)
    if unit and unit.word and locale.code != "en":
        return Match(end=unit.end, entity_class=MEASUREMENT, parts=(*parts, unit.word))
    return Match(end=end, entity_class=FRACTION, parts=parts)


def _parts_of(
    reader: Reader, numerator: Amount, locale: Locale, *, small_too: bool = False
) -> tuple[str, int, int, int] | None:
    """The fraction `3/16`, the token after it, and its two numbers."""
    below = _denominator(reader, numerator.end, locale)
    if below is None or numerator.whole < 1:
        return None
    value, end = below
    if locale.code == "en" and numerator.whole != 1 and not reader.word(end - 1).endswith("s"):
        return None  # `twenty third`
    if numerator.whole == 1 and value <= 4 and not small_too:
        return None
    if locale.code == "en" and numerator.whole == 1 and not small_too and value >= 100:
        return (f"1/{value}", end, 1, value) if reader.word(end) == "of" else None
    return f"{numerator.whole}/{value}", end, numerator.whole, value


def _denominator(reader: Reader, at: int, locale: Locale) -> tuple[int, int] | None:
    word = reader.word(at)
    numerals = locale.numerals
    if word in numerals.denominators:
        return numerals.denominators[word], at + 1
    if locale.code != "en" and (length := reader.phrase(at, numerals.ordinals)) > 1:
        value = numerals.ordinals[reader.words(at, length)]
        return (value, at + length) if value > 10 else None
    if word in numerals.digits and reader.word(at + 1) in numerals.joiners:  # zwei und zwanzigstel
        tens = numerals.denominators.get(reader.word(at + 2), 0)
        if numerals.compound and tens in range(20, 100, 10):
            return tens + int(numerals.digits[word]), at + 3
    if length := reader.phrase(at, numerals.small):  # `twenty fifths`, `ein ein hundertstel`
        tens = numerals.small[reader.words(at, length)]
        rest = numerals.denominators.get(reader.word(at + length), 0)
        if rest >= _CENTS and tens > 0:
            return tens * rest, at + length + 1
        if tens >= 20 and tens % 10 == 0 and 0 < rest < 10:
            return tens + rest, at + length + 1
    return None


def ordinal(reader: Reader, at: int, locale: Locale) -> Match | None:
    """`twenty first` → 21st; ordinals up to ten stay words (contract §7.4)."""
    found = numbers.ordinal(reader, at, locale)
    if found is None:
        return None
    value, end = found
    token = reader.at(at)
    if token.kind == "ordinal":
        if value <= locale.stay_words and locale.rewrites_small:
            name = next((form[0] for form, number in locale.numerals.ordinals.items() if number == value), "")
            return Match(end=end, entity_class=None, parts=(name,)) if name else None
        return Match(end=end, entity_class=ORDINAL, parts=(token.text,))
    if value <= locale.stay_words + (locale.stay_words < 10):
        return None
    return Match(end=end, entity_class=ORDINAL, parts=(writing.ordinal(value, reader.word(end - 1), locale),))


def plain(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A number without a unit: whole numbers up to ten stay words in English (contract §7.4), up to nine elsewhere."""
    found = numbers.amount(reader, at, locale)
    if found is None:
        return None
    if locale.code == "en" and found.scale and found.whole == 1 and reader.word(at) in locale.numerals.one:
        return None  # one in a million
    if not found.integral:
        kind = DECIMAL if found.fraction is not None else CARDINAL
        return Match(end=found.end, entity_class=kind, parts=writing.parts(found, locale))
    token = reader.at(at)
    if not reader.at(found.end - 1).last:
        return _compound(reader, found, locale)
    if found.whole <= locale.stay_words and not found.negative:
        if not found.digits or not locale.rewrites_small or len(token.digits) > len(str(found.whole)):
            return None
        name = next((form[0] for form, value in locale.numerals.small.items() if value == found.whole), "")
        return Match(end=found.end, entity_class=None, parts=(name,)) if name else None
    if token.kind == "number" and found.end == at + 1 and token.digits[:1] == "0" and len(token.digits) > 1:
        return Match(end=found.end, entity_class=CARDINAL, parts=(token.digits,))
    if token.kind == "number" and found.end == at + 1 and _is_serial(reader, at):
        kind = ALPHANUM if len(token.digits) > _YEAR_DIGITS else CARDINAL
        return Match(end=found.end, entity_class=kind, parts=(token.digits,))
    return Match(end=found.end, entity_class=CARDINAL, parts=writing.parts(found, locale))


def _is_serial(reader: Reader, at: int) -> bool:
    """True for digits that an engine wrote without separators, and that count nothing: a postcode, a number of a flight.

    They were probably said one by one, and separators would change them.
    """
    token, following = reader.at(at), reader.word(at + 1)
    if token.grouped or len(token.digits) < _YEAR_DIGITS:
        return False
    if any(reader.word(before) in _SERIAL_CUES for before in range(max(0, at - 3), at)):
        return True
    if token.digits.endswith("00"):
        return False
    counts = (following.endswith("s") and len(following) > 3) or following in _COUNTED
    return not counts


def _compound(reader: Reader, found: Amount, locale: Locale) -> Match | None:
    """`twenty-five-year-old`: the number is a part of a word with hyphens."""
    if locale.numerals.compound or found.whole <= locale.stay_words:
        return None
    rest: list[str] = []
    end = found.end
    while not reader.at(end - 1).last:
        rest.append(reader.at(end).text)
        end += 1
    return Match(end=end, entity_class=CARDINAL, parts=("-".join((writing.number(found, locale), *rest)),))

"""Numbers in words or digits: cardinals, decimals with a scale, ordinals, and single digits."""

from dataclasses import dataclass, replace

from sottovoce.transcript.entities.locale import Locale, Numerals
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import Amount

MAX_DIGITS = 27
"""Digits of the largest number that is written in digits."""

_HUNDRED, _THOUSAND = 100, 1000

Counted = tuple[int, int]
"""A value and the index of the token after it."""


def small(reader: Reader, at: int, numerals: Numerals) -> Counted | None:
    """A number of 0 … 99 in words."""
    length = reader.phrase(at, numerals.small)
    return (numerals.small[reader.words(at, length)], at + length) if length else None


def _digits(reader: Reader, at: int) -> Counted | None:
    token = reader.at(at)
    if token.kind != "number" or token.fraction is not None or not token.digits or len(token.digits) > MAX_DIGITS:
        return None
    return int(token.digits), at + 1


def _group(reader: Reader, at: int, numerals: Numerals) -> Counted | None:
    """A number below thousand, or `nineteen hundred`, or any number in digits."""
    if found := _digits(reader, at):
        value, end = found
        if reader.word(end) in numerals.hundred and value <= numerals.hundreds_up_to:
            return _hundreds(reader, end + 1, value * _HUNDRED, numerals)
        return found
    word = reader.word(at)
    found = small(reader, at, numerals)
    if found:
        value, end = found
        if 0 < value <= numerals.hundreds_up_to and value % 10 and reader.word(end) in numerals.hundred:
            return _hundreds(reader, end + 1, value * _HUNDRED, numerals)
        return found
    if word in numerals.one and reader.word(at + 1) in numerals.hundred:
        return _hundreds(reader, at + 2, _HUNDRED, numerals)
    if word in numerals.hundreds:
        return _hundreds(reader, at + 1, numerals.hundreds[word], numerals)
    return None


def _hundreds(reader: Reader, at: int, value: int, numerals: Numerals) -> Counted:
    """*value* in hundreds and the tens and ones after it."""
    start = at + 1 if reader.word(at) in numerals.joiners else at
    rest = small(reader, start, numerals)
    if rest and rest[0] > 0 and reader.word(rest[1]) not in numerals.hundred:
        return value + rest[0], rest[1]
    return value, at


@dataclass(slots=True, kw_only=True)
class _Sum:
    """A number that is being read: *total* of closed scales, *block* below the next scale, *last* scale."""

    total: int = 0
    block: int = 0
    thousands: bool = False
    last: int | None = None
    scale: str | None = None  # the scale word, if nothing else was read
    groups: int = 0

    def takes(self, factor: int) -> bool:
        """True if a scale of *factor* may follow."""
        return self.last is None or factor < self.last

    def close(self, value: int, word: str, factor: int) -> None:
        """Multiply the block and *value* by *factor*."""
        self.scale = word if not self.total else None
        self.total += (self.block + value) * factor
        self.block, self.thousands, self.last = 0, False, factor
        self.groups += 1


def cardinal(reader: Reader, at: int, numerals: Numerals) -> Amount | None:
    """The longest whole number from *at*, with its scale word if the number ends with it (`5 million`)."""
    read, end, digits = _Sum(), at, False
    while True:
        start = end + 1 if read.groups and reader.word(end) in numerals.joiners else end
        found = _group(reader, start, numerals) or _bare_multiplier(reader, start, numerals)
        if found is None:
            break
        value, after = found
        unit = reader.word(after)
        factor = numerals.scales.get(unit)
        if unit in numerals.thousand and not read.block and value:
            read.block, read.thousands, read.groups, read.scale = value * _THOUSAND, True, read.groups + 1, None
            end = after + 1
            factor = numerals.scales.get(reader.word(end))
            if factor and read.takes(factor):  # mil millones
                read.close(0, reader.word(end), factor)
                end += 1
        elif factor and read.takes(factor) and value:
            read.close(value, unit, factor)
            end = after + 1
        elif read.groups and (not value or value >= _THOUSAND or factor or unit in numerals.thousand):
            break
        else:
            return Amount(whole=read.total + read.block + value, end=after, digits=digits or _is_number(reader, start))
        digits = digits or _is_number(reader, start)
    if not read.groups:
        return None
    if read.scale and read.last and not read.block:
        whole = read.total // read.last
        return Amount(whole=whole, end=end, scale=read.scale, factor=read.last, digits=digits)
    return Amount(whole=read.total + read.block, end=end, digits=digits)


def _is_number(reader: Reader, at: int) -> bool:
    return reader.at(at).kind == "number"


def _bare_multiplier(reader: Reader, at: int, numerals: Numerals) -> Counted | None:
    """1 before a multiplier: of `mil`, or of `a thousand`."""
    word = reader.word(at)
    if word in numerals.thousand and numerals.bare_thousand:
        return 1, at
    follows = reader.word(at + 1) if word in numerals.one else ""
    return (1, at + 1) if follows and (follows in numerals.thousand or follows in numerals.scales) else None


def amount(reader: Reader, at: int, locale: Locale) -> Amount | None:
    """A number from *at*, with a sign, decimals, and a scale word after decimals."""
    numerals = locale.numerals
    first = reader.at(at)
    negative = first.text in locale.minus or (first.kind == "sign" and first.text == "-")
    start = at + 1 if negative else at
    found = _literal_decimal(reader, start, locale) or _split_groups(reader, start, locale)
    if found is None:
        whole = cardinal(reader, start, numerals)
        if whole is None:
            found = _bare_decimals(reader, start, locale)
            if found is None:
                return None
        else:
            found = _with_decimals(reader, whole, locale)
    if not negative:
        return found
    return Amount(
        whole=found.whole, end=found.end, fraction=found.fraction, scale=found.scale, factor=found.factor, negative=True,
        spoken_zero=found.spoken_zero, digits=found.digits,
    )  # fmt: skip


def _scaled(reader: Reader, found: Amount, locale: Locale) -> Amount:
    """*found*, which has decimals, with the scale word after it."""
    word = reader.word(found.end)
    factor = locale.numerals.scales.get(word) or (_THOUSAND if word in locale.numerals.thousand else 0)
    if not factor or found.scale:
        return found
    return Amount(
        whole=found.whole, end=found.end + 1, fraction=found.fraction, scale=word, factor=factor,
        spoken_zero=found.spoken_zero, digits=found.digits,
    )  # fmt: skip


def _literal_decimal(reader: Reader, at: int, locale: Locale) -> Amount | None:
    token = reader.at(at)
    if token.kind != "number" or token.fraction is None:
        return None
    found = Amount(
        whole=int(token.digits or 0),
        end=at + 1,
        fraction=token.fraction,
        digits=True,
        spoken_zero=bool(token.digits),
    )
    return _scaled(reader, found, locale)


def _split_groups(reader: Reader, at: int, locale: Locale) -> Amount | None:
    """`20 000`, which an engine returns as two words, in languages that group digits with blanks."""
    if locale.group.strip() or not (0 < len(reader.at(at).digits) <= 3) or reader.at(at).kind != "number":
        return None
    digits, end, fraction = reader.at(at).digits, at + 1, None
    while fraction is None and len(digits) < MAX_DIGITS:
        token = reader.at(end)
        if token.kind != "number" or len(token.digits) != 3 or token.grouped:
            break
        digits, fraction, end = digits + token.digits, token.fraction, end + 1
    if end == at + 1 or digits[0] == "0":
        return None
    found = Amount(whole=int(digits), end=end, fraction=fraction, digits=True)
    return _scaled(reader, found, locale) if fraction else found


def _with_decimals(reader: Reader, whole: Amount, locale: Locale) -> Amount:
    """*whole* with `point five`, `and a half`, and the scale after them."""
    if whole.scale:  # due milioni e mezzo
        length = reader.phrase(whole.end, locale.half) if locale.code != "en" else 0
        fraction = locale.half[reader.words(whole.end, length)] if length else None
        return replace(whole, fraction=fraction, end=whole.end + length)
    idiom = whole.whole == 1 and locale.code == "en" and reader.word(whole.end - 2) == "at"  # at one point
    if reader.word(whole.end) in locale.point and not idiom:
        digits, end = decimals(reader, whole.end + 1, locale)
        if digits:
            found = Amount(whole=whole.whole, end=end, fraction=digits, digits=whole.digits)
            return _scaled(reader, found, locale)
    length = reader.phrase(whole.end, locale.half)
    if length:
        fraction = locale.half[reader.words(whole.end, length)]
        found = Amount(whole=whole.whole, end=whole.end + length, fraction=fraction, digits=whole.digits)
        return _scaled(reader, found, locale)
    return whole


def _bare_decimals(reader: Reader, at: int, locale: Locale) -> Amount | None:
    """`point zero two`: not after a word that makes `point` a noun."""
    if reader.word(at) not in locale.point or reader.at(at - 1).kind == "word":
        return None
    digits, end = decimals(reader, at + 1, locale)
    if not digits:
        return None
    return _scaled(reader, Amount(whole=0, end=end, fraction=digits, spoken_zero=False), locale)


def decimals(reader: Reader, at: int, locale: Locale) -> tuple[str, int]:
    """The digits after the decimal point: one by one, or in numbers of two or three digits."""
    numerals = locale.numerals
    digits, end = "", at
    while True:
        word = reader.word(end)
        token = reader.at(end)
        pair = small(reader, end, numerals)
        if token.kind == "number" and token.fraction is None and not token.grouped:
            digits, end = digits + token.digits, end + 1
        elif pair and pair[0] > 9:
            digits, end = digits + str(pair[0]), pair[1]
        elif word in numerals.digits:
            digits, end = digits + numerals.digits[word], end + 1
        elif word in numerals.hundreds:
            value, end = _hundreds(reader, end + 1, numerals.hundreds[word], numerals)
            digits += str(value)
        else:
            return digits, end


def ordinal(reader: Reader, at: int, locale: Locale) -> Counted | None:
    """An ordinal number from *at* in words or digits."""
    token, numerals = reader.at(at), locale.numerals
    if token.kind == "ordinal":
        return int(token.digits), at + 1
    length = reader.phrase(at, numerals.ordinals)
    if length:
        return numerals.ordinals[reader.words(at, length)], at + length
    if reader.word(at) in numerals.ordinal_scales and locale.code != "en":
        base, start = numerals.ordinal_scales[reader.word(at)], at + 1
        rest = reader.phrase(start, numerals.ordinals)
        return base + (numerals.ordinals[reader.words(start, rest)] if rest else 0), start + rest
    found = cardinal(reader, at, numerals)
    if found is None or not found.whole:
        return None
    if reader.word(found.end) in numerals.ordinal_scales:
        return _scaled_ordinal(
            found.whole * found.factor, numerals.ordinal_scales[reader.word(found.end)]
        ), found.end + 1
    return _ordinal_after(reader, at, found.end, locale)


def _scaled_ordinal(value: int, scale: int) -> int:
    """`three thousand eight` and `hundredth` → 3800: the scale multiplies what is below the next one."""
    if not scale:
        return 0
    above, below = divmod(value, _THOUSAND if scale == _HUNDRED else scale * _THOUSAND)
    return (value - below) + below * scale if above else value * scale


def _ordinal_after(reader: Reader, at: int, end: int, locale: Locale) -> Counted | None:
    """An ordinal whose cardinal part ends with hundreds or tens: `one hundred and twenty first`."""
    numerals = locale.numerals
    for start in range(at + 1, end + 2):
        length = reader.phrase(start, numerals.ordinals)
        if not length:
            continue
        head = cardinal(Reader(reader.tokens[at:start]), 0, numerals)
        joined = reader.word(start - 1) in numerals.joiners
        if head is None or head.end < start - at - joined:
            continue
        value, last = head.whole * head.factor, numerals.ordinals[reader.words(start, length)]
        if value % _HUNDRED == 0 or (value % 10 == 0 and value % _HUNDRED > 10 and last < 10):
            return value + last, start + length
    return None

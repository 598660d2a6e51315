"""The English spoken forms of text with digits: times, dates, money, ranges, units, ordinals, telephone numbers.

In order: amounts and units; one reader for each pattern; `SHAPES`, the table of patterns and readers.
"""

import re
from collections.abc import Callable, Sequence

from sottovoce.transcript.verbalization import numbers
from sottovoce.transcript.verbalization.number_words import MAX_DIGITS, named
from sottovoce.transcript.verbalization.tables import CURRENCIES, DOTTED, MONTHS, SCALES, SIGNS, UNITS
from sottovoce.transcript.verbalization.tokenizer import Piece
from sottovoce.transcript.verbalization.variants import Way, best, joined

Reader = Callable[[re.Match[str], Piece], Sequence[Way]]
"""Returns the spoken forms of text that matches a pattern; empty if the text does not have that meaning."""

AMOUNT = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_COIN = "|".join(map(re.escape, CURRENCIES))
_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
MONEY = re.compile(
    rf"(?P<minus>-)?(?P<land>[A-Z]{{1,3}})?(?P<coin>{_COIN})(?P<sum>{AMOUNT})(?:-?(?P<scale>{_SCALE}))?", re.IGNORECASE
)
_NOON, _HOURS, _SIXTY = 12, 24, 60


def amount(text: str) -> tuple[Way, ...]:
    """The spoken forms of a number that matches `AMOUNT`, most probable first."""
    whole, point, rest = text.partition(".")
    if point:
        return numbers.english_decimal(whole.replace(",", ""), rest)
    return numbers.grouped(whole) if "," in whole else numbers.english(whole)


def measure(text: str) -> tuple[Way, ...]:
    """The spoken forms of a quantity, which is not read digit by digit like a telephone number."""
    if not text.isdecimal() or text[0] == "0" or len(text) > MAX_DIGITS:
        return amount(text)
    whole = numbers.cardinals(int(text))
    return best((*whole, *(numbers.pairs(text) if len(text) in {3, 4} else ())))


def is_month(text: str) -> bool:
    """True if *text* is the name or abbreviation of a month with a capital first letter."""
    return text[:1].isupper() and (
        text.lower() in MONTHS or DOTTED.get(text.lower(), ((),))[0][:1] in {(m,) for m in MONTHS}
    )


def unit(name: str, number: str) -> tuple[Way, ...]:
    """The spoken forms of the unit *name* after *number*: singular or plural, then the alternatives."""
    one, many, *more = UNITS[name]
    return best((one, many, *more) if number in {"1", "one", "a"} else (many, *more[:2], one, *more[2:]))


def _after(ways: Sequence[Way], *tail: str) -> list[Way]:
    return [(*way, *tail) for way in ways]


def _clock(match: re.Match[str], _: Piece) -> Sequence[Way]:
    hour, minute = int(match["hour"]), match["minute"]
    second, half = match["second"], (match["half"] or "").lower().replace(".", "")
    if hour > _HOURS:
        return ()
    ways = [*_minutes(hour, minute), *(_quarters(hour, int(minute)) if not second else ())]
    if second:
        ways = [
            way + ("and",) * nth + tail + ("seconds",) * nth
            for way in ways
            for nth in (0, 1)
            for tail in _two(second)[:1]
        ]
    return [(*way, *half) for way in ways]


def _two(digits: str) -> tuple[Way, ...]:
    """The spoken forms of two digits of a time: `oh five`, `thirty`."""
    value = int(digits)
    return (("oh", *named(value, "en")), named(value, "en")) if digits.startswith("0") else (named(value, "en"),)


def _minutes(hour: int, minute: str) -> list[Way]:
    head = named(hour, "en")
    if int(minute):
        late = [(*named(hour - _NOON, "en"), *_two(minute)[0])] if hour > _NOON else []
        return [*((*head, *way) for way in _two(minute)), *late]
    if hour > _NOON:
        early = named(hour - _NOON, "en")
        return [(*head, "hundred"), (*early, "p", "m"), early, (*early, "o'clock"), (*head, "hundred", "hours")]
    return [(*head, "o'clock"), head, (*head, "hundred")]


def _quarters(hour: int, minute: int) -> list[Way]:
    now, then = named((hour - 1) % _NOON + 1, "en"), named(hour % _NOON + 1, "en")
    return {
        15: [("quarter", "past", *now), ("a", "quarter", "past", *now)],
        30: [("half", "past", *now)],
        45: [("quarter", "to", *then), ("a", "quarter", "to", *then)],
    }.get(minute, [])


def _hour(match: re.Match[str], _: Piece) -> Sequence[Way]:
    """A time with `am` or `pm`: 3pm, 9.30am."""
    half = (match["half"] or "").lower().replace(".", "")
    if int(match["hour"]) > _HOURS:
        return ()
    if not match["minute"]:
        return [(*way, *half) for way in numbers.english(str(int(match["hour"])))[:1]]
    clock = [(*way, *half) for way in _minutes(int(match["hour"]), match["minute"])]
    return clock if half else ()


def _day(day: int) -> Way:
    return named(day, "en", "ordinal")


def _full_date(year: str, month: int, day: int) -> list[Way]:
    """`may twelfth nineteen eighty four`, `the twelfth of may …`."""
    if not (1 <= month <= len(MONTHS) and 1 <= day <= 31):  # noqa: PLR2004 - days of a month
        return []
    years = numbers.english(year)[0] if len(year) > 2 else _two(year)[0]  # noqa: PLR2004 - a short year
    name = MONTHS[month - 1]
    return [(name, *_day(day), *years), ("the", *_day(day), "of", name, *years), (*_day(day), "of", name, *years)]


def _date(match: re.Match[str], _: Piece) -> Sequence[Way]:
    first, second, year = int(match[1]), int(match[3]), match[4]
    if match[2] == "." and not 1 <= second <= len(MONTHS):
        return ()
    american, british = _full_date(year, first, second), _full_date(year, second, first)
    british[:2] = reversed(british[:2])  # the form with the day first precedes, as in the text
    plain = [way for text in (match[1], match[3]) for way in _plain_pair(text)]
    bare = (*plain[0], *plain[1], *(numbers.english(year)[0] if len(year) > 2 else _two(year)[0]))  # noqa: PLR2004
    ordered = (american, british) if match[2] != "." else (british, american)
    return [*(ways[nth] for nth in range(2) for ways in ordered if ways), bare]


def _plain_pair(digits: str) -> list[Way]:
    return [_two(digits)[0] if len(digits) > 1 else named(int(digits), "en")]


def _iso_date(match: re.Match[str], _: Piece) -> Sequence[Way]:
    year, month, day = match[1], match[2], match[3]
    ways = [*_full_date(year, int(month), int(day)), *_full_date(year, int(day), int(month))[:1]]
    return [*ways, (*numbers.english(year)[0], *_plain_pair(month)[0], *_plain_pair(day)[0])] if ways else ()


def _phone(match: re.Match[str], _: Piece) -> Sequence[Way]:
    plus = ("plus",) if match[0].startswith("+") else ()
    runs = re.findall(r"\d+", match[0])
    zero, oh = (*numbers.digitwise("".join(runs)), ())[:2]
    if len(runs) == 1 or len(runs) > 2:  # noqa: PLR2004 - an exchange and its line
        return [plus + way for way in (oh, zero) if way]
    last = numbers.pairs(runs[1]) or numbers.english(runs[1])[:1]
    return [*(way for way in (oh, zero) if way), *joined((numbers.digitwise(runs[0])[:1], last))]


def _money(match: re.Match[str], piece: Piece) -> Sequence[Way]:
    one, many, cent, cents = CURRENCIES[match["coin"]]
    minus = ("minus",) if match["minus"] else ()
    total, scale = match["sum"], (match["scale"] or "").lower()
    whole, _, rest = total.partition(".")
    land = tuple((match["land"] or "").lower())
    names = (one, many) if total == "1" else (many, one)
    ways: Sequence[Way]
    heads: Sequence[Way]
    if not scale and piece.after.lower() in SCALES and len(piece.after) > 2:  # noqa: PLR2004 - $5 million: `_scale` reads it
        heads = measure(total)
        return [minus + way for way in (*heads[:4], *_after(heads[:1], many))]
    if scale:
        heads = _after(measure(total), SCALES[scale])
        ways = [*_after(heads[:2], many), *_after(heads[:1], one), *heads[:1]]
    elif len(rest) == 2 and whole and cent:  # noqa: PLR2004 - hundredths
        ways = _coins(
            whole, rest, (one if whole == "1" else many, cent if rest == "01" else cents), dotted=match["coin"] == "$"
        )
    else:
        heads = measure(total)
        ways = [*_after(heads[:2], names[0]), *_after(heads[:1], names[1]), *heads[:1]]
    abroad = [(*way[:-1], *land, way[-1]) for way in ways[:2]] if land else []
    return [minus + way for way in (*ways[:4], *abroad, *ways[4:])]


def _coined(match: re.Match[str], _: Piece) -> Sequence[Way]:
    one, many = CURRENCIES[match[2]][:2]
    names = ((one,), (many,)) if match[1] == "1" else ((many,), (one,))
    return joined((measure(match[1])[:3], names))


def _coins(whole: str, rest: str, names: tuple[str, str], *, dotted: bool) -> list[Way]:
    """The spoken forms of a price: `one pound fifty`, `three dollars and ninety nine cents`, `three ninety nine`."""
    name, cents = names
    heads = measure(whole)[:2]
    if rest == "00":
        return _after(heads, name)
    low = _two(rest)[-1]
    short = [(*heads[0], name, *low), (*heads[0], *_two(rest)[0])]
    full = [(*heads[0], name, "and", *low, cents), (*heads[0], name, *low, cents)]
    if not whole.strip("0,"):
        return [(*low, cents), *full]
    return [*full, *short] if dotted else [short[0], *full, short[1]]


def _feet(match: re.Match[str], _: Piece) -> Sequence[Way]:
    foot, inch = named(int(match[1]), "en"), named(int(match[2]), "en")
    return [
        (*foot, "foot", *inch), (*foot, "feet", *inch), (*foot, *inch), (*foot, "feet", *inch, "inches"),
        (*foot, "foot", *inch, "inches"),
    ]  # fmt: skip


def _plural(match: re.Match[str], _: Piece) -> Sequence[Way]:
    number = match[1]
    ways = [numbers.plural(way) for way in (amount(number)[:3] if len(number) > 2 else measure(number))]  # noqa: PLR2004 - 1984s
    return ways if "'" in match[0] or len(number) > 3 else [*ways, *_after(measure(number)[:1], "seconds")]  # noqa: PLR2004


def _ordinal(match: re.Match[str], piece: Piece) -> Sequence[Way]:
    ways = _ordinals(match[1])
    return [*ways, *(("the", *way) for way in ways)] if is_month(piece.before) else ways


def _ordinals(digits: str) -> tuple[Way, ...]:
    digits = digits.replace(",", "")
    return numbers.ordinals(int(digits)) if len(digits) <= MAX_DIGITS else numbers.digitwise(digits)


_PARTS: dict[int, tuple[tuple[str, str], ...]] = {
    2: (("half", "halves"),),
    4: (("quarter", "quarters"), ("fourth", "fourths")),
}


_COMMON = frozenset(
    {2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100}
)  # denominators that have a name such as half or third


def _fraction(match: re.Match[str], piece: Piece) -> Sequence[Way]:
    over, under = int(match[1]), int(match[2])
    heads, feet = amount(match[1]), amount(match[2])
    plain = [(*heads[0], *feet[0]), (*heads[0], "over", *feet[0]), (*heads[0], "slash", *feet[0])]
    if not (over < under and 1 < under <= 100):  # noqa: PLR2004 - 24/7, 50/50, 9/11
        return plain
    last = named(under, "en", "ordinal")
    names = _PARTS.get(under, ((last[-1], numbers.plural(last)[-1]),))
    rest = () if under in _PARTS else last[:-1]
    said = [(*heads[0], *rest, one if over == 1 else many) for one, many in names]
    if over == 1:
        said = [("a", *said[0][1:]), *said, *([("half",)] if under == 2 else [])]  # noqa: PLR2004 - half
        said = said if piece.before.isdecimal() else [*said[1:2], said[0], *said[2:]]
    if piece.before.isdecimal():  # 1 1/2
        return [*(("and", *way) for way in said), *plain[2:]]
    return [*said, *plain] if under in _COMMON else [*plain, *said]


def _range(match: re.Match[str], _: Piece) -> Sequence[Way]:
    coin, name = match["coin"], match["unit"]
    said = measure if coin or name else amount  # 1990-1995 are years
    between: tuple[Way, ...] = (("to",), (), ("through",))
    ways = joined((said(match["low"])[:1], between, said(match["high"])[:2]))
    if coin:
        return _after(ways, CURRENCIES[coin][1])
    if name:
        return joined((ways[:4], unit(name, match["high"])[:2]))
    return ways


def _signed(match: re.Match[str], _: Piece) -> Sequence[Way]:
    heads: tuple[Way, ...] = (("minus",), ("negative",), ()) if match[1] in "-−" else (*SIGNS[match[1]], ())
    ways = joined((measure(match[2])[:2], unit(match[3], match[2])[:2] if match[3] else ((),)))
    if match[1] == "+" and match[2].isdecimal() and not match[3]:  # a country code of telephone numbers
        ways = best((ways[0], numbers.digitwise(match[2])[-1], *ways[1:]))
    return joined((heads, ways))


def _measured(match: re.Match[str], _: Piece) -> Sequence[Way]:
    return joined((measure(match[1])[:3], unit(match[2], match[1])))


def _multiplied(match: re.Match[str], _: Piece) -> Sequence[Way]:
    words: tuple[Way, ...] = (("by",), ("times",), ("x",), ())
    return joined((measure(match[1])[:2], words, measure(match[2])[:2]))


def _ratio(match: re.Match[str], _: Piece) -> Sequence[Way]:
    return joined((measure(match[1])[:2], (("to",), ()), measure(match[2])[:2]))


def _version(match: re.Match[str], _: Piece) -> Sequence[Way]:
    runs = [amount(run)[:2] for run in match[0].split(".")]
    return [way for word in ("point", "dot") for way in joined(_between(runs, (word,)))[:2]] + list(joined(runs))[:1]


def _between(parts: Sequence[Sequence[Way]], word: Way) -> list[Sequence[Way]]:
    return [ways for part in parts for ways in ([word], part)][1:]


def _counted(match: re.Match[str], _: Piece) -> Sequence[Way]:
    words: tuple[Way, ...] = (("number",), ("hashtag",), ("hash",), ("pound",))
    return joined((words, amount(match[1])[:2]))


def _short_year(match: re.Match[str], _: Piece) -> Sequence[Way]:
    return _two(match[1])


def _bare(match: re.Match[str], piece: Piece) -> Sequence[Way]:
    """A plain number: by its neighbours a day of a month, an area code, a time or a length, else the number itself."""
    text, ways = match[0], amount(match[0])
    if text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 31:  # noqa: PLR2004 - days of a month
        day = _day(int(text))
        if is_month(piece.before):
            return [day, ways[0], ("the", *day)]
        if is_month(piece.after):
            return [day, ways[0], ("the", *day), (*day, "of"), ("the", *day, "of")]
    if len(text) == 3 and piece.lead.endswith("(") and piece.tail.startswith(")"):  # noqa: PLR2004 - an area code
        ways = best((*numbers.digitwise(text), *ways)) if text.isdecimal() else ways
    clock = re.fullmatch(r"(\d{1,2})\.([0-5]\d)", text)
    if clock and int(clock[1]) <= _HOURS:
        times = _minutes(int(clock[1]), clock[2])[:2]
        return (
            [*times, *ways]
            if piece.before.lower() in {"at", "by", "until", "till", "from"}
            else [*ways[:2], *times, *ways[2:]]
        )
    if piece.tail.startswith("'"):
        return [*_after(ways[:1], "foot"), *_after(ways[:1], "feet"), *ways]
    if piece.tail.startswith('"') and '"' not in piece.lead:
        return [ways[0], *_after(ways[:1], "inches"), *_after(ways[:1], "inch"), *ways[1:]]
    return ways


_HALF = r"(?P<half>[ap]\.?m)"
_SHAPES: tuple[tuple[str, Reader], ...] = (
    (rf"(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?{_HALF}?", _clock),
    (rf"(?P<hour>\d{{1,2}})(?:\.(?P<minute>[0-5]\d))?{_HALF}", _hour),
    (r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})", _date),
    (r"(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})", _iso_date),
    (r"\+\d{7,15}|(?:\+?\d{1,3}[-.])?\(?\d{3}\)?[-.]?\d{3}[-.]\d{4}|\+?\d{1,5}(?:-\d{2,4}){2,5}|\d{3}-\d{4}", _phone),
    (r"(\d{1,2})'(\d{1,2})", _feet),
    (rf"'?({AMOUNT})'?s", _plural),
    (r"'(\d{2})", _short_year),
    (r"([\d,]*\d)(?:st|nd|rd|th)", _ordinal),
    (r"(\d{1,4})/(\d{1,4})", _fraction),
    (rf"(?P<coin>{_COIN})?(?P<low>{AMOUNT})-(?:{_COIN})?(?P<high>{AMOUNT})(?P<unit>{_UNIT})?", _range),
    (rf"([-−+<>≤≥≈±~])({AMOUNT})({_UNIT})?", _signed),
    (rf"({AMOUNT})-?({_UNIT})", _measured),
    (rf"({AMOUNT})({_COIN})", _coined),
    (rf"({AMOUNT})[x×]({AMOUNT})", _multiplied),
    (r"\d+(?:\.\d+){2,}", _version),
    (r"(\d+):(\d+)", _ratio),
    (r"#(\d+)", _counted),
    (AMOUNT, _bare),
)
SHAPES: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (MONEY, _money),
    *((re.compile(pattern, re.IGNORECASE if "half" in pattern else 0), reader) for pattern, reader in _SHAPES),
)
"""Patterns and readers, tried in this order; the first that matches and returns spoken forms is used."""

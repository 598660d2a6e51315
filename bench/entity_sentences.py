"""Sentences with one entity each, for `bench.entities`: as they are spoken, and as they are to be written.

The number words come from the rules of Unicode's CLDR (`unicode-rbnf`), which the rules of entities do not read. Each class has
several ways to say it. The sentences of one seed are the same in every run.

In order: numbers in words; English by class; Italian and Dutch; all pairs.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sottovoce.transcript.verbalization.number_words import named

SEED = 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A *spoken* text of *language* and how it is *written*; *kind* is the class of the source."""

    language: str
    kind: str
    spoken: str
    written: str


Said = tuple[str, str]
"""What is spoken, and how it is written."""


def _words(number: int, language: str = "en") -> str:
    return " ".join(named(number, language))


def _bare(number: int) -> str:
    """*number* in words without `and`, as in America."""
    return _words(number).replace(" and ", " ")


def _ordinal(number: int) -> str:
    return " ".join(named(number, "en", "ordinal"))


def _suffixed(number: int) -> str:
    teen = number % 100 in range(11, 14)
    return f"{number:,}" + ("th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th"))


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _spell(digits: str, zero: str = "zero") -> str:
    return " ".join(zero if digit == "0" else _DIGITS[int(digit)] for digit in digits)


def _spell_doubled(digits: str) -> str:
    """*digits* with `double` for two equal ones, as in Britain, and `oh` for 0."""
    found: list[str] = []
    at = 0
    while at < len(digits):
        name = "oh" if digits[at] == "0" else _DIGITS[int(digits[at])]
        twice = digits[at : at + 1] == digits[at + 1 : at + 2]
        found.append(f"double {name}" if twice else name)
        at += 2 if twice else 1
    return " ".join(found)


def _random_digits(dice: random.Random, length: int) -> str:
    return "".join(str(dice.randrange(10)) for _ in range(length))


def _framed(dice: random.Random, frames: tuple[str, ...], said: Said) -> Said:
    frame = dice.choice(frames)
    return frame.format(said[0]), frame.format(said[1])


# ── English ──


def _cardinal(dice: random.Random) -> Said:
    number = dice.choice(
        [
            dice.randrange(11, 100),
            dice.randrange(100, 1000),
            dice.randrange(2100, 10_000),
            dice.randrange(10_000, 10**9),
        ]
    )
    kinds = [
        (_words(number), f"{number:,}"),
        (_bare(number), f"{number:,}"),
        ("minus " + _words(number), f"-{number:,}"),
    ]
    few = dice.randrange(11, 900)
    kinds.append((f"{_words(few)} million", f"{few} million"))
    return _framed(dice, ("we counted {} people", "there were {} of them", "{} is the result"), dice.choice(kinds))


def _decimal(dice: random.Random) -> Said:
    whole, rest = dice.randrange(0, 2000), _random_digits(dice, dice.randrange(1, 5))
    zero = dice.choice(("zero", "oh"))
    kinds = [
        (f"{_words(whole)} point {_spell(rest, zero)}", f"{whole:,}.{rest}"),
        (f"minus {_words(whole)} point {_spell(rest)}", f"-{whole:,}.{rest}"),
    ]
    if rest[0] != "0" and len(rest) > 1:
        kinds.append((f"{_words(whole)} point {_words(int(rest[:2]))}", f"{whole:,}.{rest[:2]}"))
    few = dice.randrange(1, 100)
    kinds.append((f"{_words(few)} point {_spell(rest[:1])} billion", f"{few}.{rest[:1]} billion"))
    return _framed(dice, ("it is {} on average", "the value is {}", "we measured {} again"), dice.choice(kinds))


def _fraction(dice: random.Random) -> Said:
    below = dice.randrange(5, 100)
    if below % 10 in {1, 2}:
        below += 3
    above = dice.randrange(2, min(below, 20))
    whole = dice.randrange(2, 30)
    name = _ordinal(below).replace("-", " ")
    kinds = [
        (f"{_words(above)} {name}s", f"{above}/{below}"),
        (f"{_words(whole)} and {_words(above)} {name}s", f"{whole} {above}/{below}"),
        (f"{_words(whole)} and three quarters", f"{whole} 3/4"),
        (f"{_words(whole)} and two thirds", f"{whole} 2/3"),
    ]
    return _framed(dice, ("about {} of it", "it was {} longer", "use {} of a cup"), dice.choice(kinds))


def _ordinals(dice: random.Random) -> Said:
    number = dice.choice([dice.randrange(11, 100), dice.randrange(100, 1000), dice.randrange(1000, 5000)])
    return _framed(dice, ("on the {} attempt", "the {} time", "she came {}"), (_ordinal(number), _suffixed(number)))


def _money(dice: random.Random) -> Said:
    word, minor, sign = dice.choice([("dollars", "cents", "$"), ("euros", "cents", "€"), ("pounds", "pence", "£")])
    number, cents = dice.randrange(2, 5000), dice.randrange(11, 100)
    few, digit = dice.randrange(2, 100), dice.randrange(1, 10)
    kinds = [
        (f"{_words(number)} {word}", f"{sign}{number:,}"),
        (f"{_words(number)} {word} and {_words(cents)} {minor}", f"{sign}{number:,}.{cents}"),
        (f"{_words(number)} {word} {_words(cents)}", f"{sign}{number:,}.{cents}"),
        (f"{_words(few)} million {word}", f"{sign}{few} million"),
        (f"{_words(few)} point {_DIGITS[digit]} billion {word}", f"{sign}{few}.{digit} billion"),
        (f"{_words(few)} and a half million {word}", f"{sign}{few}.5 million"),
        (f"{_words(few)} thousand {word}", f"{sign}{few},000"),
    ]
    return _framed(dice, ("it costs {} today", "they paid {}", "{} is too much"), dice.choice(kinds))


def _percentage(dice: random.Random) -> Said:
    number, digit = dice.randrange(1, 200), dice.randrange(1, 10)
    word = dice.choice(["percent", "per cent"])
    kinds = [
        (f"{_words(number)} {word}", f"{number}%"),
        (f"{_words(number)} point {_DIGITS[digit]} {word}", f"{number}.{digit}%"),
        (f"minus {_words(number)} {word}", f"-{number}%"),
        (f"{_words(number)} and a half {word}", f"{number}.5%"),
    ]
    return _framed(dice, ("nearly {} of them", "it rose by {}", "{} said no"), dice.choice(kinds))


def _year(dice: random.Random) -> Said:
    """A year and one of the ways to say it."""
    year = dice.choice([dice.randrange(1810, 2000), dice.randrange(2001, 2010), dice.randrange(2010, 2030)])
    high, low = divmod(year, 100)
    if year in range(2000, 2010):
        return dice.choice([_words(year), _bare(year)]), str(year)
    if not low:
        return f"{_words(high)} hundred", str(year)
    paired = f"{_words(high)} {_words(low)}" if low > 9 else f"{_words(high)} oh {_words(low)}"
    return dice.choice([paired, _bare(year)] if year > 2000 else [paired]), str(year)


def _date(dice: random.Random) -> Said:
    day, month = dice.randrange(1, 32), dice.choice(_MONTHS)
    said, year = _year(dice)
    name = month.lower()
    kinds = [
        (f"{name} {_ordinal(day)} {said}", f"{month} {_suffixed(day)} {year}"),
        (f"the {_ordinal(day)} of {name} {said}", f"the {_suffixed(day)} of {month} {year}"),
        (f"{name} {_ordinal(day)}", f"{month} {_suffixed(day)}"),
        (f"the {_ordinal(day)} of {name}", f"the {_suffixed(day)} of {month}"),
        (f"{name} {said}", f"{month} {year}"),
        (f"{_ordinal(day)} {name} {said}", f"{_suffixed(day)} {month} {year}"),
    ]
    return _framed(dice, ("it was {} then", "they met on {}", "since {} nothing changed"), dice.choice(kinds))


def _time(dice: random.Random) -> Said:
    hour, minute, half = dice.randrange(1, 13), dice.randrange(0, 60), dice.choice("ap")
    said = "" if not minute else f" oh {_words(minute)}" if minute < 10 else f" {_words(minute)}"
    shown = f"{hour}:{minute:02d}" if minute else str(hour)
    before = (hour - 2) % 12 + 1
    named_minute, later = dice.choice([("five", 5), ("ten", 10), ("twenty", 20), ("twenty five", 25)])
    kinds = [
        (f"{_words(hour)}{said} {half} m", f"{shown} {half}.m."),
        (f"{_words(hour)} o'clock", f"{hour} o'clock"),
        (f"quarter past {_words(hour)}", f"{hour}:15"),
        (f"half past {_words(hour)}", f"{hour}:30"),
        (f"quarter to {_words(hour)}", f"{before}:45"),
        (f"{named_minute} past {_words(hour)}", f"{hour}:{later:02d}"),
        (f"{named_minute} minutes past {_words(hour)} {half} m", f"{hour}:{later:02d} {half}.m."),
    ]
    if minute > 9:
        kinds.append((f"{_words(hour)} {_words(minute)}", f"{hour}:{minute:02d}"))
    return _framed(dice, ("it starts at {} today", "we met at {}", "call me at {} please"), dice.choice(kinds))


def _span(dice: random.Random) -> Said:
    low = dice.randrange(11, 50)
    high = low + dice.randrange(1, 50)
    few, more = dice.randrange(2, 50), dice.randrange(50, 100)
    kinds = [
        (f"{_words(low)} to {_words(high)} percent", f"{low} to {high}%"),
        (f"{_words(low)} to {_words(high)} dollars", f"{low} to ${high}"),
        (f"{_words(low)} to {_words(high)} miles per hour", f"{low} to {high} mph"),
        (f"{_words(few)} to {_words(more)} million pounds", f"{few} to £{more} million"),
        (f"{_words(low)} to {_words(high)} people", f"{low} to {high} people"),
        (f"{_words(low)} kilograms to {_words(high)} kilograms", f"{low} kg to {high} kg"),
    ]
    return _framed(dice, ("we expect {} more", "it takes {}", "about {} of it"), dice.choice(kinds))


def _card(dice: random.Random) -> Said:
    digits = dice.choice("3456") + _random_digits(dice, 15)
    shown = " ".join(digits[at : at + 4] for at in range(0, 16, 4))
    kinds = [(_spell(digits), shown), (_spell(digits, "oh"), shown), (_spell_doubled(digits), shown)]
    express = dice.choice(["34", "37"]) + _random_digits(dice, 13)
    kinds.append((_spell(express), f"{express[:4]} {express[4:10]} {express[10:]}"))
    return _framed(dice, ("my card is {} please", "card number {}", "use {} for it"), dice.choice(kinds))


def _phone(dice: random.Random) -> Said:
    area, office, line = str(dice.randrange(201, 990)), str(dice.randrange(201, 990)), _random_digits(dice, 4)
    shown = f"({area}) {office}-{line}"
    extension = str(dice.randrange(11, 99))
    british, mobile = _random_digits(dice, 8), _random_digits(dice, 8)
    london = f"{british[:4]} {british[4:]}"
    pair = str(dice.randrange(11, 100))
    kinds = [
        (_spell(area + office + line), shown),
        (_spell(area + office + line, "oh"), shown),
        (_spell_doubled(area + office + line), shown),
        (f"one {_spell(area + office + line)}", f"1 {area}-{office}-{line}"),
        (f"plus one {_spell(area + office + line)}", f"+1 {area}-{office}-{line}"),
        (f"eight hundred {_spell(office + line)}", f"(800) {office}-{line}"),
        (f"{_spell(area + office + line[:2])} {_words(int(pair))}", f"({area}) {office}-{line[:2]}{pair}"),
        (f"{_spell(area + office + line)} extension {_words(int(extension))}", f"{shown} extension {extension}"),
        (f"five five five {_spell(line)}", f"555-{line}"),
        (_spell_doubled("020" + british), f"020 {london}"),
        (f"plus four four two oh {_spell(british, 'oh')}", f"+44 20 {london}"),
        (_spell("077" + mobile, "oh"), f"077{mobile[:2]} {mobile[2:]}"),
    ]
    return _framed(dice, ("call {} now", "my number is {}", "you can reach me on {} today"), dice.choice(kinds))


_NAMES = ("anna", "peter", "robert", "susan", "maria", "thomas")
_HOSTS = ("example", "acme", "northwind", "contoso", "fabrikam")
_ENDINGS = (("com", "com"), ("org", "org"), ("net", "net"), ("co dot uk", "co.uk"), ("i o", "io"), ("edu", "edu"))


def _electronic(dice: random.Random) -> Said:
    name, other, host = dice.choice(_NAMES), dice.choice(_NAMES), dice.choice(_HOSTS)
    said, end = dice.choice(_ENDINGS)
    number = dice.randrange(11, 100)
    octets = [dice.randrange(0, 256) for _ in range(4)]
    kinds = [
        (f"write to {name} dot {other} at {host} dot {said} today", f"write to {name}.{other}@{host}.{end} today"),
        (f"write to {name} underscore {other} at {host} dot {said}", f"write to {name}_{other}@{host}.{end}"),
        (f"mail {name} {_words(number)} at {host} dot {said} please", f"mail {name}{number}@{host}.{end} please"),
        (f"my email is {name} at gmail dot com", f"my email is {name}@gmail.com"),
        (f"send it to {' '.join(name)} at {host} dot {said}", f"send it to {name}@{host}.{end}"),
        (f"go to w w w dot {host} dot {said} today", f"go to www.{host}.{end} today"),
        (f"see {host} dot {said} slash {other}", f"see {host}.{end}/{other}"),
        (f"open h t t p s colon slash slash {host} dot {said}", f"open https://{host}.{end}"),
        (f"visit {host} dash {other} dot {said} now", f"visit {host}-{other}.{end} now"),
        ("ping " + " dot ".join(map(_words, octets)), "ping " + ".".join(map(str, octets))),
    ]
    return dice.choice(kinds)


_UNITS = (
    ("kilometers", "km"), ("kilograms", "kg"), ("miles per hour", "mph"), ("square meters", "m²"), ("gigabytes", "GB"),
    ("watts", "W"), ("kilometers per hour", "km/h"), ("degrees celsius", "°C"), ("degrees fahrenheit", "°F"), ("inches", "in"),
    ("cubic meters", "m³"), ("milliliters", "mL"), ("megahertz", "MHz"), ("feet", "ft"), ("ounces", "oz"), ("hectares", "ha"),
    ("meters per second", "m/s"), ("kilowatt hours", "kWh"), ("square feet", "sq ft"), ("gallons", "gal"), ("horsepower", "hp"),
)  # fmt: skip


def _measurement(dice: random.Random) -> Said:
    unit, symbol = dice.choice(_UNITS)
    number, digit = dice.randrange(2, 5000), dice.randrange(1, 10)
    kinds = [
        (f"{_words(number)} {unit}", f"{number:,} {symbol}"),
        (f"{_words(number)} point {_DIGITS[digit]} {unit}", f"{number:,}.{digit} {symbol}"),
        (f"{_words(number)} and a half {unit}", f"{number:,}.5 {symbol}"),
    ]
    return _framed(dice, ("it has {} in all", "we need {}", "about {} are left"), dice.choice(kinds))


def _alphanum(dice: random.Random) -> Said:
    consonants = "BCDFGHKLMNPQRSTVXZ"
    letters = "".join(dice.choice(consonants) for _ in range(dice.randrange(2, 4)))
    digits = _random_digits(dice, dice.randrange(2, 5))
    said = " ".join(letters.lower())
    triple = dice.choice("2346789")
    pair = dice.randrange(11, 100)
    kinds = [
        (f"{said} {_spell(digits)}", letters + digits),
        (f"{said} {_spell(digits, 'oh')}", letters + digits),
        (f"{said} {_words(pair)}", f"{letters}{pair}"),
        (f"{_spell(digits[:2])} {said}", digits[:2] + letters),
        (f"{said} dash {_spell(digits)}", f"{letters}-{digits}"),
        (f"triple {_DIGITS[int(triple)]} {_spell(digits)}", triple * 3 + digits),
        (f"a {said} {_spell(digits)}", f"A{letters}{digits}"),
        (f"double u {said} {_spell(digits)}", f"W{letters}{digits}"),
    ]
    return _framed(dice, ("the code is {} thanks", "flight {} is late", "it says {}"), dice.choice(kinds))


CLASSES: dict[str, Callable[[random.Random], Said]] = {
    "alphanum": _alphanum, "cardinal": _cardinal, "decimal": _decimal, "fraction": _fraction, "ordinal": _ordinals,
    "money": _money, "percentage": _percentage, "date": _date, "time": _time, "span": _span, "credit card": _card,
    "telephone": _phone, "electronic": _electronic, "measurement": _measurement,
}  # fmt: skip
"""A maker of English sentences for each class of the contract (§7.4)."""


# ── Italian and Dutch ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foreign:
    """How a language says and writes what the sentences need. Templates have `{n}` for a number, `{c}` for cents."""

    frames: tuple[str, ...]
    point: str
    percent: str
    percent_sign: str
    money: str
    coins: str
    money_sign: str
    months: tuple[str, ...]
    time: str
    time_shown: str


_ITALIAN = (
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre",
    "dicembre",
)  # fmt: skip
_DUTCH = (
    "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december",
)  # fmt: skip
_FOREIGN = {
    "it": _Foreign(
        frames=("abbiamo contato {}", "erano {} in tutto"),
        point="virgola",
        percent="{n} per cento",
        percent_sign="{n}\u00a0%",
        money="{n} euro",
        coins="{n} euro e {c} centesimi",
        money_sign="{n}\u00a0€",
        months=_ITALIAN,
        time="alle {n} e {c}",
        time_shown="alle {n}:{c}",
    ),
    "nl": _Foreign(
        frames=("we telden {}", "het waren er {} samen"),
        point="komma",
        percent="{n} procent",
        percent_sign="{n}%",
        money="{n} euro",
        coins="{n} euro en {c} cent",
        money_sign="€\u00a0{n}",
        months=_DUTCH,
        time="om {n} uur {c}",
        time_shown="om {n}:{c} uur",
    ),
}


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", ".") if number > 9999 else str(number)


def _foreign(dice: random.Random, language: str) -> dict[str, Said]:
    """A sentence of each class."""
    own = _FOREIGN[language]
    number = dice.choice([dice.randrange(11, 100), dice.randrange(100, 1000), dice.randrange(3000, 200_000)])
    few, cents = dice.randrange(2, 100), dice.randrange(11, 60)
    digit, hour, day = dice.randrange(1, 10), dice.randrange(2, 24), dice.randrange(2, 29)
    month, year = dice.choice(own.months), dice.randrange(1910, 2000)
    say = {value: _words(value, language) for value in (number, few, cents, digit, hour, day, year)}
    decimal = f"{say[few]} {own.point} {say[digit]}", f"{few},{digit}"
    coins = own.coins.format(n=say[few], c=say[cents]), own.money_sign.format(n=f"{few},{cents}")
    said: dict[str, Said] = {
        "cardinal": (say[number], _grouped(number)),
        "decimal": decimal,
        "percentage": dice.choice([
            (own.percent.format(n=say[number]), own.percent_sign.format(n=_grouped(number))),
            (own.percent.format(n=decimal[0]), own.percent_sign.format(n=decimal[1])),
        ]),
        "money": dice.choice([
            (own.money.format(n=say[number]), own.money_sign.format(n=_grouped(number))), coins,
        ]),
        "date": (f"{say[day]} {month} {say[year]}", f"{day} {month} {year}"),
        "time": (own.time.format(n=say[hour], c=say[cents]), own.time_shown.format(n=hour, c=cents)),
    }  # fmt: skip
    return {kind: _framed(dice, own.frames, pair) for kind, pair in said.items()}


def _foreign_pairs(dice: random.Random, count: int) -> Iterator[Pair]:
    for language in _FOREIGN:
        for _ in range(count):
            for kind, (spoken, written) in _foreign(dice, language).items():
                yield Pair(language=language, kind=kind, spoken=spoken, written=written)


def own_pairs(count: int) -> Iterator[Pair]:
    """*count* English sentences of each class, and as many of six classes in Italian and Dutch; the same in every run."""
    dice = random.Random(SEED)
    for kind, make in CLASSES.items():
        for _ in range(count):
            spoken, written = make(dice)
            yield Pair(language="en", kind=kind, spoken=spoken, written=written)
    yield from _foreign_pairs(dice, count)

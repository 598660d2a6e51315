"""How telephone numbers are written: the digits of one, in the groups that are usual where it is dialled.

National and international forms of North America, Great Britain, France and Spain are those of libphonenumber.
"""

from sottovoce.transcript.entities.locale import words

LOCAL, NATIONAL, LONGEST = 7, 10, 15
"""Digits of a North American number without and with its area code, and of the longest number (ITU-T E.164)."""

_SHORT_CODES = words(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 "
    "95 98"
)
"""Country codes of two digits (ITU-T E.164); those of one digit are 1 and 7, all others have three."""


def international(digits: str) -> tuple[str, ...]:
    """The parts of a number that was said with `plus`: country code, national number. () if it has too few or many digits."""
    if not LOCAL <= len(digits) <= LONGEST:
        return ()
    length = 1 if digits[0] in "17" else 2 if digits[:2] in _SHORT_CODES else 3
    country, rest = digits[:length], digits[length:]
    if country == "44" and len(rest) == NATIONAL:
        head, *tail = _british("0" + rest)
        return (f"+{country}", head[1:], *tail)
    if country == "33" and len(rest) == NATIONAL - 1:
        return (f"+{country}", rest[0], *_cut(rest[1:], 2, 2, 2, 2))
    if country == "34" and len(rest) == NATIONAL - 1:
        return (f"+{country}", *_cut(rest, 3, 3, 3))
    if len(rest) == NATIONAL:
        return (f"+{country}", _dashed(rest))
    return (f"+{country}", rest)


def national(digits: str, language: str, *, called: bool) -> tuple[str, ...]:
    """The parts of a number as it is dialled in the country of *language*; () if *digits* are not recognised as one.

    *called*: a word before them says that they are a telephone number.
    """
    found = _FORMS.get(language, _plain)(digits)
    if not found and language == "en" and called and len(digits) == LOCAL and digits[0] not in "01":
        return ("-".join(_cut(digits, 3, 4)),)
    return found


def social_security(digits: str) -> str:
    """Nine digits in the groups of a number of the United States' social security."""
    return "-".join(_cut(digits, 3, 2, 4))


def _cut(digits: str, *lengths: int) -> tuple[str, ...]:
    """*digits* in groups of *lengths*."""
    found: list[str] = []
    for length in lengths:
        found.append(digits[:length])
        digits = digits[length:]
    return tuple(found)


def _dashed(digits: str) -> str:
    return "-".join(_cut(digits, 3, 3, 4))


def _english(digits: str) -> tuple[str, ...]:
    size, zero = len(digits), digits[0] == "0"
    if size == NATIONAL and digits[0] not in "01":  # contract §7.4: (800) 555-1212
        return f"({digits[:3]})", f"{digits[3:6]}-{digits[6:]}"
    if size == NATIONAL and digits.startswith("04"):  # Australian mobile
        return _cut(digits, 4, 3, 3)
    if size == NATIONAL and zero:
        return (_dashed(digits),)
    if size == NATIONAL + 1 and not zero:
        return digits[0], _dashed(digits[1:])
    if size == NATIONAL + 1:
        return _british(digits)
    if size == LOCAL and digits.startswith("555"):
        return ("-".join(_cut(digits, 3, 4)),)
    return _plain(digits) if zero else ()


def _british(digits: str) -> tuple[str, ...]:
    """Eleven digits that begin with 0."""
    if digits[1] == "2":  # London: 020 7946 0958
        return _cut(digits, 3, 4, 4)
    if digits[1] in "389" or "1" in digits[2:4]:  # 0800 123 4567, 0161 496 0000
        return _cut(digits, 4, 3, 4)
    return _cut(digits, 5, 6)  # 07700 900123


def _french(digits: str) -> tuple[str, ...]:
    return _cut(digits, 2, 2, 2, 2, 2) if len(digits) == NATIONAL and digits[0] == "0" else _plain(digits)


def _spanish(digits: str) -> tuple[str, ...]:
    """Nine digits as in Spain; eight and ten as in Latin America."""
    if digits[0] != "0":
        if len(digits) == NATIONAL - 1:
            return _cut(digits, 3, 3, 3)
        if len(digits) == NATIONAL - 2:
            return ("-".join(_cut(digits, 4, 4)),)
        if len(digits) == NATIONAL:
            return (_dashed(digits),)
    return _plain(digits)


def _portuguese(digits: str) -> tuple[str, ...]:
    if not 8 <= len(digits) <= 11 or digits[0] == "0":
        return _plain(digits)
    area, number = (digits[:2], digits[2:]) if len(digits) > 9 else ("", digits)
    return (*((f"({area})",) if area else ()), f"{number[:-4]}-{number[-4:]}")


def _plain(digits: str) -> tuple[str, ...]:
    """A number whose groups are not known."""
    return (digits,) if 9 <= len(digits) <= 12 else ()


_FORMS = {"en": _english, "fr": _french, "es": _spanish, "pt": _portuguese}

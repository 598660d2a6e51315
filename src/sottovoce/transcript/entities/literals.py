"""One written word with digits or signs, as engines that write numbers return it, taken apart: `$5` is `$` and 5."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from sottovoce.transcript.entities.locale import Locale, words

MAX_LENGTH = 200
"""Characters of a word that is taken apart; a longer one stays as it is."""

SIGNS = "$£€¥₹₩₽₺₪"
"""Currency signs."""
_UNITS = words(
    "km m cm mm µm μm nm mi ft in yd kg g mg lb lbs oz t l ml cl dl s ms min h kb mb gb tb hz khz mhz ghz w kw mw gw kwh v mph "
    "kph km/h m/s ° °c °f m² km² m³ ha db"
)
_SHORT_SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_CODE = re.compile(r"(?=.*\d)(?=.*[^\W\d_])[^\W_]+(?:[-/.][^\W_]+)*")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|io|ai|dev|app|co\.uk|ac\.uk|org\.uk|uk|de|eu|fr|es|it|nl|pt|br)(?:/\S*)?",
    re.IGNORECASE,
)
_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(?:\d{2}|\d{4})|\d{4}-\d{2}-\d{2}")
_PHONE = re.compile(r"\+?\(?\d{1,4}\)?(?:-\(?\d{2,5}\)?)+|\d{1,4}(?:-\d{1,6}){2,}|\+\d{1,15}|\(\d{2,5}\)")
_SPELLED = re.compile(r"[a-z]{0,4}\d(?:-[a-z\d])*(?:-\d)(?:-[a-z\d])*")
_SERIAL = re.compile(r"[A-Z]{1,4}-\d{2,6}")
"""A code with a hyphen, unlike `COVID-19` and `mid-1990s`."""
_HALF_DAY = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?([ap])\.?m\.?")
_DECADE = re.compile(r"(\d{3}0)'?s")
_IP = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?=\d)|$)){4}")
_FRACTION = re.compile(r"(\d{1,3})/(\d{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a word. *kind*: word, sign, number, ordinal, clock, fraction, decade, range, phone, address, date, code."""

    text: str
    kind: str = "word"
    digits: str = ""
    fraction: str | None = None
    grouped: bool = False


def literal(raw: str, text: str, locale: Locale) -> tuple[Piece, ...]:
    """The pieces of the word *raw*, *text* in lower case; () if it has no digits or signs that a rule reads."""
    if len(text) > MAX_LENGTH:
        return ()
    if not any(sign.isdecimal() for sign in text):
        if text in {"%", *SIGNS}:
            return (Piece(text=text, kind="sign"),)
        return (Piece(text=raw, kind="address"),) if "." in text and _ADDRESS.fullmatch(raw) else ()
    if not text.isascii() and not _ascii_digits(text):
        return (Piece(text=text, kind="code"),)
    if _SPELLED.fullmatch(text) and len(text.replace("-", "")) > 2:  # B7-4-9
        return tuple(_sign(sign) for sign in text if sign != "-")
    for pattern, build in _shapes(locale.group, locale.decimal, locale.written_ordinal, locale.code):
        match = pattern.fullmatch(text)
        if match and (pieces := build(match)):
            return pieces
    return (Piece(text=raw, kind=_kind(raw, text)),)


def _kind(raw: str, text: str) -> str:
    """The kind of a word that is taken as it is."""
    if _ADDRESS.fullmatch(raw):
        return "address"
    code = _CODE.fullmatch(text) and sum(sign.isalnum() for sign in text) >= 3 and "-" not in text
    return "code" if code or _SERIAL.fullmatch(raw) else "other"


def _sign(sign: str) -> Piece:
    """A letter or digit that was said by itself."""
    return Piece(text=sign, kind="number", digits=sign) if sign.isdecimal() else Piece(text=sign)


def _ascii_digits(text: str) -> bool:
    return all(sign.isascii() for sign in text if sign.isdecimal())


Shape = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[Piece, ...]]]


@lru_cache(maxsize=32)
def _shapes(group: str, decimal: str, ordinal: str, code: str) -> tuple[Shape, ...]:
    groups = re.escape(group.replace("\u00a0", " ")) if group else ","
    point = re.escape(decimal)
    number = rf"(?:\d{{1,3}}(?:{groups}\d{{3}})+|\d+)(?:{point}\d+)?|{point}\d+"
    signs = f"[{re.escape(SIGNS)}]"

    def plain(text: str) -> Piece:
        whole, mark, rest = text.partition(decimal)
        digits = "".join(sign for sign in whole if sign.isdecimal())
        return Piece(text=text, kind="number", digits=digits, fraction=rest if mark else None, grouped=digits != whole)

    def signed(match: re.Match[str]) -> tuple[Piece, ...]:
        minus = (Piece(text="-", kind="sign"),) if match["minus"] else ()
        coin = (Piece(text=match["coin"], kind="sign"),) if match["coin"] else ()
        after = match["after"]
        tail: tuple[Piece, ...] = ()
        if after:
            scale = _SHORT_SCALES.get(after) if code == "en" and coin else None
            if scale is None and after not in _UNITS and after != "%" and after not in SIGNS:
                return ()
            tail = (Piece(text=scale),) if scale else (Piece(text=after, kind="sign"),)
        return (*minus, *coin, plain(match["number"]), *tail)

    def half_day(match: re.Match[str]) -> tuple[Piece, ...]:
        hour = Piece(text=match[1], kind="clock" if match[2] else "number", digits=match[1], fraction=match[2])
        return (hour, Piece(text=match[3] + "m"))

    def ranged(match: re.Match[str]) -> tuple[Piece, ...]:
        tail = (Piece(text=match["after"], kind="sign"),) if match["after"] else ()
        digits = "" if tail else match["low"] + match["high"]  # it may be a part of a telephone number
        return (Piece(text=match["low"] + "-" + match["high"], kind="range", digits=digits), *tail)

    def ordered(match: re.Match[str]) -> tuple[Piece, ...]:
        return (_of("ordinal", match[0], "".join(sign for sign in match[1] if sign.isdecimal())),)

    def dated(match: re.Match[str]) -> tuple[Piece, ...]:
        low, high = sorted(int(part) for part in (match[1] or 1, match[3] or 1))
        return (_of("date", match[0]),) if 0 < low <= 12 and high <= 31 else ()

    clock_signs = "[:h.]" if code in {"fr", "pt"} else "[:]"
    return (
        (_IP, lambda m: (_of("address", m[0]),)),
        (_DECADE, lambda m: (_of("decade", m[0], m[1]),)),
        (re.compile(rf"(?P<minus>[-−])?(?P<coin>{signs})?(?P<number>{number})(?P<after>\D{{1,5}})?"), signed),
        (_HALF_DAY, half_day),
        (re.compile(rf"(\d{{1,2}}){clock_signs}(\d{{2}})"), lambda m: (_of("clock", m[0], m[1], m[2]),)),
        (re.compile(rf"((?:\d{{1,3}}(?:{groups}\d{{3}})+)|\d{{1,6}}){ordinal or 'th'}"), ordered),
        (_DATE, dated),
        (_FRACTION, lambda m: (_of("fraction", m[0], m[1], m[2]),)),
        (re.compile(rf"(?P<low>{number})[-–](?P<high>{number})(?P<after>%|{signs})?"), ranged),
        (_PHONE, lambda m: (_of("phone", m[0], "".join(sign for sign in m[0] if sign.isdecimal())),)),
    )


def _of(kind: str, text: str, digits: str = "", fraction: str | None = None) -> Piece:
    return Piece(text=text, kind=kind, digits=digits, fraction=fraction)

"""The spoken forms of written English: the first of a list of readers that recognises a piece reads it. Raises no errors.

In order: `read`; the dispatch `_ways`; one reader for each kind of piece; pieces that no reader recognises.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from sottovoce.transcript.verbalization import numbers
from sottovoce.transcript.verbalization.addresses import ADDRESS, address
from sottovoce.transcript.verbalization.amounts import AMOUNT, MONEY, SHAPES, is_month, unit
from sottovoce.transcript.verbalization.tables import (
    ABBREVIATIONS,
    ATTACHED,
    CLIPPED,
    COUNTED,
    CURRENCIES,
    DOTTED,
    INSIDE,
    LONELY,
    NUMBERED,
    SCALES,
    SIGNS,
    UNITS,
)
from sottovoce.transcript.verbalization.tokenizer import Piece, pieces
from sottovoce.transcript.verbalization.variants import Way, best, joined, tokens

_ACRONYM = 5  # letters; a longer word in capitals is emphasis, not an acronym
_NAME = 3  # minimum letters of a capitalised word that may be a name before a Roman numeral
_SIGNS = 3  # consecutive signs; a longer sequence is decoration
_AMOUNT = re.compile(AMOUNT)
_PLAIN = re.compile("[a-z]+")
_SPECIAL = {*ABBREVIATIONS, *DOTTED, *COUNTED, *UNITS, *SCALES}
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]('s|s)?")
_ACRONYMS = re.compile("([A-Z]{2,5})('?s)?")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SCAN = re.compile(r"([\d,]*\d(?:\.\d+)?)|([^\W\d_]+(?:'[^\W\d_]+)*)|(.)", re.DOTALL)
_AMPERSAND = re.compile("[A-Z]{1,2}(?:&[A-Z]{1,2})+")


def read(words: Sequence[str]) -> list[tuple[Way, ...]]:
    """The spoken forms of each written word, most probable first; none for a word that is not spoken."""
    said: list[tuple[Way, ...]] = [()] * len(words)
    for word, parts in groupby(pieces(words, _whole), key=lambda piece: piece.word):
        said[word] = best(joined([_ways(piece) for piece in parts]))
    return said


def _whole(core: str) -> bool:
    """True if *core* is not split at its hyphens and slashes."""
    if core.isalpha() or not any(sign.isalnum() for sign in core):
        return True
    return bool(ADDRESS.fullmatch(core)) or core.lower() in ABBREVIATIONS or core in UNITS or _shaped(core)


def _shaped(core: str) -> bool:
    return any(sign.isdecimal() for sign in core) and any(pattern.fullmatch(core) for pattern, _ in SHAPES)


def _ways(piece: Piece) -> Sequence[Way]:
    """The spoken forms of one piece, most probable first; an empty one if the piece may be left out."""
    core = piece.core
    if _PLAIN.fullmatch(core) and core not in _SPECIAL and "'" not in piece.lead + piece.tail:
        return ((core,),)
    for reader in (_number, _address, _sign, _unit, _abbreviation, _scale, _month, _numeral, _initials, _letters):
        if ways := reader(piece):
            return ways
    return joined(_scanned(*match.groups()) for match in _SCAN.finditer(core))


def _number(piece: Piece) -> Sequence[Way]:
    if not any(sign.isdecimal() for sign in piece.core):
        return ()
    found = (reader(match, piece) for pattern, reader in SHAPES if (match := pattern.fullmatch(piece.core)))
    return next((ways for ways in found if ways), ())


def _address(piece: Piece) -> Sequence[Way]:
    return address(piece.core) if ADDRESS.fullmatch(piece.core) else ()


def _sign(piece: Piece) -> Sequence[Way]:
    """A sign on its own, or between the letters of a word, where some signs are not spoken."""
    if any(sign.isalnum() for sign in piece.core):
        return ()
    if len(piece.core) > _SIGNS or (len(piece.core) > 1 and len(set(piece.core)) == 1):  # ### and +---+ are decoration
        return ((),)
    if piece.inside and piece.core in INSIDE:
        return INSIDE[piece.core]
    if piece.core in UNITS and _AMOUNT.fullmatch(piece.before):
        return unit(piece.core, piece.before)
    return joined(SIGNS.get(sign, ((),)) for sign in piece.core) or ((),)


def _abbreviation(piece: Piece) -> Sequence[Way]:
    name = piece.core.lower()
    if len(name) == 1 and piece.core.isupper():  # an initial
        return ()
    letters = tokens(name)
    if name in COUNTED and (piece.after[:1].isdecimal() or numbers.roman(piece.after)):
        return (*COUNTED[name], letters)
    table = ABBREVIATIONS if name in ABBREVIATIONS else DOTTED if piece.dotted else {}
    if name not in table:
        return ()
    ways = table[name]
    at_the_end = piece.before[:1].isupper() and not piece.after[:1].isupper()
    if name in {"st", "dr"} and at_the_end:  # 5 Main St., not St. John
        ways = ways[::-1]
    return (*ways, letters)


def _unit(piece: Piece) -> Sequence[Way]:
    """A unit after its number, or a unit in `LONELY` without one."""
    name = piece.core
    if name not in UNITS or name in ATTACHED:
        return ()
    if _AMOUNT.fullmatch(piece.before) or (piece.before.lower() in SCALES and name in {"km", "kg", "lbs", "mi"}):
        return (*unit(name, piece.before), *((tokens(name),) if name.isalpha() else ()))
    return (*unit(name, ""), tokens(name)) if name in LONELY else ()


def _scale(piece: Piece) -> Sequence[Way]:
    """`million` after `$5`: the spoken form includes the currency."""
    money = MONEY.fullmatch(piece.before)
    scale = piece.core.lower()
    if not money or money["scale"] or scale not in SCALES:
        return ()
    one, many, *_ = CURRENCIES[money["coin"]]
    return ((SCALES[scale], many), (SCALES[scale], one), (SCALES[scale],))


def _month(piece: Piece) -> Sequence[Way]:
    """A month, possibly abbreviated, after its day, with or without `of`."""
    if not is_month(piece.core) or not re.fullmatch(r"\d{1,2}(?:st|nd|rd|th)?", piece.before):
        return ()
    name = DOTTED.get(piece.core.lower(), (tokens(piece.core),))[0]
    return (name, ("of", *name))


def _numeral(piece: Piece) -> Sequence[Way]:
    """A Roman numeral after a name (`Louis XIV`) or after a numbered thing (`Part II`)."""
    value = numbers.roman(piece.core)
    if value is None or not piece.before[:1].isupper() or len(piece.before) < _NAME or not piece.before.isalpha():
        return ()
    letter, spelled = tokens(piece.core), tuple(piece.core.lower())
    counted, ordinal = numbers.cardinals(value)[0], numbers.ordinals(value)[0]
    if piece.before.lower() in NUMBERED:
        return (counted, ("the", *ordinal), letter, spelled)
    if len(piece.core) == 1:  # I, V and X are usually letters
        return (letter, ("the", *ordinal), counted) if not piece.opens or piece.core != "I" else (letter,)
    return (("the", *ordinal), counted, spelled, letter)


def _initials(piece: Piece) -> Sequence[Way]:
    """Initials, read letter by letter: `U.S.`, `e.g.`, `BBC`, `CEOs`, `AT&T`."""
    core = piece.core
    if match := _DOTTED.fullmatch(core):
        letters = re.findall(r"[^\W\d_]", core[: match.start(1)] if match[1] else core)
        spelled = tokens(" ".join(letters))
        key = "".join(spelled)
        full = ABBREVIATIONS.get(key, ()) if key in {"eg", "ie"} else ()
        return (*full, _ending(spelled, match[1]), (key + (match[1] or ""),))
    if _AMPERSAND.fullmatch(core):
        return joined(
            (("and",),) if run == "&" else (tuple(run.lower()), (run.lower(),)) for run in re.findall("&|[A-Z]+", core)
        )
    match = _ACRONYMS.fullmatch(core)
    if match and not (_shouted(piece.before) and _shouted(piece.after)):
        return (tokens(core), _ending(tuple(match[1].lower()), match[2]))
    return ()


def _ending(spelled: Way, ending: str | None) -> Way:
    return (*spelled[:-1], spelled[-1] + "'s") if ending and spelled else spelled


def _shouted(text: str) -> bool:
    return text.isalpha() and text.isupper() and len(text) > 1


def _letters(piece: Piece) -> Sequence[Way]:
    """A plain word, also with the apostrophe at its start or end if that may belong to it."""
    if not _WORD.fullmatch(piece.core):
        return ()
    said = tokens(piece.core)
    ways = [said]
    if piece.lead.endswith("'") and piece.core.lower() in CLIPPED:
        ways.insert(0, (f"'{said[0]}",))
    if piece.tail.startswith("'") and "'" not in piece.lead and len(said) == 1:
        ways.append((f"{said[0]}'",))
    return ways


def _scanned(digits: str | None, letters: str | None, sign: str | None) -> Sequence[Way]:
    """A part of a piece that no reader recognises: `mp3`, `B2B`, `rock&roll`."""
    if digits:
        return numbers.grouped(digits) if "," in digits and "." not in digits else _runs(digits)
    if letters:
        spelled = tuple(tokens(" ".join(letters)))
        short = (
            len(letters) <= _ACRONYM
            and "'" not in letters
            and (letters.isupper() or not re.search("[aeiouy]", letters))
        )
        return (tokens(letters), spelled) if short else (tokens(letters),)
    return INSIDE.get(sign or "", ((),))


def _runs(digits: str) -> Sequence[Way]:
    """The spoken forms of digits inside a word, with `.` and `,` between them."""
    whole, _, rest = digits.replace(",", "").partition(".")
    return numbers.english_decimal(whole, rest) if rest else numbers.english(whole)

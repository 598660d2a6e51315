"""Rules for digits and letters said one by one: telephone numbers, credit cards, codes (contract §7.4: three or more)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sottovoce.transcript.entities import numbers, telephones
from sottovoce.transcript.entities.locale import Locale, words
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import ALPHANUM, CARDINAL, CREDIT_CARD, TELEPHONE, Match

_LEAST = 3
_LONGEST_RUN = 40  # digits and letters; more begin another code, so that the time stays linear
_CARD, _AMEX = 16, 15
_SOCIAL_SECURITY = 9
_LOCAL_GROUPS = (3, 4)
_LARGEST_SMALL = 999  # larger numbers are written with separators
_STREET_NAME = 3  # words of a name, at most two, and the word for a street
_NO_STREETS = words("the a an on in at of to by from and or is was were are people")
_SECURITY_GROUPS = (3, 2, 4)
_LINES = 21  # hundreds of lines: 2160p
_CALLED = words("number phone telephone call dial ring fax mobile cell extension")
_SECURITY = words("ssn security")  # before a number of social security
_EXTENSIONS = words("extension ext")
_DASHES = words("dash hyphen")
_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxz")  # of other languages, where every vowel is a word too


@dataclass(slots=True, kw_only=True)
class _Run:
    """Digits and letters: *text* so far, the number of spoken *steps*, the token after them."""

    text: str = ""
    steps: int = 0
    digits: int = 0
    letters: int = 0
    end: int = 0
    dashes: tuple[int, ...] = ()  # how much of *text* is before each dash that was said

    @property
    def dashed(self) -> str:
        """*text* with its dashes."""
        cuts = (0, *self.dashes, len(self.text))
        return "-".join(self.text[start:end] for start, end in pairwise(cuts))


def sequence(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A telephone or card number, or a code of at least three letters and digits."""
    plus = reader.word(at) in locale.plus
    start = at + plus
    found = _written_phone(reader, start, locale, plus=plus) or _paired_phone(reader, start, locale, plus=plus)
    if found is None:
        run = _read(reader, start, locale)
        if run.steps < _LEAST or not run.digits or reader.word(run.end) in _continuations(locale):
            return None
        if run.letters:
            return _code(run) if not plus else None
        found = _number(reader, start, run, locale, plus=plus)
    return _extended(reader, found, locale) if found.entity_class == TELEPHONE else found


def _paired_phone(reader: Reader, at: int, locale: Locale, *, plus: bool) -> Match | None:
    """A telephone or card number that is partly said in numbers, `zéro deux douze trente-deux trente trente`.

    English needs three single digits in a telephone number, and one of its usual lengths.
    """
    digits, end, pairs, singles = "", at, 0, 0
    while len(digits) <= telephones.LONGEST + 1:
        found = _pair(reader, end, locale) or _single(reader, end, locale)
        if found is None:
            break
        text, end = found
        pairs, singles, digits = pairs + (len(text) > 1), singles + (len(text) == 1), digits + text
    if not pairs or reader.word(end) in _continuations(locale):
        return None
    if card := _card(digits):
        return Match(end=end, entity_class=CREDIT_CARD, parts=card)
    if not locale.paired_phones:
        parts = _phone(reader, at, digits, locale, plus=plus) if singles >= _LEAST else ()
        return Match(end=end, entity_class=TELEPHONE, parts=parts) if parts else None
    if not 8 <= len(digits) <= 12:
        return None
    return Match(end=end, entity_class=TELEPHONE, parts=_phone(reader, at, digits, locale, plus=plus) or (digits,))


def _pair(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    """`twenty three` as 23, in English also `twelve hundred` and, before more digits, `eight hundred`."""
    found = numbers.small(reader, at, locale.numerals)
    if found is None:
        return None
    value, end = found
    if locale.code == "en" and reader.word(end) in locale.numerals.hundred and value:
        single = value < 10 and _single(reader, end + 1, locale) is None
        return None if single else (f"{value}00", end + 1)
    return (str(value), end) if value > 9 else None


def _single(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    """One digit, or `double five`."""
    times = locale.repeats.get(reader.word(at), 0)
    digit = locale.numerals.digits.get(reader.word(at + bool(times)))
    return (digit * (times or 1), at + 1 + bool(times)) if digit else None


def _extended(reader: Reader, found: Match, locale: Locale) -> Match:
    """The telephone number *found* with its extension, `(800) 555-1212 extension 34`."""
    if locale.code != "en":
        return found
    comma = reader.at(found.end).kind == "mark" and reader.at(found.end).text == ","
    at = found.end + comma
    if reader.word(at) not in _EXTENSIONS:
        return found
    text, end = "", at + 1
    while len(text) < 6 and (more := _extension(reader, end, locale)):
        text, end = text + more[0], more[1]
    if not text:
        return found
    return Match(end=end, entity_class=TELEPHONE, parts=(*found.parts, reader.word(at), text))


def _extension(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    token = reader.at(at)
    if token.kind == "number" and token.digits and token.fraction is None and not token.grouped:
        return token.digits, at + 1
    return _pair(reader, at, locale) or _single(reader, at, locale)


def _continuations(locale: Locale) -> frozenset[str]:
    return locale.numerals.hundred | locale.numerals.thousand | locale.numerals.scales.keys() | locale.point


def _read(reader: Reader, at: int, locale: Locale) -> _Run:
    run = _Run(end=at)
    while len(run.text) < _LONGEST_RUN:
        token = reader.at(run.end)
        word = reader.word(run.end)
        times = locale.repeats.get(word, 0)
        again = reader.word(run.end + 1) if times else ""
        if locale.code == "en" and (length := reader.phrase(run.end, locale.letters)):  # double u
            name = reader.words(run.end, length)
            _add(run, locale.letters[name].upper(), length, digit=False)
        elif times and (again in locale.numerals.digits or reader.at(run.end + 1).letter):
            text = locale.numerals.digits.get(again, again.upper())
            _add(run, text * times, 2, digit=again in locale.numerals.digits)
        elif word in locale.numerals.digits and (word != "o" or run.digits):
            follows = reader.word(run.end + 1)
            hundred = follows in locale.numerals.hundred and (run.digits or _digits_follow(reader, run.end + 2, locale))
            if follows in _continuations(locale) and not hundred:
                break
            _add(run, locale.numerals.digits[word] + ("00" if hundred else ""), 2 if hundred else 1, digit=True)
        elif token.letter and _spelled(reader, run, token.letter, locale):
            _add(run, token.letter.upper(), 1, digit=False)
        elif run.text and word in _DASHES and _goes_on(reader, run.end + 1, locale):
            run.end, run.dashes = run.end + 1, (*run.dashes, len(run.text))
        elif token.kind == "number" and len(token.digits) == 1 and token.fraction is None:
            _add(run, token.digits, 1, digit=True)
        elif (pair := _pair_in_code(reader, run, locale)) is not None:
            _add(run, str(pair[0]), pair[1] - run.end, digit=True)
        else:
            break
    return run


def _goes_on(reader: Reader, at: int, locale: Locale) -> bool:
    token = reader.at(at)
    return bool(token.letter or _single(reader, at, locale) or _pair(reader, at, locale)) or token.kind == "number"


def _digits_follow(reader: Reader, at: int, locale: Locale) -> bool:
    """True if `eight hundred` before *at* begins a number like 800 555 1212."""
    return all(reader.word(nth) in locale.numerals.digits for nth in range(at, at + 4))


def _spelled(reader: Reader, run: _Run, letter: str, locale: Locale) -> bool:
    """True if *letter* is spelled, and not a word of one letter."""
    if locale.code != "en":
        return letter in _CONSONANTS
    return letter not in {"a", "i", "o"} or bool(run.text) or bool(reader.at(run.end + 1).letter)


def _pair_in_code(reader: Reader, run: _Run, locale: Locale) -> tuple[int, int] | None:
    """A number of two digits after letters: `x three eighty six`, `r t x forty fifty`."""
    if not run.letters or (run.letters < 2 and not run.digits):
        return None
    found = numbers.small(reader, run.end, locale.numerals)
    if found is None or found[0] < 10 or reader.word(found[1]) in _continuations(locale):
        return None
    return found


def _add(run: _Run, text: str, tokens: int, *, digit: bool) -> None:
    run.text += text
    run.end += tokens
    run.steps += len(text)
    if digit:
        run.digits += len(text)
    else:
        run.letters += len(text)


def _code(run: _Run) -> Match | None:
    return Match(end=run.end, entity_class=ALPHANUM, parts=(run.dashed,)) if run.letters >= 1 else None


def _number(reader: Reader, at: int, run: _Run, locale: Locale, *, plus: bool) -> Match:
    if card := _card(run.text):
        return Match(end=run.end, entity_class=CREDIT_CARD, parts=card)
    if len(run.text) == _SOCIAL_SECURITY and locale.code == "en" and _is_called(reader, at, _SECURITY):
        return Match(end=run.end, entity_class=ALPHANUM, parts=(telephones.social_security(run.text),))
    phone = _phone(reader, at, run.text, locale, plus=plus)
    if phone:
        return Match(end=run.end, entity_class=TELEPHONE, parts=phone)
    return Match(end=run.end, entity_class=ALPHANUM, parts=(("+" if plus else "") + run.dashed,))


def _card(digits: str) -> tuple[str, ...]:
    if len(digits) == _CARD:
        return tuple(digits[at : at + 4] for at in range(0, _CARD, 4))
    if len(digits) == _AMEX and digits[:2] in {"34", "37"}:
        return digits[:4], digits[4:10], digits[10:]
    return ()


def _phone(reader: Reader, at: int, digits: str, locale: Locale, *, plus: bool) -> tuple[str, ...]:
    """The parts of the telephone number *digits* said from *at*; () if they are not recognised as one."""
    if plus:
        return telephones.international(digits)
    return telephones.national(digits, locale.code, called=_is_called(reader, at))


def _is_called(reader: Reader, at: int, names: frozenset[str] = _CALLED) -> bool:
    return any(reader.word(before) in names for before in range(max(0, at - 4), at))


def _written_phone(reader: Reader, at: int, locale: Locale, *, plus: bool) -> Match | None:
    """A number that an engine wrote in digits, in one word or in groups."""
    groups: list[str] = []
    end = at
    token = reader.at(end)
    if (
        token.kind == "number" and token.grouped and _is_called(reader, at)
    ):  # 5,551,234, for which an engine heard digits
        parts = _phone(reader, at, token.digits, locale, plus=False)
        return Match(end=at + 1, entity_class=TELEPHONE, parts=parts) if parts else None
    has_sign = plus or (token.kind == "phone" and token.text.startswith("+"))
    dashed = False
    while sum(map(len, groups)) <= _CARD and _is_group(reader, end, groups):
        groups.append(token.digits)
        dashed = dashed or token.kind != "number"
        end += 1
        token = reader.at(end)
    digits = "".join(groups)
    lengths = [len(group) for group in groups]
    if (card := _card(digits)) and (len(card) == len(groups) or len(groups) == 1):
        return Match(end=end, entity_class=CREDIT_CARD, parts=card)
    if len(groups) == 1 and tuple(map(len, reader.at(at).text.split("-"))) == _SECURITY_GROUPS:
        return Match(end=end, entity_class=ALPHANUM, parts=(reader.at(at).text,))
    likely = dashed or has_sign or (len(groups) > 1 and (digits[:1] == "0" or lengths == [3, 3, 4]))
    if not likely or not telephones.LOCAL <= len(digits) <= telephones.LONGEST:
        return None
    parts = _phone(reader, at, digits, locale, plus=has_sign)
    return (
        Match(end=end, entity_class=TELEPHONE, parts=parts or (reader.at(at).text,))
        if parts or len(groups) == 1
        else None
    )


def _is_group(reader: Reader, at: int, before: Sequence[str]) -> bool:
    """True if the token at *at* may be digits of a telephone or card number whose groups *before* were read."""
    token = reader.at(at)
    if token.kind == "phone":
        return True
    if token.kind == "range":  # 292-7056 after (841)
        local = tuple(map(len, token.text.split("-"))) == _LOCAL_GROUPS
        return local and (bool(before) or token.text.startswith("555") or _is_called(reader, at))
    if token.kind != "number" or token.fraction is not None or token.grouped:
        return False
    if len(token.digits) == 1:  # 1 800-555-1212, 33 1 42 34 56 78
        return reader.at(at + 1).kind == "phone" or (len(before) == 1 and reader.at(at - 1).text.startswith("+"))
    return 2 <= len(token.digits) <= 6


def code(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A code that an engine wrote: it stays as it is."""
    del locale
    token = reader.at(at)
    return Match(end=at + 1, entity_class=ALPHANUM, parts=(token.text,)) if token.kind == "code" else None


def numbered(reader: Reader, at: int, locale: Locale) -> Match | None:
    """The number of a room, a flight or a house, in two parts: `flight two twenty one`, `twelve thirty four Main Street`."""
    if not locale.numbered:
        return None
    parts, end = "", at
    if high := numbers.small(reader, at, locale.numerals):
        low = numbers.small(reader, high[1], locale.numerals)
        zero = reader.word(high[1]) in locale.year_joiner_zero
        if zero:
            low = numbers.small(reader, high[1] + 1, locale.numerals)
        if low and high[0] and (low[0] < 10 if zero else low[0] > 9):
            parts, end = f"{high[0]}{low[0]:02d}", low[1]
    if parts and reader.word(at - 1) in locale.numbered:
        return None if reader.word(end) in _continuations(locale) else _in_parts(end, parts)
    if (
        not parts
        and (whole := numbers.cardinal(reader, at, locale.numerals))
        and whole.integral
        and whole.whole > _LARGEST_SMALL
    ):
        parts, end = str(whole.whole), whole.end
    return _in_parts(end, parts) if parts and _street_follows(reader, end, locale) else None


def _street_follows(reader: Reader, at: int, locale: Locale) -> bool:
    """True if the name of a street begins at *at*."""
    for nth in range(_STREET_NAME):
        if nth and reader.word(at + nth) in locale.streets:
            return True
        if not reader.word(at + nth) or reader.word(at + nth) in _NO_STREETS:
            return False
    return False


def _in_parts(end: int, digits: str) -> Match:
    return Match(end=end, entity_class=ALPHANUM if len(digits) >= _LEAST else CARDINAL, parts=(digits,))


def resolution(reader: Reader, at: int, locale: Locale) -> Match | None:
    """`ten eighty p`, the lines of a screen: two numbers and the letter."""
    if locale.code != "en":
        return None
    high = numbers.small(reader, at, locale.numerals)
    low = numbers.small(reader, high[1], locale.numerals) if high else None
    if high is None or low is None or not 0 < high[0] <= _LINES or low[0] < 10:
        return None
    if reader.word(low[1]) != "p" or reader.word(low[1] + 1) == "m":
        return None
    return Match(end=low[1] + 1, entity_class=ALPHANUM, parts=(f"{high[0]}{low[0]}p",))

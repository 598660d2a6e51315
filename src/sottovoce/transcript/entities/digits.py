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
_CARDS = words("card visa mastercard amex")
_LONGEST_GROUP = 6  # digits
_WHOLE_GROUPS = ((3, 7), (6, 4))  # 212-5550198, as an engine may write ten digits
_LOCAL_GROUPS, _WITH_TRUNK = (3, 4), (1, 3, 3, 4)
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


_Step = tuple[str, int, bool]
"""What was read of a code: its text, the number of tokens, and whether it is digits."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """Digits and letters: *text* so far, the number of spoken *steps*, the token after them."""

    text: str = ""
    steps: int = 0
    digits: int = 0
    letters: int = 0
    end: int = 0
    dashes: tuple[int, ...] = ()  # how much of *text* is before each dash that was said

    def add(self, step: _Step) -> None:
        """Append what was read."""
        text, tokens, digit = step
        self.text += text
        self.end += tokens
        self.steps += len(text)
        if digit:
            self.digits += len(text)
        else:
            self.letters += len(text)

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
    for crossing in (True, False) if found is None else ():
        run = _read(reader, start, locale, crossing=crossing)
        if run.steps < _LEAST or not run.digits or reader.word(run.end) in _continuations(locale):
            continue
        if run.letters:
            return _code(run) if not plus else None
        made = _number(reader, start, run, locale, plus=plus)
        if not crossing or made.entity_class != ALPHANUM:
            found = made
            break
    if found is None:
        return None
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


def _read(reader: Reader, at: int, locale: Locale, *, crossing: bool = False) -> _Run:
    """Digits and letters from *at*; with *crossing*, digits go on after a comma."""
    run = _Run(end=at)
    while len(run.text) < _LONGEST_RUN:
        step = next((found for each in _STEPS if (found := each(reader, run, locale))), None)
        if step:
            run.add(step)
        elif crossing and run.digits and len(run.text) < _CARD and _goes_on_after_comma(reader, run.end, locale):
            run.end += 1
        elif run.text and reader.word(run.end) in _DASHES and _goes_on(reader, run.end + 1, locale):
            run.end, run.dashes = run.end + 1, (*run.dashes, len(run.text))
        else:
            break
    return run


def _goes_on_after_comma(reader: Reader, at: int, locale: Locale) -> bool:
    if not _is_comma(reader, at):
        return False
    token = reader.at(at + 1)
    written = token.kind == "number" and len(token.digits) == 1 and token.fraction is None
    return written or _single(reader, at + 1, locale) is not None


def _named_letter(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    """`double u`."""
    length = reader.phrase(run.end, locale.letters) if locale.code == "en" else 0
    return (locale.letters[reader.words(run.end, length)].upper(), length, False) if length else None


def _repeated(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    """`double five`, `triple b`."""
    times = locale.repeats.get(reader.word(run.end), 0)
    again = reader.word(run.end + 1) if times else ""
    if digit := locale.numerals.digits.get(again):
        return digit * times, 2, True
    return (again.upper() * times, 2, False) if again and reader.at(run.end + 1).letter else None


def _digit(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    """One digit in words, or `eight hundred` before more digits."""
    word = reader.word(run.end)
    if word not in locale.numerals.digits or (word == "o" and not run.digits):
        return None
    follows = reader.word(run.end + 1)
    hundred = follows in locale.numerals.hundred and (run.digits or _digits_follow(reader, run.end + 2, locale))
    if follows in _continuations(locale) and not hundred:
        return None
    return locale.numerals.digits[word] + ("00" if hundred else ""), 2 if hundred else 1, True


def _letter(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    letter = reader.at(run.end).letter
    return (letter.upper(), 1, False) if letter and _spelled(reader, run, letter, locale) else None


def _written_digit(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    del locale
    token = reader.at(run.end)
    lone = token.kind == "number" and len(token.digits) == 1 and token.fraction is None
    return (token.digits, 1, True) if lone else None


def _pair_in_code(reader: Reader, run: _Run, locale: Locale) -> _Step | None:
    """A number of two digits after letters: `x three eighty six`, `r t x forty fifty`."""
    if not run.letters or (run.letters < 2 and not run.digits):
        return None
    found = numbers.small(reader, run.end, locale.numerals)
    if found is None or found[0] < 10 or reader.word(found[1]) in _continuations(locale):
        return None
    return str(found[0]), found[1] - run.end, True


_STEPS = (_named_letter, _repeated, _digit, _letter, _written_digit, _pair_in_code)
"""What may be next in a run of digits and letters."""


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
    token = reader.at(at)
    if token.kind == "number" and (token.grouped or len(token.digits) > _LONGEST_GROUP):
        return _one_number(reader, at, locale)
    has_sign = plus or (token.kind == "phone" and token.text.startswith("+"))
    for crossing in _ways(reader, at):
        if found := _in_groups(reader, at, locale, plus=has_sign, crossing=crossing):
            return found
    return None


def _ways(reader: Reader, at: int) -> tuple[bool, ...]:
    """The ways to read groups of digits: across commas first, if words before them say that they are not a list."""
    return (True, False) if _is_called(reader, at, _CALLED | _CARDS) else (False,)


def _one_number(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A number in one word: 2125550198, or after `call` 5,551,234, for which an engine heard digits."""
    token = reader.at(at)
    if token.fraction is not None or (token.grouped and not _is_called(reader, at)) or token.digits.endswith("000"):
        return None
    if not token.grouped and (card := _card(token.digits)):
        return Match(end=at + 1, entity_class=CREDIT_CARD, parts=card)
    parts = _phone(reader, at, token.digits, locale, plus=False) if len(token.digits) <= telephones.LONGEST else ()
    return Match(end=at + 1, entity_class=TELEPHONE, parts=parts) if parts else None


def _in_groups(reader: Reader, at: int, locale: Locale, *, plus: bool, crossing: bool) -> Match | None:
    """Groups of digits: 800 555 1212, (800) 555-1212, and with *crossing* 4242, 4242, 4242, 4242."""
    groups: list[str] = []
    end, dashed, commas = at, False, 0
    while sum(map(len, groups)) <= _CARD and _is_group(reader, end, groups):
        dashed = dashed or reader.at(end).kind != "number"
        groups.append(reader.at(end).digits)
        end += 1
        if crossing and len("".join(groups)) < _CARD and _is_comma(reader, end) and _is_group(reader, end + 1, groups):
            end, commas = end + 1, commas + 1
        elif crossing and len("".join(groups)) == _CARD:
            break
    digits, lengths = "".join(groups), [len(group) for group in groups]
    named = _is_called(reader, at, _CARDS)
    if (card := _card(digits)) and (len(card) == len(groups) or len(groups) == 1 or named):
        return Match(end=end, entity_class=CREDIT_CARD, parts=card)
    if len(groups) == 1 and _parts(reader.at(at).text) == _SECURITY_GROUPS:
        return Match(end=end, entity_class=ALPHANUM, parts=(reader.at(at).text,))
    likely = dashed or plus or (len(groups) > 1 and (digits[:1] == "0" or lengths == [3, 3, 4]))
    if not likely or not telephones.LOCAL <= len(digits) <= telephones.LONGEST:
        return None
    parts = _phone(reader, at, digits, locale, plus=plus)
    odd = len(digits) > telephones.NATIONAL and digits[0] != "0" and _parts(reader.at(at).text) != _WITH_TRUNK
    if len(groups) == 1 and (not parts or (odd and not plus)):  # 800-5555-1212
        parts = (reader.at(at).text,)
    return Match(end=end, entity_class=TELEPHONE, parts=parts) if parts else None


def _parts(text: str) -> tuple[int, ...]:
    """The lengths of the parts of *text* between hyphens."""
    return tuple(map(len, text.split("-")))


def _is_comma(reader: Reader, at: int) -> bool:
    token = reader.at(at)
    return token.kind == "mark" and token.text == ","


def _is_group(reader: Reader, at: int, before: Sequence[str]) -> bool:
    """True if the token at *at* may be digits of a telephone or card number whose groups *before* were read."""
    token = reader.at(at)
    if token.kind == "phone":
        return True
    if token.kind == "range":  # 292-7056 after (841)
        if _parts(token.text) in _WHOLE_GROUPS:
            return not before
        local = _parts(token.text) == _LOCAL_GROUPS
        return local and (bool(before) or token.text.startswith("555") or _is_called(reader, at))
    if token.kind != "number" or token.fraction is not None or token.grouped:
        return False
    if len(token.digits) == 1:  # 1 800-555-1212, 33 1 42 34 56 78
        return reader.at(at + 1).kind == "phone" or (len(before) == 1 and reader.at(at - 1).text.startswith("+"))
    return 2 <= len(token.digits) <= (_LONGEST_GROUP if not before else _CARD - sum(map(len, before)))


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

"""Rules for digits and letters said one by one: telephone numbers, credit cards, codes (contract §7.4: three or more)."""

from dataclasses import dataclass

from sottovoce.transcript.entities import numbers
from sottovoce.transcript.entities.locale import Locale
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import ALPHANUM, CREDIT_CARD, TELEPHONE, Match

_LEAST = 3
_CARD, _AMEX = 16, 15
_LOCAL, _NATIONAL, _LONGEST = 7, 10, 15
_CALLED = frozenset({"number", "phone", "telephone", "call", "dial"})
_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxz")  # of other languages, where every vowel is a word too


@dataclass(slots=True, kw_only=True)
class _Run:
    """Digits and letters: *text* so far, the number of spoken *steps*, the token after them."""

    text: str = ""
    steps: int = 0
    digits: int = 0
    letters: int = 0
    end: int = 0
    groups: tuple[str, ...] = ()  # as an engine wrote them


def sequence(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A telephone or card number, or a code of at least three letters and digits."""
    plus = reader.word(at) in locale.plus
    if phone := _written_phone(reader, at + plus, locale, plus=plus):
        return phone
    if locale.paired_phones and (paired := _paired_phone(reader, at + plus, locale, plus=plus)):
        return paired
    run = _read(reader, at + plus, locale)
    if run.steps < _LEAST or not run.digits or reader.word(run.end) in _continuations(locale):
        return None
    if run.letters:
        return _code(run) if not plus else None
    return _number(run, locale, plus=plus)


def _paired_phone(reader: Reader, at: int, locale: Locale, *, plus: bool) -> Match | None:
    """A telephone number in single digits and numbers of two digits, `zéro deux douze trente-deux trente trente`."""
    digits, end, pairs = "", at, 0
    while len(digits) < _LONGEST:
        found = numbers.small(reader, end, locale.numerals)
        if found is None and reader.word(end) in locale.numerals.digits:
            found = int(locale.numerals.digits[reader.word(end)]), end + 1
        if found is None:
            break
        digits, end, pairs = digits + str(found[0]), found[1], pairs + (found[0] > 9)
    if not pairs or not 8 <= len(digits) <= 12 or reader.word(end) in _continuations(locale):
        return None
    return Match(end=end, entity_class=TELEPHONE, parts=_phone(digits, locale, plus=plus) or (digits,))


def _continuations(locale: Locale) -> frozenset[str]:
    return locale.numerals.hundred | locale.numerals.thousand | locale.numerals.scales.keys() | locale.point


def _read(reader: Reader, at: int, locale: Locale) -> _Run:
    run = _Run(end=at)
    while True:
        token = reader.at(run.end)
        word = reader.word(run.end)
        times = locale.repeats.get(word, 0)
        again = reader.word(run.end + 1) if times else ""
        if times and (again in locale.numerals.digits or reader.at(run.end + 1).letter):
            _add(run, locale.numerals.digits.get(again, again) * times, 2, digit=again in locale.numerals.digits)
        elif word in locale.numerals.digits and (word != "o" or run.digits):
            follows = reader.word(run.end + 1)
            hundred = follows in locale.numerals.hundred and (run.digits or _digits_follow(reader, run.end + 2, locale))
            if follows in _continuations(locale) and not hundred:
                break
            _add(run, locale.numerals.digits[word] + ("00" if hundred else ""), 2 if hundred else 1, digit=True)
        elif token.letter and _spelled(reader, run, token.letter, locale):
            _add(run, token.letter.upper(), 1, digit=False)
        elif token.kind == "number" and len(token.digits) == 1 and token.fraction is None:
            _add(run, token.digits, 1, digit=True)
        elif (pair := _pair_in_code(reader, run, locale)) is not None:
            _add(run, str(pair[0]), pair[1] - run.end, digit=True)
        else:
            break
    return run


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
    return Match(end=run.end, entity_class=ALPHANUM, parts=(run.text,)) if run.letters >= 1 else None


def _number(run: _Run, locale: Locale, *, plus: bool) -> Match:
    if card := _card(run.text):
        return Match(end=run.end, entity_class=CREDIT_CARD, parts=card)
    phone = _phone(run.text, locale, plus=plus)
    if phone:
        return Match(end=run.end, entity_class=TELEPHONE, parts=phone)
    return Match(end=run.end, entity_class=ALPHANUM, parts=(run.text,))


def _card(digits: str) -> tuple[str, ...]:
    if len(digits) == _CARD:
        return tuple(digits[at : at + 4] for at in range(0, _CARD, 4))
    if len(digits) == _AMEX and digits[:2] in {"34", "37"}:
        return digits[:4], digits[4:10], digits[10:]
    return ()


def _phone(digits: str, locale: Locale, *, plus: bool) -> tuple[str, ...]:
    """The parts of a telephone number; () if *digits* are not recognised as one."""
    if plus:
        if digits[:1] == "1" and len(digits) == _NATIONAL + 1:
            return ("+1", *_national(digits[1:]))
        return ("+" + digits,) if _LOCAL <= len(digits) <= _LONGEST else ()
    if locale.code == "en" and len(digits) == _NATIONAL and digits[0] not in "01":
        return _national(digits)
    if locale.code == "en" and len(digits) == _NATIONAL + 1 and digits[0] == "1" and digits[1] not in "01":
        return ("1", *_national(digits[1:]))
    if locale.code == "en" and len(digits) == _LOCAL and digits[:3] == "555":
        return (f"{digits[:3]}-{digits[3:]}",)
    if locale.code == "fr" and len(digits) == _NATIONAL and digits[0] == "0":
        return tuple(digits[at : at + 2] for at in range(0, _NATIONAL, 2))
    if locale.code == "pt" and 8 <= len(digits) <= 11 and digits[0] != "0":
        area, number = (digits[:2], digits[2:]) if len(digits) > 9 else ("", digits)
        return (*((f"({area})",) if area else ()), f"{number[:-4]}-{number[-4:]}")
    if digits[0] == "0" and 9 <= len(digits) <= 12:
        return (digits,)
    return (digits,) if locale.code != "en" and 9 <= len(digits) <= 12 else ()


def _national(digits: str) -> tuple[str, str]:
    return f"({digits[:3]})", f"{digits[3:6]}-{digits[6:]}"


def _is_called(reader: Reader, at: int) -> bool:
    return any(reader.word(before) in _CALLED for before in range(max(0, at - 3), at))


def _written_phone(reader: Reader, at: int, locale: Locale, *, plus: bool) -> Match | None:
    """A number that an engine wrote in digits, in one word or in groups."""
    groups: list[str] = []
    end = at
    token = reader.at(end)
    if (
        token.kind == "number" and token.grouped and _is_called(reader, at)
    ):  # 5,551,234, for which an engine heard digits
        parts = _phone(token.digits, locale, plus=False)
        return Match(end=at + 1, entity_class=TELEPHONE, parts=parts) if parts else None
    has_sign = plus or (token.kind == "phone" and token.text.startswith("+"))
    dashed = False
    while token.kind == "phone" or (
        token.kind == "number" and token.fraction is None and not token.grouped and 2 <= len(token.digits) <= 5
    ):
        groups.append(token.digits)
        dashed = dashed or token.kind == "phone"
        end += 1
        token = reader.at(end)
    digits = "".join(groups)
    if card := _card(digits):
        return Match(end=end, entity_class=CREDIT_CARD, parts=card)
    lengths = [len(group) for group in groups]
    likely = dashed or has_sign or (len(groups) > 1 and (digits[:1] == "0" or lengths == [3, 3, 4]))
    if not likely or not _LOCAL <= len(digits) <= _LONGEST:
        return None
    parts = _phone(digits, locale, plus=has_sign)
    return (
        Match(end=end, entity_class=TELEPHONE, parts=parts or (reader.at(at).text,))
        if parts or len(groups) == 1
        else None
    )


def code(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A code that an engine wrote: it stays as it is."""
    del locale
    token = reader.at(at)
    return Match(end=at + 1, entity_class=ALPHANUM, parts=(token.text,)) if token.kind == "code" else None

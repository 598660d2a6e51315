"""Rules for web and mail addresses, `john dot smith at example dot com`, and for numbers with dots, `192.168.0.1`."""

from sottovoce.transcript.entities import numbers
from sottovoce.transcript.entities.locale import Locale, words
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import ALPHANUM, ELECTRONIC, Match

_DOMAINS = words(
    "com org net edu gov gob gouv mil int info biz io ai dev app co uk us ca au nz ie de fr es pt br it nl be ch at eu pl se no dk "
    "fi ru ua jp cn in tv me tech online shop cloud museum"
)
"""Last parts of host names that are said as one word; spelled ones may have any two or three letters."""
_PROVIDERS = words("gmail googlemail yahoo hotmail outlook live msn aol icloud proton protonmail gmx web")
_ROLES = words("info support sales admin contact hello office help jobs press team service mail")
_CUES = words("email e-mail mail is address to write contact or via")
_NO_NAMES = words(
    "the that this an my your our their me us him her them you it look available located be is was are live work visit go "
    "online order"
)
_LONE = frozenset({"a", "i", "o"})
_LONGEST = 40  # tokens
_BYTES, _BYTE = 4, 256
"""The parts of an IP address (version 4), and the number of values of each."""
_VERSION = 3  # parts of a version number that is said with dots: `one dot two dot three`
_GROUP = 3  # digits
_SCHEMES = {"http": "http://", "https": "https://"}


class _Address:
    """An address that is being read: *text*, the token after it, and what the rules need to know of its parts."""

    def __init__(self, at: int) -> None:
        self.text = ""
        self.end = at
        self.at_sign = False
        self.in_path = False
        self.spelled_last = False
        self.name_parts = 0
        self.valid: tuple[str, int] | None = None

    @property
    def host(self) -> str:
        """The host name, without scheme, name and path."""
        return self.text.split("://")[-1].split("@")[-1].split("/")[0]


def address(reader: Reader, at: int, locale: Locale) -> Match | None:
    """A web or mail address from *at*; it has a dot and ends with a known or spelled domain."""
    token = reader.at(at)
    if token.kind == "address":
        return Match(end=at + 1, entity_class=ELECTRONIC, parts=(token.text,))
    if not locale.address or not _may_begin(reader, at, locale):
        return None
    read = _Address(at)
    _scheme(reader, read, locale)
    while read.end < at + _LONGEST and _element(reader, read, locale):
        read.name_parts += not read.at_sign
        _settle(read)
        if not _sign(reader, at, read, locale):
            break
    if read.valid is None:
        return None
    text, end = read.valid
    if "@" not in text and _sign_at(reader, end, locale)[0] == "@":
        return None
    return Match(end=end, entity_class=ELECTRONIC, parts=(text,))


def _sign_at(reader: Reader, at: int, locale: Locale) -> tuple[str, int]:
    """The sign that is said from *at*, and its number of tokens."""
    length = reader.phrase(at, locale.address)
    return (locale.address[reader.words(at, length)], length) if length else ("", 0)


def _sign(reader: Reader, at: int, read: _Address, locale: Locale) -> bool:
    """Read a sign between two parts into *read*; False if there is none, or none that may be there."""
    sign, length = _sign_at(reader, read.end, locale)
    if not sign or (sign in "/?=&#" and not read.valid):
        return False
    if sign == "@":
        if read.at_sign or read.in_path or not _is_mail(reader, at, read, length):
            return False
        read.at_sign = True
    read.in_path = read.in_path or sign in "/?"
    read.text += sign
    read.end += length
    return True


def _may_begin(reader: Reader, at: int, locale: Locale) -> bool:
    """True if the token can begin an address. A lone word at the end of the items is not held back for one."""
    word = reader.glance(at)
    if not word or (word in _NO_NAMES and not locale.numerals.digits.get(word)):
        return False
    if len(word) == 1 or word in locale.numerals.digits or reader.phrase(at, locale.letters):
        return True
    if (word,) in locale.address:
        return False
    following = reader.glance(at + 1)
    if (
        following in locale.numerals.small.lengths and following not in locale.numerals.digits
    ):  # `anna twenty five at …`
        return any(_is_sign(reader.glance(nth), locale) for nth in range(at + 2, at + 5))
    return _is_sign(following, locale) or following in locale.numerals.digits or len(following) == 1


def _is_sign(word: str, locale: Locale) -> bool:
    """True if *word* may begin the name of a sign."""
    return word in locale.address.lengths


def _scheme(reader: Reader, read: _Address, locale: Locale) -> None:
    """`h t t p colon slash slash`."""
    name, end = "", read.end
    if reader.word(end) in _SCHEMES:
        name, end = reader.word(end), end + 1
    else:
        while len(name) < 5 and (letter := _letter(reader, end, locale)):
            name, end = name + letter[0], letter[1]
            if name == "http" and (_letter(reader, end, locale) or ("", 0))[0] != "s":
                break
    if name not in _SCHEMES:
        return
    for sign in ":", "/", "/":
        length = reader.phrase(end, locale.address)
        if not length or locale.address[reader.words(end, length)] != sign:
            return
        end += length
    read.text, read.end = _SCHEMES[name], end


def _letter(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    if letter := reader.at(at).letter:
        return letter, at + 1
    length = reader.phrase(at, locale.letters)
    return (locale.letters[reader.words(at, length)], at + length) if length else None


def _element(reader: Reader, read: _Address, locale: Locale) -> bool:
    """Read letters and digits, and at most one word among them, into *read*; False if there is none."""
    start, letters, words = read.end, 0, 0
    while read.end < start + _LONGEST:
        if read.end > start and reader.phrase(read.end, locale.address):
            break
        word, token = reader.word(read.end), reader.at(read.end)
        times = locale.repeats.get(word, 0)
        again = _letter(reader, read.end + 1, locale) if times else None
        if again:
            read.text, read.end, letters = read.text + again[0] * times, again[1], letters + times
        elif not words and (found := _letter(reader, read.end, locale)):
            read.text, read.end, letters = read.text + found[0], found[1], letters + len(found[0])
        elif word in locale.numerals.digits:
            read.text, read.end = read.text + locale.numerals.digits[word], read.end + 1
        elif token.kind == "number" and token.digits and token.fraction is None:
            read.text, read.end = read.text + token.digits, read.end + 1
        elif (number := numbers.small(reader, read.end, locale.numerals)) and number[0] > 9:
            read.text, read.end = read.text + str(number[0]), number[1]
        elif not words and word.replace("'", "").isalnum() and _joins(reader, read, start, letters, locale):
            read.text, read.end, words = read.text + word, read.end + 1, words + 1
        else:
            break
    read.spelled_last = not words and letters > 1
    return read.end > start


def _joins(reader: Reader, read: _Address, start: int, letters: int, locale: Locale) -> bool:
    """True if the word at the end of *read* belongs to the part that begins at *start*: `n vidia dot com`."""
    if read.end == start:
        return True
    lone = letters == 1 and read.text[-1:] in _LONE
    return not lone and bool(reader.phrase(read.end + 1, locale.address))


def _settle(read: _Address) -> None:
    """Note the address as complete up to here if its host ends with a domain."""
    if read.in_path and read.valid:
        read.valid = read.text, read.end
        return
    first, _, last = read.host.rpartition(".")
    if first and (last in _DOMAINS or (read.spelled_last and len(last) in {2, 3})):
        read.valid = read.text, read.end


def _is_mail(reader: Reader, at: int, read: _Address, length: int) -> bool:
    """True if the name before `at` is one of a mail address, and not the end of `meet me at example dot com`."""
    name = read.text
    if read.name_parts > 1 or len(name) == 1 or any(sign.isdecimal() for sign in name) or name in _ROLES:
        return name not in _LONE or reader.word(at - 1) in _CUES or reader.at(at - 1).kind != "word"
    before = reader.word(at - 1)
    following = reader.word(read.end + length)
    spelled = all(reader.at(nth).letter for nth in range(at, read.end))
    return spelled or before in _CUES or not before or following in _PROVIDERS or following == "g"


def dotted(reader: Reader, at: int, locale: Locale) -> Match | None:
    """Numbers with `dot` between them: an IP address of four bytes, or a version of three parts."""
    if (reader.word(at - 1),) in locale.address:
        return None
    groups: list[str] = []
    end = at
    while len(groups) < _BYTES and (group := _number(reader, end, locale)):
        sign, length = _sign_at(reader, group[1], locale)
        groups.append(group[0])
        end = group[1]
        if sign != ".":
            break
        end += length
    else:
        return None  # a dot at the end, or too many numbers
    if len(groups) == _VERSION:
        return Match(end=end, entity_class=ALPHANUM, parts=(".".join(groups),))
    if len(groups) == _BYTES and all(int(group) < _BYTE for group in groups):
        return Match(end=end, entity_class=ELECTRONIC, parts=(".".join(groups),))
    return None


def _number(reader: Reader, at: int, locale: Locale) -> tuple[str, int] | None:
    """Up to three digits, said one by one or as numbers: `one twenty three`, `o`, `double five`."""
    text, end, names = "", at, locale.numerals.digits
    while len(text) <= _GROUP:
        times = locale.repeats.get(reader.word(end), 0)
        if times and (again := names.get(reader.word(end + 1))):
            text, end = text + again * times, end + 2
        elif (found := numbers.cardinal(reader, end, locale.numerals)) and found.integral:
            text, end = text + str(found.whole), found.end
        elif reader.word(end) in names:
            text, end = text + names[reader.word(end)], end + 1
        else:
            break
    return (text, end) if 0 < len(text) <= _GROUP else None

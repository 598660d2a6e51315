"""Rules for times of day, from the patterns of each language."""

from dataclasses import dataclass

from sottovoce.transcript.entities import numbers
from sottovoce.transcript.entities.locale import ClockPattern, Locale
from sottovoce.transcript.entities.tokens import Reader
from sottovoce.transcript.entities.values import TIME, Match

_HOURS, _HALF_DAY, _MINUTES = 24, 12, 60


def time(reader: Reader, at: int, locale: Locale) -> Match | None:
    """The longest time of day from *at*: a pattern of the language, an hour with a.m. or p.m., or `3:45`."""
    best = _digital(reader, at, locale)
    for pattern in locale.clock:
        found = _pattern(reader, at, pattern, locale)
        if found and (best is None or found.end > best.end):
            best = found
    return best


def _digital(reader: Reader, at: int, locale: Locale) -> Match | None:
    token = reader.at(at)
    if locale.code == "en" and token.kind == "number" and len(token.fraction or "") == 2 and len(token.digits) <= 2:
        if int(token.digits or 99) <= _HALF_DAY and _half_day(reader, at + 1, locale)[0]:  # 11.40 a.m.
            return _ended(reader, at + 1, (f"{int(token.digits)}:{token.fraction}",), locale)
        return None
    if token.kind != "clock" or int(token.digits) > _HOURS or int(token.fraction or 0) >= _MINUTES:
        return None
    text = token.text if locale.code != "en" else f"{int(token.digits)}:{token.fraction}"
    return _ended(reader, at + 1, (text,), locale)


def _hour(reader: Reader, at: int, locale: Locale) -> tuple[int, int] | None:
    token = reader.at(at)
    if token.text in locale.hour_names:
        return locale.hour_names[token.text], at + 1
    if token.kind == "number" and token.fraction is None and len(token.digits) <= 2:
        return (int(token.digits), at + 1) if token.digits and int(token.digits) <= _HOURS else None
    found = numbers.small(reader, at, locale.numerals)
    return found if found and found[0] <= _HOURS else None


def _minute(reader: Reader, at: int, locale: Locale) -> tuple[int, int] | None:
    """Minutes: `fifteen`, `oh five`, 05; a lone digit is none."""
    if reader.word(at) in locale.year_joiner_zero:
        found = numbers.small(reader, at + 1, locale.numerals)
        return found if found and 0 < found[0] < 10 else None
    token = reader.at(at)
    if token.kind == "number" and token.fraction is None and len(token.digits) == 2:
        return int(token.digits), at + 1
    return numbers.small(reader, at, locale.numerals)


@dataclass(slots=True, kw_only=True)
class _Said:
    """A time that is being read: its *hour*, its *minute* (negative before the hour), and the token after it."""

    hour: int = -1
    minute: int = 0
    end: int = 0


def _pattern(reader: Reader, at: int, pattern: ClockPattern, locale: Locale) -> Match | None:
    said = _Said(hour=pattern.hour, minute=pattern.minute, end=at)
    if not all(_slot(reader, said, word, locale, before=pattern.minute < 0) for word in pattern.words):
        return None
    half_day = _half_day(reader, said.end, locale)[0]
    if not half_day and (pattern.needs_half_day or pattern.words == ("H",)):
        return None
    if locale.code == "en" and said.hour > _HALF_DAY:
        return None
    if "MM" in pattern.words and not _likely(reader, at, said.end, locale):
        return None
    hour, minute = said.hour, said.minute
    if minute < 0:
        hours = _HALF_DAY if 0 < hour <= _HALF_DAY else _HOURS
        hour, minute = (hour - 1) % hours or _HALF_DAY, minute + _MINUTES
    if hour == _HOURS and minute:
        return None
    article = "la" if hour == 1 else "las"
    text = pattern.form.format(w=reader.word(at), a=article, h=hour, m=minute, hh=f"{hour:02d}", mm=f"{minute:02d}")
    return _ended(reader, said.end, tuple(text.split(" ")), locale)


def _slot(reader: Reader, said: _Said, word: str, locale: Locale, *, before: bool) -> bool:
    """Read one word of a pattern into *said*; False if it is not there."""
    if word in {"H", "N"}:
        named = word == "N" and reader.at(said.end).text not in locale.hour_names
        found = None if named else _hour(reader, said.end, locale)
        if found:
            said.hour, said.end = found
        return found is not None
    if word in {"M", "MM"}:
        found = _minute(reader, said.end, locale)
        lone = word == "MM" and found is not None and found[1] == said.end + 1 and found[0] < 10
        if found is None or lone or not 0 < found[0] < _MINUTES:
            return False
        said.minute, said.end = -found[0] if before else found[0], found[1]
        return True
    there = reader.word(said.end) in word.rstrip("?").split("|")
    said.end += there
    return there or word.endswith("?")


def _likely(reader: Reader, at: int, end: int, locale: Locale) -> bool:
    """True if an hour and minutes without other words are a time: `at two thirty`, not `ten fifteen people`."""
    if _half_day(reader, end, locale)[0]:
        return True
    token = reader.at(end)
    if token.kind == "word" and (reader.phrase(end, locale.currencies) or token.text in locale.numerals.vocabulary):
        return False
    if reader.word(at - 1) in locale.time_cues:
        return True
    if reader.word(at - 1) in locale.numbered:  # room two oh five
        return False
    after = token.kind in {"end", "mark"} or token.text in locale.after_time
    before = reader.at(at - 1)
    return after and (before.kind in {"end", "mark"} or (before.kind == "word" and not before.letter))


def _half_day(reader: Reader, at: int, locale: Locale) -> tuple[str, int]:
    length = reader.phrase(at, locale.half_days)
    return (locale.half_days[reader.words(at, length)], at + length) if length else ("", at)


def _ended(reader: Reader, end: int, parts: tuple[str, ...], locale: Locale) -> Match:
    half_day, end = _half_day(reader, end, locale)
    if half_day:
        parts = (*parts, half_day)
    if locale.zones and reader.word(end) in locale.zones:
        return Match(end=end + 1, entity_class=TIME, parts=(*parts, reader.word(end).upper()))
    spelled = "".join(reader.at(end + nth).letter for nth in range(3))
    if len(spelled) == 3 and spelled in locale.zones:
        return Match(end=end + 3, entity_class=TIME, parts=(*parts, spelled.upper()))
    return Match(end=end, entity_class=TIME, parts=parts)

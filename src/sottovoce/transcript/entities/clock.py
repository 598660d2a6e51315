"""Rules for times of day, from the patterns of each language."""

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
    if token.kind == "number" and token.fraction is None and len(token.digits) <= 2:  # noqa: PLR2004
        return (int(token.digits), at + 1) if token.digits and int(token.digits) <= _HOURS else None
    found = numbers.small(reader, at, locale.numerals)
    return found if found and found[0] <= _HOURS else None


def _minute(reader: Reader, at: int, locale: Locale) -> tuple[int, int] | None:
    """Minutes: `fifteen`, `oh five`, 05; a lone digit is none."""
    if reader.word(at) in locale.year_joiner_zero:
        found = numbers.small(reader, at + 1, locale.numerals)
        return found if found and 0 < found[0] < 10 else None  # noqa: PLR2004
    token = reader.at(at)
    if token.kind == "number" and token.fraction is None and len(token.digits) == 2:  # noqa: PLR2004
        return int(token.digits), at + 1
    return numbers.small(reader, at, locale.numerals)


def _pattern(reader: Reader, at: int, pattern: ClockPattern, locale: Locale) -> Match | None:
    hour, minute, end = -1, pattern.minute, at
    before = minute < 0
    opening = reader.word(at)
    for word in pattern.words:
        if word in {"H", "N"}:
            named = word == "N"
            found = _hour(reader, end, locale) if not named or reader.at(end).text in locale.hour_names else None
            if found is None:
                return None
            hour, end = found
        elif word in {"M", "MM"}:
            found = _minute(reader, end, locale)
            if found is None or not 0 < found[0] < _MINUTES or (word == "MM" and found[1] == end + 1 and found[0] < 10):  # noqa: PLR2004
                return None
            minute, end = found
            minute = -minute if before else minute
        elif word.endswith("?"):
            end += reader.word(end) in word[:-1].split("|")
        elif reader.word(end) in word.split("|"):
            end += 1
        else:
            return None
    if pattern.needs_half_day and not _half_day(reader, end, locale)[0]:
        return None
    if locale.code == "en" and hour > _HALF_DAY:
        return None
    if "MM" in pattern.words and not _likely(reader, at, end, locale):
        return None
    if minute < 0:
        hour, minute = (hour - 1) % (_HALF_DAY if hour <= _HALF_DAY else _HOURS), minute + _MINUTES
        hour = hour or _HALF_DAY
    if not minute and pattern.words == ("H",) and not _half_day(reader, end, locale)[0]:
        return None
    if hour == _HOURS and minute:
        return None
    text = pattern.form.format(w=opening, h=hour, m=minute, hh=f"{hour:02d}", mm=f"{minute:02d}")
    return _ended(reader, end, tuple(text.split(" ")), locale)


def _likely(reader: Reader, at: int, end: int, locale: Locale) -> bool:
    """True if an hour and minutes without other words are a time: `at two thirty`, not `ten fifteen people`."""
    if _half_day(reader, end, locale)[0]:
        return True
    token = reader.at(end)
    if token.kind == "word" and (reader.phrase(end, locale.currencies) or token.text in locale.numerals.vocabulary):
        return False
    if reader.word(at - 1) in locale.time_cues:
        return True
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
    if len(spelled) == 3 and spelled in locale.zones:  # noqa: PLR2004
        return Match(end=end + 3, entity_class=TIME, parts=(*parts, spelled.upper()))
    return Match(end=end, entity_class=TIME, parts=parts)

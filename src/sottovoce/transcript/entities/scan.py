"""Finds the entities of a list of items: at each word the longest match of the rules, from left to right."""

from collections.abc import Callable, Sequence

from sottovoce.transcript.entities import clock, dates, digits, electronic, quantities
from sottovoce.transcript.entities.locale import Locale
from sottovoce.transcript.entities.tokens import Reader, normal, tokenize
from sottovoce.transcript.entities.values import Found, Match, Span
from sottovoce.transcript.model import Item

Rule = Callable[[Reader, int, Locale], Match | None]

_STARTERS: dict[str, frozenset[str]] = {}


def _starters(locale: Locale) -> frozenset[str]:
    """The words with which anything but an address can begin, by which most words are skipped."""
    found = _STARTERS.get(locale.code)
    if found is None:
        numerals = locale.numerals
        names = {form[0] for form in (*numerals.small, *numerals.ordinals)}
        names |= (
            numerals.hundreds.keys()
            | numerals.thousand
            | numerals.one
            | numerals.digits.keys()
            | numerals.ordinal_scales.keys()
        )
        names |= (
            locale.point
            | locale.minus
            | locale.plus
            | locale.months.keys()
            | locale.first_day.keys()
            | locale.hour_names.keys()
        )
        names |= locale.repeats.keys() | numerals.hundred
        for pattern in locale.clock:
            for word in pattern.words:
                names |= set(word.rstrip("?").split("|"))
                if not word.endswith("?"):
                    break
        found = _STARTERS[locale.code] = frozenset(names)
    return found


RULES: tuple[Rule, ...] = (
    electronic.address,
    electronic.dotted,
    dates.date,
    digits.numbered,
    clock.time,
    digits.sequence,
    quantities.quantity,
    quantities.written_range,
    quantities.fraction,
    dates.lone_year,
    quantities.ordinal,
    quantities.plain,
    digits.resolution,
    digits.code,
)
"""The longest match wins; of matches of the same length, the first in this order."""


def find(items: Sequence[Item], locale: Locale, *, keep: Sequence[str] = (), start: int = 0) -> Found:
    """The spans of *items* of one speaker's channel, and the item from which they may change when more items follow.

    Spans begin at item *start* or later, so a live caller passes the first item that it may still change. Words in *keep*
    are not rewritten. The time is linear in the number of items.
    """
    tokens = tokenize(items, locale, frozenset(map(normal, keep)))
    reader = Reader(tokens)
    spans: list[Span] = []
    open_from: int | None = None
    ends = [nth for nth, token in enumerate(tokens) if token.ends]
    at = next((nth for nth, token in enumerate(tokens) if token.item >= start), len(tokens))
    while at < len(tokens):
        while ends and ends[0] < at:
            del ends[0]
        reader.limit = ends[0] if ends else len(tokens)
        match = _best(reader, at, locale)
        if open_from is None and reader.reached >= len(tokens):
            open_from = tokens[at].item
        if match is None:
            at += 1
            continue
        spans.append(
            Span(
                first=tokens[at].item,
                last=tokens[match.end - 1].item + 1,
                entity_class=match.entity_class,
                parts=match.parts,
            )
        )
        at = match.end
    return Found(spans=tuple(spans), open_from=len(items) if open_from is None else open_from)


def _best(reader: Reader, at: int, locale: Locale) -> Match | None:
    """The longest match of whole items from *at*."""
    reader.reached = -1
    token = reader.tokens[at]
    if not token.first or token.kind in {"mark", "kept"}:
        return None
    best: Match | None = None
    rules = RULES
    if token.kind == "word" and not token.letter and token.text not in _starters(locale):
        rules = RULES[:1]
    for rule in rules:
        found = rule(reader, at, locale)
        if found and (best is None or found.end > best.end) and reader.tokens[found.end - 1].last:
            best = found
    return best

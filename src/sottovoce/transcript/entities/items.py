"""Entities as items of a transcript: `rewrite` makes them from spans, `as_words` shows them as the words that are written."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from sottovoce.transcript.entities.languages import locale as tables
from sottovoce.transcript.entities.literals import SIGNS
from sottovoce.transcript.entities.locale import Locale
from sottovoce.transcript.entities.scan import find
from sottovoce.transcript.entities.values import (
    ALPHANUM,
    CREDIT_CARD,
    ELECTRONIC,
    FRACTION,
    MONEY,
    TELEPHONE,
    TIME,
    Found,
    Span,
)
from sottovoce.transcript.formatting import sentence_case, without_dot
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import ChannelLabel, Entity, Item, Mark, Samples, SpeakerLabel, Word

_ONE_BY_ONE = frozenset({ALPHANUM, CREDIT_CARD, TELEPHONE})
"""Classes whose digits and letters are said one by one."""
_DOTTED = re.compile(r"\d+(?:\.\d+)+")
_CLOCK = re.compile(r"(?<=\d)[.h](?=\d\d)")

Speak = Callable[[Sequence[str]], Sequence[Sequence[str]]]
"""The spoken words of each written word; none for a word that it cannot read."""


def entities(items: Sequence[Item], pack: LanguagePack, keep: Collection[str] = (), start: int = 0) -> Found:
    """The spans of *items*, which are in the order of one channel; none for a language without tables.

    Words in *keep*, the custom vocabulary, stay as they are. *start*: the first item that may be rewritten.
    """
    locale = tables(pack.code)
    if locale is None:
        return Found(spans=(), open_from=len(items))
    words = [word for phrase in keep for word in phrase.split() if any(sign.isdecimal() for sign in word)]
    return find(items, locale, keep=words, start=start)


def rewrite(
    items: Sequence[Item],
    pack: LanguagePack,
    speak: Speak,
    keep: Collection[str] = (),
    before: Sequence[Item] = (),
) -> tuple[Item, ...]:
    """*items* with an `Entity` for every span: the written form replaces the spoken words, and keeps their times.

    *speak* gives the spoken form of words that an engine wrote in digits; its words share the time of the written word.
    Items of another speaker are never in one entity. *before*: items that were published before these and do not change; they
    decide what the words after them are. Applying it again changes nothing.
    """
    locale = tables(pack.code)
    if locale is None:
        return tuple(items)
    made: list[Item] = []
    for number, run in enumerate(_runs(items)):
        known = [] if number else list(before)
        line, at = [*known, *run], len(known)
        for span in entities(line, pack, keep, len(known)).spans:
            made += line[at : span.first]
            made.append(_item(line, span, _opens(made or known), locale, speak))
            at = span.last
        made += line[at:]
    return tuple(_without_double_dots(made))


def _runs(items: Sequence[Item]) -> Iterator[list[Item]]:
    """*items* cut where the speaker or channel changes."""
    run: list[Item] = []
    voice: tuple[ChannelLabel | None, SpeakerLabel | None] | None = None
    for item in items:
        own = item.channel, item.speaker
        if run and own != voice:
            yield run
            run = []
        voice = own
        run.append(item)
    if run:
        yield run


def _opens(before: Sequence[Item]) -> bool:
    return not before or (isinstance(before[-1], Mark) and before[-1].ends_sentence)


def _item(run: Sequence[Item], span: Span, opens: bool, locale: Locale, speak: Speak) -> Word | Entity:
    covered = [item for item in run[span.first : span.last] if isinstance(item, Word | Mark)]
    words = [item for item in covered if isinstance(item, Word)]
    first, end = words[0], max(word.end for word in words)
    sure = [word.confidence for word in words if word.confidence is not None]
    loud = [word.volume for word in words if word.volume is not None]
    whole = replace(
        first,
        text=span.text,
        end=end,
        confidence=min(sure, default=None),
        volume=sum(loud) / len(loud) if loud else None,
        tags=tuple(dict.fromkeys(tag for word in words for tag in word.tags)),
    )
    if span.entity_class is None:
        return replace(whole, text=sentence_case(span.text, locale.code)) if opens else whole
    return Entity(
        text=span.text,
        entity_class=span.entity_class,
        spoken=tuple(_without_repeats(_spoken(covered, span.entity_class, locale, speak), span.entity_class)),
        written=tuple(_shared(whole, span.parts)),
        start=first.start,
        end=end,
        confidence=whole.confidence,
        language=first.language,
        speaker=first.speaker,
        channel=first.channel,
        volume=whole.volume,
        tags=whole.tags,
    )


def _spoken(covered: Sequence[Word | Mark], kind: str, locale: Locale, speak: Speak) -> Iterator[Word | Mark]:
    """The spoken form: words as they are, and the words of digits, which share the time of what was written."""
    coin = False
    sign: tuple[Word, Sequence[str]] | None = None  # the name of `€` before a number is said after it
    readings = _Readings(kind, locale, speak)
    said = speak([_CLOCK.sub(":", item.text) if kind == TIME else item.text for item in covered])
    for at, (item, words) in enumerate(zip(covered, said, strict=True)):
        scale = coin and tuple(words[:1]) == (item.text.lower(),) and len(words) > 1  # `$5 million`: million dollars
        coin = any(sign_ in item.text for sign_ in SIGNS)
        if isinstance(item, Mark) or not (scale or _is_written(item.text)):
            yield item
            continue
        names = [locale.sign_names[one] for one in item.text if locale.code != "en" and one in locale.sign_names]
        texts = readings.of(item.text) or (*words, *names) or (item.text,)
        if item.text in SIGNS and sign is None and any(_is_written(other.text) for other in covered[at + 1 : at + 2]):
            sign = item, names or texts
            continue
        whole, after = (item, ()) if sign is None else (replace(item, start=sign[0].start), sign[1])
        yield from _shared(whole, (*texts, *after))
        sign = None


def _without_repeats(spoken: Iterable[Word | Mark], kind: str) -> list[Word | Mark]:
    """*spoken*; the second *cents* of `$25.50 cents` is not shown."""
    found: list[Word | Mark] = []
    for part in spoken:
        last = found[-1] if found else None
        if kind == MONEY and isinstance(part, Word) and isinstance(last, Word) and last.text == part.text.lower():
            found[-1] = replace(last, end=part.end)
        else:
            found.append(part)
    return found


class _Readings:
    """The spoken words of what an engine wrote, where its class says how it was read."""

    def __init__(self, kind: str, locale: Locale, speak: Speak) -> None:
        self._kind = kind
        self._locale = locale
        self._speak = speak
        self._fractions = 0

    def of(self, text: str) -> Sequence[str]:
        """The words of *text*; () if its class does not decide."""
        if self._kind in _ONE_BY_ONE:
            return [word for sign in text for word in self._sign(sign)]
        if self._kind == ELECTRONIC and _DOTTED.fullmatch(text):
            dot = next((key for key, sign in self._locale.address.items() if sign == "."), ())
            return [
                word for at, byte in enumerate(text.split(".")) for word in (*(dot if at else ()), *self._read(byte))
            ]
        if self._kind == FRACTION:
            return self._fraction(*text.partition("/")[::2])
        return ()

    def _read(self, text: str) -> Sequence[str]:
        return self._speak([text])[0]

    def _sign(self, sign: str) -> Sequence[str]:
        if sign == "+":
            return sorted(self._locale.plus)[:1]
        return self._read(sign) if sign.isdecimal() else (sign.lower(),) if sign.isalpha() else ()

    def _fraction(self, above: str, below: str) -> Sequence[str]:
        """A fraction, after `and` if a whole number is before it."""
        numerals = self._locale.numerals
        self._fractions += 1
        if not below.isdecimal():
            return ()
        names: list[tuple[str, ...]] = [(name,) for name, value in numerals.denominators.items() if value == int(below)]
        if self._locale.code == "en" and not names:
            names = [name for name, value in numerals.ordinals.items() if value == int(below)]
            names += [(*name[:-1], name[-1] + "s") for name in names]
        plural = [name for name in names if name[-1].endswith("s")] if above != "1" else []
        name = next(iter(plural or names), ())
        joiner = sorted(numerals.joiners)[:1] if self._fractions > 1 else []
        return [*joiner, *self._read(above), *name] if name else ()


def _is_written(text: str) -> bool:
    return any(sign.isdecimal() or sign in SIGNS or sign in "%@/" for sign in text) or "." in text[1:-1]


def _shared(word: Word, texts: Sequence[str]) -> Iterator[Word]:
    """*texts* over the time of *word*, each as long as its share of the characters."""
    total = sum(map(len, texts)) or 1
    at: Samples = word.start
    seen = 0
    for text in texts:
        seen += len(text)
        end = word.start + (word.end - word.start) * seen // total
        yield replace(word, text=text, start=at, end=end)
        at = end


def _without_double_dots(items: Sequence[Item]) -> Iterator[Item]:
    """*items*; an entity before a full stop loses its own (`11:40 a.m.`)."""
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        dotted = isinstance(following, Mark) and following.text == "."
        yield without_dot(item) if dotted and isinstance(item, Entity) else item


def as_words(items: Iterable[Item]) -> Iterator[Word | Mark]:
    """*items* with the written words of each entity in its place (contract §7.4: without `enable_entities`)."""
    for item in items:
        if not isinstance(item, Entity):
            yield item
            continue
        complete = " ".join(word.text for word in item.written) == item.text
        for word in item.written if complete else (_alone(item),):
            yield replace(
                word,
                confidence=item.confidence if word.confidence is None else word.confidence,
                speaker=item.speaker,
                channel=item.channel,
                volume=item.volume,
                tags=item.tags,
            )


def as_spoken(items: Iterable[Item]) -> Iterator[Word | Mark]:
    """*items* with the spoken words of each entity in its place, for comparison with what was said."""
    for item in items:
        if isinstance(item, Entity):
            yield from item.spoken or (_alone(item),)
        else:
            yield item


def _alone(item: Entity) -> Word:
    return Word(text=item.text, start=item.start, end=item.end, confidence=item.confidence, language=item.language)

"""Short ways to make items, and strategies that make any: sane time lines and hostile ones."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from sottovoce.transcript.model import Attaches, Entity, Item, Mark, Word, samples

DURATION = 1_000_000


def w(text: str, start: float = 0, end: float | None = None, **more: Any) -> Word:
    """A word with times in seconds."""
    return Word(text=text, start=samples(start), end=samples(start + 0.1 if end is None else end), **more)


def m(text: str = ".", at: float = 0, **more: Any) -> Mark:
    """A mark; it ends a sentence if it looks so."""
    return Mark(text=text, at=samples(at), ends_sentence=more.pop("ends", text in ".?!。"), **more)


def said(text: str, *, pause: float = 0.1, start: float = 0, **more: Any) -> list[Item]:
    """Words of 0.3 s, *pause* apart; a token of `|` is a further second of silence, marks stand alone: `yes , no .`"""
    items: list[Item] = []
    at = start
    for token in text.split():
        if token == "|":
            at += 1
        elif token in {".", ",", "?", "!", "。", "、"}:
            voice = {key: value for key, value in more.items() if key in {"speaker", "channel", "language"}}
            items.append(m(token, items[-1].end / 16_000 if items else at, **voice))
        else:
            items.append(w(token, at, at + 0.3, **more))
            at += 0.3 + pause
    return items


def texts(items: Sequence[Item]) -> list[str]:
    return [item.text for item in items]


# lone surrogates cannot be stored or sent: the edge refuses them
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words_text = st.one_of(
    st.sampled_from(
        [
            "hello",
            "um",
            "a",
            "I",
            "world,",
            "Übermut",
            "שלום",
            "こんにちは",
            "👩‍👩‍👧",
            "20\u00a0$",
            "x" * 60,
            "i'm",
            "T.",
        ]
    ),
    text,
)
voices: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "language": st.sampled_from(["en", "de"]),
        "speaker": st.sampled_from(["S1", "S2", "UU"]),
        "channel": st.sampled_from(["left", "right"]),
        "confidence": st.floats(0, 1),
    },
)
times = st.integers(0, DURATION)
any_times = st.integers(-DURATION, 2 * DURATION)


@st.composite
def words(draw: st.DrawFn, at: st.SearchStrategy[int] = times) -> Word:
    start = draw(at)
    length = draw(st.sampled_from([0, 1, 1_600, 4_800, 16_000, 200_000]))
    more = draw(voices)
    if draw(st.booleans()):
        more |= {"volume": draw(st.floats(0, 100)), "tags": tuple(draw(st.lists(text, max_size=2)))}
    return Word(text=draw(words_text), start=start, end=start + length, **more)


@st.composite
def marks(draw: st.DrawFn, at: st.SearchStrategy[int] = times) -> Mark:
    return Mark(
        text=draw(st.sampled_from([".", ",", "?", "。", "¿", "-", "–"])),
        at=draw(at),
        attaches=draw(st.sampled_from([Attaches.PREVIOUS] * 5 + [*Attaches])),
        ends_sentence=draw(st.booleans()),
        **draw(voices),
    )


@st.composite
def entities(draw: st.DrawFn, at: st.SearchStrategy[int] = times) -> Entity:
    start = draw(at)
    return Entity(
        text=draw(words_text),
        entity_class=draw(st.sampled_from(["money", "credit card"])),
        spoken=tuple(draw(st.lists(st.one_of(words(at), marks(at)), max_size=3))),
        written=tuple(draw(st.lists(words(at), max_size=2))),
        start=start,
        end=start + draw(st.integers(0, 50_000)),
        **draw(voices),
    )


def lines(at: st.SearchStrategy[int] = times, *, size: int = 25) -> st.SearchStrategy[list[Item]]:
    """Items in any order, with any overlap."""
    kinds: list[st.SearchStrategy[Item]] = [words(at), words(at), marks(at), entities(at)]
    return st.lists(st.one_of(kinds), max_size=size)

"""The sentences of the benchmark of entities, a slice of them: the rules write them as expected, whichever way they get them."""

from collections.abc import Sequence

import pytest

from bench.entities import items, measure, ours, plain
from bench.entity_sentences import CLASSES, Pair, own_pairs
from sottovoce.transcript import verbalization
from sottovoce.transcript.entities.items import as_spoken, rewrite
from sottovoce.transcript.languages import pack

COUNT = 20
PAIRS = list(own_pairs(COUNT))


def of(kind: str) -> list[Pair]:
    return [pair for pair in PAIRS if pair.kind == kind and pair.language == "en"]


def test_every_sentence_is_written_as_expected() -> None:
    report = measure(PAIRS, classes=True)
    assert (report["wrong"], report["wrong_class"], report["bad_times"]) == ([], 0, 0)
    assert len(PAIRS) == COUNT * (len(CLASSES) + 12)


@pytest.mark.parametrize("kind", CLASSES)
def test_what_an_engine_writes_itself_is_written_the_same(kind: str) -> None:
    """One result whichever engine: the written form is read by the same rules and stays."""
    for pair in of(kind):
        text, _, sane = ours(Pair(language="en", kind=kind, spoken=pair.written, written=pair.written))
        assert (text, sane) == (pair.written, True)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_spoken_form_of_what_an_engine_writes_gives_the_same_again(kind: str) -> None:
    def speak(texts: Sequence[str]) -> list[Sequence[str]]:
        return [ways[0] if ways else () for ways in verbalization.spoken(texts, "en")]

    for pair in of(kind):
        found = rewrite(items(pair.written), pack("en"), speak)
        said = " ".join(item.text for item in as_spoken(found))
        assert not any(sign.isdecimal() for sign in said), said
        again = ours(Pair(language="en", kind=kind, spoken=said, written=pair.written))[0]
        expected = pair.written.replace("-", "") if kind == "alphanum" else pair.written.replace("https://", "")
        assert plain(again, "en") == plain(expected, "en"), said

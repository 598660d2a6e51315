from sottovoce.request import PunctuationOverrides
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.mark_threshold import adjust, confidence
from sottovoce.transcript.model import Item
from tests.unit.transcript.transcript_values import m, said, w

EN = pack("en")


def adjusted(items: list[Item], sensitivity: float, *permitted: str) -> str:
    marks = frozenset(permitted) if permitted else None
    return join(adjust(items, EN, PunctuationOverrides(sensitivity=sensitivity, permitted_marks=marks)), EN)


def test_the_default_changes_nothing() -> None:
    line = said("Well , we went home . The end , yes .")
    assert adjust(line, EN, PunctuationOverrides()) == tuple(line)


def test_a_low_sensitivity_leaves_out_unsure_marks() -> None:
    line = said("Well , we went home . We slept , | and | woke .")
    assert adjusted(line, 0.05) == "Well we went home we slept, and woke."
    assert adjusted(line, 0.15) == "Well we went home. We slept, and woke."
    assert adjusted(said("Go home . Paris is big ."), 0) == "Go home Paris is big."


def test_the_engines_confidence_decides_if_there_is_one() -> None:
    line: list[Item] = [
        w("well", 0, 1),
        m(",", 1, confidence=0.3),
        w("yes", 1, 2),
        m(",", 2, confidence=0.9),
        w("no", 2, 3),
    ]
    assert adjusted(line, 0.25) == "well yes, no"
    assert confidence(m(",", 1, confidence=0.3), 16_000) == 0.3


def test_a_high_sensitivity_adds_commas_at_pauses() -> None:
    line: list[Item] = [w("we", 0, 1), w("went", 1, 2), w("home", 2, 3), w("and", 3.2, 4), w("slept", 4, 5), m(".", 5)]
    assert adjusted(line, 0.5) == "we went home and slept."
    assert adjusted(line, 1) == "we went home, and slept."
    assert adjusted(line, 1, ".") == "we went home and slept."


def test_permitted_marks_always_count() -> None:
    assert adjusted(said("Yes , no . Why ?"), 0.5, ".", "?") == "Yes no. Why?"

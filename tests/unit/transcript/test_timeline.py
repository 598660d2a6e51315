from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transcript.model import Attaches, Entity, Item, Mark, Word
from sottovoce.transcript.timeline import by_sentence, clamp, merge_channels, shift, units
from tests.unit.transcript.transcript_values import DURATION, any_times, lines, m, said, texts, w


def test_channels_are_merged_by_start_then_longer_first() -> None:
    merged = merge_channels({"b": [w("one", 1, 2), w("four", 4, 5)], "a": [w("zero", 1, 3), w("two", 2, 3)]})
    assert texts(merged) == ["zero", "one", "two", "four"]
    assert [item.channel for item in merged] == ["a", "b", "a", "b"]


def test_equal_words_come_in_channel_order() -> None:
    assert texts(merge_channels({"b": [w("x", 1, 2)], "a": [w("y", 1, 2)]})) == ["x", "y"]


def test_a_mark_stays_behind_its_word() -> None:
    merged = merge_channels({"a": [w("yes", 0, 2), m(".", 2)], "b": [w("no", 1, 1.5), m("?", 1.5)]})
    assert texts(merged) == ["yes", ".", "no", "?"]


def test_an_opening_mark_stays_before_its_word() -> None:
    opening = m("¿", 0, attaches=Attaches.NEXT)
    assert texts(merge_channels({"a": [opening, w("qué", 0.2, 1), m("?", 1)], "b": [w("hm", 0.1, 0.2)]})) == [
        "¿", "qué", "?", "hm",
    ]  # fmt: skip


def test_parts_of_entities_are_labelled() -> None:
    part = w("two")
    entity = Entity(text="$2", entity_class="money", spoken=(part, m(",")), written=(part,), start=0, end=9)
    (merged,) = merge_channels({"left": [entity]})
    assert isinstance(merged, Entity)
    assert {each.channel for each in (merged, *merged.spoken, *merged.written)} == {"left"}


@given(st.dictionaries(st.sampled_from("abc"), lines()))
def test_merging_loses_nothing_and_keeps_the_order_inside(by_channel: dict[str, list[Item]]) -> None:
    merged = merge_channels(by_channel)
    for channel, items in by_channel.items():
        assert [(item.text, item.start) for item in merged if item.channel == channel] == [
            (item.text, item.start) for item in items
        ]
    assert len(merged) == sum(map(len, by_channel.values()))


@given(st.dictionaries(st.sampled_from("abc"), lines().map(lambda items: [i for i in items if isinstance(i, Word)])))
def test_merged_starts_rise_if_each_channel_does(by_channel: dict[str, list[Item]]) -> None:
    ordered = {key: sorted(items, key=lambda item: (item.start, -item.end)) for key, items in by_channel.items()}
    merged = merge_channels(ordered)
    assert all((one.start, -one.end) <= (two.start, -two.end) for one, two in pairwise(merged))


@given(lines())
def test_units_are_the_items(items: list[Item]) -> None:
    found = list(units(items))
    assert [item for unit in found for item in unit] == items
    assert all(found)


def test_units() -> None:
    both = m("-", 0, attaches=Attaches.BOTH, ends=False)
    items = [*said("so , well"), both, w("known"), m("«", attaches=Attaches.NEXT), w("x"), m("»", ends=False), m(".")]
    assert ["".join(texts(unit)) for unit in units(items)] == ["so,", "well-known", "«x»."]


@given(lines(any_times), st.integers(-5, DURATION))
def test_a_clamped_line_is_sane(items: list[Item], duration: int) -> None:
    sane = clamp(items, duration)
    assert texts(sane) == texts(items)
    assert all(one.start <= two.start for one, two in pairwise(sane))
    for item in sane:
        assert 0 <= item.start <= item.end <= max(0, duration)
        if isinstance(item, Entity):
            assert all(item.start <= part.start <= part.end <= item.end for part in (*item.spoken, *item.written))
    assert clamp(sane, duration) == sane


def test_what_is_sane_stays() -> None:
    items = (w("a", 0, 1), m(",", 1), w("b", 1, 2), w("c", 1.5, 3), m(".", 3))
    assert clamp(items, 48_000) == items


def test_clamping_moves_little() -> None:
    items: list[Item] = [w("a", -1, 0.5), m(",", 9), w("b", 0.4, 0.3), w("c", 0.2, 5)]
    assert clamp(items, 32_000) == (w("a", 0, 0.5), m(",", 0.5), w("b", 0.5, 0.5), w("c", 0.5, 2))


@given(lines(any_times), any_times)
def test_shifting_there_and_back(items: list[Item], by: int) -> None:
    moved = shift(items, by)
    assert shift(moved, -by) == tuple(items)
    assert [item.start - by for item in moved] == [item.start for item in items]
    assert not any(isinstance(item, Mark) and item.start != item.end for item in moved)


# --- channels sentence by sentence


def test_sentences_of_channels_follow_each_other() -> None:
    merged = merge_channels(
        {
            "left": said("so we wait . and then ?", pause=0.5),
            "right": said("yes . no we cannot .", start=0.4, pause=0.3),
        }
    )
    assert texts(by_sentence(merged)) == [
        "so", "we", "wait", ".", "yes", ".", "no", "we", "cannot", ".", "and", "then", "?",
    ]  # fmt: skip


def test_a_pause_and_a_long_time_end_a_sentence_without_marks() -> None:
    left = [w("a", 0, 0.5), w("b", 3, 3.5)]
    assert texts(by_sentence(merge_channels({"left": left, "right": [w("x", 0.2, 0.4), w("y", 2, 2.2)]}))) == [
        "a", "x", "y", "b",
    ]  # fmt: skip
    talk = said("on " * 100, pause=0.1)
    found = texts(by_sentence(merge_channels({"left": talk, "right": [w("stop", 15, 16)]})))
    assert 45 <= found.index("stop") <= 55


def test_one_channel_is_left_as_it_is() -> None:
    items: list[Item] = [w("a", 5), w("b", 1), m("."), w("c", 2)]
    assert by_sentence(items) == tuple(items)


@given(st.dictionaries(st.sampled_from(["left", "right"]), lines(any_times)))
def test_by_sentence_keeps_all_items_and_the_order_of_a_channel(by_channel: dict[str, list[Item]]) -> None:
    merged = merge_channels(by_channel)
    found = by_sentence(merged)
    for channel in by_channel:
        assert [i for i in found if i.channel == channel] == [i for i in merged if i.channel == channel]
    assert len(found) == len(merged)

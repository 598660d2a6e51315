"""Who says which word: the two stages of `assign`, and the numbering, by example and by property."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transcript.model import UNKNOWN_SPEAKER, Attaches, Entity, Item, Mark, samples
from sottovoce.transcript.speakers import REACH, Spoken, assign, numbered, spoken_by
from sottovoce.transcript.timeline import clamp
from tests.unit.transcript.transcript_values import DURATION, any_times, lines, m, said, w


def turn(label: str, start: float, end: float) -> Spoken:
    return Spoken(start=samples(start), end=samples(end), label=label)


def voices(items: list[Item], *turns: Spoken, prefer_current: bool = False) -> list[str | None]:
    """The labels of the words."""
    return [i.speaker for i in assign(items, turns, prefer_current=prefer_current) if not isinstance(i, Mark)]


# ── by time ──


def test_a_word_goes_to_the_voice_with_most_of_its_time() -> None:
    word = w("so", 1, 2)
    assert voices([word], turn("A", 0, 1.4), turn("B", 1.4, 3)) == ["B"]
    assert voices([word], turn("A", 0, 1.6), turn("B", 1.4, 3)) == ["A"]
    assert voices([word], turn("A", 1, 1.3), turn("B", 1.3, 1.7), turn("A", 1.7, 2)) == ["A"]


def test_turns_of_one_voice_that_overlap_count_once() -> None:
    assert voices([w("so", 1, 2)], turn("A", 1, 1.4), turn("A", 1.1, 1.4), turn("B", 1.4, 2)) == ["B"]


def test_a_tie_goes_to_the_current_speaker_else_to_who_began_first() -> None:
    both = (turn("A", 1, 3), turn("B", 1, 3))
    assert voices([w("so", 0, 0.9), w("well", 1, 2)], turn("B", 0, 0.9), *both) == ["B", "B"]
    assert voices([w("well", 1, 2)], turn("B", 0.5, 3), turn("A", 0.6, 3)) == ["B"]


def test_the_current_speaker_stays_current_over_words_of_nobody() -> None:
    items: list[Item] = [w("a", 0, 1), w("b", 5, 6), w("c", 10, 11)]
    assert voices(items, turn("B", 0, 1), turn("A", 10, 11), turn("B", 10, 11)) == ["B", UNKNOWN_SPEAKER, "B"]


@pytest.mark.parametrize(
    ("start", "label"), [(0.0, "A"), (0.5, "A"), (0.500_1, UNKNOWN_SPEAKER), (1.9, UNKNOWN_SPEAKER), (2.0, "B")]
)
def test_a_word_that_no_turn_touches_goes_to_the_nearest_within_half_a_second(start: float, label: str) -> None:
    first, second = turn("A", 5, 6), turn("B", 8.6, 9)
    assert voices([w("so", 6 + start, 6.1 + start)], first, second) == [label]


def test_a_word_before_its_turn_goes_to_it_and_the_nearer_turn_wins() -> None:
    assert voices([w("so", 1, 1.2)], turn("A", 1.6, 2)) == ["A"]
    assert voices([w("so", 1, 1.2)], turn("A", 0, 0.6), turn("B", 1.3, 2)) == ["B"]


def test_a_word_without_length_belongs_where_it_stands() -> None:
    assert voices([w("so", 1, 1)], turn("A", 0, 1.2), turn("B", 1.4, 2)) == ["A"]


def test_without_turns_nobody_is_known() -> None:
    assert {item.speaker for item in assign(said("well , yes ."), ())} == {UNKNOWN_SPEAKER}
    assert assign((), [turn("A", 0, 1)]) == ()


def test_empty_and_reversed_turns_are_nothing() -> None:
    assert voices([w("so", 1, 2)], turn("A", 1.5, 1.5), turn("B", 2, 1)) == [UNKNOWN_SPEAKER]


def test_who_prefers_the_current_speaker_leaves_only_for_twice_the_share() -> None:
    items: list[Item] = [w("so", 0, 1), w("well", 1, 2)]
    for share, label in ((1.4, "A"), (1.2, "B")):
        turns = turn("A", 0, share), turn("B", share, 3)
        assert voices(items, *turns) == ["A", "B"]
        assert voices(items, *turns, prefer_current=True) == ["A", label]


# ── by sentence ──

SHORT = "and then he said that we should go home now ."  # ten words of 0.3 s, 0.1 s apart: one begins every 0.4 s


def sentence(pause_before: int | None = None, pause: float = 0.6) -> list[Item]:
    """SHORT with *pause* seconds before one of its words instead of 0.1."""
    items: list[Item] = []
    at = 0.0
    for number, text in enumerate(SHORT.split()[:-1]):
        at += pause - 0.1 if number == pause_before else 0
        items.append(w(text, at, at + 0.3))
        at += 0.4
    return [*items, m(".", at - 0.1)]


def by_word(items: list[Item], labels: str) -> list[Spoken]:
    """A turn for each word, by one letter each."""
    spans = [item for item in items if not isinstance(item, Mark)]
    return [Spoken(start=span.start, end=span.end, label=label) for span, label in zip(spans, labels, strict=True)]


@pytest.mark.parametrize(
    ("heard", "corrected"),
    [
        ("AAAAAAAAAA", "AAAAAAAAAA"),
        ("BAAAAAAAAA", "AAAAAAAAAA"),  # an edge
        ("AAAAAAAAAB", "AAAAAAAAAA"),
        ("AAABAAAAAA", "AAAAAAAAAA"),  # an island
        ("BAAABBAAAA", "AAAAAAAAAA"),  # three of ten in all
        ("BAAAABAAAC", "AAAAAAAAAA"),  # each for itself in the minority
        ("BBBBAAAAAA", "BBBBAAAAAA"),  # four of ten: no minority
        ("BBBCCCAAAA", "BBBCCCAAAA"),  # nobody says most of it
        ("BBBBBAAAAA", "BBBBBAAAAA"),
    ],
)
def test_a_small_minority_of_a_sentence_yields(heard: str, corrected: str) -> None:
    items = sentence()
    assert "".join(map(str, voices(items, *by_word(items, heard)))) == corrected


@pytest.mark.parametrize(
    ("pause_before", "heard", "corrected"),
    [
        (1, "BAAAAAAAAA", "BAAAAAAAAA"),  # beside the edge
        (3, "AAABAAAAAA", "AAABAAAAAA"),  # before the island
        (4, "AAABAAAAAA", "AAABAAAAAA"),  # behind it
        (6, "AAABAAAAAA", "AAAAAAAAAA"),  # elsewhere
        (0, "BAAAAAAAAA", "AAAAAAAAAA"),  # before the sentence
    ],
)
def test_a_pause_beside_it_lets_a_minority_stand(pause_before: int, heard: str, corrected: str) -> None:
    items = sentence(pause_before)
    assert "".join(map(str, voices(items, *by_word(items, heard)))) == corrected


def test_a_pause_is_half_a_second_or_more() -> None:
    for pause, label in ((0.49, "A"), (0.5, "B")):
        items = sentence(1, pause)
        assert voices(items, *by_word(items, "BAAAAAAAAA"))[0] == label


def test_a_run_of_five_words_or_two_seconds_stands() -> None:
    long = said("a b c d e f g h i j k l m n o p q r s t .")
    for heard, label in (("A" * 16 + "BBBB", "A"), ("A" * 15 + "BBBBB", "B")):
        assert voices(long, *by_word(long, heard))[-1] == label
    slow = [*said("a b c d e f g h i j k l m n o p q r s"), w("absolutely", 7.6, 9.6), m(".", 9.6)]
    assert voices(slow, *by_word(slow, "A" * 19 + "B"))[-1] == "B"
    slow[-2] = w("absolutely", 7.6, 9.5)
    assert voices(slow, *by_word(slow, "A" * 19 + "B"))[-1] == "A"


def test_many_short_words_or_few_long_ones_are_no_minority() -> None:
    items: list[Item] = [w("no", 0, 1.9), *said("he did not go home", start=1.95), m(".", 4)]
    assert voices(items, *by_word(items, "BAAAAA"))[0] == "B"  # one of six words, but more than half of the time


def test_each_sentence_has_its_own_majority() -> None:
    items = said("we are done here now . yes . no it is not so . ok")
    heard = "AAAAABAAAAAB"
    assert "".join(map(str, voices(items, *by_word(items, heard)))) == heard


def test_a_comma_ends_no_sentence() -> None:
    items = said("well , we are done here")
    assert voices(items, *by_word(items, "BAAAA")) == list("AAAAA")


def test_what_never_ends_is_no_sentence() -> None:
    items = said(" ".join(["word"] * 101))
    heard = "A" * 50 + "B" + "A" * 50
    assert "".join(map(str, voices(items, *by_word(items, heard)))) == heard
    assert set(voices(items[1:], *by_word(items[1:], heard[1:]))) == {"A"}


def test_nobody_in_particular_neither_yields_nor_takes() -> None:
    items = sentence()
    turns = [each for each in by_word(items, "AAAAAAA...") if each.label == "A"]
    assert voices(items, *turns) == ["A"] * 9 + [UNKNOWN_SPEAKER]  # the eighth and ninth are near enough
    lone = [w("hm", 0, 1), *said("yes no yes", start=9), m(".", 11)]
    assert voices(lone, turn("A", 0, 1)) == ["A", *[UNKNOWN_SPEAKER] * 3]


def test_who_prefers_the_current_speaker_corrects_more() -> None:
    items = sentence(4, 0.9)
    heard = by_word(items, "BBBBAAAAAA")
    assert "".join(map(str, voices(items, *heard))) == "BBBBAAAAAA"
    assert "".join(map(str, voices(items, *heard, prefer_current=True))) == "AAAAAAAAAA"
    items = sentence(4, 1.0)
    heard = by_word(items, "BBBBAAAAAA")
    assert "".join(map(str, voices(items, *heard, prefer_current=True))) == "BBBBAAAAAA"


# ── marks and entities ──


def test_marks_take_the_label_of_their_word() -> None:
    opening = m("¿", 1, attaches=Attaches.NEXT)
    items: list[Item] = [
        opening,
        w("qué", 1, 2),
        m("?", 2),
        w("eso", 4, 5),
        m("-", 5, ends=False),
        w("sí", 6, 7),
        m(".", 7),
    ]
    found = assign(items, [turn("A", 1, 2), turn("B", 4, 5), turn("A", 6, 7)])
    assert [item.speaker for item in found] == ["A", "A", "A", "B", "B", "A", "A"]


def test_a_mark_without_a_word_of_its_own_takes_what_there_is() -> None:
    items: list[Item] = [m(".", 0), w("so", 1, 2), m("«", 2, attaches=Attaches.NEXT, ends=False)]
    assert [item.speaker for item in assign(items, [turn("A", 1, 2)])] == ["A", "A", "A"]
    assert assign([m(".", 0)], [turn("A", 0, 2)])[0].speaker == UNKNOWN_SPEAKER


def test_the_parts_of_an_entity_have_its_label() -> None:
    entity = Entity(
        text="$2", entity_class="money", spoken=(w("two", 0, 1), m(",", 1), w("dollars", 1, 2)), written=(w("$2", 0, 2),),
        start=0, end=samples(2),
    )  # fmt: skip
    (found,) = assign([entity], [turn("A", 0, 0.9), turn("B", 0.9, 2)])
    assert isinstance(found, Entity)
    assert {each.speaker for each in (found, *found.spoken, *found.written)} == {"B"}


# ── numbers ──


def test_voices_are_numbered_by_first_word_and_who_says_none_leaves_no_gap() -> None:
    items = said("yes . no . well .")
    found = assign(items, [turn("C", 0, 0.3), turn("X", 0.3, 0.35), turn("A", 0.4, 0.7), turn("C", 0.8, 1.1)])
    shown, labels = numbered(found)
    assert [item.speaker for item in shown] == ["S1", "S1", "S2", "S2", "S1", "S1"]
    assert labels == {"C": "S1", "A": "S2"}


def test_who_is_named_keeps_the_name_and_takes_no_number() -> None:
    items = [w("a", speaker="S3"), w("b", speaker="Ada"), w("c", speaker="UU"), w("d", speaker="S1")]
    shown, labels = numbered(items, {"Ada", "Bob"})
    assert [item.speaker for item in shown] == ["S1", "Ada", "UU", "S2"]
    assert labels == {"S3": "S1", "Ada": "Ada", "S1": "S2"}
    assert list(labels) == ["S3", "Ada", "S1"]


def test_where_nobody_was_told_apart_nothing_is_numbered() -> None:
    assert numbered(said("well ."))[0] == tuple(said("well ."))


# ── properties ──

some_turns = st.lists(
    st.builds(Spoken, start=any_times, end=any_times, label=st.sampled_from(["A", "B", "Ada", "S7"])), max_size=12
)


@given(lines(any_times), some_turns, st.booleans())
def test_nothing_but_labels_changes_whatever_comes(items: list[Item], turns: list[Spoken], prefer: bool) -> None:
    assigned = assign(items, turns, prefer_current=prefer)
    shown, labels = numbered(assigned, {"Ada"})
    assert [spoken_by(item, "") for item in shown] == [spoken_by(item, "") for item in items]
    words = [item.speaker for item in shown if not isinstance(item, Mark)]
    counted = [label for label in dict.fromkeys(words) if label not in {UNKNOWN_SPEAKER, "Ada"}]
    assert counted == [f"S{number}" for number in range(1, len(counted) + 1)]
    assert set(words) - {UNKNOWN_SPEAKER} == set(labels.values())
    assert {item.speaker for item in shown} <= {UNKNOWN_SPEAKER, *labels.values()}
    assert numbered(shown, {"Ada"})[0] == shown


@given(lines(), some_turns)
def test_without_sentences_a_word_has_the_voice_with_most_of_it(items: list[Item], turns: list[Spoken]) -> None:
    words = [item for item in clamp(items, DURATION) if not isinstance(item, Mark)]
    for word in words:
        (found,) = assign([word], turns)
        shares = {
            label: _share(word, [each for each in turns if each.label == label]) for label in ["A", "B", "Ada", "S7"]
        }
        if found.speaker == UNKNOWN_SPEAKER:
            gaps = [max(each.start - word.end, word.start - each.end) for each in turns if each.start < each.end]
            assert all(gap > REACH for gap in gaps)
        else:
            assert shares[str(found.speaker)] == max(shares.values())


def _share(word: Item, turns: list[Spoken]) -> int:
    """How many samples of *word* lie in *turns*, each counted once."""
    edges = sorted({word.start, word.end, *(at for each in turns for at in (each.start, each.end))})
    return sum(
        end - start
        for start, end in pairwise(edges)
        if word.start <= start and end <= word.end and any(each.start <= start and end <= each.end for each in turns)
    )


@given(lines())
def test_a_line_is_as_its_words_one_by_one_but_for_ties_and_sentences(items: list[Item]) -> None:
    apart = [turn("A", 0, 20), turn("B", 20.6, 40), turn("C", 40.6, 62.5)]  # no word touches two, none is far from all
    line = [each for each in clamp(items, DURATION) if not isinstance(each, Mark) and each.end - each.start < 8_000]
    ends = [item for word in line for item in (word, Mark(text=".", at=word.end, ends_sentence=True))]
    alone = [assign([word], apart)[0].speaker for word in line]
    together = [item.speaker for item in assign(ends, apart) if not isinstance(item, Mark)]
    assert together == alone

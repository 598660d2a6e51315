import json
from typing import Any

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.transcript.model import Entity, Item, Transcript
from sottovoce.transcript.speaker_names import Labels, SpeakerNames, labels
from sottovoce.wire.v2.speaker_names import MAX_NAME, dump, load, names_object, parse
from tests.unit.transcript.transcript_values import m, w

KNOWN = Labels(speakers=("S1", "S2"), channels=("Agent",))
ANNA = SpeakerNames(speakers={"S1": "Anna"}, channels={"Agent": "Müller & Söhne"})


def parsed(value: Any) -> SpeakerNames:
    return parse(json.dumps(value).encode(), KNOWN)


def test_names_are_read_and_shown_in_the_same_form() -> None:
    value = {"speakers": {"S1": "Anna"}, "channels": {"Agent": "Müller & Söhne"}}
    assert parsed(value) == ANNA
    assert names_object(ANNA) == value
    assert load(dump(ANNA)) == ANNA
    assert parsed({}) == SpeakerNames()


def test_blanks_around_a_name_and_empty_names_are_dropped() -> None:
    assert parsed({"speakers": {"S1": "  Anna ", "S2": " "}}) == SpeakerNames(speakers={"S1": "Anna"})


def test_any_script_is_a_name() -> None:
    for name in ("می‌خواهم", "O\u2019Neill", "名前", "👩‍🎤", "x" * MAX_NAME):
        assert parsed({"speakers": {"S1": name}}).speakers["S1"] == name


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"{", Kind.MALFORMED, "not valid JSON"),
        (b"\xff", Kind.MALFORMED, "not valid JSON"),
        (b"[]", Kind.BAD_REQUEST, "members speakers and channels only"),
        (b'{"names": {}}', Kind.BAD_REQUEST, "members speakers and channels only"),
        (b'{"speakers": []}', Kind.BAD_REQUEST, "object of labels and names"),
        (b'{"speakers": {"S3": "Anna"}}', Kind.BAD_REQUEST, "its speakers are: S1, S2"),
        (b'{"channels": {"S1": "Anna"}}', Kind.BAD_REQUEST, "its channels are: Agent"),
        (b'{"speakers": {"S1": 1}}', Kind.BAD_REQUEST, "must be a string"),
        (b'{"speakers": {"S1": null}}', Kind.BAD_REQUEST, "must be a string"),
        (json.dumps({"speakers": {"S1": "x" * (MAX_NAME + 1)}}).encode(), Kind.BAD_REQUEST, "at most 100"),
        (b'{"speakers": {"S1": "a\\nb"}}', Kind.BAD_REQUEST, "one line"),
        (b'{"speakers": {"S1": "a\\u2028b"}}', Kind.BAD_REQUEST, "one line"),
        (b'{"speakers": {"S1": "a\\u0000b"}}', Kind.BAD_REQUEST, "one line"),
    ],
)
def test_other_bodies_are_refused(body: bytes, kind: Kind, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        parse(body, KNOWN)
    assert refused.value.kind is kind


def test_labels_are_those_that_one_speaker_has() -> None:
    items: list[Item] = [
        w("a", speaker="S2", channel="left"),
        w("b", speaker="UU"),
        w("c", speaker="S1"),
        m(speaker="S2"),
        w("d"),
    ]
    assert labels(items) == Labels(speakers=("S2", "S1"), channels=("left",))


def test_names_take_the_place_of_labels_in_words_marks_and_entities_and_nowhere_else() -> None:
    part = w("twenty", speaker="S1", channel="Agent")
    whole = Entity(text="20", entity_class="number", spoken=(part,), written=(w("20", speaker="S1"),), start=0, end=1, speaker="S1")  # fmt: skip
    given = Transcript(language="en", duration=0, created_at=0, items=(part, m(speaker="S1"), whole, w("b", speaker="S2")))  # fmt: skip
    word, mark, entity, other = ANNA.shown_in(given).items
    assert (word.speaker, word.channel, mark.speaker, other) == ("Anna", "Müller & Söhne", "Anna", given.items[3])
    assert isinstance(entity, Entity)
    assert {entity.speaker, entity.spoken[0].speaker, entity.written[0].speaker} == {"Anna"}
    assert SpeakerNames().shown_in(given) is given
